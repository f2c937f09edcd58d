//! Messages between nodes and the hub, by the stream that carries them.
//!
//! A node opens a bidirectional stream whose first frame is an [`Opening`]. The session stream then carries
//! [`NodeMessage`] up and [`HubMessage`] down; a request stream carries [`Reply`] down. The hub opens two
//! unidirectional streams for a session, each led by a [`Channel`] frame: block orders ([`BlockBatch`]) with the
//! highest priority, and the feed ([`FeedMessage`]).

mod sold;

use kopilka_crdt::directory::StoreDirectory;
use kopilka_crdt::identifier::IdentifierHash;
use kopilka_crdt::ids::{
    AccountId, Incarnation, MemberId, NodeId, OperationId, ProgrammeId, StoreId,
};
use kopilka_crdt::log::Tip;
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::Verdict;
use kopilka_crdt::sealed::MemberKey;
use serde::{Deserialize, Serialize};

use crate::key::PublicKey;
use crate::publication::{PublicationDelta, PublicationStart};
use crate::segment::Segment;
use crate::signed::{SignedBlockOrder, SignedPublication};
pub use sold::{CameBack, SoldCursor, SoldPage, SoldPurchase, SoldQuery};

/// First frame of a stream that a node opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Opening {
    /// A sync session; at most one a connection.
    Session(Hello),
    /// A new node presents its code; its key is the one of the connection.
    Enrol(EnrolRequest),
    /// Rung 1 of the ladder: reserve points for a redemption that waits at a till.
    Reserve(ReserveRequest),
    /// Who is it? For members that the node's replica does not hold.
    Find(IdentifierHash),
    /// Pages of members, for a new replica.
    Snapshot(SnapshotRequest),
    /// A publication by its number, in pieces. From version 2 on.
    Publication(u32),
    /// What was sold: for goods that another store takes back, or without the receipt at hand. From version
    /// 2 on.
    Sold(SoldQuery),
}

/// A node says who and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Wire protocol version.
    pub protocol: u16,
    /// Version of the program, for head office to see.
    pub program: String,
    /// The node.
    pub node: NodeId,
    /// Its present incarnation.
    pub incarnation: Incarnation,
    /// Where its log stands.
    pub tip: Tip,
    /// What it holds of the hub's state.
    pub seen: Seen,
}

/// What a node has on its disk of what the hub sends.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Feed position by partition; empty while it has no snapshot.
    pub feed: Vec<u64>,
    /// Number of the last block order.
    pub block: u64,
    /// Number of the publication that it runs; 0: none.
    pub publication: u32,
    /// Version of its directory; 0: none.
    pub directory: u64,
}

/// A one-time code, used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolRequest {
    /// The code's secret.
    pub secret: [u8; 16],
    /// Version of the program.
    pub program: String,
}

/// Points for a redemption that waits at a till.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReserveRequest {
    /// Whose.
    pub member: MemberId,
    /// Which account.
    pub account: AccountId,
    /// How much the store needs beyond the allowances that it holds.
    pub amount: Minor,
    /// How long the till waits, milliseconds.
    pub deadline_ms: u32,
}

/// Members after one of a partition, in order of identifier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotRequest {
    /// The partition.
    pub partition: u16,
    /// The last member that the node has; none: from the start.
    pub after: Option<MemberId>,
}

/// What a node sends on its session stream after [`Opening::Session`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeMessage {
    /// A run of its log, and keys of members that it enrolled there. Keys are not part of the log.
    Segment {
        /// The run.
        segment: Segment,
        /// New members' keys.
        keys: Vec<(MemberId, MemberKey)>,
    },
    /// A run of the branch that the hub asked for; `last` when it is all there is.
    Branch {
        /// The run.
        segment: Segment,
        /// New members' keys.
        keys: Vec<(MemberId, MemberKey)>,
        /// Nothing follows it.
        last: bool,
    },
    /// What is on its disk now.
    Seen(Seen),
}

/// What the hub sends on a session stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HubMessage {
    /// First: how the log stands.
    Welcome(Welcome),
    /// The log up to this tip is durable at the hub; verdicts other than *accepted* are named.
    Durable {
        /// Which log.
        incarnation: Incarnation,
        /// Up to where.
        tip: Tip,
        /// What was found.
        verdicts: Vec<VerdictNote>,
    },
    /// Begin a new incarnation; see [`Renewal`].
    Renew(Renewal),
    /// The session ends; the connection is closed after it.
    Refused(Refusal),
    /// A segment contradicted what the hub has: send all that is left of this log, as [`NodeMessage::Branch`].
    SendBranch,
}

/// The hub's answer to a hello.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// Wire protocol version that the hub will speak.
    pub protocol: u16,
    /// The hub's wall time, milliseconds since 1970.
    pub hub_ms: u64,
    /// Partitions of the feed.
    pub partitions: u16,
    /// How the node's log stands.
    pub standing: Standing,
    /// Feed positions to start from after a snapshot that begins now, by partition.
    pub snapshot_at: Vec<u64>,
}

/// How a node's log stands with the hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// Go on after what is durable here.
    Continue(Tip),
    /// This log says something else than the hub has: send all of it that is left, as [`NodeMessage::Branch`].
    Diverged,
    /// The hub has more of this log than the node: it was restored from a backup.
    Behind(Renewal),
}

/// The end of an incarnation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    /// The incarnation to go on under.
    pub next: Incarnation,
    /// The branch that the hub took over under another number, when there was one.
    pub adopted: Option<Adoption>,
}

/// A fork's second branch, kept and counted under an incarnation number of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adoption {
    /// First sequence that the branches do not share.
    pub from_sequence: u64,
    /// The number that the branch's operations have at the hub.
    pub incarnation: Incarnation,
}

/// A verdict on one of the node's operations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictNote {
    /// Which.
    pub operation: OperationId,
    /// What was decided.
    pub verdict: Verdict,
    /// Why, in words.
    pub reason: String,
}

/// Why the hub ends a session or refuses a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The key of the connection belongs to no node.
    #[error("this key is not enrolled")]
    UnknownKey,
    /// The node was revoked.
    #[error("this node was revoked")]
    Revoked,
    /// The hello names another node than the key's.
    #[error("this key belongs to another node")]
    WrongNode,
    /// Versions too far apart.
    #[error("the protocol version is not supported")]
    Protocol,
    /// A frame that makes no sense at this point.
    #[error("the message does not belong here")]
    Unexpected,
    /// A segment that does not verify or does not fit.
    #[error("the segment does not verify")]
    Segment,
    /// The enrolment code is wrong, used or out of date.
    #[error("the enrolment code is wrong, used or expired")]
    Code,
    /// The hub cannot serve now; try again later.
    #[error("the hub is busy")]
    Busy,
    /// This incarnation was frozen.
    #[error("this incarnation is frozen")]
    Frozen,
}

/// Answers on request streams.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// The node is enrolled.
    Enrolled(Enrolled),
    /// The member as of now, with all allowances of this node; the reserved one is among them.
    Reserved(MemberState),
    /// Less than asked for is free; the figure is what could be had, the member's state is as of now.
    Short {
        /// What the hub could still give.
        available: Minor,
        /// The member.
        state: MemberState,
    },
    /// The member behind an identifier.
    Found(Option<MemberState>),
    /// A page of a snapshot; more follow on the same stream until one says that it is the last.
    Page(crate::snapshot::SignedPage),
    /// No.
    Refused(Refusal),
    /// A publication whose rules follow in pieces on the same stream.
    Publication(PublicationStart),
    /// The next piece of a publication's rules.
    Rules(Vec<u8>),
    /// Purchases.
    Sold(SoldPage),
}

/// One member as of now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberState {
    /// Where the state stands in its partition of the feed: what the feed brings from here on is no older.
    pub position: u64,
    /// How much of the asking node's log it includes.
    pub applied: AppliedLog,
    /// The member.
    pub member: FeedMember,
}

/// A node's place in the world.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolled {
    /// Its number.
    pub node: NodeId,
    /// Its first incarnation.
    pub incarnation: Incarnation,
    /// Its programme.
    pub programme: ProgrammeId,
    /// Its store.
    pub store: StoreId,
    /// The hub's key in full.
    pub hub: PublicKey,
}

/// What a unidirectional stream of the hub carries; its first frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Channel {
    /// [`BlockBatch`] frames.
    Blocks,
    /// [`FeedMessage`] frames.
    Feed,
}

/// Block orders in order of number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockBatch {
    /// The orders.
    pub orders: Vec<SignedBlockOrder>,
}

/// Who needs an event of the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scope {
    /// Every node of the programme.
    Programme,
    /// Nodes of one region.
    Region(u32),
    /// Nodes of one store.
    Store(StoreId),
}

/// Frames of the feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FeedMessage {
    /// Members that changed.
    Members(FeedBatch),
    /// A new version of the rules.
    Publication(SignedPublication),
    /// A new directory of the node's store.
    Directory(StoreDirectory),
    /// A new version of the rules, as what differs from the one that the node has. From version 2 on.
    PublicationDelta(PublicationDelta),
    /// Number of a new version of the rules that is too large for a frame: to be asked for. From version 2 on.
    PublicationNumber(u32),
}

/// The latest state of members that changed between two positions of a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedBatch {
    /// The partition.
    pub partition: u16,
    /// The cursor before.
    pub after: u64,
    /// The cursor once this batch is on disk.
    pub upto: u64,
    /// How much of the receiving node's own log these states include.
    pub applied: AppliedLog,
    /// Nothing newer was there when this was read: together with what came before, states include all of `applied`.
    pub caught_up: bool,
    /// The members.
    pub members: Vec<FeedMember>,
}

/// How much of a node's log a state includes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedLog {
    /// Of which incarnation.
    pub incarnation: Incarnation,
    /// Up to which sequence.
    pub sequence: u64,
}

/// One member's state for a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedMember {
    /// Who.
    pub id: MemberId,
    /// Who needs it.
    pub scope: Scope,
    /// What they are found by.
    pub identifiers: Vec<IdentifierHash>,
    /// `Member::encode` of the state, other nodes' allowances left out.
    pub record: Vec<u8>,
}
