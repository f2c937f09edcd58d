//! The authorisation ladder: the hub, the allowance, the refusal.

use std::sync::atomic::Ordering;

use kopilka_crdt::allowance::AllowanceRef;
use kopilka_crdt::ids::MemberId;
use kopilka_crdt::member::Member;
use kopilka_crdt::money::Minor;
use kopilka_node::app::News;
use kopilka_protocol::message::Reply;
use serde_json::{Value, json};

use crate::common::{Node, POINTS, batch, feed_member, right, sale, state, stranger, with};

const ID: MemberId = MemberId(77);

pub fn with_right(mut member: Member, amount: i64) -> Member {
    let name = AllowanceRef::Granted(1);
    member.allowances.insert(name, right(POINTS, amount));
    member
}

async fn node_with(member: &Member) -> Node {
    let node = Node::start().await;
    let members = vec![feed_member(ID, member)];
    node.hear(News::Feed(batch(0, 1, 0, true, members))).await;
    node
}

async fn redeem(node: &Node, number: u64, amount: i64) -> (u16, Value) {
    let body = with(
        sale(&ID.to_string(), number, 100_000),
        json!({ "redeem": amount }),
    );
    let key = number.to_string();
    node.call("POST", "/v1/purchases", &key, body).await
}

fn refusal(answer: &(u16, Value), code: &str, figure: &str) {
    let (status, body) = answer;
    assert_eq!((*status, &body["code"]), (409, &code.into()), "{body}");
    let detail = body["detail"].as_str().unwrap();
    assert!(detail.contains(figure), "{detail}");
}

#[tokio::test]
async fn offline_the_allowance_bounds_what_may_be_redeemed() {
    let node = node_with(&with_right(stranger(50_000), 10_000)).await;
    refusal(&redeem(&node, 1, 10_001).await, "offline_limit", "100");
    let (status, sold) = redeem(&node, 2, 6_000).await;
    assert_eq!((status, &sold["rung"]), (201, &"allowance".into()));
    // What is left of the allowance, and the 4,700 points that the sale earned here.
    refusal(&redeem(&node, 3, 8_701).await, "offline_limit", "87");
    let (status, _) = redeem(&node, 4, 0).await;
    assert_eq!(status, 201, "the sale goes on without points");
}

#[tokio::test]
async fn waiting_sales_bind_their_rights() {
    let node = node_with(&with_right(stranger(50_000), 10_000)).await;
    let held = with(
        sale(&ID.to_string(), 1, 100_000),
        json!({ "redeem": 8_000, "confirm": false }),
    );
    assert_eq!(node.call("POST", "/v1/purchases", "1", held).await.0, 201);
    refusal(&redeem(&node, 2, 2_001).await, "offline_limit", "20");
    let recall = News::Recall {
        member: ID,
        allowances: vec![AllowanceRef::Granted(1)],
    };
    node.hear(recall.clone()).await;
    assert_eq!(redeem(&node, 3, 2_000).await.0, 201, "a bound right stays");
    let (_, sale) = node.get("/v1/sync").await;
    let before = sale["operations"].as_u64().unwrap();
    node.hear(recall).await;
    assert_eq!(node.get("/v1/sync").await.1["operations"], before);
}

#[tokio::test]
async fn a_recalled_right_is_given_back_and_no_longer_used() {
    let node = node_with(&with_right(stranger(50_000), 10_000)).await;
    let allowances = vec![AllowanceRef::Granted(1)];
    node.hear(News::Recall {
        member: ID,
        allowances,
    })
    .await;
    assert_eq!(node.get("/v1/sync").await.1["operations"], 1);
    refusal(&redeem(&node, 1, 1).await, "offline_limit", "0");
}

#[tokio::test]
async fn the_hub_is_asked_for_what_the_rights_do_not_cover() {
    let node = node_with(&with_right(stranger(50_000), 10_000)).await;
    let mut granted = with_right(stranger(50_000), 10_000);
    let mut extra = granted.allowances[&AllowanceRef::Granted(1)];
    extra.amount = Minor(5_000);
    granted.allowances.insert(AllowanceRef::Granted(2), extra);
    let hub = node.set_hub(vec![Reply::Reserved(state(ID, &granted, 2, 0))]);
    let (status, sold) = redeem(&node, 1, 15_000).await;
    assert_eq!((status, &sold["rung"]), (201, &"hub".into()), "{sold}");
    let asked = hub.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].member, asked[0].amount), (ID, Minor(5_000)));
}

#[tokio::test]
async fn what_the_hub_cannot_give_or_does_not_answer_is_refused_in_words() {
    let member = with_right(stranger(50_000), 10_000);
    let node = node_with(&member).await;
    let hub = node.set_hub(vec![Reply::Short {
        available: Minor(3_000),
        state: state(ID, &member, 1, 0),
    }]);
    refusal(
        &redeem(&node, 1, 15_000).await,
        "points_held_elsewhere",
        "130",
    );
    // It has no further reply, so the deadline passes.
    refusal(&redeem(&node, 2, 15_000).await, "offline_limit", "100");
    assert_eq!(hub.asked.lock().unwrap().len(), 2);
    let (status, sold) = redeem(&node, 3, 10_000).await;
    assert_eq!((status, &sold["rung"]), (201, &"allowance".into()));
    hub.connected.store(false, Ordering::Relaxed);
    refusal(&redeem(&node, 4, 15_000).await, "offline_limit", "45");
    assert_eq!(
        hub.asked.lock().unwrap().len(),
        2,
        "nobody asks a hub that is away"
    );
}

#[tokio::test]
async fn a_member_unknown_here_is_looked_up_at_the_hub() {
    let node = Node::start().await;
    let mut found = state(ID, &stranger(1_000), 1, 0);
    found.member.identifiers = vec![crate::common::card_hash("79927398713")];
    node.set_hub(vec![Reply::Found(Some(found)), Reply::Found(None)]);
    let body = json!({ "kind": "card", "value": "79927398713" });
    let (status, shown) = node.call("POST", "/v1/identify", "-", body.clone()).await;
    assert_eq!(
        (status, &shown["member"]["member_id"]),
        (200, &ID.to_string().into())
    );
    let (status, again) = node.call("POST", "/v1/identify", "-", body).await;
    assert_eq!((status, again), (200, shown), "known here from now on");
    let other = json!({ "kind": "card", "value": "4111111111111111" });
    assert_eq!(node.call("POST", "/v1/identify", "-", other).await.0, 404);
}
