//! What holds for any receipt under any promotions: the parts make up the whole, and the answer is always the same.

use std::collections::BTreeMap;

use kopilka_crdt::ids::PromotionId;
use kopilka_crdt::money::Minor;
use kopilka_rules::Programme;
use kopilka_rules::pricing::{Quote, ReceiptLine, Wishes, price};
use kopilka_rules::promotion::{Occasion, Outcome, Shopper};
use kopilka_rules::repricing::{agrees, reprice};

use crate::given::sold;

fn sum(amounts: impl IntoIterator<Item = Minor>) -> Minor {
    Minor::sum(amounts).expect("small amounts")
}

/// A receipt, and all that it was priced by.
#[derive(Clone, Copy)]
pub struct Priced<'a> {
    pub programme: &'a Programme,
    pub shopper: &'a Shopper,
    pub occasion: &'a Occasion,
    pub receipt: &'a [ReceiptLine],
    pub wishes: &'a Wishes,
    pub quote: &'a Quote,
}

/// The laws that are broken, in words.
pub fn broken(of: Priced<'_>) -> Vec<String> {
    let mut found = lines(of);
    found.extend(sums(of.quote));
    found.extend(again(of));
    found.extend(overspent(of));
    found.extend(crate::kept::broken(of));
    found
}

/// Rewards and redemption together cost no more than there is.
fn overspent(of: Priced<'_>) -> Option<String> {
    let Priced { shopper, quote, .. } = of;
    let main = of.programme.rules().redemption.account;
    let further = quote.payments.iter().map(|one| (one.account, one.amount));
    let rewards = quote.spent.iter().map(|one| (one.account, one.amount));
    let mut spent = BTreeMap::from([(main, quote.redeemed)]);
    for (account, amount) in further.chain(rewards) {
        let so_far: &mut Minor = spent.entry(account).or_default();
        *so_far = sum([*so_far, amount]);
    }
    spent.into_iter().find_map(|(account, spent)| {
        let balance = shopper.balances.get(&account).copied();
        let balance = balance.unwrap_or_default().max(Minor::ZERO);
        (spent > balance).then(|| format!("{spent:?} is spent of {balance:?} on {account}"))
    })
}

fn lines(of: Priced<'_>) -> Vec<String> {
    let Priced { receipt, quote, .. } = of;
    let mut found = Vec::new();
    let mut original_sum = Minor::ZERO;
    for (place, (item, sold)) in receipt.iter().zip(&quote.lines).enumerate() {
        let gross = item.quantity.price(item.unit_price).expect("small");
        let original = gross.minus(item.discount).expect("small");
        original_sum = original_sum.plus(original).expect("small");
        let left = sold.amount().expect("small");
        let off = sum(quote.discounts.iter().map(|one| one.shares[place]));
        if left < Minor::ZERO || left > original || sold.redeemed > left {
            found.push(format!("line {place}: {left:?} is left of {original:?}"));
        }
        if left.plus(off) != Ok(original) {
            found.push(format!("line {place}: {left:?} + {off:?} ≠ {original:?}"));
        }
    }
    let off = sum(quote.discounts.iter().flat_map(|one| one.shares.clone()));
    if quote.total.plus(off) != Ok(original_sum) || receipt.len() != quote.lines.len() {
        found.push(format!("{:?} + {off:?} ≠ {original_sum:?}", quote.total));
    }
    found
}

fn sums(quote: &Quote) -> Vec<String> {
    let mut found = Vec::new();
    let mut same = |what: &str, parts: Minor, whole: Minor| {
        if parts != whole {
            found.push(format!("{what}: {parts:?} in parts, {whole:?} in all"));
        }
    };
    let taken = sum(quote.lines.iter().map(|line| line.redeemed));
    same("redeemed", taken, quote.redeemed_sum());
    let paid = quote.to_pay.plus(quote.redeemed_sum()).expect("small");
    same("to pay", paid, quote.total);
    let earned = sum(quote.lines.iter().map(|line| line.earned));
    same("earned", earned, quote.earned_sum());
    for one in &quote.explained {
        let (off, points) = match one.outcome {
            Outcome::Gave { off, points } => (off, points),
            Outcome::Nothing(_) => (Minor::ZERO, Minor::ZERO),
        };
        same("off", taken_by(quote, one.promotion), off);
        same("points", credited_by(quote, one.promotion), points);
    }
    found
}

/// What a promotion took off.
pub fn taken_by(quote: &Quote, promotion: PromotionId) -> Minor {
    let of = quote
        .discounts
        .iter()
        .filter(|one| one.promotion == promotion);
    sum(of.flat_map(|one| one.shares.clone()))
}

/// The points that a promotion credited, over all accounts.
pub fn credited_by(quote: &Quote, promotion: PromotionId) -> Minor {
    let of = quote
        .credits
        .iter()
        .filter(|one| one.promotion == promotion);
    sum(of.flat_map(|one| one.shares.clone()))
}

/// The same question has the same answer; and whoever hears only what was sold comes to the same figures.
fn again(of: Priced<'_>) -> Vec<String> {
    let Priced {
        programme,
        shopper,
        occasion,
        receipt,
        wishes,
        quote,
    } = of;
    let mut found = Vec::new();
    if price(programme, shopper, occasion, receipt, wishes).as_ref() != Ok(quote) {
        found.push("priced twice, a receipt has two prices".to_owned());
    }
    let purchase = sold(programme, quote, receipt, occasion);
    match reprice(programme, &purchase, &shopper.tier, occasion.today) {
        Ok(told) => {
            if agrees(programme, &purchase, &told, occasion.today) != Ok(true) {
                found.push(format!(
                    "by what was sold the receipt costs {:?} and earns {:?}, not {:?} and {:?}",
                    told.total, told.earned, quote.total, quote.earned
                ));
            }
        }
        Err(error) => found.push(format!("by what was sold: {error}")),
    }
    found
}
