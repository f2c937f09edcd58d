//! What the app's rows hold.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use kopilka_crdt::allowance::AllowanceUse;
use kopilka_crdt::clock::{Day, Stamp};
use kopilka_crdt::ids::{AccountId, IdError, Incarnation, LotId, MemberId, NodeId, OperationId};
use kopilka_crdt::ledger::{AccountView, Take};
use kopilka_crdt::log::{EntryError, Head, Tip};
use kopilka_crdt::money::{AmountError, Milli, Minor};
use kopilka_crdt::operation::{AccountTakes, Authority, Body, Charge, Purchase, Reversal};
use kopilka_crdt::rulebook::model::Text;
use kopilka_protocol::message::{Adoption, AppliedLog, CameBack};
use kopilka_rules::reversal::came_back;
use serde::{Deserialize, Serialize};

pub(super) use crate::record::{decode, encode};
use crate::store::StoreError;

use super::gift_card::GiftCardMove;
use super::keys::IdentifierPrefix;

/// A sale at this node, from its authorisation on: 64 random bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PurchaseId(pub u64);

impl fmt::Display for PurchaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "u{:016x}", self.0)
    }
}

impl FromStr for PurchaseId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        text.strip_prefix('u')
            .filter(|digits| digits.len() == 16)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|digits| u64::from_str_radix(digits, 16).ok())
            .map(Self)
            .ok_or(IdError { kind: "purchase" })
    }
}

/// In front of a member's row that lists identifiers; no version of a member's record begins with it.
const LISTED: u8 = 0;

/// A member's row: the starts of the keys that they are found by, and the record.
///
/// The list tells which keys to delete once the hub's state no longer has an identifier. Four bytes of each are enough,
/// as keys sort by them: a table from members to whole hashes would cost four times the disk, and a search of all
/// identifiers would stop the writer for seconds.
pub(super) fn listed_member(listed: &[IdentifierPrefix], record: &[u8]) -> Vec<u8> {
    let mut row = postcard::to_extend(listed, vec![LISTED])
        .expect("a list encodes: all its types are plain data");
    row.extend_from_slice(record);
    row
}

/// The list and the record in a member's row. Nodes from before the list wrote the record alone.
pub(super) fn split_member(row: &[u8]) -> Result<(Vec<IdentifierPrefix>, &[u8]), StoreError> {
    match row.split_first() {
        Some((&LISTED, rest)) => {
            postcard::take_from_bytes(rest).map_err(|error| StoreError::Corrupt(error.to_string()))
        }
        Some(_) | None => Ok((Vec::new(), row)),
    }
}

/// An entry of the node's own log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LogEntry {
    pub stamp: Stamp,
    /// Of the log after it.
    pub head: Head,
    pub bytes: Vec<u8>,
}

impl LogEntry {
    pub(super) fn body(&self) -> Result<Body, EntryError> {
        let nowhere = Tip {
            sequence: 0,
            head: self.head,
            stamp: Stamp::default(),
        };
        nowhere.follow(&self.bytes).map(|(_, _, body)| body)
    }
}

/// An operation in its member's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// Which.
    pub id: OperationId,
    /// When.
    pub stamp: Stamp,
    /// What.
    pub body: Body,
}

/// How far a sale has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SaleState {
    /// Authorised; its points are held until this wall time in milliseconds.
    Held {
        /// When it will be voided.
        until_ms: u64,
    },
    /// Given up by the till.
    Voided,
    /// Not confirmed in time. A late confirmation is still honoured, because the goods may be gone.
    Lapsed,
    /// Sold.
    Confirmed {
        /// The operation.
        operation: OperationId,
        /// When.
        stamp: Stamp,
    },
}

/// A sale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurchaseRecord {
    /// What is or will be signed.
    pub purchase: Purchase,
    /// How far it has come.
    pub state: SaleState,
    /// What is or will be signed beside it, about other records.
    pub charges: Vec<SaleCharge>,
    /// What has come back, as far as it is known here.
    pub returned: Vec<CameBack>,
    /// Wall time of its authorisation, milliseconds.
    pub authorised_ms: u64,
    /// The hub told of it: it was sold elsewhere, and names operations and lots as the hub does.
    pub told_by_hub: bool,
}

/// A charge that is signed with a sale: a bearer's coupon or a budget is drawn on, or a use is counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaleCharge {
    /// The charge.
    pub charge: Charge,
    /// Its operation, once the sale is confirmed.
    pub operation: Option<(OperationId, Stamp)>,
}

/// What a sale takes from one account of one record.
pub(super) struct Taking<'a> {
    pub record: MemberId,
    pub taken: &'a mut AccountTakes,
    pub authority: Option<&'a mut Authority>,
}

impl PurchaseRecord {
    /// All that the sale takes, from the member and from other records.
    pub(super) fn takings(&mut self) -> Vec<Taking<'_>> {
        let member = self.purchase.member;
        let own = |taken, authority| Taking {
            record: member,
            taken,
            authority,
        };
        let points = self.purchase.redeemed.as_mut();
        let authority = self.purchase.authority.as_mut();
        let mut takings: Vec<_> = points
            .map(|taken| own(taken, authority))
            .into_iter()
            .collect();
        let promoted = self.purchase.promoted.iter_mut();
        let spent = promoted.flat_map(|promoted| &mut promoted.spent);
        takings.extend(spent.map(|one| own(&mut one.taken, Some(&mut one.authority))));
        takings.extend(self.charges.iter_mut().filter_map(|one| {
            Some(Taking {
                record: one.charge.member,
                taken: one.charge.taken.as_mut()?,
                authority: one.charge.authority.as_mut(),
            })
        }));
        takings
    }

    /// The records that the sale is about.
    pub(super) fn records(&self) -> BTreeSet<MemberId> {
        let charges = self.charges.iter().map(|one| one.charge.member);
        charges.chain([self.purchase.member]).collect()
    }

    /// Before points, and to be paid with money.
    pub fn totals(&self) -> Result<(Minor, Minor), AmountError> {
        let mut total = Minor::ZERO;
        let mut redeemed = Minor::ZERO;
        for line in &self.purchase.lines {
            total = total.plus(line.amount()?)?;
            redeemed = redeemed.plus(line.redeemed)?;
        }
        Ok((total, total.minus(redeemed)?))
    }

    /// What has come back, line by line.
    pub fn came_back(&self) -> Vec<Milli> {
        let lines = self.returned.iter().flat_map(|back| &back.lines);
        came_back(&self.purchase, &lines.copied().collect::<Vec<_>>())
    }
}

/// What a sale that waits for confirmation binds of one record.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct HoldRecord {
    pub until_ms: u64,
    pub takes: Vec<AccountTakes>,
    pub uses: Vec<AllowanceUse>,
}

/// An answer kept for retries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answered {
    /// BLAKE3 of the request.
    pub body: [u8; 32],
    pub outcome: Outcome,
}

/// What a till's write led to: all that its answer says, so that a retry gets the same answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Authorised, confirmed or voided.
    Sale(Box<SaleOutcome>),
    /// Cancelled, or goods taken back.
    Reversed(Box<ReversalOutcome>),
    /// A new member.
    Enrolled {
        /// Who.
        member: MemberId,
        /// The operation.
        operation: OperationId,
        /// What they have now.
        balances: Vec<Balance>,
    },
    /// Something about a member was recorded.
    Recorded {
        /// Who.
        member: MemberId,
        /// The operation; none when it was so already.
        operation: Option<OperationId>,
        /// What they have now.
        balances: Vec<Balance>,
    },
    /// A gift card was loaded, paid with, or paid back to.
    GiftCard(Box<GiftCardMove>),
}

/// A sale as it stood when it was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaleOutcome {
    /// Its name.
    pub id: PurchaseId,
    /// The sale.
    pub record: PurchaseRecord,
    /// What the member has now.
    pub balances: Vec<Balance>,
    /// For the receipt.
    pub message: Text,
}

/// A cancel or return as it was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReversalOutcome {
    /// The purchase.
    pub purchase: PurchaseId,
    /// The operation.
    pub operation: OperationId,
    /// What it says.
    pub reversal: Reversal,
    /// What the member has now.
    pub balances: Vec<Balance>,
}

/// An account on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// Which.
    pub account: AccountId,
    /// What it comes to.
    pub view: AccountView,
    /// The next day after which some of it runs out, with how much.
    pub next_expiry: Option<(Day, Minor)>,
}

/// How the node stands with the hub, by partition of the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FeedCursor {
    pub position: u64,
    /// What states up to the position include of the own log.
    pub applied: AppliedLog,
    /// The last `applied` that all members of the partition include.
    pub complete: AppliedLog,
}

/// How the node stands with the hub.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct SyncRecord {
    pub feed: Vec<FeedCursor>,
    pub block: u64,
    /// What the hub has made durable of the present incarnation.
    pub durable: Option<Tip>,
    /// Up to where the own log is gone from this disk.
    pub pruned: Option<Tip>,
}

/// How far a snapshot has come.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SnapshotProgress {
    /// Where the feed goes on after it, by partition.
    pub positions: Vec<u64>,
    /// The partition that is being read.
    pub partition: u16,
    /// The last member that is on the disk.
    pub after: Option<MemberId>,
}

/// Branches of own logs that the hub counts under other incarnation numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Adoptions(pub Vec<(Incarnation, Adoption)>);

impl Adoptions {
    /// Those that came after what was signed in an incarnation. A name of a former incarnation in it is the hub's own:
    /// what was adopted of that one had its new name already.
    pub(super) fn after(self, incarnation: Incarnation) -> Self {
        let later = self
            .0
            .into_iter()
            .filter(|(adopted, _)| *adopted >= incarnation);
        Self(later.collect())
    }

    /// The name that the hub knows an operation by; other nodes' keep theirs.
    pub(super) fn rename(&self, own: NodeId, id: OperationId) -> OperationId {
        let adopted = self.0.iter().find(|(incarnation, adoption)| {
            (own, *incarnation) == (id.node, id.incarnation)
                && id.sequence >= adoption.from_sequence
        });
        match adopted {
            Some((_, adoption)) => OperationId {
                incarnation: adoption.incarnation,
                ..id
            },
            None => id,
        }
    }

    pub(super) fn rename_lot(&self, own: NodeId, lot: LotId) -> LotId {
        LotId {
            operation: self.rename(own, lot.operation),
            ..lot
        }
    }

    pub(super) fn rename_takes(&self, own: NodeId, takes: &mut [Take]) {
        for take in takes {
            take.lot = self.rename_lot(own, take.lot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sale_keeps_the_names_that_were_new_when_it_was_signed() {
        let own = NodeId(7);
        let adopted = |incarnation, from_sequence, number| {
            let adoption = Adoption {
                from_sequence,
                incarnation: Incarnation(number),
            };
            (Incarnation(incarnation), adoption)
        };
        let adoptions = Adoptions(vec![adopted(1, 5, 1_001), adopted(2, 3, 1_002)]);
        let operation = |incarnation, sequence| OperationId {
            node: own,
            incarnation: Incarnation(incarnation),
            sequence,
        };
        let renamed = |signed: u32, id| {
            let later = adoptions.clone().after(Incarnation(signed));
            later.rename(own, id).incarnation.0
        };
        for (signed, named, expected) in [
            // A lot of the branch, in a sale of the branch.
            (1, operation(1, 5), 1_001),
            (1, operation(1, 4), 1),
            // The hub's first history has that name too, and later sales mean this one.
            (2, operation(1, 5), 1),
            (2, operation(2, 3), 1_002),
            (3, operation(2, 3), 2),
        ] {
            assert_eq!(renamed(signed, named), expected, "{named} in {signed}");
        }
    }
}
