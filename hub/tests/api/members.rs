//! Members: found, adjusted once, given cards, blocked; and what the audit keeps of it.

use axum::http::StatusCode;
use kopilka_crdt::ids::ProgrammeId;
use kopilka_hub::app::staff::Role;
use kopilka_protocol::signed::SignedBlockOrder;
use serde_json::{Value, json};

use super::house::{CARDS, House};
use super::import::{SAMPLE, take_in};

const BLOCKS: &str = "/v1/programmes/p1/blocks";

/// A house with the sample's members, an owner's token, and the path of the member with the first card.
async fn with_members() -> (House, String, String) {
    let (house, owner) = House::furnished().await;
    take_in(&house, SAMPLE).await;
    let member = find(&house, &owner, "card", CARDS[0]).await;
    let path = format!(
        "/v1/programmes/p1/members/{}",
        member["id"].as_str().unwrap()
    );
    (house, owner, path)
}

async fn find(house: &House, token: &str, kind: &str, value: &str) -> Value {
    let body = json!({ "kind": kind, "value": value });
    let path = "/v1/programmes/p1/members/find";
    let (status, found) = house.call(token, "POST", path, Some(body)).await;
    assert_eq!(status, StatusCode::OK, "{found}");
    found
}

fn adjustment(amount_minor: i64) -> Option<Value> {
    let reason = "goodwill";
    let body =
        json!({ "account": "a1", "amount_minor": amount_minor, "partner": "r1", "reason": reason });
    Some(body)
}

#[tokio::test]
async fn members_are_found_by_what_they_show_and_masked() {
    let (house, owner, path) = with_members().await;
    let seen = house.got(&owner, &path).await;
    assert_eq!(
        find(&house, &owner, "phone", "8 (916) 000-00-01").await,
        seen
    );
    assert_eq!(
        (&seen["name"], &seen["tier"]),
        (&json!("Анна С."), &json!("gold"))
    );
    assert_eq!(seen["accounts"][0]["spendable_minor"], 12_050);
    assert!(!seen.to_string().contains("Смирнова") && !seen.to_string().contains("9160000001"));
    let profile = house.got(&owner, &format!("{path}/profile")).await;
    assert_eq!(profile["fields"]["family_name"], "Смирнова");
    assert_eq!(profile["fields"]["phone"], "+79160000001");
    let wrong = Some(json!({ "kind": "card", "value": "7700000000000017" }));
    let finding = ("POST", "/v1/programmes/p1/members/find");
    house
        .refused(&owner, finding, wrong, (422, "invalid_value"))
        .await;
    let unknown = Some(json!({ "kind": "phone", "value": "+79169999999" }));
    let problem = house
        .refused(&owner, finding, unknown, (404, "not_found"))
        .await;
    assert!(!problem.to_string().contains("9999"));
}

#[tokio::test]
async fn an_adjustment_counts_once() {
    let (house, owner, path) = with_members().await;
    let adjustments = format!("{path}/adjustments");
    let adjust = async |amount: i64, key: &str| {
        house
            .call_with_key(&owner, "POST", &adjustments, adjustment(amount), Some(key))
            .await
    };
    let (status, first) = adjust(500, "k1").await;
    assert_eq!(
        (status, &first["repeated"]),
        (StatusCode::CREATED, &json!(false)),
        "{first}"
    );
    let (status, again) = adjust(500, "k1").await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(
        (&again["operation"], &again["repeated"]),
        (&first["operation"], &json!(true))
    );
    let (status, other) = adjust(501, "k1").await;
    assert_eq!(
        (status.as_u16(), &other["code"]),
        (409, &json!("idempotency_key_reused"))
    );
    let (status, _) = adjust(-2_550, "k2").await;
    assert_eq!(status, StatusCode::CREATED);
    let (status, short) = adjust(-1_000_000, "k3").await;
    assert_eq!(
        (status.as_u16(), &short["code"]),
        (409, &json!("points_short"))
    );
    let (status, missing) = house
        .call(&owner, "POST", &adjustments, adjustment(1))
        .await;
    assert_eq!(
        (status.as_u16(), &missing["code"]),
        (400, &json!("idempotency_key_missing"))
    );

    let seen = house.got(&owner, &path).await;
    assert_eq!(seen["accounts"][0]["spendable_minor"], 10_000);
    let operations = format!("{path}/operations?limit=3");
    let page = house.got(&owner, &operations).await;
    let moved: Vec<_> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            (
                item["credited_minor"].as_i64().unwrap(),
                item["taken_minor"].as_i64().unwrap(),
            )
        })
        .collect();
    assert_eq!(moved, [(0, 2_550), (500, 0), (12_050, 0)]);
    let next = page["next"].as_str().unwrap();
    let rest = house
        .got(&owner, &format!("{operations}&before={next}"))
        .await;
    assert_eq!(rest["items"][0]["kind"], "enrol");
    assert_eq!(rest["next"], Value::Null);
}

#[tokio::test]
async fn a_card_is_blocked_once_and_released() {
    let (house, owner, path) = with_members().await;
    let order = async |blocked: bool, key: &str| {
        let body = json!({ "number": CARDS[0], "blocked": blocked, "reason": "lost" });
        house
            .call_with_key(&owner, "POST", BLOCKS, Some(body), Some(key))
            .await
    };
    let (status, first) = order(true, "k1").await;
    assert_eq!(
        (status, &first["number"]),
        (StatusCode::CREATED, &json!(1)),
        "{first}"
    );
    let (_, again) = order(true, "k1").await;
    assert_eq!(
        (&again["number"], &again["repeated"]),
        (&json!(1), &json!(true))
    );
    assert_eq!(house.got(&owner, &path).await["cards"][0]["blocked"], true);
    let stored = house
        .hub
        .store
        .blocks_after(ProgrammeId(1), 0, 9)
        .await
        .unwrap();
    let signed: SignedBlockOrder = postcard::from_bytes(&stored[0].signed).unwrap();
    assert_eq!(signed.verify(&house.hub.public_key()), Ok(()));
    assert_eq!(stored.len(), 1);

    let (_, released) = order(false, "k2").await;
    assert_eq!(released["number"], 2);
    assert_eq!(house.got(&owner, &path).await["cards"][0]["blocked"], false);
    let delivery = house.got(&owner, &format!("{BLOCKS}/2/delivery")).await;
    assert_eq!(delivery, json!({ "items": [] }));
    let later = ("GET", "/v1/programmes/p1/blocks/3/delivery");
    house.refused(&owner, later, None, (404, "not_found")).await;
}

#[tokio::test]
async fn a_blocked_card_stays_blocked_for_its_new_owner() {
    let (house, owner, path) = with_members().await;
    let number = "7700000000000040";
    let block = json!({ "number": number, "blocked": true, "reason": "stolen blank" });
    let (status, ordered) = house
        .call_with_key(&owner, "POST", BLOCKS, Some(block), Some("k"))
        .await;
    assert_eq!(
        (status, &ordered["member"]),
        (StatusCode::CREATED, &Value::Null),
        "{ordered}"
    );
    let cards = format!("{path}/cards");
    let bind = |number: &str| Some(json!({ "kind": "card", "value": number }));
    for _ in 0..2 {
        let (status, answer) = house.call(&owner, "POST", &cards, bind(number)).await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{answer}");
    }
    let seen = find(&house, &owner, "card", number).await;
    let held = seen["cards"].as_array().unwrap();
    assert_eq!(held.len(), 2);
    assert!(
        held.iter()
            .any(|card| card["tail"] == "0040" && card["blocked"] == true)
    );
    house
        .refused(&owner, ("POST", &cards), bind(CARDS[1]), (409, "conflict"))
        .await;

    let by_tail = json!({ "member": seen["id"], "tail": 40, "blocked": false, "reason": "found" });
    let (_, released) = house
        .call_with_key(&owner, "POST", BLOCKS, Some(by_tail), Some("k2"))
        .await;
    assert_eq!(released["number"], 2, "{released}");
    let seen = house.got(&owner, &path).await;
    let cards = seen["cards"].as_array().unwrap();
    assert!(cards.iter().all(|card| card["blocked"] == false), "{seen}");
}

#[tokio::test]
async fn personal_data_are_erased_by_those_who_may() {
    let (house, owner, path) = with_members().await;
    let support = house.sign_in(Role::Support).await;
    let profile = format!("{path}/profile");
    let erase = ("DELETE", profile.as_str());
    house
        .refused(&support, erase, None, (403, "role_refused"))
        .await;
    let before = house.got(&owner, &path).await;
    assert_eq!(before["erased"], false);
    for _ in 0..2 {
        let (status, _) = house.call(&owner, "DELETE", &profile, None).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
    }
    let opening = ("GET", profile.as_str());
    house
        .refused(&owner, opening, None, (410, "personal_data_erased"))
        .await;
    let mut after = house.got(&owner, &path).await;
    assert_eq!(
        (&after["erased"], &after["name"], &after["phone"]),
        (&json!(true), &json!(""), &json!(""))
    );
    for field in ["erased", "name", "phone"] {
        after[field] = before[field].clone();
    }
    assert_eq!(after, before, "cards, points and gifts stay");
    let finding = ("POST", "/v1/programmes/p1/members/find");
    let phone = Some(json!({ "kind": "phone", "value": "+79160000001" }));
    house
        .refused(&owner, finding, phone, (404, "not_found"))
        .await;
    let nobody = "/v1/programmes/p1/members/m0000000000000/profile";
    house
        .refused(&owner, ("DELETE", nobody), None, (404, "not_found"))
        .await;
}

#[tokio::test]
async fn the_audit_has_every_action_and_no_personal_data() {
    let (house, owner, path) = with_members().await;
    let support = house.sign_in(Role::Support).await;
    house.got(&support, &format!("{path}/profile")).await;
    let block = json!({ "number": CARDS[0], "blocked": true, "reason": "lost" });
    house
        .call_with_key(&support, "POST", BLOCKS, Some(block), Some("k"))
        .await;

    let page = house.got(&owner, "/v1/audit?limit=200").await;
    let actions: Vec<_> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|row| {
            (
                row["actor"].as_str().unwrap(),
                row["action"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("command line", "staff.add"),
        ("owner", "session.begin"),
        ("owner", "programme.create"),
        ("owner", "partner.create"),
        ("owner", "store.create"),
        ("command line", "member.import"),
        ("command line", "staff.add"),
        ("support", "session.begin"),
        ("support", "member.open_profile"),
        ("support", "card.block"),
    ];
    assert_eq!(actions, expected);
    let all = page.to_string();
    for personal in ["Смирнова", "Анна", "9160000001", "example.org", CARDS[0]] {
        assert!(!all.contains(personal), "{personal}");
    }
    let first = house.got(&owner, "/v1/audit?limit=4").await;
    let next = first["next"].as_str().unwrap();
    let second = house
        .got(&owner, &format!("/v1/audit?limit=200&before={next}"))
        .await;
    assert_eq!(
        second["items"].as_array().unwrap().len(),
        expected.len() - 4
    );
    assert_eq!(
        house.got(&owner, "/v1/programmes/p1/cases").await["items"],
        json!([])
    );
}
