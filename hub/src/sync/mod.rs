//! The hub's QUIC side: accepts nodes, tells who they are by their keys, and runs what they open.

mod deliveries;
mod publications;
mod requests;
mod session;
mod streams;
mod upkeep;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kopilka_protocol::codec::{decode, encode};
use kopilka_protocol::key::PublicKey;
use kopilka_protocol::limits::FRAME_BYTES_MAX;
use kopilka_protocol::message::{HubMessage, Opening, Refusal, Reply};
use kopilka_shell::frame_io::{FrameError, FrameReader, write_frame};
use kopilka_shell::quic::{QuicError, peer_key, server_endpoint};
use kopilka_shell::shutdown::Shutdown;
use quinn::{Connection, Endpoint, Incoming, RecvStream, SendStream};
use tokio::sync::Semaphore;

use crate::app::Hub;
use crate::app::entities::NodeEntity;
use crate::app::intake::Intake;
use crate::store::StoreError;
use deliveries::Deliveries;
use publications::Publications;

/// Connections that one process serves.
const CONNECTIONS_MAX: usize = 16_384;
/// How long a peer may take to say what it wants of a stream.
const OPENING_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a peer that is sent away may take to read why.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(5);
/// How long connections are given to close when the process ends.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);

/// A bound listener.
pub struct SyncServer {
    endpoint: Endpoint,
    context: Context,
}

/// What every connection needs.
#[derive(Clone)]
struct Context {
    hub: Hub,
    intake: Intake,
    deliveries: Deliveries,
    publications: Publications,
}

/// Why a stream ended early. The connection goes on.
#[derive(Debug, thiserror::Error)]
enum StreamError {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("the connection ended: {0}")]
    Connection(#[from] quinn::ConnectionError),
    #[error("the stream was closed by the peer")]
    Closed,
    #[error("the peer broke the protocol: {0}")]
    Protocol(#[from] kopilka_protocol::codec::CodecError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Transfer(#[from] kopilka_protocol::publication::TransferError),
    #[error(transparent)]
    Snapshot(#[from] crate::app::feed::SnapshotError),
    #[error("refused: {0}")]
    Refused(Refusal),
}

impl SyncServer {
    /// Binds the listener and starts intake.
    pub fn bind(hub: Hub, address: SocketAddr) -> Result<Self, QuicError> {
        let endpoint = server_endpoint(address, &hub.key)?;
        let intake = Intake::start(hub.clone());
        let deliveries = Deliveries::start(hub.clone());
        let publications = Publications::new(hub.clone());
        Ok(Self {
            endpoint,
            context: Context {
                hub,
                intake,
                deliveries,
                publications,
            },
        })
    }

    /// Where it listens.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// Serves until shutdown is requested, then closes what is open.
    pub async fn serve(self, shutdown: Shutdown) {
        let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let upkeep = tokio::spawn(upkeep::run(self.context.hub.clone()));
        loop {
            let incoming = tokio::select! {
                incoming = self.endpoint.accept() => incoming,
                () = shutdown.requested() => None,
            };
            let Some(incoming) = incoming else { break };
            let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
                incoming.refuse();
                continue;
            };
            let context = self.context.clone();
            tokio::spawn(async move {
                accept(context, incoming).await;
                drop(slot);
            });
        }
        upkeep.abort();
        self.endpoint.close(0_u8.into(), b"the hub is going down");
        let _ = tokio::time::timeout(DRAIN_TIMEOUT, self.endpoint.wait_idle()).await;
        self.context.deliveries.flush().await;
    }
}

async fn accept(context: Context, incoming: Incoming) {
    let from = incoming.remote_address();
    let connection = match incoming.await {
        Ok(connection) => connection,
        Err(error) => {
            tracing::debug!(%from, %error, "a handshake failed");
            return;
        }
    };
    let Ok(key) = peer_key(&connection) else {
        connection.close(1_u8.into(), b"no key");
        return;
    };
    let key = PublicKey(key.0);
    metrics::gauge!("kopilka_hub_connections").increment(1.0);
    while let Ok((send, receive)) = connection.accept_bi().await {
        let (context, connection) = (context.clone(), connection.clone());
        tokio::spawn(async move {
            if let Err(error) = open(&context, &connection, key, send, receive).await {
                tracing::debug!(%error, %from, "a stream ended early");
            }
        });
    }
    metrics::gauge!("kopilka_hub_connections").decrement(1.0);
}

async fn open(
    context: &Context,
    connection: &Connection,
    key: PublicKey,
    mut send: SendStream,
    receive: RecvStream,
) -> Result<(), StreamError> {
    let mut frames = FrameReader::new(receive, FRAME_BYTES_MAX);
    let first = tokio::time::timeout(OPENING_TIMEOUT, frames.next())
        .await
        .map_err(|_| StreamError::Closed)??;
    let opening: Opening = decode(&first.ok_or(StreamError::Closed)?)?;
    if let Opening::Enrol(request) = &opening {
        let reply = match context.hub.enrol_node(key, request).await? {
            Ok(enrolled) => Reply::Enrolled(enrolled),
            Err(refusal) => Reply::Refused(refusal),
        };
        return requests::finish(&mut send, &reply).await;
    }
    let node = match context.hub.node_of(&key).await? {
        Ok(node) => node,
        Err(refusal) => return refuse(connection, &mut send, &opening, refusal).await,
    };
    match opening {
        Opening::Session(hello) => {
            session::run(context, connection, node, hello, send, frames).await
        }
        Opening::Reserve(request) => requests::reserve(context, &node, &request, send).await,
        Opening::Find(hash) => requests::find(context, &node, hash, send).await,
        Opening::Snapshot(request) => requests::snapshot(context, &node, request, send).await,
        Opening::Publication(number) => requests::publication(context, &node, number, send).await,
        Opening::Sold(query) => requests::sold(context, &node, &query, send).await,
        Opening::Enrol(_) => Err(StreamError::Refused(Refusal::Unexpected)),
    }
}

/// Tells a stranger why, in the form that the stream expects, and closes the connection.
async fn refuse(
    connection: &Connection,
    send: &mut SendStream,
    opening: &Opening,
    refusal: Refusal,
) -> Result<(), StreamError> {
    let frame = match opening {
        Opening::Session(_) => encode(&HubMessage::Refused(refusal))?,
        Opening::Enrol(_)
        | Opening::Reserve(_)
        | Opening::Find(_)
        | Opening::Snapshot(_)
        | Opening::Publication(_)
        | Opening::Sold(_) => encode(&Reply::Refused(refusal))?,
    };
    write_frame(send, &frame, FRAME_BYTES_MAX).await?;
    close_after(connection, send).await;
    Err(StreamError::Refused(refusal))
}

/// Lets the peer read what was sent. A connection that is closed drops what has arrived and was not read yet, so the
/// peer is to close it; one that does not in time is cut off.
async fn close_after(connection: &Connection, send: &mut SendStream) {
    let _ = send.finish();
    let _ = tokio::time::timeout(FAREWELL_TIMEOUT, connection.closed()).await;
    connection.close(2_u8.into(), b"refused");
}

/// Whether a node may still work; asked whenever head office changed something.
async fn still_welcome(hub: &Hub, node: &NodeEntity) -> Result<bool, StoreError> {
    Ok(hub.node_of(&node.key).await?.is_ok())
}
