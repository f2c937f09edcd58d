//! Counts system calls: a commit returns only after the disk was told to sync.

use std::env;
use std::process::Command;

use kopilka_node::store::{Batch, EngineKind, Table};

use crate::subject::open;

const COMMITS: u64 = 50;

/// The tests below run this one alone under strace.
const WORKLOAD: &str = "system_calls::commits_are_there_after_reopening";
const KIND_VARIABLE: &str = "STORE_WORKLOAD_ENGINE";

#[test]
fn commits_are_there_after_reopening() {
    let kind = match env::var(KIND_VARIABLE).as_deref() {
        Err(_) | Ok("redb") => EngineKind::Redb,
        Ok("sled") => EngineKind::Sled,
        Ok(other) => panic!("no engine {other}"),
    };
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let engine = open(kind, directory.path());
    for number in 0..COMMITS {
        let mut batch = Batch::new();
        batch.put(Table::Log, number.to_be_bytes(), vec![1; 400]);
        engine.commit(&batch).unwrap();
    }
    drop(engine);
    assert_eq!(
        open(kind, directory.path()).count(Table::Log).unwrap(),
        COMMITS
    );
}

/// How often the workload synced files of each kind.
struct Syncs {
    journal: u64,
    engine: u64,
}

fn count_syncs(kind: &str) -> Syncs {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let log = directory.path().join("log");
    let output = Command::new("strace")
        .args(["-f", "-y", "-e", "trace=fdatasync,sync_file_range", "-o"])
        .arg(&log)
        .arg(env::current_exe().unwrap())
        .args(["--exact", WORKLOAD])
        .env(KIND_VARIABLE, kind)
        .output()
        .unwrap_or_else(|error| panic!("strace ({error}): apt-get install -y strace"));
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let log = std::fs::read_to_string(&log).unwrap();
    let count = |file: &str| {
        let calls = log.lines().filter(|line| line.contains("fdatasync("));
        let calls = calls.filter(|line| line.contains(file));
        u64::try_from(calls.count()).unwrap()
    };
    match kind {
        "redb" => Syncs {
            journal: count("/store.redb.journal>"),
            engine: count("/store.redb>"),
        },
        "sled" => Syncs {
            journal: count("/store.sled.journal>"),
            engine: count("/store.sled/db>"),
        },
        other => panic!("no engine {other}"),
    }
}

#[test]
fn each_commit_syncs_the_journal_once() {
    for kind in ["redb", "sled"] {
        let syncs = count_syncs(kind);
        assert_eq!(syncs.journal, COMMITS, "{kind}");
        // Both openings end in a checkpoint; sled itself never calls fdatasync.
        assert!(syncs.engine >= 2, "{kind}: {}", syncs.engine);
        assert!(syncs.engine <= 20, "{kind}: {}", syncs.engine);
    }
}
