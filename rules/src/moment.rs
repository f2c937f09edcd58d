//! A moment: wall time, and where the programme's calendar stands at it.

use kopilka_crdt::clock::Day;

/// A wall time with the offset of the programme's time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds since 1970.
    pub now_ms: u64,
    /// Offset from UTC in seconds.
    pub offset_seconds: i32,
}

impl Moment {
    /// The programme's calendar day.
    pub fn today(&self) -> Day {
        self.day_at(self.now_ms)
    }

    /// The programme's calendar day at another wall time near this one.
    pub fn day_at(&self, ms: u64) -> Day {
        Day::from_ms(ms, self.offset_seconds)
    }
}
