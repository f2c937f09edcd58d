//! When a promotion applies: questions about the moment, the place, the member and the receipt.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::goods::Filter;
use crate::calendar::{Date, MonthDay, TimeOfDay, Weekday};
use crate::card::CardKind;
use crate::ids::{PartnerId, StoreId};
use crate::money::{Milli, Minor};
use crate::operation::TenderKind;

/// Deepest nesting of conditions.
pub const CONDITION_DEPTH_MAX: usize = 8;

/// A question whose answer is yes or no at the till.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Condition {
    /// All of these.
    All {
        /// None: always.
        of: Vec<Condition>,
    },
    /// At least one of these.
    Any {
        /// None: never.
        of: Vec<Condition>,
    },
    /// Not this.
    Not {
        /// What must not hold.
        of: Box<Condition>,
    },
    /// On days of the programme's calendar, both ends included.
    Dates {
        /// First day.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Date>,
        /// Last day.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<Date>,
    },
    /// On days of every year, both ends included; may run over the new year.
    Yearly {
        /// First day.
        from: MonthDay,
        /// Last day.
        to: MonthDay,
    },
    /// On days of the week.
    Weekdays {
        /// Which.
        of: Vec<Weekday>,
    },
    /// At hours on the store's wall clock.
    Hours {
        /// Which; may not run over midnight.
        of: Vec<Hours>,
    },
    /// In stores.
    Stores {
        /// Which.
        of: Vec<StoreId>,
    },
    /// In groups of stores.
    StoreGroups {
        /// Their codes.
        of: Vec<String>,
    },
    /// In stores of partners.
    Partners {
        /// Which.
        of: Vec<PartnerId>,
    },
    /// Sold through channels.
    Channels {
        /// Which.
        of: Vec<SalesChannel>,
    },
    /// For members in tiers.
    Tiers {
        /// Their codes.
        of: Vec<String>,
    },
    /// When the card shown is of a kind.
    CardKinds {
        /// Which.
        of: Vec<CardKind>,
    },
    /// For members of segments, or with tags.
    Tags {
        /// Their codes; one is enough.
        of: Vec<String>,
    },
    /// Around the member's birthday.
    Birthday {
        /// From so many days before it.
        days_before: u16,
        /// To so many days after it.
        days_after: u16,
    },
    /// By how long the member has been one.
    MemberFor {
        /// Whole days, from here on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        days_min: Option<u32>,
        /// Up to here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        days_max: Option<u32>,
    },
    /// By how long ago the last purchase was; never for a first purchase.
    LastPurchase {
        /// Whole days, from here on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        days_min: Option<u32>,
        /// Up to here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        days_max: Option<u32>,
    },
    /// By which purchase of the member's this is.
    PurchaseNumber {
        /// One of these: 1 is the first.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        of: Vec<u32>,
        /// Or a multiple of this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        every: Option<u32>,
    },
    /// By what the member bought before, in the last so many days and today.
    Spent {
        /// Days, at most 366.
        days: u16,
        /// At least so much.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<Minor>,
        /// At most so much.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<Minor>,
    },
    /// By how often the member bought before, in the last so many days and today.
    Visits {
        /// Days, at most 366.
        days: u16,
        /// At least so often.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<u32>,
        /// At most so often.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<u32>,
    },
    /// By the receipt's total, or that of some of its goods.
    Total {
        /// Which total is meant.
        measure: Measure,
        /// Of which goods; all when none is given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        goods: Option<Filter>,
        /// At least so much.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<Minor>,
        /// At most so much.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<Minor>,
    },
    /// When the receipt has goods. Several of these together make a set.
    Goods {
        /// Which.
        goods: Filter,
        /// At least so much of them, in thousandths.
        quantity_min: Milli,
    },
    /// When something is paid by one of these means.
    Tenders {
        /// Which.
        of: Vec<TenderKind>,
    },
    /// When one of these codes was entered.
    PromoCodes {
        /// As printed; capitals and small letters are the same.
        of: Vec<String>,
    },
    /// When a valid coupon of one of these series was shown.
    Coupons {
        /// Codes of series.
        of: Vec<String>,
    },
}

/// Hours of a day: from, up to but without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// First minute.
    pub from: TimeOfDay,
    /// The minute after the last.
    pub to: TimeOfDay,
}

/// Through what a sale is made.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum SalesChannel {
    /// A till in a store.
    #[default]
    Till,
    /// A web shop.
    Web,
    /// A mobile application.
    App,
}

/// Which amount a threshold is compared with: a dispute everywhere, so each threshold says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Before any promotion.
    BeforeDiscounts,
    /// After the promotions that came before this one.
    AfterDiscounts,
}
