//! Handshakes on loopback: who is admitted, who is not, and what each side then knows of the other.

use std::net::SocketAddr;

use ed25519_dalek::SigningKey;
use kopilka_shell::frame_io::{FrameError, read_frame, write_frame};
use kopilka_shell::quic::{
    ClientEndpoint, ExpectedKey, PeerKey, QuicError, peer_key, server_endpoint,
};
use quinn::ConnectionError;
use tokio::net::UdpSocket;
use tokio::sync::watch;

use crate::impostor;

const FRAME_BYTES_MAX: usize = 1_000;

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

struct Pair {
    server: quinn::Endpoint,
    client: ClientEndpoint,
}

impl Pair {
    fn new() -> Self {
        Self {
            server: server_endpoint(loopback(), &key(1)).unwrap(),
            client: ClientEndpoint::new(loopback(), &key(2)).unwrap(),
        }
    }

    /// What each side makes of one handshake.
    async fn shake(
        &self,
        expected: ExpectedKey,
    ) -> (
        Result<quinn::Connection, QuicError>,
        Result<quinn::Connection, ConnectionError>,
    ) {
        let address = self.server.local_addr().unwrap();
        let accepted = async { self.server.accept().await.unwrap().await };
        tokio::join!(self.client.connect(address, expected), accepted)
    }
}

#[tokio::test]
async fn both_sides_learn_the_key_of_the_other() {
    let server_key = PeerKey::from(&key(1));
    for expected in [
        ExpectedKey::Exact(server_key),
        ExpectedKey::Fingerprint(server_key.fingerprint()),
    ] {
        let (dialled, accepted) = Pair::new().shake(expected).await;
        assert_eq!(peer_key(&dialled.unwrap()).unwrap(), server_key);
        assert_eq!(
            peer_key(&accepted.unwrap()).unwrap(),
            PeerKey::from(&key(2))
        );
    }
}

#[tokio::test]
async fn another_key_of_the_server_is_refused_and_named() {
    let other = PeerKey::from(&key(3));
    for expected in [
        ExpectedKey::Exact(other),
        ExpectedKey::Fingerprint(other.fingerprint()),
    ] {
        let (dialled, accepted) = Pair::new().shake(expected).await;
        let error = dialled.unwrap_err();
        assert!(
            matches!(error, QuicError::UnexpectedKey { offered } if offered == PeerKey::from(&key(1))),
            "{error}"
        );
        assert!(accepted.is_err());
    }
}

#[tokio::test]
async fn frames_cross_and_the_limit_holds() {
    let expected = ExpectedKey::Exact(PeerKey::from(&key(1)));
    let (dialled, accepted) = Pair::new().shake(expected).await;
    let (dialled, accepted) = (dialled.unwrap(), accepted.unwrap());

    let mut sending = dialled.open_uni().await.unwrap();
    write_frame(&mut sending, b"first", FRAME_BYTES_MAX)
        .await
        .unwrap();
    write_frame(&mut sending, &[0; FRAME_BYTES_MAX + 1], usize::MAX)
        .await
        .unwrap();
    sending.finish().unwrap();

    let mut receiving = accepted.accept_uni().await.unwrap();
    let first = read_frame(&mut receiving, FRAME_BYTES_MAX).await.unwrap();
    assert_eq!(first.unwrap(), b"first");
    let second = read_frame(&mut receiving, FRAME_BYTES_MAX).await;
    assert!(
        matches!(second, Err(FrameError::Oversized { len_bytes, .. }) if len_bytes == FRAME_BYTES_MAX + 1)
    );
}

#[tokio::test]
async fn a_stream_reset_within_a_frame_is_no_clean_end() {
    let expected = ExpectedKey::Exact(PeerKey::from(&key(1)));
    let (dialled, accepted) = Pair::new().shake(expected).await;
    let (dialled, accepted) = (dialled.unwrap(), accepted.unwrap());
    let mut sending = dialled.open_uni().await.unwrap();
    sending.write_all(&[9, 0, 0, 0, 1]).await.unwrap();
    let mut receiving = accepted.accept_uni().await.unwrap();
    sending.reset(7_u32.into()).unwrap();
    let read = read_frame(&mut receiving, FRAME_BYTES_MAX).await;
    assert!(matches!(read, Err(FrameError::Io(_))), "{read:?}");
}

#[tokio::test]
async fn the_server_admits_nobody_who_proves_no_key_or_shows_that_of_another() {
    let pair = Pair::new();
    let impostors = [
        ("no key", impostor::without_key()),
        (
            "the key of another",
            impostor::with_key_of(&key(3), &key(2)),
        ),
    ];
    for (what, config) in impostors {
        let address = pair.server.local_addr().unwrap();
        let endpoint = pair.client.endpoint();
        let connecting = endpoint.connect_with(config, address, "kopilka").unwrap();
        let dialled = async {
            // In TLS 1.3 a client is done before the server has judged it, and hears of the refusal afterwards.
            match connecting.await {
                Ok(connection) => connection.closed().await,
                Err(error) => error,
            }
        };
        let accepted = async { pair.server.accept().await.unwrap().await };
        let (refusal, accepted) = tokio::join!(dialled, accepted);
        assert!(accepted.is_err(), "{what}");
        assert!(
            matches!(refusal, ConnectionError::ConnectionClosed(_)),
            "{what}: {refusal}"
        );
    }
}

#[tokio::test]
async fn an_honest_client_made_by_hand_is_admitted() {
    let pair = Pair::new();
    let config = impostor::with_key_of(&key(2), &key(2));
    let address = pair.server.local_addr().unwrap();
    let endpoint = pair.client.endpoint();
    let connecting = endpoint.connect_with(config, address, "kopilka").unwrap();
    let accepted = async { pair.server.accept().await.unwrap().await };
    let (dialled, accepted) = tokio::join!(connecting, accepted);
    dialled.unwrap();
    assert_eq!(
        peer_key(&accepted.unwrap()).unwrap(),
        PeerKey::from(&key(2))
    );
}

/// Carries packets between one client and whichever server `target` names.
async fn relay(store_side: UdpSocket, target: watch::Receiver<SocketAddr>) {
    let hub_side = UdpSocket::bind(loopback()).await.unwrap();
    let (mut up, mut down) = (vec![0; 65_535], vec![0; 65_535]);
    let mut client = None;
    loop {
        tokio::select! {
            received = store_side.recv_from(&mut up) => {
                let (length, from) = received.unwrap();
                client = Some(from);
                let server = *target.borrow();
                hub_side.send_to(&up[..length], server).await.unwrap();
            }
            received = hub_side.recv_from(&mut down) => {
                let (length, _) = received.unwrap();
                store_side.send_to(&down[..length], client.unwrap()).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_server_resets_connections_of_another_one_with_its_key() {
    let before = server_endpoint(loopback(), &key(1)).unwrap();
    let after = server_endpoint(loopback(), &key(1)).unwrap();
    let (target, watched) = watch::channel(before.local_addr().unwrap());
    let line = UdpSocket::bind(loopback()).await.unwrap();
    let address = line.local_addr().unwrap();
    let carrying = tokio::spawn(relay(line, watched));
    let client = ClientEndpoint::new(loopback(), &key(2)).unwrap();
    let expected = ExpectedKey::Exact(PeerKey::from(&key(1)));
    let accepted = async { before.accept().await.unwrap().await };
    let (dialled, accepted) = tokio::join!(client.connect(address, expected), accepted);
    let (dialled, _accepted) = (dialled.unwrap(), accepted.unwrap());

    target.send_replace(after.local_addr().unwrap());
    let mut stream = dialled.open_uni().await.unwrap();
    stream.write_all(&[7; 100]).await.unwrap();
    let ended = tokio::time::timeout(std::time::Duration::from_secs(5), dialled.closed()).await;
    assert_eq!(ended.unwrap(), ConnectionError::Reset);
    carrying.abort();
}

#[tokio::test]
async fn a_taken_address_is_told_apart() {
    let first = server_endpoint(loopback(), &key(1)).unwrap();
    let error = server_endpoint(first.local_addr().unwrap(), &key(1)).unwrap_err();
    assert!(
        matches!(&error, QuicError::Socket { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse),
        "{error}"
    );
}
