//! Programmes, stores, tills, cashiers, codes: what is shown once, and what a store's node learns.

use axum::http::StatusCode;
use kopilka_crdt::ids::StoreId;
use kopilka_hub::app::directory::store_directory;
use kopilka_protocol::enrolment::EnrolmentCode;
use serde_json::json;

use super::house::House;

#[tokio::test]
async fn a_tills_token_is_shown_once_and_kept_as_a_hash() {
    let (house, owner) = House::furnished().await;
    let tills = "/v1/stores/s1/tills";
    let made = house
        .made(&owner, tills, json!({ "name": "Касса 1" }))
        .await;
    let token = made["token"].as_str().unwrap();
    assert_eq!(token.len(), 64);
    let listed = house.got(&owner, tills).await;
    assert_eq!(listed["items"][0]["id"], made["id"]);
    assert!(!listed.to_string().contains(token));

    let directory = store_directory(&house.hub, StoreId(1))
        .await
        .unwrap()
        .unwrap();
    let hash = *blake3::hash(token.as_bytes()).as_bytes();
    assert_eq!(directory.tills[0].token_hash, hash);

    let renewed = house
        .made(&owner, "/v1/stores/s1/tills/t1/token", json!({}))
        .await;
    assert_ne!(renewed["token"], made["token"]);
    let later = store_directory(&house.hub, StoreId(1))
        .await
        .unwrap()
        .unwrap();
    assert_ne!(later.tills[0].token_hash, hash);
    assert!(later.version > directory.version);
}

#[tokio::test]
async fn every_change_of_a_store_raises_its_directory() {
    let (house, owner) = House::furnished().await;
    let version = async || {
        store_directory(&house.hub, StoreId(1))
            .await
            .unwrap()
            .unwrap()
            .version
    };
    let mut before = version().await;
    let changes = [
        (
            "PATCH",
            "/v1/stores/s1",
            json!({ "name": "Paris", "groups": ["city"] }),
        ),
        ("POST", "/v1/stores/s1/tills", json!({ "name": "1" })),
        (
            "PATCH",
            "/v1/stores/s1/tills/t1",
            json!({ "enabled": false }),
        ),
        (
            "POST",
            "/v1/stores/s1/cashiers",
            json!({ "name": "Ольга", "id": "c17" }),
        ),
        (
            "PATCH",
            "/v1/stores/s1/cashiers/c17",
            json!({ "enabled": false }),
        ),
    ];
    for (method, path, body) in changes {
        let (status, answer) = house.call(&owner, method, path, Some(body)).await;
        assert!(status.is_success(), "{method} {path}: {answer}");
        let after = version().await;
        assert!(after > before, "{method} {path}");
        before = after;
    }
    let directory = store_directory(&house.hub, StoreId(1))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (directory.store_name.as_str(), directory.groups.len()),
        ("Paris", 1)
    );
    assert!(!directory.tills[0].enabled && !directory.cashiers[0].enabled);
    assert!(
        store_directory(&house.hub, StoreId(9))
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_a_reason() {
    let (house, owner) = House::furnished().await;
    let stores = ("POST", "/v1/programmes/p1/stores");
    let store = |partner: &str, zone: &str| {
        Some(json!({ "partner": partner, "name": "B", "time_zone": zone }))
    };
    house
        .refused(
            &owner,
            stores,
            store("r9", "Europe/London"),
            (404, "not_found"),
        )
        .await;
    house
        .refused(
            &owner,
            stores,
            store("r1", "Mars/Olympus"),
            (422, "invalid_value"),
        )
        .await;
    house
        .refused(
            &owner,
            stores,
            store("x1", "Europe/London"),
            (422, "invalid_body"),
        )
        .await;
    let nameless = Some(json!({ "name": " " }));
    house
        .refused(
            &owner,
            ("POST", "/v1/stores/s1/tills"),
            nameless,
            (422, "invalid_value"),
        )
        .await;
    let lost = ("GET", "/v1/stores/s7/tills");
    house.refused(&owner, lost, None, (404, "not_found")).await;
    let cashier = json!({ "name": "Anna", "id": "c5" });
    house
        .made(&owner, "/v1/stores/s1/cashiers", cashier.clone())
        .await;
    let again = ("POST", "/v1/stores/s1/cashiers");
    house
        .refused(&owner, again, Some(cashier), (409, "conflict"))
        .await;
}

#[tokio::test]
async fn a_code_names_the_hub_and_its_key() {
    let (house, owner) = House::furnished().await;
    let issued = house
        .made(&owner, "/v1/stores/s1/node-codes", json!({}))
        .await;
    let code: EnrolmentCode = issued["code"].as_str().unwrap().parse().unwrap();
    assert_eq!(code.hub_address, "hub.example:7443");
    assert_eq!(code.fingerprint, house.hub.public_key().fingerprint());
    let too_long = Some(json!({ "life_hours": 100_000 }));
    let codes = ("POST", "/v1/stores/s1/node-codes");
    house
        .refused(&owner, codes, too_long, (422, "invalid_value"))
        .await;
    assert_eq!(
        house.got(&owner, "/v1/programmes/p1/nodes").await,
        json!({ "items": [] })
    );
    let revoke = Some(json!({ "reason": "stolen" }));
    house
        .refused(
            &owner,
            ("POST", "/v1/nodes/n1/revoke"),
            revoke,
            (404, "not_found"),
        )
        .await;
}

#[tokio::test]
async fn the_process_tells_how_it_is() {
    let house = House::new().await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(
            house.call("", "GET", path, None).await.0,
            StatusCode::NO_CONTENT,
            "{path}"
        );
    }
    assert!(house.got("", "/openapi.json").await["paths"]["/v1/audit"]["get"].is_object());
}
