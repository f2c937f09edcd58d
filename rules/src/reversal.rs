//! What a return or a cancel gives back: the shares stored at the sale, never a new calculation.
//!
//! Shares are cumulative: after the whole line came back, in however many parts, exactly its shares have been given
//! back. Spent points go back into the lots that they came from, last taken first; earned points are withdrawn. What
//! belongs to the receipt as a whole, such as coupons, waits for its last part.

mod charges;
mod earned;
mod part;
mod spent;
mod whole;

use std::collections::BTreeMap;

use kopilka_crdt::clock::{Day, Stamp};
use kopilka_crdt::ids::{CashierId, OperationId, TillId};
use kopilka_crdt::member::Member;
use kopilka_crdt::money::{AmountError, Milli, Minor};
use kopilka_crdt::operation::{Purchase, ReturnedLine, Reversal};
use kopilka_crdt::rulebook::model::ReturnRules;

pub use charges::{ChargedBack, charge_back};
use part::Part;

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

/// A purchase as it was counted, and what has come back of it.
#[derive(Debug, Clone, Copy)]
pub struct Sold<'a> {
    /// Its operation.
    pub operation: OperationId,
    /// The operation's stamp, by which its sums were counted on a day.
    pub stamp: Stamp,
    /// What was sold.
    pub purchase: &'a Purchase,
    /// What has come back so far, line by line; of lines beyond its end, nothing.
    pub returned: &'a [Milli],
}

/// What a return depends on beside the purchase.
#[derive(Debug, Clone, Copy)]
pub struct Present<'a> {
    /// Who bought, as they are known here now.
    pub member: &'a Member,
    /// The rules in force.
    pub rules: &'a ReturnRules,
    /// The programme's calendar day.
    pub today: Day,
}

/// Takes back `wanted`, or all that is left when none is named.
pub fn reverse(
    sold: &Sold<'_>,
    wanted: Option<&[ReturnedLine]>,
    counter: Counter,
    present: &Present<'_>,
) -> Result<Reversal, ReversalError> {
    let purchase = sold.purchase;
    let before: Vec<Milli> = (0..purchase.lines.len())
        .map(|line| sold.returned.get(line).copied().unwrap_or_default())
        .collect();
    let lines = match wanted {
        Some(lines) => merged(lines),
        None => rest(purchase, &before)?,
    };
    let part = Part {
        lines: &purchase.lines,
        after: with(purchase, &before, &lines)?,
        before,
    };
    let whole = part.is_last();
    let paid = part.paid()?;
    let (restored, renewed) = spent::given_back(sold, &part, present)?;
    let mut withdrawn = earned::withdrawn(sold, &part)?;
    let kept = earned::keep_back(&mut withdrawn, (&restored, &renewed), paid, present)?;
    Ok(Reversal {
        purchase: sold.operation,
        member: purchase.member,
        cashier: counter.cashier,
        till: counter.till,
        lines,
        refund: paid.minus(kept)?,
        counted: paid,
        day: purchase.receipt.counted_on(sold.stamp),
        restored,
        renewed,
        withdrawn,
        recalled: if whole {
            whole::recalled(sold, present.member)?
        } else {
            Vec::new()
        },
        uncounted: if whole {
            whole::uncounted(purchase)
        } else {
            Vec::new()
        },
        gifts: if whole {
            whole::gifts(purchase, present.member)
        } else {
            BTreeMap::new()
        },
        partner: purchase.partner,
        whole,
    })
}

/// What has come back of each line of a purchase, all parts together.
pub fn came_back(purchase: &Purchase, parts: &[ReturnedLine]) -> Vec<Milli> {
    let mut back = vec![Milli::default(); purchase.lines.len()];
    for part in parts {
        if let Some(sum) = back.get_mut(usize::from(part.line)) {
            *sum = Milli(sum.0.saturating_add(part.quantity.0));
        }
    }
    back
}

/// By how much a refund is lower than what was paid for the goods, because points that they earned are spent.
pub fn kept_back(reversal: &Reversal) -> Result<Minor, AmountError> {
    reversal.counted.minus(reversal.refund)
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

/// What has come back, line by line, once these lines have too.
fn with(
    purchase: &Purchase,
    before: &[Milli],
    lines: &[ReturnedLine],
) -> Result<Vec<Milli>, ReversalError> {
    if lines.is_empty() {
        return Err(ReversalError::NothingLeft);
    }
    let mut after = before.to_vec();
    for line in lines {
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
    Ok(after)
}
