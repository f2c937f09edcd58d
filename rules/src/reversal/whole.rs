//! What belongs to the receipt as a whole, and is taken back with its last part: coupons, gifts, counted uses.

use std::collections::BTreeMap;

use kopilka_crdt::ids::LotId;
use kopilka_crdt::ledger::Take;
use kopilka_crdt::member::Member;
use kopilka_crdt::money::{AmountError, Minor};
use kopilka_crdt::operation::{AccountTakes, Applied, Counting, Purchase};

use super::Sold;

/// Coupons and the like that were handed out and are not used yet. A used one stays used: the goods that it was for
/// have their own receipt, and their price is not changed afterwards.
pub(super) fn recalled(sold: &Sold<'_>, member: &Member) -> Result<Vec<AccountTakes>, AmountError> {
    let purchase = sold.purchase;
    let issued = purchase.promoted.iter().flat_map(|one| &one.issued);
    let mut recalled = Vec::new();
    // Their lots are numbered after those earned.
    for (index, credit) in (0..).zip(issued) {
        let index = purchase.earned.len().saturating_add(index);
        let lot = LotId {
            operation: sold.operation,
            index: u8::try_from(index).map_err(|_| AmountError)?,
        };
        let account = member.accounts.get(&credit.account);
        let unused = match account.and_then(|account| account.lots.get(&lot)) {
            Some(known) => known.remaining()?.min(credit.amount),
            // Nobody here has seen it used.
            None => credit.amount,
        };
        if unused > Minor::ZERO {
            recalled.push(AccountTakes {
                account: credit.account,
                takes: vec![Take {
                    lot,
                    amount: unused,
                }],
            });
        }
    }
    Ok(recalled)
}

/// Uses of promotions that limits counted until now.
pub(super) fn uncounted(purchase: &Purchase) -> Vec<Applied> {
    let applied = purchase.promoted.iter().flat_map(|one| &one.applied);
    applied
        .filter(|one| match one.counting {
            Counting::UntilReturned => true,
            Counting::Not | Counting::ForGood => false,
        })
        .copied()
        .collect()
}

/// Gifts that still wait for the member.
pub(super) fn gifts(purchase: &Purchase, member: &Member) -> BTreeMap<String, u32> {
    let credited = purchase.promoted.iter().flat_map(|one| &one.gifts);
    let waiting = |(code, count): (&String, &u32)| {
        let waiting = member.gifts.get(code).copied().unwrap_or_default();
        let back = u32::try_from(waiting).unwrap_or_default().min(*count);
        (code.clone(), back)
    };
    credited
        .map(waiting)
        .filter(|(_, count)| *count > 0)
        .collect()
}
