//! The store as the app sees it: the engine, what this group of requests has changed, and what this request has.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::{Batch, Engine, Entry, StoreError, Table};

use super::keys;
use super::records::{decode, encode};

/// Rows changed; none: deleted.
type Changes = BTreeMap<(Table, Vec<u8>), Option<Vec<u8>>>;

/// Reads its own writes: a request sees what the requests before it in the group changed.
///
/// Without changes it is a plain reader, and cheap to make.
pub(super) struct Rows {
    engine: Arc<dyn Engine>,
    group: Changes,
    request: Changes,
}

impl Rows {
    pub(super) fn new(engine: Arc<dyn Engine>) -> Self {
        Self {
            engine,
            group: Changes::new(),
            request: Changes::new(),
        }
    }

    pub(super) fn read<T: DeserializeOwned>(
        &self,
        table: Table,
        key: &[u8],
    ) -> Result<Option<T>, StoreError> {
        self.read_bytes(table, key)?
            .map(|bytes| decode(&bytes))
            .transpose()
    }

    pub(super) fn read_bytes(
        &self,
        table: Table,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, StoreError> {
        if !self.group.is_empty() || !self.request.is_empty() {
            let row = (table, key.to_vec());
            if let Some(value) = self.request.get(&row).or_else(|| self.group.get(&row)) {
                return Ok(value.clone());
            }
        }
        self.engine.read(table, key)
    }

    /// Up to `limit` rows with `start <= key < end`, ascending.
    pub(super) fn scan(
        &self,
        table: Table,
        start: &[u8],
        end: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let within = |changes: &Changes| -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
            changes
                .range((table, start.to_vec())..)
                .take_while(|((other, key), _)| {
                    *other == table && end.is_none_or(|end| key.as_slice() < end)
                })
                .map(|((_, key), value)| (key.clone(), value.clone()))
                .collect()
        };
        let changed: Vec<_> = within(&self.group)
            .into_iter()
            .chain(within(&self.request))
            .collect();
        // As many more as may turn out to be deleted.
        let stored = self
            .engine
            .scan(table, start, end, limit.saturating_add(changed.len()))?;
        if changed.is_empty() {
            return Ok(stored);
        }
        let mut rows: BTreeMap<_, _> = stored.into_iter().collect();
        for (key, value) in changed {
            match value {
                Some(value) => rows.insert(key, value),
                None => rows.remove(&key),
            };
        }
        Ok(rows.into_iter().take(limit).collect())
    }

    /// Up to `limit` rows whose keys begin with `prefix`.
    pub(super) fn scan_prefix(
        &self,
        table: Table,
        prefix: &[u8],
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let end = keys::after_prefix(prefix);
        self.scan(table, prefix, end.as_deref(), limit)
    }

    /// The row with the greatest key on the disk, where this group has changed nothing.
    pub(super) fn last_stored(&self, table: Table) -> Result<Option<Entry>, StoreError> {
        self.engine.last(table, None)
    }

    /// The row with the greatest key less than `below` on the disk, where this group has changed nothing.
    pub(super) fn last_below(
        &self,
        table: Table,
        below: Option<&[u8]>,
    ) -> Result<Option<Entry>, StoreError> {
        self.engine.last(table, below)
    }

    pub(super) fn put(&mut self, table: Table, key: Vec<u8>, record: &impl Serialize) {
        self.put_bytes(table, key, encode(record));
    }

    pub(super) fn put_bytes(&mut self, table: Table, key: Vec<u8>, value: Vec<u8>) {
        self.request.insert((table, key), Some(value));
    }

    pub(super) fn delete(&mut self, table: Table, key: Vec<u8>) {
        self.request.insert((table, key), None);
    }

    /// Lets a row go at a wall time.
    pub(super) fn expire(&mut self, due_ms: u64, table: Table, key: &[u8]) {
        let expiry = keys::expiry(due_ms, table, key);
        self.put_bytes(Table::Expiry, expiry, Vec::new());
    }

    /// Keeps what the request changed.
    pub(super) fn accept(&mut self, batch: &mut Batch) {
        for ((table, key), value) in std::mem::take(&mut self.request) {
            match &value {
                Some(value) => batch.put(table, key.clone(), value.clone()),
                None => batch.delete(table, key.clone()),
            }
            self.group.insert((table, key), value);
        }
    }

    /// Forgets what the request changed.
    pub(super) fn refuse(&mut self) {
        self.request.clear();
    }

    /// Forgets what the group changed: it is in the store now, or never will be.
    pub(super) fn forget_group(&mut self) {
        self.group.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::faulty::FaultyEngine;

    #[test]
    fn a_request_sees_its_group_and_a_refused_one_leaves_nothing() {
        let engine = Arc::new(FaultyEngine::new());
        let mut stored = Batch::new();
        for key in [b"a1", b"a2", b"b1"] {
            stored.put(Table::Meta, *key, *b"old");
        }
        engine.commit(&stored).unwrap();
        let mut rows = Rows::new(engine);
        let keys = |rows: &Rows, limit| -> Vec<Vec<u8>> {
            let found = rows.scan_prefix(Table::Meta, b"a", limit).unwrap();
            found.into_iter().map(|(key, _)| key).collect()
        };
        let mut batch = Batch::new();
        rows.delete(Table::Meta, b"a1".to_vec());
        rows.put_bytes(Table::Meta, b"a3".to_vec(), b"new".to_vec());
        rows.accept(&mut batch);
        assert_eq!(batch.len(), 2);
        assert_eq!(keys(&rows, 9), [b"a2", b"a3"]);
        assert_eq!(keys(&rows, 1), [b"a2"]);

        rows.delete(Table::Meta, b"a2".to_vec());
        rows.put_bytes(Table::Meta, b"a3".to_vec(), b"newer".to_vec());
        assert_eq!(keys(&rows, 9), [b"a3"]);
        rows.refuse();
        assert_eq!(
            rows.read_bytes(Table::Meta, b"a3").unwrap().unwrap(),
            b"new"
        );

        rows.forget_group();
        assert_eq!(keys(&rows, 9), [b"a1", b"a2"]);
    }
}
