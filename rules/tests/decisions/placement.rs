//! Rights to spend over random histories: honest stores, offline for as long as they like and with clocks that are wrong
//! by as much as they like, never take an account below zero.

use kopilka_crdt::clock::Stamp;
use kopilka_crdt::ids::{AccountId, Incarnation, MemberId, NodeId, PromotionId};
use kopilka_crdt::member::Member;
use kopilka_crdt::money::Minor;
use kopilka_crdt::rulebook::model::{AccountRules, SeriesRules, Text};
use kopilka_rules::Programme;
use kopilka_rules::placement::{self, Holder, Reservation};
use proptest::prelude::*;

use crate::given::{POINTS, hours, member, programme_with};
use crate::world::{STORES, Step, World};

const ANNA: MemberId = MemberId(1);
const COUPONS: AccountId = AccountId(2);
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
            ANNA,
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
        ANNA,
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
    placement::place(ANNA, &mut member, &programme, holder(1, ahead), hours(0)).unwrap();
    assert_eq!(placement::due_ms(&member), Some(hours(48 + 168).now_ms));
    // A day further on the points would run out before the right does.
    let further = Stamp::from_ms(hours(96).now_ms);
    let none =
        placement::place(ANNA, &mut member, &programme, holder(2, further), hours(0)).unwrap();
    assert_eq!(none, []);
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

/// The starter programme with a series of coupons on account 2, and two promotions with budgets: stores hold rights to
/// that of promotion 1, and ask for that of promotion 2.
fn with_coupons_and_budgets() -> Programme {
    programme_with(|rules| {
        let points = rules.accounts[&POINTS].clone();
        let account = AccountRules {
            code: "coupons".to_owned(),
            ..points
        };
        rules.accounts.insert(COUPONS, account);
        let series = SeriesRules {
            name: Text::new("Купон", "Coupon"),
            account: COUPONS,
            per_member_max: None,
            transferable: false,
            comes_back: true,
        };
        rules.coupons.insert("next".to_owned(), series);
        for (number, policy) in [(1, "allowance"), (2, "online")] {
            let promotion = serde_json::json!({
                "name": { "ru": "Первым", "en": "First come" }, "stage": "receipt", "offline": policy,
                "effects": [{ "kind": "discount", "off": { "by": "percent", "permille": 100 } }],
                "limits": [{ "scope": "programme", "most": 1_000 }],
            });
            let promotion = serde_json::from_value(promotion).expect("a promotion");
            rules.promotions.insert(PromotionId(number), promotion);
        }
    })
}

/// A member or record with so much on one account.
fn with(account: AccountId, amount: i64) -> Member {
    let mut member = member(&[(amount, 0, None)]);
    let lots = member.accounts.remove(&POINTS).expect("points");
    member.accounts.insert(account, lots);
    member
}

/// What rights are open after each of these stores was visited in turn.
fn placed(id: MemberId, mut member: Member, account: AccountId, nodes: &[u32]) -> Vec<i64> {
    let programme = with_coupons_and_budgets();
    let visit = |node: &u32| {
        let holder = holder(*node, Stamp::default());
        placement::place(id, &mut member, &programme, holder, hours(12)).expect("small sums");
        member.outstanding(account).0
    };
    nodes.iter().map(visit).collect()
}

#[test]
fn a_coupon_lies_with_the_store_where_its_member_shops() {
    let visits = |coupons| placed(ANNA, with(COUPONS, coupons), COUPONS, &[1, 1, 2]);
    assert_eq!(
        visits(1),
        [1, 1, 1],
        "the only one stays at the first store"
    );
    assert_eq!(visits(3), [2, 2, 3], "a share, rounded up");
    let elsewhere = AccountId(3);
    let unknown = placed(ANNA, with(elsewhere, 900), elsewhere, &[1]);
    assert_eq!(unknown, [0], "nothing can be spent from other accounts");
}

#[test]
fn a_coupon_is_reserved_on_the_spot() {
    let programme = with_coupons_and_budgets();
    let mut member = with(COUPONS, 1);
    let mut reserve = |node| {
        let holder = holder(node, Stamp::default());
        let one = Minor(1);
        placement::reserve(&mut member, &programme, holder, COUPONS, one, hours(12)).unwrap()
    };
    assert!(matches!(reserve(1), Reservation::Granted(_)));
    let elsewhere = Minor(1);
    let expected = Reservation::Short {
        available: Minor::ZERO,
        elsewhere,
    };
    assert_eq!(reserve(2), expected);
}

#[test]
fn a_budget_is_placed_in_small_parts_and_only_where_the_rules_let_stores_hold_it() {
    let [shared, asked_for] =
        [1, 2].map(|promotion| MemberId::of_limit(PromotionId(promotion), None));
    let visits = |record| {
        let budget = with(AccountId::BUDGET, 1_000);
        placed(record, budget, AccountId::BUDGET, &[1, 1, 2, 3])
    };
    assert_eq!(visits(shared), [50, 50, 98, 144]);
    assert_eq!(visits(asked_for), [0, 0, 0, 0]);
}

#[test]
fn a_budget_is_filled_up_when_half_of_it_is_used() {
    let programme = with_coupons_and_budgets();
    let record = MemberId::of_limit(PromotionId(1), None);
    let mut member = with(AccountId::BUDGET, 1_000);
    let mut after_using = |used: i64| {
        let holder = holder(1, Stamp::default());
        for right in member.allowances.values_mut().take(1) {
            right.used = Minor(used);
        }
        let granted = placement::place(record, &mut member, &programme, holder, hours(12));
        granted.unwrap().len()
    };
    assert_eq!([0, 24, 26].map(&mut after_using), [1, 0, 1]);
}

#[test]
fn a_budget_is_spread_evenly_and_once() {
    let programme = with_coupons_and_budgets();
    let stores = [1, 2, 3].map(|node| holder(node, Stamp::default()));
    let mut budget = with(AccountId::BUDGET, 1_000);
    for _ in 0..2 {
        placement::spread(&mut budget, &programme, &stores, hours(12)).unwrap();
        let rights: Vec<_> = budget
            .allowances
            .values()
            .map(|right| right.amount.0)
            .collect();
        assert_eq!(rights, [166, 166, 166]);
    }
    let mut small = with(AccountId::BUDGET, 5);
    placement::spread(&mut small, &programme, &stores, hours(12)).unwrap();
    assert_eq!(
        small.outstanding(AccountId::BUDGET),
        Minor::ZERO,
        "too little for all"
    );
}
