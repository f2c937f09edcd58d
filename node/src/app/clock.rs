//! Whether the wall clock can be believed: it may jump, and a till keeps selling all the same.

use kopilka_crdt::clock::CLOCK_JUMP_MS_MAX;

/// Step forward between two readings of one process that no pause explains: a day, in milliseconds.
const LEAP_MS_MAX: u64 = 86_400_000;

/// Watches wall readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WallClock {
    /// What the log says: whether operations after its last mark carry a trusted time.
    pub marked_trusted: bool,
    previous_ms: Option<u64>,
    /// The last reading lay behind what was stamped, as that of a machine without a battery before it asks for the time.
    behind: bool,
    leapt: bool,
}

impl WallClock {
    pub(super) fn new(marked_trusted: bool) -> Self {
        Self {
            marked_trusted,
            previous_ms: None,
            behind: false,
            // A restart proves nothing about a clock that was wrong.
            leapt: !marked_trusted,
        }
    }

    /// Whether a reading can be trusted, when stamps already given lie `behind_ms` ahead of it.
    pub(super) fn observe(&mut self, now_ms: u64, behind_ms: u64) -> bool {
        let was_behind = std::mem::replace(&mut self.behind, behind_ms > CLOCK_JUMP_MS_MAX);
        if let Some(previous_ms) = self.previous_ms.replace(now_ms) {
            if now_ms.saturating_sub(previous_ms) > LEAP_MS_MAX && !was_behind {
                self.leapt = true;
            } else if previous_ms.saturating_sub(now_ms) > LEAP_MS_MAX {
                // Somebody set it back from where it had leapt to.
                self.leapt = false;
            }
        }
        !self.leapt && !self.behind
    }

    /// The time to decide and stamp by: a wall clock that is not believed adds nothing to what was stamped before.
    ///
    /// A stamp can never be taken back, and points credited on a day to come would wait for that day.
    pub(super) fn time_ms(&self, now_ms: u64, stamped_ms: u64) -> u64 {
        if self.marked_trusted {
            now_ms.max(stamped_ms)
        } else {
            stamped_ms
        }
    }

    /// Compares with the hub's clock, which ends a suspicion or raises one.
    pub(super) fn compare(&mut self, now_ms: u64, hub_ms: u64) {
        self.previous_ms = Some(now_ms);
        self.leapt = now_ms.abs_diff(hub_ms) > CLOCK_JUMP_MS_MAX;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_are_seen_and_corrections_believed() {
        let mut clock = WallClock::new(true);
        let day = LEAP_MS_MAX;
        assert!(clock.observe(10 * day, 0));
        assert!(clock.observe(11 * day, 0));
        assert!(clock.observe(11 * day, CLOCK_JUMP_MS_MAX));
        assert!(!clock.observe(11 * day, CLOCK_JUMP_MS_MAX + 1));
        assert!(clock.observe(11 * day, 0));
        assert!(!clock.observe(12 * day + 1, 0), "a day and a millisecond");
        assert!(!clock.observe(12 * day + 2, 0), "until it is put right");
        assert!(clock.observe(11 * day, 0));
        assert!(!clock.observe(13 * day, 0));
        clock.compare(13 * day, 13 * day + CLOCK_JUMP_MS_MAX);
        assert!(clock.observe(13 * day, 0), "the hub's clock agrees");
        clock.compare(13 * day, 14 * day);
        assert!(!clock.observe(13 * day, 0));
    }

    #[test]
    fn a_restart_does_not_end_a_suspicion_and_a_set_clock_raises_none() {
        let day = LEAP_MS_MAX;
        let mut restarted = WallClock::new(false);
        assert!(!restarted.observe(50 * day, 0));
        restarted.compare(50 * day, 50 * day);
        assert!(restarted.observe(50 * day, 0));
        let mut without_battery = WallClock::new(true);
        assert!(!without_battery.observe(0, 50 * day));
        assert!(
            without_battery.observe(50 * day, 0),
            "it asked for the time"
        );
    }

    #[test]
    fn a_wrong_clock_moves_no_stamp() {
        assert_eq!(WallClock::new(true).time_ms(9, 5), 9);
        assert_eq!(WallClock::new(true).time_ms(4, 5), 5);
        assert_eq!(WallClock::new(false).time_ms(9, 5), 5);
    }
}
