//! What an engine says of a store that it cannot use, and what a power loss leaves.

use std::fs;
use std::path::Path;

use kopilka_node::store::faulty::{Fault, FaultyEngine};
use kopilka_node::store::{
    self, Batch, CACHE_BYTES_DEFAULT, Engine as _, EngineKind, StoreError, Table,
};
use redb::{Database, TableDefinition};

use crate::subject::{journal_path, open};

const KINDS: [EngineKind; 2] = [EngineKind::Redb, EngineKind::Sled];

#[test]
fn a_store_opens_once_at_a_time() {
    for kind in KINDS {
        let directory = tempfile::tempdir().unwrap();
        let first = open(kind, directory.path());
        let second = store::open(kind, directory.path(), CACHE_BYTES_DEFAULT);
        assert_eq!(second.err(), Some(StoreError::Locked), "{kind:?}");
        drop(first);
        open(kind, directory.path());
    }
}

#[test]
fn another_format_is_refused() {
    for kind in KINDS {
        let directory = tempfile::tempdir().unwrap();
        drop(open(kind, directory.path()));
        match kind {
            EngineKind::Redb => {
                let database = Database::open(directory.path().join("store.redb")).unwrap();
                let format = TableDefinition::<(), u32>::new("format");
                let transaction = database.begin_write().unwrap();
                transaction
                    .open_table(format)
                    .unwrap()
                    .insert((), 9)
                    .unwrap();
                transaction.commit().unwrap();
            }
            EngineKind::Sled => {
                let database = sled::open(directory.path().join("store.sled")).unwrap();
                database.insert([0], &[9]).unwrap();
                database.flush().unwrap();
            }
        }
        let opened = store::open(kind, directory.path(), CACHE_BYTES_DEFAULT);
        assert!(
            matches!(opened.err(), Some(StoreError::Version(_))),
            "{kind:?}"
        );
    }
}

/// A store as it was written before there were journals, with one row.
fn write_without_journal(kind: EngineKind, directory: &Path) {
    match kind {
        EngineKind::Redb => {
            let database = Database::create(directory.join("store.redb")).unwrap();
            let transaction = database.begin_write().unwrap();
            for table in Table::ALL {
                let table = TableDefinition::<&[u8], &[u8]>::new(table.name());
                transaction.open_table(table).unwrap();
            }
            let log = TableDefinition::<&[u8], &[u8]>::new("log");
            let mut log = transaction.open_table(log).unwrap();
            log.insert(&b"key"[..], &b"value"[..]).unwrap();
            drop(log);
            let format = TableDefinition::<(), u32>::new("format");
            let mut format = transaction.open_table(format).unwrap();
            format.insert((), 1).unwrap();
            drop(format);
            transaction.commit().unwrap();
        }
        EngineKind::Sled => {
            let database = sled::open(directory.join("store.sled")).unwrap();
            database.insert([0], &[1]).unwrap();
            database.insert(b"\x05key", b"value").unwrap();
            database.flush().unwrap();
        }
    }
}

#[test]
fn a_store_without_a_journal_gets_one() {
    for kind in KINDS {
        let directory = tempfile::tempdir().unwrap();
        write_without_journal(kind, directory.path());
        for _ in 0..2 {
            let engine = open(kind, directory.path());
            let stored = engine.read(Table::Log, b"key").unwrap();
            assert_eq!(stored.as_deref(), Some(&b"value"[..]), "{kind:?}");
            let journal = fs::metadata(journal_path(kind, directory.path())).unwrap();
            assert!(engine.disk_bytes().unwrap() > journal.len());
        }
        // What the journal held is gone with it, and nobody is told that all is well.
        fs::remove_file(journal_path(kind, directory.path())).unwrap();
        let opened = store::open(kind, directory.path(), CACHE_BYTES_DEFAULT);
        assert!(
            matches!(opened.err(), Some(StoreError::Corrupt(_))),
            "{kind:?}"
        );
    }
}

#[test]
fn a_journal_of_another_format_is_refused() {
    for kind in KINDS {
        let directory = tempfile::tempdir().unwrap();
        drop(open(kind, directory.path()));
        let path = journal_path(kind, directory.path());
        let mut journal = fs::read(&path).unwrap();
        journal[8] = 9;
        fs::write(&path, journal).unwrap();
        let opened = store::open(kind, directory.path(), CACHE_BYTES_DEFAULT);
        assert!(
            matches!(opened.err(), Some(StoreError::Version(_))),
            "{kind:?}"
        );
    }
}

#[test]
fn a_file_of_something_else_is_corrupt() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("store.redb"), [0x55; 64 << 10]).unwrap();
    let opened = store::open(EngineKind::Redb, directory.path(), CACHE_BYTES_DEFAULT);
    assert!(matches!(opened.err(), Some(StoreError::Corrupt(_))));
}

#[test]
fn a_power_cut_drops_what_was_not_synced() {
    let engine = FaultyEngine::new();
    let batch = |key: u8| {
        let mut batch = Batch::new();
        batch.put(Table::Log, [key], [key]);
        batch
    };
    engine.commit(&batch(1)).unwrap();
    engine.commit_relaxed(&batch(2)).unwrap();
    assert_eq!(engine.count(Table::Log), Ok(2));
    engine.power_cut();
    assert_eq!(engine.count(Table::Log), Ok(1));

    engine.commit_relaxed(&batch(3)).unwrap();
    engine.commit(&batch(4)).unwrap();
    engine.power_cut();
    assert_eq!(engine.count(Table::Log), Ok(3));

    engine.fail_commit(1, Fault::Full);
    engine.fail_commit(2, Fault::IoAfterSync);
    engine.commit(&batch(5)).unwrap();
    assert_eq!(engine.commit(&batch(6)), Err(StoreError::Full));
    assert!(matches!(engine.commit(&batch(7)), Err(StoreError::Io(_))));
    engine.commit(&batch(8)).unwrap();
    engine.power_cut();
    let keys = engine.scan(Table::Log, b"", None, 10).unwrap();
    let keys: Vec<u8> = keys.iter().map(|(key, _)| key[0]).collect();
    assert_eq!(keys, [1, 3, 4, 5, 7, 8]);
}
