//! The journal before an imaginary database that loses what it did not sync: what was acknowledged is there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use proptest::collection::vec;
use proptest::prelude::*;
use tempfile::TempDir;

use super::{Backing, Journaled};
use crate::store::reopen::Failure;
use crate::store::{Batch, StoreError, Table, Write};

/// Room for seven entries of a block.
const JOURNAL_BYTES: u64 = 8 << 12;

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Default, Clone, Debug)]
struct Disk {
    live: Rows,
    durable: Rows,
    unsynced: Vec<Write>,
    generation: u64,
    checkpoints: u64,
    /// Of checkpoints.
    refusal: Option<StoreError>,
    /// Of all writes.
    full: Option<StoreError>,
}

/// A handle of the database: the disk outlives it.
#[derive(Clone, Default)]
struct Database(Arc<Mutex<Disk>>);

impl Database {
    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap()
    }

    fn rows(&self) -> Rows {
        self.disk().live.clone()
    }
}

impl Disk {
    /// Keeps the first `survivors` of the writes that nobody synced: the system may have written them.
    fn power_cut(&mut self, survivors: usize) {
        let unsynced = std::mem::take(&mut self.unsynced);
        for write in unsynced.iter().take(survivors) {
            change(&mut self.durable, write);
        }
        self.live = self.durable.clone();
    }
}

fn change(rows: &mut Rows, write: &Write) {
    match write {
        Write::Put { key, value, .. } => rows.insert(key.clone(), value.clone()),
        Write::Delete { key, .. } => rows.remove(key),
    };
}

impl Backing for Database {
    fn generation(&self) -> Result<u64, Failure> {
        Ok(self.disk().generation)
    }

    fn refuses_whole(_: &Batch) -> bool {
        true
    }

    fn apply(&self, batch: &Batch) -> Result<(), Failure> {
        let mut disk = self.disk();
        if let Some(refusal) = disk.full.clone() {
            return Err(refusal.into());
        }
        for write in batch.writes() {
            change(&mut disk.live, write);
        }
        disk.unsynced.extend_from_slice(batch.writes());
        Ok(())
    }

    fn checkpoint(&self, batch: &Batch, generation: u64) -> Result<(), Failure> {
        if let Some(refusal) = self.disk().refusal.clone() {
            return Err(refusal.into());
        }
        self.apply(batch)?;
        let mut disk = self.disk();
        disk.unsynced.clear();
        disk.durable = disk.live.clone();
        disk.generation = generation;
        disk.checkpoints += 1;
        Ok(())
    }
}

struct Setting {
    _directory: TempDir,
    path: PathBuf,
    database: Database,
}

impl Setting {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            path: directory.path().join("journal"),
            _directory: directory,
            database: Database::default(),
        }
    }

    fn open(&self) -> Result<Journaled<Database>, StoreError> {
        open(&self.path, &self.database)
    }
}

fn open(path: &Path, database: &Database) -> Result<Journaled<Database>, StoreError> {
    Journaled::open(path, JOURNAL_BYTES, || {
        database.disk().power_cut(0);
        Ok(database.clone())
    })
}

fn batch(changes: &[Change]) -> Batch {
    let mut batch = Batch::new();
    for (key, value) in changes {
        match value {
            Some(value) => batch.put(Table::Log, [*key], vec![*value; usize::from(*value) * 30]),
            None => batch.delete(Table::Log, [*key]),
        }
    }
    batch
}

fn ok(result: Result<(), Failure>) {
    assert_eq!(result.map_err(StoreError::from), Ok(()));
}

fn refused(result: Result<(), Failure>) -> StoreError {
    result.map_err(StoreError::from).unwrap_err()
}

fn put(key: u8, value: u8) -> Batch {
    batch(&[(key, Some(value))])
}

#[test]
fn commits_need_no_checkpoint_until_the_journal_is_full() {
    let setting = Setting::new();
    let journaled = setting.open().unwrap();
    for number in 0..7 {
        ok(journaled.commit(&put(number, 1)));
    }
    assert_eq!(setting.database.disk().checkpoints, 1, "only the opening's");
    ok(journaled.commit(&put(7, 1)));
    assert_eq!(setting.database.disk().checkpoints, 2);
    ok(journaled.commit(&put(8, 1)));
    drop(journaled);
    setting.open().unwrap();
    assert_eq!(setting.database.rows().len(), 9);
}

#[test]
fn a_store_that_had_no_journal_gets_one() {
    let setting = Setting::new();
    let rows = Rows::from([(vec![1], vec![1])]);
    setting.database.disk().durable = rows.clone();
    let journaled = setting.open().unwrap();
    assert_eq!(setting.database.rows(), rows);
    drop(journaled);
    fs::remove_file(&setting.path).unwrap();
    // From then on nobody knows what was in it.
    assert!(matches!(setting.open(), Err(StoreError::Corrupt(_))));
}

#[test]
fn a_full_disk_takes_nothing_back() {
    for refusal in [StoreError::Full, StoreError::Io("injected".to_owned())] {
        let setting = Setting::new();
        let journaled = setting.open().unwrap();
        for number in 0..7 {
            ok(journaled.commit(&put(number, 1)));
        }
        setting.database.disk().refusal = Some(refusal.clone());
        assert_eq!(refused(journaled.commit(&put(7, 1))), refusal);
        drop(journaled);

        let journaled = setting.open().unwrap();
        assert_eq!(setting.database.rows().len(), 7);
        for _ in 0..2 {
            assert_eq!(refused(journaled.commit(&put(7, 2))), refusal);
            assert_eq!(refused(journaled.commit_relaxed(&put(7, 3))), refusal);
        }
        assert_eq!(setting.database.rows().len(), 7);

        setting.database.disk().refusal = None;
        ok(journaled.commit(&put(0, 9)));
        ok(journaled.commit(&put(8, 1)));
        drop(journaled);
        setting.open().unwrap();
        assert_eq!(setting.database.rows().len(), 8);
        assert_eq!(setting.database.rows()[&vec![0]], vec![9; 270]);
    }
}

#[test]
fn who_was_refused_does_not_find_it_there_later() {
    let setting = Setting::new();
    let journaled = setting.open().unwrap();
    ok(journaled.commit(&put(1, 1)));
    setting.database.disk().full = Some(StoreError::Full);
    assert_eq!(refused(journaled.commit(&put(2, 1))), StoreError::Full);
    drop(journaled);
    setting.database.disk().full = None;
    let journaled = setting.open().unwrap();
    assert_eq!(setting.database.rows().len(), 1);
    ok(journaled.commit(&put(3, 1)));
    drop(journaled);
    setting.open().unwrap();
    assert_eq!(setting.database.rows().len(), 2);
}

#[test]
fn what_failed_to_be_journaled_stays_away() {
    let setting = Setting::new();
    let journaled = setting.open().unwrap();
    ok(journaled.commit(&put(1, 1)));
    journaled.state().journal.fail_appends(&setting.path);
    assert!(matches!(
        refused(journaled.commit(&put(2, 1))),
        StoreError::Io(_)
    ));
    assert_eq!(setting.database.rows().len(), 1, "readers never saw it");
    // Not over the entry that failed, but as a checkpoint.
    ok(journaled.commit(&put(3, 1)));
    assert_eq!(setting.database.disk().checkpoints, 2);
    drop(journaled);
    setting.open().unwrap();
    let keys: Vec<_> = setting.database.rows().into_keys().collect();
    assert_eq!(keys, [[1], [3]]);
}

type Change = (u8, Option<u8>);

#[derive(Debug, Clone)]
enum Step {
    Commit(Vec<Change>),
    Relaxed(Vec<Change>),
    /// The power fails between steps; so many unsynced writes survive.
    PowerCut(usize),
    /// The power fails during a commit, of which the first bytes are in the journal.
    Torn(Vec<Change>, usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let changes = || vec((0..6_u8, prop::option::of(any::<u8>())), 0..6);
    prop_oneof![
        8 => changes().prop_map(Step::Commit),
        2 => changes().prop_map(Step::Relaxed),
        1 => (0..20_usize).prop_map(Step::PowerCut),
        2 => (changes(), 0..12_000_usize, 0..20_usize)
            .prop_map(|(changes, cut, survivors)| Step::Torn(changes, cut, survivors)),
    ]
}

/// What has to be there: all that was acknowledged, then any number of the first of these writes.
#[derive(Default)]
struct Model {
    acknowledged: Rows,
    loose: Vec<Write>,
}

impl Model {
    fn apply(&mut self, batch: &Batch) {
        self.loose.extend_from_slice(batch.writes());
    }

    fn settle(&mut self) {
        for write in self.loose.drain(..) {
            change(&mut self.acknowledged, &write);
        }
    }

    fn latest(&self) -> Rows {
        let mut rows = self.acknowledged.clone();
        self.loose.iter().for_each(|write| change(&mut rows, write));
        rows
    }

    /// Goes on from what a power loss left, if it may have: a batch that was not acknowledged is there wholly
    /// or not at all.
    fn accept(&mut self, rows: Rows, refused: &Batch) -> bool {
        let mut possible = self.latest();
        for write in refused.writes() {
            change(&mut possible, write);
        }
        let mut accepted = possible == rows;
        let mut possible = self.acknowledged.clone();
        accepted |= possible == rows;
        for write in self.loose.drain(..) {
            change(&mut possible, &write);
            accepted |= possible == rows;
        }
        self.acknowledged = rows;
        accepted
    }
}

/// Runs a commit and takes back what a power loss in the middle of it would have kept from the disk.
fn tear(setting: &Setting, journaled: &Journaled<Database>, batch: &Batch, cut: usize) -> bool {
    let journal = fs::read(&setting.path).unwrap();
    let disk = setting.database.disk().clone();
    ok(journaled.commit(batch));
    let mut torn = fs::read(&setting.path).unwrap();
    let appended_at = journal.iter().zip(&torn).position(|(was, is)| was != is);
    *setting.database.disk() = disk;
    let Some(appended_at) = appended_at else {
        return false;
    };
    let start = appended_at / 4096 * 4096;
    let cut = (start + cut).min(torn.len());
    torn[cut..].copy_from_slice(&journal[cut..]);
    let whole = torn == fs::read(&setting.path).unwrap();
    fs::write(&setting.path, torn).unwrap();
    whole
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_acknowledged_survives(steps in vec(step(), 1..60)) {
        let setting = Setting::new();
        let mut model = Model::default();
        let mut journaled = setting.open().unwrap();
        for step in steps {
            let mut refused = Batch::new();
            let survivors = match step {
                Step::Commit(changes) => {
                    let batch = batch(&changes);
                    ok(journaled.commit(&batch));
                    model.apply(&batch);
                    model.settle();
                    None
                }
                Step::Relaxed(changes) => {
                    let batch = batch(&changes);
                    ok(journaled.commit_relaxed(&batch));
                    model.apply(&batch);
                    None
                }
                Step::PowerCut(survivors) => Some(survivors),
                Step::Torn(changes, cut, survivors) => {
                    let batch = batch(&changes);
                    if tear(&setting, &journaled, &batch, cut) {
                        model.apply(&batch);
                        model.settle();
                    } else {
                        refused = batch;
                    }
                    Some(survivors)
                }
            };
            if let Some(survivors) = survivors {
                drop(journaled);
                setting.database.disk().power_cut(survivors);
                journaled = setting.open().unwrap();
                let rows = setting.database.rows();
                prop_assert!(model.accept(rows, &refused), "after {survivors} survivors");
            } else {
                prop_assert_eq!(setting.database.rows(), model.latest());
            }
        }
    }
}
