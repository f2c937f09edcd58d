//! Coupons, gift cards, referrals, and what returns give back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Text;
use super::goods::{is_no, is_yes, yes};
use crate::ids::AccountId;
use crate::money::Minor;

/// A series of coupons. A member's coupons are units of an account: each is credited with the account's activation and
/// expiry, and used by taking one unit. A bearer's coupon is a numbered card with one unit on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeriesRules {
    /// Its name, as printed.
    pub name: Text,
    /// The account that counts them; no other series and nothing else uses it.
    pub account: AccountId,
    /// Most that one member may hold at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_member_max: Option<u32>,
    /// Whether members may give theirs to others.
    #[serde(default, skip_serializing_if = "is_no")]
    pub transferable: bool,
    /// Whether a used one comes back when the whole receipt is taken back.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub comes_back: bool,
}

/// Gift cards: bought at a till for money, and paid with as often as there is something on them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GiftCardRules {
    /// The account that holds their value; its expiry is theirs.
    pub account: AccountId,
    /// Least that a card is sold or topped up for.
    pub load_min_minor: Minor,
    /// Most that may be on a card.
    pub balance_max_minor: Minor,
}

/// Points for bringing friends, credited when the friend joins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReferralRules {
    /// The account credited.
    pub account: AccountId,
    /// For who brings somebody.
    pub referrer_minor: Minor,
    /// For who is brought, beside the welcome.
    pub friend_minor: Minor,
}

/// What becomes of points when goods come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReturnRules {
    /// Spent points go back with the expiry that they had; if it is nearer than so many days, with this many days to
    /// spend them. 0: always as they were.
    pub restored_days_min: u32,
    /// What if earned points that are to be taken back were spent already.
    pub shortfall: Shortfall,
}

/// What if earned points that are to be taken back were spent already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Shortfall {
    /// The account goes below zero, and later earning works it off.
    #[default]
    Debt,
    /// The refund is lower by as much: a hundredth of a point for a minor unit of money.
    FromRefund,
}
