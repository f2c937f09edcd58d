//! Points that the goods earned: withdrawn, or kept by the member and taken from the refund.

use std::collections::BTreeSet;

use kopilka_crdt::ids::{AccountId, LotId};
use kopilka_crdt::ledger::Take;
use kopilka_crdt::money::{AmountError, Minor};
use kopilka_crdt::operation::{AccountTakes, Credit};
use kopilka_crdt::rulebook::model::Shortfall;

use super::part::Part;
use super::{Present, Sold};

/// What is taken back of each lot that the purchase credited.
pub(super) fn withdrawn(
    sold: &Sold<'_>,
    part: &Part<'_>,
) -> Result<Vec<AccountTakes>, AmountError> {
    let purchase = sold.purchase;
    let lots: Vec<(AccountId, Take)> = (0..)
        .zip(&purchase.earned)
        .map(|(index, credit)| {
            let lot = LotId {
                operation: sold.operation,
                index,
            };
            let amount = credit.amount;
            (credit.account, Take { lot, amount })
        })
        .collect();
    let by_account = purchase.promoted.iter();
    let by_account: Vec<_> = by_account.flat_map(|one| &one.earned_shares).collect();
    let mut takes = Vec::new();
    if by_account.is_empty() {
        let shares: Vec<Minor> = purchase.lines.iter().map(|line| line.earned).collect();
        takes = part.of(&shares)?.cut(lots.iter().map(|(_, lot)| *lot));
    }
    for (account, shares) in by_account {
        let own = lots.iter().filter(|(of, _)| of == account);
        takes.extend(part.of(shares)?.cut(own.map(|(_, lot)| *lot)));
    }
    let account_of = |take: &Take| {
        let credited = lots.iter().find(|(_, lot)| lot.lot == take.lot);
        credited.map(|(account, _)| *account)
    };
    let named = |take: Take| {
        account_of(&take).map(|account| AccountTakes {
            account,
            takes: vec![take],
        })
    };
    Ok(takes.into_iter().filter_map(named).collect())
}

/// Leaves the member what they have spent of the points that were to be withdrawn, where the rules take its worth from
/// the refund: a hundredth of a point for a minor unit, never more than the refund. Gives what the refund is lowered by.
pub(super) fn keep_back(
    withdrawn: &mut Vec<AccountTakes>,
    given_back: (&[AccountTakes], &[Credit]),
    refund: Minor,
    present: &Present<'_>,
) -> Result<Minor, AmountError> {
    match present.rules.shortfall {
        Shortfall::Debt => return Ok(Minor::ZERO),
        Shortfall::FromRefund => {}
    }
    let accounts: BTreeSet<_> = withdrawn.iter().map(|taken| taken.account).collect();
    let mut kept = Minor::ZERO;
    for account in accounts {
        let short = shortfall(account, withdrawn, given_back, present)?;
        let most = short.min(refund.minus(kept)?);
        kept = kept.plus(leave(withdrawn, account, most)?)?;
    }
    withdrawn.retain(|taken| !taken.takes.is_empty());
    Ok(kept)
}

/// By how much an account would be below zero after the return.
fn shortfall(
    account: AccountId,
    withdrawn: &[AccountTakes],
    (restored, renewed): (&[AccountTakes], &[Credit]),
    present: &Present<'_>,
) -> Result<Minor, AmountError> {
    let mut after = present.member.account(account);
    for take in takes_of(account, restored) {
        let lot = after.lots.entry(take.lot).or_default();
        lot.taken = lot.taken.minus(take.amount)?;
    }
    for take in takes_of(account, withdrawn) {
        let lot = after.lots.entry(take.lot).or_default();
        lot.withdrawn = lot.withdrawn.plus(take.amount)?;
    }
    let view = after.view(present.today)?;
    let renewed = renewed.iter().filter(|credit| credit.account == account);
    let has = Minor::sum(renewed.map(|credit| credit.amount))?
        .plus(view.spendable)?
        .plus(view.pending)?;
    Ok(view.debt.minus(has)?.max(Minor::ZERO))
}

fn takes_of(account: AccountId, taken: &[AccountTakes]) -> impl Iterator<Item = &Take> {
    let own = taken.iter().filter(move |taken| taken.account == account);
    own.flat_map(|taken| &taken.takes)
}

/// Takes at most so much of an account off what is withdrawn, from its end. Gives how much it was.
fn leave(
    withdrawn: &mut [AccountTakes],
    account: AccountId,
    most: Minor,
) -> Result<Minor, AmountError> {
    let mut left = most;
    let own = withdrawn.iter_mut().rev();
    for taken in own.filter(|taken| taken.account == account) {
        for take in taken.takes.iter_mut().rev() {
            let off = take.amount.min(left);
            take.amount = take.amount.minus(off)?;
            left = left.minus(off)?;
        }
        taken.takes.retain(|take| take.amount > Minor::ZERO);
    }
    most.minus(left)
}
