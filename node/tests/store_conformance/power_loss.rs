//! What is on the disk after a power loss or a kill: all that was acknowledged.

use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use kopilka_node::store::{self, CACHE_BYTES_DEFAULT};
use kopilka_node::store::{Batch, Engine, EngineKind, StoreError, Table};

use crate::subject::{Subject, journal_path, open};

const KINDS: [EngineKind; 2] = [EngineKind::Redb, EngineKind::Sled];

/// The killing test runs this one alone in a process of its own.
const WORKLOAD: &str = "power_loss::a_workload_commits_until_it_is_stopped";
const KIND_VARIABLE: &str = "STORE_KILLED_ENGINE";
const DIRECTORY_VARIABLE: &str = "STORE_KILLED_DIRECTORY";

/// Commits of the workload where nobody stops it.
const COMMITS: u32 = 40;

/// A sale; some are large, so that the journal fills up now and then.
fn sale(number: u32) -> Batch {
    let mut batch = Batch::new();
    batch.put(Table::Log, number.to_be_bytes(), value(number));
    batch.put(Table::Meta, *b"head", number.to_be_bytes());
    if let Some(before) = number.checked_sub(10) {
        batch.delete(Table::Pending, before.to_be_bytes());
    }
    batch.put(Table::Pending, number.to_be_bytes(), []);
    batch
}

fn value(number: u32) -> Vec<u8> {
    let bytes = if number.is_multiple_of(5) {
        20_000
    } else {
        500
    };
    vec![number.to_be_bytes()[3]; bytes]
}

/// The store is as after `count` sales.
fn check_sales(engine: &dyn Engine, count: u32) {
    assert_eq!(engine.count(Table::Log), Ok(u64::from(count)));
    for number in 0..count {
        let stored = engine.read(Table::Log, &number.to_be_bytes()).unwrap();
        assert_eq!(stored, Some(value(number)), "sale {number}");
    }
    let head = count.checked_sub(1).map(|last| last.to_be_bytes().to_vec());
    assert_eq!(engine.read(Table::Meta, b"head"), Ok(head));
    let pending = engine.scan(Table::Pending, b"", None, 100).unwrap();
    let first = count.saturating_sub(10);
    assert_eq!(pending.len(), usize::try_from(count - first).unwrap());
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}

#[test]
fn the_journal_alone_brings_commits_back() {
    for kind in KINDS {
        let subject = Subject::disk(kind);
        let (live, lost) = (subject.directory("live"), subject.directory("lost"));
        drop(open(kind, &live));
        // The disk kept nothing of the engine's files since they were opened.
        copy(&live, &lost);
        let engine = open(kind, &live);
        let opened = subject.directory("opened");
        copy(&live, &opened);
        for number in 0..20 {
            engine.commit(&sale(number)).unwrap();
        }
        fs::copy(journal_path(kind, &live), journal_path(kind, &opened)).unwrap();
        check_sales(&*open(kind, &opened), 20);
        // What was replayed is in the engine now, and goes on from there.
        let engine_again = open(kind, &opened);
        check_sales(&*engine_again, 20);
        engine_again.commit(&sale(20)).unwrap();
        drop(engine_again);
        check_sales(&*open(kind, &opened), 21);

        // A store from before the journal's entries is not what they belong to.
        fs::copy(journal_path(kind, &live), journal_path(kind, &lost)).unwrap();
        let refused = store::open(kind, &lost, CACHE_BYTES_DEFAULT).err();
        assert!(matches!(refused, Some(StoreError::Corrupt(_))), "{kind:?}");
    }
}

#[test]
fn a_torn_last_entry_is_dropped() {
    for kind in KINDS {
        let subject = Subject::disk(kind);
        let live = subject.directory("live");
        let engine = open(kind, &live);
        let opened = subject.directory("opened");
        copy(&live, &opened);
        let mut journals = Vec::new();
        for number in 0..6 {
            engine.commit(&sale(number)).unwrap();
            journals.push(fs::read(journal_path(kind, &live)).unwrap());
        }
        let (before, after) = (&journals[4], &journals[5]);
        let changed: Vec<usize> = (0..after.len())
            .filter(|at| before[*at] != after[*at])
            .collect();
        let (first, last) = (changed[0], changed[changed.len() - 1]);
        for cut in [first, first + 1, first + 512, first + 4096, last] {
            let torn = [&after[..cut], &before[cut..]].concat();
            let subject = Subject::disk(kind);
            let copied = subject.directory("copied");
            copy(&opened, &copied);
            fs::write(journal_path(kind, &copied), torn).unwrap();
            check_sales(&*open(kind, &copied), 5);
        }
        // The same in the middle is no end.
        let mut damaged = after.clone();
        damaged[4096 + 100] ^= 1;
        fs::write(journal_path(kind, &opened), damaged).unwrap();
        let refused = store::open(kind, &opened, CACHE_BYTES_DEFAULT).err();
        assert!(matches!(refused, Some(StoreError::Corrupt(_))), "{kind:?}");
    }
}

#[test]
fn bulk_loads_and_commits_keep_their_order() {
    for kind in KINDS {
        let subject = Subject::disk(kind);
        let directory = subject.directory("store");
        let mut engine = open(kind, &directory);
        let row = |value: u8| {
            let mut batch = Batch::new();
            batch.put(Table::Members, *b"member", [value]);
            batch
        };
        for value in 0..20 {
            engine.commit(&row(value)).unwrap();
            engine.commit_relaxed(&row(100 + value)).unwrap();
            if value % 2 == 0 {
                engine.commit(&Batch::new()).unwrap();
                drop(engine);
                engine = open(kind, &directory);
                let stored = engine.read(Table::Members, b"member").unwrap();
                assert_eq!(stored, Some(vec![100 + value]), "{kind:?}");
            }
        }
    }
}

#[test]
fn a_workload_commits_until_it_is_stopped() {
    let (Ok(kind), Ok(directory)) = (env::var(KIND_VARIABLE), env::var(DIRECTORY_VARIABLE)) else {
        for kind in KINDS {
            let subject = Subject::disk(kind);
            let engine = subject.open();
            for number in 0..COMMITS {
                engine.commit(&sale(number)).unwrap();
            }
            check_sales(&*engine, COMMITS);
        }
        return;
    };
    let kind = match kind.as_str() {
        "redb" => EngineKind::Redb,
        "sled" => EngineKind::Sled,
        other => panic!("no engine {other}"),
    };
    let engine = open(kind, Path::new(&directory));
    for number in 0..u32::MAX {
        engine.commit(&sale(number)).unwrap();
        println!("acknowledged {number}");
    }
}

/// Kills the workload when it has acknowledged the sale `last`; gives the last that it did acknowledge.
fn kill_after(kind: &str, directory: &Path, last: u32) -> u32 {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", WORKLOAD, "--nocapture"])
        .env(KIND_VARIABLE, kind)
        .env(DIRECTORY_VARIABLE, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acknowledged = None;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let number = line.strip_prefix("acknowledged ");
        let Some(number) = number.and_then(|number| number.parse().ok()) else {
            continue;
        };
        acknowledged = Some(number);
        if number == last {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    acknowledged.expect("the workload got as far as its first sale")
}

#[test]
fn a_killed_process_loses_nothing() {
    for (kind, name) in [(EngineKind::Redb, "redb"), (EngineKind::Sled, "sled")] {
        // The last of them is several journals long.
        for last in [0, 33, 1_000] {
            let subject = Subject::disk(kind);
            let directory = subject.directory("store");
            let acknowledged = kill_after(name, &directory, last);
            let engine = open(kind, &directory);
            let count = u32::try_from(engine.count(Table::Log).unwrap()).unwrap();
            // One more may have been on its way.
            assert!(
                (acknowledged + 1..=acknowledged + 2).contains(&count),
                "{name}: {acknowledged} acknowledged, {count} there"
            );
            check_sales(&*engine, count);
        }
    }
}
