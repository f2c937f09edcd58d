//! Counts system calls: a commit returns only after the disk was told to sync.

use std::env;
use std::path::Path;
use std::process::Command;

use kopilka_node::store::{Batch, EngineKind, Table};

use crate::subject::open;

const COMMITS: u64 = 50;

const WORKLOAD: &str = "system_calls::workload";
const KIND_VARIABLE: &str = "STORE_WORKLOAD_ENGINE";
const DIRECTORY_VARIABLE: &str = "STORE_WORKLOAD_DIRECTORY";

#[test]
#[ignore = "the two tests below run it under strace"]
fn workload() {
    let kind = match env::var(KIND_VARIABLE).unwrap().as_str() {
        "redb" => EngineKind::Redb,
        "sled" => EngineKind::Sled,
        other => panic!("no engine {other}"),
    };
    let directory = env::var(DIRECTORY_VARIABLE).unwrap();
    let engine = open(kind, Path::new(&directory));
    for number in 0..COMMITS {
        let mut batch = Batch::new();
        batch.put(Table::Log, number.to_be_bytes(), vec![1; 400]);
        engine.commit(&batch).unwrap();
    }
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
        .args(["--exact", WORKLOAD, "--ignored"])
        .env(KIND_VARIABLE, kind)
        .env(DIRECTORY_VARIABLE, directory.path())
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
    // Opening and closing sync a few times more.
    assert!(calls.fdatasync <= COMMITS + 10, "{} calls", calls.fdatasync);
}

#[test]
fn sled_syncs_its_file_at_each_commit() {
    let calls = count_calls("sled");
    assert!(calls.sync_file_range >= COMMITS, "its flush has changed");
    // sled itself never calls fdatasync: these are the adapter's.
    assert!(calls.fdatasync >= COMMITS, "{} calls", calls.fdatasync);
}
