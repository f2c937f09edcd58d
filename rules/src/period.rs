//! Periods of the programme's calendar: months, quarters and years, numbered in a row.

use kopilka_crdt::calendar::MonthDay;
use kopilka_crdt::clock::Day;

const MONTHS_OF_YEAR: i64 = 12;

/// Periods of so many whole months.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Periods {
    months: i64,
}

impl Periods {
    /// Calendar months.
    pub const MONTHS: Self = Self { months: 1 };
    /// Quarters of a year.
    pub const QUARTERS: Self = Self { months: 3 };
    /// Calendar years.
    pub const YEARS: Self = Self {
        months: MONTHS_OF_YEAR,
    };

    /// The number of the period that a day is in.
    pub fn number(self, day: Day) -> i64 {
        let (year, of) = day.civil();
        let month = year * MONTHS_OF_YEAR + i64::from(of.month) - 1;
        month.div_euclid(self.months)
    }

    /// The first of all days for a period before 1970.
    fn first_day(self, number: i64) -> Day {
        let month = number * self.months;
        let of_year = u8::try_from(month.rem_euclid(MONTHS_OF_YEAR)).expect("below twelve");
        let first = MonthDay {
            month: of_year + 1,
            day: 1,
        };
        Day::from_civil(month.div_euclid(MONTHS_OF_YEAR), first).unwrap_or_default()
    }

    /// The first and the last day of a period.
    pub fn days(self, number: i64) -> (Day, Day) {
        let next = self.first_day(number + 1);
        (self.first_day(number), Day(next.0.saturating_sub(1)))
    }
}
