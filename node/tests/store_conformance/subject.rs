//! The engines under test, each in a place of its own that can be opened again.

use std::path::Path;
use std::sync::Arc;

use kopilka_node::store::faulty::FaultyEngine;
use kopilka_node::store::{self, CACHE_BYTES_DEFAULT, Engine, EngineKind};
use tempfile::TempDir;

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

pub(crate) fn open(kind: EngineKind, directory: &Path) -> Arc<dyn Engine> {
    store::open(kind, directory, CACHE_BYTES_DEFAULT).unwrap()
}
