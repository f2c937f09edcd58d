//! How much of an account one store may hold rights to: of points and money a share, of coupons whole ones, of a budget
//! a small part, since all stores draw on it.

use std::collections::{BTreeMap, BTreeSet};

use kopilka_crdt::ids::{AccountId, MemberId};
use kopilka_crdt::money::{AmountError, Minor};
use kopilka_crdt::rulebook::RuleBook;
use kopilka_crdt::rulebook::model::OfflineRules;
use kopilka_crdt::rulebook::model::promotion::OfflinePolicy;

use crate::promotion::draws_on_budget;

/// Smallest allowance worth granting of points and money: one point.
const GRANT_MIN: Minor = Minor(100);
/// A store gets this part of the share of a budget that it would get of a member's points.
const BUDGET_STORES: i64 = 10;

/// By which measure a store holds rights to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Portion {
    /// The share, and the most, that the rules say.
    Share,
    /// The share, rounded up to whole units.
    Units,
    /// A part of the share of what is free, rounded up, and filled again when half of it is used.
    Budget,
}

/// How an account stands for one holder.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    /// May be spent today.
    pub spendable: Minor,
    /// The holder's own open rights that last.
    pub held: Minor,
    /// What may be granted.
    pub free: Minor,
}

impl Portion {
    /// What is to be granted now, if it is worth it.
    pub(super) fn missing(
        self,
        offline: &OfflineRules,
        standing: Standing,
    ) -> Result<Option<Minor>, AmountError> {
        let permille = i64::from(offline.allowance_share_permille).min(1_000);
        let Standing {
            spendable,
            held,
            free,
        } = standing;
        let (target, least) = match self {
            Self::Share => {
                let share = spendable.fraction(permille, 1_000)?;
                (share.min(offline.allowance_max_minor), GRANT_MIN)
            }
            Self::Units => (rounded_up(spendable, permille, 1_000)?, Minor(1)),
            Self::Budget => {
                let whole = 1_000 * BUDGET_STORES;
                let target = rounded_up(free.plus(held)?, permille, whole)?;
                (target, rounded_up(target, 1, 2)?.max(Minor(1)))
            }
        };
        let missing = target.minus(held)?.min(free);
        Ok((missing >= least).then_some(missing))
    }
}

/// `amount × part / whole`, rounded up; `amount` is not negative.
fn rounded_up(amount: Minor, part: i64, whole: i64) -> Result<Minor, AmountError> {
    amount.minus(amount.fraction(whole - part, whole)?)
}

/// Which accounts of whom may be spent, and by which measure stores hold rights to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Portions {
    accounts: BTreeMap<AccountId, Portion>,
    /// Records of promotions whose policy lets stores hold rights to their budget.
    budgets: BTreeSet<MemberId>,
}

impl Portions {
    /// Those of a rule book.
    pub fn new(rules: &RuleBook) -> Self {
        let pay = rules.payments.iter().map(|payment| payment.account);
        let cards = rules.gift_cards.iter().map(|cards| cards.account);
        let prices = rules.promotions.values().filter_map(|promotion| {
            let price = promotion.price.as_ref()?;
            price.account
        });
        let shares = [rules.redemption.account].into_iter().chain(pay);
        let shares = shares.chain(cards).chain(prices);
        let mut accounts: BTreeMap<AccountId, Portion> =
            shares.map(|account| (account, Portion::Share)).collect();
        let series = rules.coupons.values();
        accounts.extend(series.map(|series| (series.account, Portion::Units)));
        let budgets = rules.promotions.iter().filter(|(_, promotion)| {
            promotion.offline == OfflinePolicy::Allowance && draws_on_budget(promotion).is_some()
        });
        Self {
            accounts,
            budgets: budgets
                .map(|(id, _)| MemberId::of_limit(*id, None))
                .collect(),
        }
    }

    /// By which measure stores hold rights to an account of a member or record; none: by none.
    pub fn of(&self, id: MemberId, account: AccountId) -> Option<Portion> {
        if account == AccountId::BUDGET {
            return self.budgets.contains(&id).then_some(Portion::Budget);
        }
        self.accounts.get(&account).copied()
    }
}
