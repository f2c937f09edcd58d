//! The authorisation ladder: the rung that a redemption stands on, what bounds it, and refusals with their figures.

use std::collections::BTreeMap;

use kopilka_crdt::allowance::{Allowance, AllowanceRef, AllowanceUse, Rung};
use kopilka_crdt::clock::Day;
use kopilka_crdt::ids::{AccountId, Incarnation, NodeId};
use kopilka_crdt::ledger::Take;
use kopilka_crdt::member::Member;
use kopilka_crdt::money::Minor;
use kopilka_rules::redemption::{Asking, Authorised, HubAnswer, Refused, authorise, usable_rights};

use crate::given::{HOUR_MS, POINTS, hours, lot, member, operation};

const MARGIN_MS: u64 = 600_000;

/// An allowance of node 1 that ends so many hours after the start of the day.
fn right(amount: i64, ends_hours: u64) -> Allowance {
    Allowance {
        account: POINTS,
        node: NodeId(1),
        incarnation: Incarnation(1),
        amount: Minor(amount),
        used: Minor::ZERO,
        granted_on: Day::default(),
        expires_at_ms: hours(ends_hours).now_ms,
        recalled: false,
        closed: false,
    }
}

/// A member with 100.00 points and these allowances, numbered from 1.
fn holding(rights: &[Allowance]) -> Member {
    let mut member = member(&[(6_000, 0, Some(10)), (4_000, 0, None)]);
    member.allowances = (1..)
        .map(AllowanceRef::Granted)
        .zip(rights.iter().copied())
        .collect();
    member
}

fn ask(
    member: &Member,
    amount: i64,
    hub: HubAnswer,
    held_rights: &[(u32, i64)],
    held_takes: &[Take],
) -> Result<Authorised, Refused> {
    let held_rights = held_rights
        .iter()
        .map(|&(number, amount)| (AllowanceRef::Granted(number), Minor(amount)))
        .collect::<BTreeMap<_, _>>();
    let asking = Asking {
        node: NodeId(1),
        incarnation: Incarnation(1),
        account: POINTS,
        amount: Minor(amount),
        held_rights: &held_rights,
        held_takes,
        margin_ms: MARGIN_MS,
    };
    authorise(member, &asking, hub, hours(12))
}

fn uses(parts: &[(u32, i64)]) -> Vec<AllowanceUse> {
    let parts = parts.iter().map(|&(number, amount)| AllowanceUse {
        allowance: AllowanceRef::Granted(number),
        amount: Minor(amount),
    });
    parts.collect()
}

fn take(place: u64, amount: i64) -> Take {
    Take {
        lot: lot(place),
        amount: Minor(amount),
    }
}

#[test]
fn the_rung_is_the_hub_s_only_when_it_reserved() {
    let member = holding(&[right(5_000, 48)]);
    for (hub, rung) in [
        (HubAnswer::Reserved, Rung::Hub),
        (HubAnswer::Short(Minor(7)), Rung::Allowance),
        (HubAnswer::Unreachable, Rung::Allowance),
    ] {
        let found = ask(&member, 5_000, hub, &[], &[]).unwrap();
        assert_eq!(found.authority.rung, rung);
        assert_eq!(found.authority.uses, uses(&[(1, 5_000)]));
        assert_eq!(found.takes.takes, [take(1, 5_000)]);
    }
}

#[test]
fn rights_that_end_first_are_used_first_and_lots_that_expire_first_are_taken_first() {
    let member = holding(&[right(3_000, 90), right(2_000, 48), right(4_000, 72)]);
    let found = ask(&member, 7_000, HubAnswer::Unreachable, &[], &[]).unwrap();
    assert_eq!(
        found.authority.uses,
        uses(&[(2, 2_000), (3, 4_000), (1, 1_000)])
    );
    assert_eq!(found.takes.takes, [take(1, 6_000), take(2, 1_000)]);
}

#[test]
fn refusals_name_what_could_be_had() {
    let member = holding(&[right(3_000, 48)]);
    for (amount, hub, expected) in [
        (
            3_001,
            HubAnswer::Unreachable,
            Refused::Offline(Minor(3_000)),
        ),
        (
            3_001,
            HubAnswer::Short(Minor(0)),
            Refused::HeldElsewhere(Minor(3_000)),
        ),
        (
            6_000,
            HubAnswer::Short(Minor(2_500)),
            Refused::HeldElsewhere(Minor(5_500)),
        ),
        (
            10_001,
            HubAnswer::Unreachable,
            Refused::Balance(Minor(10_000)),
        ),
        (10_001, HubAnswer::Reserved, Refused::Balance(Minor(10_000))),
    ] {
        assert_eq!(
            ask(&member, amount, hub, &[], &[]),
            Err(expected),
            "{amount} {hub:?}"
        );
    }
}

#[test]
fn waiting_sales_bind_rights_and_lots() {
    let member = holding(&[right(3_000, 48), right(9_000, 72)]);
    let found = ask(
        &member,
        4_000,
        HubAnswer::Unreachable,
        &[(1, 2_500)],
        &[take(1, 2_500)],
    )
    .unwrap();
    assert_eq!(found.authority.uses, uses(&[(1, 500), (2, 3_500)]));
    assert_eq!(found.takes.takes, [take(1, 3_500), take(2, 500)]);
    assert_eq!(
        ask(
            &member,
            7_501,
            HubAnswer::Unreachable,
            &[(1, 2_500)],
            &[take(1, 2_500)]
        ),
        Err(Refused::Balance(Minor(7_500)))
    );
    assert_eq!(
        ask(
            &member,
            5_001,
            HubAnswer::Unreachable,
            &[(1, 3_000), (2, 4_000)],
            &[]
        ),
        Err(Refused::Offline(Minor(5_000)))
    );
}

#[test]
fn foreign_closed_and_lapsed_rights_do_not_count() {
    let ends_in = |ms: u64| Allowance {
        expires_at_ms: hours(12).now_ms + ms,
        ..right(1_000, 0)
    };
    for (right, usable) in [
        (right(1_000, 48), 1_000),
        (
            Allowance {
                node: NodeId(2),
                ..right(1_000, 48)
            },
            0,
        ),
        (
            Allowance {
                incarnation: Incarnation(2),
                ..right(1_000, 48)
            },
            0,
        ),
        (
            Allowance {
                account: AccountId(2),
                ..right(1_000, 48)
            },
            0,
        ),
        (
            Allowance {
                closed: true,
                ..right(1_000, 48)
            },
            0,
        ),
        (
            Allowance {
                used: Minor(400),
                ..right(1_000, 48)
            },
            600,
        ),
        (
            Allowance {
                used: Minor(1_400),
                ..right(1_000, 48)
            },
            0,
        ),
        (ends_in(MARGIN_MS + 1), 1_000),
        (ends_in(MARGIN_MS), 0),
        (ends_in(0), 0),
    ] {
        let found = ask(&holding(&[right]), 1_001, HubAnswer::Unreachable, &[], &[]);
        assert_eq!(found, Err(Refused::Offline(Minor(usable))), "{right:?}");
    }
}

/// A right that came with a lot of the store's own, and nothing else to stand on.
fn earned_right(lot_of_right: (i64, u32, Option<u32>), withdrawn: i64, moment_hours: u64) -> Minor {
    let mut member = member(&[(9_000, 0, None)]);
    let name = kopilka_crdt::ids::LotId {
        operation: operation(1, 1),
        index: 0,
    };
    let (amount, from, last) = lot_of_right;
    let lots = &mut member.accounts.entry(POINTS).or_default().lots;
    let earned = lots.entry(name).or_default();
    earned.amount = Minor(amount);
    earned.withdrawn = Minor(withdrawn);
    earned.active_from = crate::given::TODAY.plus(from);
    earned.expires_on = last.map(|last| crate::given::TODAY.plus(last));
    member
        .allowances
        .insert(AllowanceRef::Earned(name), right(amount, 72));
    let asking = Asking {
        node: NodeId(1),
        incarnation: Incarnation(1),
        account: POINTS,
        amount: Minor(1),
        held_rights: &crate::given::no_rights(),
        held_takes: &[],
        margin_ms: 0,
    };
    assert!(moment_hours * HOUR_MS < right(0, 72).expires_at_ms);
    usable_rights(&member, &asking, hours(moment_hours))
}

#[test]
fn a_right_that_came_with_points_is_worth_what_they_are() {
    for (lot, withdrawn, at_hours, usable) in [
        ((500, 0, None), 0, 12, 500),
        ((500, 0, None), 200, 12, 300),
        ((500, 0, None), 500, 12, 0),
        ((500, 1, None), 0, 12, 0),
        ((500, 1, None), 0, 36, 500),
        ((500, 0, Some(0)), 0, 12, 500),
        ((500, 0, Some(0)), 0, 36, 0),
    ] {
        let found = earned_right(lot, withdrawn, at_hours);
        assert_eq!(
            found,
            Minor(usable),
            "{lot:?}, {withdrawn} withdrawn, after {at_hours} h"
        );
    }
}
