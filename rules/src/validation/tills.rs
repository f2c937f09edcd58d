//! Which promotions tills of this version would never apply.

use kopilka_crdt::rulebook::RuleBook;
use kopilka_crdt::rulebook::model::condition::{Condition, SalesChannel};

use super::{Found, Problem};

/// Promotions that are sound and that stores of this version would never apply.
pub(super) fn beyond_tills(rules: &RuleBook) -> Vec<Problem> {
    let mut found = Found::default();
    for (id, promotion) in &rules.promotions {
        if let Some(condition) = promotion.when.as_ref().filter(|_| promotion.enabled) {
            elsewhere(condition, &format!("/promotions/{}/when", id.0), &mut found);
        }
    }
    found.0
}

/// Conditions that ask for sales elsewhere than at a till.
fn elsewhere(condition: &Condition, path: &str, found: &mut Found) {
    match condition {
        Condition::All { of } | Condition::Any { of } => {
            for (place, one) in of.iter().enumerate() {
                elsewhere(one, &format!("{path}/of/{place}"), found);
            }
        }
        Condition::Channels { of } => found.unless(
            of.contains(&SalesChannel::Till),
            format!("{path}/of"),
            "stores of this version sell at tills only, so it never holds: name till too",
        ),
        // What does not hold elsewhere holds at a till.
        Condition::Not { .. }
        | Condition::Dates { .. }
        | Condition::Yearly { .. }
        | Condition::Weekdays { .. }
        | Condition::Hours { .. }
        | Condition::Stores { .. }
        | Condition::StoreGroups { .. }
        | Condition::Partners { .. }
        | Condition::Tiers { .. }
        | Condition::CardKinds { .. }
        | Condition::Tags { .. }
        | Condition::Birthday { .. }
        | Condition::MemberFor { .. }
        | Condition::LastPurchase { .. }
        | Condition::PurchaseNumber { .. }
        | Condition::Spent { .. }
        | Condition::Visits { .. }
        | Condition::Total { .. }
        | Condition::Goods { .. }
        | Condition::Tenders { .. }
        | Condition::PromoCodes { .. }
        | Condition::Coupons { .. } => {}
    }
}
