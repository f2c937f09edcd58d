//! Coupons, gift cards and tags over HTTP: who may, what comes back, and what a second request gets.

use axum::http::StatusCode;
use kopilka_hub::app::staff::Role;
use serde_json::{Value, json};

use super::house::{CARDS, House};
use super::import::take_in;

const GIFT_CARDS: &str = "/v1/programmes/p1/gift-cards";
const COUPONS: &str = "/v1/programmes/p1/coupons";
const PARENTS: &str = "/v1/programmes/p1/tags/parents/members";

/// A house whose published rule book has a series of coupons, gift cards and a tag; with three members.
async fn furnished() -> (House, String) {
    let (house, owner) = House::furnished().await;
    let account = |code: &str| {
        json!({
            "code": code, "name": { "ru": code, "en": code },
            "active_after_days": 0, "expires_after_days": 30,
        })
    };
    let series = json!({
        "name": { "ru": "Купон", "en": "Coupon" }, "account": 2, "per_member_max": 1, "transferable": true,
    });
    let cards = json!({ "account": 3, "load_min_minor": 10_000, "balance_max_minor": 500_000 });
    let tag = json!({ "ru": "Родители", "en": "Parents" });
    let add = |path: &str, value: Value| json!({ "op": "add", "path": path, "value": value });
    let patch = [
        add("/accounts/2", account("coupons")),
        add("/accounts/3", account("gift_cards")),
        add("/coupons", json!({ "next": series })),
        add("/gift_cards", cards),
        add("/tags", json!({ "parents": tag })),
    ];
    let edit = json!({ "patch": patch, "note": "coupons" });
    let book = "/v1/programmes/p1/rule-book";
    let (status, draft) = house.call(&owner, "PATCH", book, Some(edit)).await;
    assert_eq!(status, StatusCode::OK, "{draft}");
    let note = json!({ "note": "coupons" });
    house
        .made(&owner, "/v1/programmes/p1/publications", note)
        .await;
    let file = format!(
        "card_number,given_name,birth_date,tags\n{},Анна,1985-03-17,parents\n{},Boris,,\n{},Vera,,\"parents,strangers\"\n",
        CARDS[0], CARDS[1], CARDS[2]
    );
    let (tally, faults) = take_in(&house, &file).await;
    assert_eq!((tally.imported, faults), (2, vec![(4, "tags")]));
    (house, owner)
}

async fn find(house: &House, token: &str, number: &str) -> Value {
    let body = json!({ "kind": "card", "value": number });
    let path = "/v1/programmes/p1/members/find";
    let (status, found) = house.call(token, "POST", path, Some(body)).await;
    assert_eq!(status, StatusCode::OK, "{found}");
    found
}

fn path_of(member: &Value, rest: &str) -> String {
    format!(
        "/v1/programmes/p1/members/{}/{rest}",
        member["id"].as_str().unwrap()
    )
}

#[tokio::test]
async fn a_gift_card_is_found_by_its_number() {
    let (house, owner) = furnished().await;
    let body = json!({ "partner": "r1", "count": 2, "value_minor": 100_000, "prefix": "96" });
    let post = async |key, body: &Value| {
        let body = Some(body.clone());
        house
            .call_with_key(&owner, "POST", GIFT_CARDS, body, key)
            .await
    };
    let (status, made) = post(Some("one"), &body).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let numbers = made["numbers"].as_array().unwrap();
    assert_eq!(numbers.len(), 2);
    let number = numbers[0].as_str().unwrap();
    assert!(number.starts_with("96"), "{number}");
    let card = find(&house, &owner, number).await;
    assert_eq!(
        (&card["kind"], &card["tags"]),
        (&json!("gift_card"), &json!([]))
    );
    let on_it = &card["gift_card"];
    assert_eq!(
        (&on_it["state"], &on_it["balance_minor"]),
        (&json!("active"), &json!(100_000))
    );
    assert!(on_it["expires_on"].is_string(), "{on_it}");
    let (status, again) = post(Some("one"), &body).await;
    assert_eq!(
        (status, &again["code"]),
        (StatusCode::CONFLICT, &json!("conflict"))
    );
    for (field, value) in [("count", 0), ("count", 1_001), ("value_minor", 9_999)] {
        let mut wrong = body.clone();
        wrong[field] = json!(value);
        let (status, problem) = post(Some("two"), &wrong).await;
        assert_eq!(
            status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{field}: {problem}"
        );
    }
    let (status, problem) = post(None, &body).await;
    assert_eq!(
        (status.as_u16(), &problem["code"]),
        (400, &json!("idempotency_key_missing"))
    );
}

#[tokio::test]
async fn roles_bound_who_hands_out_what() {
    let (house, _) = furnished().await;
    let support = house.sign_in(Role::Support).await;
    let marketer = house.sign_in(Role::Marketer).await;
    let auditor = house.sign_in(Role::Auditor).await;
    let tag = json!({ "on": true, "members": [] });
    for (token, path) in [
        (&support, COUPONS),
        (&support, GIFT_CARDS),
        (&marketer, GIFT_CARDS),
    ] {
        let body = Some(json!({}));
        house
            .refused(token, ("POST", path), body, (403, "role_refused"))
            .await;
    }
    let (status, _) = house
        .call(&marketer, "POST", PARENTS, Some(tag.clone()))
        .await;
    assert_eq!(status, StatusCode::OK);
    house
        .refused(
            &auditor,
            ("POST", PARENTS),
            Some(tag),
            (403, "role_refused"),
        )
        .await;
}

#[tokio::test]
async fn coupons_come_to_members_and_go_on() {
    let (house, owner) = furnished().await;
    let [anna, boris] = [
        find(&house, &owner, CARDS[0]).await,
        find(&house, &owner, CARDS[1]).await,
    ];
    let give = json!({ "series": "next", "partner": "r1" });
    let path = path_of(&anna, "coupons");
    let post = async |path: &str, body: &Value, key| {
        let body = Some(body.clone());
        house
            .call_with_key(&owner, "POST", path, body, Some(key))
            .await
    };
    let (status, given) = post(&path, &give, "one").await;
    assert_eq!(status, StatusCode::CREATED, "{given}");
    assert!(given["operation"].is_string(), "{given}");
    let (status, again) = post(&path, &give, "one").await;
    assert_eq!(
        (status, &again["operation"]),
        (StatusCode::CREATED, &Value::Null)
    );
    let (status, full) = post(&path, &give, "two").await;
    assert_eq!(
        (status, &full["code"]),
        (StatusCode::CONFLICT, &json!("conflict"))
    );

    let seen = find(&house, &owner, CARDS[0]).await;
    let coupon = &seen["coupons"][0];
    assert_eq!(
        (&coupon["series"], &coupon["units"]),
        (&json!("next"), &json!(1))
    );
    let transfer = json!({ "series": "next", "to": boris["id"] });
    let (status, made) = post(&path_of(&anna, "coupon-transfers"), &transfer, "three").await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(find(&house, &owner, CARDS[0]).await["coupons"], json!([]));
    assert_eq!(&find(&house, &owner, CARDS[1]).await["coupons"][0], coupon);

    let many = json!({ "partner": "r1", "members": [CARDS[0], anna["id"], CARDS[1], "nobody"] });
    let to_all = format!("{COUPONS}/next/members");
    let (status, count) = post(&to_all, &many, "four").await;
    assert_eq!(status, StatusCode::OK, "{count}");
    let lines = [&count["faults"][0]["line"], &count["faults"][1]["line"]];
    assert_eq!(
        (&count["changed"], &count["unchanged"], lines),
        (&json!(1), &json!(1), [&json!(4), &json!(3)])
    );
}

#[tokio::test]
async fn tags_are_listed_put_on_and_taken_off() {
    let (house, owner) = furnished().await;
    let listed = house.got(&owner, "/v1/programmes/p1/tags").await;
    assert_eq!(listed["items"][0]["code"], "parents");
    let [anna, boris] = [
        find(&house, &owner, CARDS[0]).await,
        find(&house, &owner, CARDS[1]).await,
    ];
    assert_eq!(
        (&anna["tags"], &boris["tags"]),
        (&json!(["parents"]), &json!([]))
    );
    let put = json!({ "on": true, "members": [CARDS[1], boris["id"], CARDS[0]] });
    let (_, count) = house.call(&owner, "POST", PARENTS, Some(put)).await;
    assert_eq!(
        (&count["changed"], &count["unchanged"]),
        (&json!(1), &json!(2)),
        "{count}"
    );
    let mut found = Vec::new();
    let mut query = "limit=1".to_owned();
    loop {
        let page = house.got(&owner, &format!("{PARENTS}?{query}")).await;
        found.extend(page["items"].as_array().unwrap().iter().cloned());
        let Some(next) = page["next"].as_str() else {
            break;
        };
        query = format!("limit=1&after={next}");
    }
    found.sort_by_key(Value::to_string);
    let mut both = vec![anna["id"].clone(), boris["id"].clone()];
    both.sort_by_key(Value::to_string);
    assert_eq!(found, both);
    let off = json!({ "on": false, "members": [CARDS[0]] });
    house.call(&owner, "POST", PARENTS, Some(off)).await;
    assert_eq!(
        house.got(&owner, PARENTS).await["items"],
        json!([boris["id"]])
    );
    let strangers = "/v1/programmes/p1/tags/strangers/members";
    let put = Some(json!({ "on": true, "members": [CARDS[0]] }));
    house
        .refused(&owner, ("POST", strangers), put, (422, "invalid_value"))
        .await;
}
