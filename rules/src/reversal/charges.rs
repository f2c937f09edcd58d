//! What was drawn on beside a purchase, and goes back once nothing of the purchase is left: bearers' coupons, budgets,
//! uses that records count.

use kopilka_crdt::ids::{AccountId, MemberId, PromotionId};
use kopilka_crdt::operation::{AccountTakes, Applied, Charge, Purchase};
use kopilka_crdt::rulebook::RuleBook;

/// What of a charge goes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargedBack {
    /// Into its lots.
    pub restored: Option<AccountTakes>,
    /// The use that limits no longer count.
    pub uncounted: Option<Applied>,
}

/// What of a charge that was signed with a purchase goes back with the last part of it; none when the rules keep it. What
/// the rules do not know any more goes back.
pub fn charge_back(rules: &RuleBook, purchase: &Purchase, charge: &Charge) -> Option<ChargedBack> {
    let restored = charge
        .taken
        .clone()
        .filter(|taken| comes_back(rules, purchase, charge.member, taken.account));
    let uncounted = charge
        .counted
        .filter(|applied| !counts_returned(rules, applied.promotion));
    (restored.is_some() || uncounted.is_some()).then_some(ChargedBack {
        restored,
        uncounted,
    })
}

fn comes_back(rules: &RuleBook, purchase: &Purchase, record: MemberId, account: AccountId) -> bool {
    if account == AccountId::BUDGET {
        let mut applied = purchase.promoted.iter().flat_map(|one| &one.applied);
        let own = |one: &&Applied| MemberId::of_limit(one.promotion, None) == record;
        return applied
            .find(own)
            .is_none_or(|one| !counts_returned(rules, one.promotion));
    }
    let mut series = rules.coupons.values();
    series
        .find(|series| series.account == account)
        .is_none_or(|series| series.comes_back)
}

fn counts_returned(rules: &RuleBook, promotion: PromotionId) -> bool {
    let rules = rules.promotions.get(&promotion);
    rules.is_some_and(|rules| rules.counts_returned)
}
