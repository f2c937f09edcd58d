//! Figures and how they are written: times, rates, shares, each beside the limit that the same run found.

use std::time::Duration;

/// One measured thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// What was measured.
    pub what: String,
    /// What it is to reach; empty: nothing is asked.
    pub target: String,
    /// What came out.
    pub measured: String,
    /// The physical limit, found in the same run.
    pub limit: String,
    /// The figure as a multiple of the limit.
    pub ratio: String,
    /// Whether the target is met; none: nothing is asked.
    pub met: Option<bool>,
    /// What stands in the way, said only where the target is missed.
    pub obstacle: &'static str,
}

impl Figure {
    /// A figure without target and limit.
    pub fn new(what: impl Into<String>, measured: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            target: String::new(),
            measured: measured.into(),
            limit: String::new(),
            ratio: String::new(),
            met: None,
            obstacle: "",
        }
    }

    /// What it is to reach, and whether it does.
    pub fn target(mut self, target: impl Into<String>, met: bool) -> Self {
        self.target = target.into();
        self.met = Some(met);
        self
    }

    /// What the machine allows, and the figure as a multiple of it.
    pub fn limit(mut self, limit: impl Into<String>, ratio: impl Into<String>) -> Self {
        self.limit = limit.into();
        self.ratio = ratio.into();
        self
    }

    /// What stands in the way of the target.
    pub fn obstacle(mut self, obstacle: &'static str) -> Self {
        self.obstacle = obstacle;
        self
    }
}

/// Figures of one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its heading.
    pub title: &'static str,
    /// How it was measured.
    pub method: String,
    /// The figures.
    pub figures: Vec<Figure>,
}

/// Nanoseconds of a duration.
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The value below which so many thousandths of the samples lie; 0 without samples.
pub fn quantile(samples: &mut [u64], permille: usize) -> u64 {
    samples.sort_unstable();
    let place = samples.len().saturating_mul(permille) / 1_000;
    let last = samples.len().saturating_sub(1);
    samples.get(place.min(last)).copied().unwrap_or(0)
}

/// The middle of the samples.
pub fn median(samples: &mut [u64]) -> u64 {
    quantile(samples, 500)
}

/// Nanoseconds as people write them.
pub fn time(nanos: u64) -> String {
    match nanos {
        0..1_000 => format!("{nanos} ns"),
        1_000..1_000_000 => format!("{} µs", decimal(nanos, 1_000)),
        1_000_000..1_000_000_000 => format!("{} ms", decimal(nanos, 1_000_000)),
        _ => format!("{} s", decimal(nanos, 1_000_000_000)),
    }
}

/// Bytes in units of a million.
pub fn megabytes(bytes: u64) -> String {
    format!("{} MB", decimal(bytes, 1_000_000))
}

/// How often something happened in a second.
pub fn rate(count: u64, nanos: u64) -> u64 {
    let wide = u128::from(count) * 1_000_000_000 / u128::from(nanos.max(1));
    u64::try_from(wide).unwrap_or(u64::MAX)
}

/// Digits in groups of three.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `value` as a multiple of `limit`, such as `1.25 ×`.
pub fn times(value: u64, limit: u64) -> String {
    format!("{} ×", decimal(value, limit.max(1)))
}

/// Whether `value` is at most `hundredths` of `limit`.
pub fn within(value: u64, limit: u64, hundredths: u64) -> bool {
    u128::from(value) * 100 <= u128::from(limit) * u128::from(hundredths)
}

/// `value / unit` with three significant digits, as far as there are any below the point.
fn decimal(value: u64, unit: u64) -> String {
    let thousandths = u128::from(value) * 1_000 / u128::from(unit);
    let (whole, rest) = (thousandths / 1_000, thousandths % 1_000);
    match whole {
        0 => format!("0.{rest:03}"),
        1..10 => format!("{whole}.{:02}", rest / 10),
        10..100 => format!("{whole}.{}", rest / 100),
        _ => u64::try_from(whole).map_or_else(|_| whole.to_string(), grouped),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_as_people_write_them() {
        assert_eq!(time(999), "999 ns");
        assert_eq!(time(1_520), "1.52 µs");
        assert_eq!(time(25_460_000), "25.4 ms");
        assert_eq!(time(3_900_000_000), "3.90 s");
        assert_eq!(megabytes(198_400_000), "198 MB");
        assert_eq!(times(150, 100), "1.50 ×");
        assert_eq!(times(1, 400), "0.002 ×");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(rate(500, 250_000_000), 2_000);
    }

    #[test]
    fn quantiles_are_of_the_sorted_samples() {
        let mut samples: Vec<u64> = (1..=100).rev().collect();
        assert_eq!(median(&mut samples), 51);
        assert_eq!(quantile(&mut samples, 990), 100);
        assert_eq!(quantile(&mut [], 990), 0);
    }

    #[test]
    fn bounds_count_hundredths() {
        assert!(within(150, 100, 150));
        assert!(!within(151, 100, 150));
    }
}
