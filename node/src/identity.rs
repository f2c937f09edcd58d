//! Who the node is: what the hub told it when it enrolled, and the first exchange that does so.

use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use kopilka_crdt::ids::{Incarnation, NodeId, ProgrammeId, StoreId};
use kopilka_protocol::codec::{self, CodecError};
use kopilka_protocol::enrolment::EnrolmentCode;
use kopilka_protocol::key::PublicKey;
use kopilka_protocol::limits::FRAME_BYTES_MAX;
use kopilka_protocol::message::{EnrolRequest, Enrolled, Opening, Refusal, Reply};
use kopilka_shell::frame_io::{FrameError, read_frame, write_frame};
use kopilka_shell::key_file::{self, KeyFileError};
use kopilka_shell::quic::{ClientEndpoint, ExpectedKey, QuicError};
use serde::{Deserialize, Serialize};

use crate::record;
use crate::store::{Batch, Engine, StoreError, Table};

/// In `Meta`: the identity.
const IDENTITY: &[u8] = b"identity";
/// In `Meta`: `host:port` of the hub, as the enrolment code named it.
const HUB_ADDRESS: &[u8] = b"hub_address";
/// The key file within the node's data folder.
const KEY_FILE: &str = "node.key";
/// How long enrolment may take.
const ENROL_TIMEOUT: Duration = Duration::from_secs(20);

/// The node's place in the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its number.
    pub node: NodeId,
    /// The incarnation that it writes under.
    pub incarnation: Incarnation,
    /// Its programme.
    pub programme: ProgrammeId,
    /// Its store.
    pub store: StoreId,
    /// The hub's key.
    pub hub: PublicKey,
}

impl Identity {
    /// The identity in a store; none before the node enrolled.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn read(engine: &dyn Engine) -> Result<Option<Self>, StoreError> {
        engine
            .read(Table::Meta, IDENTITY)?
            .map(|bytes| record::decode(&bytes))
            .transpose()
    }

    /// Writes the identity into a new store, with the hub's `host:port`.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn write(&self, engine: &dyn Engine, hub_address: &str) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        let (key, value) = self.row();
        batch.put(Table::Meta, key, value);
        batch.put(Table::Meta, HUB_ADDRESS, record::encode(&hub_address));
        engine.commit(&batch)
    }

    /// The row that holds it in `Meta`.
    pub(crate) fn row(&self) -> (Vec<u8>, Vec<u8>) {
        (IDENTITY.to_vec(), record::encode(self))
    }
}

impl From<Enrolled> for Identity {
    fn from(enrolled: Enrolled) -> Self {
        Self {
            node: enrolled.node,
            incarnation: enrolled.incarnation,
            programme: enrolled.programme,
            store: enrolled.store,
            hub: enrolled.hub,
        }
    }
}

/// The hub's `host:port` from the enrolment; none before the node enrolled.
///
/// # Errors
/// When the store cannot be read.
pub fn hub_address(engine: &dyn Engine) -> Result<Option<String>, StoreError> {
    engine
        .read(Table::Meta, HUB_ADDRESS)?
        .map(|bytes| record::decode(&bytes))
        .transpose()
}

/// Where a node's key lies within its data folder.
pub fn key_path(data_dir: &Path) -> PathBuf {
    data_dir.join(KEY_FILE)
}

/// Why a node could not enrol.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// It is enrolled.
    #[error("this node is enrolled already, as {0}")]
    AlreadyEnrolled(NodeId),
    /// The hub's address has no IP address now.
    #[error("cannot find the hub's address {address}")]
    Address {
        /// As the code names it.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The key file cannot be used.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// The hub cannot be reached, or it is not the one that gave the code.
    #[error("cannot reach the hub")]
    Quic(#[from] QuicError),
    /// The connection broke.
    #[error("the connection to the hub broke")]
    Connection(#[from] quinn::ConnectionError),
    /// A frame could not be moved.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A frame could not be read.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The hub said no.
    #[error("the hub refused: {0}")]
    Refused(Refusal),
    /// The hub's answer is not one to this question.
    #[error("the hub's answer makes no sense")]
    Unexpected,
    /// No answer within 20 seconds.
    #[error("the hub did not answer within 20 seconds")]
    Timeout,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Enrols with a one-time code: makes the node's key, presents it, and keeps what the hub answers.
///
/// # Errors
/// See [`EnrolError`]. The key file stays, so that trying again presents the same key.
pub async fn enrol(
    code: &EnrolmentCode,
    data_dir: &Path,
    engine: &dyn Engine,
) -> Result<Identity, EnrolError> {
    if let Some(identity) = Identity::read(engine)? {
        return Err(EnrolError::AlreadyEnrolled(identity.node));
    }
    let key = key_file::load_or_create(&key_path(data_dir))?;
    let address = resolve(&code.hub_address).await?;
    let unspecified = match address {
        SocketAddr::V4(_) => SocketAddr::from(([0, 0, 0, 0], 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let endpoint = ClientEndpoint::new(unspecified, &key)?;
    let answer = tokio::time::timeout(ENROL_TIMEOUT, present(&endpoint, address, code)).await;
    let identity = Identity::from(answer.map_err(|_| EnrolError::Timeout)??);
    if identity.hub.fingerprint() != code.fingerprint {
        return Err(EnrolError::Unexpected);
    }
    identity.write(engine, &code.hub_address)?;
    Ok(identity)
}

/// The first address of a `host:port`.
async fn resolve(address: &str) -> Result<SocketAddr, EnrolError> {
    let failed = |source| EnrolError::Address {
        address: address.to_owned(),
        source,
    };
    let mut found = tokio::net::lookup_host(address).await.map_err(failed)?;
    found
        .next()
        .ok_or_else(|| failed(std::io::ErrorKind::NotFound.into()))
}

async fn present(
    endpoint: &ClientEndpoint,
    address: SocketAddr,
    code: &EnrolmentCode,
) -> Result<Enrolled, EnrolError> {
    let expected = ExpectedKey::Fingerprint(code.fingerprint);
    let connection = endpoint.connect(address, expected).await?;
    let (mut send, mut receive) = connection.open_bi().await?;
    let opening = Opening::Enrol(EnrolRequest {
        secret: code.secret,
        program: env!("CARGO_PKG_VERSION").to_owned(),
    });
    write_frame(&mut send, &codec::encode(&opening)?, FRAME_BYTES_MAX).await?;
    let frame = read_frame(&mut receive, FRAME_BYTES_MAX).await?;
    let reply = codec::decode(&frame.ok_or(EnrolError::Unexpected)?)?;
    connection.close(0_u8.into(), b"enrolled");
    match reply {
        Reply::Enrolled(enrolled) => Ok(enrolled),
        Reply::Refused(refusal) => Err(EnrolError::Refused(refusal)),
        Reply::Reserved(_)
        | Reply::Short { .. }
        | Reply::Found(_)
        | Reply::Page(_)
        | Reply::Publication(_)
        | Reply::Rules(_)
        | Reply::Sold(_) => Err(EnrolError::Unexpected),
    }
}
