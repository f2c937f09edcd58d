//! What a receipt costs, what points may pay of it, and what it earns. Node and hub run this same function.
//!
//! In this order: promotions on lines, on the receipt and by coupon; rewards and redeemed points; earning by tier and by
//! promotion; what is handed out.

mod payment;
mod quote;
mod receipt;

use kopilka_crdt::clock::Day;
use kopilka_crdt::ids::AccountId;
use kopilka_crdt::member::Member;
use kopilka_crdt::money::{AmountError, Minor, split};
use kopilka_crdt::operation::{Applied, Credit, PurchaseLine};

use crate::programme::Programme;
use crate::promotion::{Cart, Credited, Earning, Occasion, Run, Shopper};
pub use payment::{Payment, Wish, Wishes};
pub use quote::{Draw, Quote};
pub use receipt::{ATTRIBUTES_MAX, LineProblem, PricingError, ReceiptLine};

/// Prices a receipt for a member on `today`, in the member's tier, in a store of which nothing else is known.
pub fn quote(
    programme: &Programme,
    member: &Member,
    receipt: &[ReceiptLine],
    wish: Wish,
    today: Day,
) -> Result<Quote, PricingError> {
    let shopper = Shopper::of(programme, member, today)?;
    price(
        programme,
        &shopper,
        &Occasion::at(today),
        receipt,
        &wish.into(),
    )
}

/// Prices a receipt for someone of whom all that matters is known.
pub fn price(
    programme: &Programme,
    shopper: &Shopper,
    occasion: &Occasion,
    receipt: &[ReceiptLine],
    wishes: &Wishes,
) -> Result<Quote, PricingError> {
    receipt::check(receipt)?;
    let cart = Cart::new(programme, receipt)?;
    let candidates = programme.promotions().candidates(&cart, shopper, occasion);
    let run = Run::new(programme.rules(), cart, shopper, occasion, candidates);
    finish(programme, run, receipt, wishes)
}

/// Prices a receipt again, with the promotions that a store says it gave. What they ask about the member, the hour and
/// the place is taken as the store says; what they ask about the goods and the day is asked again.
pub fn price_again(
    programme: &Programme,
    shopper: &Shopper,
    occasion: &Occasion,
    given: &[Applied],
    receipt: &[ReceiptLine],
    wishes: &Wishes,
) -> Result<Quote, PricingError> {
    receipt::check(receipt)?;
    let cart = Cart::new(programme, receipt)?;
    let numbers: Vec<_> = given.iter().map(|one| one.promotion).collect();
    let candidates = programme.promotions().in_order(&numbers);
    let run = Run::new(programme.rules(), cart, shopper, occasion, candidates).trusting(given);
    finish(programme, run, receipt, wishes)
}

fn finish<'a>(
    programme: &'a Programme,
    mut run: Run<'a>,
    receipt: &'a [ReceiptLine],
    wishes: &Wishes,
) -> Result<Quote, PricingError> {
    let (rules, shopper, occasion) = (programme.rules(), run.shopper, run.occasion);
    run.discounts()?;
    let total = run.cart.left()?;
    let rewards = run.rewards()?;
    let mut payments = payment::payments(programme, shopper, &run.cart, &rewards, wishes)?;
    let redeemed = paid_with_points(&payments, receipt.len())?;
    run.paid = payments
        .iter()
        .map(|payment| (payment.account, payment.amount))
        .collect();

    let earning = earning(programme, &run, &redeemed)?;
    run.earning(&earning)?;
    let earned = credits(programme, &earning, &run.credits, occasion.today)?;
    let main = payments.remove(0);
    Ok(Quote {
        lines: lines(receipt, &run, &redeemed, &earning)?,
        total,
        redeemable: main.redeemable,
        redeemable_now: main.redeemable_now,
        redeemed: main.amount,
        to_pay: total.minus(Minor::sum(redeemed)?)?,
        payments,
        earned,
        base: (rules.earning.account, earning.base),
        explained: run.explained(),
        discounts: run.cart.discounts,
        credits: run.credits,
        spent: run.spent,
        coupons: run.coupons,
        issued: run.issued,
    })
}

/// What all accounts pay of each line.
fn paid_with_points(payments: &[Payment], lines: usize) -> Result<Vec<Minor>, AmountError> {
    let mut sums = vec![Minor::ZERO; lines];
    for payment in payments {
        for (sum, share) in sums.iter_mut().zip(&payment.shares) {
            *sum = sum.plus(*share)?;
        }
    }
    Ok(sums)
}

/// What earning goes by, once everything is paid for.
fn earning(
    programme: &Programme,
    run: &Run<'_>,
    redeemed: &[Minor],
) -> Result<Earning, AmountError> {
    let rules = programme.rules();
    let untouched = redeemed.iter().all(|share| *share == Minor::ZERO);
    let earns = untouched || rules.earning.with_redemption;
    let mut paid = Vec::with_capacity(redeemed.len());
    for (line, share) in run.cart.lines.iter().zip(redeemed) {
        paid.push(if programme.group(&line.item.group).earns {
            line.left.minus(*share)?
        } else {
            Minor::ZERO
        });
    }
    let base = if earns {
        by_tier(programme, &run.shopper.tier, &paid)?
    } else {
        vec![Minor::ZERO; paid.len()]
    };
    let lines = run.cart.lines.iter();
    Ok(Earning {
        account: rules.earning.account,
        earns: lines
            .map(|line| earns && programme.group(&line.item.group).earns)
            .collect(),
        paid,
        base,
    })
}

/// What the tier gives, by line.
fn by_tier(programme: &Programme, tier: &str, paid: &[Minor]) -> Result<Vec<Minor>, AmountError> {
    let rules = programme.rules();
    let permille = rules
        .tiers
        .iter()
        .find(|one| one.code == tier)
        .map_or(0, |tier| tier.earn_permille);
    let base = Minor::sum(paid.iter().copied())?;
    let points = base
        .fraction(i64::from(permille), 1_000)?
        .floor_to(rules.earning.step_minor);
    split(points, paid)
}

/// One credit for each account: the tier's first, then those of promotions.
fn credits(
    programme: &Programme,
    earning: &Earning,
    promotions: &[Credited],
    today: Day,
) -> Result<Vec<Credit>, AmountError> {
    let mut sums: Vec<(AccountId, Minor)> =
        vec![(earning.account, Minor::sum(earning.base.iter().copied())?)];
    for credited in promotions {
        let sum = Minor::sum(credited.shares.iter().copied())?;
        match sums
            .iter_mut()
            .find(|(account, _)| *account == credited.account)
        {
            Some((_, all)) => *all = all.plus(sum)?,
            None => sums.push((credited.account, sum)),
        }
    }
    let worth = sums.into_iter().filter(|(_, sum)| *sum > Minor::ZERO);
    Ok(worth
        .map(|(account, sum)| programme.credit(account, sum, today))
        .collect())
}

/// The lines as they are sold, each with its shares of everything.
fn lines(
    receipt: &[ReceiptLine],
    run: &Run<'_>,
    redeemed: &[Minor],
    earning: &Earning,
) -> Result<Vec<PurchaseLine>, AmountError> {
    receipt
        .iter()
        .enumerate()
        .map(|(place, item)| {
            let line = &run.cart.lines[place];
            let extra = run.credits.iter().map(|credited| credited.shares[place]);
            Ok(PurchaseLine {
                sku: item.sku.clone(),
                group: item.group.clone(),
                quantity: item.quantity,
                unit_price: item.unit_price,
                discount: item.discount.plus(line.original.minus(line.left)?)?,
                redeemed: redeemed[place],
                earned: earning.base[place].plus(Minor::sum(extra)?)?,
            })
        })
        .collect()
}
