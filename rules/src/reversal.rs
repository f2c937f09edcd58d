//! What a return or a cancel gives back: the shares stored at the sale, never a new calculation.
//!
//! Shares are cumulative: after the whole line came back, in however many parts, exactly its shares have been given
//! back. Spent points go back into the lots that they came from, last taken first; earned points are withdrawn.

use std::collections::BTreeMap;

use kopilka_crdt::ids::{CashierId, LotId, OperationId, TillId};
use kopilka_crdt::ledger::Take;
use kopilka_crdt::money::{AmountError, Milli, Minor};
use kopilka_crdt::operation::{AccountTakes, Purchase, PurchaseLine, ReturnedLine, Reversal};

/// Why goods cannot be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReversalError {
    /// Nothing is left of the purchase.
    #[error("everything of this purchase has come back already")]
    NothingLeft,
    /// The purchase has no such line.
    #[error("the purchase has no line {0}")]
    NoSuchLine(u16),
    /// More comes back than is left.
    #[error("line {line}: at most {left} can come back")]
    TooMuch {
        /// 0-based index.
        line: u16,
        /// What is left.
        left: Milli,
    },
    /// A sum left 64 bits.
    #[error(transparent)]
    Amount(#[from] AmountError),
}

/// Where and by whom goods are taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    /// The till.
    pub till: TillId,
    /// The cashier.
    pub cashier: CashierId,
}

/// Sums over lines of what was given back up to some quantities.
#[derive(Debug, Clone, Copy, Default)]
struct Given {
    paid: Minor,
    redeemed: Minor,
    earned: Minor,
}

/// Takes back `wanted` (all that is left, when none) of a purchase of which `returned` has come back, line by line.
pub fn reverse(
    id: OperationId,
    purchase: &Purchase,
    returned: &[Milli],
    wanted: Option<&[ReturnedLine]>,
    counter: Counter,
) -> Result<Reversal, ReversalError> {
    let before: Vec<Milli> = (0..purchase.lines.len())
        .map(|line| returned.get(line).copied().unwrap_or_default())
        .collect();
    let lines = match wanted {
        Some(lines) => merged(lines),
        None => rest(purchase, &before)?,
    };
    if lines.is_empty() {
        return Err(ReversalError::NothingLeft);
    }
    let mut after = before.clone();
    for line in &lines {
        let index = usize::from(line.line);
        let sold = purchase
            .lines
            .get(index)
            .ok_or(ReversalError::NoSuchLine(line.line))?
            .quantity;
        let left = Milli(sold.0.saturating_sub(before[index].0));
        if line.quantity == Milli(0) || line.quantity > left {
            return Err(ReversalError::TooMuch {
                line: line.line,
                left,
            });
        }
        after[index] = Milli(before[index].0 + line.quantity.0);
    }
    let (was, is) = (given(purchase, &before)?, given(purchase, &after)?);
    let refund = is.paid.minus(was.paid)?;
    let whole = purchase
        .lines
        .iter()
        .zip(&after)
        .all(|(line, back)| line.quantity == *back);
    Ok(Reversal {
        purchase: id,
        member: purchase.member,
        cashier: counter.cashier,
        till: counter.till,
        lines,
        refund,
        counted: refund,
        day: purchase.receipt.day,
        restored: restored(purchase, was.redeemed, is.redeemed),
        renewed: Vec::new(),
        withdrawn: withdrawn(id, purchase, was.earned, is.earned),
        recalled: Vec::new(),
        uncounted: Vec::new(),
        gifts: BTreeMap::new(),
        partner: purchase.partner,
        whole,
    })
}

fn merged(lines: &[ReturnedLine]) -> Vec<ReturnedLine> {
    let mut merged = BTreeMap::<u16, u64>::new();
    for line in lines {
        let sum = merged.entry(line.line).or_default();
        *sum = sum.saturating_add(line.quantity.0);
    }
    merged
        .into_iter()
        .map(|(line, milli)| ReturnedLine {
            line,
            quantity: Milli(milli),
        })
        .collect()
}

fn rest(purchase: &Purchase, before: &[Milli]) -> Result<Vec<ReturnedLine>, ReversalError> {
    let mut lines = Vec::new();
    for (index, (line, back)) in purchase.lines.iter().zip(before).enumerate() {
        let left = line.quantity.0.saturating_sub(back.0);
        if left > 0 {
            let line = u16::try_from(index).map_err(|_| AmountError)?;
            lines.push(ReturnedLine {
                line,
                quantity: Milli(left),
            });
        }
    }
    Ok(lines)
}

fn given(purchase: &Purchase, back: &[Milli]) -> Result<Given, AmountError> {
    let mut sum = Given::default();
    for (line, back) in purchase.lines.iter().zip(back) {
        let part = |share: Minor| share_of(line, *back, share);
        let redeemed = part(line.redeemed)?;
        let paid = part(line.amount()?.minus(line.redeemed)?)?;
        sum.paid = sum.paid.plus(paid)?;
        sum.redeemed = sum.redeemed.plus(redeemed)?;
        sum.earned = sum.earned.plus(part(line.earned)?)?;
    }
    Ok(sum)
}

fn share_of(line: &PurchaseLine, back: Milli, share: Minor) -> Result<Minor, AmountError> {
    let (back, sold) = (i64::try_from(back.0), i64::try_from(line.quantity.0));
    share.fraction(
        back.map_err(|_| AmountError)?,
        sold.map_err(|_| AmountError)?,
    )
}

/// The part of a sequence of amounts that lies between two running sums.
fn between<T: Copy>(
    parts: impl IntoIterator<Item = (T, Minor)>,
    from: Minor,
    to: Minor,
) -> Vec<(T, Minor)> {
    let mut found = Vec::new();
    let mut start = 0_i64;
    for (name, amount) in parts {
        let end = start.saturating_add(amount.0);
        let overlap = end.min(to.0).saturating_sub(start.max(from.0));
        if overlap > 0 {
            found.push((name, Minor(overlap)));
        }
        start = end;
    }
    found
}

fn restored(purchase: &Purchase, from: Minor, to: Minor) -> Vec<AccountTakes> {
    let Some(redeemed) = &purchase.redeemed else {
        return Vec::new();
    };
    let last_first = redeemed
        .takes
        .iter()
        .rev()
        .map(|take| (take.lot, take.amount));
    let takes: Vec<_> = between(last_first, from, to)
        .into_iter()
        .map(|(lot, amount)| Take { lot, amount })
        .collect();
    if takes.is_empty() {
        return Vec::new();
    }
    vec![AccountTakes {
        account: redeemed.account,
        takes,
    }]
}

fn withdrawn(id: OperationId, purchase: &Purchase, from: Minor, to: Minor) -> Vec<AccountTakes> {
    let lots = (0_u8..)
        .zip(&purchase.earned)
        .map(|(index, credit)| ((index, credit.account), credit.amount));
    let parts = between(lots, from, to).into_iter();
    parts
        .map(|((index, account), amount)| AccountTakes {
            account,
            takes: vec![Take {
                lot: LotId {
                    operation: id,
                    index,
                },
                amount,
            }],
        })
        .collect()
}
