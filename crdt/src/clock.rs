//! The hybrid logical clock that stamps operations, and the calendar day that lots live by.
//!
//! Kulkarni et al., 2014 (hybrid logical clocks): wall milliseconds in the high bits, a counter in the low ones. A
//! clock that was set back goes on counting from where it was, so stamps of one node never repeat or run backwards.

use serde::{Deserialize, Serialize};

const COUNTER_BITS: u32 = 12;

/// Jump, backwards or forwards between two readings, from which a clock counts as untrusted: 10 minutes, in milliseconds.
pub const CLOCK_JUMP_MS_MAX: u64 = 600_000;

/// A point of hybrid time: milliseconds since 1970 shifted by 12 bits, plus a counter.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Stamp(pub u64);

impl Stamp {
    /// The first stamp of a wall time in milliseconds since 1970.
    pub fn from_ms(ms: u64) -> Self {
        Self(ms.min(u64::MAX >> COUNTER_BITS) << COUNTER_BITS)
    }

    /// Its wall time in milliseconds since 1970.
    pub fn ms(self) -> u64 {
        self.0 >> COUNTER_BITS
    }
}

/// Gives strictly rising stamps from wall readings that may jump.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct HybridClock {
    last: Stamp,
}

impl HybridClock {
    /// A clock that will stamp after `last`.
    pub fn resume(last: Stamp) -> Self {
        Self { last }
    }

    /// The next stamp for a wall reading of `now_ms`.
    pub fn tick(&mut self, now_ms: u64) -> Stamp {
        let wall = Stamp::from_ms(now_ms);
        self.last = if wall > self.last {
            wall
        } else {
            Stamp(self.last.0.saturating_add(1))
        };
        self.last
    }

    /// The last stamp given.
    pub fn last(&self) -> Stamp {
        self.last
    }

    /// By how many milliseconds the wall reading lies behind what was already stamped.
    pub fn behind_ms(&self, now_ms: u64) -> u64 {
        self.last.ms().saturating_sub(now_ms)
    }
}

/// A calendar day as a number of days since 1970-01-01, in the programme's time zone.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Day(pub u32);

impl Day {
    /// The day of a wall time, given the zone's offset from UTC at that time, in seconds.
    pub fn from_ms(ms: u64, offset_seconds: i32) -> Self {
        let seconds = i64::try_from(ms / 1_000)
            .unwrap_or(i64::MAX)
            .saturating_add(offset_seconds.into());
        Self(u32::try_from(seconds.div_euclid(86_400)).unwrap_or(0))
    }

    /// So many days later.
    pub fn plus(self, days: u32) -> Self {
        Self(self.0.saturating_add(days))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn stamps_rise_whatever_the_wall_says(walls in prop::collection::vec(0..2_000_000_000_000_u64, 1..200)) {
            let mut clock = HybridClock::default();
            let mut before = clock.last();
            for wall in walls {
                let stamp = clock.tick(wall);
                prop_assert!(stamp > before);
                prop_assert!(stamp.ms() >= wall);
                before = stamp;
            }
        }
    }

    #[test]
    fn days_follow_the_zone() {
        let evening_utc = 1_700_000_000_000; // 2023-11-14T22:13:20Z
        assert_eq!(Day::from_ms(evening_utc, 0), Day(19_675));
        assert_eq!(Day::from_ms(evening_utc, 3 * 3_600), Day(19_676));
    }
}
