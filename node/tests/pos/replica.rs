//! The hub's states under own operations, the own log as it is sent and pruned, rules and incarnations.

use std::sync::atomic::{AtomicU64, Ordering};

use kopilka_crdt::ids::{Incarnation, MemberId, NodeId, OperationId, ProgrammeId};
use kopilka_crdt::ledger;
use kopilka_crdt::log::Tip;
use kopilka_crdt::member::Member;
use kopilka_crdt::operation::Body;
use kopilka_crdt::rulebook::Publication;
use kopilka_node::app::{AppError, News};
use kopilka_protocol::key::PublicKey;
use kopilka_protocol::message::{Adoption, Renewal};
use kopilka_protocol::segment::Verified;
use kopilka_protocol::signed::SignedPublication;

use crate::common::{
    NOW_MS, Node, batch, feed_member, hub_key, publication, rule_book, sale, state, stranger,
};

const ID: MemberId = MemberId(77);

fn genesis() -> Tip {
    Tip::genesis(NodeId(1), Incarnation(1))
}

/// All that the node would send.
fn sent(node: &Node) -> Verified {
    let outgoing = node.app.segment_after(genesis()).unwrap().unwrap();
    let key = ed25519_dalek::SigningKey::from_bytes(&[2; 32]);
    let verified = outgoing.segment.verify(&PublicKey::of(&key)).unwrap();
    assert_eq!(verified.seal.tip, outgoing.tip);
    verified
}

/// The hub's state after the first so many operations of the node.
fn hub_state(node: &Node, mut member: Member, operations: usize) -> Member {
    for received in sent(node).operations.iter().take(operations) {
        ledger::apply(&mut member, received.id, received.stamp, &received.body).unwrap();
    }
    member
}

async fn sell(node: &Node, number: u64, price: i64) {
    let body = sale(&ID.to_string(), number, price);
    let (status, body) = node
        .call("POST", "/v1/purchases", &number.to_string(), body)
        .await;
    assert_eq!(status, 201, "{body}");
}

#[tokio::test]
async fn own_operations_lie_over_whatever_state_the_hub_sends() {
    let node = Node::start().await;
    let id = ID.to_string();
    let start = vec![feed_member(ID, &stranger(1_000))];
    node.hear(News::Feed(batch(0, 1, 0, true, start))).await;
    sell(&node, 1, 10_000).await;
    sell(&node, 2, 10_000).await;
    assert_eq!(node.balance(&id).await, 2_000);

    // Late: the hub has seen none of them, and another store gave 3,000 meanwhile.
    let late = vec![feed_member(ID, &stranger(4_000))];
    node.hear(News::Feed(batch(1, 2, 0, true, late))).await;
    assert_eq!(node.balance(&id).await, 5_000);

    // In between: the first is included, the second is not.
    let one = hub_state(&node, stranger(4_000), 1);
    node.hear(News::Member(state(ID, &one, 1))).await;
    assert_eq!(node.balance(&id).await, 5_000);
    sell(&node, 3, 10_000).await;
    node.hear(News::Feed(batch(
        2,
        3,
        1,
        true,
        vec![feed_member(ID, &one)],
    )))
    .await;
    assert_eq!(node.balance(&id).await, 5_500);

    // An answer that the feed has overtaken changes nothing.
    let overtaken = node.app.hear(News::Member(state(ID, &stranger(4_000), 0)));
    assert_eq!(overtaken.await, Err(AppError::OutOfOrder));
    // All of them.
    let all = hub_state(&node, stranger(4_000), 3);
    node.hear(News::Feed(batch(
        3,
        4,
        3,
        true,
        vec![feed_member(ID, &all)],
    )))
    .await;
    assert_eq!(node.balance(&id).await, 5_500);
    let gap = node.app.hear(News::Feed(batch(9, 10, 3, true, Vec::new())));
    assert_eq!(gap.await, Err(AppError::OutOfOrder));
    assert_eq!(node.app.hello().unwrap().seen.feed, [4]);
}

#[tokio::test]
async fn the_log_is_pruned_only_when_durable_and_included() {
    let node = Node::start().await;
    let start = vec![feed_member(ID, &stranger(0))];
    node.hear(News::Feed(batch(0, 1, 0, true, start))).await;
    sell(&node, 1, 10_000).await;
    sell(&node, 2, 10_000).await;
    let log = sent(&node);
    let tip = log.seal.tip;
    let durable = |tip| News::Durable {
        incarnation: Incarnation(1),
        tip,
        verdicts: Vec::new(),
    };
    node.hear(durable(tip)).await;
    assert_eq!(node.app.branch_base().unwrap(), genesis());
    node.hear(News::Feed(batch(1, 1, 2, false, Vec::new())))
        .await;
    assert_eq!(node.app.branch_base().unwrap(), genesis(), "not caught up");
    node.hear(News::Feed(batch(1, 1, 2, true, Vec::new())))
        .await;
    assert_eq!(node.app.branch_base().unwrap(), tip);

    let node = node.restart();
    assert_eq!(
        node.app.hello().unwrap().tip,
        tip,
        "the log goes on after what is gone"
    );
    assert_eq!(node.app.segment_after(tip), Ok(None));
    sell(&node, 3, 10_000).await;
    let outgoing = node.app.segment_after(tip).unwrap().unwrap();
    assert_eq!((outgoing.segment.base, outgoing.tip.sequence), (tip, 3));
    assert_eq!(node.balance(&ID.to_string()).await, 1_500);
}

#[tokio::test]
async fn keys_of_new_members_travel_beside_the_log() {
    let node = Node::start().await;
    let body = serde_json::json!({
        "cashier": "c7",
        "questionnaire": { "given_name": "Анна" },
        "consents": ["personal_data"],
    });
    let (_, enrolled) = node.call("POST", "/v1/members", "1", body).await;
    let id: MemberId = enrolled["member_id"].as_str().unwrap().parse().unwrap();
    let outgoing = node.app.segment_after(genesis()).unwrap().unwrap();
    let (of, key) = outgoing.keys[0].clone();
    assert_eq!(of, id);
    let Body::Enrol(enrolment) = &sent(&node).operations[0].body else {
        panic!("an enrolment");
    };
    let (_, sealed) = &enrolment.profile[0];
    assert_eq!(sealed.open(&key, id).unwrap(), "Анна".as_bytes());
}

#[tokio::test]
async fn only_newer_rules_of_the_hub_are_taken() {
    let node = Node::start().await;
    node.hear(News::Publication(publication(3, &rule_book())))
        .await;
    let older = node
        .app
        .hear(News::Publication(publication(2, &rule_book())));
    assert_eq!(older.await, Err(AppError::OutOfOrder));
    let mut forged = publication(4, &rule_book());
    forged.publication.valid_from_ms = 1;
    let forged = node.app.hear(News::Publication(forged)).await;
    assert!(matches!(forged, Err(AppError::Signature(_))));
    let mut broken = rule_book();
    broken.tiers.clear();
    let broken = node
        .app
        .hear(News::Publication(publication(5, &broken)))
        .await;
    assert!(matches!(broken, Err(AppError::Publication(_))));
    let node = node.restart();
    assert_eq!(node.app.seen().unwrap().publication, 3, "the last good one");
}

#[tokio::test]
async fn rules_wait_for_their_time() {
    static CLOCK: AtomicU64 = AtomicU64::new(NOW_MS);
    let node = Node::start_with_clock(|| CLOCK.load(Ordering::Relaxed)).await;
    let later = Publication::new(ProgrammeId(1), 2, NOW_MS + 5_000, &rule_book());
    let later = SignedPublication::sign(&hub_key(), later);
    node.hear(News::Publication(later)).await;
    let node = node.restart();
    let in_force = |node: &Node| node.app.rules().unwrap().programme.number();
    assert_eq!(
        (in_force(&node), node.app.seen().unwrap().publication),
        (1, 2)
    );
    CLOCK.store(NOW_MS + 5_000, Ordering::Relaxed);
    node.app.tick().await.unwrap();
    assert_eq!(in_force(&node), 2);
}

#[tokio::test]
async fn a_new_incarnation_renames_what_the_hub_took_over() {
    let node = Node::start().await;
    let start = vec![feed_member(ID, &stranger(0))];
    node.hear(News::Feed(batch(0, 1, 0, true, start))).await;
    sell(&node, 1, 10_000).await;
    let adopted = Incarnation(Incarnation::ADOPTED_FIRST);
    let renewal = Renewal {
        next: Incarnation(2),
        adopted: Some(Adoption {
            from_sequence: 1,
            incarnation: adopted,
        }),
    };
    node.hear(News::Renew(renewal.clone())).await;
    let again = node.app.hear(News::Renew(renewal));
    assert_eq!(again.await, Err(AppError::OutOfOrder));
    let node = node.restart();
    let hello = node.app.hello().unwrap();
    assert_eq!((hello.incarnation, hello.tip.sequence), (Incarnation(2), 1));

    // A return names the purchase and its lot as the hub knows them.
    let body = serde_json::json!({ "cashier": "c7", "receipt": { "number": 1 } });
    let (status, body) = node.call("POST", "/v1/returns", "back", body).await;
    assert_eq!(status, 200, "{body}");
    let base = Tip::genesis(NodeId(1), Incarnation(2));
    let outgoing = node.app.segment_after(base).unwrap().unwrap();
    let key = ed25519_dalek::SigningKey::from_bytes(&[2; 32]);
    let verified = outgoing.segment.verify(&PublicKey::of(&key)).unwrap();
    let Body::Return(reversal) = &verified.operations[1].body else {
        panic!("a mark and a return");
    };
    let renamed = OperationId {
        node: NodeId(1),
        incarnation: adopted,
        sequence: 1,
    };
    assert_eq!(reversal.purchase, renamed);
    assert_eq!(reversal.withdrawn[0].takes[0].lot.operation, renamed);
    assert_eq!(node.balance(&ID.to_string()).await, 0);
}
