//! What the hub's store holds, and what decisions load and change.

use std::collections::BTreeMap;

use kopilka_crdt::clock::Stamp;
use kopilka_crdt::identifier::{IdentifierHash, IdentifierKind};
use kopilka_crdt::ids::{Incarnation, MemberId, NodeId, OperationId, StoreId};
use kopilka_crdt::log::Tip;
use kopilka_crdt::member::Member;
use kopilka_crdt::operation::{ProfileField, ReceiptKey, Verdict};
use kopilka_crdt::sealed::{MemberKey, Sealed};

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
    /// Members whose cancels and returns are needed, to know what has come back of a purchase.
    pub reversals_of: Vec<MemberId>,
    /// Whether a block order or a hub operation will be numbered: locks the counters. Then nobody else gives block
    /// orders meanwhile, and the latest about each of `identifiers` is loaded too.
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
    /// What is known of the member's key.
    pub key: KeyState,
}

/// Whether a member's personal data can be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyState {
    /// No key came yet.
    #[default]
    Absent,
    /// It is stored.
    Stored,
    /// It was destroyed: the personal data are erased, and no key is taken for the member again.
    Destroyed,
}

/// A member's row as nodes are to get it: most go out as they are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedRow {
    /// The state, as [`Member::encode`] wrote it.
    pub record: Vec<u8>,
    /// Stores hold rights on the member, and each is told of its own only.
    pub has_rights: bool,
    /// What they are found by.
    pub identifiers: Vec<IdentifierHash>,
    /// Its place in its partition of the feed.
    pub position: u64,
}

/// A log's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    /// Up to where it is durable here.
    pub tip: Tip,
    /// The node's signature over that tip, 64 bytes: with the entries it proves the whole log. Empty for hub logs.
    pub seal_signature: Vec<u8>,
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
    /// Cancels and returns of the members asked for; those that another decision adds wait for the member's lock.
    pub reversals: Vec<OperationRow>,
    /// Number of the programme's last block order.
    pub block_last: u64,
    /// The latest block order about each identifier asked for; loaded when the counters are.
    pub blocks: BTreeMap<IdentifierHash, BlockRow>,
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
    /// What it is about, as the 16 bytes of `protocol::signed::Subject`: a card, unless they stand for a promotion.
    pub subject: IdentifierHash,
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
    /// Members of `members` whose key is destroyed and whose questionnaire is deleted, with the identifiers that they
    /// lose.
    pub erased: BTreeMap<MemberId, Vec<IdentifierHash>>,
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
    pub members: Vec<(MemberId, FeedRow)>,
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
    /// Attempts to sign in, by login.
    Attempts,
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
    /// Last position by partition, by programme; a programme without members is not in the map.
    pub feed: BTreeMap<u16, Vec<u64>>,
    /// Last block order by programme.
    pub blocks: BTreeMap<u16, u64>,
    /// Rises with every entity change other than sessions, deliveries and attempts to sign in.
    pub entities: u64,
}
