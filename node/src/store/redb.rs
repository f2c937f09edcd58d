//! The default engine: redb, one file.

use std::fs::{self, File};
use std::ops::Bound;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use redb::{
    CompactionError, Database, Durability, ReadOnlyTable, ReadableDatabase as _,
    ReadableTableMetadata as _, TableDefinition,
};

use super::journal::{Backing, Journaled};
use super::reopen::{Failure, Reopening};
use super::{Batch, Engine, Entry, StoreError, Table, Write};

/// The database file within the store's directory.
const FILE_NAME: &str = "store.redb";

/// The journal beside it.
const JOURNAL_NAME: &str = "store.redb.journal";

/// Bytes of the journal: 767 small commits between two checkpoints, or some 1,000 sales in groups.
///
/// A checkpoint writes each page once that was changed since the last, about four for a sale of twelve
/// rows among 65,536 members: 40 ms after 700 sales, 55 µs a sale. A longer journal makes the one
/// sale that waits for it wait longer, and the others hardly cheaper. It has to fit into the space kept
/// in reserve, so that a store from before the journal opens on a full disk.
const JOURNAL_BYTES: u64 = 3 << 20;

/// Version of what this engine writes: the tables' names, keys and values as plain bytes, and a journal.
const FORMAT: u32 = 2;

/// The version before the journal, which would overlook it.
const FORMAT_WITHOUT_JOURNAL: u32 = 1;

const FORMAT_TABLE: TableDefinition<'_, (), u32> = TableDefinition::new("format");

/// The generation of the journal.
const JOURNAL_TABLE: TableDefinition<'_, (), u64> = TableDefinition::new("journal");

/// One file block of `st_blocks`, bytes (stat(2)).
const STAT_BLOCK_BYTES: u64 = 512;

type Bytes = &'static [u8];

/// A store in one redb file.
///
/// Each table is a redb table: opening five of them in a transaction costs 2 % of a commit over
/// one table with prefixed keys, and gives counts in constant time.
///
/// A relaxed commit stays in the write buffer, half of the cache, and what does not fit goes to the file
/// without a sync; a full disk shows at the next checkpoint only. Until there is space again the pages
/// that the journal's replay changes are kept in memory beyond the cache, 13 MB after 700 sales.
///
/// `quick_repair` stays off: it makes a checkpoint 1.6 times as slow (two disk syncs instead of one),
/// and saves 0.2–2.4 s when a node with a million accounts starts after a power loss.
pub struct RedbEngine {
    database: Reopening<Journaled<Database>>,
    path: PathBuf,
}

impl RedbEngine {
    /// Opens or makes the store in `directory`, with a page cache of at most `cache_bytes`.
    ///
    /// # Errors
    /// See [`super::open`].
    pub fn open(directory: &Path, cache_bytes: u64) -> Result<Self, StoreError> {
        let path = directory.join(FILE_NAME);
        let cache_bytes = usize::try_from(cache_bytes).unwrap_or(usize::MAX);
        let (opened_path, journal) = (path.clone(), directory.join(JOURNAL_NAME));
        let database = Reopening::new(directory, move || {
            Journaled::open(&journal, JOURNAL_BYTES, || {
                open_database(&opened_path, cache_bytes)
            })
        })?;
        // The new file's name has to survive a power loss too.
        File::open(directory)?.sync_all()?;
        Ok(Self { database, path })
    }

    fn inspect<R>(
        &self,
        operation: impl Fn(&Database) -> Result<R, redb::Error>,
    ) -> Result<R, StoreError> {
        self.database
            .read(|journaled| operation(journaled.database()).map_err(failure))
    }
}

impl Engine for RedbEngine {
    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        self.database
            .write(batch.bytes(), |journaled| journaled.commit(batch))
    }

    fn commit_relaxed(&self, batch: &Batch) -> Result<(), StoreError> {
        self.database
            .write(batch.bytes(), |journaled| journaled.commit_relaxed(batch))
    }

    fn read(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inspect(|database| read(database, table, key))
    }

    fn read_many(&self, keys: &[(Table, &[u8])]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.inspect(|database| read_many(database, keys))
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
        self.inspect(|database| scan(database, table, start, end, limit))
    }

    fn last(&self, table: Table, below: Option<&[u8]>) -> Result<Option<Entry>, StoreError> {
        self.inspect(|database| last(database, table, below))
    }

    fn count(&self, table: Table) -> Result<u64, StoreError> {
        self.inspect(|database| count(database, table))
    }

    fn disk_bytes(&self) -> Result<u64, StoreError> {
        // The file grows ahead of its use and is sparse there: its length would overstate it.
        let database = fs::metadata(&self.path)?.blocks() * STAT_BLOCK_BYTES;
        let journal = self
            .database
            .read(|journaled| Ok(journaled.journal_bytes()))?;
        Ok(database.saturating_add(journal))
    }

    fn compact(&self) -> Result<(), StoreError> {
        self.database
            .alone(|journaled| match journaled.settled()?.compact() {
                Ok(_) => Ok(()),
                Err(CompactionError::Storage(error)) => Err(failure(error.into())),
                // Of savepoints and open transactions there are none.
                Err(error) => Err(Failure::Store(StoreError::Corrupt(error.to_string()))),
            })
    }

    fn name(&self) -> &'static str {
        "redb"
    }
}

impl Backing for Database {
    fn generation(&self) -> Result<u64, Failure> {
        generation(self).map_err(failure)
    }

    fn apply(&self, batch: &Batch) -> Result<(), Failure> {
        write(self, batch, Durability::None, None).map_err(failure)
    }

    fn refuses_whole(_: &Batch) -> bool {
        true
    }

    fn checkpoint(&self, batch: &Batch, generation: u64) -> Result<(), Failure> {
        write(self, batch, Durability::Immediate, Some(generation)).map_err(failure)
    }
}

fn open_database(path: &Path, cache_bytes: usize) -> Result<Database, StoreError> {
    let database = Database::builder()
        .set_cache_size(cache_bytes)
        .create(path)
        .map_err(|error| store_error(error.into()))?;
    match format(&database).map_err(store_error)? {
        Some(FORMAT) => Ok(database),
        None | Some(FORMAT_WITHOUT_JOURNAL) => {
            create_tables(&database).map_err(store_error)?;
            Ok(database)
        }
        Some(other) => Err(StoreError::Version(other.to_string())),
    }
}

fn format(database: &Database) -> Result<Option<u32>, redb::Error> {
    match database.begin_read()?.open_table(FORMAT_TABLE) {
        Ok(table) => Ok(table.get(())?.map(|format| format.value())),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn create_tables(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    for table in Table::ALL {
        transaction.open_table(definition(table))?;
    }
    transaction.open_table(JOURNAL_TABLE)?;
    transaction.open_table(FORMAT_TABLE)?.insert((), FORMAT)?;
    transaction.commit()?;
    Ok(())
}

fn generation(database: &Database) -> Result<u64, redb::Error> {
    let table = database.begin_read()?.open_table(JOURNAL_TABLE)?;
    let generation = table.get(())?;
    Ok(generation.map_or(0, |generation| generation.value()))
}

fn definition(table: Table) -> TableDefinition<'static, Bytes, Bytes> {
    TableDefinition::new(table.name())
}

fn open_read(
    database: &Database,
    table: Table,
) -> Result<ReadOnlyTable<Bytes, Bytes>, redb::Error> {
    Ok(database.begin_read()?.open_table(definition(table))?)
}

fn write(
    database: &Database,
    batch: &Batch,
    durability: Durability,
    generation: Option<u64>,
) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(durability)?;
    if let Some(generation) = generation {
        transaction
            .open_table(JOURNAL_TABLE)?
            .insert((), generation)?;
    }
    for table in Table::ALL {
        let mut writes = batch.writes().iter().filter(|write| write.table() == table);
        let Some(first) = writes.next() else { continue };
        let mut open = transaction.open_table(definition(table))?;
        for write in std::iter::once(first).chain(writes) {
            match write {
                Write::Put { key, value, .. } => {
                    open.insert(key.as_slice(), value.as_slice())?;
                }
                Write::Delete { key, .. } => {
                    open.remove(key.as_slice())?;
                }
            }
        }
    }
    transaction.commit()?;
    Ok(())
}

fn read(database: &Database, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, redb::Error> {
    let value = open_read(database, table)?.get(key)?;
    Ok(value.map(|value| value.value().to_vec()))
}

fn read_many(
    database: &Database,
    keys: &[(Table, &[u8])],
) -> Result<Vec<Option<Vec<u8>>>, redb::Error> {
    let transaction = database.begin_read()?;
    let mut values = Vec::with_capacity(keys.len());
    for (table, key) in keys {
        let value = transaction.open_table(definition(*table))?.get(*key)?;
        values.push(value.map(|value| value.value().to_vec()));
    }
    Ok(values)
}

fn scan(
    database: &Database,
    table: Table,
    start: &[u8],
    end: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<Entry>, redb::Error> {
    let range = (
        Bound::Included(start),
        end.map_or(Bound::Unbounded, Bound::Excluded),
    );
    let mut entries = Vec::new();
    for entry in open_read(database, table)?
        .range::<&[u8]>(range)?
        .take(limit)
    {
        let (key, value) = entry?;
        entries.push((key.value().to_vec(), value.value().to_vec()));
    }
    Ok(entries)
}

fn last(
    database: &Database,
    table: Table,
    below: Option<&[u8]>,
) -> Result<Option<Entry>, redb::Error> {
    let range = (
        Bound::Unbounded,
        below.map_or(Bound::Unbounded, Bound::Excluded),
    );
    let mut entries = open_read(database, table)?.range::<&[u8]>(range)?;
    match entries.next_back() {
        Some(entry) => {
            let (key, value) = entry?;
            Ok(Some((key.value().to_vec(), value.value().to_vec())))
        }
        None => Ok(None),
    }
}

fn count(database: &Database, table: Table) -> Result<u64, redb::Error> {
    Ok(open_read(database, table)?.len()?)
}

fn failure(error: redb::Error) -> Failure {
    if matches!(error, redb::Error::PreviousIo | redb::Error::DatabaseClosed) {
        Failure::Stale
    } else {
        Failure::Store(store_error(error))
    }
}

fn store_error(error: redb::Error) -> StoreError {
    if matches!(error, redb::Error::DatabaseAlreadyOpen) {
        StoreError::Locked
    } else if let redb::Error::Io(error) = error {
        error.into()
    } else if let redb::Error::Corrupted(reason) = error {
        StoreError::Corrupt(reason)
    } else if let redb::Error::UpgradeRequired(version) = error {
        StoreError::Version(format!("redb {version}"))
    } else {
        StoreError::Io(error.to_string())
    }
}
