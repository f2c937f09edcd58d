//! The rule book: edited, published, rolled back, and what is refused on the way.

use axum::http::StatusCode;
use kopilka_crdt::ids::ProgrammeId;
use kopilka_hub::app::action::Actor;
use kopilka_hub::app::rulebook::draft;
use serde_json::{Value, json};

use super::house::House;

const BOOK: &str = "/v1/programmes/p1/rule-book";
const PUBLICATIONS: &str = "/v1/programmes/p1/publications";

fn replace(path: &str, value: impl Into<Value>) -> Value {
    let value = value.into();
    json!({ "patch": [{ "op": "replace", "path": path, "value": value }], "note": "a reason" })
}

#[tokio::test]
async fn a_draft_is_edited_published_and_rolled_back() {
    let (house, owner) = House::furnished().await;
    assert_eq!(
        house.got(&owner, PUBLICATIONS).await["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );

    let edit = replace("/tiers/0/earn_permille", json!(70));
    let (status, draft) = house.call(&owner, "PATCH", BOOK, Some(edit)).await;
    assert_eq!(status, StatusCode::OK, "{draft}");
    assert_eq!(draft["rules"]["tiers"][0]["earn_permille"], 70);
    let in_force = house
        .hub
        .current_rules(ProgrammeId(1))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (in_force.number(), in_force.rules().tiers[0].earn_permille),
        (1, 50)
    );

    let made = house
        .made(&owner, PUBLICATIONS, json!({ "note": "more points" }))
        .await;
    assert_eq!(
        (&made["number"], &made["author"]),
        (&json!(2), &json!("owner"))
    );
    let in_force = house
        .hub
        .current_rules(ProgrammeId(1))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (in_force.number(), in_force.rules().tiers[0].earn_permille),
        (2, 70)
    );
    let signed = house
        .hub
        .publication(ProgrammeId(1), 2)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(signed.verify(&house.hub.public_key()), Ok(()));

    let diff = house.got(&owner, &format!("{PUBLICATIONS}/1/diff/2")).await;
    let expected = json!([{ "op": "replace", "path": "/tiers/0/earn_permille", "value": 70 }]);
    assert_eq!(diff["patch"], expected);

    let back = format!("{PUBLICATIONS}/1/roll-back");
    assert_eq!(
        house
            .made(&owner, &back, json!({ "note": "too dear" }))
            .await["number"],
        3
    );
    assert_eq!(
        house.got(&owner, BOOK).await["rules"]["tiers"][0]["earn_permille"],
        50
    );
    let rules = |number: u32| format!("{PUBLICATIONS}/{number}");
    assert_eq!(
        house.got(&owner, &rules(3)).await,
        house.got(&owner, &rules(1)).await
    );

    let history = house.got(&owner, &format!("{BOOK}/history")).await;
    let told: Vec<_> = history["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| {
            (
                change["author"].as_str().unwrap(),
                change["note"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("owner", "starter rules"),
        ("owner", "a reason"),
        ("owner", "back to publication 1. too dear"),
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn patches_that_do_not_fit_change_nothing() {
    let (house, owner) = House::furnished().await;
    let before = house.got(&owner, BOOK).await;
    let test = json!({ "patch": [
        { "op": "replace", "path": "/currency", "value": "EUR" },
        { "op": "test", "path": "/tiers/0/earn_permille", "value": 51 },
    ], "note": "n" });
    let cases = [
        (
            test,
            (409, "patch_does_not_apply"),
            "/tiers/0/earn_permille",
        ),
        (
            replace("/tears/0", json!(1)),
            (409, "patch_does_not_apply"),
            "/tears/0",
        ),
        (
            replace("/tiers/0/earn_permille", json!("x")),
            (422, "not_a_rule_book"),
            "/tiers/0/earn_permille",
        ),
        (
            replace("/tiers/0/earn_permille", json!(0.5)),
            (422, "not_a_rule_book"),
            "/tiers/0/earn_permille",
        ),
    ];
    for (edit, expected, place) in cases {
        let problem = house
            .refused(&owner, ("PATCH", BOOK), Some(edit), expected)
            .await;
        assert!(
            problem["detail"].as_str().unwrap().contains(place),
            "{problem}"
        );
    }
    assert_eq!(house.got(&owner, BOOK).await, before);
}

#[tokio::test]
async fn a_contradictory_draft_is_kept_and_not_published() {
    let (house, owner) = House::furnished().await;
    let edit = replace("/tiers/1/from_minor", json!(0));
    let (status, draft) = house.call(&owner, "PATCH", BOOK, Some(edit)).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(draft["problems"][0]["path"], "/tiers/1/from_minor");
    let note = Some(json!({ "note": "n" }));
    let publish = ("POST", PUBLICATIONS);
    let problem = house
        .refused(&owner, publish, note, (422, "rule_book_invalid"))
        .await;
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("/tiers/1/from_minor")
    );
    let (status, _) = house
        .call(&owner, "GET", &format!("{PUBLICATIONS}/2"), None)
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn edits_at_once_all_arrive() {
    let (house, _) = House::furnished().await;
    let hub = &house.hub;
    let edit = async |tier: usize| {
        let patch = json!([
            { "op": "replace", "path": format!("/tiers/{tier}/earn_permille"), "value": 200 + tier },
        ]);
        let patch = serde_json::from_value(patch).unwrap();
        let actor = Actor::staff(&format!("marketer{tier}"));
        draft::edit(hub, &actor, ProgrammeId(1), None, &patch, "at once")
            .await
            .unwrap();
    };
    tokio::join!(edit(0), edit(1), edit(2));
    let draft = draft::show(hub, ProgrammeId(1)).await.unwrap();
    let rates: Vec<_> = draft.value["tiers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tier| tier["earn_permille"].as_i64().unwrap())
        .collect();
    assert_eq!(rates, [200, 201, 202]);
}

#[tokio::test]
async fn promotions_are_published_when_tills_can_run_them() {
    let (house, owner) = House::furnished().await;
    let promotion = |when: Value, permille: u32| {
        json!({ "name": { "ru": "Акция", "en": "Promotion" }, "stage": "receipt", "when": when,
            "effects": [{ "kind": "discount", "off": { "by": "percent", "permille": permille } }] })
    };
    let tuesdays = json!({ "kind": "weekdays", "of": ["tuesday"] });
    let edit = |value: Value| json!({ "patch": [{ "op": "add", "path": "/promotions/7", "value": value }], "note": "a reason" });
    let publish = json!({ "note": "tuesdays" });
    for (value, place) in [
        (
            promotion(tuesdays.clone(), 1_001),
            "/promotions/7/effects/0/off",
        ),
        (
            promotion(json!({ "kind": "tiers", "of": ["none"] }), 100),
            "/promotions/7/when/of",
        ),
        (
            promotion(json!({ "kind": "tags", "of": ["vip"] }), 100),
            "/promotions/7/when/of",
        ),
    ] {
        let (status, draft) = house.call(&owner, "PATCH", BOOK, Some(edit(value))).await;
        assert_eq!(status, StatusCode::OK, "{draft}");
        assert_eq!(draft["problems"][0]["path"], place, "{draft}");
        let (status, _) = house
            .call(&owner, "POST", PUBLICATIONS, Some(publish.clone()))
            .await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    let (_, draft) = house
        .call(&owner, "PATCH", BOOK, Some(edit(promotion(tuesdays, 100))))
        .await;
    assert_eq!(draft["problems"], json!([]), "{draft}");
    let made = house.made(&owner, PUBLICATIONS, publish).await;
    assert_eq!(made["number"], 2);
}
