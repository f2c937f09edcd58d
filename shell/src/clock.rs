//! The one place that reads the wall clock and the kernel's entropy.

use std::time::{SystemTime, UNIX_EPOCH};

/// Wall clock, in milliseconds since 1970-01-01T00:00:00Z.
///
/// It may jump in either direction; a clock set before 1970 reads as 0. Whether to trust the reading is the
/// caller's decision.
pub fn now_ms() -> u64 {
    let elapsed_ms = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_millis());
    u64::try_from(elapsed_ms).unwrap_or(u64::MAX)
}

/// `N` bytes of the kernel's entropy, fit for keys.
///
/// # Panics
/// When the kernel has no entropy source: no key or token made without one would be safe.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the kernel provides entropy");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_past_the_year_2025() {
        assert!(now_ms() > 1_735_689_600_000);
    }

    #[test]
    fn random_bytes_differ() {
        assert_ne!(random_bytes::<32>(), random_bytes::<32>());
    }
}
