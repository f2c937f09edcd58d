//! A full disk: commits are refused, reads go on, nothing is lost, and work resumes with space.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use kopilka_node::store::{Batch, Engine, EngineKind, StoreError, Table};
use tempfile::TempDir;

use crate::subject::open;

/// Commits after which a disk of a few MiB must have run full.
const COMMITS_MAX: u32 = 20_000;

/// A small file system of its own in memory, unmounted when dropped.
struct SmallDisk {
    directory: TempDir,
}

impl SmallDisk {
    fn mount(size: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = format!("size={size}");
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(directory.path()));
        Self { directory }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn resize(&self, size: &str) {
        let options = format!("remount,size={size}");
        run(Command::new("mount")
            .args(["-o", &options])
            .arg(self.path()));
    }

    /// Takes all the space that is left.
    fn fill(&self) -> PathBuf {
        let path = self.path().join("filler");
        let filled = fs::write(&path, vec![1; 96 << 20]);
        assert!(filled.is_err(), "the disk took more than it has");
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        run(Command::new("umount").arg("-l").arg(self.path()));
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?} failed, and this test needs the right to mount (run it as root): {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn sale(number: u32) -> Batch {
    let key = number.to_be_bytes();
    let mut batch = Batch::new();
    batch.put(Table::Log, key, vec![1; 700]);
    batch.put(Table::Receipts, key, vec![2; 300]);
    batch
}

/// Commits sales from `first` on until the disk is full, and gives the number of the refused one.
fn sell_until_full(engine: &dyn Engine, first: u32) -> u32 {
    for number in first..first + COMMITS_MAX {
        match engine.commit(&sale(number)) {
            Ok(()) => {}
            Err(error) => {
                assert_eq!(error, StoreError::Full);
                return number;
            }
        }
    }
    panic!("the disk does not fill up");
}

fn check_sales(engine: &dyn Engine, count: u32) {
    for number in 0..count {
        let key = number.to_be_bytes();
        let values = engine
            .read_many(&[(Table::Log, &key), (Table::Receipts, &key)])
            .unwrap();
        assert_eq!(values, [Some(vec![1; 700]), Some(vec![2; 300])]);
    }
    assert_eq!(engine.count(Table::Log), Ok(u64::from(count)));
    assert_eq!(engine.count(Table::Receipts), Ok(u64::from(count)));
}

/// A refused batch may be there all the same, but only wholly.
fn sales(engine: &dyn Engine, refused: u32) -> u32 {
    let there = engine.read(Table::Log, &refused.to_be_bytes()).unwrap();
    refused + u32::from(there.is_some())
}

fn check_engine(kind: EngineKind) {
    let disk = SmallDisk::mount("24m");
    let engine = open(kind, disk.path());
    let refused = sell_until_full(&*engine, 0);
    let count = sales(&*engine, refused);
    assert!(count > 100, "only {count} sales fitted");
    check_sales(&*engine, count);

    disk.fill();
    for _ in 0..3 {
        assert_eq!(engine.commit(&sale(count)), Err(StoreError::Full));
        check_sales(&*engine, count);
    }

    drop(engine);
    let engine = open(kind, disk.path());
    check_sales(&*engine, count);

    disk.resize("40m");
    engine.commit(&sale(count)).unwrap();
    engine.commit(&sale(count + 1)).unwrap();
    check_sales(&*engine, count + 2);

    let refused = sell_until_full(&*engine, count + 2);
    let count = sales(&*engine, refused);
    check_sales(&*engine, count);
    disk.resize("72m");
    engine.commit(&sale(count)).unwrap();
    drop(engine);
    let engine: Arc<dyn Engine> = open(kind, disk.path());
    check_sales(&*engine, count + 1);
}

#[test]
fn redb_outlives_a_full_disk() {
    check_engine(EngineKind::Redb);
}

#[test]
fn sled_outlives_a_full_disk() {
    check_engine(EngineKind::Sled);
}
