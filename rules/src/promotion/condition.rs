//! Whether a promotion's conditions hold; if not, the first that fails and by how much.

use kopilka_crdt::money::{AmountError, Milli, Minor};
use kopilka_crdt::rulebook::model::Filter;
use kopilka_crdt::rulebook::model::condition::{Condition, Measure};

use super::audience;
use super::cart::Cart;
use super::explanation::Why;
use super::facts::{Occasion, Shopper};

/// All that conditions may ask about.
#[derive(Clone, Copy)]
pub(super) struct Question<'a> {
    pub cart: &'a Cart<'a>,
    pub shopper: &'a Shopper,
    pub occasion: &'a Occasion,
    /// Series of the coupons shown that are not used up yet.
    pub coupons: &'a [String],
    /// Segments, tags, tiers and birthdays are not asked for: without the hub, any cardholder will do.
    pub any_cardholder: bool,
    /// The condition stands below an odd number of negations.
    pub negated: bool,
    /// What only the store can know is taken as said.
    pub as_said: bool,
}

fn hold(holds: bool, why: Why) -> Result<(), Why> {
    if holds { Ok(()) } else { Err(why) }
}

fn within<T: PartialOrd + Copy>(value: T, min: Option<T>, max: Option<T>) -> bool {
    min.is_none_or(|min| value >= min) && max.is_none_or(|max| value <= max)
}

/// Whether the conditions hold.
pub(super) fn check(
    condition: &Condition,
    question: Question<'_>,
) -> Result<Result<(), Why>, AmountError> {
    let (shopper, occasion) = (question.shopper, question.occasion);
    Ok(match condition {
        Condition::All { of } => {
            for one in of {
                if let Err(why) = check(one, question)? {
                    return Ok(Err(why));
                }
            }
            Ok(())
        }
        Condition::Any { of } => {
            let mut first = Err(Why::Unless);
            for (index, one) in of.iter().enumerate() {
                match check(one, question)? {
                    Ok(()) => return Ok(Ok(())),
                    Err(why) if index == 0 => first = Err(why),
                    Err(_) => {}
                }
            }
            first
        }
        Condition::Not { .. } if question.as_said => Ok(()),
        Condition::Not { of } => {
            let inner = Question {
                negated: !question.negated,
                ..question
            };
            hold(check(of, inner)?.is_err(), Why::Unless)
        }
        Condition::Total {
            measure,
            goods,
            min,
            max,
        } => total(question.cart, *measure, goods.as_ref(), *min, *max)?,
        Condition::Goods {
            goods,
            quantity_min,
        } => quantity(question.cart, goods, *quantity_min),
        Condition::Dates { .. } | Condition::Yearly { .. } => of_occasion(condition, occasion),
        Condition::Weekdays { .. }
        | Condition::Hours { .. }
        | Condition::Stores { .. }
        | Condition::StoreGroups { .. }
        | Condition::Partners { .. }
        | Condition::Channels { .. }
        | Condition::Tenders { .. }
        | Condition::PromoCodes { .. }
        | Condition::Coupons { .. }
        | Condition::Tiers { .. }
        | Condition::CardKinds { .. }
        | Condition::Tags { .. }
        | Condition::Birthday { .. }
        | Condition::MemberFor { .. }
        | Condition::LastPurchase { .. }
        | Condition::PurchaseNumber { .. }
        | Condition::Spent { .. }
        | Condition::Visits { .. }
            if question.as_said =>
        {
            Ok(())
        }
        Condition::Weekdays { .. }
        | Condition::Hours { .. }
        | Condition::Stores { .. }
        | Condition::StoreGroups { .. }
        | Condition::Partners { .. }
        | Condition::Channels { .. }
        | Condition::Tenders { .. }
        | Condition::PromoCodes { .. } => of_occasion(condition, occasion),
        Condition::Coupons { of } => {
            let shown = question.coupons.iter().any(|series| of.contains(series));
            hold(shown, Why::Code)
        }
        // What is not asked for stands in nobody's way, whether it is to hold or not to hold.
        Condition::Tags { .. } | Condition::Tiers { .. } | Condition::Birthday { .. }
            if question.any_cardholder =>
        {
            hold(shopper.member.is_some() != question.negated, Why::Audience)
        }
        Condition::Tiers { .. }
        | Condition::CardKinds { .. }
        | Condition::Tags { .. }
        | Condition::Birthday { .. }
        | Condition::MemberFor { .. }
        | Condition::LastPurchase { .. }
        | Condition::PurchaseNumber { .. }
        | Condition::Spent { .. }
        | Condition::Visits { .. } => audience::holds(condition, shopper, occasion.today)?,
    })
}

fn of_occasion(condition: &Condition, occasion: &Occasion) -> Result<(), Why> {
    let one_of = |list: &[String], given: &[String]| given.iter().any(|one| list.contains(one));
    match condition {
        Condition::Dates { from, to } => hold(
            within(
                occasion.today,
                from.map(|date| date.0),
                to.map(|date| date.0),
            ),
            Why::Day,
        ),
        Condition::Yearly { from, to } => {
            let (_, today) = occasion.today.civil();
            let inside = if from <= to {
                (*from..=*to).contains(&today)
            } else {
                today >= *from || today <= *to
            };
            hold(inside, Why::Day)
        }
        Condition::Weekdays { of } => hold(of.contains(&occasion.store_day.weekday()), Why::Day),
        Condition::Hours { of } => {
            let now = occasion.minute;
            hold(
                of.iter()
                    .any(|hours| (hours.from.0..hours.to.0).contains(&now)),
                Why::Hour,
            )
        }
        Condition::Stores { of } => hold(of.contains(&occasion.store), Why::Place),
        Condition::StoreGroups { of } => hold(one_of(of, &occasion.store_groups), Why::Place),
        Condition::Partners { of } => hold(of.contains(&occasion.partner), Why::Place),
        Condition::Channels { of } => hold(of.contains(&occasion.channel), Why::Place),
        Condition::Tenders { of } => hold(
            occasion.tenders.iter().any(|kind| of.contains(kind)),
            Why::Tender,
        ),
        Condition::PromoCodes { of } => {
            let entered = |code: &String| {
                occasion
                    .codes
                    .iter()
                    .any(|given| given.to_uppercase() == code.to_uppercase())
            };
            hold(of.iter().any(entered), Why::Code)
        }
        Condition::All { .. }
        | Condition::Any { .. }
        | Condition::Not { .. }
        | Condition::Total { .. }
        | Condition::Goods { .. }
        | Condition::Coupons { .. }
        | Condition::Tiers { .. }
        | Condition::CardKinds { .. }
        | Condition::Tags { .. }
        | Condition::Birthday { .. }
        | Condition::MemberFor { .. }
        | Condition::LastPurchase { .. }
        | Condition::PurchaseNumber { .. }
        | Condition::Spent { .. }
        | Condition::Visits { .. } => Err(Why::Unless),
    }
}

fn total(
    cart: &Cart<'_>,
    measure: Measure,
    goods: Option<&Filter>,
    min: Option<Minor>,
    max: Option<Minor>,
) -> Result<Result<(), Why>, AmountError> {
    let lines = cart.picked(goods);
    let sum = Minor::sum(lines.into_iter().map(|place| match measure {
        Measure::BeforeDiscounts => cart.lines[place].original,
        Measure::AfterDiscounts => cart.lines[place].left,
    }))?;
    Ok(match (min, max) {
        (Some(min), _) if sum < min => Err(Why::TotalShort(min.minus(sum)?)),
        (_, Some(max)) if sum > max => Err(Why::TotalOver(sum.minus(max)?)),
        (_, _) => Ok(()),
    })
}

fn quantity(cart: &Cart<'_>, goods: &Filter, least: Milli) -> Result<(), Why> {
    let lines = cart.picked(Some(goods));
    let sum = lines.into_iter().fold(0_u64, |sum, place| {
        sum.saturating_add(cart.lines[place].item.quantity.0)
    });
    if sum >= least.0 && sum > 0 {
        Ok(())
    } else {
        Err(Why::GoodsShort(Milli(least.0.max(1).saturating_sub(sum))))
    }
}
