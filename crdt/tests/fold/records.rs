//! A member's bytes on disk and wire.

use kopilka_crdt::clock::Day;
use kopilka_crdt::ids::PromotionId;
use kopilka_crdt::member::{DaySum, DecodeError, HISTORY_DAYS, Member, USAGE_DAYS, Usage};
use kopilka_crdt::money::Minor;
use proptest::prelude::*;

use crate::history::histories;

/// Most that a day of shopping may add to the history of a member's row, in bytes.
const HISTORY_DAY_BYTES_MAX: usize = 10;
/// Most that a day on which a promotion with a limit was used may add.
const USAGE_DAY_BYTES_MAX: usize = 8;

proptest! {
    #[test]
    fn members_survive_encoding(history in histories()) {
        let member = history.folded();
        prop_assert_eq!(Member::decode(&member.encode()), Ok(member));
    }

    #[test]
    fn damaged_records_are_refused(
        history in histories(), tail in prop::collection::vec(any::<u8>(), 1..4), cut: prop::sample::Index, version: u8,
    ) {
        let bytes = history.folded().encode();
        let longer = [bytes.as_slice(), &tail].concat();
        prop_assert_eq!(Member::decode(&longer), Err(DecodeError));
        prop_assert_eq!(Member::decode(&bytes[..cut.index(bytes.len())]), Err(DecodeError));
        let mut other = bytes.clone();
        other[0] = version;
        prop_assert_eq!(Member::decode(&other).is_ok(), version == bytes[0]);
    }

    #[test]
    fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..300)) {
        for version in 0..3 {
            let bytes = [&[version], noise.as_slice()].concat();
            if let Ok(member) = Member::decode(&bytes) {
                prop_assert_eq!(Member::decode(&member.encode()), Ok(member));
            }
        }
    }
}

/// Baskets of up to 5,000.00 with 5 % back in points, every day.
fn shopper(days: u32) -> Member {
    let mut member = Member::default();
    for day in 0..days {
        let paid = 10_000 + i64::from(day * 7_919 % 490_000);
        let sum = DaySum {
            paid: Minor(paid),
            earned: Minor(paid / 20),
            visits: 1,
        };
        let added = member.history.add(Day(20_000 + day), sum);
        added.expect("small sums do not overflow");
    }
    member
}

#[test]
fn a_day_of_history_is_small() {
    let bytes = |days| shopper(days).encode().len() - shopper(0).encode().len();
    let most = HISTORY_DAYS + 1;
    for days in [1, 52, 105, most] {
        let found = bytes(days);
        println!("{days} days of shopping: {found} B of history");
        let days = usize::try_from(days).unwrap();
        // The length of the list takes a second byte beyond 127 days.
        assert!(
            found <= days * HISTORY_DAY_BYTES_MAX + 1,
            "{days} days take {found} B"
        );
    }
    let kept = shopper(most + 200).history.days().count();
    assert_eq!(kept, usize::try_from(most).unwrap(), "older days go");
}

#[test]
fn a_day_of_a_limit_is_small() {
    let bytes = |days: u32| {
        let mut member = Member::default();
        let used = member.used.entry(PromotionId(1_000)).or_default();
        for day in 0..days {
            let usage = Usage {
                receipts: 1,
                off: Minor(5_000 + i64::from(day)),
                points: Minor::ZERO,
            };
            used.add(Day(20_000 + day), usage).unwrap();
        }
        member.encode().len()
    };
    let none = bytes(0);
    for days in [1, 52, USAGE_DAYS + 1] {
        let found = bytes(days) - none;
        println!("a promotion used on {days} days: {found} B");
        let days = usize::try_from(days).unwrap();
        // Sums of all days grow by up to three bytes each, the length of the list by one.
        assert!(
            found <= days * USAGE_DAY_BYTES_MAX + 8,
            "{days} days take {found} B"
        );
    }
}
