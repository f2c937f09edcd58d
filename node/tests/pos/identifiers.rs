//! Identifiers that a member loses stop working here, in the feed and in a snapshot; what was bound here keeps working.

use std::sync::Arc;

use kopilka_crdt::identifier::{IdentifierHash, IdentifierKind};
use kopilka_crdt::ids::MemberId;
use kopilka_node::app::News;
use kopilka_node::store::faulty::FaultyEngine;
use kopilka_node::store::{Batch, Engine, Table};
use kopilka_protocol::message::FeedMember;
use serde_json::{Value, json};

use crate::common::{NOW_MS, Node, batch, card_hash, feed_member, hash, stranger};

const ID: MemberId = MemberId(77);
const CARD: &str = "79927398713";
const BOUND: &str = "4111111111111111";
const PHONE: &str = "+79161234567";

fn listed(identifiers: &[IdentifierHash]) -> FeedMember {
    FeedMember {
        identifiers: identifiers.to_vec(),
        ..feed_member(ID, &stranger(1_000))
    }
}

fn phone_hash() -> IdentifierHash {
    hash(IdentifierKind::Phone, PHONE)
}

async fn feed(node: &Node, after: u64, applied: u64, identifiers: &[IdentifierHash]) {
    let members = vec![listed(identifiers)];
    node.hear(News::Feed(batch(after, after + 1, applied, true, members)))
        .await;
}

async fn snapshot(node: &Node, identifiers: &[IdentifierHash]) {
    node.hear(News::SnapshotBegins { positions: vec![9] }).await;
    node.hear(News::SnapshotPages {
        batches: vec![batch(0, 0, 0, false, vec![listed(identifiers)])],
        last: true,
    })
    .await;
}

async fn found(node: &Node, kind: &str, value: &str) -> bool {
    let body = json!({ "kind": kind, "value": value });
    let (status, answer) = node.call("POST", "/v1/identify", "-", body).await;
    assert!([200, 404].contains(&status), "{answer}");
    status == 200
}

async fn bind(node: &Node, kind: &str, value: &str) {
    let body = json!({ "cashier": "c7", "identifier": { "kind": kind, "value": value } });
    let path = format!("/v1/members/{ID}/cards");
    let (status, bound) = node.call("POST", &path, value, body).await;
    assert_eq!(status, 200, "{bound}");
}

fn stored(node: &Node) -> u64 {
    node.engine.count(Table::Identifiers).unwrap()
}

#[tokio::test]
async fn an_erased_phone_no_longer_finds_its_member() {
    let node = Node::start().await;
    feed(&node, 0, 0, &[card_hash(CARD), phone_hash()]).await;
    assert!(found(&node, "phone", PHONE).await);
    feed(&node, 1, 0, &[card_hash(CARD)]).await;
    assert!(!found(&node, "phone", PHONE).await);
    assert!(found(&node, "card", CARD).await);
    assert_eq!(stored(&node), 1, "nothing of the phone is left on the disk");
}

#[tokio::test]
async fn a_phone_erased_while_the_node_was_away_goes_with_the_snapshot() {
    let node = Node::start().await;
    snapshot(&node, &[card_hash(CARD), phone_hash()]).await;
    assert!(found(&node, "phone", PHONE).await);
    let node = node.restart();
    snapshot(&node, &[card_hash(CARD)]).await;
    assert!(!found(&node, "phone", PHONE).await);
    assert!(found(&node, "card", CARD).await);
}

#[tokio::test]
async fn what_was_bound_here_works_until_the_hub_has_judged_it() {
    let node = Node::start().await;
    feed(&node, 0, 0, &[card_hash(CARD), phone_hash()]).await;
    bind(&node, "card", BOUND).await;
    feed(&node, 1, 0, &[card_hash(CARD)]).await;
    assert!(found(&node, "card", BOUND).await, "the hub has not seen it");
    assert!(!found(&node, "phone", PHONE).await);
    feed(&node, 2, 1, &[card_hash(CARD), card_hash(BOUND)]).await;
    assert!(found(&node, "card", BOUND).await);

    // A phone noted after the erasure is not taken over.
    bind(&node, "phone", PHONE).await;
    assert!(found(&node, "phone", PHONE).await);
    feed(&node, 3, 2, &[card_hash(CARD), card_hash(BOUND)]).await;
    assert!(!found(&node, "phone", PHONE).await);
    assert_eq!(stored(&node), 2);
}

#[tokio::test]
async fn a_phone_may_move_to_another_member() {
    let node = Node::start().await;
    feed(&node, 0, 0, &[phone_hash()]).await;
    let other = FeedMember {
        id: MemberId(78),
        ..listed(&[phone_hash()])
    };
    // The loser's state may come after the winner's.
    node.hear(News::Feed(batch(1, 2, 0, true, vec![other, listed(&[])])))
        .await;
    let body = json!({ "kind": "phone", "value": PHONE });
    let (_, shown) = node.call("POST", "/v1/identify", "-", body).await;
    assert_eq!(
        shown["member"]["member_id"],
        Value::from(MemberId(78).to_string())
    );
}

#[tokio::test]
async fn the_key_of_an_erased_member_goes() {
    let node = Node::start().await;
    let body = json!({
        "cashier": "c7",
        "card_number": CARD,
        "questionnaire": { "given_name": "Анна", "phone": PHONE },
        "consents": ["personal_data"],
    });
    let (_, enrolled) = node.call("POST", "/v1/members", "1", body).await;
    let id: MemberId = enrolled["member_id"].as_str().unwrap().parse().unwrap();
    let keys = || node.engine.count(Table::Keys).unwrap();
    let heard = async |after: u64, applied: u64, identifiers: &[IdentifierHash]| {
        let member = FeedMember {
            id,
            ..listed(identifiers)
        };
        let batch = batch(after, after + 1, applied, false, vec![member]);
        node.hear(News::Feed(batch)).await;
    };
    heard(0, 0, &[]).await;
    assert_eq!(keys(), 1, "the hub may not have it yet");
    heard(1, 1, &[card_hash(CARD), phone_hash()]).await;
    assert_eq!(keys(), 1);
    heard(2, 1, &[card_hash(CARD)]).await;
    assert_eq!(keys(), 0);
    assert!(!found(&node, "phone", PHONE).await);
}

#[tokio::test]
async fn rows_from_before_the_list_are_read() {
    let engine = Arc::new(FaultyEngine::new());
    let mut rows = Batch::new();
    let record = stranger(700).encode();
    rows.put(Table::Members, ID.0.to_be_bytes(), record);
    engine.commit(&rows).unwrap();
    let node = Node::start_on(engine, || NOW_MS).await;
    assert_eq!(node.balance(&ID.to_string()).await, 700);
    bind(&node, "card", BOUND).await;
    assert!(found(&node, "card", BOUND).await);
    feed(&node, 0, 1, &[]).await;
    assert!(!found(&node, "card", BOUND).await);
    assert_eq!(node.balance(&ID.to_string()).await, 1_000);
}
