//! Promotions that count goods together: buy so many and get so many, and sets at a price of their own.

use kopilka_crdt::money::{AmountError, Minor};
use kopilka_crdt::rulebook::model::promotion::{Pick, SetOff, SetPart};
use kopilka_crdt::rulebook::model::{Filter, Rounding};

use super::cart::Cart;
use super::discount::{share, spread, units_in_order};

/// A buy-and-get promotion.
#[derive(Clone, Copy)]
pub(super) struct BuyGet<'a> {
    pub buy: &'a Filter,
    pub buy_units: u32,
    pub get: Option<&'a Filter>,
    pub get_units: u32,
    pub off_permille: u32,
    pub pick: Pick,
    pub times_max: u32,
}

/// Units of each line that something uses.
type Used = Vec<u32>;

/// Lines that a filter picks and that may cost less: others would take their place and bring nothing.
fn open_lines(cart: &Cart<'_>, filter: &Filter) -> Vec<usize> {
    let mut lines = cart.picked(Some(filter));
    lines.retain(|line| cart.lines[*line].open);
    lines
}

fn free_units(cart: &Cart<'_>, lines: &[usize]) -> u64 {
    let units = lines.iter().map(|line| cart.lines[*line].free_units);
    units.map(u64::from).sum()
}

/// Marks `wanted` units as used, in an order; gives how many there were.
fn use_units(
    cart: &Cart<'_>,
    used: &mut Used,
    lines: &[usize],
    pick: Pick,
    wanted: u64,
) -> Result<Vec<(usize, u32)>, AmountError> {
    let free = |place: usize| cart.lines[place].free_units.saturating_sub(used[place]);
    let mut prices = vec![Minor::ZERO; cart.lines.len()];
    for line in lines {
        prices[*line] = cart.lines[*line].free_price(1)?;
    }
    let runs = units_in_order(lines, pick, |line| prices[line], free);
    let mut missing = wanted;
    let mut found = Vec::new();
    for (line, count) in runs {
        let part = u64::from(count).min(missing);
        let Ok(part) = u32::try_from(part) else { break };
        if part == 0 {
            break;
        }
        missing -= u64::from(part);
        used[line] += part;
        found.push((line, part));
    }
    Ok(found)
}

fn count(runs: &[(usize, u32)]) -> u64 {
    runs.iter().map(|(_, count)| u64::from(*count)).sum()
}

/// What comes off each line, and the units that are used up by it.
pub(super) fn buy_get(
    cart: &Cart<'_>,
    deal: BuyGet<'_>,
    rounding: Rounding,
) -> Result<(Vec<Minor>, Used), AmountError> {
    let mut shares = vec![Minor::ZERO; cart.lines.len()];
    let mut used: Used = vec![0; cart.lines.len()];
    let got = open_lines(cart, deal.get.unwrap_or(deal.buy));
    let (both, only_bought): (Vec<_>, Vec<_>) = match deal.get {
        None => (got.clone(), Vec::new()),
        Some(_) => {
            let bought = cart.picked(Some(deal.buy)).into_iter();
            bought.partition(|line| got.contains(line))
        }
    };
    let times = times(cart, deal, [&only_bought, &both, &got]);
    // What is bought is taken from the other end of the order than what is got.
    let (bought_from, got_from) = match deal.pick {
        Pick::Cheapest => (Pick::Dearest, Pick::Cheapest),
        Pick::Dearest => (Pick::Cheapest, Pick::Dearest),
        Pick::Receipt => (Pick::Receipt, Pick::Receipt),
    };
    let to_buy = times * u64::from(deal.buy_units.max(1));
    let bought = use_units(cart, &mut used, &only_bought, bought_from, to_buy)?;
    use_units(cart, &mut used, &both, bought_from, to_buy - count(&bought))?;
    let to_get = times * u64::from(deal.get_units);
    for (line, part) in use_units(cart, &mut used, &got, got_from, to_get)? {
        let amount = cart.lines[line].free_price(part)?;
        shares[line] = shares[line].plus(share(amount, deal.off_permille.min(1_000), rounding)?)?;
    }
    if shares.iter().all(|share| *share == Minor::ZERO) {
        used.fill(0);
    }
    Ok((shares, used))
}

/// How often enough is bought and something is left to get. The last time may be incomplete: whoever bought enough gets
/// what there is.
fn times(cart: &Cart<'_>, deal: BuyGet<'_>, [only_bought, both, got]: [&[usize]; 3]) -> u64 {
    let (buy, get) = (
        u64::from(deal.buy_units.max(1)),
        u64::from(deal.get_units.max(1)),
    );
    let only_bought = free_units(cart, only_bought);
    let (both, got) = (free_units(cart, both), free_units(cart, got));
    // With t times, max(0, t × buy − only bought) units are missing from those to get, and more than (t − 1) × get of them
    // have to be left.
    let shared = (got + only_bought + get).div_ceil(buy + get) - 1;
    let times = ((only_bought + both) / buy)
        .min(got.div_ceil(get))
        .min(shared);
    times.min(deal.times_max.into())
}

/// What comes off each line by sets; the dearest goods go into sets first.
pub(super) fn sets(
    cart: &Cart<'_>,
    wanted: &[SetPart],
    off: SetOff,
    times_max: u32,
    rounding: Rounding,
) -> Result<(Vec<Minor>, Used), AmountError> {
    let mut used: Used = vec![0; cart.lines.len()];
    let mut shares = vec![Minor::ZERO; cart.lines.len()];
    let mut whole: Used = used.clone();
    for _ in 0..times_max {
        let mut amounts = vec![Minor::ZERO; cart.lines.len()];
        for part in wanted {
            let runs = use_units(
                cart,
                &mut used,
                &open_lines(cart, &part.goods),
                Pick::Dearest,
                part.units.into(),
            )?;
            if count(&runs) < u64::from(part.units) || part.units == 0 {
                return Ok((shares, whole));
            }
            for (line, units) in runs {
                let amount = cart.lines[line].free_price(units)?;
                amounts[line] = amounts[line].plus(amount)?;
            }
        }
        let sum = Minor::sum(amounts.iter().copied())?;
        let of_set = match off {
            SetOff::Percent { permille } => spread(
                share(sum, permille.min(1_000), rounding)?,
                &amounts,
                <_>::default(),
            )?,
            SetOff::Amount { minor, spread: how } => {
                let of_lines: Vec<_> = amounts
                    .iter()
                    .copied()
                    .enumerate()
                    .filter(|(_, amount)| *amount > Minor::ZERO)
                    .collect();
                let part: Vec<_> = of_lines.iter().map(|(_, amount)| *amount).collect();
                let mut all = vec![Minor::ZERO; amounts.len()];
                for ((line, _), share) in of_lines.iter().zip(spread(minor, &part, how)?) {
                    all[*line] = share;
                }
                all
            }
            SetOff::Price { minor } => {
                spread(sum.minus(minor)?.max(Minor::ZERO), &amounts, <_>::default())?
            }
        };
        for (sum, share) in shares.iter_mut().zip(of_set) {
            *sum = sum.plus(share)?;
        }
        whole.clone_from(&used);
    }
    Ok((shares, whole))
}
