//! Which days are kept of what was bought and used: it depends on the days alone, and not on their order.

use kopilka_crdt::clock::Day;
use kopilka_crdt::member::{DaySum, History, Usage, Used};
use kopilka_crdt::money::Minor;
use proptest::prelude::*;

use crate::reference;

/// Days with what was done on them, in two orders.
#[derive(Debug, Clone)]
struct Days {
    one: Vec<(u32, i64)>,
    other: Vec<(u32, i64)>,
}

/// Days over some years, dense and sparse, with one now and then that a wrong clock made up.
fn days() -> impl Strategy<Value = Days> {
    let day = prop_oneof![4 => 0..900_u32, 4 => 0..5_000_u32, 1 => 60_000..70_000_u32];
    prop::collection::vec((day, -50..50_i64), 0..300).prop_flat_map(|one| {
        let shuffled = Just(one.clone()).prop_shuffle();
        shuffled.prop_map(move |other| Days {
            one: one.clone(),
            other,
        })
    })
}

fn traded(&(day, paid): &(u32, i64)) -> (Day, DaySum) {
    let sum = DaySum {
        paid: Minor(paid),
        earned: Minor(paid / 10),
        visits: if paid < 0 { -1 } else { 1 },
    };
    (Day(day), sum)
}

fn used(&(day, off): &(u32, i64)) -> (Day, Usage) {
    let usage = Usage {
        receipts: if off < 0 { -1 } else { 1 },
        off: Minor(off),
        points: Minor(off / 10),
    };
    (Day(day), usage)
}

proptest! {
    #[test]
    fn history_keeps_the_same_days_in_any_order(days in days()) {
        let history = |days: &[(u32, i64)]| {
            let mut history = History::default();
            days.iter().map(traded).for_each(|(day, sum)| history.add(day, sum).unwrap());
            history
        };
        let kept = history(&days.one);
        prop_assert_eq!(&history(&days.other), &kept);
        let expected = reference::history(days.one.iter().map(traded));
        prop_assert!(kept.days().eq(expected), "{kept:?}");
    }

    #[test]
    fn uses_keep_the_same_days_in_any_order(days in days()) {
        let counter = |days: &[(u32, i64)]| {
            let mut counter = Used::default();
            days.iter().map(used).for_each(|(day, usage)| counter.add(day, usage).unwrap());
            counter
        };
        let kept = counter(&days.one);
        prop_assert_eq!(&counter(&days.other), &kept);
        let (ever, expected) = reference::used(days.one.iter().map(used));
        prop_assert_eq!(kept.ever, ever);
        prop_assert!(kept.days().eq(expected), "{kept:?}");
    }
}
