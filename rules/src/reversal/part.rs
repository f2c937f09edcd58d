//! The part of a purchase that comes back now, as ranges of running sums over its lines' shares.

use kopilka_crdt::ledger::Take;
use kopilka_crdt::money::{AmountError, Milli, Minor};
use kopilka_crdt::operation::PurchaseLine;

/// A range of a running sum.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    pub from: Minor,
    pub to: Minor,
}

/// What comes back now: so much of each line had come back before, and so much has after it.
pub(super) struct Part<'a> {
    pub lines: &'a [PurchaseLine],
    pub before: Vec<Milli>,
    pub after: Vec<Milli>,
}

impl Part<'_> {
    /// Whether nothing is left after it.
    pub(super) fn is_last(&self) -> bool {
        let mut lines = self.lines.iter().zip(&self.after);
        lines.all(|(line, back)| line.quantity == *back)
    }

    /// Where what is given back of shares stood, and where it stands then. Lines beyond the shares have none.
    pub(super) fn of(&self, shares: &[Minor]) -> Result<Range, AmountError> {
        let sum = |back: &[Milli]| {
            let mut lines = self.lines.iter().zip(back).zip(shares);
            lines.try_fold(Minor::ZERO, |sum, ((line, back), share)| {
                sum.plus(share_of(line, *back, *share)?)
            })
        };
        Ok(Range {
            from: sum(&self.before)?,
            to: sum(&self.after)?,
        })
    }

    /// Money that was paid for it.
    pub(super) fn paid(&self) -> Result<Minor, AmountError> {
        let paid = |line: &PurchaseLine| line.amount()?.minus(line.redeemed);
        let shares: Vec<Minor> = self.lines.iter().map(paid).collect::<Result<_, _>>()?;
        let Range { from, to } = self.of(&shares)?;
        to.minus(from)
    }
}

fn share_of(line: &PurchaseLine, back: Milli, share: Minor) -> Result<Minor, AmountError> {
    let (back, sold) = (i64::try_from(back.0), i64::try_from(line.quantity.0));
    share.fraction(
        back.map_err(|_| AmountError)?,
        sold.map_err(|_| AmountError)?,
    )
}

impl Range {
    /// The parts of a sequence of takes that lie within it.
    pub(super) fn cut(self, takes: impl IntoIterator<Item = Take>) -> Vec<Take> {
        let mut found = Vec::new();
        let mut start = 0_i64;
        for Take { lot, amount } in takes {
            let end = start.saturating_add(amount.0);
            let overlap = end.min(self.to.0).saturating_sub(start.max(self.from.0));
            if overlap > 0 {
                found.push(Take {
                    lot,
                    amount: Minor(overlap),
                });
            }
            start = end;
        }
        found
    }
}
