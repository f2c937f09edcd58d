//! How much of a promotion's limits is used up, by the member's state or by the record of a store or of the programme.

use kopilka_crdt::clock::Day;
use kopilka_crdt::ids::{AccountId, MemberId, PromotionId, StoreId};
use kopilka_crdt::member::{Member, Used};
use kopilka_crdt::money::AmountError;
use kopilka_crdt::rulebook::RuleBook;
use kopilka_crdt::rulebook::model::promotion::{Limit, LimitCount, LimitScope, Period, Promotion};

use super::limits::draws_on_budget;
use crate::period::Periods;

/// A limit that is no member's, and the record that counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitRecord {
    /// The record.
    pub record: MemberId,
    /// Whose limit it is.
    pub promotion: PromotionId,
    /// Its place in the promotion's list.
    pub place: usize,
}

/// A limit of each store or of the programme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Recorded {
    promotion: PromotionId,
    place: usize,
    by_store: bool,
}

impl Recorded {
    /// Those of the promotions that run.
    pub(super) fn all(rules: &RuleBook) -> Vec<Self> {
        let enabled = rules.promotions.iter().filter(|(_, one)| one.enabled);
        enabled
            .flat_map(|(promotion, rules)| {
                let limits = rules.limits.iter().enumerate();
                limits.filter_map(|(place, limit)| {
                    let by_store = match limit.scope {
                        LimitScope::Store => true,
                        LimitScope::Programme => false,
                        LimitScope::Receipt | LimitScope::Member => return None,
                    };
                    Some(Self {
                        promotion: *promotion,
                        place,
                        by_store,
                    })
                })
            })
            .collect()
    }

    /// The record that counts it in a store.
    pub(crate) fn in_store(self, store: StoreId) -> LimitRecord {
        LimitRecord {
            record: MemberId::of_limit(self.promotion, self.by_store.then_some(store)),
            promotion: self.promotion,
            place: self.place,
        }
    }
}

/// How much of a limit's period that runs on `today` is used up.
pub(super) fn used_up(used: &Used, limit: &Limit, today: Day) -> Result<u64, AmountError> {
    let of = |periods: Periods| {
        let (first, last) = periods.days(periods.number(today));
        used.between(first, last)
    };
    let usage = match limit.period {
        Period::Ever => used.ever,
        Period::Day => used.between(today, today)?,
        Period::Month => of(Periods::MONTHS)?,
        Period::Year => of(Periods::YEARS)?,
    };
    let amount = match limit.count {
        LimitCount::Uses => i64::from(usage.receipts),
        LimitCount::Money => usage.off.0,
        LimitCount::Points => usage.points.0,
    };
    Ok(u64::try_from(amount).unwrap_or(0))
}

/// How much of a limit is used up by its record: what is no longer there of a budget that stores draw on, or what was
/// counted.
pub(super) fn used_on_record(
    promotion: (PromotionId, &Promotion),
    limit: &Limit,
    record: &Member,
    today: Day,
) -> Result<u64, AmountError> {
    let (id, rules) = promotion;
    let drawn_on = draws_on_budget(rules) == Some(limit);
    if !drawn_on {
        let used = record.used.get(&id);
        return used.map_or(Ok(0), |used| used_up(used, limit, today));
    }
    let left = match record.accounts.get(&AccountId::BUDGET) {
        Some(budget) => budget.view(today)?.spendable.0,
        None => 0,
    };
    Ok(limit.most.saturating_sub(u64::try_from(left).unwrap_or(0)))
}
