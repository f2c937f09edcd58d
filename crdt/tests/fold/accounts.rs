//! What an account answers, against points that are taken one at a time in any order.

use kopilka_crdt::clock::Day;
use kopilka_crdt::ids::{Incarnation, LotId, NodeId, OperationId};
use kopilka_crdt::ledger::{Account, Lot, Take};
use kopilka_crdt::money::{AmountError, Minor};
use proptest::prelude::*;

use crate::parking::Parking;

const DAY_MAX: u32 = 12;

fn lot_id(sequence: u64) -> LotId {
    let operation = OperationId {
        node: NodeId(1),
        incarnation: Incarnation(1),
        sequence,
    };
    LotId {
        operation,
        index: 0,
    }
}

/// A few lots, overdrawn and given back too much at times, and the points taken from them in a random order.
fn accounts() -> impl Strategy<Value = (Account, Vec<LotId>)> {
    let days = (0..DAY_MAX, prop::option::of(0..DAY_MAX));
    let lot = (0..8_i64, -2..8_i64, 0..4_i64, days).prop_map(
        |(amount, taken, withdrawn, (active_from, expires_on))| Lot {
            amount: Minor(amount),
            taken: Minor(taken),
            withdrawn: Minor(withdrawn),
            active_from: Day(active_from),
            expires_on: expires_on.map(Day),
            ..Lot::default()
        },
    );
    prop::collection::vec(lot, 0..7).prop_flat_map(|lots| {
        let lots = (1..).map(lot_id).zip(lots).collect();
        let account = Account { lots };
        let mut arrivals = Vec::new();
        for (id, lot) in &account.lots {
            let taken = lot.taken.0.max(0) + lot.withdrawn.0;
            arrivals.extend((0..taken).map(|_| *id));
        }
        (Just(account), Just(arrivals).prop_shuffle())
    })
}

proptest! {
    #[test]
    fn views_agree_with_points_taken_one_at_a_time((account, arrivals) in accounts()) {
        let parking = Parking::new(&account, &arrivals);
        for today in (0..=DAY_MAX).map(Day) {
            prop_assert_eq!(account.view(today).unwrap(), parking.view(today), "on {:?}", today);
            for until in (0..=DAY_MAX).map(Day) {
                let until_or_today = until.max(today);
                prop_assert_eq!(
                    account.spendable_through(today, until).unwrap().0,
                    parking.spendable_through(today, until_or_today)
                );
            }
        }
    }

    #[test]
    fn plans_agree_with_points_taken_one_at_a_time((account, arrivals) in accounts(), amount in 0..20_i64) {
        for today in (0..=DAY_MAX).map(Day) {
            let expected = Parking::new(&account, &arrivals).plan(amount, today);
            let plan = account.plan(Minor(amount), today).unwrap();
            let plan = plan.map(|takes| takes.iter().map(|take| (take.lot, take.amount.0)).collect::<Vec<_>>());
            prop_assert_eq!(plan, expected, "on {:?}", today);
        }
    }

    /// Two stores, each with a right of its own, planned on the same state without knowing of each other.
    #[test]
    fn which_of_two_stores_came_first_does_not_show(
        (account, _) in accounts(), one in 0..10_i64, two in 0..10_i64, today in 0..DAY_MAX,
    ) {
        let today = Day(today);
        let spendable = account.view(today).unwrap().spendable;
        let plan = |amount: i64| account.plan(Minor(amount).min(spendable), today).unwrap().unwrap();
        let (one, two) = (plan(one), plan(two));
        let take = |takes: [&[Take]; 2]| {
            let mut account = account.clone();
            for part in takes.concat() {
                let lot = account.lots.get_mut(&part.lot).unwrap();
                lot.taken = lot.taken.plus(part.amount).unwrap();
            }
            account
        };
        let first = take([&one, &two]);
        prop_assert_eq!(&first, &take([&two, &one]));
        let spent: i64 = one.iter().chain(&two).map(|part| part.amount.0).sum();
        let view = first.view(today).unwrap();
        if spent <= spendable.0 {
            // Shortfalls may have flowed to points that are not yet active or that ran out, never beyond the account.
            prop_assert_eq!(view.debt, account.view(today).unwrap().debt);
        }
        prop_assert_eq!(first.total().unwrap().0, account.total().unwrap().0 - spent);
    }
}

#[test]
fn nothing_is_planned_below_zero() {
    let lot = Lot {
        amount: Minor(10),
        ..Lot::default()
    };
    let account = Account {
        lots: [(lot_id(1), lot)].into(),
    };
    assert_eq!(account.plan(Minor(-5), Day(0)), Err(AmountError));
    assert_eq!(account.plan(Minor::ZERO, Day(0)), Ok(Some(Vec::new())));
}
