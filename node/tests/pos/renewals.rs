//! Incarnations that end while tills sell, with a hub on real QUIC: nothing that was acknowledged is left behind.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};

use ed25519_dalek::SigningKey;
use kopilka_crdt::ids::{Incarnation, LotId, MemberId, NodeId, OperationId};
use kopilka_crdt::log::Tip;
use kopilka_crdt::operation::{Body, Purchase};
use kopilka_node::app::News;
use kopilka_node::sync;
use kopilka_protocol::codec::{decode, encode};
use kopilka_protocol::key::PublicKey;
use kopilka_protocol::limits::{FRAME_BYTES_MAX, PROTOCOL_VERSION};
use kopilka_protocol::message::{
    Adoption, Hello, HubMessage, NodeMessage, Opening, Renewal, Standing, Welcome,
};
use kopilka_protocol::segment::Received;
use kopilka_shell::frame_io::{FrameReader, write_frame};
use kopilka_shell::quic::server_endpoint;
use kopilka_shell::shutdown;
use quinn::{Connection, Endpoint, RecvStream, SendStream};
use serde_json::json;

use crate::common::{NOW_MS, Node, batch, feed_member, hub_key, sale, stranger, with};

const ID: MemberId = MemberId(77);
const FIRST: Incarnation = Incarnation(1);

/// One session, from the hub's side.
struct Session {
    hello: Hello,
    send: SendStream,
    frames: FrameReader<RecvStream>,
    connection: Connection,
}

impl Session {
    async fn accept(hub: &Endpoint) -> Self {
        let connection = hub.accept().await.unwrap().await.unwrap();
        let (send, receive) = connection.accept_bi().await.unwrap();
        let mut frames = FrameReader::new(receive, FRAME_BYTES_MAX);
        let first = frames.next().await.unwrap().unwrap();
        let Opening::Session(hello) = decode(&first).unwrap() else {
            panic!("a hello");
        };
        Self {
            hello,
            send,
            frames,
            connection,
        }
    }

    async fn say(&mut self, message: &HubMessage) {
        let frame = encode(message).unwrap();
        write_frame(&mut self.send, &frame, FRAME_BYTES_MAX)
            .await
            .unwrap();
    }

    async fn welcome(&mut self, standing: Standing) {
        self.say(&HubMessage::Welcome(Welcome {
            protocol: PROTOCOL_VERSION,
            hub_ms: NOW_MS,
            partitions: 1,
            standing,
            snapshot_at: vec![0],
        }))
        .await;
    }

    /// All runs of the branch that the node was asked for.
    async fn branch(&mut self) -> Vec<Received> {
        let key = PublicKey::of(&SigningKey::from_bytes(&[2; 32]));
        let mut operations = Vec::new();
        loop {
            let frame = self.frames.next().await.unwrap().unwrap();
            let NodeMessage::Branch { segment, last, .. } = decode(&frame).unwrap() else {
                continue;
            };
            operations.extend(segment.verify(&key).unwrap().operations);
            if last {
                return operations;
            }
        }
    }

    async fn end(mut self) {
        self.send.finish().unwrap();
        let _ = self.send.stopped().await;
        self.connection.closed().await;
    }
}

fn renewal(next: u32, adopted: bool) -> Renewal {
    let adoption = Adoption {
        from_sequence: 1,
        incarnation: Incarnation(Incarnation::ADOPTED_FIRST),
    };
    Renewal {
        next: Incarnation(next),
        adopted: adopted.then_some(adoption),
    }
}

async fn node_with_member() -> Node {
    let node = Node::start().await;
    let members = vec![feed_member(ID, &stranger(0))];
    node.hear(News::Feed(batch(0, 1, 0, true, members))).await;
    node
}

/// Gives the operation that the till was told.
async fn sell(node: &Node, number: u64) -> OperationId {
    let body = sale(&ID.to_string(), number, 10_000);
    let key = format!("sale-{number}");
    let (status, sold) = node.call("POST", "/v1/purchases", &key, body).await;
    assert_eq!(status, 201, "{sold}");
    sold["operation_id"].as_str().unwrap().parse().unwrap()
}

/// Runs the node's sync loop beside what the hub does.
async fn beside<T>(node: &Node, hub: &Endpoint, script: impl Future<Output = T>) -> T {
    let (_trigger, shutdown) = shutdown::channel();
    let address = hub.local_addr().unwrap().to_string();
    let key = SigningKey::from_bytes(&[2; 32]);
    let mut dialling = pin!(sync::run(node.app.clone(), key, address, shutdown));
    tokio::select! {
        () = &mut dialling => panic!("it dials until it is stopped"),
        done = script => done,
    }
}

fn serve() -> Endpoint {
    server_endpoint("127.0.0.1:0".parse().unwrap(), &hub_key()).unwrap()
}

async fn until_renewed(node: &Node, next: u32) {
    let mut written = node.app.written();
    let renewed = written.wait_for(|written| written.identity.incarnation == Incarnation(next));
    renewed.await.unwrap();
}

#[tokio::test]
async fn what_is_sold_while_the_hub_says_that_the_node_is_behind_is_sent() {
    let (node, hub) = (node_with_member().await, serve());
    let script = async {
        let mut session = Session::accept(&hub).await;
        assert_eq!(session.hello.tip.sequence, 0);
        let late = sell(&node, 1).await;
        session.welcome(Standing::Behind(renewal(2, false))).await;
        session.end().await;

        let mut session = Session::accept(&hub).await;
        let greeted = (session.hello.incarnation, session.hello.tip.sequence);
        assert_eq!(greeted, (FIRST, 1), "the log goes on until the hub has it");
        session.welcome(Standing::Diverged).await;
        let branch = session.branch().await;
        assert_eq!(branch.last().unwrap().id, late);
        session.say(&HubMessage::Renew(renewal(3, true))).await;
        session.end().await;
        until_renewed(&node, 3).await;
    };
    beside(&node, &hub, script).await;
}

#[tokio::test]
async fn what_is_sold_between_a_branch_and_its_renewal_is_sent() {
    let (node, hub) = (node_with_member().await, serve());
    sell(&node, 1).await;
    let script = async {
        let mut session = Session::accept(&hub).await;
        session.welcome(Standing::Diverged).await;
        assert_eq!(session.branch().await.len(), 1);
        let late = sell(&node, 2).await;
        session.say(&HubMessage::Renew(renewal(2, true))).await;
        session.end().await;

        let mut session = Session::accept(&hub).await;
        assert_eq!(session.hello.incarnation, FIRST);
        session.welcome(Standing::Diverged).await;
        assert_eq!(session.branch().await.last().unwrap().id, late);
        session.say(&HubMessage::Renew(renewal(3, true))).await;
        session.end().await;
        until_renewed(&node, 3).await;
    };
    beside(&node, &hub, script).await;
}

#[tokio::test]
async fn a_log_that_ends_in_a_session_has_its_rest_sent_first() {
    let (node, hub) = (node_with_member().await, serve());
    let script = async {
        let mut session = Session::accept(&hub).await;
        let tip = session.hello.tip;
        session.welcome(Standing::Continue(tip)).await;
        // Another disk of this node took the next incarnation; this sale is refused a place in the log.
        let late = sell(&node, 1).await;
        session.say(&HubMessage::Renew(renewal(2, false))).await;
        session.end().await;

        let mut session = Session::accept(&hub).await;
        assert_eq!(session.hello.tip.sequence, late.sequence);
        session.welcome(Standing::Diverged).await;
        assert_eq!(session.branch().await.last().unwrap().id, late);
        session.say(&HubMessage::Renew(renewal(3, true))).await;
        session.end().await;
        until_renewed(&node, 3).await;
    };
    beside(&node, &hub, script).await;
}

#[tokio::test]
async fn tills_that_always_outrun_the_hub_wait_for_one_session() {
    /// Sessions that tills may outrun before they are held back.
    const OUTRUN: u32 = 3;
    let (node, hub) = (node_with_member().await, serve());
    sell(&node, 1).await;
    let script = async {
        for round in 0..OUTRUN {
            let mut session = Session::accept(&hub).await;
            session.welcome(Standing::Diverged).await;
            session.branch().await;
            sell(&node, u64::from(round) + 2).await;
            let order = renewal(round + 2, true);
            session.say(&HubMessage::Renew(order)).await;
            session.end().await;
        }
        let mut session = Session::accept(&hub).await;
        // A sale that came first now would be in the way of this renewal too, and this would not end.
        let late = sell(&node, 99);
        let renewed = async {
            session.welcome(Standing::Diverged).await;
            let sent = session.branch().await.last().unwrap().id;
            assert_eq!(sent.sequence, u64::from(OUTRUN) + 1, "all was sent");
            let order = renewal(OUTRUN + 2, true);
            session.say(&HubMessage::Renew(order)).await;
            session.end().await;
        };
        let (late, ()) = tokio::join!(late, renewed);
        assert_eq!(late.incarnation, Incarnation(OUTRUN + 2));
    };
    beside(&node, &hub, script).await;
}

#[tokio::test]
async fn a_mark_of_the_clock_alone_holds_no_renewal_up() {
    let (node, hub) = (node_with_member().await, serve());
    let script = async {
        let mut session = Session::accept(&hub).await;
        // The hub's time is another day's, so the node says in its log that its clock is not believed.
        session
            .say(&HubMessage::Welcome(Welcome {
                protocol: PROTOCOL_VERSION,
                hub_ms: NOW_MS + 86_400_000,
                partitions: 1,
                standing: Standing::Behind(renewal(2, false)),
                snapshot_at: vec![0],
            }))
            .await;
        session.end().await;
        until_renewed(&node, 2).await;
    };
    beside(&node, &hub, script).await;
}

fn last_sale(node: &Node) -> Purchase {
    let start = Tip::genesis(NodeId(1), node.app.identity().incarnation);
    let outgoing = node.app.segment_after(start).unwrap().unwrap();
    let key = PublicKey::of(&SigningKey::from_bytes(&[2; 32]));
    let mut run = outgoing.segment.verify(&key).unwrap();
    let Body::Purchase(purchase) = run.operations.pop().unwrap().body else {
        panic!("a sale comes last");
    };
    purchase
}

/// A sale that takes what the one before it earned is confirmed after the incarnation of both has ended.
async fn confirmed_after_a_renewal(node: Node, wait: impl AsyncFn(&Node)) {
    let member = feed_member(ID, &stranger(0));
    node.hear(News::Feed(batch(0, 1, 0, true, vec![member])))
        .await;
    let earner = sell(&node, 1).await;
    let held = with(
        sale(&ID.to_string(), 2, 10_000),
        json!({ "redeem": 400, "confirm": false }),
    );
    let (status, held) = node.call("POST", "/v1/purchases", "2", held).await;
    assert_eq!(status, 201, "{held}");
    wait(&node).await;
    let before = node.balance(&ID.to_string()).await;
    let known = node.app.hello().unwrap().tip;
    let renewal = renewal(2, true);
    node.hear(News::Renew { renewal, known }).await;
    assert_eq!(node.balance(&ID.to_string()).await, before);
    let name = held["purchase_id"].as_str().unwrap();
    let path = format!("/v1/purchases/{name}/confirm");
    let (status, sold) = node
        .call("POST", &path, "3", json!({ "cashier": "c7" }))
        .await;
    assert_eq!(status, 200, "{sold}");
    let signed = last_sale(&node);
    let lot = LotId {
        operation: OperationId {
            incarnation: Incarnation(Incarnation::ADOPTED_FIRST),
            ..earner
        },
        index: 0,
    };
    assert_eq!(signed.redeemed.unwrap().takes[0].lot, lot);
    assert!(signed.authority.unwrap().uses.is_empty(), "it ended");
    // The sale took 400 of 500, and earned 480 with what was paid in money.
    assert_eq!(node.balance(&ID.to_string()).await, 580);
}

#[tokio::test]
async fn a_sale_that_waits_while_its_incarnation_ends_takes_what_the_hub_took_over() {
    let node = Node::start().await;
    confirmed_after_a_renewal(node, async |node| {
        assert_eq!(node.balance(&ID.to_string()).await, 100, "it is held");
    })
    .await;
}

#[tokio::test]
async fn a_sale_that_lapsed_before_its_incarnation_ended_is_honoured_as_well() {
    static CLOCK: AtomicU64 = AtomicU64::new(NOW_MS);
    let node = Node::start_with_clock(|| CLOCK.load(Ordering::Relaxed)).await;
    confirmed_after_a_renewal(node, async |node| {
        CLOCK.store(NOW_MS + 3_600_000, Ordering::Relaxed);
        node.app.tick().await.unwrap();
        assert_eq!(node.balance(&ID.to_string()).await, 500, "it has lapsed");
    })
    .await;
}
