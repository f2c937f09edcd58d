//! An account: a member's lots in one currency of the programme, and the two questions asked of them.
//!
//! Stores may take from the same lot at the same time, each within its own right. A lot then stands below zero while
//! the account as a whole is covered, so balances are read through [`Account::view`], which lets such a shortfall
//! flow to the lots that expire later, as parking cars roll on to the first free place. The outcome depends on the
//! counters alone and not on who came first (Konheim and Weiss, 1966, on parking functions: the set of places taken
//! does not depend on the order of arrival).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::Day;
use crate::ids::LotId;
use crate::ledger::lot::Lot;
use crate::money::{AmountError, Minor};

/// The lots of one member in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Account {
    /// By the operation that credited them.
    pub lots: BTreeMap<LotId, Lot>,
}

/// What an account comes to on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AccountView {
    /// May be redeemed today.
    pub spendable: Minor,
    /// Credited, not yet active.
    pub pending: Minor,
    /// Ran out unspent.
    pub expired: Minor,
    /// Taken beyond all lots.
    pub debt: Minor,
}

/// A part taken from, or given back to, one lot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Take {
    /// The lot.
    pub lot: LotId,
    /// How much of it; positive.
    pub amount: Minor,
}

/// A lot and what is left in it once shortfalls have flowed on.
type Settled<'a> = (LotId, &'a Lot, Minor);

/// Sorts lots by last day, those without one at the end, then by identifier.
fn expiry_key(id: LotId, lot: &Lot) -> (Day, LotId) {
    (lot.expires_on.unwrap_or(Day(u32::MAX)), id)
}

impl Account {
    /// What is left in each lot once shortfalls have flowed on, in order of expiry; and the shortfall beyond them all.
    fn settled(&self) -> Result<(Vec<Settled<'_>>, Minor), AmountError> {
        let mut order: Vec<_> = self.lots.iter().map(|(id, lot)| (*id, lot)).collect();
        order.sort_unstable_by_key(|(id, lot)| expiry_key(*id, lot));
        let mut debt = Minor::ZERO;
        let mut left = Vec::with_capacity(order.len());
        for (id, lot) in order {
            let own = lot.remaining()?.minus(debt)?;
            debt = Minor((-own.0.min(0)).max(0));
            left.push((id, lot, own.max(Minor::ZERO)));
        }
        Ok((left, debt))
    }

    /// Spendable, pending, expired and owed on `today`.
    pub fn view(&self, today: Day) -> Result<AccountView, AmountError> {
        let (left, debt) = self.settled()?;
        let mut view = AccountView {
            debt,
            ..AccountView::default()
        };
        for (_, lot, amount) in left {
            let slot = if lot.is_expired(today) {
                &mut view.expired
            } else if lot.is_active(today) {
                &mut view.spendable
            } else {
                &mut view.pending
            };
            *slot = slot.plus(amount)?;
        }
        // What is owed is owed by earlier points too: it comes off what could be spent.
        let covered = view.debt.min(view.spendable);
        view.spendable = view.spendable.minus(covered)?;
        view.debt = view.debt.minus(covered)?;
        Ok(view)
    }

    /// What may be spent today and will still be there at the end of day `until`.
    pub fn spendable_through(&self, today: Day, until: Day) -> Result<Minor, AmountError> {
        let (left, debt) = self.settled()?;
        let alive = left
            .into_iter()
            .filter(|(_, lot, _)| lot.is_active(today) && !lot.is_expired(until.max(today)));
        let sum = Minor::sum(alive.map(|(_, _, amount)| amount))?;
        Ok(sum.minus(debt)?.max(Minor::ZERO))
    }

    /// Chooses where to take `amount` from on `today`, first from what expires first; `None` when there is too little.
    ///
    /// A negative amount is an error: it would credit.
    pub fn plan(&self, amount: Minor, today: Day) -> Result<Option<Vec<Take>>, AmountError> {
        if amount < Minor::ZERO {
            return Err(AmountError);
        }
        if self.view(today)?.spendable < amount {
            return Ok(None);
        }
        let (left, _) = self.settled()?;
        let mut missing = amount;
        let mut takes = Vec::new();
        for (id, lot, available) in left {
            if missing == Minor::ZERO {
                break;
            }
            if lot.is_expired(today) || !lot.is_active(today) || available == Minor::ZERO {
                continue;
            }
            let part = available.min(missing);
            missing = missing.minus(part)?;
            takes.push(Take {
                lot: id,
                amount: part,
            });
        }
        Ok((missing == Minor::ZERO).then_some(takes))
    }

    /// All points ever credited less all taken and withdrawn, expired or not.
    pub fn total(&self) -> Result<Minor, AmountError> {
        self.lots
            .values()
            .try_fold(Minor::ZERO, |sum, lot| sum.plus(lot.remaining()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Incarnation, NodeId, OperationId};

    fn id(sequence: u64) -> LotId {
        let operation = OperationId {
            node: NodeId(1),
            incarnation: Incarnation(1),
            sequence,
        };
        LotId {
            operation,
            index: 0,
        }
    }

    fn account(lots: &[(i64, i64, u32, Option<u32>)]) -> Account {
        let lots = (1..)
            .zip(lots)
            .map(|(sequence, &(amount, taken, from, last))| {
                let lot = Lot {
                    amount: Minor(amount),
                    taken: Minor(taken),
                    active_from: Day(from),
                    expires_on: last.map(Day),
                    ..Lot::default()
                };
                (id(sequence), lot)
            });
        Account {
            lots: lots.collect(),
        }
    }

    fn check(lots: &[(i64, i64, u32, Option<u32>)], today: u32, expected: [i64; 4]) {
        let view = account(lots).view(Day(today)).unwrap();
        let found = [
            view.spendable.0,
            view.pending.0,
            view.expired.0,
            view.debt.0,
        ];
        assert_eq!(
            found, expected,
            "spendable, pending, expired, debt of {lots:?} on day {today}"
        );
    }

    #[test]
    fn views() {
        check(
            &[(100, 0, 0, Some(10)), (50, 0, 5, None)],
            4,
            [100, 50, 0, 0],
        );
        check(
            &[(100, 0, 0, Some(10)), (50, 0, 5, None)],
            10,
            [150, 0, 0, 0],
        );
        check(
            &[(100, 0, 0, Some(10)), (50, 0, 5, None)],
            11,
            [50, 0, 100, 0],
        );
        // Two stores took the first lot at once: the shortfall flows to the later one.
        check(
            &[(100, 200, 0, Some(10)), (150, 0, 0, Some(20))],
            4,
            [50, 0, 0, 0],
        );
        // And stays there when that one has expired.
        check(
            &[(100, 200, 0, Some(10)), (150, 0, 0, Some(20))],
            21,
            [0, 0, 50, 0],
        );
        check(
            &[(100, 300, 0, Some(10)), (150, 0, 0, Some(20))],
            4,
            [0, 0, 0, 50],
        );
        // A later lot in debt is covered by an earlier one that can still be spent.
        check(
            &[(100, 0, 0, Some(10)), (150, 200, 0, Some(20))],
            4,
            [50, 0, 0, 0],
        );
    }

    #[test]
    fn plans_take_what_expires_first_and_never_what_is_pending() {
        let account = account(&[
            (100, 0, 0, None),
            (100, 0, 0, Some(9)),
            (100, 0, 8, Some(5)),
        ]);
        let plan = account.plan(Minor(150), Day(3)).unwrap().unwrap();
        assert_eq!(
            plan,
            [
                Take {
                    lot: id(2),
                    amount: Minor(100)
                },
                Take {
                    lot: id(1),
                    amount: Minor(50)
                }
            ]
        );
        assert_eq!(account.plan(Minor(201), Day(3)).unwrap(), None);
        assert_eq!(
            account.spendable_through(Day(3), Day(9)).unwrap(),
            Minor(200)
        );
        assert_eq!(
            account.spendable_through(Day(3), Day(10)).unwrap(),
            Minor(100)
        );
    }
}
