//! What promotions and accounts beyond the usual ones had to do with a purchase, as returns and limits need it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{AccountTakes, Authority, Credit};
use crate::ids::{AccountId, PromotionId};
use crate::money::Minor;

/// What promotions and accounts beyond the usual ones had to do with a purchase: enough to price it again, and to give
/// back its parts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Promoted {
    /// The promotions that gave something, in order of their numbers.
    pub applied: Vec<Applied>,
    /// What else the till knew of a line's goods, such as `brand`, by 0-based index.
    pub attributes: BTreeMap<u16, BTreeMap<String, String>>,
    /// What of a line's discount the till itself took off, by 0-based index; the rest is the promotions'.
    pub till_discounts: BTreeMap<u16, Minor>,
    /// The price below which a unit of a line may not be sold, by 0-based index.
    pub price_floors: BTreeMap<u16, Minor>,
    /// Points earned by each line, account by account; empty when one account at most was credited, whose shares are
    /// those of the lines.
    pub earned_shares: BTreeMap<AccountId, Vec<Minor>>,
    /// What was taken from accounts beside the points that paid: other accounts that pay, coupons, rewards.
    pub spent: Vec<Spending>,
    /// Credited for the receipt as a whole, such as coupons. Their lots are numbered after those earned.
    pub issued: Vec<Credit>,
    /// Gifts credited, by code.
    pub gifts: BTreeMap<String, u32>,
    /// Badges awarded, by code.
    pub badges: BTreeSet<String>,
    /// Promo codes entered that a promotion asked for.
    pub codes: Vec<String>,
}

impl Promoted {
    /// Numbers of the promotions that gave something.
    pub fn promotions(&self) -> Vec<PromotionId> {
        self.applied.iter().map(|one| one.promotion).collect()
    }
}

/// What a promotion gave on one receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Which promotion.
    pub promotion: PromotionId,
    /// Money that it took off.
    pub off: Minor,
    /// Points that it credited.
    pub points: Minor,
    /// Whether limits of the member count it.
    pub counting: Counting,
}

/// Whether and for how long limits count a use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Counting {
    /// No limit does.
    #[default]
    Not,
    /// Until the whole receipt is taken back.
    UntilReturned,
    /// Even if it is taken back.
    ForGood,
}

/// Something taken from one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spending {
    /// What for.
    pub purpose: Purpose,
    /// From which lots.
    pub taken: AccountTakes,
    /// On which rung, and under which allowances.
    pub authority: Authority,
}

/// What something was taken from an account for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    /// It paid for goods: so much of each line, which is part of what the line says was redeemed.
    Payment {
        /// By line, in order.
        shares: Vec<Minor>,
    },
    /// A coupon was used up, or a reward was paid for.
    Promotion {
        /// Whose.
        promotion: PromotionId,
        /// Whether it comes back when the whole receipt is taken back.
        comes_back: bool,
    },
}
