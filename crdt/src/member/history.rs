//! What a member bought, day by day, for as long as tiers and promotions look back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::Day;
use crate::money::{AmountError, Minor};

/// How far back the days are kept, counted from the latest one: a tier of the year before last may be kept through last
/// year, and for 366 days of grace after it.
///
/// A day takes 9 or 10 bytes of the member's row, so a weekly shopper's history is 1.5 KB and a daily one's 11 KB,
/// beside some 20 bytes for the lot of each purchase.
pub const HISTORY_DAYS: u32 = 3 * 366;
/// The latest days of purchases that are kept however old they are: one purchase under a clock that runs years ahead
/// costs no more than what lies before these.
pub const HISTORY_LATEST: usize = 64;

/// What was bought on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DaySum {
    /// Counted towards tiers.
    pub paid: Minor,
    /// Points earned, over all accounts.
    pub earned: Minor,
    /// Purchases, less those taken back whole.
    pub visits: i32,
}

impl DaySum {
    /// The two together.
    pub fn plus(self, other: Self) -> Result<Self, AmountError> {
        Ok(Self {
            paid: self.paid.plus(other.paid)?,
            earned: self.earned.plus(other.earned)?,
            visits: self.visits.checked_add(other.visits).ok_or(AmountError)?,
        })
    }
}

/// Sums by day. What is kept depends on which days were ever added and not on their order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct History(BTreeMap<Day, DaySum>);

impl History {
    /// Adds to a day.
    pub fn add(&mut self, day: Day, more: DaySum) -> Result<(), AmountError> {
        let sum = self.0.entry(day).or_default();
        *sum = sum.plus(more)?;
        forget(&mut self.0, HISTORY_DAYS, HISTORY_LATEST);
        Ok(())
    }

    /// The sum of days, both ends included.
    pub fn between(&self, first: Day, last: Day) -> Result<DaySum, AmountError> {
        let mut days = self.range(first, last);
        days.try_fold(DaySum::default(), |sum, (_, day)| sum.plus(day))
    }

    /// The days from one to another, both included, earliest first.
    pub fn range(&self, first: Day, last: Day) -> impl Iterator<Item = (Day, DaySum)> + Clone + '_ {
        let days = self.0.range(first..).map(|(day, sum)| (*day, *sum));
        days.take_while(move |(day, _)| *day <= last)
    }

    /// The days, earliest first.
    pub fn days(&self) -> impl Iterator<Item = (Day, DaySum)> + '_ {
        self.0.iter().map(|(day, sum)| (*day, *sum))
    }
}

/// Drops days that are neither among the `latest` last ones nor within `days` of the last: a day that is dropped once
/// would be dropped at any later time as well.
pub(super) fn forget<T>(kept: &mut BTreeMap<Day, T>, days: u32, latest: usize) {
    let Some(last) = kept.keys().next_back().copied() else {
        return;
    };
    while kept.len() > latest {
        match kept.first_entry() {
            Some(first) if first.key().plus(days) < last => {
                first.remove();
            }
            Some(_) | None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(days: &[(u32, i64)]) -> History {
        let mut history = History::default();
        for (day, paid) in days {
            let sum = DaySum {
                paid: Minor(*paid),
                earned: Minor(0),
                visits: 1,
            };
            history.add(Day(*day), sum).unwrap();
        }
        history
    }

    #[test]
    fn old_days_go_and_a_clock_years_ahead_costs_little() {
        let long: Vec<_> = (1..=400).map(|week| (week * 7, 100)).collect();
        let kept = history(&long);
        assert_eq!(
            kept.days().count(),
            157,
            "a week's shopper over three years"
        );
        let mut ahead = kept;
        let sum = DaySum {
            visits: 1,
            ..DaySum::default()
        };
        ahead.add(Day(90_000), sum).unwrap();
        assert_eq!(ahead.days().count(), HISTORY_LATEST);
        let year = ahead.between(Day(2_800 - 364), Day(2_800)).unwrap();
        assert_eq!(year.paid, Minor(5_300));
    }
}
