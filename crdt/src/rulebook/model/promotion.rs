//! A promotion: when it applies, what it gives, in which order, how often and what of it works without the hub.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Text;
use super::condition::{Condition, Measure};
use super::goods::{Filter, is_no, is_yes, yes};
use crate::ids::AccountId;
use crate::money::Minor;

/// Most promotions of a rule book.
pub const PROMOTIONS_MAX: usize = 20_000;
/// Most effects of one promotion.
pub const EFFECTS_MAX: usize = 16;

/// A promotion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Promotion {
    /// Its name.
    pub name: Text,
    /// Whether it runs.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub enabled: bool,
    /// When in the fixed order of stages.
    pub stage: Stage,
    /// Within its stage the smallest comes first; of equals the one with the smaller number.
    #[serde(default)]
    pub priority: i32,
    /// Of promotions in the same group only one applies to a receipt; see [`Choice`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// After it, no later promotion lowers the price of the lines that it touched.
    #[serde(default, skip_serializing_if = "is_no")]
    pub last: bool,
    /// When it applies; without: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Condition>,
    /// What it gives.
    pub effects: Vec<Effect>,
    /// How much of it there is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limit>,
    /// What of it works without the hub.
    #[serde(default, skip_serializing_if = "OfflinePolicy::is_free")]
    pub offline: OfflinePolicy,
    /// Points that it costs, for rewards that members choose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<PointsPrice>,
    /// Whether limits still count a use, once the whole receipt was taken back.
    #[serde(default, skip_serializing_if = "is_no")]
    pub counts_returned: bool,
    /// Which members of an experiment see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<ExperimentShare>,
}

/// The fixed order in which promotions act.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Prices of lines.
    Lines,
    /// The receipt as a whole.
    Receipt,
    /// Coupons and promo codes.
    Coupons,
    /// Points earned.
    Earning,
    /// What is handed out: coupons, gifts, messages.
    Issue,
}

/// Which promotion of a group applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// The first, by stage, priority and number, that gives something.
    First,
    /// The one that gives most, in money off and points together; of equals the first. The group has one turn in a stage,
    /// that of its first promotion.
    Best,
}

/// What a promotion gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Effect {
    /// Lowers prices.
    Discount {
        /// By how much.
        off: Off,
        /// Of what.
        #[serde(default)]
        target: Target,
        /// From the price at its turn, or the one before any promotion.
        #[serde(default, skip_serializing_if = "Base::is_current")]
        base: Base,
    },
    /// Buy so many, get so many for less. What is bought is set aside first, from the other end of the order than what is
    /// got. Units that were bought or got for it, or that belong to a set, serve no other such promotion and no set.
    BuyGet {
        /// What is to be bought.
        buy: Filter,
        /// How many.
        buy_units: u32,
        /// What is got; the same goods when none is given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        get: Option<Filter>,
        /// How many.
        get_units: u32,
        /// How much less they cost, in thousandths; 1,000: free.
        off_permille: u32,
        /// Which of the goods are got for less.
        #[serde(default)]
        pick: Pick,
        /// How often on one receipt.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        times_max: Option<u32>,
    },
    /// Goods that cost less together.
    Set {
        /// What belongs to it.
        parts: Vec<SetPart>,
        /// What is off a whole set.
        off: SetOff,
        /// How often on one receipt.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        times_max: Option<u32>,
    },
    /// Credits points.
    Points {
        /// Which account; the one that purchases credit when none is given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<AccountId>,
        /// How many.
        how: Earn,
        /// For which goods; all that earn when none is given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        goods: Option<Filter>,
    },
    /// Hands out goods on top of those bought; the till adds them at no charge.
    GiftGoods {
        /// The article.
        sku: String,
        /// How many each time.
        units: u32,
        /// Once for each so many units of these goods; once a receipt when none is given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        each: Option<PerUnits>,
    },
    /// Credits gifts to the member's card.
    Gift {
        /// The gift's code.
        code: String,
        /// How many.
        count: u32,
    },
    /// Issues a coupon for later.
    IssueCoupon {
        /// Code of its series.
        series: String,
    },
    /// Shows a text to somebody.
    Message {
        /// To whom.
        to: Audience,
        /// The text.
        text: Text,
    },
    /// Awards a badge or status.
    Badge {
        /// Its code.
        code: String,
    },
}

/// How much less something costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "by", rename_all = "snake_case", deny_unknown_fields)]
pub enum Off {
    /// A share of the price.
    Percent {
        /// Thousandths.
        permille: u32,
    },
    /// A share that grows with the total of what is discounted.
    Steps {
        /// Which total.
        measure: Measure,
        /// From which total on, which share; the largest that is reached counts.
        steps: Vec<Step>,
    },
    /// A sum off all of it together.
    Amount {
        /// How much.
        minor: Minor,
        /// Whose price goes down by it.
        #[serde(default)]
        spread: Spread,
    },
    /// A sum off each unit.
    UnitAmount {
        /// How much.
        minor: Minor,
    },
    /// Sums off the first unit, the second, and so on; the last one for all further units.
    UnitAmounts {
        /// At least one.
        minor: Vec<Minor>,
    },
    /// Each unit costs this, if it costs more.
    UnitPrice {
        /// The price.
        minor: Minor,
    },
}

/// A threshold and what it brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// From this total on.
    pub from: Minor,
    /// This share, in thousandths.
    pub permille: u32,
}

/// How a sum is laid on several lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Spread {
    /// In proportion to their prices, by largest remainder.
    #[default]
    Prorata,
    /// The cheapest line first.
    CheapestFirst,
}

/// What is discounted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "of", rename_all = "snake_case", deny_unknown_fields)]
pub enum Target {
    /// All goods that may be discounted.
    #[default]
    Receipt,
    /// Some goods.
    Lines {
        /// Which.
        goods: Filter,
    },
    /// Some units of some goods; weighed goods have none. Some units of a line cost their share of it, rounded down.
    Units {
        /// Of which goods.
        goods: Filter,
        /// In which order they are counted.
        #[serde(default)]
        pick: Pick,
        /// Counted in groups of so many; what is left over brings nothing.
        group: u32,
        /// So many of each group: the first in order of price, the last in order of the receipt.
        take: u32,
        /// At most so many units on one receipt.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        units_max: Option<u32>,
    },
}

/// An order of units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pick {
    /// The cheapest first.
    #[default]
    Cheapest,
    /// The dearest first.
    Dearest,
    /// As on the receipt.
    Receipt,
}

/// From which price a discount is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Base {
    /// What is left of it at the promotion's turn.
    #[default]
    Current,
    /// The price before any promotion.
    Original,
}

impl Base {
    fn is_current(&self) -> bool {
        *self == Self::Current
    }
}

/// A part of a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetPart {
    /// Which goods.
    pub goods: Filter,
    /// How many units.
    pub units: u32,
}

/// What is off a whole set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "by", rename_all = "snake_case", deny_unknown_fields)]
pub enum SetOff {
    /// A share of its price.
    Percent {
        /// Thousandths.
        permille: u32,
    },
    /// A sum.
    Amount {
        /// How much.
        minor: Minor,
        /// Whose price goes down by it.
        #[serde(default)]
        spread: Spread,
    },
    /// The set costs this, if it costs more.
    Price {
        /// The price.
        minor: Minor,
    },
}

/// How many points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "by", rename_all = "snake_case", deny_unknown_fields)]
pub enum Earn {
    /// A share of what is paid, or of what it would have cost.
    Percent {
        /// Thousandths.
        permille: u32,
        /// Of which amount.
        measure: Measure,
    },
    /// Multiplies what the tier gives: 2,000 doubles it.
    Multiply {
        /// Thousandths.
        permille: u32,
    },
    /// So many a receipt.
    Fixed {
        /// Hundredths of a point.
        minor: Minor,
    },
    /// So many for each unit.
    Unit {
        /// Hundredths of a point.
        minor: Minor,
    },
    /// So many for each full sum.
    Stepped {
        /// The sum.
        every: Minor,
        /// Hundredths of a point.
        minor: Minor,
        /// Of which amount.
        measure: Measure,
    },
}

/// Once for each so many units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PerUnits {
    /// Of which goods.
    pub goods: Filter,
    /// How many; at least 1.
    pub units: u32,
}

/// To whom a text is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// The cashier, on the till's screen.
    Cashier,
    /// The customer, on the receipt.
    Receipt,
}

/// How much of a promotion there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Counted for whom.
    pub scope: LimitScope,
    /// Over which time.
    #[serde(default)]
    pub period: Period,
    /// Counted in what.
    #[serde(default)]
    pub count: LimitCount,
    /// At most so much of it: receipts, or minor units.
    pub most: u64,
}

/// For whom a limit is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitScope {
    /// Each receipt.
    Receipt,
    /// Each member.
    Member,
    /// Each store.
    Store,
    /// The whole programme.
    Programme,
}

/// Over which time a limit is counted, by the programme's calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// Over all of it.
    #[default]
    Ever,
    /// A day.
    Day,
    /// A month.
    Month,
    /// A year.
    Year,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitCount {
    /// Receipts on which it gave something.
    #[default]
    Uses,
    /// Money taken off.
    Money,
    /// Points credited.
    Points,
}

/// What of a promotion works without the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OfflinePolicy {
    /// All of it.
    #[default]
    Free,
    /// As much as the store holds rights to.
    Allowance,
    /// Nothing.
    Online,
    /// All of it, and for anybody with a card: segments, tags, tiers and birthdays are not asked for.
    AnyCardholder,
}

impl OfflinePolicy {
    fn is_free(&self) -> bool {
        *self == Self::Free
    }
}

/// Points that a reward costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PointsPrice {
    /// From which account; the one that pays when none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// Hundredths of a point, each time.
    pub minor: Minor,
    /// How often on one receipt; its effects are given as often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times_max: Option<u32>,
}

/// A share of members, by a stable hash: the rest is the control group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExperimentShare {
    /// Experiments of one name split members in the same way.
    pub experiment: String,
    /// From this thousandth of members.
    pub from_permille: u16,
    /// Up to, but without, this one.
    pub to_permille: u16,
}
