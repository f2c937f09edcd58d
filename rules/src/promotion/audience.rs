//! Conditions about the member: tier, card, segments, birthday, and what was bought before.

use kopilka_crdt::calendar::MonthDay;
use kopilka_crdt::clock::Day;
use kopilka_crdt::member::DaySum;
use kopilka_crdt::money::{AmountError, Minor};
use kopilka_crdt::rulebook::model::condition::Condition;

use super::explanation::Why;
use super::facts::Shopper;
use super::past::Past;

/// Whether a condition about the member holds on `today`.
pub(super) fn holds(
    condition: &Condition,
    shopper: &Shopper,
    today: Day,
) -> Result<Result<(), Why>, AmountError> {
    let audience = |holds: bool| if holds { Ok(()) } else { Err(Why::Audience) };
    let past = |past: Past| Err(Why::History(past));
    // Nobody's past is no past: who shows no card is not a member who bought nothing.
    let known = shopper.member.is_some();
    Ok(match condition {
        Condition::Tiers { of } => audience(of.contains(&shopper.tier)),
        Condition::CardKinds { of } => {
            audience(shopper.card_kind.is_some_and(|kind| of.contains(&kind)))
        }
        Condition::Tags { of } => audience(shopper.tags.iter().any(|tag| of.contains(tag))),
        Condition::Birthday {
            days_before,
            days_after,
        } => birthday(shopper.birthday, today, (*days_before, *days_after)),
        Condition::MemberFor { days_min, days_max } => {
            let joined = shopper.joined;
            days(joined, today, (*days_min, *days_max), Past::Membership)
        }
        Condition::LastPurchase { days_min, days_max } => {
            let last = shopper.last_purchase;
            days(last, today, (*days_min, *days_max), Past::LastPurchase)
        }
        Condition::PurchaseNumber { .. } | Condition::Spent { .. } | Condition::Visits { .. }
            if !known =>
        {
            past(Past::Unknown)
        }
        Condition::PurchaseNumber { of, every } => number(shopper.purchases, of, *every),
        Condition::Spent { days, min, max } => {
            let spent = Minor::sum(lately(shopper, today, *days).map(|day| day.paid))?;
            let range = (min.map(|min| min.0), max.map(|max| max.0));
            within(spent.0, range).or_else(|difference| past(Past::Spent(Minor(difference))))
        }
        Condition::Visits { days, min, max } => {
            let visits = lately(shopper, today, *days).map(|day| i64::from(day.visits));
            within(visits.sum(), (min.map(i64::from), max.map(i64::from)))
                .or_else(|difference| past(Past::Visits(difference)))
        }
        Condition::All { .. }
        | Condition::Any { .. }
        | Condition::Not { .. }
        | Condition::Total { .. }
        | Condition::Goods { .. }
        | Condition::Dates { .. }
        | Condition::Yearly { .. }
        | Condition::Weekdays { .. }
        | Condition::Hours { .. }
        | Condition::Stores { .. }
        | Condition::StoreGroups { .. }
        | Condition::Partners { .. }
        | Condition::Channels { .. }
        | Condition::Tenders { .. }
        | Condition::PromoCodes { .. }
        | Condition::Coupons { .. } => Err(Why::Unless),
    })
}

/// The sums of the last so many days and today.
fn lately(shopper: &Shopper, today: Day, days: u16) -> impl Iterator<Item = DaySum> + '_ {
    let first = Day(today.0.saturating_sub(days.into()));
    shopper.history.range(first..=today).map(|(_, sum)| *sum)
}

/// Whether a value lies in a range; if not, by how much it lies below (negative) or above.
fn within(value: i64, (min, max): (Option<i64>, Option<i64>)) -> Result<(), i64> {
    match (min, max) {
        (Some(min), _) if value < min => Err(value.saturating_sub(min)),
        (_, Some(max)) if value > max => Err(value.saturating_sub(max)),
        (_, _) => Ok(()),
    }
}

fn days(
    since: Option<Day>,
    today: Day,
    (min, max): (Option<u32>, Option<u32>),
    past: impl FnOnce(i64) -> Past,
) -> Result<(), Why> {
    let Some(since) = since else {
        return Err(Why::History(Past::Unknown));
    };
    let days = i64::from(today.0.saturating_sub(since.0));
    within(days, (min.map(i64::from), max.map(i64::from)))
        .map_err(|difference| Why::History(past(difference)))
}

fn number(before: u32, of: &[u32], every: Option<u32>) -> Result<(), Why> {
    let number = before.saturating_add(1);
    let every = every.filter(|every| *every > 0);
    if of.contains(&number) || every.is_some_and(|every| number.is_multiple_of(every)) {
        return Ok(());
    }
    let listed = of.iter().filter_map(|one| one.checked_sub(number)).min();
    let multiple = every.map(|every| every - number % every);
    let later = match (listed, multiple) {
        (Some(listed), Some(multiple)) => Some(listed.min(multiple)),
        (listed, multiple) => listed.or(multiple),
    };
    Err(Why::History(Past::Number(later)))
}

fn birthday(
    birthday: Option<MonthDay>,
    today: Day,
    (before, after): (u16, u16),
) -> Result<(), Why> {
    let Some(birthday) = birthday else {
        return Err(Why::Birthday(None));
    };
    let (since, until) = around(today, birthday);
    if until <= u32::from(before) || since <= u32::from(after) {
        return Ok(());
    }
    Err(Why::Birthday(until.checked_sub(before.into())))
}

/// Days since the last time that a yearly day came, and until it comes next.
fn around(today: Day, of: MonthDay) -> (u32, u32) {
    let (year, _) = today.civil();
    // The 29th of February is celebrated on the 28th in other years.
    let eve = MonthDay {
        day: of.day.saturating_sub(1),
        ..of
    };
    let on = |year: i64| Day::from_civil(year, of).or_else(|| Day::from_civil(year, eve));
    let (mut since, mut until) = (u32::MAX, u32::MAX);
    for day in (year - 1..=year + 1).filter_map(on) {
        if day <= today {
            since = since.min(today.0 - day.0);
        }
        if day >= today {
            until = until.min(day.0 - today.0);
        }
    }
    (since, until)
}
