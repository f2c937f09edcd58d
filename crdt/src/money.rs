//! Money and points in integer minor units, with checked arithmetic and splits that add up exactly.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The sum does not fit 64 bits, or a division by zero was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("amount out of range")]
pub struct AmountError;

/// An amount of money or points in minor units (kopecks; hundredths of a point). May be negative.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(transparent)]
pub struct Minor(pub i64);

impl Minor {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// `self + other`, or an error on overflow.
    pub fn plus(self, other: Self) -> Result<Self, AmountError> {
        self.0.checked_add(other.0).map(Self).ok_or(AmountError)
    }

    /// `self - other`, or an error on overflow.
    pub fn minus(self, other: Self) -> Result<Self, AmountError> {
        self.0.checked_sub(other.0).map(Self).ok_or(AmountError)
    }

    /// The negated amount, or an error for the smallest integer.
    pub fn negated(self) -> Result<Self, AmountError> {
        self.0.checked_neg().map(Self).ok_or(AmountError)
    }

    /// `self × numerator / denominator`, rounded towards zero.
    pub fn fraction(self, numerator: i64, denominator: i64) -> Result<Self, AmountError> {
        if denominator == 0 {
            return Err(AmountError);
        }
        let wide = i128::from(self.0) * i128::from(numerator) / i128::from(denominator);
        i64::try_from(wide).map(Self).map_err(|_| AmountError)
    }

    /// Rounded down to a multiple of `step`; a step below 2 changes nothing.
    pub fn floor_to(self, step: i64) -> Self {
        if step < 2 {
            self
        } else {
            Self(self.0 - self.0.rem_euclid(step))
        }
    }

    /// Sum of many amounts, or an error on overflow.
    pub fn sum(amounts: impl IntoIterator<Item = Self>) -> Result<Self, AmountError> {
        amounts.into_iter().try_fold(Self::ZERO, Self::plus)
    }
}

/// A quantity in thousandths of a unit (grams of a kilogram), so that weighed goods need no floats.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(transparent)]
pub struct Milli(pub u64);

impl Milli {
    /// One whole unit.
    pub const ONE: Self = Self(1_000);

    /// Reads a non-negative decimal with at most three places, such as `2` or `0.345`.
    pub fn parse(text: &str) -> Result<Self, AmountError> {
        let (whole, places) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let dangling = text.contains('.') && places.is_empty();
        if whole.is_empty() || dangling || places.len() > 3 || !digits(whole) || !digits(places) {
            return Err(AmountError);
        }
        let whole: u64 = whole.parse().map_err(|_| AmountError)?;
        let places: u64 = format!("{places:0<3}").parse().map_err(|_| AmountError)?;
        whole
            .checked_mul(1_000)
            .and_then(|milli| milli.checked_add(places))
            .map(Self)
            .ok_or(AmountError)
    }

    /// `unit_price × quantity` in minor units, half a unit rounded up.
    pub fn price(self, unit_price: Minor) -> Result<Minor, AmountError> {
        let wide = i128::from(unit_price.0) * i128::from(self.0);
        i64::try_from((wide + 500).div_euclid(1_000))
            .map(Minor)
            .map_err(|_| AmountError)
    }
}

impl std::fmt::Display for Milli {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (whole, places) = (self.0 / 1_000, self.0 % 1_000);
        if places == 0 {
            write!(f, "{whole}")
        } else {
            write!(
                f,
                "{whole}.{}",
                format!("{places:03}").trim_end_matches('0')
            )
        }
    }
}

/// Splits `total` (≥ 0) in proportion to `weights` (each ≥ 0) by largest remainder.
///
/// The parts add up to `total`; of equal remainders the earlier place wins; places of weight 0 get nothing.
/// When all weights are 0 and `total` is not, there is nowhere to put it: an error.
pub fn split(total: Minor, weights: &[Minor]) -> Result<Vec<Minor>, AmountError> {
    let weight_sum: i128 = weights.iter().map(|weight| i128::from(weight.0)).sum();
    if total.0 < 0 || weights.iter().any(|weight| weight.0 < 0) {
        return Err(AmountError);
    }
    if total == Minor::ZERO {
        return Ok(vec![Minor::ZERO; weights.len()]);
    }
    if weight_sum == 0 {
        return Err(AmountError);
    }
    let mut parts = Vec::with_capacity(weights.len());
    let mut remainders = Vec::with_capacity(weights.len());
    let mut given: i64 = 0;
    for (place, weight) in weights.iter().enumerate() {
        let product = i128::from(total.0) * i128::from(weight.0);
        let part = i64::try_from(product / weight_sum).map_err(|_| AmountError)?;
        given = given.checked_add(part).ok_or(AmountError)?;
        parts.push(Minor(part));
        remainders.push((std::cmp::Reverse(product % weight_sum), place));
    }
    remainders.sort_unstable();
    let missing = usize::try_from(total.0 - given).map_err(|_| AmountError)?;
    for &(_, place) in remainders.iter().take(missing) {
        parts[place] = parts[place].plus(Minor(1))?;
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn split_adds_up(total in 0..1_000_000_000_i64, weights in prop::collection::vec(0..1_000_000_i64, 1..40)) {
            let weights: Vec<_> = weights.into_iter().map(Minor).collect();
            prop_assume!(weights.iter().any(|weight| weight.0 > 0));
            let parts = split(Minor(total), &weights).unwrap();
            prop_assert_eq!(Minor::sum(parts.iter().copied()).unwrap(), Minor(total));
            for (part, weight) in parts.iter().zip(&weights) {
                prop_assert!(part.0 >= 0);
                prop_assert!(weight.0 > 0 || part.0 == 0);
            }
        }

        #[test]
        fn quantity_text_round_trips(milli in 0..u64::MAX / 2_000) {
            prop_assert_eq!(Milli::parse(&Milli(milli).to_string()), Ok(Milli(milli)));
        }
    }

    #[test]
    fn ties_go_to_the_earlier_place() {
        let thirds = split(Minor(100), &[Minor(1), Minor(1), Minor(1)]).unwrap();
        assert_eq!(thirds, [Minor(34), Minor(33), Minor(33)]);
        assert_eq!(split(Minor(1), &[Minor(0)]), Err(AmountError));
    }

    #[test]
    fn the_largest_remainder_gets_what_is_missing() {
        // 12/5 and 8/5: the second has the larger remainder, though the smaller part.
        let parts = split(Minor(4), &[Minor(3), Minor(2)]);
        assert_eq!(parts, Ok(vec![Minor(2), Minor(2)]));
    }

    #[test]
    fn nothing_negative_is_split() {
        assert_eq!(split(Minor(-1), &[Minor(1)]), Err(AmountError));
        assert_eq!(split(Minor(1), &[Minor(2), Minor(-1)]), Err(AmountError));
    }

    #[test]
    fn signs_and_steps() {
        assert_eq!(Minor(5).negated(), Ok(Minor(-5)));
        assert_eq!(Minor(i64::MIN).negated(), Err(AmountError));
        for (amount, step, floor) in [(5, 0, 5), (5, 1, 5), (5, 2, 4), (-5, 2, -6), (99, 100, 0)] {
            assert_eq!(
                Minor(amount).floor_to(step),
                Minor(floor),
                "{amount} by {step}"
            );
        }
    }

    #[test]
    fn weighed_goods_round_half_up() {
        assert_eq!(Milli(345).price(Minor(19_990)), Ok(Minor(6_897)));
        assert_eq!(Milli(500).price(Minor(1)), Ok(Minor(1)));
        for text in ["", ".5", "1.", "1.2345", "-1", "1e3", "+1"] {
            assert!(Milli::parse(text).is_err(), "{text}");
        }
    }
}
