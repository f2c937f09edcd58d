//! Tiers: thresholds, what they are compared with, and how long a tier is kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Text;
use crate::money::Minor;

/// One tier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TierRules {
    /// Short code, such as `gold`.
    pub code: String,
    /// Its name.
    pub name: Text,
    /// From how much on a member is in it: minor units of money or points, or a number of visits, as [`Tiering`] says.
    pub from_minor: Minor,
    /// Points earned, in thousandths of what was paid.
    pub earn_permille: u32,
}

/// What the thresholds of tiers are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tiering {
    /// What is summed.
    pub measure: TierMeasure,
    /// Over which time.
    pub window: TierWindow,
    /// For so many days a member stays in a tier that the sum no longer reaches; at most 366.
    pub grace_days: u16,
}

/// What is summed for tiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TierMeasure {
    /// Money paid for goods, less what came back.
    #[default]
    Paid,
    /// Purchases, less those taken back whole.
    Visits,
    /// Points earned.
    Points,
}

/// Over which time tiers are summed, by the programme's calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "over", rename_all = "snake_case", deny_unknown_fields)]
pub enum TierWindow {
    /// All of membership.
    #[default]
    Lifetime,
    /// The last so many days, today included; at most 366.
    Rolling {
        /// How many.
        days: u16,
    },
    /// A calendar month; a tier reached in one is kept to the end of the next.
    Month,
    /// A quarter of a year; a tier reached in one is kept to the end of the next.
    Quarter,
    /// A calendar year; a tier reached in one is kept to the end of the next.
    Year,
}
