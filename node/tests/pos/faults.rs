//! A full disk and a clock that jumps: tills get a clear answer, and selling goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kopilka_crdt::clock::CLOCK_JUMP_MS_MAX;
use kopilka_crdt::ids::{Incarnation, NodeId};
use kopilka_crdt::log::Tip;
use kopilka_crdt::operation::Body;
use kopilka_node::app::News;
use kopilka_node::store::Engine;
use kopilka_node::store::faulty::{Fault, FaultyEngine};
use kopilka_protocol::key::PublicKey;

use crate::common::{NOW_MS, Node, sale};

const CARD: &str = "79927398713";

fn bodies(node: &Node) -> Vec<Body> {
    let base = Tip::genesis(NodeId(1), Incarnation(1));
    let outgoing = node.app.segment_after(base).unwrap().unwrap();
    let key = ed25519_dalek::SigningKey::from_bytes(&[2; 32]);
    let verified = outgoing.segment.verify(&PublicKey::of(&key)).unwrap();
    verified
        .operations
        .into_iter()
        .map(|received| received.body)
        .collect()
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_loses_nothing() {
    let engine = Arc::new(FaultyEngine::new());
    let node = Node::start_on(Arc::clone(&engine) as Arc<dyn Engine>, || NOW_MS).await;
    let member = node.enrol(CARD).await;
    let body = sale(&member, 1, 10_000);
    for fault in [Fault::Full, Fault::Io] {
        engine.fail_commit(0, fault);
        let (status, refused) = node.call("POST", "/v1/purchases", "1", body.clone()).await;
        let expected = match fault {
            Fault::Full => (507, "storage_full"),
            Fault::Io | Fault::IoAfterSync => (500, "internal"),
        };
        assert_eq!((status, refused["code"].as_str().unwrap()), expected);
        assert_eq!(node.balance(&member).await, 25_000, "reads go on");
    }
    // The answer was an error, but the sale is on the disk: the retry finds it.
    engine.fail_commit(0, Fault::IoAfterSync);
    let (status, _) = node.call("POST", "/v1/purchases", "1", body.clone()).await;
    assert_eq!(status, 500);
    let (status, sold) = node.call("POST", "/v1/purchases", "1", body).await;
    assert_eq!((status, &sold["state"]), (201, &"confirmed".into()));
    let (status, _) = node
        .call("POST", "/v1/purchases", "2", sale(&member, 2, 10_000))
        .await;
    assert_eq!(status, 201);
    engine.power_cut();
    assert_eq!(node.balance(&member).await, 26_000);
    assert_eq!(
        bodies(&node).len(),
        3,
        "an enrolment and two sales, one chain"
    );
}

#[tokio::test]
async fn a_clock_that_jumps_is_marked_once_and_selling_goes_on() {
    static CLOCK: AtomicU64 = AtomicU64::new(NOW_MS);
    let node = Node::start_with_clock(|| CLOCK.load(Ordering::Relaxed)).await;
    let member = node.enrol(CARD).await;
    let steps = [
        (NOW_MS - CLOCK_JUMP_MS_MAX, true),
        (NOW_MS - CLOCK_JUMP_MS_MAX - 1_000, false),
        (NOW_MS - CLOCK_JUMP_MS_MAX - 900, false),
        (NOW_MS + 1_000, true),
    ];
    for (number, (now_ms, trusted)) in (1..).zip(steps) {
        CLOCK.store(now_ms, Ordering::Relaxed);
        let body = sale(&member, number, 10_000);
        let key = number.to_string();
        assert_eq!(node.call("POST", "/v1/purchases", &key, body).await.0, 201);
        assert_eq!(
            node.get("/v1/sync").await.1["clock_trusted"],
            trusted,
            "{now_ms}"
        );
    }
    // Forward by more than a day, until the hub's clock says the same.
    CLOCK.store(NOW_MS + 3 * 86_400_000, Ordering::Relaxed);
    node.app.tick().await.unwrap();
    assert_eq!(node.get("/v1/sync").await.1["clock_trusted"], false);
    node.hear(News::Time {
        hub_ms: NOW_MS + 3 * 86_400_000 + 5,
    })
    .await;
    node.app.tick().await.unwrap();
    assert_eq!(node.get("/v1/sync").await.1["clock_trusted"], true);
    let marks: Vec<bool> = bodies(&node)
        .iter()
        .filter_map(|body| {
            if let Body::ClockMark(mark) = body {
                Some(mark.trusted)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(marks, [false, true, false, true]);
}
