//! The hub's store: rows that decisions are made on, and one way to change them.
//!
//! Every change of the ledger is a *decision*: named rows are loaded and locked, a pure function says what becomes of
//! them, and the outcome is written in the same transaction. On a serialization failure the function is asked again,
//! so it must not have effects of its own.

mod columns;
mod decision;
mod migration;
mod postgres;
mod proposal;
mod rows;
mod sqlite;
mod statements;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use kopilka_crdt::identifier::IdentifierHash;
use kopilka_crdt::ids::{Incarnation, MemberId, NodeId, OperationId, ProgrammeId};
use kopilka_crdt::log::Tip;
use kopilka_crdt::sealed::MemberKey;

pub use proposal::{ProposalDecision, ProposalOutcome, ProposalRow, Settlement};
pub use rows::{
    AuditRow, BlockRow, CaseRow, Changes, Entity, EntityChange, EntityKind, FeedPage, FeedRow,
    Heads, KeyState, Keys, LogRow, MemberRow, OperationRow, ProfileRow, Rows,
};

/// Most rows that one decision may load.
pub const DECISION_ROWS_MAX: usize = 16_384;

/// Most cancels and returns of one member that a decision looks at.
pub const REVERSALS_MAX: usize = 4_096;

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached or opened.
    #[error("the database cannot be reached: {0}")]
    Unavailable(String),
    /// The connection cannot be protected as the settings ask.
    #[error("TLS to the database: {0}")]
    Tls(String),
    /// The disk is full.
    #[error("the database's disk is full")]
    Full,
    /// The transaction lost against others more often than it may be retried.
    #[error("the database is too busy: the transaction was retried too often")]
    Contended,
    /// A stored row cannot be read.
    #[error("a row of {0} is damaged")]
    Damaged(&'static str),
    /// The row is not in a state that allows the change.
    #[error("this {0} does not allow the change")]
    Refused(&'static str),
    /// A row that must be unique exists already.
    #[error("{0} exists already")]
    Exists(&'static str),
    /// More rows than [`DECISION_ROWS_MAX`].
    #[error("too many rows for one decision")]
    TooLarge,
    /// The database was made by a newer version of the program.
    #[error("the database was made by a newer version")]
    Version,
    /// The database was made with another number of feed partitions than the settings ask for.
    #[error("the database was made with {stored} feed partitions, the settings ask for {asked}")]
    Partitions {
        /// What the database has.
        stored: u16,
        /// What the settings say.
        asked: u16,
    },
    /// A number of 2⁶³ or more: no database holds it, and no honest node makes it.
    #[error("a {0} is too large to be stored")]
    Range(&'static str),
}

/// Where the data are.
#[derive(Debug, Clone)]
pub enum StoreSettings {
    /// In a file of this machine, for one hub process.
    Sqlite {
        /// The database file; made when it is not there.
        path: PathBuf,
    },
    /// In PostgreSQL, for any number of hub processes.
    Postgres {
        /// A connection string or URL.
        url: String,
        /// Feed partitions of a new database; an old one must have as many.
        partitions: u16,
    },
    /// The same, over TLS that the server proves itself in: `sslmode=verify-full`.
    PostgresVerified {
        /// A connection string or URL.
        url: String,
        /// Feed partitions of a new database; an old one must have as many.
        partitions: u16,
        /// PEM file of the certificates that the server's may lead to.
        root_certificates: PathBuf,
    },
}

/// Opens the store, makes it when it is new, and brings its schema up to date.
pub async fn open(settings: &StoreSettings) -> Result<Arc<dyn Store>, StoreError> {
    match settings {
        StoreSettings::Sqlite { path } => Ok(Arc::new(sqlite::Sqlite::open(path)?)),
        StoreSettings::Postgres { url, partitions } => {
            let store = postgres::Postgres::open(url, None, *partitions).await?;
            Ok(Arc::new(store))
        }
        StoreSettings::PostgresVerified {
            url,
            partitions,
            root_certificates,
        } => {
            let roots = Some(root_certificates.as_path());
            let store = postgres::Postgres::open(url, roots, *partitions).await?;
            Ok(Arc::new(store))
        }
    }
}

/// A decision: asked once or more often, with the rows as they are then.
pub type Decision<'a> = &'a mut (dyn FnMut(&Rows) -> Changes + Send);

/// The hub's store. SQLite and PostgreSQL implement it; `conformance` says what both must do.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Loads and locks `keys`, asks `decision`, writes what it says, all in one transaction.
    ///
    /// What is changed must have been loaded: a member, log, receipt, identifier or counter outside `keys` is a
    /// programmer's error and panics. `Exists` when an operation or block order is stored already.
    async fn decide(&self, keys: &Keys, decision: Decision<'_>) -> Result<(), StoreError>;

    /// Members of a partition after a position, at most `limit`, and `node`'s log (its `incarnation`) in the same view.
    async fn feed(
        &self,
        programme: ProgrammeId,
        partition: u16,
        after: u64,
        limit: usize,
        log: (NodeId, Incarnation),
    ) -> Result<FeedPage, StoreError>;

    /// Members of a partition after an identifier, in order of identifier, for snapshots.
    async fn snapshot(
        &self,
        programme: ProgrammeId,
        partition: u16,
        after: Option<MemberId>,
        limit: usize,
        log: (NodeId, Incarnation),
    ) -> Result<FeedPage, StoreError>;

    /// One member, and `node`'s log in the same view.
    async fn member(
        &self,
        programme: ProgrammeId,
        member: MemberId,
        log: (NodeId, Incarnation),
    ) -> Result<Option<(MemberRow, Option<Tip>)>, StoreError>;

    /// Members by their identifiers; those that are not known are not in the map.
    async fn members(
        &self,
        programme: ProgrammeId,
        members: &[MemberId],
    ) -> Result<BTreeMap<MemberId, MemberRow>, StoreError>;

    /// Who an identifier belongs to.
    async fn find(
        &self,
        programme: ProgrammeId,
        hash: IdentifierHash,
    ) -> Result<Option<MemberId>, StoreError>;

    /// Who identifiers belong to; those that nobody has are not in the map.
    async fn owners(
        &self,
        programme: ProgrammeId,
        hashes: &[IdentifierHash],
    ) -> Result<BTreeMap<IdentifierHash, MemberId>, StoreError>;

    /// Members with an allowance to be looked at by `now_ms`.
    async fn members_due(
        &self,
        programme: ProgrammeId,
        now_ms: u64,
        limit: usize,
    ) -> Result<Vec<MemberId>, StoreError>;

    /// A member's operations, newest first, before a given (taken_in_ms, id), at most `limit`.
    async fn operations_of(
        &self,
        programme: ProgrammeId,
        member: MemberId,
        before: Option<(u64, OperationId)>,
        limit: usize,
    ) -> Result<Vec<OperationRow>, StoreError>;

    /// A programme's purchases, newest first, before a given (taken_in_ms, id), at most `limit`.
    async fn purchases(
        &self,
        programme: ProgrammeId,
        before: Option<(u64, OperationId)>,
        limit: usize,
    ) -> Result<Vec<OperationRow>, StoreError>;

    /// Operations of one log in (from, to], in order, at most `limit`.
    async fn operations_between(
        &self,
        log: (NodeId, Incarnation),
        from: u64,
        to: u64,
        limit: usize,
    ) -> Result<Vec<OperationRow>, StoreError>;

    /// Every log of a node.
    async fn logs(&self, node: NodeId) -> Result<BTreeMap<Incarnation, LogRow>, StoreError>;

    /// A member's key and sealed fields. `None` for the key once it was destroyed.
    async fn profile(
        &self,
        programme: ProgrammeId,
        member: MemberId,
    ) -> Result<(Option<MemberKey>, Vec<ProfileRow>), StoreError>;

    /// Block orders of a programme after a number, in order.
    async fn blocks_after(
        &self,
        programme: ProgrammeId,
        number: u64,
        limit: usize,
    ) -> Result<Vec<BlockRow>, StoreError>;

    /// The latest block order about each thing from one to another, both included, in their order.
    async fn latest_blocks(
        &self,
        programme: ProgrammeId,
        subjects: [IdentifierHash; 2],
        limit: usize,
    ) -> Result<Vec<BlockRow>, StoreError>;

    /// Cases, newest first, before a given number, at most `limit`, with their numbers.
    async fn cases(
        &self,
        programme: ProgrammeId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, CaseRow)>, StoreError>;

    /// Staff actions, newest first, before a given number, at most `limit`, with their numbers.
    async fn audit(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, AuditRow)>, StoreError>;

    /// One entity.
    async fn entity(&self, kind: EntityKind, id: &str) -> Result<Option<Entity>, StoreError>;

    /// Entities of a kind whose identifier starts with `prefix`, in order of identifier.
    async fn entities(&self, kind: EntityKind, prefix: &str) -> Result<Vec<Entity>, StoreError>;

    /// Changes entities together, with a note of who did it. `Exists` when an expected version does not match.
    async fn change_entities(
        &self,
        changes: &[EntityChange],
        audit: Option<&AuditRow>,
    ) -> Result<(), StoreError>;

    /// A programme's proposals, newest first, before a given number, at most `limit`.
    async fn proposals(
        &self,
        programme: ProgrammeId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<ProposalRow>, StoreError>;

    /// Adds a proposal, which takes the place of the one that waits, with a note of who did it. `Exists` when its number
    /// was given to another.
    async fn propose(
        &self,
        programme: ProgrammeId,
        proposal: &ProposalRow,
        audit: &AuditRow,
    ) -> Result<(), StoreError>;

    /// Settles a proposal and changes entities with it, all together, with a note of who did it. `Refused` when the
    /// proposal does not wait, or when its author would approve it; `Exists` when an expected version does not match.
    async fn settle(
        &self,
        settlement: &Settlement,
        changes: &[EntityChange],
        audit: &AuditRow,
    ) -> Result<(), StoreError>;

    /// The next number of a kind of entity, never given before.
    async fn next_number(&self, kind: EntityKind) -> Result<u32, StoreError>;

    /// What is newest, to wait for news.
    async fn heads(&self) -> Result<Heads, StoreError>;

    /// Number of feed partitions.
    fn partitions(&self) -> u16;

    /// `sqlite` or `postgres`.
    fn engine(&self) -> &'static str;

    /// Answers when the database does.
    async fn ping(&self) -> Result<(), StoreError>;
}
