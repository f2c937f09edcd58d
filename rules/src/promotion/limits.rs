//! Which limits of a promotion are counted where.

use kopilka_crdt::operation::Counting;
use kopilka_crdt::rulebook::model::promotion::{Limit, LimitScope, OfflinePolicy, Promotion};

/// Whether limits of the member count a use of the promotion.
pub(crate) fn counting(promotion: &Promotion) -> Counting {
    let counted = |limit: &Limit| limit.scope == LimitScope::Member;
    if !promotion.limits.iter().any(counted) {
        Counting::Not
    } else if promotion.counts_returned {
        Counting::ForGood
    } else {
        Counting::UntilReturned
    }
}

/// The limit that is a budget with rights: stores give no more of it than they hold rights to, or get from the hub.
pub fn draws_on_budget(promotion: &Promotion) -> Option<&Limit> {
    match promotion.offline {
        OfflinePolicy::Allowance | OfflinePolicy::Online => {
            let mut limits = promotion.limits.iter();
            limits.find(|limit| limit.scope == LimitScope::Programme)
        }
        OfflinePolicy::Free | OfflinePolicy::AnyCardholder => None,
    }
}

/// The records that count a use without rights: `true` for the store's, `false` for the programme's.
pub(crate) fn counted_on_records(promotion: &Promotion) -> Vec<bool> {
    let budget = draws_on_budget(promotion).is_some();
    let mut records: Vec<_> = promotion
        .limits
        .iter()
        .filter_map(|limit| match limit.scope {
            LimitScope::Store => Some(true),
            LimitScope::Programme if !budget => Some(false),
            LimitScope::Programme | LimitScope::Receipt | LimitScope::Member => None,
        })
        .collect();
    records.sort_unstable();
    records.dedup();
    records
}
