//! The node's store: named tables of ordered keys, changed by atomic, durable batches.
//!
//! Engines know bytes only; what the bytes mean lives above them. Both engines are held to one
//! conformance suite (`tests/store_conformance.rs`), and `benches/commit.rs` sets their commit
//! beside a bare disk sync. Before both stands a journal, so that a commit costs one sync of one small
//! overwrite whichever engine it is; a kill or a power loss is followed by a replay when the store opens.
//!
//! `redb` is the default: it is maintained, its file stays bounded under overwrites, and what it holds in
//! memory is bounded by its cache while the disk has room. `sled` is offered because operators ask for
//! it by name: its last stable release is from 2021 and its own README points elsewhere where
//! reliability is the first concern.

mod batch;
pub mod faulty;
mod journal;
pub mod redb;
mod reopen;
pub mod sled;
mod space;
pub mod writer;

use std::io;
use std::path::Path;
use std::sync::Arc;

pub use batch::{Batch, Table, Write};

/// Bytes that relaxed commits may gather before an engine syncs of its own accord: it bounds the
/// memory of a bulk load, and the space that cannot be reused until a sync.
pub const RELAXED_BYTES_MAX: u64 = 8 << 20;

/// A key with its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// An ordered key-value engine with named tables.
///
/// Reads of several keys never see a part of a batch; a reader may see a whole batch a moment
/// before its commit returns. After an error a batch is in the store wholly or not at all, and
/// relaxed batches since the last durable commit may be gone: whoever keeps a copy in memory reads
/// it again.
pub trait Engine: Send + Sync + 'static {
    /// Applies all writes as one; returns when they, and every relaxed batch before them, survive
    /// a power loss.
    ///
    /// # Errors
    /// [`StoreError::Full`] leaves the store readable, and later commits succeed once there is
    /// space. After [`StoreError::Io`], a reader's included, the engine refuses to commit until
    /// the process restarts: the system may have dropped what it could not write while reporting
    /// later syncs as good.
    fn commit(&self, batch: &Batch) -> Result<(), StoreError>;

    /// Applies all writes without waiting for the disk (bulk loads); they become durable with the
    /// next [`commit`](Self::commit), or after [`RELAXED_BYTES_MAX`].
    ///
    /// Readers see the batch whole, but a power loss or an error may leave any number of its first
    /// writes: a mark of progress belongs at its end.
    ///
    /// # Errors
    /// As for [`commit`](Self::commit).
    fn commit_relaxed(&self, batch: &Batch) -> Result<(), StoreError>;

    /// The value under `key`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn read(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// The values under several keys, all as of one moment, in the order asked for.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn read_many(&self, keys: &[(Table, &[u8])]) -> Result<Vec<Option<Vec<u8>>>, StoreError>;

    /// Up to `limit` entries with `start <= key < end`, ascending; no `end` means to the last.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn scan(
        &self,
        table: Table,
        start: &[u8],
        end: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError>;

    /// The entry with the greatest key, or with the greatest key less than `below`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn last(&self, table: Table, below: Option<&[u8]>) -> Result<Option<Entry>, StoreError>;

    /// How many entries a table has. Constant time in redb; sled reads the whole table.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn count(&self, table: Table) -> Result<u64, StoreError>;

    /// Bytes that the store occupies on the disk.
    ///
    /// # Errors
    /// When the file system does not say.
    fn disk_bytes(&self) -> Result<u64, StoreError>;

    /// Gives unused space back to the file system; everything else waits meanwhile.
    ///
    /// # Errors
    /// As for [`commit`](Self::commit).
    fn compact(&self) -> Result<(), StoreError>;

    /// The engine's name, as in the configuration.
    fn name(&self) -> &'static str;
}

/// Why the store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No space is left on the disk, or the quota is used up.
    #[error("the disk is full")]
    Full,
    /// What is on the disk is not what was written.
    #[error("the store is corrupt: {0}")]
    Corrupt(String),
    /// Another process has the store open.
    #[error("the store is open in another process")]
    Locked,
    /// The system failed to read or write.
    #[error("the disk failed: {0}")]
    Io(String),
    /// The store was written in a format that this program does not read.
    #[error("the store has format {0}, which this version does not read")]
    Version(String),
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        let kind = error.kind();
        if matches!(
            kind,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        ) {
            Self::Full
        } else if kind == io::ErrorKind::InvalidData {
            Self::Corrupt(error.to_string())
        } else {
            Self::Io(error.to_string())
        }
    }
}

/// Which engine keeps a node's store.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    serde::Serialize,
    serde::Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum EngineKind {
    /// One file, a copy-on-write B-tree.
    #[default]
    Redb,
    /// A directory with a log-structured tree.
    Sled,
}

/// Cache of an engine when the configuration names none, bytes.
pub const CACHE_BYTES_DEFAULT: u64 = 32 << 20;

/// Opens the store in `directory`, which exists, or makes a new one there.
///
/// # Errors
/// [`StoreError::Locked`] when another process has it open; [`StoreError::Version`] and
/// [`StoreError::Corrupt`] when it cannot be used.
pub fn open(
    kind: EngineKind,
    directory: &Path,
    cache_bytes: u64,
) -> Result<Arc<dyn Engine>, StoreError> {
    Ok(match kind {
        EngineKind::Redb => Arc::new(redb::RedbEngine::open(directory, cache_bytes)?),
        EngineKind::Sled => Arc::new(sled::SledEngine::open(directory, cache_bytes)?),
    })
}
