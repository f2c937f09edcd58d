//! What must hold of a promotion's limits: that they can be counted where the promotion runs.

use kopilka_crdt::rulebook::model::promotion::{LimitScope, OfflinePolicy, Period, Promotion};

use super::Found;

/// Largest limit: amounts are signed.
const MOST: u64 = i64::MAX.unsigned_abs();

pub(super) fn check(promotion: &Promotion, path: &str, found: &mut Found) {
    let rights = match promotion.offline {
        OfflinePolicy::Allowance | OfflinePolicy::Online => true,
        OfflinePolicy::Free | OfflinePolicy::AnyCardholder => false,
    };
    let mut budgets = 0;
    for (place, limit) in promotion.limits.iter().enumerate() {
        let path = format!("{path}/limits/{place}");
        found.unless(
            (1..=MOST).contains(&limit.most),
            format!("{path}/most"),
            "is at least 1, or the promotion never applies",
        );
        match limit.scope {
            LimitScope::Programme => {
                budgets += 1;
                found.unless(
                    !rights || limit.period == Period::Ever,
                    format!("{path}/period"),
                    "rights that stores hold to a budget do not end with a day, month or year: say ever, or let the promotion run offline freely",
                );
            }
            LimitScope::Store => found.unless(
                !rights,
                format!("{path}/scope"),
                "stores draw on a budget of the programme, and not of each store: say programme, or let the promotion run offline freely",
            ),
            LimitScope::Receipt | LimitScope::Member => {}
        }
    }
    found.unless(
        !rights || budgets <= 1,
        format!("{path}/limits"),
        "stores draw on one budget of the programme: name one limit of it",
    );
    found.unless(
        promotion.offline != OfflinePolicy::Allowance || budgets > 0,
        format!("{path}/offline"),
        "there is no budget of the programme that a store could hold rights to: name a limit of it, or another policy",
    );
}
