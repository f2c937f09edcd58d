//! The kill switch: who may stop a promotion, once, and what is seen of it.

use axum::http::StatusCode;
use kopilka_crdt::ids::ProgrammeId;
use kopilka_hub::app::staff::Role;
use kopilka_protocol::signed::SignedBlockOrder;
use serde_json::{Value, json};

use super::house::House;

const PROMOTIONS: &str = "/v1/programmes/p1/promotions";

/// A house whose rules in force have promotion x3.
async fn with_promotion() -> (House, String) {
    let (house, owner) = House::furnished().await;
    let promotion = json!({
        "name": { "ru": "Скидка", "en": "Discount" },
        "stage": "receipt",
        "effects": [{ "kind": "discount", "off": { "by": "percent", "permille": 100 } }],
    });
    let patch = json!([{ "op": "add", "path": "/promotions/3", "value": promotion }]);
    let edit = json!({ "patch": patch, "note": "x3" });
    let book = "/v1/programmes/p1/rule-book";
    let (status, draft) = house.call(&owner, "PATCH", book, Some(edit)).await;
    assert_eq!(status, StatusCode::OK, "{draft}");
    let publications = "/v1/programmes/p1/publications";
    house
        .made(&owner, publications, json!({ "note": "x3" }))
        .await;
    (house, owner)
}

async fn order(house: &House, token: &str, what: &str, key: &str) -> (StatusCode, Value) {
    let body = json!({ "reason": "wrong price" });
    let path = format!("{PROMOTIONS}/{what}");
    house
        .call_with_key(token, "POST", &path, Some(body), Some(key))
        .await
}

#[tokio::test]
async fn a_promotion_is_stopped_once_and_released() {
    let (house, owner) = with_promotion().await;
    let (status, early) = order(&house, &owner, "x3/release", "k0").await;
    assert_eq!(
        (status, &early["code"]),
        (StatusCode::CONFLICT, &json!("conflict")),
        "{early}"
    );
    let (status, first) = order(&house, &owner, "x3/stop", "k1").await;
    assert_eq!(status, StatusCode::CREATED, "{first}");
    for (field, expected) in [
        ("number", json!(1)),
        ("promotion", json!("x3")),
        ("card", Value::Null),
        ("blocked", json!(true)),
        ("repeated", json!(false)),
    ] {
        assert_eq!(first[field], expected, "{field}");
    }
    let (_, again) = order(&house, &owner, "x3/stop", "k1").await;
    assert_eq!(
        (&again["number"], &again["repeated"]),
        (&json!(1), &json!(true))
    );
    let store = &house.hub.store;
    let stored = store.blocks_after(ProgrammeId(1), 0, 9).await.unwrap();
    assert_eq!(stored.len(), 1);
    let signed: SignedBlockOrder = postcard::from_bytes(&stored[0].signed).unwrap();
    assert_eq!(signed.verify(&house.hub.public_key()), Ok(()));

    let stopped = house.got(&owner, &format!("{PROMOTIONS}/stopped")).await;
    assert_eq!(stopped["items"][0]["promotion"], "x3", "{stopped}");
    assert_eq!(stopped["items"][0]["reason"], "wrong price");
    let delivery = house
        .got(&owner, &format!("{PROMOTIONS}/x3/delivery"))
        .await;
    assert_eq!(delivery, json!({ "items": [] }));

    let (status, released) = order(&house, &owner, "x3/release", "k2").await;
    assert_eq!(
        (status, &released["number"]),
        (StatusCode::CREATED, &json!(2))
    );
    let stopped = house.got(&owner, &format!("{PROMOTIONS}/stopped")).await;
    assert_eq!(stopped, json!({ "items": [] }));

    let audit = house.got(&owner, "/v1/audit?limit=2").await;
    for (place, action) in ["promotion.release", "promotion.stop"].iter().enumerate() {
        let row = &audit["items"][place];
        assert_eq!(
            (&row["action"], &row["subject"]),
            (&json!(action), &json!("p1/x3"))
        );
        assert_eq!(row["details"]["reason"], "wrong price");
    }
}

#[tokio::test]
async fn only_who_may_stops_what_there_is() {
    let (house, owner) = with_promotion().await;
    for (role, expected) in [
        (Role::HeadOffice, StatusCode::CREATED),
        (Role::Marketer, StatusCode::CREATED),
        (Role::Security, StatusCode::CREATED),
        (Role::Support, StatusCode::FORBIDDEN),
        (Role::Auditor, StatusCode::FORBIDDEN),
    ] {
        let token = house.sign_in(role).await;
        let (status, answer) = order(&house, &token, "x3/stop", &format!("{role:?}")).await;
        assert_eq!(status, expected, "{role:?}: {answer}");
    }
    let unknown = |path: &'static str| (path, (404, "not_found"));
    for (path, refusal) in [
        unknown("/v1/programmes/p1/promotions/x4/delivery"),
        unknown("/v1/programmes/p9/promotions/stopped"),
    ] {
        house.refused(&owner, ("GET", path), None, refusal).await;
    }
    let (status, _) = order(&house, &owner, "x4/stop", "k4").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let stop = ("POST", "/v1/programmes/p1/promotions/x3/stop");
    let body = Some(json!({ "reason": "wrong price" }));
    house
        .refused(&owner, stop, body, (400, "idempotency_key_missing"))
        .await;
}
