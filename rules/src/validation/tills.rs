//! Which promotions tills of this version cannot run yet.

use kopilka_crdt::rulebook::RuleBook;
use kopilka_crdt::rulebook::model::condition::Condition;
use kopilka_crdt::rulebook::model::promotion::{Effect, LimitScope, OfflinePolicy};

use super::{Found, Problem};

/// Promotions that are sound and that tills of this version cannot run: they do not know what these ask, or cannot
/// count or hand out what these need.
pub(super) fn beyond_tills(rules: &RuleBook) -> Vec<Problem> {
    let mut found = Found::default();
    for (id, promotion) in &rules.promotions {
        if !promotion.enabled {
            continue;
        }
        let path = format!("/promotions/{}", id.0);
        if let Some(condition) = &promotion.when {
            unknown_to_tills(condition, &format!("{path}/when"), &mut found);
        }
        for (place, effect) in promotion.effects.iter().enumerate() {
            let handed_out = matches!(
                effect,
                Effect::Gift { .. } | Effect::IssueCoupon { .. } | Effect::Badge { .. }
            );
            let text = "tills of this version cannot hand this out";
            found.unless(!handed_out, format!("{path}/effects/{place}"), text);
        }
        let counted = promotion
            .limits
            .iter()
            .any(|limit| limit.scope != LimitScope::Receipt);
        let text = "tills of this version count limits on one receipt only";
        found.unless(!counted, format!("{path}/limits"), text);
        let rights = promotion.offline == OfflinePolicy::Allowance;
        let text = "stores of this version hold no rights to promotions; say online or free";
        found.unless(!rights, format!("{path}/offline"), text);
        let text = "tills of this version do not sell rewards for points";
        found.unless(promotion.price.is_none(), format!("{path}/price"), text);
    }
    found.0
}

fn unknown_to_tills(condition: &Condition, path: &str, found: &mut Found) {
    match condition {
        Condition::All { of } | Condition::Any { of } => {
            for (place, one) in of.iter().enumerate() {
                unknown_to_tills(one, &format!("{path}/of/{place}"), found);
            }
        }
        Condition::Not { of } => unknown_to_tills(of, &format!("{path}/of"), found),
        Condition::Tags { .. }
        | Condition::Birthday { .. }
        | Condition::Spent { .. }
        | Condition::Visits { .. }
        | Condition::Coupons { .. } => {
            found.unless(
                false,
                path,
                "tills of this version do not know what this asks",
            );
        }
        Condition::Dates { .. }
        | Condition::Yearly { .. }
        | Condition::Weekdays { .. }
        | Condition::Hours { .. }
        | Condition::Stores { .. }
        | Condition::StoreGroups { .. }
        | Condition::Partners { .. }
        | Condition::Channels { .. }
        | Condition::Tiers { .. }
        | Condition::CardKinds { .. }
        | Condition::MemberFor { .. }
        | Condition::LastPurchase { .. }
        | Condition::PurchaseNumber { .. }
        | Condition::Total { .. }
        | Condition::Goods { .. }
        | Condition::Tenders { .. }
        | Condition::PromoCodes { .. } => {}
    }
}
