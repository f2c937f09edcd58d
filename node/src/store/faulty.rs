//! An engine in memory for tests: it loses what was not synced, and fails when told to.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Batch, Engine, Entry, StoreError, Table, Write};

type Tables = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

/// How a commit fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The disk is full; nothing was written.
    Full,
    /// The disk failed; nothing was written.
    Io,
    /// The disk failed after the batch had become durable: the answer is an error all the same.
    IoAfterSync,
}

/// Keeps what readers see and what is on the imaginary disk apart.
#[derive(Default)]
pub struct FaultyEngine {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    live: Tables,
    durable: Tables,
    unsynced: Vec<Write>,
    commits: u64,
    faults: BTreeMap<u64, Fault>,
}

impl FaultyEngine {
    /// An empty store without faults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Commits so far, of both kinds, failed ones included.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.state().commits
    }

    /// Lets the commit fail that comes after `commits_before` more.
    pub fn fail_commit(&self, commits_before: u64, fault: Fault) {
        let mut state = self.state();
        let at = state.commits.saturating_add(commits_before);
        state.faults.insert(at, fault);
    }

    /// Drops what was not synced, as a power loss does.
    pub fn power_cut(&self) {
        self.state().forget_unsynced();
    }

    fn write(&self, batch: &Batch, durable: bool) -> Result<(), StoreError> {
        let mut state = self.state();
        let number = state.commits;
        state.commits += 1;
        let fault = state.faults.remove(&number);
        match fault {
            None => {}
            Some(Fault::Full) => {
                state.forget_unsynced();
                return Err(StoreError::Full);
            }
            Some(Fault::Io) => {
                state.forget_unsynced();
                return Err(StoreError::Io("injected".to_owned()));
            }
            Some(Fault::IoAfterSync) => {
                state.apply(batch);
                state.sync();
                return Err(StoreError::Io("injected after the sync".to_owned()));
            }
        }
        state.apply(batch);
        if durable {
            state.sync();
        }
        Ok(())
    }

    // A panic of another test thread leaves the maps as they were between two writes.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn apply(&mut self, batch: &Batch) {
        for write in batch.writes() {
            apply(&mut self.live, write.clone());
        }
        self.unsynced.extend_from_slice(batch.writes());
    }

    fn sync(&mut self) {
        for write in self.unsynced.drain(..) {
            apply(&mut self.durable, write);
        }
    }

    fn forget_unsynced(&mut self) {
        self.unsynced.clear();
        self.live = self.durable.clone();
    }

    fn range(
        &self,
        table: Table,
        start: &[u8],
        end: Option<&[u8]>,
    ) -> impl DoubleEndedIterator<Item = Entry> {
        let first = Bound::Included((table, start.to_vec()));
        // Nothing lies between an inverted range, for which the map would panic.
        let end = end.map(|end| end.max(start).to_vec());
        let after = match (end, Table::ALL.iter().find(|other| **other > table)) {
            (Some(end), _) => Bound::Excluded((table, end)),
            (None, Some(next)) => Bound::Excluded((*next, Vec::new())),
            (None, None) => Bound::Unbounded,
        };
        self.live
            .range((first, after))
            .map(|((_, key), value)| (key.clone(), value.clone()))
    }
}

fn apply(tables: &mut Tables, write: Write) {
    match write {
        Write::Put { table, key, value } => {
            tables.insert((table, key), value);
        }
        Write::Delete { table, key } => {
            tables.remove(&(table, key));
        }
    }
}

impl Engine for FaultyEngine {
    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        self.write(batch, true)
    }

    fn commit_relaxed(&self, batch: &Batch) -> Result<(), StoreError> {
        self.write(batch, false)
    }

    fn read(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.state().live.get(&(table, key.to_vec())).cloned())
    }

    fn read_many(&self, keys: &[(Table, &[u8])]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let state = self.state();
        Ok(keys
            .iter()
            .map(|(table, key)| state.live.get(&(*table, key.to_vec())).cloned())
            .collect())
    }

    fn scan(
        &self,
        table: Table,
        start: &[u8],
        end: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        Ok(self.state().range(table, start, end).take(limit).collect())
    }

    fn last(&self, table: Table, below: Option<&[u8]>) -> Result<Option<Entry>, StoreError> {
        Ok(self.state().range(table, &[], below).next_back())
    }

    fn count(&self, table: Table) -> Result<u64, StoreError> {
        let count = self.state().range(table, &[], None).count();
        Ok(u64::try_from(count).unwrap_or(u64::MAX))
    }

    fn disk_bytes(&self) -> Result<u64, StoreError> {
        let state = self.state();
        let bytes = state
            .durable
            .iter()
            .map(|((_, key), value)| key.len() + value.len())
            .sum::<usize>();
        Ok(u64::try_from(bytes).unwrap_or(u64::MAX))
    }

    fn compact(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn name(&self) -> &'static str {
        "faulty"
    }
}
