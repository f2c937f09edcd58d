//! The hub's store: rows that decisions are made on, and one way to change them.
//!
//! Every change of the ledger is a *decision*: named rows are loaded and locked, a pure function says what becomes of
//! them, and the outcome is written in the same transaction. On a serialization failure the function is asked again,
//! so it must not have effects of its own.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kopilka_crdt::clock::Stamp;
use kopilka_crdt::identifier::{IdentifierHash, IdentifierKind};
use kopilka_crdt::ids::{Incarnation, MemberId, NodeId, OperationId, ProgrammeId, StoreId};
use kopilka_crdt::log::Tip;
use kopilka_crdt::member::Member;
use kopilka_crdt::operation::{ProfileField, ReceiptKey, Verdict};
use kopilka_crdt::sealed::{MemberKey, Sealed};

/// Most rows that one decision may load.
pub const DECISION_ROWS_MAX: usize = 16_384;

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached or opened.
    #[error("the database cannot be reached: {0}")]
    Unavailable(String),
    /// The disk is full.
    #[error("the database's disk is full")]
    Full,
    /// The transaction lost against others more often than it may be retried.
    #[error("the database is too busy: the transaction was retried too often")]
    Contended,
    /// A stored row cannot be read.
    #[error("a row of {0} is damaged")]
    Damaged(&'static str),
    /// A row that must be unique exists already.
    #[error("{0} exists already")]
    Exists(&'static str),
    /// More rows than [`DECISION_ROWS_MAX`].
    #[error("too many rows for one decision")]
    TooLarge,
    /// The database was made by a newer version of the program.
    #[error("the database was made by a newer version")]
    Version,
}

/// Rows that a decision is made on.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    /// The programme.
    pub programme: u16,
    /// Members, locked.
    pub members: Vec<MemberId>,
    /// Receipts.
    pub receipts: Vec<ReceiptKey>,
    /// Identifiers.
    pub identifiers: Vec<IdentifierHash>,
    /// Logs, locked: every incarnation of these nodes.
    pub nodes: Vec<NodeId>,
    /// Operations whose stored bytes and verdict are needed (the purchases of reversals).
    pub operations: Vec<OperationId>,
    /// Whether a block order or a hub operation will be numbered: locks the counters.
    pub counters: bool,
}

/// A member's row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberRow {
    /// The state.
    pub member: Member,
    /// What they are found by.
    pub identifiers: Vec<IdentifierHash>,
    /// Its place in its partition of the feed; 0 for a member that is not stored yet.
    pub position: u64,
    /// A key of the member is stored.
    pub has_key: bool,
}

/// A log's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    /// Up to where it is durable here.
    pub tip: Tip,
    /// No more of it is taken in.
    pub frozen: bool,
}

/// A stored operation, as reversals and price checks need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationRow {
    /// Which.
    pub id: OperationId,
    /// Its stamp.
    pub stamp: Stamp,
    /// About whom.
    pub member: Option<MemberId>,
    /// The store whose node made it; none: the hub.
    pub store: Option<StoreId>,
    /// A word for its kind.
    pub kind: &'static str,
    /// Its entry's bytes.
    pub bytes: Vec<u8>,
    /// First 16 bytes of its log's head after it.
    pub head: [u8; 16],
    /// What was decided.
    pub verdict: Verdict,
    /// Why, in words; empty when accepted.
    pub reason: String,
    /// When the hub took it in, milliseconds since 1970.
    pub taken_in_ms: u64,
}

/// What a decision found.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// Members; absent ones are not in the map.
    pub members: BTreeMap<MemberId, MemberRow>,
    /// Who counted a receipt first.
    pub receipts: BTreeMap<ReceiptKey, OperationId>,
    /// Who an identifier belongs to.
    pub identifiers: BTreeMap<IdentifierHash, MemberId>,
    /// Logs of the nodes asked for.
    pub logs: BTreeMap<(NodeId, Incarnation), LogRow>,
    /// Operations asked for and known.
    pub operations: BTreeMap<OperationId, OperationRow>,
    /// Number of the programme's last block order.
    pub block_last: u64,
    /// The hub's own log, one for the programme (node 0, incarnation = programme number).
    pub hub_log: Option<Tip>,
}

/// A sealed field of a questionnaire, with what decides between two writings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileRow {
    /// Whose.
    pub member: MemberId,
    /// Which field.
    pub field: ProfileField,
    /// The larger pair wins; the store keeps the stored row when it is larger.
    pub written: (Stamp, OperationId),
    /// The value.
    pub sealed: Sealed,
}

/// A suspicion with its evidence, for security staff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseRow {
    /// When it was opened, milliseconds since 1970.
    pub opened_ms: u64,
    /// A stable word: `fork`, `overdraft`, `breach`, `mispriced`, `identifier_taken`, `contested`.
    pub kind: &'static str,
    /// The node concerned.
    pub node: Option<NodeId>,
    /// The member concerned.
    pub member: Option<MemberId>,
    /// The operation concerned.
    pub operation: Option<OperationId>,
    /// In words.
    pub summary: String,
    /// Signed bytes, where there are any.
    pub evidence: Vec<u8>,
}

/// A signed block order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockRow {
    /// Its number.
    pub number: u64,
    /// The card.
    pub card: IdentifierHash,
    /// `SignedBlockOrder`, postcard.
    pub signed: Vec<u8>,
}

/// What a decision changes.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// New states; the store gives each a new position in its partition. With the moment at which the first
    /// of its open allowances should be looked at again, milliseconds since 1970.
    pub members: BTreeMap<MemberId, (Member, Option<u64>)>,
    /// New identifiers; each belongs to a member of `members`.
    pub identifiers: Vec<(IdentifierHash, IdentifierKind, MemberId)>,
    /// Receipts counted.
    pub receipts: Vec<(ReceiptKey, OperationId)>,
    /// Operations, all of them, whatever the verdict.
    pub operations: Vec<OperationRow>,
    /// Logs that moved.
    pub logs: Vec<(NodeId, Incarnation, LogRow)>,
    /// Members' keys; a stored key is never overwritten.
    pub keys: Vec<(MemberId, MemberKey)>,
    /// Questionnaire fields.
    pub profiles: Vec<ProfileRow>,
    /// Cases.
    pub cases: Vec<CaseRow>,
    /// Block orders.
    pub blocks: Vec<BlockRow>,
    /// The hub's own log after the operations that it made here.
    pub hub_log: Option<Tip>,
    /// Staff action, when a person asked for it.
    pub audit: Option<AuditRow>,
}

/// A staff action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// When, milliseconds since 1970.
    pub at_ms: u64,
    /// Who: a staff login or `command line`.
    pub actor: String,
    /// A stable word such as `card.block`.
    pub action: String,
    /// On what.
    pub subject: String,
    /// JSON details without personal data.
    pub details: String,
}

/// Part of the feed.
#[derive(Debug, Clone, Default)]
pub struct FeedPage {
    /// Members in order of position (feed) or identifier (snapshot).
    pub members: Vec<(MemberId, MemberRow)>,
    /// The partition's last position when the page was read.
    pub head: u64,
    /// The asking node's log when the page was read, in the same view of the data.
    pub applied: Option<Tip>,
}

/// Kinds of things that head office keeps; stored as JSON, read whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntityKind {
    /// Programmes.
    Programme,
    /// Legal entities.
    Partner,
    /// Stores.
    Store,
    /// Nodes.
    Node,
    /// Tills.
    Till,
    /// Cashiers.
    Cashier,
    /// Staff users.
    Staff,
    /// Enrolment codes, by the hash of their secret.
    Code,
    /// Rule book drafts, by programme.
    RuleBook,
    /// Publications, by programme and number.
    Publication,
    /// Staff sessions, by the hash of their token.
    Session,
    /// What nodes have on disk, by node.
    Delivery,
}

/// A change of one entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityChange {
    /// Its kind.
    pub kind: EntityKind,
    /// Its identifier within the kind.
    pub id: String,
    /// New content; none: remove.
    pub body: Option<Vec<u8>>,
    /// The version that must be stored now (0: must not exist); none: whatever is there.
    pub expected: Option<u64>,
}

/// A stored entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entity {
    /// Its identifier within the kind.
    pub id: String,
    /// Rises with each change.
    pub version: u64,
    /// JSON, or Automerge for rule books.
    pub body: Vec<u8>,
}

/// Moments at which something changed, to wait for news cheaply.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heads {
    /// Last position by partition.
    pub feed: Vec<u64>,
    /// Last block order by programme.
    pub blocks: BTreeMap<u16, u64>,
    /// Rises with every entity change other than sessions and deliveries.
    pub entities: u64,
}

/// A decision: asked once or more often, with the rows as they are then.
pub type Decision<'a> = &'a mut (dyn FnMut(&Rows) -> Changes + Send);

/// The hub's store. SQLite and PostgreSQL implement it; `conformance` says what both must do.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Loads and locks `keys`, asks `decision`, writes what it says, all in one transaction.
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

    /// Who an identifier belongs to.
    async fn find(&self, programme: ProgrammeId, hash: IdentifierHash) -> Result<Option<MemberId>, StoreError>;

    /// Members with an allowance to be looked at by `now_ms`.
    async fn members_due(&self, programme: ProgrammeId, now_ms: u64, limit: usize) -> Result<Vec<MemberId>, StoreError>;

    /// A member's operations, newest first, before a given (taken_in_ms, id), at most `limit`.
    async fn operations_of(
        &self,
        programme: ProgrammeId,
        member: MemberId,
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

    /// A log's row.
    async fn logs(&self, node: NodeId) -> Result<BTreeMap<Incarnation, LogRow>, StoreError>;

    /// A member's key and sealed fields. `None` for the key once it was destroyed.
    async fn profile(&self, member: MemberId) -> Result<(Option<MemberKey>, Vec<ProfileRow>), StoreError>;

    /// Block orders of a programme after a number, in order.
    async fn blocks_after(&self, programme: ProgrammeId, number: u64, limit: usize) -> Result<Vec<BlockRow>, StoreError>;

    /// Cases, newest first, before a given number, at most `limit`, with their numbers.
    async fn cases(&self, programme: ProgrammeId, before: Option<u64>, limit: usize) -> Result<Vec<(u64, CaseRow)>, StoreError>;

    /// Staff actions, newest first, before a given number, at most `limit`, with their numbers.
    async fn audit(&self, before: Option<u64>, limit: usize) -> Result<Vec<(u64, AuditRow)>, StoreError>;

    /// One entity.
    async fn entity(&self, kind: EntityKind, id: &str) -> Result<Option<Entity>, StoreError>;

    /// Entities of a kind whose identifier starts with `prefix`, in order of identifier.
    async fn entities(&self, kind: EntityKind, prefix: &str) -> Result<Vec<Entity>, StoreError>;

    /// Changes entities together, with a note of who did it. `Exists` when an expected version does not match.
    async fn change_entities(&self, changes: &[EntityChange], audit: Option<&AuditRow>) -> Result<(), StoreError>;

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
