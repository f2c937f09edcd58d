//! Members: joining, being found, cards, blocks, gifts, consents, write-offs.

use kopilka_crdt::ids::MemberId;
use kopilka_crdt::money::Minor;
use kopilka_crdt::rulebook::model::ReferralRules;
use kopilka_node::app::{AppError, News};
use serde_json::{Value, json};

use crate::common::{Node, order, publication, rule_book, sale, spendable};

const CARD: &str = "79927398713";
const OTHER_CARD: &str = "4111111111111111";

async fn identify(node: &Node, kind: &str, value: &str) -> (u16, Value) {
    let body = json!({ "kind": kind, "value": value });
    node.call("POST", "/v1/identify", "-", body).await
}

#[tokio::test]
async fn a_new_member_is_found_by_card_and_phone() {
    let node = Node::start().await;
    let questionnaire = json!({ "given_name": "Анна", "family_name": "Петрова", "phone": "8 916 123-45-67", "birth_date": "1990-05-17" });
    let body = json!({ "cashier": "c7", "card_number": CARD, "questionnaire": questionnaire, "consents": [] });
    let (status, refused) = node.call("POST", "/v1/members", "1", body).await;
    assert_eq!((status, &refused["code"]), (422, &"consent_missing".into()));
    let body = json!({ "cashier": "c7", "card_number": CARD, "questionnaire": questionnaire, "consents": ["personal_data", "sms"] });
    let (status, enrolled) = node.call("POST", "/v1/members", "1", body.clone()).await;
    assert_eq!(status, 201, "{enrolled}");
    let member = &enrolled["member_id"];

    let (_, by_card) = identify(&node, "card", CARD).await;
    let (_, by_phone) = identify(&node, "phone", "+7 (916) 123-45-67").await;
    assert_eq!(&by_card["member"]["member_id"], member);
    assert_eq!(by_card["member"], by_phone["member"]);
    assert!(by_card["card"].is_string() && by_phone["card"].is_null());
    assert_eq!(by_card["member"]["name"], "Анна П.");
    assert_eq!(by_card["member"]["phone"], "+7 *** ***-45-67");
    assert_eq!(
        by_card["member"]["consents"],
        json!({ "personal_data": true, "sms": true })
    );
    assert_eq!(identify(&node, "card", OTHER_CARD).await.0, 404);
    assert_eq!(identify(&node, "card", "79927398710").await.0, 422);
    let (status, taken) = node.call("POST", "/v1/members", "2", body).await;
    assert_eq!((status, &taken["code"]), (409, &"identifier_taken".into()));
}

#[tokio::test]
async fn a_blocked_card_is_refused_until_it_is_released() {
    let node = Node::start().await;
    let member = node.enrol(CARD).await;
    let (_, shown) = identify(&node, "card", CARD).await;
    let mut purchase = sale(&member, 1, 10_000);
    purchase["card"] = shown["card"].clone();
    node.hear(News::Blocks(vec![order(2, CARD, true)])).await;
    let mut forged = order(3, CARD, false);
    forged.order.number = 4;
    let heard = node.app.hear(News::Blocks(vec![forged])).await;
    assert!(matches!(heard, Err(AppError::Signature(_))));
    node.hear(News::Blocks(vec![order(1, CARD, false)])).await;

    let node = node.restart();
    let quote = json!({ "member_id": member, "lines": purchase["lines"] });
    for (status, refused) in [
        identify(&node, "card", CARD).await,
        node.call("POST", "/v1/purchases", "1", purchase.clone())
            .await,
        node.call("POST", "/v1/quotes", "-", quote).await,
    ] {
        assert_eq!((status, &refused["code"]), (409, &"card_blocked".into()));
        assert!(refused["detail"].as_str().unwrap().contains("lost"));
    }
    node.hear(News::Blocks(vec![order(3, CARD, false)])).await;
    let (status, sold) = node.call("POST", "/v1/purchases", "1", purchase).await;
    assert_eq!(status, 201, "{sold}");
}

#[tokio::test]
async fn cards_are_bound_replaced_activated_and_closed() {
    let node = Node::start().await;
    let member = node.enrol(CARD).await;
    let (_, shown) = identify(&node, "card", CARD).await;
    let cards = format!("/v1/members/{member}/cards");
    let body = json!({ "cashier": "c7", "identifier": { "kind": "card", "value": OTHER_CARD }, "kind": "pensioner", "inactive": true, "replaces": shown["card"] });
    let (status, bound) = node.call("POST", &cards, "1", body).await;
    assert_eq!(status, 200, "{bound}");
    let (_, view) = node.get(&format!("/v1/members/{member}")).await;
    let state_of = |tail: &str| {
        let cards = view["cards"].as_array().unwrap();
        let card = cards.iter().find(|card| card["tail"] == tail).unwrap();
        (card["kind"].clone(), card["state"].clone())
    };
    assert_eq!(state_of("8713"), ("standard".into(), "replaced".into()));
    assert_eq!(state_of("1111"), ("pensioner".into(), "issued".into()));

    let body = json!({ "cashier": "c7", "number": OTHER_CARD });
    let verb = async |verb: &str, key: &str| {
        node.call("POST", &format!("/v1/cards/{verb}"), key, body.clone())
            .await
    };
    assert_eq!(verb("activate", "2").await.0, 200);
    let (status, again) = verb("activate", "3").await;
    assert_eq!((status, &again["operation_id"]), (200, &Value::Null));
    assert_eq!(verb("close", "4").await.0, 200);
    let (status, refused) = verb("activate", "5").await;
    assert_eq!((status, &refused["code"]), (409, &"card_not_active".into()));
}

#[tokio::test]
async fn gifts_consents_profile_and_write_offs_are_recorded() {
    let node = Node::start().await;
    let member = node.enrol(CARD).await;
    let path = |tail: &str| format!("/v1/members/{member}/{tail}");
    let gift = |count: i32| json!({ "cashier": "c7", "code": "mug", "count": count });
    assert_eq!(node.call("POST", &path("gifts"), "1", gift(2)).await.0, 200);
    let (status, short) = node.call("POST", &path("gifts"), "2", gift(-3)).await;
    assert_eq!((status, &short["code"]), (409, &"gifts_short".into()));
    assert_eq!(
        node.call("POST", &path("gifts"), "3", gift(-1)).await.0,
        200
    );

    let profile = json!({ "cashier": "c7", "questionnaire": { "given_name": "Олег" } });
    let (status, refused) = node
        .call("PATCH", &path("profile"), "4", profile.clone())
        .await;
    assert_eq!((status, &refused["code"]), (422, &"consent_missing".into()));
    let given = json!({ "cashier": "c7", "given": true });
    let consent = path("consents/personal_data");
    assert_eq!(node.call("PUT", &consent, "5", given).await.0, 200);
    assert_eq!(
        node.call("PATCH", &path("profile"), "6", profile).await.0,
        200
    );

    let write_off = |amount: i64| json!({ "cashier": "c7", "amount": amount, "reason": "приз" });
    let (status, body) = node
        .call("POST", &path("write-offs"), "7", write_off(5_000))
        .await;
    assert_eq!(status, 200, "{body}");
    let (status, body) = node
        .call("POST", &path("write-offs"), "8", write_off(20_001))
        .await;
    assert_eq!((status, &body["code"]), (409, &"balance_short".into()));
    let (_, view) = node.get(path("").trim_end_matches('/')).await;
    assert_eq!(view["gifts"], json!({ "mug": 1 }));
    assert_eq!(view["name"], "Олег");
    assert_eq!(view["balances"][0]["spendable"], 20_000);
    let (_, message) = node.get(&path("message")).await;
    assert_eq!(message["ru"], "Начислено баллов: 0. Баланс: 200.");
}

#[tokio::test]
async fn who_brings_a_friend_gets_points_and_so_does_the_friend() {
    let node = Node::start().await;
    let mut rules = rule_book();
    rules.referral = Some(ReferralRules {
        account: crate::common::POINTS,
        referrer_minor: Minor(20_000),
        friend_minor: Minor(15_000),
    });
    node.publish(publication(2, &rules)).await;
    let referrer = node.enrol(CARD).await;
    let join = async |key: &str, more: Value| {
        let body = crate::common::with(json!({ "cashier": "c7" }), more);
        node.call("POST", "/v1/members", key, body).await
    };
    let by = |number: &str| json!({ "kind": "card", "value": number });
    for (card, friend, status, code) in [
        (OTHER_CARD, "5500005555555559", 404, "referrer_unknown"),
        (OTHER_CARD, OTHER_CARD, 422, "referrer_is_member"),
    ] {
        let refused = join(
            "1",
            json!({ "card_number": card, "referred_by": by(friend) }),
        )
        .await;
        assert_eq!((refused.0, &refused.1["code"]), (status, &code.into()));
    }
    let joined = json!({ "card_number": OTHER_CARD, "referred_by": by(CARD) });
    let (status, friend) = join("2", joined.clone()).await;
    assert_eq!(
        (status, spendable(&friend)),
        (201, 25_000 + 15_000),
        "{friend}"
    );
    assert_eq!(join("2", joined).await, (201, friend.clone()), "a retry");
    assert_eq!(node.balance(&referrer).await, 25_000 + 20_000);
    let id: MemberId = friend["member_id"].as_str().unwrap().parse().unwrap();
    let shown = node.app.member(id).unwrap().member;
    assert_eq!(
        shown.referrer.map(|id| id.to_string()),
        Some(referrer.clone())
    );

    // Both are the store's own to redeem at once.
    let redeemed = crate::common::with(sale(&referrer, 1, 200_000), json!({ "redeem": 45_000 }));
    let (status, sold) = node.call("POST", "/v1/purchases", "3", redeemed).await;
    assert_eq!(
        (status, &sold["rung"]),
        (201, &"allowance".into()),
        "{sold}"
    );
}

#[tokio::test]
async fn a_birthday_is_known_to_tills_without_its_year() {
    let node = Node::start().await;
    let birthday = |id: &str| {
        let view = node.app.member(id.parse().unwrap()).unwrap();
        view.member.shown.birthday.map(|day| day.to_string())
    };
    let body = json!({ "cashier": "c7", "questionnaire": { "birth_date": "1992-02-29" }, "consents": ["personal_data"] });
    let (_, joined) = node.call("POST", "/v1/members", "1", body).await;
    let id = joined["member_id"].as_str().unwrap();
    assert_eq!(birthday(id).as_deref(), Some("02-29"));
    let body = json!({ "cashier": "c7", "questionnaire": { "birth_date": "1992-03-01" } });
    let path = format!("/v1/members/{id}/profile");
    assert_eq!(node.call("PATCH", &path, "2", body).await.0, 200);
    assert_eq!(birthday(id).as_deref(), Some("03-01"));
}
