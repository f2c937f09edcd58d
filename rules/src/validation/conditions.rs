//! What must hold of conditions: that what they name exists, and that they can hold at all.

use std::collections::BTreeMap;

use kopilka_crdt::calendar::Date;
use kopilka_crdt::money::Minor;
use kopilka_crdt::rulebook::RuleBook;
use kopilka_crdt::rulebook::model::condition::{CONDITION_DEPTH_MAX, Condition};

use super::Found;
use super::promotions::filter;

/// Longest look back at a member's purchases, in days.
const LOOK_BACK_DAYS_MAX: u16 = 366;

pub(super) fn check(
    rules: &RuleBook,
    condition: &Condition,
    path: &str,
    depth: usize,
    found: &mut Found,
) {
    if depth > CONDITION_DEPTH_MAX {
        found.unless(false, path, "conditions are nested at most 8 deep");
        return;
    }
    match condition {
        Condition::All { of } => {
            several(rules, of, path, depth, found);
            dates(of, path, found);
        }
        Condition::Any { of } => {
            some(of, path, found);
            several(rules, of, path, depth, found);
        }
        Condition::Not { of } => check(rules, of, &format!("{path}/of"), depth + 1, found),
        Condition::Dates { from, to } => ordered(*from, *to, path, found),
        Condition::Yearly { .. } | Condition::Birthday { .. } => {}
        Condition::Weekdays { of } => some(of, path, found),
        Condition::Hours { of } => {
            some(of, path, found);
            for hours in of {
                found.unless(hours.from < hours.to, path, EMPTY_RANGE);
            }
        }
        Condition::Stores { of } => some(of, path, found),
        Condition::StoreGroups { of } | Condition::PromoCodes { of } => some(of, path, found),
        Condition::Partners { of } => some(of, path, found),
        Condition::Channels { of } => some(of, path, found),
        Condition::CardKinds { of } => some(of, path, found),
        Condition::Tenders { of } => some(of, path, found),
        Condition::Tags { of } => known(of, &rules.tags, "tag", path, found),
        Condition::Coupons { of } => known(of, &rules.coupons, "series of coupons", path, found),
        Condition::Tiers { of } => {
            let tiers = rules.tiers.iter().map(|tier| (tier.code.clone(), ()));
            known(of, &tiers.collect(), "tier", path, found);
        }
        Condition::MemberFor { days_min, days_max }
        | Condition::LastPurchase { days_min, days_max } => {
            ordered(*days_min, *days_max, path, found);
        }
        Condition::PurchaseNumber { of, every } => {
            let holds = of.iter().any(|number| *number > 0) || every.is_some_and(|every| every > 0);
            found.unless(holds, path, "names no purchase, so it never holds");
        }
        Condition::Spent { days, min, max } => {
            look_back(*days, path, found);
            ordered(*min, *max, path, found);
        }
        Condition::Visits { days, min, max } => {
            look_back(*days, path, found);
            ordered(*min, *max, path, found);
        }
        Condition::Total {
            goods, min, max, ..
        } => {
            ordered(*min, *max, path, found);
            let reached = max.is_none_or(|max| max >= Minor::ZERO);
            found.unless(reached, path, "no total is below 0, so it never holds");
            if let Some(goods) = goods {
                filter(rules, goods, &format!("{path}/goods"), found);
            }
        }
        Condition::Goods { goods, .. } => filter(rules, goods, &format!("{path}/goods"), found),
    }
}

const EMPTY_RANGE: &str = "the first of a range is larger than the last, so it never holds";

fn several(rules: &RuleBook, of: &[Condition], path: &str, depth: usize, found: &mut Found) {
    for (place, one) in of.iter().enumerate() {
        check(rules, one, &format!("{path}/of/{place}"), depth + 1, found);
    }
}

fn some<T>(of: &[T], path: &str, found: &mut Found) {
    found.unless(
        !of.is_empty(),
        format!("{path}/of"),
        "names nothing, so it never holds",
    );
}

fn known<T>(of: &[String], book: &BTreeMap<String, T>, kind: &str, path: &str, found: &mut Found) {
    some(of, path, found);
    for code in of {
        found.unless(
            book.contains_key(code),
            format!("{path}/of"),
            format!("there is no {kind} {code}"),
        );
    }
}

fn ordered<T: PartialOrd + Copy>(min: Option<T>, max: Option<T>, path: &str, found: &mut Found) {
    let fits = min.is_none() || max.is_none() || min <= max;
    found.unless(fits, path, EMPTY_RANGE);
}

fn look_back(days: u16, path: &str, found: &mut Found) {
    found.unless(
        days <= LOOK_BACK_DAYS_MAX,
        format!("{path}/days"),
        "is at most 366",
    );
}

/// Ranges of days that must all hold have a day in common.
fn dates(of: &[Condition], path: &str, found: &mut Found) {
    let ranges: Vec<(Option<Date>, Option<Date>)> = of
        .iter()
        .filter_map(|one| match one {
            Condition::Dates { from, to } => Some((*from, *to)),
            Condition::All { .. }
            | Condition::Any { .. }
            | Condition::Not { .. }
            | Condition::Yearly { .. }
            | Condition::Weekdays { .. }
            | Condition::Hours { .. }
            | Condition::Stores { .. }
            | Condition::StoreGroups { .. }
            | Condition::Partners { .. }
            | Condition::Channels { .. }
            | Condition::Tiers { .. }
            | Condition::CardKinds { .. }
            | Condition::Tags { .. }
            | Condition::Birthday { .. }
            | Condition::MemberFor { .. }
            | Condition::LastPurchase { .. }
            | Condition::PurchaseNumber { .. }
            | Condition::Spent { .. }
            | Condition::Visits { .. }
            | Condition::Total { .. }
            | Condition::Goods { .. }
            | Condition::Tenders { .. }
            | Condition::PromoCodes { .. }
            | Condition::Coupons { .. } => None,
        })
        .collect();
    if ranges.len() > 1 {
        let first = ranges.iter().filter_map(|(from, _)| *from).max();
        let last = ranges.iter().filter_map(|(_, to)| *to).min();
        let common = first.is_none() || last.is_none() || first <= last;
        found.unless(
            common,
            path,
            "the dates have no day in common, so it never holds",
        );
    }
}
