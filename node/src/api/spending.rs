//! What a receipt takes from accounts beside the points that usually pay, and the coupons that it brings.

use std::collections::BTreeMap;

use kopilka_crdt::ids::{AccountId, PromotionId};
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::{AccountTakes, Credit, Promoted, Purpose};
use kopilka_crdt::rulebook::RuleBook;
use kopilka_rules::pricing::Quote;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::{Balance, PurchaseRecord};

use super::json::{TextJson, day_text, rung_text};

/// What an account may pay, and pays.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PaymentJson {
    /// The account.
    #[schema(example = "a2")]
    account: String,
    /// Its code.
    #[schema(example = "bonus")]
    code: String,
    /// Most that it may pay of the receipt, whatever the balance.
    redeemable: i64,
    /// Most that this member may redeem from it today.
    redeemable_now: i64,
    /// What it pays.
    redeemed: i64,
}

/// What an account paid.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PaidJson {
    /// The account.
    #[schema(example = "a2")]
    account: String,
    /// Its code.
    #[schema(example = "bonus")]
    code: String,
    /// What it paid.
    redeemed: i64,
    /// What that stood on: hub or allowance.
    #[schema(example = "allowance")]
    rung: &'static str,
}

/// A coupon that was used.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CouponUseJson {
    /// Its series.
    series: String,
    /// The promotion that it was used for; none for a bearer's once it is sold.
    #[schema(example = "x12")]
    promotion_id: Option<String>,
}

/// A reward.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RewardJson {
    /// The promotion that gives it.
    #[schema(example = "x12")]
    promotion_id: String,
    /// The account that it is paid from.
    #[schema(example = "a1")]
    account: String,
    /// What it costs, minor units.
    amount: i64,
}

/// Coupons of one series.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CouponsJson {
    /// The series.
    #[schema(example = "coffee")]
    series: String,
    /// Its name, as printed.
    name: TextJson,
    /// How many.
    count: i64,
    /// The first day of use, of those that are issued now.
    active_from: Option<String>,
    /// The next last day of use.
    #[schema(example = "2027-01-31")]
    expires_on: Option<String>,
}

fn code(rules: &RuleBook, account: AccountId) -> String {
    let rules = rules.accounts.get(&account);
    rules.map_or_else(String::new, |account| account.code.clone())
}

/// The series whose coupons an account counts.
fn series_of(rules: &RuleBook, account: AccountId) -> Option<&str> {
    let mut series = rules.coupons.iter();
    let found = series.find(|(_, series)| series.account == account);
    found.map(|(code, _)| code.as_str())
}

pub(super) fn quoted_payments(rules: &RuleBook, quote: &Quote) -> Vec<PaymentJson> {
    let payments = quote.payments.iter();
    payments
        .map(|payment| PaymentJson {
            account: payment.account.to_string(),
            code: code(rules, payment.account),
            redeemable: payment.redeemable.0,
            redeemable_now: payment.redeemable_now.0,
            redeemed: payment.amount.0,
        })
        .collect()
}

pub(super) fn quoted_coupons(quote: &Quote) -> Vec<CouponUseJson> {
    let coupons = quote.coupons.iter();
    coupons
        .map(|used| CouponUseJson {
            series: used.series.clone(),
            promotion_id: Some(used.promotion.to_string()),
        })
        .collect()
}

pub(super) fn quoted_rewards(quote: &Quote) -> Vec<RewardJson> {
    let spent = quote.spent.iter();
    spent
        .map(|spent| reward(spent.promotion, spent.account, spent.amount))
        .collect()
}

fn reward(promotion: PromotionId, account: AccountId, amount: Minor) -> RewardJson {
    RewardJson {
        promotion_id: promotion.to_string(),
        account: account.to_string(),
        amount: amount.0,
    }
}

fn sum(taken: &AccountTakes) -> Minor {
    let takes = taken.takes.iter();
    Minor(takes.fold(0, |sum, take| take.amount.0.saturating_add(sum)))
}

pub(super) fn paid(rules: &RuleBook, promoted: &Promoted) -> Vec<PaidJson> {
    let payments = promoted.spent.iter().filter_map(|one| match &one.purpose {
        Purpose::Payment { .. } => Some(PaidJson {
            account: one.taken.account.to_string(),
            code: code(rules, one.taken.account),
            redeemed: sum(&one.taken).0,
            rung: rung_text(one.authority.rung),
        }),
        Purpose::Promotion { .. } => None,
    });
    payments.collect()
}

/// What was spent on promotions: coupons of the member's own, or rewards.
fn for_promotions(promoted: &Promoted) -> impl Iterator<Item = (PromotionId, &AccountTakes)> {
    promoted.spent.iter().filter_map(|one| match &one.purpose {
        Purpose::Promotion { promotion, .. } => Some((*promotion, &one.taken)),
        Purpose::Payment { .. } => None,
    })
}

pub(super) fn rewarded(rules: &RuleBook, promoted: &Promoted) -> Vec<RewardJson> {
    let rewards =
        for_promotions(promoted).filter(|(_, taken)| series_of(rules, taken.account).is_none());
    rewards
        .map(|(promotion, taken)| reward(promotion, taken.account, sum(taken)))
        .collect()
}

pub(super) fn used_coupons(rules: &RuleBook, record: &PurchaseRecord) -> Vec<CouponUseJson> {
    let promoted = record.purchase.promoted.iter();
    let own = promoted
        .flat_map(for_promotions)
        .filter_map(|(promotion, taken)| {
            let series = series_of(rules, taken.account)?.to_owned();
            let promotion_id = Some(promotion.to_string());
            Some(CouponUseJson {
                series,
                promotion_id,
            })
        });
    let bearers = record.charges.iter().filter_map(|beside| {
        let taken = beside.charge.taken.as_ref()?;
        let series = series_of(rules, taken.account)?.to_owned();
        let promotion_id = None;
        Some(CouponUseJson {
            series,
            promotion_id,
        })
    });
    own.chain(bearers).collect()
}

pub(super) fn issued(rules: &RuleBook, credits: &[Credit]) -> Vec<CouponsJson> {
    let coupons = credits.iter().filter_map(|credit| {
        let series = series_of(rules, credit.account)?;
        Some(CouponsJson {
            series: series.to_owned(),
            name: name(rules, series),
            count: credit.amount.0,
            active_from: Some(day_text(credit.active_from)),
            expires_on: credit.expires_on.map(day_text),
        })
    });
    coupons.collect()
}

pub(super) fn available(rules: &RuleBook, coupons: &BTreeMap<String, Balance>) -> Vec<CouponsJson> {
    let coupons = coupons.iter();
    coupons
        .map(|(series, balance)| CouponsJson {
            series: series.clone(),
            name: name(rules, series),
            count: balance.view.spendable.0,
            active_from: None,
            expires_on: balance.next_expiry.map(|(day, _)| day_text(day)),
        })
        .collect()
}

fn name(rules: &RuleBook, series: &str) -> TextJson {
    let series = rules.coupons.get(series);
    series
        .map(|series| series.name.clone())
        .unwrap_or_default()
        .into()
}
