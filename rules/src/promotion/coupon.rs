//! Which of the coupons shown a promotion uses up.

use kopilka_crdt::ids::{AccountId, PromotionId};
use kopilka_crdt::money::AmountError;
use kopilka_crdt::rulebook::model::condition::Condition;

use super::condition::{Question, check};

/// One coupon that was used up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CouponUse {
    /// For which promotion.
    pub promotion: PromotionId,
    /// Code of its series.
    pub series: String,
    /// The account that counts coupons of the series.
    pub account: AccountId,
}

/// The series of the coupons that a condition which holds stands on, of those not used yet.
pub(super) fn stands_on(
    condition: &Condition,
    question: Question<'_>,
    unused: &mut Vec<String>,
) -> Result<Vec<String>, AmountError> {
    match condition {
        Condition::Coupons { of } => {
            let place = unused.iter().position(|series| of.contains(series));
            Ok(place
                .map(|place| unused.remove(place))
                .into_iter()
                .collect())
        }
        Condition::All { of } => {
            let mut found = Vec::new();
            for one in of {
                found.extend(stands_on(one, question, unused)?);
            }
            Ok(found)
        }
        Condition::Any { of } => {
            for one in of {
                if check(one, question)?.is_ok() {
                    return stands_on(one, question, unused);
                }
            }
            Ok(Vec::new())
        }
        Condition::Not { .. }
        | Condition::Dates { .. }
        | Condition::Yearly { .. }
        | Condition::Weekdays { .. }
        | Condition::Hours { .. }
        | Condition::Stores { .. }
        | Condition::StoreGroups { .. }
        | Condition::Partners { .. }
        | Condition::Channels { .. }
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
        | Condition::PromoCodes { .. } => Ok(Vec::new()),
    }
}
