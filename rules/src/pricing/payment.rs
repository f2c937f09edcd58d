//! What accounts pay of a receipt: the one that usually pays first, then the others in the rule book's order.

use std::collections::BTreeMap;

use kopilka_crdt::ids::AccountId;
use kopilka_crdt::money::{AmountError, Minor, split};
use kopilka_crdt::rulebook::model::RedemptionRules;

use super::receipt::PricingError;
use crate::programme::Programme;
use crate::promotion::{Cart, Shopper, Spent, picks};

/// How many points the member wants to spend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wish {
    /// None.
    #[default]
    Nothing,
    /// So many, or a refusal.
    Exactly(Minor),
    /// As many as the rules and the balance allow.
    Most,
}

/// What the member wants to spend from each account that pays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wishes {
    /// From the account that usually pays.
    pub points: Wish,
    /// From others; nothing from those that are not named.
    pub further: BTreeMap<AccountId, Wish>,
}

impl From<Wish> for Wishes {
    fn from(points: Wish) -> Self {
        Self {
            points,
            further: BTreeMap::new(),
        }
    }
}

/// What one account pays, or may pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// Which account.
    pub account: AccountId,
    /// Most that it may pay of the receipt, whatever the balance.
    pub redeemable: Minor,
    /// Most that it may pay with this member's balance today.
    pub redeemable_now: Minor,
    /// What it pays.
    pub amount: Minor,
    /// Its share of each line, in order; they add up to the amount.
    pub shares: Vec<Minor>,
}

/// The payments of all accounts that may pay; the one that usually pays comes first. `spent` is what rewards cost.
pub(super) fn payments(
    programme: &Programme,
    shopper: &Shopper,
    cart: &Cart<'_>,
    spent: &[Spent],
    wishes: &Wishes,
) -> Result<Vec<Payment>, PricingError> {
    let rules = programme.rules();
    let mut room = Vec::with_capacity(cart.lines.len());
    for line in &cart.lines {
        let pays = programme.group(&line.item.group).redeems;
        room.push(if pays {
            line.left.minus(line.floor)?.max(Minor::ZERO)
        } else {
            Minor::ZERO
        });
    }
    let whole = room.clone();
    let mut paid = Vec::with_capacity(1 + rules.payments.len());
    let accounts = std::iter::once((&rules.redemption, wishes.points));
    let further = rules.payments.iter().map(|further| {
        let wish = wishes.further.get(&further.account).copied();
        (further, wish.unwrap_or_default())
    });
    for (account, wish) in accounts.chain(further) {
        let goods = Payable::of(account, cart, &whole, &room);
        let payment = pay(account, shopper, &goods, spent, wish)?;
        for (room, share) in room.iter_mut().zip(&payment.shares) {
            *room = room.minus(*share)?;
        }
        paid.push(payment);
    }
    Ok(paid)
}

/// What an account may pay of each line.
struct Payable {
    /// Before any other account paid.
    whole: Vec<Minor>,
    /// Now.
    left: Vec<Minor>,
}

impl Payable {
    fn of(rules: &RedemptionRules, cart: &Cart<'_>, whole: &[Minor], room: &[Minor]) -> Self {
        let goods = rules.goods.as_ref();
        let of_picked = |amounts: &[Minor]| {
            let lines = cart.lines.iter().zip(amounts);
            let picked = |line| goods.is_none_or(|goods| picks(goods, line));
            lines
                .map(|(line, amount)| if picked(line) { *amount } else { Minor::ZERO })
                .collect()
        };
        Self {
            whole: of_picked(whole),
            left: of_picked(room),
        }
    }
}

fn pay(
    rules: &RedemptionRules,
    shopper: &Shopper,
    goods: &Payable,
    spent: &[Spent],
    wish: Wish,
) -> Result<Payment, PricingError> {
    let (redeemable, redeemable_now) = redeemable(rules, shopper, goods, spent)?;
    let amount = granted(wish, redeemable_now, rules.amount_min_minor)?;
    Ok(Payment {
        account: rules.account,
        redeemable,
        redeemable_now,
        amount,
        shares: split(amount, &goods.left)?,
    })
}

/// What an account may pay, whatever the balance; and what it may with this one, once rewards are paid for.
fn redeemable(
    rules: &RedemptionRules,
    shopper: &Shopper,
    goods: &Payable,
    spent: &[Spent],
) -> Result<(Minor, Minor), AmountError> {
    let share = Minor::sum(goods.whole.iter().copied())?
        .fraction(i64::from(rules.share_permille_max), 1_000)?;
    let left = Minor::sum(goods.left.iter().copied())?;
    let redeemable = share.min(left).floor_to(rules.step_minor);
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
