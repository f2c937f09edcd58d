//! What a peer that is sent away gets to read.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use ed25519_dalek::SigningKey;
use kopilka_crdt::ids::{Incarnation, NodeId};
use kopilka_crdt::log::Tip;
use kopilka_hub::app::Hub;
use kopilka_hub::store::{self, StoreSettings};
use kopilka_hub::sync::SyncServer;
use kopilka_protocol::codec::{decode, encode};
use kopilka_protocol::limits::{FRAME_BYTES_MAX, PROTOCOL_VERSION};
use kopilka_protocol::message::{Hello, HubMessage, Opening, Refusal, Seen};
use kopilka_shell::clock;
use kopilka_shell::frame_io::{read_frame, write_frame};
use kopilka_shell::quic::{ClientEndpoint, ExpectedKey, PeerKey};
use kopilka_shell::shutdown;
use quinn::Connection;
use tempfile::TempDir;

/// How slowly a slow peer reads; far longer than an acknowledgement takes on one machine.
const SLOWNESS: Duration = Duration::from_millis(500);

fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

struct Serving {
    address: SocketAddr,
    key: PeerKey,
    _trigger: shutdown::ShutdownTrigger,
    _folder: TempDir,
}

impl Serving {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = StoreSettings::Sqlite {
            path: folder.path().join("hub.sqlite"),
        };
        let store = store::open(&settings).await.unwrap();
        let hub = Hub::new(store, SigningKey::from_bytes(&[1; 32]), clock::now_ms);
        let key = PeerKey(hub.public_key().0);
        let server = SyncServer::bind(hub, any_port()).unwrap();
        let address = server.address().unwrap();
        let (trigger, shutdown) = shutdown::channel();
        tokio::spawn(server.serve(shutdown));
        Self {
            address,
            key,
            _trigger: trigger,
            _folder: folder,
        }
    }

    /// A connection with a key that the hub does not know.
    async fn stranger(&self) -> (ClientEndpoint, Connection) {
        let endpoint = ClientEndpoint::new(any_port(), &SigningKey::from_bytes(&[2; 32])).unwrap();
        let expected = ExpectedKey::Exact(self.key);
        let connection = endpoint.connect(self.address, expected).await.unwrap();
        (endpoint, connection)
    }
}

fn hello() -> Opening {
    let (node, incarnation) = (NodeId(5), Incarnation(1));
    Opening::Session(Hello {
        protocol: PROTOCOL_VERSION,
        program: "by hand".to_owned(),
        node,
        incarnation,
        tip: Tip::genesis(node, incarnation),
        seen: Seen::default(),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_peer_reads_why_it_is_sent_away() {
    let serving = Serving::start().await;
    let (_endpoint, connection) = serving.stranger().await;
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    let frame = encode(&hello()).unwrap();
    write_frame(&mut send, &frame, FRAME_BYTES_MAX)
        .await
        .unwrap();
    let cut_off = tokio::time::timeout(SLOWNESS, connection.closed()).await;
    assert!(cut_off.is_err(), "closed before the peer read: {cut_off:?}");
    let frame = read_frame(&mut receive, FRAME_BYTES_MAX).await.unwrap();
    let told: HubMessage = decode(&frame.unwrap()).unwrap();
    assert_eq!(told, HubMessage::Refused(Refusal::UnknownKey));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_does_not_go_is_cut_off() {
    let serving = Serving::start().await;
    let (_endpoint, connection) = serving.stranger().await;
    let (mut send, _receive) = connection.open_bi().await.unwrap();
    let frame = encode(&hello()).unwrap();
    write_frame(&mut send, &frame, FRAME_BYTES_MAX)
        .await
        .unwrap();
    let patience = Duration::from_secs(30);
    let closed = tokio::time::timeout(patience, connection.closed())
        .await
        .unwrap();
    let by_hub = matches!(
        closed,
        quinn::ConnectionError::ApplicationClosed(ref close) if &close.reason[..] == b"refused"
    );
    assert!(by_hub, "{closed}");
}
