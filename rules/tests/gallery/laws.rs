//! What holds for any receipt under any promotions: the parts make up the whole, and the answer is always the same.

use kopilka_crdt::ids::PromotionId;
use kopilka_crdt::money::Minor;
use kopilka_rules::Programme;
use kopilka_rules::pricing::{Quote, ReceiptLine, Wish, price, price_again};
use kopilka_rules::promotion::{Occasion, Outcome, Shopper};

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
    pub wish: Wish,
    pub quote: &'a Quote,
}

/// The laws that are broken, in words.
pub fn broken(of: Priced<'_>) -> Vec<String> {
    let mut found = lines(of);
    found.extend(sums(of.quote));
    found.extend(again(of));
    found.extend(overspent(of));
    found
}

/// Rewards and redemption together cost no more than there is.
fn overspent(of: Priced<'_>) -> Option<String> {
    let Priced { shopper, quote, .. } = of;
    let account = of.programme.rules().redemption.account;
    let rewards = quote.spent.iter().filter(|one| one.account == account);
    let spent = sum(rewards.map(|one| one.amount).chain([quote.redeemed]));
    let balance = shopper.balances.get(&account).copied();
    let balance = balance.unwrap_or_default().max(Minor::ZERO);
    (spent > balance).then(|| format!("{spent:?} points are spent of {balance:?}"))
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
    same("redeemed", taken, quote.redeemed);
    let paid = quote.to_pay.plus(quote.redeemed).expect("small");
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

/// The same question has the same answer; and whoever hears only which promotions applied, and how many points were
/// redeemed, comes to the same figures.
fn again(of: Priced<'_>) -> Vec<String> {
    let Priced {
        programme,
        shopper,
        occasion,
        receipt,
        wish,
        quote,
    } = of;
    let mut found = Vec::new();
    if price(programme, shopper, occasion, receipt, &wish.into()).as_ref() != Ok(quote) {
        found.push("priced twice, a receipt has two prices".to_owned());
    }
    if quote.spent.is_empty() {
        let given = quote.applied(programme);
        let wish = Wish::Exactly(quote.redeemed);
        match price_again(programme, shopper, occasion, &given, receipt, &wish.into()) {
            Ok(told) if told.lines == quote.lines && told.earned == quote.earned => {}
            Ok(told) => found.push(format!(
                "by its promotions {given:?} the receipt costs {:?} and earns {:?}, not {:?} and {:?}",
                told.total, told.earned, quote.total, quote.earned
            )),
            Err(error) => found.push(format!("by its promotions: {error}")),
        }
    }
    found
}
