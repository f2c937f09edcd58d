//! Days, weekdays and times of day as people write them in rules; pure arithmetic on the Gregorian calendar.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::clock::Day;

/// Days from 0000-03-01 to 1970-01-01, and in 400 years.
const DAYS_TO_1970: i64 = 719_468;
const DAYS_OF_400_YEARS: i64 = 146_097;

/// A text that is not a date, a day of the year or a time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("dates are written 2026-12-31, days of the year 12-31, times of day 09:30")]
pub struct CalendarError;

/// A day of the week.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Weekday {
    /// Day 1 of ISO 8601.
    Monday,
    /// Day 2.
    Tuesday,
    /// Day 3.
    Wednesday,
    /// Day 4.
    Thursday,
    /// Day 5.
    Friday,
    /// Day 6.
    Saturday,
    /// Day 7.
    Sunday,
}

impl Weekday {
    /// From Monday on.
    pub const ALL: [Self; 7] = [
        Self::Monday,
        Self::Tuesday,
        Self::Wednesday,
        Self::Thursday,
        Self::Friday,
        Self::Saturday,
        Self::Sunday,
    ];
}

/// A month and a day in it; the 29th of February is there in leap years only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonthDay {
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

/// A date of a promotion's schedule, written `2026-12-31`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(pub Day);

/// Minutes since midnight on a store's wall clock, written `09:30`; `24:00` is the end of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeOfDay(pub u16);

impl Day {
    /// The day's year, month and day of the month (Howard Hinnant, "chrono-compatible low-level date algorithms").
    pub fn civil(self) -> (i64, MonthDay) {
        let days = i64::from(self.0) + DAYS_TO_1970;
        let era = days.div_euclid(DAYS_OF_400_YEARS);
        let of_era = days.rem_euclid(DAYS_OF_400_YEARS);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 {
            shifted_month + 3
        } else {
            shifted_month - 9
        };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let small = |number: i64| u8::try_from(number).expect("months and days are small");
        (
            year,
            MonthDay {
                month: small(month),
                day: small(day),
            },
        )
    }

    /// The day of a date since 1970; none when there is no such date.
    pub fn from_civil(year: i64, of: MonthDay) -> Option<Self> {
        let (month, day) = (i64::from(of.month), i64::from(of.day));
        if !(1..=12).contains(&month) || day < 1 || !(1970..=9999).contains(&year) {
            return None;
        }
        let from_march = if month <= 2 { year - 1 } else { year };
        let era = from_march.div_euclid(400);
        let year_of_era = from_march.rem_euclid(400);
        let shifted_month = (month + 9) % 12;
        let of_year = (153 * shifted_month + 2) / 5 + day - 1;
        let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
        let found = Self(u32::try_from(era * DAYS_OF_400_YEARS + of_era - DAYS_TO_1970).ok()?);
        // The 31st of a short month comes out as a day of the next.
        (found.civil() == (year, of)).then_some(found)
    }

    /// Its day of the week: 1970-01-01 was a Thursday.
    pub fn weekday(self) -> Weekday {
        let index = usize::try_from((u64::from(self.0) + 3) % 7).expect("below seven");
        Weekday::ALL[index]
    }
}

/// A number of exactly `digits` decimal digits.
fn number(text: &str, digits: usize) -> Result<u16, CalendarError> {
    if text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().map_err(|_| CalendarError)
    } else {
        Err(CalendarError)
    }
}

fn small(text: &str) -> Result<u8, CalendarError> {
    u8::try_from(number(text, 2)?).map_err(|_| CalendarError)
}

impl MonthDay {
    /// The day of a date of birth written `1985-03-17`, without its year.
    pub fn of_birth_date(text: &str) -> Option<Self> {
        let (year, of) = text.split_once('-')?;
        number(year, 4).ok()?;
        of.parse().ok()
    }
}

impl FromStr for MonthDay {
    type Err = CalendarError;

    fn from_str(text: &str) -> Result<Self, CalendarError> {
        let (month, day) = text.split_once('-').ok_or(CalendarError)?;
        let found = Self {
            month: small(month)?,
            day: small(day)?,
        };
        // A leap year has them all.
        Day::from_civil(2000, found)
            .map(|_| found)
            .ok_or(CalendarError)
    }
}

impl fmt::Display for MonthDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}-{:02}", self.month, self.day)
    }
}

impl FromStr for Date {
    type Err = CalendarError;

    fn from_str(text: &str) -> Result<Self, CalendarError> {
        let (year, of) = text.split_once('-').ok_or(CalendarError)?;
        let day = Day::from_civil(number(year, 4)?.into(), of.parse()?);
        day.map(Self).ok_or(CalendarError)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, of) = self.0.civil();
        write!(f, "{year:04}-{of}")
    }
}

impl FromStr for TimeOfDay {
    type Err = CalendarError;

    fn from_str(text: &str) -> Result<Self, CalendarError> {
        let (hour, minute) = text.split_once(':').ok_or(CalendarError)?;
        let (hour, minute) = (number(hour, 2)?, number(minute, 2)?);
        let minutes = hour * 60 + minute;
        if minute < 60 && minutes <= 24 * 60 {
            Ok(Self(minutes))
        } else {
            Err(CalendarError)
        }
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

macro_rules! as_text {
    ($($name:ident $pattern:literal),*) => {$(
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    )*};
}
as_text!(
    MonthDay "^[0-9]{2}-[0-9]{2}$",
    Date "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    TimeOfDay "^[0-9]{2}:[0-9]{2}$"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn birthdays_leave_the_year_out() {
        let cases = [
            ("1985-03-17", Some((3, 17))),
            ("1904-02-29", Some((2, 29))),
            ("1985-02-30", None),
            ("85-03-17", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let found = MonthDay::of_birth_date(text).map(|of| (of.month, of.day));
            assert_eq!(found, expected, "{text}");
        }
    }
    use proptest::prelude::*;

    #[test]
    fn dates_are_read_and_written() {
        for (text, day) in [
            ("1970-01-01", 0),
            ("2000-02-29", 11_016),
            ("2026-11-22", 20_779),
            ("2100-03-01", 47_541),
        ] {
            let date: Date = text.parse().unwrap();
            assert_eq!((date.0, date.to_string().as_str()), (Day(day), text));
        }
        for text in [
            "2026-02-29",
            "2026-13-01",
            "2026-1-01",
            "26-01-01",
            "2026-00-10",
            "2026-04-31",
            "",
            "2026-01-01 ",
        ] {
            assert_eq!(text.parse::<Date>(), Err(CalendarError), "{text}");
        }
        assert_eq!(Day(20_779).weekday(), Weekday::Sunday);
        assert_eq!("02-29".parse::<MonthDay>().unwrap().to_string(), "02-29");
        for text in ["24:01", "9:30", "09:60", "0930", "-1:00"] {
            assert_eq!(text.parse::<TimeOfDay>(), Err(CalendarError), "{text}");
        }
        assert_eq!("24:00".parse::<TimeOfDay>().unwrap(), TimeOfDay(1_440));
    }

    proptest! {
        #[test]
        fn every_day_has_one_date(day in 0..2_932_000_u32) {
            let (year, of) = Day(day).civil();
            prop_assert_eq!(Day::from_civil(year, of), Some(Day(day)));
        }
    }
}
