//! The engines under test, each in a place of its own that can be opened again.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use kopilka_node::store::faulty::FaultyEngine;
use kopilka_node::store::{self, CACHE_BYTES_DEFAULT, Engine, EngineKind, StoreError};
use tempfile::TempDir;

/// How often a store is opened that is locked.
const LOCKED_ATTEMPTS_MAX: u32 = 1_000;

pub(crate) enum Subject {
    Disk(EngineKind, TempDir),
    Memory(Arc<FaultyEngine>),
}

impl Subject {
    pub(crate) fn disk(kind: EngineKind) -> Self {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        Self::Disk(kind, directory)
    }

    pub(crate) fn memory() -> Self {
        Self::Memory(Arc::new(FaultyEngine::new()))
    }

    /// A folder of that name in the place of the store.
    pub(crate) fn directory(&self, name: &str) -> PathBuf {
        match self {
            Self::Disk(_, directory) => {
                let directory = directory.path().join(name);
                fs::create_dir_all(&directory).unwrap();
                directory
            }
            Self::Memory(_) => panic!("a store in memory has no folders"),
        }
    }

    /// Opens the store; whoever had it open has dropped it. In memory this is a power loss.
    pub(crate) fn open(&self) -> Arc<dyn Engine> {
        match self {
            Self::Disk(kind, directory) => open(*kind, directory.path()),
            Self::Memory(engine) => {
                engine.power_cut();
                engine.clone()
            }
        }
    }
}

/// Opens a store that nobody else has open. A process that another test starts holds copies of this one's
/// file locks until it runs its own program, so a lock may be held a moment longer than the store was open.
pub(crate) fn open(kind: EngineKind, directory: &Path) -> Arc<dyn Engine> {
    for _ in 0..LOCKED_ATTEMPTS_MAX {
        match store::open(kind, directory, CACHE_BYTES_DEFAULT) {
            Err(StoreError::Locked) => thread::sleep(Duration::from_millis(1)),
            opened => return opened.unwrap(),
        }
    }
    panic!("the store stays locked");
}

pub(crate) fn journal_path(kind: EngineKind, directory: &Path) -> PathBuf {
    directory.join(match kind {
        EngineKind::Redb => "store.redb.journal",
        EngineKind::Sled => "store.sled.journal",
    })
}
