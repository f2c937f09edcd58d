//! The engine for several hub processes on one database: PostgreSQL.

mod entity;
mod load;
mod number;
mod pool;
mod proposal;
mod read;
mod tls;
mod write;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use kopilka_crdt::identifier::IdentifierHash;
use kopilka_crdt::ids::{Incarnation, MemberId, NodeId, OperationId, ProgrammeId};
use kopilka_crdt::log::Tip;
use kopilka_crdt::sealed::MemberKey;
use tokio_postgres::Client;

use super::columns::entity_kind;
use super::decision::{assert_loaded, check_size};
use super::migration::migration_error;
use super::proposal::{ProposalRow, Settlement};
use super::rows::{
    AuditRow, BlockRow, CaseRow, Entity, EntityChange, EntityKind, FeedPage, Heads, Keys, LogRow,
    MemberRow, OperationRow, ProfileRow,
};
use super::{Decision, Store, StoreError};
use pool::Pool;

refinery::embed_migrations!("src/store/postgres/migrations");

/// Times that a transaction is tried when it loses against others.
const ATTEMPTS_MAX: u32 = 10;
/// Times that the schema is brought up to date when other processes do the same.
const MIGRATION_ATTEMPTS_MAX: u32 = 5;
/// Before the second attempt; twice as long before each that follows.
const RETRY_DELAY_MS: u64 = 2;

/// A database that any number of hub processes share.
pub(super) struct Postgres {
    pool: Pool,
    partitions: u16,
}

impl Postgres {
    /// Connects, brings the schema up to date, and checks the number of partitions.
    pub(super) async fn open(
        url: &str,
        root_certificates: Option<&Path>,
        partitions: u16,
    ) -> Result<Self, StoreError> {
        let pool = Pool::new(url, root_certificates)?;
        let mut client = pool.connect().await?;
        migrate(&mut client).await?;
        check_partitions(&client, partitions).await?;
        Ok(Self { pool, partitions })
    }

    async fn attempt(&self, keys: &Keys, decision: Decision<'_>) -> Result<(), StoreError> {
        let mut lent = self.pool.lend().await?;
        let mut session = lent.change().await?;
        let rows = load::rows(&mut session, keys, self.partitions).await?;
        let changes = decision(&rows);
        assert_loaded(keys, &changes);
        write::changes(
            &mut session,
            keys.programme,
            &rows,
            &changes,
            self.partitions,
        )
        .await?;
        session.commit().await
    }

    async fn attempt_entities(
        &self,
        changes: &[EntityChange],
        audit: Option<&AuditRow>,
    ) -> Result<(), StoreError> {
        let mut lent = self.pool.lend().await?;
        let mut session = lent.change().await?;
        entity::change(&mut session, changes, audit).await?;
        session.commit().await
    }

    async fn attempt_number(&self, name: &str) -> Result<i64, StoreError> {
        let mut lent = self.pool.lend().await?;
        let mut session = lent.change().await?;
        let number = number::next(&mut session, name, 0).await?;
        session.commit().await?;
        Ok(number)
    }
}

#[async_trait]
impl Store for Postgres {
    async fn decide(&self, keys: &Keys, decision: Decision<'_>) -> Result<(), StoreError> {
        check_size(keys)?;
        let mut attempts = Attempts::default();
        loop {
            match self.attempt(keys, &mut *decision).await {
                Ok(()) => return Ok(()),
                // A row that exists already was made by another process after this one looked, or by the caller's
                // mistake; fresh rows tell which.
                Err(error @ (StoreError::Contended | StoreError::Exists(_))) => {
                    attempts.pause(error).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn feed(
        &self,
        programme: ProgrammeId,
        partition: u16,
        after: u64,
        limit: usize,
        log: (NodeId, Incarnation),
    ) -> Result<FeedPage, StoreError> {
        let mut lent = self.pool.lend().await?;
        read::feed(
            &mut lent.view().await?,
            programme,
            partition,
            after,
            limit,
            log,
        )
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
        let mut lent = self.pool.lend().await?;
        read::snapshot(
            &mut lent.view().await?,
            programme,
            partition,
            after,
            limit,
            log,
        )
        .await
    }

    async fn member(
        &self,
        programme: ProgrammeId,
        member: MemberId,
        log: (NodeId, Incarnation),
    ) -> Result<Option<(MemberRow, Option<Tip>)>, StoreError> {
        let mut lent = self.pool.lend().await?;
        let mut view = lent.view().await?;
        match load::member(&mut view, programme.0, member, self.partitions).await? {
            Some(row) => Ok(Some((row, load::tip(&mut view, log).await?))),
            None => Ok(None),
        }
    }

    async fn members(
        &self,
        programme: ProgrammeId,
        members: &[MemberId],
    ) -> Result<BTreeMap<MemberId, MemberRow>, StoreError> {
        let mut lent = self.pool.lend().await?;
        load::members(
            &mut lent.view().await?,
            programme.0,
            members,
            self.partitions,
        )
        .await
    }

    async fn find(
        &self,
        programme: ProgrammeId,
        hash: IdentifierHash,
    ) -> Result<Option<MemberId>, StoreError> {
        let mut lent = self.pool.lend().await?;
        load::identifier(&mut lent.view().await?, programme.0, hash).await
    }

    async fn owners(
        &self,
        programme: ProgrammeId,
        hashes: &[IdentifierHash],
    ) -> Result<BTreeMap<IdentifierHash, MemberId>, StoreError> {
        let mut lent = self.pool.lend().await?;
        load::identifiers(&mut lent.view().await?, programme.0, hashes).await
    }

    async fn members_due(
        &self,
        programme: ProgrammeId,
        now_ms: u64,
        limit: usize,
    ) -> Result<Vec<MemberId>, StoreError> {
        let mut lent = self.pool.lend().await?;
        read::members_due(&mut lent.view().await?, programme, now_ms, limit).await
    }

    async fn operations_of(
        &self,
        programme: ProgrammeId,
        member: MemberId,
        before: Option<(u64, OperationId)>,
        limit: usize,
    ) -> Result<Vec<OperationRow>, StoreError> {
        let mut lent = self.pool.lend().await?;
        read::operations_of(&mut lent.view().await?, programme, member, before, limit).await
    }

    async fn purchases(
        &self,
        programme: ProgrammeId,
        before: Option<(u64, OperationId)>,
        limit: usize,
    ) -> Result<Vec<OperationRow>, StoreError> {
        let mut lent = self.pool.lend().await?;
        read::purchases(&mut lent.view().await?, programme, before, limit).await
    }

    async fn operations_between(
        &self,
        log: (NodeId, Incarnation),
        from: u64,
        to: u64,
        limit: usize,
    ) -> Result<Vec<OperationRow>, StoreError> {
        let mut lent = self.pool.lend().await?;
        read::operations_between(&mut lent.view().await?, log, from, to, limit).await
    }

    async fn logs(&self, node: NodeId) -> Result<BTreeMap<Incarnation, LogRow>, StoreError> {
        let mut lent = self.pool.lend().await?;
        read::logs(&mut lent.view().await?, node).await
    }

    async fn profile(
        &self,
        programme: ProgrammeId,
        member: MemberId,
    ) -> Result<(Option<MemberKey>, Vec<ProfileRow>), StoreError> {
        let mut lent = self.pool.lend().await?;
        read::profile(&mut lent.view().await?, programme, member).await
    }

    async fn blocks_after(
        &self,
        programme: ProgrammeId,
        number: u64,
        limit: usize,
    ) -> Result<Vec<BlockRow>, StoreError> {
        let mut lent = self.pool.lend().await?;
        read::blocks_after(&mut lent.view().await?, programme, number, limit).await
    }

    async fn latest_blocks(
        &self,
        programme: ProgrammeId,
        subjects: [IdentifierHash; 2],
        limit: usize,
    ) -> Result<Vec<BlockRow>, StoreError> {
        let mut lent = self.pool.lend().await?;
        read::latest_blocks(&mut lent.view().await?, programme, subjects, limit).await
    }

    async fn cases(
        &self,
        programme: ProgrammeId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, CaseRow)>, StoreError> {
        let mut lent = self.pool.lend().await?;
        read::cases(&mut lent.view().await?, programme, before, limit).await
    }

    async fn audit(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, AuditRow)>, StoreError> {
        let mut lent = self.pool.lend().await?;
        read::audit(&mut lent.view().await?, before, limit).await
    }

    async fn entity(&self, kind: EntityKind, id: &str) -> Result<Option<Entity>, StoreError> {
        let mut lent = self.pool.lend().await?;
        read::entity(&mut lent.view().await?, kind, id).await
    }

    async fn entities(&self, kind: EntityKind, prefix: &str) -> Result<Vec<Entity>, StoreError> {
        let mut lent = self.pool.lend().await?;
        read::entities(&mut lent.view().await?, kind, prefix).await
    }

    async fn change_entities(
        &self,
        changes: &[EntityChange],
        audit: Option<&AuditRow>,
    ) -> Result<(), StoreError> {
        let mut attempts = Attempts::default();
        loop {
            match self.attempt_entities(changes, audit).await {
                Err(error @ StoreError::Contended) => attempts.pause(error).await?,
                outcome => return outcome,
            }
        }
    }

    async fn proposals(
        &self,
        programme: ProgrammeId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<ProposalRow>, StoreError> {
        let mut lent = self.pool.lend().await?;
        proposal::proposals(&mut lent.view().await?, programme, before, limit).await
    }

    async fn propose(
        &self,
        programme: ProgrammeId,
        proposal: &ProposalRow,
        audit: &AuditRow,
    ) -> Result<(), StoreError> {
        let mut attempts = Attempts::default();
        loop {
            match self.attempt_proposal(programme, proposal, audit).await {
                Err(error @ StoreError::Contended) => attempts.pause(error).await?,
                outcome => return outcome,
            }
        }
    }

    async fn settle(
        &self,
        settlement: &Settlement,
        changes: &[EntityChange],
        audit: &AuditRow,
    ) -> Result<(), StoreError> {
        let mut attempts = Attempts::default();
        loop {
            match self.attempt_settlement(settlement, changes, audit).await {
                Err(error @ StoreError::Contended) => attempts.pause(error).await?,
                outcome => return outcome,
            }
        }
    }

    async fn next_number(&self, kind: EntityKind) -> Result<u32, StoreError> {
        let name = format!("number:{}", entity_kind(kind));
        let number = self.attempt_number(&name).await?;
        u32::try_from(number).map_err(|_| StoreError::Range("number"))
    }

    async fn heads(&self) -> Result<Heads, StoreError> {
        let mut lent = self.pool.lend().await?;
        read::heads(&mut lent.view().await?, self.partitions).await
    }

    fn partitions(&self) -> u16 {
        self.partitions
    }

    fn engine(&self) -> &'static str {
        "postgres"
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let mut lent = self.pool.lend().await?;
        lent.view().await?.execute("SELECT 1", &[]).await?;
        Ok(())
    }
}

/// Counts how often a transaction lost.
#[derive(Default)]
struct Attempts(u32);

impl Attempts {
    /// Waits before the next attempt, or gives up with what went wrong.
    async fn pause(&mut self, error: StoreError) -> Result<(), StoreError> {
        self.0 += 1;
        if self.0 >= ATTEMPTS_MAX {
            return Err(error);
        }
        tokio::time::sleep(Duration::from_millis(RETRY_DELAY_MS << self.0)).await;
        Ok(())
    }
}

/// Several processes may start on an empty database: all but one fail, and find the work done when they look again.
async fn migrate(client: &mut Client) -> Result<(), StoreError> {
    let migrations = migrations::runner().set_abort_missing(true);
    for attempt in 1.. {
        let Err(error) = migrations.run_async(client).await else {
            break;
        };
        let error = migration_error(&error);
        if matches!(error, StoreError::Version) || attempt >= MIGRATION_ATTEMPTS_MAX {
            return Err(error);
        }
        tokio::time::sleep(Duration::from_millis(RETRY_DELAY_MS << attempt)).await;
    }
    Ok(())
}

async fn check_partitions(client: &Client, asked: u16) -> Result<(), StoreError> {
    const STORE: &str =
        "INSERT INTO meta (name, value) VALUES ('partitions', $1) ON CONFLICT DO NOTHING";
    const STORED: &str = "SELECT value FROM meta WHERE name = 'partitions'";
    client.execute(STORE, &[&i64::from(asked)]).await?;
    let stored: i64 = client.query_one(STORED, &[]).await?.try_get(0)?;
    let stored = u16::try_from(stored).map_err(|_| StoreError::Damaged("meta"))?;
    if stored == asked {
        Ok(())
    } else {
        Err(StoreError::Partitions { stored, asked })
    }
}
