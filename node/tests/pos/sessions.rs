//! Sessions over real QUIC, with a hub that closes the connection as soon as it has said why.

use std::pin::pin;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use kopilka_crdt::ids::Incarnation;
use kopilka_node::sync;
use kopilka_protocol::codec::{decode, encode};
use kopilka_protocol::limits::{FRAME_BYTES_MAX, PROTOCOL_VERSION};
use kopilka_protocol::message::{HubMessage, Opening, Refusal, Renewal, Standing, Welcome};
use kopilka_shell::frame_io::{FrameReader, write_frame};
use kopilka_shell::quic::server_endpoint;
use kopilka_shell::shutdown;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use quinn::{Connection, Endpoint, RecvStream, SendStream};

use crate::common::{NOW_MS, Node, hub_key};

/// A choice that fell on the reason by chance would have to do so each time.
const ROUNDS: usize = 8;

/// A session as a hub made by hand keeps it.
pub struct Session {
    pub connection: Connection,
    send: SendStream,
    /// Kept, since a dropped one would stop what the node sends.
    _frames: FrameReader<RecvStream>,
}

impl Session {
    /// Takes a node's session up and lets it go on from wherever it says that it stands.
    pub async fn accept(hub: &Endpoint) -> Self {
        let connection = hub.accept().await.unwrap().await.unwrap();
        let (send, receive) = connection.accept_bi().await.unwrap();
        let mut frames = FrameReader::new(receive, FRAME_BYTES_MAX);
        let first = frames.next().await.unwrap().unwrap();
        let Opening::Session(hello) = decode(&first).unwrap() else {
            panic!("a hello");
        };
        let mut session = Self {
            connection,
            send,
            _frames: frames,
        };
        let welcome = Welcome {
            protocol: PROTOCOL_VERSION,
            hub_ms: NOW_MS,
            partitions: 1,
            standing: Standing::Continue(hello.tip),
            snapshot_at: vec![0],
        };
        session.say(&HubMessage::Welcome(welcome)).await;
        session
    }

    async fn say(&mut self, message: &HubMessage) {
        let frame = encode(message).unwrap();
        write_frame(&mut self.send, &frame, FRAME_BYTES_MAX)
            .await
            .unwrap();
    }

    /// Closes once the node's machine, though not yet the node, has all that was said.
    async fn close(mut self) {
        self.send.finish().unwrap();
        let _ = self.send.stopped().await;
        self.connection.close(2_u8.into(), b"over");
    }
}

/// Waits without a bound of its own: the condition comes, or the whole test hangs.
async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn count(handle: &PrometheusHandle, name: &str) -> usize {
    let text = handle.render();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name} in:\n{text}"))
        .trim()
        .parse()
        .unwrap()
}

/// Runs a session whose last frames, and whose end, come while the node is busy with something else.
async fn session_that_ends(
    node: &Node,
    hub: &Endpoint,
    last_frames: &[HubMessage],
    is_noticed: impl Fn() -> bool,
) {
    let (_trigger, shutdown) = shutdown::channel();
    let address = hub.local_addr().unwrap().to_string();
    let key = SigningKey::from_bytes(&[2; 32]);
    let mut dialling = pin!(sync::run(node.app.clone(), key, address, shutdown));
    let joined = async {
        let session = Session::accept(hub).await;
        until(|| node.app.hub().is_connected()).await;
        session
    };
    let mut session = tokio::select! {
        () = &mut dialling => panic!("it dials until it is stopped"),
        session = joined => session,
    };
    for frame in last_frames {
        session.say(frame).await;
    }
    session.close().await;
    until(|| !node.app.hub().is_connected()).await;
    tokio::select! {
        () = &mut dialling => panic!("it dials until it is stopped"),
        () = until(is_noticed) => {}
    }
}

#[tokio::test]
async fn a_refusal_is_seen_though_the_connection_closes_behind_it() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _local = metrics::set_default_local_recorder(&recorder);
    let node = Node::start().await;
    node.enrol("79927398713").await;
    let hub = server_endpoint("127.0.0.1:0".parse().unwrap(), &hub_key()).unwrap();
    let refusal = HubMessage::Refused(Refusal::Revoked);
    // The second way, the node answers a frame before the last one, and runs into the closed connection.
    let ways = [vec![refusal.clone()], vec![HubMessage::SendBranch, refusal]];
    for round in 1..=ROUNDS {
        let refused = || count(&handle, "kopilka_node_sessions_refused_total");
        let failed = || count(&handle, "kopilka_node_sessions_failed_total");
        let is_noticed = || refused() + failed() == round;
        session_that_ends(&node, &hub, &ways[round % 2], is_noticed).await;
        assert_eq!((refused(), failed()), (round, 0));
        assert_eq!(count(&handle, "kopilka_node_sessions_total"), round);
    }
}

#[tokio::test]
async fn a_renewal_is_obeyed_though_the_connection_closes_behind_it() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _local = metrics::set_default_local_recorder(&recorder);
    let node = Node::start().await;
    let hub = server_endpoint("127.0.0.1:0".parse().unwrap(), &hub_key()).unwrap();
    for next in 2..5 {
        let renewal = Renewal {
            next: Incarnation(next),
            adopted: None,
        };
        let failed = || count(&handle, "kopilka_node_sessions_failed_total");
        let is_noticed = || node.app.identity().incarnation == Incarnation(next) || failed() > 0;
        session_that_ends(&node, &hub, &[HubMessage::Renew(renewal)], is_noticed).await;
        assert_eq!(node.app.identity().incarnation, Incarnation(next));
    }
}
