//! Prices one case and tells what of it is not as expected.

use std::collections::BTreeMap;
use std::fmt::Debug;

use kopilka_crdt::calendar::Date;
use kopilka_crdt::ids::PromotionId;
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::Purchase;
use kopilka_rules::Programme;
use kopilka_rules::pricing::{PricingError, Quote, price};
use kopilka_rules::promotion::{Issued, Outcome};
use kopilka_rules::reversal::kept_back;

use crate::example::{Case, Expected, Lot, Refused, Returned, Taken};
use crate::given::{occasion, receipt, shopper, sold, taken_back, wishes};
use crate::laws::{Priced, broken, credited_by, taken_by};

/// What is not as it should be, in words.
#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    fn unless_same<T: PartialEq + Debug>(&mut self, what: &str, expected: &T, found: &T) {
        if expected != found {
            self.0
                .push(format!("{what}: expected {expected:?}, found {found:?}"));
        }
    }

    fn optional<T: PartialEq + Debug>(&mut self, what: &str, expected: Option<&T>, found: &T) {
        if let Some(expected) = expected {
            self.unless_same(what, expected, found);
        }
    }
}

/// Everything that `case` names and that comes out otherwise, and the laws that its receipt breaks.
pub fn differences(programme: &Programme, case: &Case) -> Vec<String> {
    let shopper = shopper(programme, case);
    let occasion = occasion(&case.occasion);
    let (receipt, wishes) = (receipt(&case.receipt), wishes(case));
    let mut found = Differences::default();
    let expected = &case.expect;
    found.optional("tier", expected.tier.as_ref(), &shopper.tier);
    let welcome = programme.welcome(occasion.today).into_iter();
    let welcome = welcome.map(|credit| (credit.account, credit.amount));
    found.optional("welcome", expected.welcome.as_ref(), &welcome.collect());
    match price(programme, &shopper, &occasion, &receipt, &wishes) {
        Ok(quote) => {
            found.unless_same("refused", &expected.refused, &None);
            prices(&mut found, expected, &quote);
            points(&mut found, expected, &quote);
            drawn(&mut found, expected, programme, &quote);
            handed_out(&mut found, expected, &quote);
            reasons(&mut found, expected, &quote);
            if let Some(returned) = &case.returned {
                let purchase = sold(programme, &quote, &receipt, &occasion);
                reversal(&mut found, programme, &purchase, returned);
            }
            found.0.extend(broken(Priced {
                programme,
                shopper: &shopper,
                occasion: &occasion,
                receipt: &receipt,
                wishes: &wishes,
                quote: &quote,
            }));
        }
        Err(PricingError::TooManyPoints { most }) => {
            let refused = Some(Refused::TooManyPoints(most));
            found.unless_same("refused", &expected.refused, &refused);
        }
        Err(PricingError::TooFewPoints { least }) => {
            let refused = Some(Refused::TooFewPoints(least));
            found.unless_same("refused", &expected.refused, &refused);
        }
        Err(error) => found.0.push(error.to_string()),
    }
    found.0
}

/// Sums of something over the lines of each article.
fn by_sku(quote: &Quote, of_line: impl Fn(usize) -> Minor) -> BTreeMap<&str, Minor> {
    let mut sums = BTreeMap::new();
    for (place, line) in quote.lines.iter().enumerate() {
        let sum: &mut Minor = sums.entry(line.sku.as_str()).or_default();
        *sum = sum.plus(of_line(place)).expect("small");
    }
    sums
}

fn skus(
    found: &mut Differences,
    what: &str,
    expected: &BTreeMap<String, Minor>,
    sums: &BTreeMap<&str, Minor>,
) {
    for (sku, amount) in expected {
        let sum = sums.get(sku.as_str()).copied();
        found.unless_same(&format!("{what} {sku}"), &Some(*amount), &sum);
    }
}

fn prices(found: &mut Differences, expected: &Expected, quote: &Quote) {
    found.optional("total", expected.total.as_ref(), &quote.total);
    let off = |place: usize| {
        let shares = quote.discounts.iter().map(|one| one.shares[place]);
        Minor::sum(shares).expect("small")
    };
    let all = Minor::sum((0..quote.lines.len()).map(off)).expect("small");
    found.optional("discount", expected.discount.as_ref(), &all);
    skus(found, "off", &expected.by_sku, &by_sku(quote, off));
    for (promotion, taken) in &expected.by_promotion {
        let what = format!("off by {promotion}:");
        match taken {
            Taken::Sum(sum) => found.unless_same(&what, sum, &taken_by(quote, *promotion)),
            Taken::BySku(amounts) => {
                let mut own = quote.discounts.iter();
                let own = own.find(|one| one.promotion == *promotion);
                let share = |place: usize| own.map_or(Minor::ZERO, |one| one.shares[place]);
                skus(found, &what, amounts, &by_sku(quote, share));
            }
        }
    }
}

fn points(found: &mut Differences, expected: &Expected, quote: &Quote) {
    for (account, amount) in &expected.points {
        let credits = quote.earned.iter().filter(|one| one.account == *account);
        let sum = Minor::sum(credits.map(|one| one.amount)).expect("small");
        found.unless_same(&format!("points on {account}"), amount, &sum);
    }
    for (promotion, amount) in &expected.points_by_promotion {
        let what = format!("points by {promotion}");
        found.unless_same(&what, amount, &credited_by(quote, *promotion));
    }
    let lots = quote.earned.iter().map(|credit| Lot {
        account: credit.account,
        amount: credit.amount,
        active_from: Date(credit.active_from),
        expires_on: credit.expires_on.map(Date),
    });
    found.optional("lots", expected.lots.as_ref(), &lots.collect());
    let rewards = quote.spent.iter().map(|one| one.amount);
    let spent = Minor::sum(rewards.chain([quote.redeemed])).expect("small");
    found.optional("points spent", expected.points_spent.as_ref(), &spent);
    found.optional(
        "redeemable",
        expected.redeemable.as_ref(),
        &quote.redeemable,
    );
    found.optional("redeemed", expected.redeemed.as_ref(), &quote.redeemed);
    let redeemed = by_sku(quote, |place| quote.lines[place].redeemed);
    skus(found, "redeemed on", &expected.redeemed_by_sku, &redeemed);
    found.optional("to pay", expected.to_pay.as_ref(), &quote.to_pay);
}

fn handed_out(found: &mut Differences, expected: &Expected, quote: &Quote) {
    let (mut goods, mut gifts, mut coupons) =
        <(BTreeMap<_, _>, BTreeMap<_, _>, BTreeMap<_, _>)>::default();
    let (mut badges, mut messages) = (Vec::new(), Vec::new());
    for (_, issued) in &quote.issued {
        match issued {
            Issued::Goods { sku, units } => *goods.entry(sku.clone()).or_default() += units,
            Issued::Gift { code, count } => *gifts.entry(code.clone()).or_default() += count,
            Issued::Coupon { series } => *coupons.entry(series.clone()).or_default() += 1,
            Issued::Badge { code } => badges.push(code.clone()),
            Issued::Message { to: _, text } => messages.push(text.clone()),
        }
    }
    found.optional("goods", expected.goods.as_ref(), &goods);
    found.optional("gifts", expected.gifts.as_ref(), &gifts);
    found.optional("coupons", expected.coupons.as_ref(), &coupons);
    found.optional("badges", expected.badges.as_ref(), &badges);
    found.optional("messages", expected.messages.as_ref(), &messages);
}

/// What other accounts pay, and what is used up.
fn drawn(found: &mut Differences, expected: &Expected, programme: &Programme, quote: &Quote) {
    for (account, amount) in &expected.payments {
        let mut paid = quote.payments.iter();
        let paid = paid.find(|one| one.account == *account);
        let paid = paid.map(|one| one.amount);
        found.unless_same(&format!("paid by {account}"), &Some(*amount), &paid);
    }
    let mut coupons: BTreeMap<_, u32> = BTreeMap::new();
    for used in &quote.coupons {
        *coupons.entry(used.series.clone()).or_default() += 1;
    }
    found.optional("coupons used", expected.coupons_used.as_ref(), &coupons);
    let draws = quote.draws(programme).into_iter();
    let draws = draws.map(|draw| (draw.promotion, draw.amount));
    found.optional("draws", expected.draws.as_ref(), &draws.collect());
}

fn outcome(quote: &Quote, promotion: PromotionId) -> Option<Outcome> {
    let mut explained = quote.explained.iter();
    let one = explained.find(|one| one.promotion == promotion)?;
    Some(one.outcome)
}

fn reasons(found: &mut Differences, expected: &Expected, quote: &Quote) {
    for (promotion, code) in &expected.why {
        let reason = match outcome(quote, *promotion) {
            Some(Outcome::Gave { .. }) => "gave",
            Some(Outcome::Nothing(why)) => why.code(),
            None => "not_asked_about",
        };
        found.unless_same(&format!("why {promotion}"), &code.as_str(), &reason);
    }
    for (promotion, text) in &expected.say {
        let said = match outcome(quote, *promotion) {
            Some(Outcome::Nothing(why)) => Some(why.text()),
            Some(Outcome::Gave { .. }) | None => None,
        };
        found.unless_same(&format!("say {promotion}"), &Some(text), &said.as_ref());
    }
}

fn reversal(
    found: &mut Differences,
    programme: &Programme,
    purchase: &Purchase,
    returned: &Returned,
) {
    match taken_back(programme, purchase, returned) {
        Ok(back) => {
            found.unless_same("refund", &returned.refund, &back.refund);
            let mut withdrawn = BTreeMap::new();
            for takes in &back.withdrawn {
                let sum: &mut Minor = withdrawn.entry(takes.account).or_default();
                let amounts = takes.takes.iter().map(|take| take.amount);
                *sum = Minor::sum(amounts.chain([*sum])).expect("small");
            }
            found.unless_same("withdrawn", &returned.withdrawn, &withdrawn);
            let takes = back.restored.iter().flat_map(|takes| &takes.takes);
            let restored = Minor::sum(takes.map(|take| take.amount)).expect("small");
            found.unless_same("restored", &returned.restored, &restored);
            let renewed = back.renewed.iter().map(|credit| credit.amount);
            let renewed = Minor::sum(renewed).expect("small");
            found.unless_same("renewed", &returned.renewed, &renewed);
            let kept = kept_back(&back).expect("small");
            found.unless_same("kept_back", &returned.kept_back, &kept);
        }
        Err(error) => found.0.push(error.to_string()),
    }
}
