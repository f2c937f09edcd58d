//! Points that promotions credit, line by line.

use kopilka_crdt::money::{AmountError, Minor, split};
use kopilka_crdt::rulebook::model::condition::Measure;
use kopilka_crdt::rulebook::model::promotion::Earn;
use kopilka_crdt::rulebook::model::{Filter, Rounding};

use super::cart::Cart;
use super::discount::share;

/// What each line is worth to earning: what is paid in money, and what the tier gives for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Worth<'a> {
    /// Paid for each line; zero where goods do not earn.
    pub paid: &'a [Minor],
    /// Whether each line's goods earn.
    pub earns: &'a [bool],
    /// What the tier gives for each line.
    pub base: &'a [Minor],
}

/// Points for each line of the receipt.
pub(super) fn shares(
    cart: &Cart<'_>,
    how: Earn,
    goods: Option<&Filter>,
    worth: Worth<'_>,
    rounding: Rounding,
) -> Result<Vec<Minor>, AmountError> {
    let mut lines = cart.picked(goods);
    lines.retain(|line| worth.earns[*line]);
    let amount = |line: usize, measure: Measure| match measure {
        Measure::BeforeDiscounts => cart.lines[line].original,
        Measure::AfterDiscounts => worth.paid[line],
    };
    let weigh = |measure: Measure| {
        lines
            .iter()
            .map(|line| amount(*line, measure))
            .collect::<Vec<_>>()
    };
    let of_lines = match how {
        Earn::Percent { permille, measure } => {
            let weights = weigh(measure);
            split(
                share(Minor::sum(weights.iter().copied())?, permille, rounding)?,
                &weights,
            )?
        }
        Earn::Multiply { permille } => {
            let base: Vec<_> = lines.iter().map(|line| worth.base[*line]).collect();
            let more = permille.saturating_sub(1_000);
            split(
                share(Minor::sum(base.iter().copied())?, more, rounding)?,
                &base,
            )?
        }
        Earn::Fixed { minor } => once(minor, &weigh(Measure::BeforeDiscounts))?,
        Earn::Unit { minor } => lines
            .iter()
            .map(|line| cart.lines[*line].item.quantity.price(minor))
            .collect::<Result<_, _>>()?,
        Earn::Stepped {
            every,
            minor,
            measure,
        } => {
            let weights = weigh(measure);
            let sum = Minor::sum(weights.iter().copied())?;
            let steps = if every > Minor::ZERO {
                sum.0 / every.0
            } else {
                0
            };
            once(minor.fraction(steps, 1)?, &weights)?
        }
    };
    let mut shares = vec![Minor::ZERO; cart.lines.len()];
    for (line, points) in lines.into_iter().zip(of_lines) {
        shares[line] = points;
    }
    Ok(shares)
}

/// A sum for all lines together; where all are free of charge, for the first.
fn once(sum: Minor, weights: &[Minor]) -> Result<Vec<Minor>, AmountError> {
    if weights.iter().any(|weight| *weight > Minor::ZERO) {
        return split(sum, weights);
    }
    let mut shares = vec![Minor::ZERO; weights.len()];
    if let Some(first) = shares.first_mut() {
        *first = sum;
    }
    Ok(shares)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_spread_by_weight_or_goes_to_the_first() {
        for (weights, shares) in [
            (vec![1, 3], vec![3, 7]),
            (vec![0, 3], vec![0, 10]),
            (vec![0, 0], vec![10, 0]),
            (vec![], vec![]),
        ] {
            let weights: Vec<_> = weights.into_iter().map(Minor).collect();
            let shares: Vec<_> = shares.into_iter().map(Minor).collect();
            assert_eq!(once(Minor(10), &weights), Ok(shares), "{weights:?}");
        }
    }
}
