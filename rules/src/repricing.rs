//! A purchase priced again under the publication that it names, and whether the two agree.

use std::collections::BTreeMap;

use kopilka_crdt::clock::Day;
use kopilka_crdt::ids::AccountId;
use kopilka_crdt::money::{AmountError, Minor};
use kopilka_crdt::operation::{AccountTakes, Promoted, Purchase, PurchaseLine, Purpose};

use crate::pricing::{PricingError, Quote, ReceiptLine, Wish, Wishes, price_again};
use crate::programme::Programme;
use crate::promotion::{Occasion, Rewards, Shopper};

/// Prices a purchase again for a member of a tier on a day, with what the store says that it gave.
pub fn reprice(
    programme: &Programme,
    purchase: &Purchase,
    tier: &str,
    day: Day,
) -> Result<Quote, PricingError> {
    let wishes = wishes(purchase);
    let (balances, rewards) = spent(programme, purchase)?;
    let shopper = Shopper {
        tier: tier.to_owned(),
        balances,
        ..Shopper::default()
    };
    let occasion = Occasion {
        rewards,
        ..Occasion::at(day)
    };
    let promoted = purchase.promoted.as_ref();
    let given = promoted.map_or(&[][..], |promoted| &promoted.applied);
    price_again(
        programme,
        &shopper,
        &occasion,
        given,
        &rung_up(purchase),
        &wishes,
    )
}

/// Whether a store sold what the rules give: every figure the same, and no more handed out.
pub fn agrees(
    programme: &Programme,
    purchase: &Purchase,
    quote: &Quote,
    day: Day,
) -> Result<bool, AmountError> {
    let plain = quote.lines == purchase.lines
        && quote.earned == purchase.earned
        && quote.to_pay == purchase.counted;
    let Some(sold) = &purchase.promoted else {
        return Ok(plain);
    };
    let occasion = Occasion::at(day);
    let given = quote.promoted(programme, &rung_up(purchase), &occasion)?;
    let given = given.unwrap_or_default();
    // A member may hold all coupons of a series that one may: the store knows.
    let issued = sold.issued.iter().all(|credit| {
        let same = |one: &&kopilka_crdt::operation::Credit| {
            (one.account, one.active_from, one.expires_on)
                == (credit.account, credit.active_from, credit.expires_on)
        };
        let most = given.issued.iter().find(same);
        most.is_some_and(|most| credit.amount <= most.amount)
    });
    let mut rewards_cost: BTreeMap<AccountId, Minor> = BTreeMap::new();
    for spent in &quote.spent {
        let sum = rewards_cost.entry(spent.account).or_default();
        *sum = sum.plus(spent.amount)?;
    }
    Ok(plain
        && issued
        && given.applied == sold.applied
        && given.earned_shares == sold.earned_shares
        && given.gifts == sold.gifts
        && given.badges == sold.badges
        && rewards_cost == rewards_paid(programme, sold)?)
}

fn sum(taken: &AccountTakes) -> Minor {
    let takes = taken.takes.iter();
    Minor(takes.fold(0, |sum, take| sum.saturating_add(take.amount.0)))
}

fn exactly(amount: Minor) -> Wish {
    if amount == Minor::ZERO {
        Wish::Nothing
    } else {
        Wish::Exactly(amount)
    }
}

fn wishes(purchase: &Purchase) -> Wishes {
    let mut wishes = Wishes::from(exactly(purchase.redeemed.as_ref().map_or(Minor::ZERO, sum)));
    let spent = purchase
        .promoted
        .iter()
        .flat_map(|promoted| &promoted.spent);
    for spending in spent {
        match spending.purpose {
            Purpose::Payment { .. } => {
                let wish = exactly(sum(&spending.taken));
                wishes.further.insert(spending.taken.account, wish);
            }
            Purpose::Promotion { .. } => {}
        }
    }
    wishes
}

/// Balances that cover just what was spent, and the rewards that were bought with it.
pub(crate) fn spent(
    programme: &Programme,
    purchase: &Purchase,
) -> Result<(BTreeMap<AccountId, Minor>, Rewards), AmountError> {
    let mut balances: BTreeMap<AccountId, Minor> = BTreeMap::new();
    let mut rewards = Rewards::new();
    let mut add = |taken: &AccountTakes| -> Result<(), AmountError> {
        let balance = balances.entry(taken.account).or_default();
        *balance = balance.plus(sum(taken))?;
        Ok(())
    };
    purchase.redeemed.iter().try_for_each(&mut add)?;
    for spending in purchase
        .promoted
        .iter()
        .flat_map(|promoted| &promoted.spent)
    {
        add(&spending.taken)?;
        let Purpose::Promotion { promotion, .. } = spending.purpose else {
            continue;
        };
        let rules = programme.rules().promotions.get(&promotion);
        if let Some(price) = rules.and_then(|rules| rules.price)
            && !counts_coupons(programme, spending.taken.account)
            && price.minor > Minor::ZERO
        {
            let times = u32::try_from(sum(&spending.taken).0 / price.minor.0).unwrap_or(0);
            rewards.insert(promotion, Some(times));
        }
    }
    Ok((balances, rewards))
}

fn counts_coupons(programme: &Programme, account: AccountId) -> bool {
    let mut series = programme.rules().coupons.values();
    series.any(|series| series.account == account)
}

/// What rewards cost the member, by account; coupons are none.
fn rewards_paid(
    programme: &Programme,
    sold: &Promoted,
) -> Result<BTreeMap<AccountId, Minor>, AmountError> {
    let mut paid: BTreeMap<AccountId, Minor> = BTreeMap::new();
    for spending in &sold.spent {
        let reward = match spending.purpose {
            Purpose::Payment { .. } => false,
            Purpose::Promotion { .. } => !counts_coupons(programme, spending.taken.account),
        };
        if reward {
            let sums = paid.entry(spending.taken.account).or_default();
            *sums = sums.plus(sum(&spending.taken))?;
        }
    }
    Ok(paid)
}

/// The lines as the till rang them up, before any promotion.
pub fn rung_up(purchase: &Purchase) -> Vec<ReceiptLine> {
    let lines = (0..).zip(&purchase.lines);
    let known = |index: u16, line: &PurchaseLine| match &purchase.promoted {
        Some(promoted) => ReceiptLine {
            sku: line.sku.clone(),
            group: line.group.clone(),
            quantity: line.quantity,
            unit_price: line.unit_price,
            discount: promoted
                .till_discounts
                .get(&index)
                .copied()
                .unwrap_or_default(),
            price_min: promoted.price_floors.get(&index).copied(),
            attributes: promoted.attributes.get(&index).cloned().unwrap_or_default(),
        },
        None => ReceiptLine {
            sku: line.sku.clone(),
            group: line.group.clone(),
            quantity: line.quantity,
            unit_price: line.unit_price,
            discount: line.discount,
            price_min: None,
            attributes: BTreeMap::new(),
        },
    };
    lines.map(|(index, line)| known(index, line)).collect()
}
