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
    leapt: bool,
}

impl WallClock {
    pub(super) fn new(marked_trusted: bool) -> Self {
        Self {
            marked_trusted,
            previous_ms: None,
            leapt: false,
        }
    }

    /// Whether a reading can be trusted, when stamps already given lie `behind_ms` ahead of it.
    pub(super) fn observe(&mut self, now_ms: u64, behind_ms: u64) -> bool {
        if let Some(previous_ms) = self.previous_ms.replace(now_ms) {
            if now_ms.saturating_sub(previous_ms) > LEAP_MS_MAX {
                self.leapt = true;
            } else if previous_ms.saturating_sub(now_ms) > LEAP_MS_MAX {
                // Somebody set it back from where it had leapt to.
                self.leapt = false;
            }
        }
        !self.leapt && behind_ms <= CLOCK_JUMP_MS_MAX
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
        assert!(!clock.observe(12 * day + 1, 0), "a day and a millisecond");
        assert!(!clock.observe(12 * day + 2, 0), "until it is put right");
        assert!(clock.observe(11 * day, 0));
        assert!(!clock.observe(13 * day, 0));
        clock.compare(13 * day, 13 * day + CLOCK_JUMP_MS_MAX);
        assert!(clock.observe(13 * day, 0), "the hub's clock agrees");
        clock.compare(13 * day, 14 * day);
        assert!(!clock.observe(13 * day, 0));
    }
}
