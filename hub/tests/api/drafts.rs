//! The draft edited by several people: what merges, what is told of, what is refused; versions, differences and ways back.

use axum::http::StatusCode;
use kopilka_hub::app::staff::Role;
use serde_json::{Value, json};

use super::house::House;

const BOOK: &str = "/v1/programmes/p1/rule-book";
const PUBLICATIONS: &str = "/v1/programmes/p1/publications";

/// A house with a second person who may write rules.
async fn shared() -> (House, String, String) {
    let (house, owner) = House::furnished().await;
    let marketer = house.sign_in(Role::Marketer).await;
    (house, owner, marketer)
}

fn edit(base: Option<u32>, operation: &str, path: &str, value: impl Into<Value>) -> Value {
    let value = value.into();
    let patch = json!([{ "op": operation, "path": path, "value": value }]);
    json!({ "base": base, "patch": patch, "note": "a reason" })
}

impl House {
    async fn edited(&self, who: &str, body: Value) -> Value {
        let (status, draft) = self.call(who, "PATCH", BOOK, Some(body)).await;
        assert_eq!(status, StatusCode::OK, "{draft}");
        draft
    }
}

#[tokio::test]
async fn edits_of_one_version_hold_where_they_set_different_places() {
    let (house, owner, marketer) = shared().await;
    let seen = house.got(&owner, BOOK).await;
    assert_eq!(
        (&seen["version"], &seen["conflicts"]),
        (&json!(1), &json!([]))
    );
    let rate = edit(Some(1), "replace", "/tiers/0/earn_permille", json!(70));
    house.edited(&owner, rate).await;
    let share = edit(
        Some(1),
        "replace",
        "/redemption/share_permille_max",
        json!(500),
    );
    let draft = house.edited(&marketer, share).await;
    assert_eq!(
        (&draft["version"], &draft["conflicts"]),
        (&json!(3), &json!([]))
    );
    assert_eq!(draft["rules"]["tiers"][0]["earn_permille"], 70);
    assert_eq!(draft["rules"]["redemption"]["share_permille_max"], 500);
    house
        .made(&owner, PUBLICATIONS, json!({ "note": "both" }))
        .await;
}

#[tokio::test]
async fn a_place_that_two_set_is_shown_with_both_values_until_one_is_chosen() {
    let (house, owner, marketer) = shared().await;
    let path = "/tiers/0/earn_permille";
    house
        .edited(&owner, edit(Some(1), "replace", path, json!(60)))
        .await;
    let draft = house
        .edited(&marketer, edit(Some(1), "replace", path, json!(70)))
        .await;
    let conflict = &draft["conflicts"][0];
    assert_eq!(conflict["path"], path);
    let told: Vec<_> = conflict["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (&one["value"], &one["kept"], &one["version"], &one["author"]))
        .collect();
    let expected = [
        (&json!(60), &json!(false), &json!(2), &json!("owner")),
        (&json!(70), &json!(true), &json!(3), &json!("marketer")),
    ];
    assert_eq!(told, expected);
    assert!(conflict["values"][0]["at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(draft["rules"]["tiers"][0]["earn_permille"], 70);

    let publish = ("POST", PUBLICATIONS);
    let refused = (409, "rule_book_conflicts");
    let note = || Some(json!({ "note": "n" }));
    let problem = house.refused(&owner, publish, note(), refused).await;
    let detail = problem["detail"].as_str().unwrap();
    assert_eq!(
        detail,
        "/tiers/0/earn_permille: 60 (owner) or 70 (marketer, shown)"
    );

    let elsewhere = edit(None, "replace", "/tiers/1/earn_permille", json!(110));
    house.edited(&owner, elsewhere).await;
    house.refused(&owner, publish, note(), refused).await;
    let meant = json!({ "note": "n", "despite_conflicts": true });
    assert_eq!(house.made(&owner, PUBLICATIONS, meant).await["number"], 2);

    let chosen = edit(None, "replace", path, json!(70));
    let draft = house.edited(&owner, chosen).await;
    assert_eq!(draft["conflicts"], json!([]));
    let made = house
        .made(&owner, PUBLICATIONS, json!({ "note": "n" }))
        .await;
    assert_eq!(made["number"], 3);
}

#[tokio::test]
async fn what_would_undo_anothers_edit_silently_is_refused() {
    let (house, owner, marketer) = shared().await;
    let promotion = json!({
        "name": { "ru": "Акция", "en": "Promotion" }, "stage": "receipt",
        "effects": [{ "kind": "discount", "off": { "by": "percent", "permille": 100 } }]
    });
    house
        .edited(&owner, edit(None, "add", "/promotions/7", promotion))
        .await;
    let permille = "/promotions/7/effects/0/off/permille";
    house
        .edited(&owner, edit(Some(2), "replace", permille, json!(200)))
        .await;
    let meanwhile = (409, "rule_book_edited_meanwhile");
    let by_sum = edit(
        Some(2),
        "replace",
        "/promotions/7/effects/0/off",
        json!({ "by": "amount", "minor": 500 }),
    );
    let removal = json!([{ "op": "remove", "path": "/promotions/7" }]);
    let gone = json!({ "base": 2, "patch": removal, "note": "a reason" });
    for body in [gone, by_sum] {
        let problem = house
            .refused(&marketer, ("PATCH", BOOK), Some(body), meanwhile)
            .await;
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("version 2"), "{detail}");
    }
    assert_eq!(house.got(&owner, BOOK).await["version"], 3);
    let beyond = edit(Some(4), "replace", permille, json!(1));
    let unknown = (404, "rule_book_version_unknown");
    house
        .refused(&marketer, ("PATCH", BOOK), Some(beyond), unknown)
        .await;
}

#[tokio::test]
async fn any_two_versions_are_compared_and_any_is_gone_back_to() {
    let (house, owner, _) = shared().await;
    let promotion = json!({
        "name": { "ru": "Вторник", "en": "Tuesday" }, "stage": "receipt",
        "effects": [{ "kind": "discount", "off": { "by": "percent", "permille": 100 } }]
    });
    let add = edit(None, "add", "/promotions/7", promotion.clone());
    house.edited(&owner, add).await;
    house
        .made(&owner, PUBLICATIONS, json!({ "note": "n" }))
        .await;
    let permille = "/promotions/7/effects/0/off/permille";
    house
        .edited(&owner, edit(None, "replace", permille, json!(150)))
        .await;

    let between = |from: &str, to: &str| format!("{BOOK}/diff?from={from}&to={to}");
    let name = json!({ "ru": "Вторник", "en": "Tuesday" });
    let change = json!([{ "path": permille, "name": name, "before": 100, "after": 150 }]);
    for (from, to) in [("2", "draft"), ("v2", "v3"), ("2", "v3"), ("v2", "draft")] {
        let diff = house.got(&owner, &between(from, to)).await;
        assert_eq!(diff["changes"], change, "{from} to {to}");
    }
    let added = house.got(&owner, &between("1", "2")).await;
    assert_eq!(added["changes"][0]["path"], "/promotions/7");
    assert_eq!(added["changes"][0]["name"], name);
    assert_eq!(added["changes"][0].get("before"), None);
    let wrong = house
        .call(&owner, "GET", &between("x", "draft"), None)
        .await;
    assert_eq!(wrong.0, StatusCode::BAD_REQUEST);

    let revert = |to: &str| json!({ "to": to, "note": "too dear" });
    let book = |draft: &Value| draft["rules"]["promotions"].clone();
    let path = format!("{BOOK}/revert");
    let (status, draft) = house.call(&owner, "POST", &path, Some(revert("v2"))).await;
    assert_eq!((status, &draft["version"]), (StatusCode::OK, &json!(4)));
    assert_eq!(book(&draft)["7"]["effects"][0]["off"]["permille"], 100);
    let (_, draft) = house.call(&owner, "POST", &path, Some(revert("1"))).await;
    assert_eq!(book(&draft), json!({}));
    let read = house.got(&owner, &format!("{BOOK}/versions/v3")).await;
    assert_eq!(
        read["promotions"]["7"]["effects"][0]["off"]["permille"],
        150
    );
    let history = house.got(&owner, &format!("{BOOK}/history")).await;
    let last = history["items"].as_array().unwrap().last().unwrap();
    assert_eq!(last["note"], "back to 1. too dear");
    assert_eq!(last["version"], 5);
    let in_force = house.got(&owner, PUBLICATIONS).await;
    assert_eq!(in_force["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn going_back_settles_conflicts() {
    let (house, owner, marketer) = shared().await;
    for (who, permille) in [(&owner, 60), (&marketer, 70)] {
        let path = "/tiers/0/earn_permille";
        let body = edit(Some(1), "replace", path, json!(permille));
        house.edited(who, body).await;
    }
    let path = format!("{BOOK}/revert");
    let body = json!({ "to": "v3", "note": "as shown" });
    let (_, draft) = house.call(&owner, "POST", &path, Some(body)).await;
    assert_eq!(draft["conflicts"], json!([]));
    assert_eq!(draft["rules"]["tiers"][0]["earn_permille"], 70);
}
