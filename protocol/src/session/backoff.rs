//! How long to wait before dialling again.

/// Exponential back-off with full jitter: a thousand nodes that lost the hub together do not come back together.
#[derive(Debug, Clone, Copy, Default)]
pub struct Backoff {
    failures: u32,
}

/// Longest wait after the first failure, in milliseconds.
const FIRST_MS: u64 = 250;
/// Longest wait at all, in milliseconds.
const LONGEST_MS: u64 = 15_000;

impl Backoff {
    /// The wait before the next attempt, in milliseconds; `seed` is fresh entropy.
    pub fn failed(&mut self, seed: u64) -> u64 {
        let ceiling = FIRST_MS
            .saturating_mul(1 << self.failures.min(16))
            .min(LONGEST_MS);
        self.failures = self.failures.saturating_add(1);
        ceiling / 2 + seed % (ceiling / 2 + 1)
    }

    /// A session was established.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_start_anew() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..20).map(|_| backoff.failed(u64::MAX)).collect();
        assert!(
            waits
                .iter()
                .all(|wait| (FIRST_MS / 2..=LONGEST_MS).contains(wait))
        );
        assert!(waits[10] > waits[0]);
        backoff.succeeded();
        assert!(backoff.failed(7) <= FIRST_MS);
    }
}
