//! Disk space: some kept in reserve for opening a store on a full disk, and a probe for more.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::StoreError;

/// What is kept in reserve, bytes: for what sled's recovery and the replay of a journal write while a store
/// opens, and for a new journal.
const RESERVE_BYTES: u64 = 4 << 20;

/// The least room that is asked for, bytes: a small commit of either engine with much to spare.
const PROBE_BYTES_MIN: u64 = 1 << 20;

const CHUNK: [u8; 16 << 10] = [0x5a; 16 << 10];

/// A file that only takes space, so that it can be given back in need.
pub(super) struct Reserve {
    reserve: PathBuf,
    probe: PathBuf,
}

impl Reserve {
    /// The reserve of the store in `directory`; nothing is taken yet.
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            reserve: directory.join("space.reserve"),
            probe: directory.join("space.probe"),
        }
    }

    /// Fills the reserve as far as the disk allows; false when the disk is full before it is whole.
    pub(super) fn take(&self) -> bool {
        match fill(&self.reserve, RESERVE_BYTES).map_err(StoreError::from) {
            Ok(()) => true,
            Err(StoreError::Full) => false,
            Err(
                error @ (StoreError::Corrupt(_)
                | StoreError::Locked
                | StoreError::Io(_)
                | StoreError::Version(_)),
            ) => {
                tracing::warn!(%error, "no disk space kept in reserve");
                true
            }
        }
    }

    /// Gives the reserve back to the file system.
    pub(super) fn release(&self) -> Result<(), StoreError> {
        remove(&self.reserve)
    }

    /// Whether the disk has room for a batch of `batch_bytes`.
    ///
    /// The copy-on-write engines write several times what they are given, hence the factor.
    pub(super) fn has_room(&self, batch_bytes: u64) -> Result<bool, StoreError> {
        let wanted = batch_bytes.saturating_mul(4).max(PROBE_BYTES_MIN);
        let filled = fill(&self.probe, wanted).map_err(StoreError::from);
        remove(&self.probe)?;
        match filled {
            Ok(()) => Ok(true),
            Err(StoreError::Full) => Ok(false),
            Err(
                error @ (StoreError::Corrupt(_)
                | StoreError::Locked
                | StoreError::Io(_)
                | StoreError::Version(_)),
            ) => Err(error),
        }
    }
}

/// Appends to a file until it has `bytes`; what fitted before an error stays.
fn fill(path: &Path, bytes: u64) -> io::Result<()> {
    let mut file = File::options().create(true).append(true).open(path)?;
    let missing = bytes.saturating_sub(file.metadata()?.len());
    let mut missing = usize::try_from(missing).unwrap_or(usize::MAX);
    while missing > 0 {
        let length = missing.min(CHUNK.len());
        file.write_all(&CHUNK[..length])?;
        missing -= length;
    }
    // File systems that allocate late say only here that there is no room.
    file.sync_data()
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}
