//! A lot: points credited together. Everything in it is a counter or is set once by the operation that credits it.

use serde::{Deserialize, Serialize};

use crate::clock::Day;
use crate::ids::PartnerId;
use crate::money::{AmountError, Minor};

/// Why points were credited.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Earned by a purchase.
    #[default]
    Purchase,
    /// Given for joining the programme.
    Welcome,
    /// Credited by staff.
    Adjustment,
    /// Brought in from an earlier system.
    Import,
    /// Given for bringing a friend, or for being brought.
    Referral,
    /// Handed out by a promotion, such as a coupon.
    Issued,
    /// Paid for: a gift card's value.
    Loaded,
    /// Given back after its lot had run out.
    Restored,
    /// A promotion's budget, or a bearer's coupon.
    Budget,
}

/// Points credited together.
///
/// A reversal may be known before the credit that it reverses; until the credit comes, `amount` is zero and the
/// lot stands in debt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Lot {
    /// Credited.
    pub amount: Minor,
    /// Redeemed or written off by members and staff, less what returns gave back.
    pub taken: Minor,
    /// Taken back because the goods that earned it were returned.
    pub withdrawn: Minor,
    /// First day on which it may be spent.
    pub active_from: Day,
    /// Last day on which it may be spent.
    pub expires_on: Option<Day>,
    /// The partner that owes for it; none until the crediting operation is known.
    pub issuer: Option<PartnerId>,
    /// Why it was credited.
    pub cause: Cause,
}

impl Lot {
    /// What is left of it; negative when more was taken than it held.
    pub fn remaining(&self) -> Result<Minor, AmountError> {
        self.amount.minus(self.taken)?.minus(self.withdrawn)
    }

    /// Whether its last day has passed.
    pub fn is_expired(&self, today: Day) -> bool {
        self.expires_on.is_some_and(|last| last < today)
    }

    /// Whether its first day has come.
    pub fn is_active(&self, today: Day) -> bool {
        self.active_from <= today
    }
}
