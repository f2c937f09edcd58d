//! What is known of a member when promotions ask: segments, birthdays, the past, and limits by period.

use kopilka_crdt::calendar::Date;
use kopilka_crdt::clock::{Day, Stamp};
use kopilka_crdt::ids::{AccountId, MemberId, PromotionId, StoreId};
use kopilka_crdt::ledger::Lot;
use kopilka_crdt::member::{DaySum, Member, Register, Usage};
use kopilka_crdt::money::Minor;
use kopilka_crdt::rulebook::model::Text;
use kopilka_crdt::rulebook::model::promotion::{
    Limit, LimitCount, LimitScope, OfflinePolicy, Period, Promotion,
};
use kopilka_rules::Programme;
use kopilka_rules::pricing::{Wishes, price};
use kopilka_rules::promotion::{Occasion, Outcome, Past, Shopper, Why};
use serde_json::{Value, json};

use crate::given::{line, lot, operation, programme_with};

const ONE: PromotionId = PromotionId(1);
const VIP: &str = "vip";

fn day(text: &str) -> Day {
    let date: Date = text.parse().expect("the test's date is one");
    date.0
}

fn promotion(fields: &Value) -> Promotion {
    let mut promotion = json!({
        "name": {"ru": "Акция", "en": "Promotion"}, "stage": "receipt",
        "effects": [{"kind": "discount", "off": {"by": "percent", "permille": 100}}],
    });
    let own = promotion.as_object_mut().expect("an object");
    own.extend(fields.as_object().expect("fields").clone());
    serde_json::from_value(promotion).expect("the test's promotion is one")
}

/// A programme with one promotion.
fn with(fields: &Value) -> Programme {
    programme_with(|rules| {
        rules
            .tags
            .insert(VIP.to_owned(), Text::new("Важные", "VIP"));
        rules.promotions.insert(ONE, promotion(fields));
    })
}

/// Why the promotion gives nothing; none when it gives something, or is not even asked.
fn why(programme: &Programme, shopper: &Shopper, occasion: &Occasion) -> Option<Why> {
    let receipt = [line("", "1", 10_000)];
    let quote = price(programme, shopper, occasion, &receipt, &Wishes::default())
        .expect("the test's receipt has a price");
    match quote.explained.first()?.outcome {
        Outcome::Gave { .. } => None,
        Outcome::Nothing(why) => Some(why),
    }
}

fn somebody() -> Shopper {
    Shopper {
        member: Some(MemberId(1)),
        tier: "base".to_owned(),
        ..Shopper::default()
    }
}

fn check(when: &Value, shopper: &Shopper, on: &str, expected: Option<Why>) {
    let programme = with(&json!({"when": when}));
    let found = why(&programme, shopper, &Occasion::at(day(on)));
    assert_eq!(found, expected, "{when} on {on}");
}

#[test]
fn birthdays_come_every_year() {
    let around = json!({"kind": "birthday", "days_before": 3, "days_after": 2});
    let born = |of: &str| Shopper {
        birthday: Some(of.parse().expect("a day of the year")),
        ..somebody()
    };
    for (of, on, expected) in [
        ("03-10", "2026-03-07", None),
        ("03-10", "2026-03-06", Some(1)),
        ("03-10", "2026-03-12", None),
        ("03-10", "2026-03-13", Some(359)),
        // Over the new year, both ways.
        ("01-02", "2026-12-30", None),
        ("01-02", "2026-12-29", Some(1)),
        ("12-31", "2027-01-02", None),
        ("12-31", "2027-01-03", Some(359)),
        // The 29th of February is the 28th in other years.
        ("02-29", "2028-02-26", None),
        ("02-29", "2028-03-02", None),
        ("02-29", "2028-03-03", Some(359)),
        ("02-29", "2026-02-25", None),
        ("02-29", "2026-03-02", None),
        ("02-29", "2026-03-03", Some(359)),
    ] {
        let expected = expected.map(|later| Why::Birthday(Some(later)));
        check(&around, &born(of), on, expected);
    }
    let unknown = Some(Why::Birthday(None));
    check(&around, &somebody(), "2026-03-10", unknown);
}

#[test]
fn the_past_says_by_how_much_it_fails() {
    let past = |past| Some(Why::History(past));
    let first = json!({"kind": "purchase_number", "of": [1, 5], "every": 10});
    for (before, expected) in [
        (0, None),
        (1, past(Past::Number(Some(3)))),
        (4, None),
        (5, past(Past::Number(Some(4)))),
        (9, None),
        (19, None),
        (20, past(Past::Number(Some(9)))),
    ] {
        let shopper = Shopper {
            purchases: before,
            ..somebody()
        };
        check(&first, &shopper, "2026-03-10", expected);
    }
    let once = json!({"kind": "purchase_number", "of": [1]});
    let second = Shopper {
        purchases: 1,
        ..somebody()
    };
    check(&once, &second, "2026-03-10", past(Past::Number(None)));
    check(
        &once,
        &Shopper::default(),
        "2026-03-10",
        past(Past::Unknown),
    );

    let bought = Shopper {
        joined: Some(day("2026-01-01")),
        last_purchase: Some(day("2026-02-24")),
        history: [(day("2026-02-24"), 5_000, 2), (day("2026-03-10"), 1_000, 1)]
            .map(|(on, paid, visits)| {
                let sum = DaySum {
                    paid: Minor(paid),
                    visits,
                    ..DaySum::default()
                };
                (on, sum)
            })
            .into(),
        ..somebody()
    };
    let spent = |paid| past(Past::Spent(Minor(paid)));
    for (when, on, expected) in [
        (
            json!({"kind": "last_purchase", "days_max": 14}),
            "2026-03-10",
            None,
        ),
        (
            json!({"kind": "last_purchase", "days_max": 14}),
            "2026-03-11",
            past(Past::LastPurchase(1)),
        ),
        (
            json!({"kind": "last_purchase", "days_min": 60}),
            "2026-03-10",
            past(Past::LastPurchase(-46)),
        ),
        (
            json!({"kind": "member_for", "days_min": 68}),
            "2026-03-10",
            None,
        ),
        (
            json!({"kind": "member_for", "days_min": 70}),
            "2026-03-10",
            past(Past::Membership(-2)),
        ),
        (
            json!({"kind": "member_for", "days_max": 30}),
            "2026-03-10",
            past(Past::Membership(38)),
        ),
        (
            json!({"kind": "spent", "days": 14, "min": 6_000}),
            "2026-03-10",
            None,
        ),
        (
            json!({"kind": "spent", "days": 13, "min": 6_000}),
            "2026-03-10",
            spent(-5_000),
        ),
        (
            json!({"kind": "spent", "days": 14, "max": 5_900}),
            "2026-03-10",
            spent(100),
        ),
        (
            json!({"kind": "visits", "days": 0, "min": 1}),
            "2026-03-10",
            None,
        ),
        (
            json!({"kind": "visits", "days": 14, "min": 5}),
            "2026-03-10",
            past(Past::Visits(-2)),
        ),
    ] {
        check(&when, &bought, on, expected);
    }
    let never = json!({"kind": "last_purchase", "days_max": 14});
    check(&never, &somebody(), "2026-03-10", past(Past::Unknown));
}

#[test]
fn without_the_hub_any_cardholder_will_do() {
    let asked = [
        json!({"kind": "tags", "of": [VIP]}),
        json!({"kind": "tiers", "of": ["gold"]}),
        json!({"kind": "birthday", "days_before": 0, "days_after": 0}),
    ];
    let today = day("2026-03-10");
    let offline = Occasion {
        online: false,
        ..Occasion::at(today)
    };
    for when in asked {
        for when in [when.clone(), json!({"kind": "not", "of": when})] {
            let programme = with(&json!({"when": when, "offline": "any_cardholder"}));
            assert_eq!(why(&programme, &somebody(), &offline), None, "{when}");
            assert!(
                why(&programme, &Shopper::default(), &offline).is_some(),
                "{when}"
            );
        }
        let programme = with(&json!({"when": when, "offline": "any_cardholder"}));
        let gave = |occasion| {
            let receipt = [line("", "1", 10_000)];
            let wishes = Wishes::default();
            let quote = price(&programme, &somebody(), occasion, &receipt, &wishes).unwrap();
            quote.total != Minor(10_000)
        };
        assert!(gave(&offline) && !gave(&Occasion::at(today)), "{when}");
    }
}

fn known() -> Member {
    let register = |on: bool| Register {
        written: (Stamp::default(), operation(1, 1)),
        value: on,
    };
    let mut member = Member {
        purchases: 3,
        ..Member::default()
    };
    member.tags.insert(VIP.to_owned(), register(true));
    member.tags.insert("passive".to_owned(), register(false));
    member.shown.birthday = Some("03-10".parse().expect("a day of the year"));
    for (on, paid) in [
        ("2026-01-31", 100),
        ("2026-02-28", 200),
        ("2026-03-10", 300),
    ] {
        let sum = DaySum {
            paid: Minor(paid),
            visits: 1,
            ..DaySum::default()
        };
        member.history.add(day(on), sum).expect("small amounts");
        let used = member.used.entry(ONE).or_default();
        let usage = Usage {
            receipts: 1,
            off: Minor(paid),
            points: Minor(7),
        };
        used.add(day(on), usage).expect("small amounts");
    }
    member
}

#[test]
fn a_members_state_answers_what_promotions_ask() {
    let today = day("2026-03-10");
    let plain = Shopper::of(&with(&json!({})), &known(), today).unwrap();
    assert_eq!(plain.tags, [VIP]);
    assert_eq!(plain.birthday, Some("03-10".parse().unwrap()));
    assert_eq!(plain.purchases, 3);
    assert!(plain.history.is_empty(), "nothing looks back");

    let deep = json!({"kind": "all", "of": [
        {"kind": "not", "of": {"kind": "spent", "days": 10, "min": 1}},
        {"kind": "any", "of": [{"kind": "visits", "days": 5, "min": 1}]},
    ]});
    let looking = Shopper::of(&with(&json!({"when": deep})), &known(), today).unwrap();
    let days: Vec<_> = looking.history.keys().copied().collect();
    assert_eq!(days, [day("2026-02-28"), today], "10 days back");
}

#[test]
fn limits_of_a_member_are_counted_over_their_period() {
    let limit = |period, count| Limit {
        scope: LimitScope::Member,
        period,
        count,
        most: 1_000,
    };
    let limits = [
        limit(Period::Ever, LimitCount::Money),
        limit(Period::Year, LimitCount::Uses),
        limit(Period::Month, LimitCount::Money),
        limit(Period::Day, LimitCount::Points),
    ];
    let programme = programme_with(|rules| {
        let mut one = promotion(&json!({}));
        one.limits = limits.to_vec();
        rules.promotions.insert(ONE, one);
    });
    for (on, expected) in [
        ("2026-03-10", [600, 3, 300, 7]),
        ("2026-03-31", [600, 3, 300, 0]),
        ("2026-02-01", [600, 3, 200, 0]),
        ("2027-01-01", [600, 0, 0, 0]),
    ] {
        let shopper = Shopper::of(&programme, &known(), day(on)).unwrap();
        let used: Vec<_> = shopper.used.values().copied().collect();
        assert_eq!(used, expected, "on {on}");
    }
}

#[test]
fn records_count_limits_of_stores_and_of_the_programme() {
    let limit = |scope| Limit {
        scope,
        period: Period::Month,
        count: LimitCount::Uses,
        most: 10,
    };
    let of_three = |offline| {
        programme_with(|rules| {
            let mut one = promotion(&json!({}));
            one.limits = [
                LimitScope::Receipt,
                LimitScope::Store,
                LimitScope::Programme,
            ]
            .map(limit)
            .to_vec();
            one.offline = offline;
            if offline == OfflinePolicy::Allowance {
                one.limits.remove(1);
                one.limits[1].period = Period::Ever;
            }
            rules.promotions.insert(ONE, one);
            let off = Promotion {
                enabled: false,
                ..promotion(&json!({"limits": [{"scope": "store", "most": 1}]}))
            };
            rules.promotions.insert(PromotionId(2), off);
        })
    };
    let counted = of_three(OfflinePolicy::Free);
    let records = counted.limit_records(StoreId(7));
    let names: Vec<_> = records.iter().map(|one| (one.place, one.record)).collect();
    let store = MemberId::of_limit(ONE, Some(StoreId(7)));
    assert_eq!(names, [(1, store), (2, MemberId::of_limit(ONE, None))]);
    let today = day("2026-03-31");
    let mut shopper = somebody();
    shopper
        .count_record(&counted, ONE, 1, &known(), today)
        .unwrap();
    shopper
        .count_record(&counted, ONE, 2, &Member::default(), today)
        .unwrap();
    shopper
        .count_record(&counted, ONE, 9, &known(), today)
        .unwrap();
    assert_eq!(shopper.used, [((ONE, 1), 1), ((ONE, 2), 0)].into());

    let budget = of_three(OfflinePolicy::Allowance);
    let mut record = Member::default();
    for (left, used) in [(None, 10), (Some(4), 6), (Some(12), 0)] {
        let lots = &mut record.accounts.entry(AccountId::BUDGET).or_default().lots;
        if let Some(left) = left {
            let credited = Lot {
                amount: Minor(20),
                taken: Minor(20 - left),
                ..Lot::default()
            };
            lots.insert(lot(1), credited);
        }
        shopper
            .count_record(&budget, ONE, 1, &record, today)
            .unwrap();
        assert_eq!(shopper.used.get(&(ONE, 1)), Some(&used), "of {left:?}");
    }
}
