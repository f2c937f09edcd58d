//! Discounts: what of the receipt they are taken from, and how much of it.

use kopilka_crdt::money::{AmountError, Minor, split};
use kopilka_crdt::rulebook::model::Rounding;
use kopilka_crdt::rulebook::model::condition::Measure;
use kopilka_crdt::rulebook::model::promotion::{Base, Off, Pick, Spread, Target};

use super::cart::Cart;

/// Part of a line that a discount is taken from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// The line.
    pub line: usize,
    /// How many units of it; none: all of it.
    pub units: Option<u32>,
}

/// `amount × permille / 1000`, rounded as the programme says. Amounts are not negative.
pub(super) fn share(
    amount: Minor,
    permille: u32,
    rounding: Rounding,
) -> Result<Minor, AmountError> {
    let product = i128::from(amount.0) * i128::from(permille);
    let (whole, rest) = (product.div_euclid(1_000), product.rem_euclid(1_000));
    let up = match rounding {
        Rounding::Floor => false,
        Rounding::HalfUp => rest >= 500,
        Rounding::HalfEven => rest > 500 || (rest == 500 && whole % 2 != 0),
    };
    i64::try_from(whole + i128::from(up))
        .map(Minor)
        .map_err(|_| AmountError)
}

/// Units in an order of the price of one: (line, how many), of equals as on the receipt.
pub(super) fn units_in_order(
    lines: &[usize],
    pick: Pick,
    price: impl Fn(usize) -> Minor,
    count: impl Fn(usize) -> u32,
) -> Vec<(usize, u32)> {
    let mut runs: Vec<_> = lines
        .iter()
        .copied()
        .filter(|place| count(*place) > 0)
        .collect();
    match pick {
        Pick::Receipt => {}
        Pick::Cheapest => runs.sort_by_key(|place| (price(*place), *place)),
        Pick::Dearest => runs.sort_by_key(|place| (std::cmp::Reverse(price(*place)), *place)),
    }
    runs.into_iter()
        .map(|place| (place, count(place)))
        .collect()
}

/// The parts of a receipt that a target names.
pub(super) fn parts(cart: &Cart<'_>, target: &Target) -> Vec<Part> {
    let whole = |lines: Vec<usize>| {
        lines
            .into_iter()
            .map(|line| Part { line, units: None })
            .collect()
    };
    match target {
        Target::Receipt => whole(cart.picked(None)),
        Target::Lines { goods } => whole(cart.picked(Some(goods))),
        Target::Units {
            goods,
            pick,
            group,
            take,
            units_max,
        } => {
            // Units that may not cost less would take the place of those that may.
            let mut lines = cart.picked(Some(goods));
            lines.retain(|place| cart.lines[*place].open);
            // Whole minor units are close enough for an order, and the same everywhere.
            let price = |place: usize| {
                let line = &cart.lines[place];
                Minor(line.left.0 / i64::from(line.units.max(1)))
            };
            let runs = units_in_order(&lines, *pick, price, |place| cart.lines[place].units);
            grouped(
                &runs,
                *pick,
                (*group).max(1),
                *take,
                units_max.unwrap_or(u32::MAX),
            )
        }
    }
}

/// `take` units of each full group of units. In order of price they are the first of all, in order of the receipt the
/// last of each group.
fn grouped(runs: &[(usize, u32)], pick: Pick, group: u32, take: u32, units_max: u32) -> Vec<Part> {
    let all = runs
        .iter()
        .fold(0_u64, |sum, (_, count)| sum + u64::from(*count));
    let (group, take) = (u64::from(group), u64::from(take.min(group)));
    let full = all / group * group;
    let mut parts = Vec::new();
    let mut room = u64::from(units_max);
    let mut start = 0_u64;
    // How many of the units before a place in the order are taken.
    let taken_before = |place: u64| {
        let place = place.min(full);
        match pick {
            Pick::Cheapest | Pick::Dearest => place.min(all / group * take),
            Pick::Receipt => place / group * take + (place % group).saturating_sub(group - take),
        }
    };
    for &(line, count) in runs {
        let end = start + u64::from(count);
        let taken = (taken_before(end) - taken_before(start)).min(room);
        room -= taken;
        start = end;
        if taken > 0 {
            parts.push(Part {
                line,
                units: u32::try_from(taken).ok(),
            });
        }
    }
    parts
}

/// What the parts cost: now, or before any promotion.
fn amounts(cart: &Cart<'_>, parts: &[Part], base: Base) -> Result<Vec<Minor>, AmountError> {
    parts
        .iter()
        .map(|part| {
            let line = &cart.lines[part.line];
            let price = match base {
                Base::Current => line.left,
                Base::Original => line.original,
            };
            match part.units {
                Some(units) if units < line.units => {
                    price.fraction(units.into(), line.units.into())
                }
                Some(_) | None => Ok(price),
            }
        })
        .collect()
}

/// Lays a sum on amounts.
pub(super) fn spread(
    sum: Minor,
    amounts: &[Minor],
    how: Spread,
) -> Result<Vec<Minor>, AmountError> {
    let sum = sum.min(Minor::sum(amounts.iter().copied())?);
    match how {
        Spread::Prorata => split(sum, amounts),
        Spread::CheapestFirst => {
            let mut order: Vec<_> = (0..amounts.len()).collect();
            order.sort_by_key(|place| (amounts[*place], *place));
            let mut rest = sum;
            let mut shares = vec![Minor::ZERO; amounts.len()];
            for place in order {
                shares[place] = rest.min(amounts[place]);
                rest = rest.minus(shares[place])?;
            }
            Ok(shares)
        }
    }
}

/// What a discount takes off each line of the receipt.
pub(super) fn shares(
    cart: &Cart<'_>,
    off: &Off,
    target: &Target,
    base: Base,
    rounding: Rounding,
) -> Result<Vec<Minor>, AmountError> {
    let mut parts = parts(cart, target);
    parts.retain(|part| cart.lines[part.line].open);
    let amounts = amounts(cart, &parts, base)?;
    let of_parts = match off {
        Off::Percent { permille } => percent(&amounts, *permille, rounding)?,
        Off::Steps { measure, steps } => {
            let total = Minor::sum(parts.iter().map(|part| match measure {
                Measure::BeforeDiscounts => cart.lines[part.line].original,
                Measure::AfterDiscounts => cart.lines[part.line].left,
            }))?;
            let reached = steps
                .iter()
                .filter(|step| step.from <= total)
                .max_by_key(|step| step.from);
            percent(&amounts, reached.map_or(0, |step| step.permille), rounding)?
        }
        Off::Amount { minor, spread: how } => spread(*minor, &amounts, *how)?,
        Off::UnitAmount { minor } => each(cart, &parts, &amounts, |place, _| place.price(*minor))?,
        Off::UnitPrice { minor } => each(cart, &parts, &amounts, |quantity, amount| {
            amount.minus(quantity.price(*minor)?)
        })?,
        Off::UnitAmounts { minor } => by_place(cart, &parts, &amounts, minor)?,
    };
    let mut shares = vec![Minor::ZERO; cart.lines.len()];
    for (part, share) in parts.iter().zip(of_parts) {
        shares[part.line] = shares[part.line].plus(share)?;
    }
    Ok(shares)
}

fn percent(
    amounts: &[Minor],
    permille: u32,
    rounding: Rounding,
) -> Result<Vec<Minor>, AmountError> {
    let sum = Minor::sum(amounts.iter().copied())?;
    split(share(sum, permille.min(1_000), rounding)?, amounts)
}

/// A discount by quantity, of weighed goods too; never more than the amount itself.
fn each(
    cart: &Cart<'_>,
    parts: &[Part],
    amounts: &[Minor],
    off: impl Fn(kopilka_crdt::money::Milli, Minor) -> Result<Minor, AmountError>,
) -> Result<Vec<Minor>, AmountError> {
    parts
        .iter()
        .zip(amounts)
        .map(|(part, amount)| {
            let quantity = match part.units {
                Some(units) => kopilka_crdt::money::Milli(u64::from(units) * 1_000),
                None => cart.lines[part.line].item.quantity,
            };
            Ok(off(quantity, *amount)?.min(*amount).max(Minor::ZERO))
        })
        .collect()
}

/// The first unit's sum, the second's, and so on, over all parts in their order.
fn by_place(
    cart: &Cart<'_>,
    parts: &[Part],
    amounts: &[Minor],
    sums: &[Minor],
) -> Result<Vec<Minor>, AmountError> {
    let Some(last) = sums.last().copied() else {
        return Ok(vec![Minor::ZERO; parts.len()]);
    };
    let mut before = 0_usize;
    parts
        .iter()
        .zip(amounts)
        .map(|(part, amount)| {
            let units = part.units.unwrap_or(cart.lines[part.line].units);
            let count = usize::try_from(units).map_err(|_| AmountError)?;
            let listed = sums.iter().skip(before).take(count);
            let listed_count = listed.len();
            let rest = i64::try_from(count - listed_count).map_err(|_| AmountError)?;
            let sum = Minor::sum(listed.copied())?.plus(last.fraction(rest, 1)?)?;
            before += count;
            Ok(sum.min(*amount))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pick: Pick, (group, take): (u32, u32), units_max: u32, expected: &[(usize, u32)]) {
        let parts = grouped(&[(4, 4), (7, 3)], pick, group, take, units_max);
        let parts: Vec<_> = parts
            .iter()
            .map(|part| (part.line, part.units.expect("counted")))
            .collect();
        assert_eq!(parts, expected, "{take} of {group}, {units_max} at most");
    }

    /// Seven units, four of one line and three of another.
    #[test]
    fn full_groups_give_their_units() {
        check(Pick::Cheapest, (3, 1), u32::MAX, &[(4, 2)]);
        check(Pick::Cheapest, (3, 2), u32::MAX, &[(4, 4)]);
        check(Pick::Cheapest, (2, 2), u32::MAX, &[(4, 4), (7, 2)]);
        check(Pick::Dearest, (3, 2), 3, &[(4, 3)]);
        check(Pick::Receipt, (3, 1), u32::MAX, &[(4, 1), (7, 1)]);
        check(Pick::Receipt, (8, 1), u32::MAX, &[]);
    }
}
