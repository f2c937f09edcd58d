//! Purchases that a node asks the hub for: to take back what another store sold, or without the receipt at hand.

use kopilka_crdt::clock::Stamp;
use kopilka_crdt::ids::{MemberId, NodeId, OperationId};
use kopilka_crdt::operation::{ReceiptKey, ReturnedLine};
use serde::{Deserialize, Serialize};

/// Which purchases; only those that were counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SoldQuery {
    /// The one of a receipt.
    Receipt(ReceiptKey),
    /// The one of an operation.
    Operation(OperationId),
    /// A member's, newest first.
    Member {
        /// Whose.
        member: MemberId,
        /// Where the page before ended; none: from the newest on.
        before: Option<SoldCursor>,
        /// At most so many, and never more than [`crate::limits::SOLD_MAX`].
        limit: u16,
    },
}

/// Where a page of purchases ends; the hub's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoldCursor {
    /// When the hub took the last one in, milliseconds since 1970.
    pub taken_in_ms: u64,
    /// The last one.
    pub operation: OperationId,
}

/// Purchases found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SoldPage {
    /// Newest first.
    pub purchases: Vec<SoldPurchase>,
    /// Where the next page starts; none at the end.
    pub next: Option<SoldCursor>,
}

/// A purchase that was counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoldPurchase {
    /// Its operation.
    pub operation: OperationId,
    /// The operation's stamp.
    pub stamp: Stamp,
    /// The operation's entry, as its node signed it.
    pub entry: Vec<u8>,
    /// What has come back of it.
    pub returned: Vec<CameBack>,
}

/// Goods that came back with one operation. A node gives no stamp twice, also not under another incarnation, so the two
/// name the operation even where a log was taken over under another number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CameBack {
    /// Whose log has it.
    pub node: NodeId,
    /// The operation's stamp.
    pub stamp: Stamp,
    /// What came back.
    pub lines: Vec<ReturnedLine>,
}
