//! Gift cards: sold, topped up, paid with on both sides of an outage, paid back to, and taken for nothing else.

use kopilka_crdt::allowance::AllowanceRef;
use kopilka_crdt::card::{Card, CardKind, CardState};
use kopilka_crdt::ids::{AccountId, MemberId};
use kopilka_crdt::member::Member;
use kopilka_crdt::money::Minor;
use kopilka_crdt::rulebook::model::{AccountRules, GiftCardRules, Text};
use kopilka_node::app::News;
use kopilka_protocol::message::{FeedMember, Reply};
use serde_json::{Value, json};

use crate::common::{
    Node, batch, card_hash, credit_elsewhere, feed_member, order, publication, rule_book, sale,
    state, stranger,
};

const GIFT: &str = "4111111111111111";
const RECORD: MemberId = MemberId(500);
const MONEY: AccountId = AccountId(9);
const OTHERS: &str = "79927398713";

fn rules() -> kopilka_crdt::rulebook::RuleBook {
    let mut rules = rule_book();
    let account = AccountRules {
        code: "gift_money".to_owned(),
        name: Text::new("Подарочная карта", "Gift card"),
        active_after_days: 0,
        expires_after_days: Some(365),
    };
    rules.accounts.insert(MONEY, account);
    rules.gift_cards = Some(GiftCardRules {
        account: MONEY,
        load_min_minor: Minor(10_000),
        balance_max_minor: Minor(1_000_000),
    });
    rules
}

/// A card as the hub issues it: nothing on it, not sold.
fn issued() -> Member {
    let mut record = Member::default();
    let card = Card {
        kind: CardKind::Gift,
        tail: 1_111,
        state: CardState::Issued,
    };
    record.cards.insert(card_hash(GIFT).tag(), card);
    record
}

/// A card that another store sold: this node has no right to what is on it.
fn sold_elsewhere(amount: i64, right: i64) -> Member {
    let mut record = issued();
    let card = record.cards.values_mut().next().unwrap();
    card.state = CardState::Active;
    credit_elsewhere(&mut record, MONEY, amount);
    let name = AllowanceRef::Granted(1);
    record
        .allowances
        .insert(name, super::common::right(MONEY, right));
    record
}

fn listed(record: &Member) -> FeedMember {
    FeedMember {
        identifiers: vec![card_hash(GIFT)],
        ..feed_member(RECORD, record)
    }
}

async fn node_with(record: Option<&Member>) -> Node {
    let node = Node::start().await;
    node.publish(publication(2, &rules())).await;
    let members = record.map(listed).into_iter().collect();
    node.hear(News::Feed(batch(0, 1, 0, true, members))).await;
    node
}

async fn load(node: &Node, path: &str, key: &str, amount: i64) -> (u16, Value) {
    let body = json!({ "cashier": "c7", "number": GIFT, "amount": amount });
    let path = format!("/v1/gift-cards/{path}");
    node.call("POST", &path, key, body).await
}

async fn pay(node: &Node, key: &str, amount: i64, partial: bool) -> (u16, Value) {
    let body = json!({ "cashier": "c7", "number": GIFT, "amount": amount, "partial": partial, "receipt": { "number": 7 } });
    node.call("POST", "/v1/gift-cards/payments", key, body)
        .await
}

async fn refund(node: &Node, key: &str, payment: &Value, amount: Option<i64>) -> (u16, Value) {
    let payment = payment["payment_id"].as_str().unwrap();
    let path = format!("/v1/gift-cards/payments/{payment}/refunds");
    let body = json!({ "cashier": "c7", "amount": amount });
    node.call("POST", &path, key, body).await
}

async fn found(node: &Node, number: &str) -> (u16, Value) {
    let body = json!({ "number": number });
    node.call("POST", "/v1/gift-cards/find", "-", body).await
}

fn is(answer: &(u16, Value), status: u16, code: &str) {
    assert_eq!(
        (answer.0, &answer.1["code"]),
        (status, &code.into()),
        "{answer:?}"
    );
}

fn on_it(answer: &(u16, Value)) -> i64 {
    answer.1["balance"]["spendable"]
        .as_i64()
        .unwrap_or_else(|| panic!("{answer:?}"))
}

#[tokio::test]
async fn a_card_is_sold_topped_up_paid_with_and_paid_back_to_without_the_hub() {
    let node = node_with(Some(&issued())).await;
    let fresh = found(&node, GIFT).await;
    assert_eq!(
        (fresh.0, &fresh.1["state"], &fresh.1["tail"]),
        (200, &"issued".into(), &"1111".into())
    );
    is(&pay(&node, "0", 100, false).await, 409, "card_not_active");
    is(
        &load(&node, "top-ups", "1", 20_000).await,
        409,
        "card_not_active",
    );
    is(
        &load(&node, "sales", "2", 9_999).await,
        409,
        "gift_card_load_out_of_range",
    );
    is(
        &load(&node, "sales", "3", 1_000_001).await,
        409,
        "gift_card_load_out_of_range",
    );
    assert_eq!(
        found(&node, GIFT).await.1["state"],
        "issued",
        "a refused sale leaves it unsold"
    );

    let sold = load(&node, "sales", "4", 50_000).await;
    assert_eq!((sold.0, on_it(&sold)), (201, 50_000), "{sold:?}");
    assert_eq!(sold, load(&node, "sales", "4", 50_000).await, "a retry");
    is(
        &load(&node, "sales", "5", 50_000).await,
        409,
        "gift_card_sold",
    );
    is(
        &load(&node, "top-ups", "6", 950_001).await,
        409,
        "gift_card_load_out_of_range",
    );
    assert_eq!(on_it(&load(&node, "top-ups", "7", 10_000).await), 60_000);

    let node = node.restart();
    let paid = pay(&node, "8", 55_000, false).await;
    assert_eq!((paid.0, on_it(&paid)), (201, 5_000), "{paid:?}");
    assert_eq!(
        paid.1["rung"], "allowance",
        "what the store loaded is its own to take"
    );
    assert_eq!(paid, pay(&node, "8", 55_000, false).await, "a retry");
    is(
        &pay(&node, "9", 5_001, false).await,
        409,
        "gift_card_balance_short",
    );
    let rest = pay(&node, "10", 5_001, true).await;
    assert_eq!(
        (rest.0, &rest.1["amount"], on_it(&rest)),
        (201, &5_000.into(), 0)
    );
    is(
        &pay(&node, "11", 1, true).await,
        409,
        "gift_card_balance_short",
    );

    is(
        &refund(&node, "12", &paid.1, Some(55_001)).await,
        409,
        "refund_too_large",
    );
    assert_eq!(
        on_it(&refund(&node, "13", &paid.1, Some(8_000)).await),
        8_000
    );
    assert_eq!(on_it(&refund(&node, "14", &paid.1, None).await), 55_000);
    is(
        &refund(&node, "15", &paid.1, None).await,
        409,
        "refund_too_large",
    );
    assert_eq!(on_it(&refund(&node, "16", &rest.1, None).await), 60_000);
    let nobodys = json!({ "payment_id": format!("o1.1.999~{RECORD}") });
    is(
        &refund(&node, "17", &nobodys, None).await,
        404,
        "payment_unknown",
    );
}

#[tokio::test]
async fn what_another_store_sold_is_taken_within_rights_or_asked_for() {
    let node = node_with(Some(&sold_elsewhere(50_000, 10_000))).await;
    let refused = pay(&node, "1", 10_001, false).await;
    is(&refused, 409, "gift_card_offline_limit");
    assert!(
        refused.1["detail"].as_str().unwrap().contains("100"),
        "{refused:?}"
    );
    let part = pay(&node, "2", 30_000, true).await;
    assert_eq!(
        (part.0, &part.1["amount"]),
        (201, &10_000.into()),
        "{part:?}"
    );

    let node = node_with(Some(&sold_elsewhere(50_000, 10_000))).await;
    let mut granted = sold_elsewhere(50_000, 10_000);
    let mut extra = granted.allowances[&AllowanceRef::Granted(1)];
    extra.amount = Minor(20_000);
    granted.allowances.insert(AllowanceRef::Granted(2), extra);
    let mut answer = state(RECORD, &granted, 2, 0);
    answer.member.identifiers = vec![card_hash(GIFT)];
    let hub = node.set_hub(vec![Reply::Reserved(answer)]);
    let paid = pay(&node, "1", 30_000, false).await;
    assert_eq!((paid.0, &paid.1["rung"]), (201, &"hub".into()), "{paid:?}");
    let asked = hub.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 1);
    assert_eq!(
        (asked[0].member, asked[0].account, asked[0].amount),
        (RECORD, MONEY, Minor(20_000))
    );
}

#[tokio::test]
async fn a_number_unknown_here_is_asked_at_the_hub() {
    let node = node_with(None).await;
    is(&found(&node, GIFT).await, 404, "gift_card_unknown");
    let mut answer = state(RECORD, &issued(), 2, 0);
    answer.member.identifiers = vec![card_hash(GIFT)];
    node.set_hub(vec![Reply::Found(None), Reply::Found(Some(answer))]);
    let unknown = found(&node, GIFT).await;
    is(&unknown, 404, "gift_card_unknown");
    assert!(
        unknown.1["detail"].as_str().unwrap().contains("no such"),
        "{unknown:?}"
    );
    assert_eq!(load(&node, "sales", "1", 20_000).await.0, 201);
}

#[tokio::test]
async fn gift_cards_are_no_members_cards_and_the_other_way_round() {
    let node = node_with(Some(&sold_elsewhere(50_000, 50_000))).await;
    let member = node.enrol(OTHERS).await;
    let record = RECORD.to_string();
    let shown = json!({ "kind": "card", "value": GIFT });
    let line = json!([{ "sku": "1", "quantity": "1", "unit_price": 100 }]);
    let write_off = json!({ "cashier": "c7", "account": "a9", "amount": 100, "reason": "x" });
    let close = json!({ "cashier": "c7", "number": GIFT });
    let bind = json!({ "cashier": "c7", "identifier": { "kind": "qr", "value": "token-0001" } });
    for (path, body) in [
        ("/v1/identify".to_owned(), shown.clone()),
        (
            "/v1/quotes".to_owned(),
            json!({ "member_id": record, "lines": line }),
        ),
        ("/v1/purchases".to_owned(), sale(&record, 1, 100)),
        (format!("/v1/members/{record}/write-offs"), write_off),
        (format!("/v1/members/{record}/cards"), bind),
        ("/v1/cards/close".to_owned(), close),
        (
            "/v1/members".to_owned(),
            json!({ "cashier": "c7", "referred_by": shown }),
        ),
    ] {
        let answer = node.call("POST", &path, &path, body).await;
        is(&answer, 409, "not_a_members_card");
    }
    let new_card = json!({ "cashier": "c7", "identifier": { "kind": "card", "value": "5500005555555559" }, "kind": "gift" });
    let path = format!("/v1/members/{member}/cards");
    is(
        &node.call("POST", &path, "1", new_card).await,
        422,
        "invalid_field",
    );
    let newcomer =
        json!({ "cashier": "c7", "card_number": "5500005555555559", "card_kind": "coupon" });
    is(
        &node.call("POST", "/v1/members", "2", newcomer).await,
        422,
        "invalid_field",
    );
    is(&found(&node, OTHERS).await, 409, "not_a_gift_card");
}

#[tokio::test]
async fn a_blocked_card_neither_pays_nor_is_loaded_and_takes_its_money_back() {
    let node = node_with(Some(&sold_elsewhere(50_000, 50_000))).await;
    let paid = pay(&node, "1", 20_000, false).await;
    node.hear(News::Blocks(vec![order(1, GIFT, true)])).await;
    is(&pay(&node, "2", 20_000, false).await, 409, "card_blocked");
    is(
        &load(&node, "top-ups", "3", 20_000).await,
        409,
        "card_blocked",
    );
    let shown = found(&node, GIFT).await;
    assert_eq!((shown.0, &shown.1["blocked"]), (200, &true.into()));
    assert_eq!(on_it(&refund(&node, "4", &paid.1, None).await), 50_000);
}

#[tokio::test]
async fn a_programme_without_gift_cards_says_so() {
    let node = Node::start().await;
    let members = vec![listed(&issued()), feed_member(MemberId(77), &stranger(1))];
    node.hear(News::Feed(batch(0, 1, 0, true, members))).await;
    is(&found(&node, GIFT).await, 409, "gift_cards_not_offered");
}
