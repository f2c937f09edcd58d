//! What a receipt costs, what points may pay of it, and what it earns. Node and hub run this same function.
//!
//! In this order: promotions on lines, on the receipt and by coupon; rewards and redeemed points; earning by tier and by
//! promotion; what is handed out.

use std::collections::BTreeMap;

use kopilka_crdt::clock::Day;
use kopilka_crdt::ids::{AccountId, PromotionId};
use kopilka_crdt::member::Member;
use kopilka_crdt::money::{AmountError, Milli, Minor, split};
use kopilka_crdt::operation::{
    Applied, CODE_BYTES_MAX, Counting, Credit, Promoted, PurchaseLine, RECEIPT_LINES_MAX,
};

use crate::programme::Programme;
use crate::promotion::{
    Cart, Credited, Discount, Earning, Explained, Issued, Occasion, Outcome, Run, Shopper, Spent,
};

/// Most attributes of one line.
pub const ATTRIBUTES_MAX: usize = 16;

/// A line as the till rings it up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptLine {
    /// The article.
    pub sku: String,
    /// Its product group; empty: none.
    pub group: String,
    /// How much of it; positive.
    pub quantity: Milli,
    /// Price of one unit, not negative.
    pub unit_price: Minor,
    /// What the till itself took off the line.
    pub discount: Minor,
    /// What else is known of the goods, such as `brand`.
    pub attributes: BTreeMap<String, String>,
}

/// How many points the member wants to spend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// None.
    Nothing,
    /// So many, or a refusal.
    Exactly(Minor),
    /// As many as the rules and the balance allow.
    Most,
}

/// Why a receipt cannot be priced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PricingError {
    /// No lines, or too many.
    #[error("a receipt has 1 to 1000 lines")]
    Lines,
    /// A line makes no sense.
    #[error("line {line}: {problem}")]
    Line {
        /// 0-based index.
        line: usize,
        /// What is wrong with it.
        problem: LineProblem,
    },
    /// More points asked for than the rules allow on this receipt, or than the member has.
    #[error("at most {most:?} points may be redeemed on this receipt")]
    TooManyPoints {
        /// What may be redeemed.
        most: Minor,
    },
    /// Fewer points asked for than the rules allow at once.
    #[error("at least {least:?} points are redeemed at once")]
    TooFewPoints {
        /// What must be redeemed at least.
        least: Minor,
    },
    /// A sum left 64 bits.
    #[error(transparent)]
    Amount(#[from] AmountError),
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LineProblem {
    /// Nothing is sold.
    #[error("the quantity must be more than 0")]
    Quantity,
    /// Negative.
    #[error("the price must not be negative")]
    Price,
    /// Negative, or more than the line costs.
    #[error("the discount must lie between 0 and the line's amount")]
    Discount,
    /// SKU empty or too long, or group too long.
    #[error(
        "the SKU has 1 to 64 bytes, the group at most 64, and there are at most 16 attributes of as many"
    )]
    Code,
}

/// A priced receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// The lines with their shares.
    pub lines: Vec<PurchaseLine>,
    /// Before points.
    pub total: Minor,
    /// Most that points may pay of it, whatever the balance.
    pub redeemable: Minor,
    /// Most that this member may redeem on it today.
    pub redeemable_now: Minor,
    /// Points redeemed.
    pub redeemed: Minor,
    /// Left to pay.
    pub to_pay: Minor,
    /// Points earned, one credit an account.
    pub earned: Vec<Credit>,
    /// What promotions took off, in the order in which they did.
    pub discounts: Vec<Discount>,
    /// Points that promotions credit; they are part of `earned`.
    pub credits: Vec<Credited>,
    /// Points that rewards cost, beside those redeemed.
    pub spent: Vec<Spent>,
    /// What promotions hand out.
    pub issued: Vec<(PromotionId, Issued)>,
    /// What became of each promotion that was asked.
    pub explained: Vec<Explained>,
}

impl Quote {
    /// The promotions that gave something, in order of their numbers.
    pub fn promotions(&self) -> Vec<PromotionId> {
        let gave = |one: &&Explained| matches!(one.outcome, Outcome::Gave { .. });
        let gave = self.explained.iter().filter(gave);
        gave.map(|one| one.promotion).collect()
    }

    /// What a purchase keeps of promotions, so that it can be priced again.
    pub fn promoted(&self, receipt: &[ReceiptLine]) -> Option<Promoted> {
        let applied: Vec<_> = self.explained.iter().filter_map(applied).collect();
        if applied.is_empty() {
            return None;
        }
        let known = (0..)
            .zip(receipt)
            .filter(|(_, line)| !line.attributes.is_empty());
        let attributes = known.map(|(index, line)| (index, line.attributes.clone()));
        let own = (0..)
            .zip(receipt)
            .map(|(index, line)| (index, line.discount));
        Some(Promoted {
            applied,
            attributes: attributes.collect(),
            till_discounts: own.filter(|(_, off)| *off > Minor::ZERO).collect(),
            ..Promoted::default()
        })
    }

    /// Points earned over all accounts.
    pub fn earned_sum(&self) -> Minor {
        Minor(self.earned.iter().map(|credit| credit.amount.0).sum())
    }
}

fn applied(one: &Explained) -> Option<Applied> {
    match one.outcome {
        Outcome::Gave { off, points } => Some(Applied {
            promotion: one.promotion,
            off,
            points,
            counting: Counting::Not,
        }),
        Outcome::Nothing(_) => None,
    }
}

/// Prices a receipt for a member on `today`, in the member's tier, in a store of which nothing else is known.
pub fn quote(
    programme: &Programme,
    member: &Member,
    receipt: &[ReceiptLine],
    wish: Wish,
    today: Day,
) -> Result<Quote, PricingError> {
    let shopper = Shopper::of(programme, member, today)?;
    price(programme, &shopper, &Occasion::at(today), receipt, wish)
}

/// Prices a receipt for someone of whom all that matters is known.
pub fn price(
    programme: &Programme,
    shopper: &Shopper,
    occasion: &Occasion,
    receipt: &[ReceiptLine],
    wish: Wish,
) -> Result<Quote, PricingError> {
    check(receipt)?;
    let cart = Cart::new(programme, receipt)?;
    let candidates = programme.promotions().candidates(&cart, shopper, occasion);
    let run = Run::new(programme.rules(), cart, shopper, occasion, candidates);
    finish(programme, run, receipt, wish)
}

/// Prices a receipt again, with the promotions that a store says it gave. What they ask about the member, the hour and
/// the place is taken as the store says; what they ask about the goods and the day is asked again.
pub fn price_again(
    programme: &Programme,
    shopper: &Shopper,
    occasion: &Occasion,
    given: &[PromotionId],
    receipt: &[ReceiptLine],
    wish: Wish,
) -> Result<Quote, PricingError> {
    check(receipt)?;
    let cart = Cart::new(programme, receipt)?;
    let candidates = programme.promotions().in_order(given);
    let run = Run::new(programme.rules(), cart, shopper, occasion, candidates).trusting();
    finish(programme, run, receipt, wish)
}

fn finish<'a>(
    programme: &'a Programme,
    mut run: Run<'a>,
    receipt: &'a [ReceiptLine],
    wish: Wish,
) -> Result<Quote, PricingError> {
    let (rules, shopper, occasion) = (programme.rules(), run.shopper, run.occasion);
    run.discounts()?;

    let left: Vec<Minor> = run.cart.lines.iter().map(|line| line.left).collect();
    let total = Minor::sum(left.iter().copied())?;
    let only = |allowed: &dyn Fn(&ReceiptLine) -> bool, amounts: &[Minor]| -> Vec<Minor> {
        let pairs = receipt.iter().zip(amounts);
        pairs
            .map(|(line, amount)| if allowed(line) { *amount } else { Minor::ZERO })
            .collect()
    };
    let payable = only(&|line| programme.group(&line.group).redeems, &left);
    let (redeemable, redeemable_now) = redeemable(programme, shopper, &run.rewards()?, &payable)?;
    let redeemed = granted(wish, redeemable_now, rules.redemption.amount_min_minor)?;
    run.redeemed = redeemed;
    let redeemed_shares = split(redeemed, &payable)?;
    let mut paid = Vec::with_capacity(left.len());
    for (left, share) in left.iter().zip(&redeemed_shares) {
        paid.push(left.minus(*share)?);
    }
    let paid = only(&|line| programme.group(&line.group).earns, &paid);

    let earns = redeemed == Minor::ZERO || rules.earning.with_redemption;
    let base = if earns {
        by_tier(programme, &shopper.tier, &paid)?
    } else {
        vec![Minor::ZERO; paid.len()]
    };
    let earning = Earning {
        account: rules.earning.account,
        earns: receipt
            .iter()
            .map(|line| earns && programme.group(&line.group).earns)
            .collect(),
        paid,
        base,
    };
    run.earning(&earning)?;
    let earned = credits(programme, &earning, &run.credits, occasion.today)?;
    Ok(Quote {
        lines: lines(receipt, &run, &redeemed_shares, &earning)?,
        total,
        redeemable,
        redeemable_now,
        redeemed,
        to_pay: total.minus(redeemed)?,
        earned,
        explained: run.explained(),
        discounts: run.cart.discounts,
        credits: run.credits,
        spent: run.spent,
        issued: run.issued,
    })
}

/// What points may pay, whatever the balance; and what they may with this one, once rewards are paid for.
fn redeemable(
    programme: &Programme,
    shopper: &Shopper,
    spent: &[Spent],
    payable: &[Minor],
) -> Result<(Minor, Minor), AmountError> {
    let rules = &programme.rules().redemption;
    let share = Minor::sum(payable.iter().copied())?
        .fraction(i64::from(rules.share_permille_max), 1_000)?;
    let redeemable = share.floor_to(rules.step_minor);
    let balance = shopper
        .balances
        .get(&rules.account)
        .copied()
        .unwrap_or_default();
    let rewards = spent.iter().filter(|spent| spent.account == rules.account);
    let free = balance
        .minus(Minor::sum(rewards.map(|spent| spent.amount))?)?
        .max(Minor::ZERO);
    let now = redeemable.min(free).floor_to(rules.step_minor);
    let enough = now >= rules.amount_min_minor;
    Ok((redeemable, if enough { now } else { Minor::ZERO }))
}

fn granted(wish: Wish, most: Minor, least: Minor) -> Result<Minor, PricingError> {
    match wish {
        Wish::Nothing | Wish::Exactly(Minor::ZERO) => Ok(Minor::ZERO),
        Wish::Most => Ok(most),
        Wish::Exactly(amount) if amount < least.max(Minor(1)) => Err(PricingError::TooFewPoints {
            least: least.max(Minor(1)),
        }),
        Wish::Exactly(amount) if amount > most => Err(PricingError::TooManyPoints { most }),
        Wish::Exactly(amount) => Ok(amount),
    }
}

fn check(receipt: &[ReceiptLine]) -> Result<(), PricingError> {
    if receipt.is_empty() || receipt.len() > RECEIPT_LINES_MAX {
        return Err(PricingError::Lines);
    }
    for (line, item) in receipt.iter().enumerate() {
        if let Some(problem) = problem_of(item)? {
            return Err(PricingError::Line { line, problem });
        }
    }
    Ok(())
}

fn problem_of(line: &ReceiptLine) -> Result<Option<LineProblem>, AmountError> {
    let fits = |text: &str| text.len() <= CODE_BYTES_MAX;
    let attributes = line.attributes.len() <= ATTRIBUTES_MAX
        && line
            .attributes
            .iter()
            .all(|(name, value)| fits(name) && fits(value));
    let code = !line.sku.is_empty() && fits(&line.sku) && fits(&line.group) && attributes;
    Ok(if line.quantity == Milli(0) {
        Some(LineProblem::Quantity)
    } else if line.unit_price < Minor::ZERO {
        Some(LineProblem::Price)
    } else if line.discount < Minor::ZERO || line.discount > line.quantity.price(line.unit_price)? {
        Some(LineProblem::Discount)
    } else if !code {
        Some(LineProblem::Code)
    } else {
        None
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
