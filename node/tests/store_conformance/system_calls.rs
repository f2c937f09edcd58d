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

/// How often the workload made each of the calls that write a file's data through.
struct Calls {
    fdatasync: u64,
    sync_file_range: u64,
}

fn count_calls(kind: &str) -> Calls {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let summary = directory.path().join("summary");
    let output = Command::new("strace")
        .args(["-f", "-c", "-U", "name,calls"])
        .args(["-e", "trace=fdatasync,fsync,sync_file_range", "-o"])
        .arg(&summary)
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
    let summary = std::fs::read_to_string(&summary).unwrap();
    let calls = |name: &str| {
        summary
            .lines()
            .filter_map(|line| line.split_once(' '))
            .find(|(call, _)| *call == name)
            .map_or(0, |(_, count)| count.trim().parse().unwrap())
    };
    Calls {
        fdatasync: calls("fdatasync"),
        sync_file_range: calls("sync_file_range"),
    }
}

#[test]
fn redb_syncs_once_a_commit() {
    let calls = count_calls("redb");
    assert!(calls.fdatasync >= COMMITS, "{} calls", calls.fdatasync);
    // Opening and closing, twice each, sync a few times more.
    assert!(calls.fdatasync <= COMMITS + 20, "{} calls", calls.fdatasync);
}

#[test]
fn sled_syncs_its_file_at_each_commit() {
    let calls = count_calls("sled");
    assert!(calls.sync_file_range >= COMMITS, "its flush has changed");
    // sled itself never calls fdatasync: these are the adapter's.
    assert!(calls.fdatasync >= COMMITS, "{} calls", calls.fdatasync);
}
