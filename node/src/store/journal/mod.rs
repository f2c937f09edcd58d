//! A journal before a database: a commit costs one sync of one small overwrite, whatever the database's own
//! commit would have cost.
//!
//! A copy-on-write tree writes some 40 scattered pages for a sale of twelve rows, and the disk takes six
//! times as long over them as over one block. So a commit is written to the journal and synced there, and
//! then goes into the database without a sync. When the journal is full, a *checkpoint* follows: one
//! durable commit of the database, with the number of the next generation in it. From that moment the
//! journal's entries, which are of the generation before, do not count any more.
//!
//! What makes replaying sound:
//! - An entry is on the disk before the database hears of it. So what the database holds after a power loss
//!   is never ahead of the journal, and writing all entries of its generation over it in order gives the
//!   last state, wherever between checkpoint and end the database itself stands.
//! - While unsynced bulk loads are outstanding the journal has no entries: a bulk load begins with a
//!   checkpoint if there are any, and the next commit is one.
//! - After a failure nothing is appended: the next commit is a checkpoint. So what failed to be written
//!   cannot come back to life behind what was acknowledged later.

#[cfg(test)]
mod disk_tests;
mod entry;
mod file;
#[cfg(test)]
mod file_tests;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use self::file::JournalFile;
use super::reopen::Failure;
use super::{Batch, RELAXED_BYTES_MAX, StoreError};

/// A database that can keep a journal's generation.
pub(super) trait Backing: Sized {
    /// The generation that was committed last; 0 before the first.
    fn generation(&self) -> Result<u64, Failure>;

    /// Shows readers a batch, without waiting for the disk. After a power loss any number of its first
    /// writes may be there.
    fn apply(&self, batch: &Batch) -> Result<(), Failure>;

    /// Whether a batch that could not be applied has left nothing behind.
    fn refuses_whole(batch: &Batch) -> bool;

    /// Makes durable what was applied, and with it, as one, a batch and the generation.
    fn checkpoint(&self, batch: &Batch, generation: u64) -> Result<(), Failure>;
}

/// A database behind its journal.
pub(super) struct Journaled<D> {
    database: D,
    state: Mutex<State>,
}

struct State {
    journal: JournalFile,
    generation: u64,
    /// The journal takes no entries before the next checkpoint.
    checkpoint_due: bool,
    relaxed_bytes: u64,
}

impl<D: Backing> Journaled<D> {
    /// Opens the database, and brings it to where the journal ends. A new journal gets `bytes`; one that
    /// exists keeps its size.
    ///
    /// If the disk does not take the checkpoint, because it is full or failing, the database is opened
    /// once more and shows the journal's state without it, so that it can be read.
    pub(super) fn open(
        path: &Path,
        bytes: u64,
        open: impl Fn() -> Result<D, StoreError>,
    ) -> Result<Self, StoreError> {
        let mut database = open()?;
        let generation = database.generation()?;
        let mut journal = match JournalFile::open(path)? {
            Some(journal) => journal,
            None if generation == 0 => JournalFile::create(path, bytes)?,
            None => return Err(StoreError::Corrupt("its journal is missing".to_owned())),
        };
        let unsettled = journal.recover(generation)?;
        let mut state = State {
            journal,
            generation,
            checkpoint_due: true,
            relaxed_bytes: 0,
        };
        match state.checkpoint(&database, &unsettled) {
            Ok(()) => {}
            Err(Failure::Store(StoreError::Full | StoreError::Io(_)) | Failure::Stale) => {
                drop(database);
                database = open()?;
                database.apply(&unsettled)?;
            }
            Err(Failure::Store(
                error @ (StoreError::Corrupt(_) | StoreError::Locked | StoreError::Version(_)),
            )) => return Err(error),
        }
        Ok(Self {
            database,
            state: Mutex::new(state),
        })
    }

    /// Commits a batch; it survives a power loss when this returns.
    pub(super) fn commit(&self, batch: &Batch) -> Result<(), Failure> {
        let mut state = self.state();
        if state.checkpoint_due {
            return state.checkpoint(&self.database, batch);
        }
        if batch.is_empty() {
            return Ok(());
        }
        state.checkpoint_due = true;
        if !state.journal.append(batch)? {
            return state.checkpoint(&self.database, batch);
        }
        if let Err(failure) = self.database.apply(batch) {
            // Who was refused must not find it there later. But a part is worse than all of it.
            if D::refuses_whole(batch) {
                state.journal.revoke()?;
            }
            return Err(failure);
        }
        state.checkpoint_due = false;
        Ok(())
    }

    /// Commits a batch of a bulk load, which becomes durable with the next commit or checkpoint.
    pub(super) fn commit_relaxed(&self, batch: &Batch) -> Result<(), Failure> {
        let mut state = self.state();
        let gathered = state.relaxed_bytes.saturating_add(batch.bytes());
        if gathered >= RELAXED_BYTES_MAX || !state.journal.is_empty() {
            state.checkpoint(&self.database, &Batch::new())?;
        }
        state.checkpoint_due = true;
        state.relaxed_bytes = state.relaxed_bytes.saturating_add(batch.bytes());
        self.database.apply(batch)
    }

    /// Makes the database durable without the journal, and gives it for work that needs it alone.
    pub(super) fn settled(&mut self) -> Result<&mut D, Failure> {
        self.state().checkpoint(&self.database, &Batch::new())?;
        Ok(&mut self.database)
    }

    /// Bytes that the journal occupies on the disk.
    pub(super) fn journal_bytes(&self) -> u64 {
        self.state().journal.bytes()
    }

    /// The database, for reading.
    pub(super) const fn database(&self) -> &D {
        &self.database
    }

    // A panic between two assignments leaves a checkpoint due, which is always sound.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn checkpoint<D: Backing>(&mut self, database: &D, batch: &Batch) -> Result<(), Failure> {
        self.checkpoint_due = true;
        let generation = self.generation + 1;
        database.checkpoint(batch, generation)?;
        self.generation = generation;
        self.journal.restart(generation);
        self.relaxed_bytes = 0;
        self.checkpoint_due = false;
        Ok(())
    }
}
