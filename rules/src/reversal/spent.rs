//! Points and coupons that were spent: back into their lots, or given anew where those end too soon.

use std::collections::BTreeMap;

use kopilka_crdt::clock::Day;
use kopilka_crdt::ids::AccountId;
use kopilka_crdt::ledger::Take;
use kopilka_crdt::member::Member;
use kopilka_crdt::money::{AmountError, Minor};
use kopilka_crdt::operation::{AccountTakes, Credit, Purpose, Spending};

use super::part::Part;
use super::{Present, Sold};

/// What goes back into its lots, and what is given anew.
pub(super) fn given_back(
    sold: &Sold<'_>,
    part: &Part<'_>,
    present: &Present<'_>,
) -> Result<(Vec<AccountTakes>, Vec<Credit>), AmountError> {
    let purchase = sold.purchase;
    let promoted = purchase.promoted.iter();
    let spent: Vec<&Spending> = promoted.flat_map(|promoted| &promoted.spent).collect();
    let mut main: Vec<Minor> = purchase.lines.iter().map(|line| line.redeemed).collect();
    let mut given = Vec::new();
    for spending in spent {
        match &spending.purpose {
            Purpose::Payment { shares } => {
                for (left, share) in main.iter_mut().zip(shares) {
                    *left = left.minus(*share)?.max(Minor::ZERO);
                }
                given.push(last_first(&spending.taken, part, shares)?);
            }
            Purpose::Promotion {
                promotion: _,
                comes_back,
            } => {
                if *comes_back && part.is_last() {
                    given.push(spending.taken.clone());
                }
            }
        }
    }
    if let Some(redeemed) = &purchase.redeemed {
        given.insert(0, last_first(redeemed, part, &main)?);
    }
    given.retain(|taken| !taken.takes.is_empty());
    renew(given, present)
}

/// The part of what paid by these shares; what was taken last comes back first.
fn last_first(
    taken: &AccountTakes,
    part: &Part<'_>,
    shares: &[Minor],
) -> Result<AccountTakes, AmountError> {
    Ok(AccountTakes {
        account: taken.account,
        takes: part.of(shares)?.cut(taken.takes.iter().rev().copied()),
    })
}

/// Gives anew what would go back into lots that end too soon to be spent.
///
/// Such a lot stays taken: its issuer has settled with the seller's partner for what it paid, and that partner, who has
/// the goods again, owes the member as much in the new lot. So no point is lost or doubled, for a member or a partner.
fn renew(
    given: Vec<AccountTakes>,
    present: &Present<'_>,
) -> Result<(Vec<AccountTakes>, Vec<Credit>), AmountError> {
    let Some(further_days) = present.rules.restored_days_min.checked_sub(1) else {
        return Ok((given, Vec::new()));
    };
    let last_day = present.today.plus(further_days);
    let mut renewed = BTreeMap::<AccountId, Minor>::new();
    let mut restored = Vec::new();
    for AccountTakes { account, takes } in given {
        let (ending, lasting): (Vec<_>, Vec<_>) = takes
            .into_iter()
            .partition(|take| ends_before(last_day, present.member, account, take));
        if !lasting.is_empty() {
            restored.push(AccountTakes {
                account,
                takes: lasting,
            });
        }
        for take in ending {
            let sum = renewed.entry(account).or_default();
            *sum = sum.plus(take.amount)?;
        }
    }
    let credit = |(account, amount)| Credit {
        account,
        amount,
        active_from: present.today,
        expires_on: Some(last_day),
    };
    Ok((restored, renewed.into_iter().map(credit).collect()))
}

fn ends_before(day: Day, member: &Member, account: AccountId, take: &Take) -> bool {
    let account = member.accounts.get(&account);
    let lot = account.and_then(|account| account.lots.get(&take.lot));
    lot.and_then(|lot| lot.expires_on)
        .is_some_and(|last| last < day)
}
