//! The embedded engine: SQLite in one file, one connection that writes, several that read.

mod connections;
mod load;
mod read;
mod write;

use std::collections::BTreeMap;
use std::path::Path;

use async_trait::async_trait;
use kopilka_crdt::identifier::IdentifierHash;
use kopilka_crdt::ids::{Incarnation, MemberId, NodeId, OperationId, ProgrammeId};
use kopilka_crdt::log::Tip;
use kopilka_crdt::sealed::MemberKey;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::Mutex;

use super::columns::entity_kind;
use super::decision::{assert_loaded, check_size};
use super::proposal::{ProposalRow, Settlement};
use super::rows::{
    AuditRow, BlockRow, CaseRow, Entity, EntityChange, EntityKind, FeedPage, Heads, Keys, LogRow,
    MemberRow, OperationRow, ProfileRow,
};
use super::{Decision, Store, StoreError};
use connections::{Readers, blocking, open_writer, wait_for_turn};

/// A database file. SQLite lets one connection write at a time and is not fair to those that wait, so this process
/// lets them wait for its own lock, which is.
pub(super) struct Sqlite {
    writer: Mutex<Connection>,
    readers: Readers,
}

impl Sqlite {
    /// Opens the file, makes it when it is not there, and brings its schema up to date.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let _turn = wait_for_turn(path)?;
        let writer = open_writer(path)?;
        Ok(Self {
            readers: Readers::open(path)?,
            writer: Mutex::new(writer),
        })
    }

    /// Runs `change` in a transaction that has the file's write lock from its start.
    async fn transact<T>(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut writer = self.writer.lock().await;
        blocking(|| {
            let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let outcome = change(&transaction)?;
            transaction.commit()?;
            Ok(outcome)
        })
    }
}

#[async_trait]
impl Store for Sqlite {
    async fn decide(&self, keys: &Keys, decision: Decision<'_>) -> Result<(), StoreError> {
        check_size(keys)?;
        self.transact(|transaction| {
            let rows = load::rows(transaction, keys)?;
            let changes = decision(&rows);
            assert_loaded(keys, &changes);
            write::changes(transaction, keys.programme, &rows, &changes)
        })
        .await
    }

    async fn feed(
        &self,
        programme: ProgrammeId,
        partition: u16,
        after: u64,
        limit: usize,
        log: (NodeId, Incarnation),
    ) -> Result<FeedPage, StoreError> {
        self.readers
            .view(|view| read::feed(view, programme, partition, after, limit, log))
            .await
    }

    async fn snapshot(
        &self,
        programme: ProgrammeId,
        partition: u16,
        after: Option<MemberId>,
        limit: usize,
        log: (NodeId, Incarnation),
    ) -> Result<FeedPage, StoreError> {
        self.readers
            .view(|view| read::snapshot(view, programme, partition, after, limit, log))
            .await
    }

    async fn member(
        &self,
        programme: ProgrammeId,
        member: MemberId,
        log: (NodeId, Incarnation),
    ) -> Result<Option<(MemberRow, Option<Tip>)>, StoreError> {
        self.readers
            .view(|view| match load::member(view, programme.0, member)? {
                Some(row) => Ok(Some((row, load::tip(view, log)?))),
                None => Ok(None),
            })
            .await
    }

    async fn members(
        &self,
        programme: ProgrammeId,
        members: &[MemberId],
    ) -> Result<BTreeMap<MemberId, MemberRow>, StoreError> {
        self.readers
            .view(|view| load::members(view, programme.0, members))
            .await
    }

    async fn find(
        &self,
        programme: ProgrammeId,
        hash: IdentifierHash,
    ) -> Result<Option<MemberId>, StoreError> {
        self.readers
            .view(|view| load::identifier(view, programme.0, hash))
            .await
    }

    async fn owners(
        &self,
        programme: ProgrammeId,
        hashes: &[IdentifierHash],
    ) -> Result<BTreeMap<IdentifierHash, MemberId>, StoreError> {
        self.readers
            .view(|view| load::identifiers(view, programme.0, hashes))
            .await
    }

    async fn members_due(
        &self,
        programme: ProgrammeId,
        now_ms: u64,
        limit: usize,
    ) -> Result<Vec<MemberId>, StoreError> {
        self.readers
            .view(|view| read::members_due(view, programme, now_ms, limit))
            .await
    }

    async fn operations_of(
        &self,
        programme: ProgrammeId,
        member: MemberId,
        before: Option<(u64, OperationId)>,
        limit: usize,
    ) -> Result<Vec<OperationRow>, StoreError> {
        self.readers
            .view(|view| read::operations_of(view, programme, member, before, limit))
            .await
    }

    async fn purchases(
        &self,
        programme: ProgrammeId,
        before: Option<(u64, OperationId)>,
        limit: usize,
    ) -> Result<Vec<OperationRow>, StoreError> {
        self.readers
            .view(|view| read::purchases(view, programme, before, limit))
            .await
    }

    async fn operations_between(
        &self,
        log: (NodeId, Incarnation),
        from: u64,
        to: u64,
        limit: usize,
    ) -> Result<Vec<OperationRow>, StoreError> {
        self.readers
            .view(|view| read::operations_between(view, log, from, to, limit))
            .await
    }

    async fn logs(&self, node: NodeId) -> Result<BTreeMap<Incarnation, LogRow>, StoreError> {
        let logs = self.readers.view(|view| load::logs(view, node)).await?;
        Ok(logs
            .into_iter()
            .map(|((_, incarnation), row)| (incarnation, row))
            .collect())
    }

    async fn profile(
        &self,
        programme: ProgrammeId,
        member: MemberId,
    ) -> Result<(Option<MemberKey>, Vec<ProfileRow>), StoreError> {
        self.readers
            .view(|view| read::profile(view, programme, member))
            .await
    }

    async fn blocks_after(
        &self,
        programme: ProgrammeId,
        number: u64,
        limit: usize,
    ) -> Result<Vec<BlockRow>, StoreError> {
        self.readers
            .view(|view| read::blocks_after(view, programme, number, limit))
            .await
    }

    async fn latest_blocks(
        &self,
        programme: ProgrammeId,
        subjects: [IdentifierHash; 2],
        limit: usize,
    ) -> Result<Vec<BlockRow>, StoreError> {
        self.readers
            .view(|view| read::latest_blocks(view, programme, subjects, limit))
            .await
    }

    async fn cases(
        &self,
        programme: ProgrammeId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, CaseRow)>, StoreError> {
        self.readers
            .view(|view| read::cases(view, programme, before, limit))
            .await
    }

    async fn audit(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, AuditRow)>, StoreError> {
        self.readers
            .view(|view| read::audit(view, before, limit))
            .await
    }

    async fn entity(&self, kind: EntityKind, id: &str) -> Result<Option<Entity>, StoreError> {
        self.readers.view(|view| read::entity(view, kind, id)).await
    }

    async fn entities(&self, kind: EntityKind, prefix: &str) -> Result<Vec<Entity>, StoreError> {
        self.readers
            .view(|view| read::entities(view, kind, prefix))
            .await
    }

    async fn change_entities(
        &self,
        changes: &[EntityChange],
        audit: Option<&AuditRow>,
    ) -> Result<(), StoreError> {
        self.transact(|transaction| write::entities(transaction, changes, audit))
            .await
    }

    async fn proposals(
        &self,
        programme: ProgrammeId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<ProposalRow>, StoreError> {
        self.readers
            .view(|view| read::proposals(view, programme, before, limit))
            .await
    }

    async fn propose(
        &self,
        programme: ProgrammeId,
        proposal: &ProposalRow,
        audit: &AuditRow,
    ) -> Result<(), StoreError> {
        self.transact(|transaction| {
            write::propose(transaction, programme, proposal)?;
            write::insert_audit(transaction, audit)
        })
        .await
    }

    async fn settle(
        &self,
        settlement: &Settlement,
        changes: &[EntityChange],
        audit: &AuditRow,
    ) -> Result<(), StoreError> {
        self.transact(|transaction| {
            write::settle(transaction, settlement)?;
            write::entities(transaction, changes, Some(audit))
        })
        .await
    }

    async fn next_number(&self, kind: EntityKind) -> Result<u32, StoreError> {
        let name = format!("number:{}", entity_kind(kind));
        let number = self
            .transact(|transaction| write::next(transaction, &name, 0, 1))
            .await?;
        u32::try_from(number).map_err(|_| StoreError::Range("number"))
    }

    async fn heads(&self) -> Result<Heads, StoreError> {
        self.readers.view(|view| read::heads(view)).await
    }

    fn partitions(&self) -> u16 {
        1
    }

    fn engine(&self) -> &'static str {
        "sqlite"
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.readers
            .view(|view| Ok(view.execute_batch("SELECT 1")?))
            .await
    }
}

#[cfg(test)]
mod tests {
    use kopilka_crdt::member::Member;

    use super::*;
    use crate::store::{Changes, Rows};

    const PROGRAMME: ProgrammeId = ProgrammeId(1);
    const LOG: (NodeId, Incarnation) = (NodeId(1), Incarnation(1));

    async fn put(store: &Sqlite, ids: std::ops::Range<u64>) -> Result<(), StoreError> {
        let ids: Vec<MemberId> = ids.map(MemberId).collect();
        let keys = Keys {
            programme: PROGRAMME.0,
            members: ids.clone(),
            ..Keys::default()
        };
        let mut decision = |_: &Rows| Changes {
            members: ids
                .iter()
                .map(|id| (*id, (Member::default(), None)))
                .collect(),
            ..Changes::default()
        };
        store.decide(&keys, &mut decision).await
    }

    #[tokio::test]
    async fn a_full_disk_is_named_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("hub.db")).unwrap();
        put(&store, 0..1).await.unwrap();
        let pages_in_use = |connection: &Connection| -> u32 {
            connection
                .pragma_query_value(None, "page_count", |row| row.get(0))
                .unwrap()
        };
        let limit = |connection: &Connection, pages: u32| {
            connection
                .pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
                .unwrap();
        };
        {
            let writer = store.writer.lock().await;
            limit(&writer, pages_in_use(&writer));
        }
        let outcome = put(&store, 1..5_000).await;
        assert!(matches!(outcome, Err(StoreError::Full)), "{outcome:?}");
        let page = store.feed(PROGRAMME, 0, 0, 9, LOG).await.unwrap();
        assert_eq!((page.members.len(), page.head), (1, 1));
        limit(&*store.writer.lock().await, u32::MAX);
        put(&store, 1..5_000).await.unwrap();
    }
}
