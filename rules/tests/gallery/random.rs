//! The laws over random rule books and random receipts.

use kopilka_crdt::clock::Day;
use kopilka_crdt::ids::{AccountId, MemberId, PromotionId};
use kopilka_crdt::money::{Milli, Minor};
use kopilka_rules::pricing::{ReceiptLine, Wish, Wishes, price};
use kopilka_rules::promotion::{Occasion, Shopper};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use crate::laws::{Priced, broken};
use crate::programme;

const TODAY: Day = Day(20_522);
const PROMOTIONS_MAX: usize = 8;
const LINES_MAX: usize = 8;

fn filter() -> impl Strategy<Value = Value> {
    select(vec![
        json!({}),
        json!({"skus": ["A"]}),
        json!({"skus": ["A", "B", "C"]}),
        json!({"groups": ["food"]}),
        json!({"groups": ["bread"]}),
        json!({"attributes": {"brand": ["own"]}}),
        json!({"except": {"skus": ["A"]}}),
        json!({"price_min": 500}),
        json!({"quantity_min": 2_000}),
    ])
}

fn measure() -> impl Strategy<Value = Value> {
    select(vec![json!("before_discounts"), json!("after_discounts")])
}

fn pick() -> impl Strategy<Value = Value> {
    select(vec![json!("cheapest"), json!("dearest"), json!("receipt")])
}

fn spread() -> impl Strategy<Value = Value> {
    select(vec![json!("prorata"), json!("cheapest_first")])
}

fn condition() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        (measure(), option::of(filter()), 0..3_000_i64).prop_map(|(measure, goods, min)| {
            json!({"kind": "total", "measure": measure, "goods": goods, "min": min})
        }),
        (filter(), 0..4_000_u64).prop_map(|(goods, least)| {
            json!({"kind": "goods", "goods": goods, "quantity_min": least})
        }),
        select(vec![
            json!({"kind": "tiers", "of": ["gold"]}),
            json!({"kind": "tags", "of": ["vip"]}),
            json!({"kind": "promo_codes", "of": ["summer"]}),
            json!({"kind": "coupons", "of": ["S"]}),
            json!({"kind": "purchase_number", "of": [1], "every": 2}),
            json!({"kind": "hours", "of": [{"from": "10:00", "to": "13:00"}]}),
        ]),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 1..3).prop_map(|of| json!({"kind": "all", "of": of})),
            vec(inner.clone(), 1..3).prop_map(|of| json!({"kind": "any", "of": of})),
            inner.prop_map(|of| json!({"kind": "not", "of": of})),
        ]
    })
}

fn off() -> impl Strategy<Value = Value> {
    prop_oneof![
        (1..=1_000_u32).prop_map(|permille| json!({"by": "percent", "permille": permille})),
        (1..3_000_i64, spread())
            .prop_map(|(minor, spread)| json!({"by": "amount", "minor": minor, "spread": spread})),
        (1..500_i64).prop_map(|minor| json!({"by": "unit_amount", "minor": minor})),
        vec(1..500_i64, 1..4).prop_map(|minor| json!({"by": "unit_amounts", "minor": minor})),
        (1..1_000_i64).prop_map(|minor| json!({"by": "unit_price", "minor": minor})),
        (measure(), 1..500_u32).prop_map(|(measure, permille)| {
            let steps = [
                json!({"from": 500, "permille": permille}),
                json!({"from": 2_000, "permille": 2 * permille}),
            ];
            json!({"by": "steps", "measure": measure, "steps": steps})
        }),
    ]
}

fn target() -> impl Strategy<Value = Value> {
    let units = (filter(), pick(), 1..4_u32, option::of(1..5_u32)).prop_flat_map(
        |(goods, pick, group, most)| {
            (1..=group).prop_map(move |take| {
                json!({
                    "of": "units", "goods": goods, "pick": pick, "group": group, "take": take,
                    "units_max": most,
                })
            })
        },
    );
    prop_oneof![
        Just(json!({"of": "receipt"})),
        filter().prop_map(|goods| json!({"of": "lines", "goods": goods})),
        units,
    ]
}

fn lowering() -> impl Strategy<Value = Value> {
    let set_off = prop_oneof![
        (1..=1_000_u32).prop_map(|permille| json!({"by": "percent", "permille": permille})),
        (1..2_000_i64, spread())
            .prop_map(|(minor, spread)| json!({"by": "amount", "minor": minor, "spread": spread})),
        (1..2_000_i64).prop_map(|minor| json!({"by": "price", "minor": minor})),
    ];
    prop_oneof![
        4 => (off(), target(), select(vec!["current", "original"])).prop_map(|(off, target, base)| {
            json!({"kind": "discount", "off": off, "target": target, "base": base})
        }),
        2 => (filter(), 1..4_u32, option::of(filter()), 1..4_u32, 1..=1_000_u32, pick()).prop_map(
            |(buy, buy_units, get, get_units, off, pick)| json!({
                "kind": "buy_get", "buy": buy, "buy_units": buy_units, "get": get,
                "get_units": get_units, "off_permille": off, "pick": pick,
            })
        ),
        1 => (vec((filter(), 1..3_u32), 1..3), set_off).prop_map(|(parts, off)| {
            let part = |(goods, units)| json!({"goods": goods, "units": units});
            let parts: Vec<_> = parts.into_iter().map(part).collect();
            json!({"kind": "set", "parts": parts, "off": off})
        }),
    ]
}

fn crediting() -> impl Strategy<Value = Value> {
    let how = prop_oneof![
        (1..500_u32, measure()).prop_map(|(permille, measure)| {
            json!({"by": "percent", "permille": permille, "measure": measure})
        }),
        (1_001..5_000_u32).prop_map(|permille| json!({"by": "multiply", "permille": permille})),
        (1..5_000_i64).prop_map(|minor| json!({"by": "fixed", "minor": minor})),
        (1..500_i64).prop_map(|minor| json!({"by": "unit", "minor": minor})),
        (1..2_000_i64, 1..500_i64, measure()).prop_map(|(every, minor, measure)| {
            json!({"by": "stepped", "every": every, "minor": minor, "measure": measure})
        }),
    ];
    (how, option::of(filter()), option::of(1..=2_u16)).prop_map(|(how, goods, account)| {
        json!({"kind": "points", "how": how, "goods": goods, "account": account})
    })
}

fn issuing() -> impl Strategy<Value = Value> {
    select(vec![
        json!({"kind": "issue_coupon", "series": "S"}),
        json!({"kind": "gift", "code": "tea", "count": 2}),
        json!({"kind": "gift_goods", "sku": "A", "units": 1}),
        json!({"kind": "badge", "code": "crown"}),
    ])
}

fn limits() -> impl Strategy<Value = Vec<Value>> {
    let limit = select(vec![
        json!({"scope": "receipt", "count": "money", "most": 700}),
        json!({"scope": "receipt", "count": "points", "most": 300}),
        json!({"scope": "member", "period": "day", "count": "uses", "most": 1}),
        json!({"scope": "member", "count": "money", "most": 900}),
        json!({"scope": "member", "period": "month", "count": "points", "most": 400}),
        json!({"scope": "store", "count": "money", "most": 900}),
    ]);
    vec(limit, 0..2)
}

fn promotion() -> impl Strategy<Value = Value> {
    let acts = prop_oneof![
        3 => (select(vec!["lines", "receipt", "coupons"]), vec(lowering(), 1..3)),
        1 => (Just("earning"), vec(crediting(), 1..3)),
        1 => (Just("issue"), vec(issuing(), 1..3)),
    ];
    let order = (-2..3_i32, option::of(select(vec!["first", "best"])));
    let reward = option::weighted(0.15, 100..2_000_i64);
    let last = prop::bool::weighted(0.1);
    (acts, option::of(condition()), limits(), order, reward, last).prop_map(
        |((stage, effects), when, limits, (priority, group), reward, last)| {
            json!({
                "name": {"ru": "Акция", "en": "Promotion"}, "stage": stage, "priority": priority,
                "group": group, "when": when, "effects": effects, "limits": limits, "last": last,
                "price": reward.map(|minor| json!({"minor": minor})),
            })
        },
    )
}

fn rule_book() -> impl Strategy<Value = Value> {
    let bounds = option::of((300..=1_000_u32, 300..=1_000_u32));
    let rounding = select(vec!["floor", "half_up", "half_even"]);
    let promotions = vec(promotion(), 1..=PROMOTIONS_MAX);
    (promotions, bounds, rounding).prop_map(|(promotions, bounds, rounding)| {
        let numbered = (1..).zip(promotions);
        let promotions: Map<_, _> = numbered
            .map(|(number, one): (u32, _)| (number.to_string(), one))
            .collect();
        let (line, receipt) = bounds.unwrap_or((1_000, 1_000));
        json!({
            "accounts": {
                "2": {
                    "code": "gift", "name": {"ru": "Подарочные", "en": "Gift points"},
                    "active_after_days": 0, "expires_after_days": 30,
                },
                "3": {
                    "code": "s", "name": {"ru": "Купоны", "en": "Coupons"},
                    "active_after_days": 0, "expires_after_days": 30,
                },
            },
            "payments": [{
                "account": 2, "share_permille_max": 700, "amount_min_minor": 20, "step_minor": 10,
                "goods": {"skus": ["A", "B"]},
            }],
            "coupons": {"S": {
                "name": {"ru": "Купон", "en": "Coupon"}, "account": 3, "per_member_max": 2,
            }},
            "tags": {"vip": {"ru": "Важный", "en": "Important"}},
            "badges": {"crown": {"ru": "Корона", "en": "Crown"}},
            "gifts": {"tea": {"ru": "Чай", "en": "Tea"}},
            "groups": {
                "food": {"earns": true, "redeems": true},
                "bread": {"parent": "food", "earns": true, "redeems": true},
            },
            "choices": {"first": "first", "best": "best"},
            "bounds": {"line_permille_max": line, "receipt_permille_max": receipt},
            "rounding": rounding,
            "promotions": promotions,
        })
    })
}

fn line() -> impl Strategy<Value = ReceiptLine> {
    let quantity = prop_oneof![
        4 => (1..6_u64).prop_map(|units| units * 1_000),
        1 => 1..3_000_u64,
    ];
    let group = select(vec!["", "food", "bread", "tobacco"]);
    let till = option::weighted(0.1, 0..=1_000_i64);
    let least = option::weighted(0.2, 0..1_000_i64);
    let sku = select(vec!["A", "B", "C", "D"]);
    (
        sku,
        group,
        quantity,
        0..1_500_i64,
        any::<bool>(),
        till,
        least,
    )
        .prop_map(|(sku, group, quantity, price, own, till, least)| {
            let (quantity, unit_price) = (Milli(quantity), Minor(price));
            let gross = quantity.price(unit_price).expect("small");
            let brand = own.then(|| ("brand".to_owned(), "own".to_owned()));
            ReceiptLine {
                sku: sku.to_owned(),
                group: group.to_owned(),
                quantity,
                unit_price,
                discount: gross.fraction(till.unwrap_or(0), 1_000).expect("small"),
                price_min: least.map(Minor),
                attributes: brand.into_iter().collect(),
            }
        })
}

fn shopper() -> impl Strategy<Value = Shopper> {
    let tier = select(vec!["base", "gold"]);
    let used = vec(select(vec![0, 0, 1, 350]), PROMOTIONS_MAX);
    let balances = (0..10_000_i64, 0..2_000_i64, 0..3_i64);
    let facts = (tier, any::<bool>(), 0..3_u32, balances, used);
    facts.prop_map(|(tier, vip, purchases, (points, gift, coupons), used)| {
        let accounts = (1..).map(AccountId);
        let balances = accounts.zip([points, gift, coupons].map(Minor));
        Shopper {
            member: Some(MemberId(1)),
            tier: tier.to_owned(),
            tags: vip.then(|| "vip".to_owned()).into_iter().collect(),
            purchases,
            balances: balances.collect(),
            used: (1..)
                .zip(used)
                .map(|(number, used)| ((PromotionId(number), 0), used))
                .collect(),
            ..Shopper::default()
        }
    })
}

fn occasion() -> impl Strategy<Value = Occasion> {
    let facts = (any::<bool>(), any::<bool>(), 0..24_u16, 0..3_usize);
    facts.prop_map(|(code, online, hour, coupons)| Occasion {
        coupons: vec!["S".to_owned(); coupons],
        minute: hour * 60,
        codes: code.then(|| "Summer".to_owned()).into_iter().collect(),
        rewards: (1..=8).map(|number| (PromotionId(number), None)).collect(),
        online,
        ..Occasion::at(TODAY)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn parts_make_up_the_whole(
        book in rule_book(),
        receipt in vec(line(), 1..=LINES_MAX),
        shopper in shopper(),
        occasion in occasion(),
        wish in select(vec![Wish::Nothing, Wish::Most]),
        further in select(vec![Wish::Nothing, Wish::Most]),
    ) {
        let wishes = Wishes {
            points: wish,
            further: [(AccountId(2), further)].into(),
        };
        let programme = programme(&[&book]).map_err(TestCaseError::fail)?;
        let quote = price(&programme, &shopper, &occasion, &receipt, &wishes);
        let quote = quote.map_err(|error| TestCaseError::fail(error.to_string()))?;
        let broken = broken(Priced {
            programme: &programme,
            shopper: &shopper,
            occasion: &occasion,
            receipt: &receipt,
            wishes: &wishes,
            quote: &quote,
        });
        prop_assert!(broken.is_empty(), "{}", broken.join("\n"));
        // None of these promotions says that it needs the hub.
        let other = Occasion { online: !occasion.online, ..occasion };
        prop_assert_eq!(price(&programme, &shopper, &other, &receipt, &wishes), Ok(quote));
    }
}
