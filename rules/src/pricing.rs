//! What a receipt costs, what points may pay of it, and what it earns. Node and hub run this same function.

use kopilka_crdt::clock::Day;
use kopilka_crdt::member::Member;
use kopilka_crdt::money::{AmountError, Milli, Minor, split};
use kopilka_crdt::operation::{CODE_BYTES_MAX, Credit, PurchaseLine, RECEIPT_LINES_MAX};
use kopilka_crdt::rulebook::model::TierRules;

use crate::programme::Programme;

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
    #[error("the SKU has 1 to 64 bytes and the group at most 64")]
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
    /// Points earned.
    pub earned: Vec<Credit>,
}

impl Quote {
    /// Points earned over all accounts.
    pub fn earned_sum(&self) -> Minor {
        Minor(self.earned.iter().map(|credit| credit.amount.0).sum())
    }
}

/// Prices a receipt for a member on `today`, in the member's tier.
pub fn quote(
    programme: &Programme,
    member: &Member,
    receipt: &[ReceiptLine],
    wish: Wish,
    today: Day,
) -> Result<Quote, PricingError> {
    let account = programme.rules().redemption.account;
    let spendable = match member.accounts.get(&account) {
        Some(account) => account.view(today)?.spendable,
        None => Minor::ZERO,
    };
    price(
        programme,
        programme.tier(member.counted),
        spendable,
        receipt,
        wish,
        today,
    )
}

/// Prices a receipt in a given tier for someone who can spend `spendable`.
pub fn price(
    programme: &Programme,
    tier: &TierRules,
    spendable: Minor,
    receipt: &[ReceiptLine],
    wish: Wish,
    today: Day,
) -> Result<Quote, PricingError> {
    let mut lines = check(receipt)?;
    let amounts = lines
        .iter()
        .map(PurchaseLine::amount)
        .collect::<Result<Vec<_>, _>>()?;
    let total = Minor::sum(amounts.iter().copied())?;
    let weigh = |allowed: fn(&Programme, &PurchaseLine) -> bool| -> Vec<Minor> {
        let pairs = lines.iter().zip(&amounts);
        pairs
            .map(|(line, amount)| {
                if allowed(programme, line) {
                    *amount
                } else {
                    Minor::ZERO
                }
            })
            .collect()
    };
    let payable = weigh(|programme, line| programme.group(&line.group).redeems);
    let earning = weigh(|programme, line| programme.group(&line.group).earns);

    let rules = &programme.rules().redemption;
    let share = Minor::sum(payable.iter().copied())?
        .fraction(i64::from(rules.share_permille_max), 1_000)?;
    let redeemable = share.floor_to(rules.step_minor);
    let mut redeemable_now = redeemable.min(spendable).floor_to(rules.step_minor);
    if redeemable_now < rules.amount_min_minor {
        redeemable_now = Minor::ZERO;
    }
    let redeemed = granted(wish, redeemable_now, rules.amount_min_minor)?;
    for (line, part) in lines.iter_mut().zip(split(redeemed, &payable)?) {
        line.redeemed = part;
    }

    let earned = earn(programme, tier, &mut lines, &earning, redeemed, today)?;
    let to_pay = total.minus(redeemed)?;
    Ok(Quote {
        lines,
        total,
        redeemable,
        redeemable_now,
        redeemed,
        to_pay,
        earned,
    })
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

fn check(receipt: &[ReceiptLine]) -> Result<Vec<PurchaseLine>, PricingError> {
    if receipt.is_empty() || receipt.len() > RECEIPT_LINES_MAX {
        return Err(PricingError::Lines);
    }
    let problem_of = |line: &ReceiptLine| -> Result<Option<LineProblem>, AmountError> {
        let code =
            (1..=CODE_BYTES_MAX).contains(&line.sku.len()) && line.group.len() <= CODE_BYTES_MAX;
        Ok(if line.quantity == Milli(0) {
            Some(LineProblem::Quantity)
        } else if line.unit_price < Minor::ZERO {
            Some(LineProblem::Price)
        } else if line.discount < Minor::ZERO
            || line.discount > line.quantity.price(line.unit_price)?
        {
            Some(LineProblem::Discount)
        } else if !code {
            Some(LineProblem::Code)
        } else {
            None
        })
    };
    let mut lines = Vec::with_capacity(receipt.len());
    for (index, line) in receipt.iter().enumerate() {
        if let Some(problem) = problem_of(line)? {
            return Err(PricingError::Line {
                line: index,
                problem,
            });
        }
        lines.push(PurchaseLine {
            sku: line.sku.clone(),
            group: line.group.clone(),
            quantity: line.quantity,
            unit_price: line.unit_price,
            discount: line.discount,
            redeemed: Minor::ZERO,
            earned: Minor::ZERO,
        });
    }
    Ok(lines)
}

fn earn(
    programme: &Programme,
    tier: &TierRules,
    lines: &mut [PurchaseLine],
    earning: &[Minor],
    redeemed: Minor,
    today: Day,
) -> Result<Vec<Credit>, AmountError> {
    let rules = &programme.rules().earning;
    if redeemed > Minor::ZERO && !rules.with_redemption {
        return Ok(Vec::new());
    }
    let mut paid = Vec::with_capacity(lines.len());
    for (line, amount) in lines.iter().zip(earning) {
        paid.push(if *amount == Minor::ZERO {
            Minor::ZERO
        } else {
            amount.minus(line.redeemed)?
        });
    }
    let base = Minor::sum(paid.iter().copied())?;
    let points = base
        .fraction(i64::from(tier.earn_permille), 1_000)?
        .floor_to(rules.step_minor);
    if points == Minor::ZERO {
        return Ok(Vec::new());
    }
    for (line, part) in lines.iter_mut().zip(split(points, &paid)?) {
        line.earned = part;
    }
    Ok(vec![programme.credit(rules.account, points, today)])
}
