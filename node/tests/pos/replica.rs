//! The hub's states under own operations, the own log as it is sent and pruned, rules and incarnations.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kopilka_crdt::ids::{Incarnation, MemberId, NodeId, OperationId, ProgrammeId};
use kopilka_crdt::ledger;
use kopilka_crdt::log::Tip;
use kopilka_crdt::member::Member;
use kopilka_crdt::operation::Body;
use kopilka_crdt::rulebook::Publication;
use kopilka_node::app::{AppError, News, Outgoing};
use kopilka_node::store::faulty::{Fault, FaultyEngine};
use kopilka_node::store::{Engine, Table};
use kopilka_protocol::key::PublicKey;
use kopilka_protocol::message::{Adoption, AppliedLog, FeedBatch, Renewal};
use kopilka_protocol::segment::Verified;
use kopilka_protocol::signed::SignedPublication;

use crate::common::{
    NOW_MS, Node, POINTS, batch, feed_member, hub_key, publication, rule_book, sale, state,
    stranger,
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
    sell_to(node, ID, number, price).await;
}

async fn sell_to(node: &Node, member: MemberId, number: u64, price: i64) {
    let body = sale(&member.to_string(), number, price);
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
    node.hear(News::Member(state(ID, &one, 3, 1))).await;
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
    let overtaken = node
        .app
        .hear(News::Member(state(ID, &stranger(4_000), 4, 0)));
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
    node.publish(publication(3, &rule_book())).await;
    let older = node.app.take_publication(publication(2, &rule_book()));
    assert_eq!(older.await, Err(AppError::OutOfOrder));
    let mut forged = publication(4, &rule_book());
    forged.publication.valid_from_ms = 1;
    let forged = node.app.take_publication(forged).await;
    assert!(matches!(forged, Err(AppError::Signature(_))));
    let mut broken = rule_book();
    broken.tiers.clear();
    let broken = node.app.take_publication(publication(5, &broken)).await;
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
    node.publish(later).await;
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
    let order = |known| News::Renew {
        renewal: renewal.clone(),
        known,
    };
    let known = node.app.hello().unwrap().tip;
    // A till writes what the hub did not have when it ended the log: the log goes on.
    sell(&node, 2, 10_000).await;
    let outrun = node.app.hear(order(known)).await;
    assert_eq!(outrun, Err(AppError::OutOfOrder));
    let known = node.app.hello().unwrap().tip;
    assert_eq!(known.sequence, 2);
    node.hear(order(known)).await;
    let again = node.app.hear(order(known));
    assert_eq!(again.await, Err(AppError::OutOfOrder));
    let node = node.restart();
    let hello = node.app.hello().unwrap();
    assert_eq!((hello.incarnation, hello.tip.sequence), (Incarnation(2), 1));

    // A return names the purchase and its lot as the hub knows them.
    take_back(&node, 1).await;
    let renamed = OperationId {
        node: NodeId(1),
        incarnation: adopted,
        sequence: 1,
    };
    assert_eq!(withdrawn(&node, 1), (renamed, renamed));
    assert_eq!(node.balance(&ID.to_string()).await, 500);
}

#[tokio::test]
async fn the_log_of_a_former_incarnation_goes_in_small_steps() {
    /// More than one tick takes.
    const SALES: u64 = 700;
    const MEMBERS: u64 = 50;
    let engine = Arc::new(FaultyEngine::new());
    let node = Node::start_on(Arc::clone(&engine) as Arc<dyn Engine>, || NOW_MS).await;
    let buyer = |number: u64| MemberId(ID.0 + number % MEMBERS);
    let start = (0..MEMBERS).map(|number| feed_member(buyer(number), &stranger(0)));
    node.hear(News::Feed(batch(0, 1, 0, true, start.collect())))
        .await;
    for number in 1..=SALES {
        sell_to(&node, buyer(number), number, 10_000).await;
    }
    let adopted = Incarnation(Incarnation::ADOPTED_FIRST);
    let renewal = Renewal {
        next: Incarnation(2),
        adopted: Some(Adoption {
            from_sequence: 1,
            incarnation: adopted,
        }),
    };
    let known = node.app.hello().unwrap().tip;
    node.hear(News::Renew { renewal, known }).await;
    let log = || engine.count(Table::Log).unwrap();
    assert_eq!(log(), SALES + 1, "the first step is short");

    // What a till takes back before the sweep has come to it bears the hub's names.
    take_back(&node, SALES).await;
    let renamed = |sequence| OperationId {
        node: NodeId(1),
        incarnation: adopted,
        sequence,
    };
    assert_eq!(withdrawn(&node, 1), (renamed(SALES), renamed(SALES)));

    // All that is new is durable and pruned meanwhile: the log still goes on where it was, and not in the old one.
    let tip = node.app.hello().unwrap().tip;
    node.hear(News::Durable {
        incarnation: Incarnation(2),
        tip,
        verdicts: Vec::new(),
    })
    .await;
    let applied = AppliedLog {
        incarnation: Incarnation(2),
        sequence: tip.sequence,
    };
    node.hear(News::Feed(FeedBatch {
        applied,
        ..batch(1, 1, 0, true, Vec::new())
    }))
    .await;
    assert_eq!(log(), SALES);

    // A step that fails changes nothing, and a power loss between two steps undoes none.
    engine.fail_commit(0, Fault::Full);
    assert!(node.app.tick().await.is_err());
    assert_eq!(log(), SALES);
    node.app.tick().await.unwrap();
    let after_one = log();
    assert!(0 < after_one && after_one < SALES, "{after_one} left");
    engine.power_cut();
    let node = node.restart();
    assert_eq!(log(), after_one);
    let hello = node.app.hello().unwrap();
    assert_eq!((hello.incarnation, hello.tip), (Incarnation(2), tip));
    node.app.tick().await.unwrap();
    for table in [Table::Log, Table::Seals, Table::Pending] {
        assert_eq!(engine.count(table), Ok(0), "{table:?}");
    }
    // The other store's lot has kept its name, though its log has the same numbers.
    let stored = node.app.member(buyer(1)).unwrap().member;
    let lots = stored.accounts[&POINTS].lots.keys();
    let makers: BTreeSet<_> = lots
        .map(|lot| (lot.operation.node, lot.operation.incarnation))
        .collect();
    let expected = [(NodeId(1), adopted), (NodeId(2), Incarnation(1))];
    assert_eq!(makers, BTreeSet::from(expected));
    let buyer = buyer(1).to_string();
    let before = node.balance(&buyer).await;
    take_back(&node, 1).await;
    assert_eq!(node.balance(&buyer).await, before - 500);
    let outgoing = node.app.segment_after(tip).unwrap().unwrap();
    assert_eq!(withdrawn_in(outgoing, 0), (renamed(1), renamed(1)));
}

async fn take_back(node: &Node, receipt: u64) {
    let body = serde_json::json!({ "cashier": "c7", "receipt": { "number": receipt } });
    let key = format!("back-{receipt}");
    let (status, body) = node.call("POST", "/v1/returns", &key, body).await;
    assert_eq!(status, 200, "{body}");
}

/// The purchase that an operation of the second incarnation takes back, and the one whose points it withdraws.
fn withdrawn(node: &Node, index: usize) -> (OperationId, OperationId) {
    let base = Tip::genesis(NodeId(1), Incarnation(2));
    withdrawn_in(node.app.segment_after(base).unwrap().unwrap(), index)
}

fn withdrawn_in(outgoing: Outgoing, index: usize) -> (OperationId, OperationId) {
    let key = ed25519_dalek::SigningKey::from_bytes(&[2; 32]);
    let verified = outgoing.segment.verify(&PublicKey::of(&key)).unwrap();
    let Body::Return(reversal) = &verified.operations[index].body else {
        panic!("a return");
    };
    let lot = reversal.withdrawn[0].takes[0].lot;
    (reversal.purchase, lot.operation)
}
