//! The second engine: sled 0.34, a directory.
//!
//! What its adapter has to add: on Linux `flush()` ends in `sync_file_range`, which leaves the
//! disk's own cache and the file's metadata behind, and large values go to files of their own that
//! nobody syncs. So a checkpoint syncs those files as well. A bulk load took 3 GB of memory, whatever
//! the cache's bound: within a batch sled frees none of the pages that it replaces. So what is not
//! synced at once is applied in small pieces, and flushed as it gathers.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread;
use std::time::Duration;

use sled::IVec;

use super::journal::{Backing, Journaled};
use super::reopen::{Failure, Reopening};
use super::{Batch, Engine, Entry, StoreError, Table, Write};

/// The engine's folder within the store's directory.
const FOLDER_NAME: &str = "store.sled";

/// Held locked while the store is open: sled reports a held lock as an unnamed error.
const LOCK_NAME: &str = "store.lock";

/// The journal beside it.
const JOURNAL_NAME: &str = "store.sled.journal";

/// Bytes of the journal: 63 small commits between two checkpoints.
///
/// Small, since sled believes `sync_file_range`: it writes over a segment of 512 KiB once what replaced its
/// contents lies two segments back, though a power loss could still undo that. For 63 sales of twelve
/// rows it writes some 570 KiB, which a checkpoint makes durable before a segment can be used again. A
/// checkpoint costs no more than each commit did without the journal.
const JOURNAL_BYTES: u64 = 256 << 10;

/// The key of the format record; no table has the tag 0.
const FORMAT_KEY: [u8; 1] = [0];

/// The key of the journal's generation.
const GENERATION_KEY: [u8; 2] = [0, 1];

/// Version of what this engine writes: table tag, then key; and a journal.
const FORMAT: [u8; 1] = [2];

/// The version before the journal, which would overlook it.
const FORMAT_WITHOUT_JOURNAL: [u8; 1] = [1];

/// How often, and how long apart, a database that was just closed is opened again: its threads
/// release their lock on the file a moment after the handle is gone.
const OPEN_ATTEMPTS_MAX: u32 = 100;
const OPEN_RETRY_DELAY: Duration = Duration::from_millis(10);

/// Writes of a batch that is not synced at once that sled is given at once.
const UNSYNCED_WRITES_MAX: usize = 64;

/// A store in a sled directory.
///
/// All tables share one tree, told apart by the first byte of the key: sled applies a batch as one
/// within a tree only.
pub struct SledEngine {
    files: Reopening<Journaled<Files>>,
    _lock: File,
}

struct Files {
    database: sled::Db,
    /// sled's log: the same file through a handle of our own, to sync it.
    log: File,
    blobs: PathBuf,
    blobs_synced: Mutex<BTreeSet<OsString>>,
    /// Held alone while a batch enters the tree, so that reads of several keys see all or none.
    visible: RwLock<()>,
}

impl SledEngine {
    /// Opens or makes the store in `directory`, with a page cache of at most `cache_bytes`.
    ///
    /// # Errors
    /// See [`super::open`].
    pub fn open(directory: &Path, cache_bytes: u64) -> Result<Self, StoreError> {
        let folder = directory.join(FOLDER_NAME);
        let lock = lock(&directory.join(LOCK_NAME))?;
        let journal = directory.join(JOURNAL_NAME);
        let files = Reopening::new(directory, move || {
            Journaled::open(&journal, JOURNAL_BYTES, || {
                Files::open(&folder, cache_bytes)
            })
        })?;
        File::open(directory)?.sync_all()?;
        Ok(Self { files, _lock: lock })
    }

    fn inspect<R>(
        &self,
        operation: impl Fn(&Files) -> Result<R, Failure>,
    ) -> Result<R, StoreError> {
        self.files.read(|journaled| operation(journaled.database()))
    }
}

impl Engine for SledEngine {
    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        self.files
            .write(batch.bytes(), |journaled| journaled.commit(batch))
    }

    fn commit_relaxed(&self, batch: &Batch) -> Result<(), StoreError> {
        self.files
            .write(batch.bytes(), |journaled| journaled.commit_relaxed(batch))
    }

    fn read(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inspect(|files| files.value(table, key))
    }

    fn read_many(&self, keys: &[(Table, &[u8])]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.inspect(|files| {
            let _settled = files.settled();
            keys.iter()
                .map(|(table, key)| files.value(*table, key))
                .collect()
        })
    }

    fn scan(
        &self,
        table: Table,
        start: &[u8],
        end: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        if end.is_some_and(|end| end <= start) {
            return Ok(Vec::new());
        }
        let (start, end) = (tagged(table, start), upper(table, end));
        self.inspect(|files| {
            let _settled = files.settled();
            let range = files.database.range(start.clone()..end.clone());
            range.take(limit).map(|item| entry(item?)).collect()
        })
    }

    fn last(&self, table: Table, below: Option<&[u8]>) -> Result<Option<Entry>, StoreError> {
        let (start, end) = (tagged(table, &[]), upper(table, below));
        self.inspect(|files| {
            let _settled = files.settled();
            let mut range = files.database.range(start.clone()..end.clone());
            range.next_back().map(|item| entry(item?)).transpose()
        })
    }

    fn count(&self, table: Table) -> Result<u64, StoreError> {
        self.inspect(|files| {
            let _settled = files.settled();
            let mut count = 0;
            for item in files.database.scan_prefix([table.tag()]) {
                item?;
                count += 1;
            }
            Ok(count)
        })
    }

    fn disk_bytes(&self) -> Result<u64, StoreError> {
        self.files.read(|journaled| {
            let database = journaled.database().database.size_on_disk()?;
            Ok(database.saturating_add(journaled.journal_bytes()))
        })
    }

    /// Does nothing: sled rewrites its segments by itself.
    fn compact(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn name(&self) -> &'static str {
        "sled"
    }
}

impl Files {
    fn open(folder: &Path, cache_bytes: u64) -> Result<Self, StoreError> {
        let database = open_database(folder, cache_bytes)?;
        let format = database.get(FORMAT_KEY).map_err(store_error)?;
        match format.as_deref() {
            Some(format) if format == FORMAT => {}
            Some(format) if format != FORMAT_WITHOUT_JOURNAL => {
                return Err(StoreError::Version(format!("{format:?}")));
            }
            None | Some(_) => {
                database.insert(FORMAT_KEY, &FORMAT).map_err(store_error)?;
                database.flush().map_err(store_error)?;
            }
        }
        let log = File::options().write(true).open(folder.join("db"))?;
        log.sync_all()?;
        File::open(folder.join("conf"))?.sync_all()?;
        File::open(folder)?.sync_all()?;
        Ok(Self {
            database,
            log,
            blobs: folder.join("blobs"),
            blobs_synced: Mutex::default(),
            visible: RwLock::default(),
        })
    }

    /// Makes durable what was applied.
    fn sync(&self) -> Result<(), Failure> {
        // First, since a log without the values that it points to is damaged.
        self.sync_blobs().map_err(StoreError::from)?;
        self.database.flush()?;
        self.log.sync_data().map_err(StoreError::from)?;
        Ok(())
    }

    /// Syncs the large values written since the last call: they are never written twice.
    fn sync_blobs(&self) -> io::Result<()> {
        let mut synced = self
            .blobs_synced
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut present = BTreeSet::new();
        let mut grown = false;
        for blob in fs::read_dir(&self.blobs)? {
            let blob = blob?;
            if !synced.contains(&blob.file_name()) {
                match File::open(blob.path()) {
                    Ok(file) => file.sync_all()?,
                    // sled removed it meanwhile, so nothing durable refers to it.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                }
                grown = true;
            }
            present.insert(blob.file_name());
        }
        if grown {
            File::open(&self.blobs)?.sync_all()?;
        }
        *synced = present;
        Ok(())
    }

    fn value(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        let value = self.database.get(tagged(table, key))?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn alone(&self) -> RwLockWriteGuard<'_, ()> {
        self.visible.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn settled(&self) -> RwLockReadGuard<'_, ()> {
        self.visible.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backing for Files {
    fn generation(&self) -> Result<u64, Failure> {
        let Some(generation) = self.database.get(GENERATION_KEY)? else {
            return Ok(0);
        };
        let bytes = generation.as_ref().try_into();
        Ok(bytes
            .map(u64::from_be_bytes)
            .map_err(|_| StoreError::Corrupt("a generation of another length".to_owned()))?)
    }

    fn apply(&self, batch: &Batch) -> Result<(), Failure> {
        let _alone = self.alone();
        for piece in batch.writes().chunks(UNSYNCED_WRITES_MAX) {
            self.database.apply_batch(sled_batch(piece))?;
        }
        Ok(())
    }

    fn refuses_whole(batch: &Batch) -> bool {
        batch.len() <= UNSYNCED_WRITES_MAX
    }

    fn checkpoint(&self, batch: &Batch, generation: u64) -> Result<(), Failure> {
        let mut writes = sled_batch(batch.writes());
        writes.insert(&GENERATION_KEY, &generation.to_be_bytes());
        let alone = self.alone();
        self.database.apply_batch(writes)?;
        drop(alone);
        self.sync()
    }
}

fn sled_batch(writes: &[Write]) -> sled::Batch {
    let mut batch = sled::Batch::default();
    for write in writes {
        match write {
            Write::Put { table, key, value } => batch.insert(tagged(*table, key), value.as_slice()),
            Write::Delete { table, key } => batch.remove(tagged(*table, key)),
        }
    }
    batch
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

fn open_database(folder: &Path, cache_bytes: u64) -> Result<sled::Db, StoreError> {
    let config = sled::Config::new().path(folder).cache_capacity(cache_bytes);
    let mut attempt = 1;
    loop {
        match config.open() {
            Err(sled::Error::Io(error))
                if error.kind() == io::ErrorKind::Other && attempt < OPEN_ATTEMPTS_MAX =>
            {
                attempt += 1;
                thread::sleep(OPEN_RETRY_DELAY);
            }
            opened => return opened.map_err(store_error),
        }
    }
}

fn tagged(table: Table, key: &[u8]) -> Vec<u8> {
    let mut tagged = Vec::with_capacity(1 + key.len());
    tagged.push(table.tag());
    tagged.extend_from_slice(key);
    tagged
}

/// The first key after those of `table` that are less than `end`.
fn upper(table: Table, end: Option<&[u8]>) -> Vec<u8> {
    match end {
        Some(end) => tagged(table, end),
        None => vec![table.tag() + 1],
    }
}

fn entry((key, value): (IVec, IVec)) -> Result<Entry, Failure> {
    let key = key
        .get(1..)
        .ok_or_else(|| StoreError::Corrupt("a key without its table".to_owned()))?;
    Ok((key.to_vec(), value.to_vec()))
}

impl From<sled::Error> for Failure {
    fn from(error: sled::Error) -> Self {
        Self::Store(store_error(error))
    }
}

fn store_error(error: sled::Error) -> StoreError {
    match error {
        sled::Error::Io(error) => error.into(),
        sled::Error::Corruption { .. } => StoreError::Corrupt("damaged sled log".to_owned()),
        sled::Error::Unsupported(reason) => StoreError::Version(reason),
        sled::Error::CollectionNotFound(_) | sled::Error::ReportableBug(_) => {
            StoreError::Io(error.to_string())
        }
    }
}
