//! How often and for how much promotions with limits were used.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::history::forget;
use crate::clock::Day;
use crate::money::{AmountError, Minor};
use crate::operation::Applied;

/// How far back days are kept apart, counted from the latest one: a limit counts over a year at most, or for ever.
pub const USAGE_DAYS: u32 = 366;
/// The latest days that are kept however old they are.
pub const USAGE_LATEST: usize = 8;

/// Uses on receipts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Receipts.
    pub receipts: i32,
    /// Money taken off.
    pub off: Minor,
    /// Points credited.
    pub points: Minor,
}

impl Usage {
    /// One receipt's use, or with `sign` -1 what takes it back.
    pub fn of(applied: &Applied, sign: i32) -> Result<Self, AmountError> {
        Ok(Self {
            receipts: sign,
            off: applied.off.fraction(sign.into(), 1)?,
            points: applied.points.fraction(sign.into(), 1)?,
        })
    }

    /// The two together.
    pub fn plus(self, other: Self) -> Result<Self, AmountError> {
        Ok(Self {
            receipts: self
                .receipts
                .checked_add(other.receipts)
                .ok_or(AmountError)?,
            off: self.off.plus(other.off)?,
            points: self.points.plus(other.points)?,
        })
    }
}

/// Uses of one promotion: in all, and by day.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Used {
    /// Since it began.
    pub ever: Usage,
    days: BTreeMap<Day, Usage>,
}

impl Used {
    /// Adds to a day.
    pub fn add(&mut self, day: Day, more: Usage) -> Result<(), AmountError> {
        self.ever = self.ever.plus(more)?;
        let sum = self.days.entry(day).or_default();
        *sum = sum.plus(more)?;
        forget(&mut self.days, USAGE_DAYS, USAGE_LATEST);
        Ok(())
    }

    /// The uses on days, both ends included.
    pub fn between(&self, first: Day, last: Day) -> Result<Usage, AmountError> {
        if first > last {
            return Ok(Usage::default());
        }
        let mut days = self.days.range(first..=last);
        days.try_fold(Usage::default(), |sum, (_, day)| sum.plus(*day))
    }

    /// The days that are kept, earliest first.
    pub fn days(&self) -> impl Iterator<Item = (Day, Usage)> + '_ {
        self.days.iter().map(|(day, sum)| (*day, *sum))
    }
}
