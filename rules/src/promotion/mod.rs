//! Promotions on one receipt: which apply in which order, what each gives, and why the others give nothing.
//!
//! Everything is decided from arguments, in integers, and in one order for all: by stage, priority and number. So every
//! till, the hub and the simulator come to the same kopeck.

mod audience;
mod cart;
mod condition;
mod coupon;
mod discount;
mod effects;
mod engine;
mod experiment;
mod explanation;
mod facts;
mod goods;
mod index;
mod limits;
mod past;
mod points;
mod records;
mod sets;

pub(crate) use cart::Cart;
pub use coupon::CouponUse;
pub(crate) use engine::{Earning, Run};
pub use explanation::{Explained, Outcome, Why};
pub use facts::{Occasion, Rewards, Shopper};
pub(crate) use goods::{GROUP_DEPTH_MAX, picks};
pub(crate) use index::Promotions;
pub use limits::draws_on_budget;
pub(crate) use limits::{counted_on_records, counting};
pub use past::Past;
pub use records::LimitRecord;

use kopilka_crdt::ids::{AccountId, PromotionId};
use kopilka_crdt::money::Minor;
use kopilka_crdt::rulebook::model::Text;
use kopilka_crdt::rulebook::model::promotion::Audience;

/// What one promotion took off a receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discount {
    /// Which promotion.
    pub promotion: PromotionId,
    /// Its share of each line of the receipt, in order; they add up to what it took off.
    pub shares: Vec<Minor>,
}

/// Points that a promotion credits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credited {
    /// Which promotion.
    pub promotion: PromotionId,
    /// To which account.
    pub account: AccountId,
    /// Its share for each line of the receipt, in order; they add up to what it credits.
    pub shares: Vec<Minor>,
}

/// Points that a reward costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// Which promotion.
    pub promotion: PromotionId,
    /// From which account.
    pub account: AccountId,
    /// How many.
    pub amount: Minor,
}

/// What a promotion hands out beside prices and points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Issued {
    /// Goods on top of those bought, at no charge.
    Goods {
        /// The article.
        sku: String,
        /// How many.
        units: u32,
    },
    /// Gifts credited to the member.
    Gift {
        /// The gift's code.
        code: String,
        /// How many.
        count: u32,
    },
    /// A coupon for later.
    Coupon {
        /// Code of its series.
        series: String,
    },
    /// A text.
    Message {
        /// To whom.
        to: Audience,
        /// The text.
        text: Text,
    },
    /// A badge or status.
    Badge {
        /// Its code.
        code: String,
    },
}
