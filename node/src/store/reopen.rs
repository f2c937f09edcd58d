//! Keeps a database usable through a full disk: closed when a write fails, opened at the next use.
//!
//! Both engines refuse all further work after a failed write until they are opened again.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::StoreError;
use super::space::Reserve;

/// How often one call opens the database again before it gives up.
const ATTEMPTS_MAX: usize = 3;

/// What an operation on an open database ran into.
pub(super) enum Failure {
    /// The operation failed.
    Store(StoreError),
    /// An earlier write failed and the database refuses to work until it is opened again.
    Stale,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Store(error) => error,
            Failure::Stale => earlier_failure(),
        }
    }
}

/// A database and the means to open it.
pub(super) struct Reopening<D> {
    open: Box<dyn Fn() -> Result<D, StoreError> + Send + Sync>,
    reserve: Reserve,
    state: RwLock<State<D>>,
    commits: Mutex<()>,
    full: AtomicBool,
}

struct State<D> {
    database: Option<D>,
    generation: u64,
    failed: Option<StoreError>,
}

impl<D> Reopening<D> {
    /// Opens the database, whose files are in `directory`. Whatever has to be replayed into it is replayed
    /// by `open`, so that nobody reads it before.
    pub(super) fn new(
        directory: &Path,
        open: impl Fn() -> Result<D, StoreError> + Send + Sync + 'static,
    ) -> Result<Self, StoreError> {
        let reserve = Reserve::new(directory);
        let (database, reserved) = open_with(&reserve, &open)?;
        let state = State {
            database: Some(database),
            generation: 0,
            failed: None,
        };
        Ok(Self {
            open: Box::new(open),
            reserve,
            state: RwLock::new(state),
            commits: Mutex::new(()),
            full: AtomicBool::new(!reserved),
        })
    }

    /// Runs an operation that changes nothing.
    pub(super) fn read<R>(
        &self,
        operation: impl Fn(&D) -> Result<R, Failure>,
    ) -> Result<R, StoreError> {
        for _ in 0..ATTEMPTS_MAX {
            let state = self.shared();
            let generation = state.generation;
            let Some(database) = &state.database else {
                drop(state);
                self.reopen()?;
                continue;
            };
            match operation(database) {
                Ok(result) => return Ok(result),
                Err(Failure::Store(error)) => return Err(error),
                Err(Failure::Stale) => {
                    drop(state);
                    self.close_failed(generation);
                }
            }
        }
        Err(StoreError::Io("the store does not stay open".to_owned()))
    }

    /// Runs a commit of `bytes`, one at a time.
    ///
    /// While the disk is known to be full the commit is refused after a look for space: to open a
    /// database again after a failed write may take seconds. Commits are taken only while the reserve
    /// is whole, so that what the journal acknowledges can be replayed into it.
    pub(super) fn write(
        &self,
        bytes: u64,
        operation: impl FnOnce(&D) -> Result<(), Failure>,
    ) -> Result<(), StoreError> {
        let _turn = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        if self.full.load(Ordering::Acquire)
            && !(self.reserve.take() && self.reserve.has_room(bytes)?)
        {
            return Err(StoreError::Full);
        }
        if self.shared().database.is_none() {
            self.reopen()?;
        }
        let result = match &*self.shared() {
            State {
                failed: Some(error),
                ..
            } => return Err(error.clone()),
            State {
                database: Some(database),
                ..
            } => operation(database),
            State { database: None, .. } => Err(Failure::Stale),
        };
        self.settle(result)
    }

    /// Runs an operation that needs the database for itself.
    pub(super) fn alone(
        &self,
        operation: impl FnOnce(&mut D) -> Result<(), Failure>,
    ) -> Result<(), StoreError> {
        let _turn = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        if self.shared().database.is_none() {
            self.reopen()?;
        }
        let result = match &mut self.exclusive().database {
            Some(database) => operation(database),
            None => Err(Failure::Stale),
        };
        self.settle(result)
    }

    /// Draws the consequences of what a write ran into.
    fn settle(&self, result: Result<(), Failure>) -> Result<(), StoreError> {
        let generation = self.shared().generation;
        let error = match result {
            Ok(()) => {
                self.full.store(false, Ordering::Release);
                return Ok(());
            }
            Err(Failure::Store(error)) => error,
            // Not tried again: relaxed batches before this one are gone with the old database.
            Err(Failure::Stale) => {
                self.close_failed(generation);
                return Err(earlier_failure());
            }
        };
        match &error {
            StoreError::Full => {
                self.full.store(true, Ordering::Release);
                self.reserve.release()?;
                self.close(generation);
                // A reader may have met the same full disk and taken it for worse.
                self.exclusive().failed = None;
                // Whether it opens now or at the next read, this write has failed.
                drop(self.reopen());
            }
            StoreError::Io(_) => self.exclusive().failed = Some(error.clone()),
            StoreError::Corrupt(_) | StoreError::Locked | StoreError::Version(_) => {}
        }
        Err(error)
    }

    /// Closes a database that an earlier failure made useless: reads go on with it opened again,
    /// commits do not.
    fn close_failed(&self, generation: u64) {
        let mut state = self.exclusive();
        if state.generation == generation {
            state.database = None;
            state.failed.get_or_insert_with(earlier_failure);
        }
    }

    fn close(&self, generation: u64) {
        let mut state = self.exclusive();
        if state.generation == generation {
            state.database = None;
        }
    }

    fn reopen(&self) -> Result<(), StoreError> {
        let mut state = self.exclusive();
        if state.database.is_none() {
            let (database, reserved) = open_with(&self.reserve, &self.open)?;
            state.database = Some(database);
            state.generation += 1;
            if !reserved {
                self.full.store(true, Ordering::Release);
            }
        }
        Ok(())
    }

    // A panic elsewhere leaves the state whole: each change of it is one assignment.
    fn shared(&self) -> RwLockReadGuard<'_, State<D>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn exclusive(&self) -> RwLockWriteGuard<'_, State<D>> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn earlier_failure() -> StoreError {
    StoreError::Io("an earlier read or write failed".to_owned())
}

impl<D> Drop for Reopening<D> {
    fn drop(&mut self) {
        if self.full.load(Ordering::Acquire)
            && let Err(error) = self.reserve.release()
        {
            tracing::warn!(%error, "the store closes on a full disk without its reserve");
        }
    }
}

/// Opens a database, which has the reserve to write to meanwhile: sled damages its log when it
/// finds the disk full while it recovers. Says whether the reserve is whole again.
fn open_with<D>(
    reserve: &Reserve,
    open: &impl Fn() -> Result<D, StoreError>,
) -> Result<(D, bool), StoreError> {
    reserve.release()?;
    let opened = open();
    let reserved = reserve.take();
    Ok((opened?, reserved))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database that is stale once it was told so, until it is opened again.
    #[derive(Default)]
    struct Fragile {
        stale: AtomicBool,
    }

    impl Fragile {
        fn work(&self) -> Result<(), Failure> {
            if self.stale.load(Ordering::Relaxed) {
                Err(Failure::Stale)
            } else {
                Ok(())
            }
        }

        fn fail(&self, error: StoreError) -> Result<(), Failure> {
            self.stale.store(true, Ordering::Relaxed);
            Err(error.into())
        }
    }

    fn fragile(directory: &tempfile::TempDir) -> Reopening<Fragile> {
        Reopening::new(directory.path(), || Ok(Fragile::default())).unwrap()
    }

    #[test]
    fn after_a_full_disk_work_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let database = fragile(&directory);
        let refused = database.write(0, |open| open.fail(StoreError::Full));
        assert_eq!(refused, Err(StoreError::Full));
        assert_eq!(database.read(Fragile::work), Ok(()));
        assert_eq!(database.write(0, Fragile::work), Ok(()));
    }

    #[test]
    fn after_a_failed_disk_only_reads_go_on() {
        let failed = || StoreError::Io("injected".to_owned());
        for by_reader in [false, true] {
            let directory = tempfile::tempdir().unwrap();
            let database = fragile(&directory);
            let refused = if by_reader {
                database.read(|open| open.fail(failed()))
            } else {
                database.write(0, |open| open.fail(failed()))
            };
            assert_eq!(refused, Err(failed()));
            for _ in 0..2 {
                let refused = database.write(0, Fragile::work);
                assert!(matches!(refused, Err(StoreError::Io(_))), "{refused:?}");
                assert_eq!(database.read(Fragile::work), Ok(()));
            }
        }
    }
}
