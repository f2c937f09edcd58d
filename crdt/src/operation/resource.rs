//! Facts about what is limited and is no member's: gift cards, bearers' coupons, budgets of promotions. Each has a record
//! of its own, with accounts, rights and blocks, like a member.

use serde::{Deserialize, Serialize};

use super::{AccountTakes, Applied, Authority, ReceiptKey};
use crate::clock::Day;
use crate::identifier::CardTag;
use crate::ids::{CashierId, MemberId, OperationId, TillId};

/// A sale drew on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// Its record.
    pub member: MemberId,
    /// The card or coupon shown.
    pub card: Option<CardTag>,
    /// For which receipt.
    pub receipt: ReceiptKey,
    /// Who served.
    pub cashier: CashierId,
    /// What was taken.
    pub taken: Option<AccountTakes>,
    /// On which rung, and under which allowances; none where the rules let stores go on without.
    pub authority: Option<Authority>,
    /// A use that limits count.
    pub counted: Option<Applied>,
}

/// A charge was given back, whole or in part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// Its record.
    pub member: MemberId,
    /// The charge.
    pub charge: OperationId,
    /// Where.
    pub till: TillId,
    /// Who served.
    pub cashier: CashierId,
    /// The day that the charge was counted on.
    pub day: Day,
    /// What goes back into its lots.
    pub restored: Option<AccountTakes>,
    /// The use that limits no longer count.
    pub uncounted: Option<Applied>,
}
