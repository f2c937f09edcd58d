//! The least of a node that a hub will serve: a real connection with a real key, and the session's messages.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, ensure};
use ed25519_dalek::SigningKey;
use kopilka_crdt::log::Tip;
use kopilka_hub::app::entities::NodeEntity;
use kopilka_protocol::codec::{decode, encode};
use kopilka_protocol::key::PublicKey;
use kopilka_protocol::limits::{FRAME_BYTES_MAX, PROTOCOL_VERSION};
use kopilka_protocol::message::{Hello, HubMessage, NodeMessage, Opening, Seen, Standing};
use kopilka_shell::frame_io::{FrameReader, write_frame};
use kopilka_shell::quic::{ClientEndpoint, ExpectedKey, PeerKey};
use quinn::{Connection, RecvStream, SendStream};

/// An open session.
pub struct Session {
    /// The connection, for its streams and its statistics.
    pub connection: Connection,
    send: SendStream,
    frames: FrameReader<RecvStream>,
    _endpoint: ClientEndpoint,
}

impl Session {
    /// Dials the hub and says hello for an enrolled node with an empty log and an empty replica.
    pub async fn open(
        node: &NodeEntity,
        key: &SigningKey,
        hub: &PublicKey,
        address: SocketAddr,
    ) -> anyhow::Result<Self> {
        Self::open_with(node, key, hub, address, Seen::default()).await
    }

    /// The same for one that has `seen` of what the hub sends.
    pub async fn open_with(
        node: &NodeEntity,
        key: &SigningKey,
        hub: &PublicKey,
        address: SocketAddr,
        seen: Seen,
    ) -> anyhow::Result<Self> {
        let endpoint = ClientEndpoint::new((Ipv4Addr::LOCALHOST, 0).into(), key)?;
        let expected = ExpectedKey::Exact(PeerKey(hub.0));
        let connection = endpoint.connect(address, expected).await?;
        let (send, receive) = connection.open_bi().await?;
        let mut session = Self {
            connection,
            send,
            frames: FrameReader::new(receive, FRAME_BYTES_MAX),
            _endpoint: endpoint,
        };
        let hello = Hello {
            protocol: PROTOCOL_VERSION,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            node: node.id,
            incarnation: node.incarnation,
            tip: Tip::genesis(node.id, node.incarnation),
            seen,
        };
        session
            .send_frame(&encode(&Opening::Session(hello))?)
            .await?;
        let answer = session.receive().await?;
        let welcomed = matches!(&answer, HubMessage::Welcome(welcome)
            if matches!(welcome.standing, Standing::Continue(_)));
        ensure!(welcomed, "the hub did not welcome the node: {answer:?}");
        Ok(session)
    }

    /// Sends a message.
    pub async fn send(&mut self, message: &NodeMessage) -> anyhow::Result<()> {
        self.send_frame(&encode(message)?).await
    }

    async fn send_frame(&mut self, frame: &[u8]) -> anyhow::Result<()> {
        Ok(write_frame(&mut self.send, frame, FRAME_BYTES_MAX).await?)
    }

    /// The next message of the hub.
    pub async fn receive(&mut self) -> anyhow::Result<HubMessage> {
        let frame = self.frames.next().await?;
        Ok(decode(&frame.context("the hub ended the session")?)?)
    }
}
