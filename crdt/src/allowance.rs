//! Allowances: the right, granted by the hub to one store's node, to take so much from one account while offline.
//!
//! A bounded counter (Balegas et al., 2015) with the hub in the middle: rights are the hub's to give, and come back
//! only when the holder's own log shows how they stood.

use serde::{Deserialize, Serialize};

use crate::clock::{Day, Stamp};
use crate::ids::{AccountId, Incarnation, LotId, NodeId};
use crate::money::{AmountError, Minor};

/// Names an allowance within its member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AllowanceRef {
    /// Granted by the hub, numbered within the member.
    Granted(u32),
    /// Carried by points which the store itself credited: increments bring their own rights.
    Earned(LotId),
}

/// A right to take at most `amount` until `expires_at_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// The account that it is drawn on.
    pub account: AccountId,
    /// The only node that may use it.
    pub node: NodeId,
    /// The only incarnation of that node that may use it.
    pub incarnation: Incarnation,
    /// Granted.
    pub amount: Minor,
    /// Used by operations seen so far.
    pub used: Minor,
    /// The programme's day on which it was granted. Points that were active by then stand behind it, so its holder
    /// may take them even where its own clock still runs before that day.
    pub granted_on: Day,
    /// Wall time in milliseconds from which the node may not use it.
    pub expires_at_ms: u64,
    /// The hub wants the rest back: the member stands at another till. Holders answer with an `AllowanceReturn`.
    pub recalled: bool,
    /// The node gave the rest back, or its log shows that it lapsed.
    pub closed: bool,
}

impl Allowance {
    /// What is left to use, were it not lapsed.
    pub fn open(&self) -> Minor {
        if self.closed {
            Minor::ZERO
        } else {
            Minor(self.amount.0.saturating_sub(self.used.0).max(0))
        }
    }

    /// What its holder may still take at `now_ms`, keeping `margin_ms` away from the end.
    pub fn usable(&self, now_ms: u64, margin_ms: u64) -> Minor {
        if now_ms.saturating_add(margin_ms) < self.expires_at_ms {
            self.open()
        } else {
            Minor::ZERO
        }
    }

    /// Whether the holder's log, seen up to `seen`, proves that no further use can come.
    pub fn is_proven_lapsed(&self, seen: Stamp) -> bool {
        seen.ms() >= self.expires_at_ms
    }

    /// Counts a use; what goes beyond the amount is counted too, and is the hub's to judge.
    pub fn count_use(&mut self, amount: Minor) -> Result<(), AmountError> {
        self.used = self.used.plus(amount)?;
        Ok(())
    }
}

/// A use of an allowance by a redemption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllowanceUse {
    /// Which one.
    pub allowance: AllowanceRef,
    /// How much of it; positive.
    pub amount: Minor,
}

/// The rung of the authorisation ladder that a redemption stood on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// The hub reserved the amount for this store on the spot.
    Hub,
    /// The store held an allowance.
    Allowance,
}
