//! Limits of promotions at the till: budgets with rights, and counts of the store and of the programme without.

use kopilka_crdt::allowance::AllowanceRef;
use kopilka_crdt::ids::{AccountId, MemberId, PromotionId};
use kopilka_crdt::member::Member;
use kopilka_node::app::News;
use kopilka_protocol::message::Reply;
use serde_json::{Value, json};

use crate::common::{
    Node, batch, credit_elsewhere, feed_member, publication, right, rule_book, sale, state, with,
};
use crate::promotions::{numbered, promotion, reason};

const CARD: &str = "79927398713";

/// A tenth off, with this limit.
async fn node_with(limit: Value, offline: &str, record: Option<&Member>) -> Node {
    node_where(limit, offline, record, false).await
}

/// The same; `kept`: a use counts even if it is taken back.
async fn node_where(limit: Value, offline: &str, record: Option<&Member>, kept: bool) -> Node {
    let node = Node::start().await;
    let mut rules = rule_book();
    rules.promotions = numbered(json!([promotion(
        "A tenth",
        "receipt",
        json!({ "limits": [limit], "offline": offline, "counts_returned": kept,
            "effects": [{ "kind": "discount", "off": { "by": "percent", "permille": 100 } }] })
    )]));
    node.publish(publication(2, &rules)).await;
    let members = record.map(|record| feed_member(budget(), record));
    let members = members.into_iter().collect();
    node.hear(News::Feed(batch(0, 1, 0, true, members))).await;
    node
}

fn budget() -> MemberId {
    MemberId::of_limit(PromotionId(1), None)
}

/// What is left of a budget, and this node's rights to it, one for each amount.
fn record(left: i64, rights: &[i64]) -> Member {
    let mut record = Member::default();
    credit_elsewhere(&mut record, AccountId::BUDGET, left);
    for (number, amount) in (1..).zip(rights) {
        let name = AllowanceRef::Granted(number);
        record
            .allowances
            .insert(name, right(AccountId::BUDGET, *amount));
    }
    record
}

async fn buy(node: &Node, member: &str, number: u64, confirm: bool) -> Value {
    let body = with(sale(member, number, 10_000), json!({ "confirm": confirm }));
    let key = number.to_string();
    let (status, sold) = node.call("POST", "/v1/purchases", &key, body).await;
    assert_eq!(status, 201, "a sale is never refused for a budget: {sold}");
    sold
}

async fn to_pay(node: &Node, member: &str, number: u64) -> i64 {
    let sold = buy(node, member, number, true).await;
    sold["to_pay"].as_i64().unwrap()
}

#[tokio::test]
async fn without_the_hub_a_store_gives_no_more_of_a_budget_than_it_has_rights_to() {
    let limit = json!({ "scope": "programme", "most": 3 });
    let node = node_with(limit, "allowance", Some(&record(3, &[1]))).await;
    let member = node.enrol(CARD).await;
    let held = buy(&node, &member, 1, false).await;
    assert_eq!(held["to_pay"], 9_000);
    let node = node.restart();
    assert_eq!(
        to_pay(&node, &member, 2).await,
        10_000,
        "the first sale holds the right"
    );
    let void = format!(
        "/v1/purchases/{}/void",
        held["purchase_id"].as_str().unwrap()
    );
    node.call("POST", &void, "3", json!({ "cashier": "c7" }))
        .await;
    assert_eq!(to_pay(&node, &member, 4).await, 9_000);
    assert_eq!(
        to_pay(&node, &member, 5).await,
        10_000,
        "there is more, but not for this store"
    );
}

#[tokio::test]
async fn the_hub_is_asked_for_more_of_a_budget_until_there_is_none() {
    let limit = json!({ "scope": "programme", "count": "money", "most": 1_500 });
    let node = node_with(limit, "online", Some(&record(1_500, &[]))).await;
    let member = node.enrol(CARD).await;
    assert_eq!(to_pay(&node, &member, 1).await, 10_000, "needs the hub");
    let granted = record(1_500, &[1_000]);
    let hub = node.set_hub(vec![Reply::Reserved(state(budget(), &granted, 2, 0))]);
    assert_eq!(to_pay(&node, &member, 2).await, 9_000);
    let asked = hub.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].member, asked[0].amount.0), (budget(), 1_000));
    // 5.00 is left and 10.00 would be needed; the hub has not got it, and says so or nothing.
    assert_eq!(to_pay(&node, &member, 3).await, 10_000);
}

#[tokio::test]
async fn stores_count_what_needs_no_rights() {
    for scope in ["store", "programme"] {
        let limit = json!({ "scope": scope, "most": 2 });
        let node = node_with(limit, "free", None).await;
        let member = node.enrol(CARD).await;
        let before = node.get("/v1/sync").await.1["operations"].clone();
        assert_eq!(to_pay(&node, &member, 1).await, 9_000, "{scope}");
        let after = node.get("/v1/sync").await.1["operations"].clone();
        let written = after.as_u64().unwrap() - before.as_u64().unwrap();
        assert_eq!(written, 2, "the purchase and the count, in one batch");
        assert_eq!(to_pay(&node, &member, 2).await, 9_000, "{scope}");
        let node = node.restart();
        assert_eq!(to_pay(&node, &member, 3).await, 10_000, "{scope}");
        let body = json!({ "member_id": member, "lines": sale(&member, 4, 10_000)["lines"] });
        let (_, quote) = node.call("POST", "/v1/quotes", "-", body).await;
        assert_eq!(reason(&quote, "x1")["code"], "limit");
    }
}

#[tokio::test]
async fn a_sale_that_is_taken_back_whole_gives_its_use_back() {
    let taken_back = |of: serde_json::Value| {
        let purchase = of["purchase_id"].as_str().unwrap().to_owned();
        format!("/v1/purchases/{purchase}/cancel")
    };
    for kept in [false, true] {
        let limit = json!({ "scope": "store", "most": 1 });
        let node = node_where(limit, "free", None, kept).await;
        let member = node.enrol(CARD).await;
        let sold = buy(&node, &member, 1, true).await;
        assert_eq!(sold["to_pay"], 9_000);
        let body = json!({ "cashier": "c7" });
        let (status, answer) = node
            .call("POST", &taken_back(sold), "cancel", body.clone())
            .await;
        assert_eq!(status, 200, "{answer}");
        let price = if kept { 10_000 } else { 9_000 };
        assert_eq!(to_pay(&node, &member, 2).await, price, "kept: {kept}");
    }
    let limit = json!({ "scope": "programme", "most": 3 });
    let node = node_with(limit, "allowance", Some(&record(3, &[1]))).await;
    let member = node.enrol(CARD).await;
    let sold = buy(&node, &member, 1, true).await;
    assert_eq!(sold["to_pay"], 9_000);
    let body = json!({ "cashier": "c7" });
    node.call("POST", &taken_back(sold), "cancel", body).await;
    let (_, history) = node
        .get(&format!("/v1/members/{}/operations", budget()))
        .await;
    let operations = history["items"].as_array().unwrap();
    let moved: Vec<_> = operations.iter().map(|one| one["taken"].as_i64()).collect();
    assert_eq!(moved.iter().flatten().sum::<i64>(), 0, "{history}");
    assert_eq!(operations.len(), 2, "{history}");
}
