//! Rights to spend over random histories: honest stores, offline for as long as they like and with clocks that are wrong
//! by as much as they like, never take an account below zero.

use kopilka_crdt::clock::Stamp;
use kopilka_crdt::ids::{Incarnation, NodeId};
use kopilka_crdt::member::Member;
use kopilka_crdt::money::Minor;
use kopilka_rules::Programme;
use kopilka_rules::placement::{self, Holder, Reservation};
use proptest::prelude::*;

use crate::given::{POINTS, hours, member, programme_with};
use crate::world::{STORES, Step, World};

/// How far a store's clock may be ahead or behind, in hours.
const SKEW_HOURS_MAX: i64 = 300;

fn any_step() -> impl Strategy<Value = Step> {
    let store = 0..STORES;
    let wait = prop::sample::select(vec![1, 9, 14, 50, 20 * 60, 75 * 60, 8 * 24 * 60]);
    prop_oneof![
        3 => wait.prop_map(|minutes| Step::Wait { minutes }),
        1 => (store.clone(), -SKEW_HOURS_MAX..SKEW_HOURS_MAX)
            .prop_map(|(store, skew_hours)| Step::SetClock { store, skew_hours }),
        6 => (store.clone(), 0..9_000_i64, any::<bool>())
            .prop_map(|(store, points, online)| Step::Sell { store, points, online }),
        5 => store.clone().prop_map(|store| Step::Confirm { store }),
        1 => store.clone().prop_map(|store| Step::GiveBack { store }),
        4 => store.prop_map(|store| Step::Sync { store }),
        1 => (1..5_000_i64, prop::option::of(0..20_u32))
            .prop_map(|(amount, days)| Step::HubCredit { amount, days }),
    ]
}

fn any_programme() -> impl Strategy<Value = Programme> {
    let life = prop::sample::select(vec![None, Some(1), Some(2), Some(5), Some(365)]);
    (
        life,
        0..4_u32,
        prop::sample::select(vec![1, 2, 24, 168]),
        0..=1_000_u32,
    )
        .prop_map(|(life, delay, allowance_hours, share)| {
            programme_with(|rules| {
                let account = rules
                    .accounts
                    .get_mut(&POINTS)
                    .expect("the starter has points");
                account.expires_after_days = life;
                account.active_after_days = delay;
                rules.offline.allowance_hours = allowance_hours;
                rules.offline.allowance_share_permille = share;
            })
        })
}

fn any_lots() -> impl Strategy<Value = Vec<(i64, u32, Option<u32>)>> {
    prop::collection::vec(
        (1..20_000_i64, 10..30_u32, prop::option::of(15..60_u32)),
        1..5,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn honest_stores_never_overdraw(
        programme in any_programme(),
        lots in any_lots(),
        steps in prop::collection::vec(any_step(), 1..80),
    ) {
        let mut world = World::new(programme, &lots);
        for step in &steps {
            world.step(step);
            world.check_debt();
        }
        for store in 0..STORES {
            world.sync(store);
        }
        world.check_debt();
        prop_assert_eq!(&world.hub.accounts, &world.truth.accounts);
    }

    #[test]
    fn open_rights_are_covered_to_their_end(
        programme in any_programme(),
        lots in any_lots(),
        steps in prop::collection::vec(any_step(), 1..80),
    ) {
        let mut world = World::new(programme, &lots);
        for step in &steps {
            if !matches!(step, Step::SetClock { .. }) {
                world.step(step);
            }
        }
        for store in 0..STORES {
            world.sync(store);
        }
        world.check_cover();
    }
}

fn holder(node: u32, seen: Stamp) -> Holder {
    Holder {
        node: NodeId(node),
        incarnation: Incarnation(1),
        seen,
    }
}

#[test]
fn a_store_gets_its_share_once() {
    let programme = programme_with(|_| ());
    let mut member = member(&[(30_000, 0, None)]);
    let moment = hours(12);
    let open = |member: &Member| member.outstanding(POINTS).0;
    for (node, after) in [(1, 15_000), (1, 15_000), (2, 30_000), (3, 30_000)] {
        placement::place(
            &mut member,
            &programme,
            holder(node, Stamp::default()),
            moment,
        )
        .unwrap();
        assert_eq!(open(&member), after, "after node {node}");
    }
    let short = placement::reserve(
        &mut member,
        &programme,
        holder(3, Stamp::default()),
        POINTS,
        Minor(1),
        moment,
    );
    let expected = Reservation::Short {
        available: Minor::ZERO,
        elsewhere: Minor(30_000),
    };
    assert_eq!(short.unwrap(), expected);
    let own = (NodeId(3), Incarnation(1));
    assert!(!placement::recall(
        &mut member,
        POINTS,
        own,
        Minor(1),
        |_| false
    ));
    assert!(placement::recall(
        &mut member,
        POINTS,
        own,
        Minor(15_000),
        |node| node == NodeId(2)
    ));
    let recalled: Vec<_> = member
        .allowances
        .values()
        .map(|right| right.recalled)
        .collect();
    assert_eq!(
        recalled,
        [false, true],
        "only whom the hub can reach is asked"
    );
}

#[test]
fn time_alone_frees_nothing() {
    let programme = programme_with(|_| ());
    let mut member = member(&[(10_000, 0, None)]);
    placement::place(
        &mut member,
        &programme,
        holder(1, Stamp::default()),
        hours(0),
    )
    .unwrap();
    let end = placement::due_ms(&member).unwrap();
    assert_eq!(end, hours(168).now_ms);
    placement::reclaim(&mut member, |_, _| None);
    placement::reclaim(&mut member, |_, _| Some(Stamp::from_ms(end - 1)));
    assert_eq!(
        placement::free_share(&member, POINTS, end, hours(500)).unwrap(),
        Minor(5_000)
    );
    placement::reclaim(&mut member, |_, _| Some(Stamp::from_ms(end)));
    assert_eq!(
        placement::free_share(&member, POINTS, end, hours(500)).unwrap(),
        Minor(10_000)
    );
}

#[test]
fn a_right_ends_by_its_holder_s_clock() {
    let programme = programme_with(|_| ());
    let mut member = member(&[(10_000, 0, Some(9))]);
    let ahead = Stamp::from_ms(hours(48).now_ms);
    placement::place(&mut member, &programme, holder(1, ahead), hours(0)).unwrap();
    assert_eq!(placement::due_ms(&member), Some(hours(48 + 168).now_ms));
    // A day further on the points would run out before the right does.
    let further = Stamp::from_ms(hours(96).now_ms);
    let none = placement::place(&mut member, &programme, holder(2, further), hours(0)).unwrap();
    assert_eq!(none, None);
}

/// Two stores whose clocks are almost a week behind: the points that became active meanwhile are to go first, as the
/// others outlive them and are granted in full.
#[test]
fn a_store_with_a_slow_clock_takes_the_points_that_back_its_right() {
    let mut world = World::new(
        programme_with(|_| ()),
        &[(6_524, 10, None), (4_828, 18, Some(28))],
    );
    world.now_ms = hours(24 * 24 + 18).now_ms;
    for store in [0, 1] {
        world.step(&Step::SetClock {
            store,
            skew_hours: -164,
        });
    }
    for (store, points) in [(1, 4_555), (0, 1_970)] {
        world.sell(store, points, true);
        assert!(
            world.stores[store].held.is_some(),
            "store {store} may redeem"
        );
    }
    world.confirm(0);
    world.confirm(1);
    world.check_debt();
}

#[test]
fn a_held_sale_is_written_before_its_right_ends() {
    let programme = programme_with(|rules| {
        rules.offline.allowance_hours = 1;
        rules.offline.allowance_share_permille = 1_000;
    });
    let offline = programme.rules().offline.clone();
    let mut world = World::new(programme, &[(10_000, 0, None)]);
    world.sync(0);
    world.now_ms += 3_600_000 - placement::margin_ms(&offline) - 1;
    world.sell(0, 9_000, false);
    assert!(
        world.stores[0].held.is_some(),
        "the last moment to authorise"
    );
    world.now_ms += u64::from(offline.hold_seconds) * 1_000;
    // The hub sees this log, takes back what it proves to have lapsed, and would find a use after that.
    world.sync(0);
    world.confirm(0);
    world.sync(0);
    assert_eq!(world.hub.purchases, 1);
}
