//! Coupons at the till: a member's own and bearers', used once, held with the sale, asked for at the hub.

use kopilka_crdt::allowance::AllowanceRef;
use kopilka_crdt::card::{Card, CardKind, CardState};
use kopilka_crdt::ids::{AccountId, MemberId};
use kopilka_crdt::member::Member;
use kopilka_crdt::rulebook::RuleBook;
use kopilka_crdt::rulebook::model::{AccountRules, SeriesRules, Text};
use kopilka_node::app::News;
use kopilka_protocol::message::{FeedMember, MemberState, Reply};
use serde_json::{Value, json};

use crate::common::{
    Node, batch, card_hash, credit_elsewhere, feed_member, order, publication, right, rule_book,
    sale, state, with,
};
use crate::promotions::{numbered, promotion};

const CARD: &str = "79927398713";
const NUMBER: &str = "4111111111111111";
const RECORD: MemberId = MemberId(600);
const STRANGER: MemberId = MemberId(77);
const COFFEE: AccountId = AccountId(20);

/// A coupon is worth a tenth of a receipt; who buys for 1,000.00 gets one.
fn rules() -> RuleBook {
    let mut rules = rule_book();
    let account = AccountRules {
        code: "coffee_coupons".to_owned(),
        name: Text::new("Купоны на кофе", "Coffee coupons"),
        active_after_days: 0,
        expires_after_days: Some(30),
    };
    rules.accounts.insert(COFFEE, account);
    let series = SeriesRules {
        name: Text::new("Кофе", "Coffee"),
        account: COFFEE,
        per_member_max: None,
        transferable: false,
        comes_back: true,
    };
    rules.coupons.insert("coffee".to_owned(), series);
    rules.promotions = numbered(json!([
        promotion(
            "A tenth",
            "coupons",
            json!({ "when": { "kind": "coupons", "of": ["coffee"] },
            "effects": [{ "kind": "discount", "off": { "by": "percent", "permille": 100 } }] })
        ),
        promotion(
            "A coupon",
            "issue",
            json!({ "when": { "kind": "total", "measure": "after_discounts", "min": 100_000 },
            "effects": [{ "kind": "issue_coupon", "series": "coffee" }] })
        ),
    ]));
    rules
}

async fn node_with(members: Vec<FeedMember>) -> Node {
    let node = Node::start().await;
    node.publish(publication(2, &rules())).await;
    node.hear(News::Feed(batch(0, 1, 0, true, members))).await;
    node
}

/// A state with one coupon that another store issued, and a right to so much of it.
fn holding(mut state: Member, rights: i64) -> Member {
    credit_elsewhere(&mut state, COFFEE, 1);
    let name = AllowanceRef::Granted(1);
    if rights > 0 {
        state.allowances.insert(name, right(COFFEE, rights));
    }
    state
}

fn bearers(rights: i64) -> Member {
    let mut record = Member::default();
    let card = Card {
        kind: CardKind::Coupon,
        tail: 1_111,
        state: CardState::Active,
    };
    record.cards.insert(card_hash(NUMBER).tag(), card);
    holding(record, rights)
}

fn listed(record: &Member) -> FeedMember {
    FeedMember {
        identifiers: vec![card_hash(NUMBER)],
        ..feed_member(RECORD, record)
    }
}

fn answer(record: &Member, position: u64) -> MemberState {
    MemberState {
        member: listed(record),
        ..state(RECORD, record, position, 0)
    }
}

async fn buy(node: &Node, member: &str, number: u64, more: Value) -> (u16, Value) {
    let body = with(sale(member, number, 10_000), more);
    node.call("POST", "/v1/purchases", &number.to_string(), body)
        .await
}

fn is(answer: &(u16, Value), status: u16, code: &str) {
    let found = (answer.0, &answer.1["code"]);
    assert_eq!(found, (status, &code.into()), "{answer:?}");
}

/// A sale for 100.00 in which one coffee coupon took a tenth off.
fn took_a_tenth(answer: &(u16, Value)) {
    assert_eq!(
        (answer.0, &answer.1["to_pay"]),
        (201, &9_000.into()),
        "{answer:?}"
    );
    assert_eq!(answer.1["coupons_used"][0]["series"], "coffee");
    assert_eq!(answer.1["coupons_used"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_coupon_that_a_sale_issued_is_used_once_without_the_hub() {
    let node = node_with(Vec::new()).await;
    let member = node.enrol(CARD).await;
    let coupon = json!({ "coupons": ["coffee"] });
    is(
        &buy(&node, &member, 1, coupon.clone()).await,
        409,
        "coupon_spent",
    );
    let (status, sold) = node
        .call("POST", "/v1/purchases", "2", sale(&member, 2, 100_000))
        .await;
    assert_eq!(
        (status, &sold["coupons_issued"][0]["count"]),
        (201, &1.into()),
        "{sold}"
    );

    let quote = json!({ "member_id": member, "lines": sale(&member, 3, 10_000)["lines"] });
    let (_, offered) = node.call("POST", "/v1/quotes", "-", quote.clone()).await;
    assert_eq!(offered["coupons_available"][0]["series"], "coffee");
    assert_eq!(
        offered["coupons_available"][0]["expires_on"],
        sold["coupons_issued"][0]["expires_on"]
    );
    assert_eq!(
        (&offered["to_pay"], &offered["coupons_used"]),
        (&10_000.into(), &json!([]))
    );
    let (_, shown) = node
        .call(
            "POST",
            "/v1/quotes",
            "-",
            with(quote.clone(), coupon.clone()),
        )
        .await;
    assert_eq!(shown["to_pay"], 9_000, "{shown}");
    let twice = with(quote, json!({ "coupons": ["coffee", "coffee"] }));
    is(
        &node.call("POST", "/v1/quotes", "-", twice).await,
        409,
        "coupon_spent",
    );

    took_a_tenth(&buy(&node, &member, 4, coupon.clone()).await);
    is(&buy(&node, &member, 5, coupon).await, 409, "coupon_spent");
}

#[tokio::test]
async fn a_waiting_sale_holds_its_coupon_through_a_restart() {
    let node = node_with(vec![feed_member(STRANGER, &holding(Member::default(), 1))]).await;
    let member = STRANGER.to_string();
    let coupon = json!({ "coupons": ["coffee"] });
    let waiting = with(coupon.clone(), json!({ "confirm": false }));
    let held = buy(&node, &member, 1, waiting.clone()).await;
    took_a_tenth(&held);
    let node = node.restart();
    is(
        &buy(&node, &member, 2, coupon.clone()).await,
        409,
        "coupon_spent",
    );
    let path = |answer: &(u16, Value), verb: &str| {
        let id = answer.1["purchase_id"].as_str().unwrap();
        format!("/v1/purchases/{id}/{verb}")
    };
    let who = json!({ "cashier": "c7" });
    node.call("POST", &path(&held, "void"), "3", who.clone())
        .await;
    let again = buy(&node, &member, 4, waiting).await;
    took_a_tenth(&again);
    let (status, sold) = node.call("POST", &path(&again, "confirm"), "5", who).await;
    assert_eq!(
        (status, &sold["state"]),
        (200, &"confirmed".into()),
        "{sold}"
    );
    is(&buy(&node, &member, 6, coupon).await, 409, "coupon_spent");
}

#[tokio::test]
async fn a_coupon_of_another_store_is_asked_for() {
    let member = STRANGER.to_string();
    let coupon = json!({ "coupons": ["coffee"] });
    let unheld = holding(Member::default(), 0);
    let node = node_with(vec![feed_member(STRANGER, &unheld)]).await;
    is(
        &buy(&node, &member, 1, coupon.clone()).await,
        409,
        "coupon_out_of_reach",
    );
    assert_eq!(
        buy(&node, &member, 2, json!({})).await.0,
        201,
        "the sale goes on without it"
    );

    let granted = holding(Member::default(), 1);
    let node = node_with(vec![feed_member(STRANGER, &unheld)]).await;
    let hub = node.set_hub(vec![Reply::Reserved(state(STRANGER, &granted, 2, 0))]);
    took_a_tenth(&buy(&node, &member, 3, coupon).await);
    let asked = hub.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 1);
    assert_eq!(
        (asked[0].member, asked[0].account, asked[0].amount.0),
        (STRANGER, COFFEE, 1)
    );
}

#[tokio::test]
async fn a_bearers_coupon_is_found_by_its_number_and_used_once() {
    let shown = json!({ "coupons": [NUMBER] });
    let node = node_with(Vec::new()).await;
    let member = node.enrol(CARD).await;
    is(
        &buy(&node, &member, 1, shown.clone()).await,
        404,
        "coupon_unknown",
    );
    node.set_hub(vec![
        Reply::Found(Some(answer(&bearers(0), 2))),
        Reply::Reserved(answer(&bearers(1), 3)),
    ]);
    took_a_tenth(&buy(&node, &member, 2, shown.clone()).await);
    is(
        &buy(&node, &member, 3, shown.clone()).await,
        409,
        "coupon_spent",
    );
    let (_, history) = node.get(&format!("/v1/members/{RECORD}/operations")).await;
    let kinds = history["items"].as_array().unwrap();
    assert_eq!(
        (kinds.len(), &kinds[0]["kind"]),
        (1, &"charge".into()),
        "{history}"
    );

    // Two sales at once: the second finds it bound.
    let node = node_with(vec![listed(&bearers(1))]).await;
    let member = node.enrol(CARD).await;
    let waiting = with(shown.clone(), json!({ "confirm": false }));
    took_a_tenth(&buy(&node, &member, 1, waiting).await);
    is(
        &buy(&node, &member, 2, shown.clone()).await,
        409,
        "coupon_spent",
    );
    assert_eq!(
        node.get("/v1/sync").await.1["held_sales"],
        1,
        "one sale waits, whatever it binds"
    );

    let node = node_with(vec![listed(&bearers(1))]).await;
    let member = node.enrol(CARD).await;
    node.hear(News::Blocks(vec![order(1, NUMBER, true)])).await;
    is(&buy(&node, &member, 1, shown).await, 409, "card_blocked");
    for (text, status, code) in [
        (CARD, 404, "coupon_unknown"),
        ("tea", 422, "invalid_identifier"),
    ] {
        let other = json!({ "coupons": [text] });
        is(&buy(&node, &member, 2, other).await, status, code);
    }
}
