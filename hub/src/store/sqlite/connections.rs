//! Connections to the database file: one that writes, several that read, and the translation of errors.

use std::fs::File;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, Row, Transaction};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;

use crate::store::StoreError;
use crate::store::columns::Columns;
use crate::store::migration::migration_error;

refinery::embed_migrations!("src/store/sqlite/migrations");

const READERS: usize = 4;
/// How long to wait for another process, such as the command line, that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Statements that one connection keeps prepared: more than there are.
const STATEMENTS_CACHED: usize = 64;
/// What is deleted is overwritten, so that a destroyed key is gone from the file too. With `synchronous = FULL` each commit syncs the write-ahead log. A checkpoint syncs twice more, so it waits for
/// 64 MiB of log.
const PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = FAST; PRAGMA wal_autocheckpoint = 16384; \
    PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY;";

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Contended,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged("the database file")
            }
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

impl Columns for Row<'_> {
    fn number(&self, index: usize) -> Result<i64, StoreError> {
        Ok(self.get(index)?)
    }

    fn number_or_null(&self, index: usize) -> Result<Option<i64>, StoreError> {
        Ok(self.get(index)?)
    }

    fn flag(&self, index: usize) -> Result<bool, StoreError> {
        Ok(self.get(index)?)
    }

    fn text(&self, index: usize) -> Result<String, StoreError> {
        Ok(self.get(index)?)
    }

    fn bytes(&self, index: usize) -> Result<Vec<u8>, StoreError> {
        Ok(self.get(index)?)
    }
}

/// Lets processes that start together bring the schema up to date one after the other: the migrations look first and
/// write then, so two that look at once would both write. The lock is on a file of its own beside the database, as
/// SQLite's own locks go with a transaction, and the migrations use several; it goes when the file is closed.
pub(super) fn wait_for_turn(path: &Path) -> Result<File, StoreError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".lock");
    let turn = File::create(&beside).and_then(|file| file.lock().map(|()| file));
    turn.map_err(|error| {
        if error.kind() == std::io::ErrorKind::StorageFull {
            StoreError::Full
        } else {
            StoreError::Unavailable(format!("{}: {error}", beside.display()))
        }
    })
}

/// Opens the connection that writes, and brings the schema up to date with it.
pub(super) fn open_writer(path: &Path) -> Result<Connection, StoreError> {
    let mut connection = open_connection(path)?;
    let migrations = migrations::runner().set_abort_missing(true);
    migrations
        .run(&mut connection)
        .map_err(|error| migration_error(&error))?;
    Ok(connection)
}

fn open_connection(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.execute_batch(PRAGMAS)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    Ok(connection)
}

/// Connections that read, lent to one task at a time.
pub(super) struct Readers {
    free: Mutex<Vec<Connection>>,
    permits: Semaphore,
}

impl Readers {
    /// Opens them; the schema is there.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let mut free = Vec::with_capacity(READERS);
        for _ in 0..READERS {
            let connection = open_connection(path)?;
            connection.pragma_update(None, "query_only", true)?;
            free.push(connection);
        }
        Ok(Self {
            free: Mutex::new(free),
            permits: Semaphore::new(READERS),
        })
    }

    /// Runs `read` in one view of the data.
    pub(super) async fn view<T>(
        &self,
        read: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let _permit = self
            .permits
            .acquire()
            .await
            .expect("nobody closes the semaphore");
        let mut lent = Lent {
            readers: self,
            connection: self.lock().pop(),
        };
        let connection = lent
            .connection
            .as_mut()
            .expect("there are as many connections as permits");
        blocking(|| {
            let view = connection.transaction()?;
            read(&view)
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.free.lock().expect("nothing panics while it is held")
    }
}

/// A reader on loan; it goes back also when the task that has it panics.
struct Lent<'a> {
    readers: &'a Readers,
    connection: Option<Connection>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.readers.lock().extend(self.connection.take());
    }
}

/// Runs what waits for the disk without holding up other tasks of a runtime with several threads.
pub(super) fn blocking<T>(work: impl FnOnce() -> T) -> T {
    if Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread {
        work()
    } else {
        tokio::task::block_in_place(work)
    }
}
