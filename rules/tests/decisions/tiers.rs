//! Tiers by windows and periods: the seeds' thresholds, demotion, grace, returns, and a slow model that must agree.

use kopilka_crdt::calendar::Date;
use kopilka_crdt::clock::Day;
use kopilka_crdt::ledger::{Cause, Lot};
use kopilka_crdt::member::{DaySum, Member};
use kopilka_crdt::money::Minor;
use kopilka_crdt::rulebook::model::{Text, TierMeasure, TierRules, TierWindow, Tiering};
use kopilka_rules::Programme;
use proptest::prelude::*;

use crate::given::{POINTS, lot, programme, programme_with};

/// 10 001.00 in minor units: what the seeds' second tier starts after is 10 000.00.
const GOLD: i64 = 1_000_100;

fn day(text: &str) -> Day {
    let date: Date = text.parse().expect("the test's date is one");
    date.0
}

fn over(window: TierWindow, grace_days: u16) -> Programme {
    programme_with(|rules| {
        rules.tiering = Tiering {
            measure: TierMeasure::Paid,
            window,
            grace_days,
        };
    })
}

fn buy(member: &mut Member, day: Day, paid: i64) {
    let sum = DaySum {
        paid: Minor(paid),
        earned: Minor(paid / 20),
        visits: 1,
    };
    member.history.add(day, sum).expect("small amounts");
    member.counted = member.counted.plus(Minor(paid)).expect("small amounts");
    member.purchases += 1;
}

fn buyer(bought: &[(&str, i64)]) -> Member {
    let mut member = Member::default();
    for (on, paid) in bought {
        buy(&mut member, day(on), *paid);
    }
    member
}

/// In which tier a member is on days.
fn check(programme: &Programme, member: &Member, expected: &[(&str, &str)]) {
    for (on, tier) in expected {
        assert_eq!(programme.tier_of(member, day(on)).code, *tier, "on {on}");
    }
}

fn until(programme: &Programme, member: &Member, on: &str) -> Option<String> {
    let last = programme.standing(member, day(on)).until;
    last.map(|last| Date(last).to_string())
}

#[test]
fn the_seeds_thresholds_are_exact() {
    let starter = programme();
    for (roubles, kopecks, code, permille) in [
        (0, 0, "base", 50),
        (10_000, 0, "base", 50),
        (10_000, 1, "gold", 100),
        (10_001, 0, "gold", 100),
        (30_000, 0, "gold", 100),
        (30_000, 1, "platinum", 150),
        (30_001, 0, "platinum", 150),
    ] {
        let member = buyer(&[("2020-02-29", roubles * 100 + kopecks)]);
        let tier = starter.tier_of(&member, day("2026-11-22"));
        assert_eq!((tier.code.as_str(), tier.earn_permille), (code, permille));
        assert_eq!(until(&starter, &member, "2026-11-22"), None);
    }
    let names = [
        ("Новичок", 0),
        ("Любитель", 1_000_001),
        ("Профессионал", 2_000_001),
    ];
    let seeds = programme_with(|rules| {
        let tier = |(name, from): (&str, i64)| TierRules {
            code: name.to_lowercase(),
            name: Text::new(name, name),
            from_minor: Minor(from),
            earn_permille: 50,
        };
        rules.tiers = names.into_iter().map(tier).collect();
    });
    for (roubles, name) in [
        (0, "Новичок"),
        (10_000, "Новичок"),
        (10_001, "Любитель"),
        (20_000, "Любитель"),
        (20_001, "Профессионал"),
    ] {
        let member = buyer(&[("2026-01-01", roubles * 100)]);
        let tier = seeds.tier_of(&member, day("2026-01-01"));
        assert_eq!(tier.name.ru, name, "{roubles}");
    }
}

#[test]
fn a_rolling_window_forgets_day_by_day() {
    let member = buyer(&[("2026-01-01", 500_000), ("2026-01-10", 500_100)]);
    let month = over(TierWindow::Rolling { days: 30 }, 0);
    let expected = [
        ("2026-01-09", "base"),
        ("2026-01-10", "gold"),
        ("2026-01-30", "gold"),
        ("2026-01-31", "base"),
    ];
    check(&month, &member, &expected);
    assert_eq!(
        until(&month, &member, "2026-01-10").unwrap(),
        "2026-01-30",
        "the first purchase is one of 30 days up to then"
    );
    assert_eq!(until(&month, &member, "2026-01-31"), None);
    let graced = over(TierWindow::Rolling { days: 30 }, 10);
    check(
        &graced,
        &member,
        &[("2026-02-09", "gold"), ("2026-02-10", "base")],
    );
    assert_eq!(until(&graced, &member, "2026-02-05").unwrap(), "2026-02-09");
    let today = over(TierWindow::Rolling { days: 1 }, 0);
    let member = buyer(&[("2026-01-10", GOLD)]);
    check(
        &today,
        &member,
        &[("2026-01-10", "gold"), ("2026-01-11", "base")],
    );
}

#[test]
fn a_period_keeps_its_tier_to_the_end_of_the_next() {
    let cases = [
        (TierWindow::Month, "2026-01-15", "2026-02-28", "2026-03-01"),
        (TierWindow::Month, "2028-01-31", "2028-02-29", "2028-03-01"),
        (TierWindow::Month, "2026-12-31", "2027-01-31", "2027-02-01"),
        (
            TierWindow::Quarter,
            "2026-01-01",
            "2026-06-30",
            "2026-07-01",
        ),
        (
            TierWindow::Quarter,
            "2026-12-31",
            "2027-03-31",
            "2027-04-01",
        ),
        (TierWindow::Year, "2026-05-09", "2027-12-31", "2028-01-01"),
        (TierWindow::Year, "2028-02-29", "2029-12-31", "2030-01-01"),
    ];
    for (window, bought, last, gone) in cases {
        let programme = over(window, 0);
        let member = buyer(&[(bought, GOLD)]);
        let expected = [(bought, "gold"), (last, "gold"), (gone, "base")];
        check(&programme, &member, &expected);
        assert_eq!(until(&programme, &member, bought).unwrap(), last);
    }
}

#[test]
fn at_the_end_of_a_year_a_member_falls_to_what_they_reached_in_it() {
    let year = over(TierWindow::Year, 0);
    let member = buyer(&[("2026-06-01", 3_000_100), ("2027-06-01", GOLD)]);
    let expected = [
        ("2026-05-31", "base"),
        ("2026-06-01", "platinum"),
        ("2027-12-31", "platinum"),
        ("2028-01-01", "gold"),
        ("2028-12-31", "gold"),
        ("2029-01-01", "base"),
    ];
    check(&year, &member, &expected);
    // What was bought in two years together is not a sum of one.
    let halves = buyer(&[("2026-12-31", 600_000), ("2027-01-01", 600_000)]);
    check(&year, &halves, &[("2027-01-01", "base")]);
}

#[test]
fn grace_of_a_year_reaches_back_three() {
    let year = over(TierWindow::Year, 366);
    let mut member = buyer(&[("2024-01-01", GOLD)]);
    // More days than are kept however old they are.
    for later in 1..=200 {
        buy(&mut member, day("2026-06-01").plus(later), 100);
    }
    check(
        &year,
        &member,
        &[
            ("2025-12-31", "gold"),
            ("2027-01-01", "gold"),
            ("2027-01-02", "base"),
        ],
    );
    assert_eq!(until(&year, &member, "2026-11-22").unwrap(), "2027-01-01");
}

#[test]
fn a_return_takes_a_tier_away_at_once() {
    let windows = [
        TierWindow::Lifetime,
        TierWindow::Rolling { days: 30 },
        TierWindow::Month,
        TierWindow::Year,
    ];
    for window in windows {
        let grace = if window == TierWindow::Lifetime {
            0
        } else {
            30
        };
        let programme = over(window, grace);
        let mut member = buyer(&[("2026-03-01", GOLD), ("2026-03-05", 100)]);
        check(&programme, &member, &[("2026-03-05", "gold")]);
        // As the fold counts a return: off the day of the purchase.
        let back = DaySum {
            paid: Minor(-GOLD),
            earned: Minor(0),
            visits: -1,
        };
        member.history.add(day("2026-03-01"), back).unwrap();
        member.counted = Minor(100);
        member.taken_back = Minor(GOLD);
        check(&programme, &member, &[("2026-03-05", "base")]);
        let honoured = programme.honoured(&member).iter();
        let honoured: Vec<_> = honoured.map(|tier| tier.code.as_str()).collect();
        assert_eq!(honoured, ["base", "gold"], "a store may not have known");
    }
}

#[test]
fn visits_and_points_are_measures_too() {
    let measured = |measure, window| {
        programme_with(|rules| {
            rules.tiers[1].from_minor = Minor(3);
            rules.tiers[2].from_minor = Minor(5);
            rules.tiering = Tiering {
                measure,
                window,
                grace_days: 0,
            };
        })
    };
    let member = buyer(&[("2026-03-01", 20), ("2026-03-02", 20), ("2026-03-31", 20)]);
    let on = |programme: &Programme| programme.tier_of(&member, day("2026-03-31")).code.clone();
    let rolling = TierWindow::Rolling { days: 30 };
    assert_eq!(
        on(&measured(TierMeasure::Visits, TierWindow::Lifetime)),
        "gold"
    );
    assert_eq!(on(&measured(TierMeasure::Visits, rolling)), "base");
    assert_eq!(
        on(&measured(TierMeasure::Points, TierWindow::Month)),
        "gold"
    );
    assert_eq!(on(&measured(TierMeasure::Points, rolling)), "base");
    let visits = measured(TierMeasure::Visits, TierWindow::Lifetime);
    assert_eq!(visits.honoured(&Member::default()).len(), 3);

    let points = measured(TierMeasure::Points, TierWindow::Lifetime);
    let mut earner = Member::default();
    let lots = &mut earner.accounts.entry(POINTS).or_default().lots;
    for (place, (amount, withdrawn, cause)) in (1..).zip([
        (4, 0, Cause::Purchase),
        (2, 2, Cause::Purchase),
        (100, 0, Cause::Welcome),
    ]) {
        let credited = Lot {
            amount: Minor(amount),
            taken: Minor(1),
            withdrawn: Minor(withdrawn),
            cause,
            ..Lot::default()
        };
        lots.insert(lot(place), credited);
    }
    assert_eq!(points.tier_of(&earner, day("2026-03-31")).code, "gold");
    assert_eq!(points.honoured(&earner).len(), 3);
}

#[test]
fn a_till_can_say_what_is_missing() {
    let year = over(TierWindow::Year, 0);
    let member = buyer(&[("2026-06-01", 3_000_100), ("2027-02-01", 200_000)]);
    let missing = |on: &str| {
        let standing = year.standing(&member, day(on));
        let next = standing
            .next
            .map(|(tier, missing)| (tier.code.as_str(), missing.0));
        (standing.tier.code.as_str(), next)
    };
    assert_eq!(missing("2026-05-01"), ("base", Some(("gold", 1_000_001))));
    assert_eq!(missing("2027-03-01"), ("platinum", None));
    assert_eq!(missing("2028-01-01"), ("base", Some(("gold", 1_000_001))));
    let lifetime = programme();
    let member = buyer(&[("2020-01-01", 966_000)]);
    let standing = lifetime.standing(&member, day("2026-01-01"));
    assert_eq!(standing.next.unwrap().1, Minor(34_001));
}

/// The sum of purchases on days from one to another.
fn slow_sum(bought: &[(u32, i64)], first: u32, last: u32) -> i64 {
    let inside = bought.iter().filter(|(on, _)| (first..=last).contains(on));
    inside.map(|(_, paid)| paid).sum()
}

/// A tier by the words of the rule book, day by day.
fn slow(bought: &[(u32, i64)], tiering: Tiering, today: u32) -> i64 {
    let months = match tiering.window {
        TierWindow::Lifetime => return bought.iter().map(|(_, paid)| paid).sum(),
        TierWindow::Rolling { .. } | TierWindow::Month => 1,
        TierWindow::Quarter => 3,
        TierWindow::Year => 12,
    };
    let period = |on: u32| {
        let (year, of) = Day(on).civil();
        (year * 12 + i64::from(of.month) - 1) / months
    };
    let on_day = |on: u32| match tiering.window {
        TierWindow::Rolling { days } => slow_sum(bought, on + 1 - u32::from(days), on),
        TierWindow::Lifetime | TierWindow::Month | TierWindow::Quarter | TierWindow::Year => {
            let of = |number: i64| {
                let inside = bought
                    .iter()
                    .filter(|(day, _)| *day <= on && period(*day) == number);
                inside.map(|(_, paid)| *paid).sum::<i64>()
            };
            of(period(on)).max(of(period(on) - 1))
        }
    };
    let graced = today - u32::from(tiering.grace_days);
    (graced..=today).map(on_day).max().expect("at least today")
}

fn tiering() -> impl Strategy<Value = Tiering> {
    let window = prop_oneof![
        Just(TierWindow::Lifetime),
        (1..=366_u16).prop_map(|days| TierWindow::Rolling { days }),
        Just(TierWindow::Month),
        Just(TierWindow::Quarter),
        Just(TierWindow::Year),
    ];
    let grace = prop_oneof![Just(0), 1..=366_u16];
    (window, grace).prop_map(|(window, grace_days)| Tiering {
        measure: TierMeasure::Paid,
        window,
        grace_days: if window == TierWindow::Lifetime {
            0
        } else {
            grace_days
        },
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn windows_agree_with_a_slow_model(
        tiering in tiering(),
        bought in prop::collection::vec((20_000..21_097_u32, 0..600_000_i64), 0..40),
        more in (20_000..21_097_u32, 0..2_000_000_i64),
        turn in any::<prop::sample::Index>(),
    ) {
        let programme = programme_with(|rules| rules.tiering = tiering);
        let today = Day(21_096);
        let member = |bought: &[(u32, i64)]| {
            let mut member = Member::default();
            bought.iter().for_each(|(on, paid)| buy(&mut member, Day(*on), *paid));
            member
        };
        let one = member(&bought);
        let tier = programme.tier_of(&one, today);
        prop_assert_eq!(tier, programme.tier(Minor(slow(&bought, tiering, today.0))));

        // It holds to its last day and not a day longer.
        if let Some(last) = programme.standing(&one, today).until {
            prop_assert!(last >= today);
            prop_assert!(programme.tier_of(&one, last).from_minor >= tier.from_minor);
            prop_assert!(programme.tier_of(&one, last.plus(1)).from_minor < tier.from_minor);
        }

        // What is missing to the next tier is exactly enough today.
        if let Some((above, missing)) = programme.standing(&one, today).next {
            for (short, reached) in [(0, true), (1, false)] {
                let mut richer = one.clone();
                buy(&mut richer, today, missing.0 - short);
                let is = programme.tier_of(&richer, today).from_minor >= above.from_minor;
                prop_assert_eq!(is, reached);
            }
        }

        // More purchases never lower a tier, and their order does not matter.
        let mut all = bought.clone();
        all.push(more);
        let richer = member(&all);
        prop_assert!(programme.tier_of(&richer, today).from_minor >= tier.from_minor);
        all.rotate_left(turn.index(bought.len() + 1));
        all.reverse();
        prop_assert_eq!(member(&all), richer);
    }
}
