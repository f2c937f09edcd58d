//! Promotions: what a quote costs with many of them, and what it costs to get a publication ready.
//!
//! Targets: 200 promotions and 20 lines in 30 µs; 10,000 promotions that do not match at most twice as slow as 200; a
//! publication of 10,000 ready in 200 ms.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use kopilka_crdt::clock::Day;
use kopilka_crdt::ids::{AccountId, MemberId, ProgrammeId, PromotionId};
use kopilka_crdt::money::{Milli, Minor};
use kopilka_crdt::rulebook::model::Text;
use kopilka_crdt::rulebook::{Publication, RuleBook};
use kopilka_rules::Programme;
use kopilka_rules::pricing::{ReceiptLine, Wish, price};
use kopilka_rules::promotion::{Occasion, Shopper};
use serde_json::json;

/// 2024-10-04, a Friday.
const TODAY: Day = Day(20_000);
/// Of so many promotions one matches the receipts below.
const MATCHING_IN: u32 = 10;

/// A promotion as head office writes them: of ten kinds, most about goods, codes, stores or days that a receipt is not about.
fn promotion(number: u32) -> serde_json::Value {
    let percent = json!({ "by": "percent", "permille": 50 });
    let goods = |sku: String| json!({ "of": "lines", "goods": { "skus": [sku] } });
    let off = |target: serde_json::Value| json!([{ "kind": "discount", "off": percent, "target": target }]);
    let (when, effects) = match number % MATCHING_IN {
        0 => (
            json!(null),
            off(goods(format!("sku-{}", number / MATCHING_IN))),
        ),
        1 => (
            json!({ "kind": "promo_codes", "of": [format!("CODE{number}")] }),
            off(json!({ "of": "receipt" })),
        ),
        2 => (
            json!({ "kind": "stores", "of": [number + 1_000] }),
            off(json!({ "of": "receipt" })),
        ),
        3 => (
            json!({ "kind": "dates", "from": "2023-01-01", "to": "2023-02-01" }),
            off(json!({ "of": "receipt" })),
        ),
        4 => (
            json!({ "kind": "all", "of": [{ "kind": "weekdays", "of": ["friday"] }, { "kind": "tags", "of": [format!("segment{number}")] }] }),
            off(json!({ "of": "receipt" })),
        ),
        5 => (
            json!(null),
            json!([{ "kind": "buy_get", "buy": { "skus": [format!("other-{number}")] }, "buy_units": 2,
            "get_units": 1, "off_permille": 1000 }]),
        ),
        _ => (json!(null), off(goods(format!("other-{number}")))),
    };
    json!({ "name": { "ru": "Акция", "en": "Promotion" }, "stage": "lines", "when": when, "effects": effects })
}

fn publication(count: u32) -> Publication {
    let mut rules = RuleBook::starter(Text::new("Копилка", "Kopilka"));
    for number in 0..count {
        let promotion = serde_json::from_value(promotion(number)).expect("a sound promotion");
        let segment = Text::new("Сегмент", "Segment");
        rules.tags.insert(format!("segment{number}"), segment);
        rules.promotions.insert(PromotionId(number + 1), promotion);
    }
    Publication::new(ProgrammeId(1), 1, 0, &rules)
}

fn receipt(lines: u32) -> Vec<ReceiptLine> {
    (0..lines)
        .map(|place| ReceiptLine {
            sku: format!("sku-{place}"),
            group: "dairy".to_owned(),
            quantity: Milli(1_000 * (1 + u64::from(place % 3))),
            unit_price: Minor(9_990),
            discount: Minor::ZERO,
            price_min: None,
            attributes: std::collections::BTreeMap::new(),
        })
        .collect()
}

fn quotes(criterion: &mut Criterion) {
    let shopper = Shopper {
        member: Some(MemberId(7)),
        tier: "gold".to_owned(),
        balances: [(AccountId(1), Minor(20_000))].into(),
        ..Shopper::default()
    };
    let occasion = Occasion::at(TODAY);
    let mut group = criterion.benchmark_group("promotions");
    for count in [0, 200, 2_000, 10_000] {
        let programme = Programme::compile(&publication(count)).expect("a sound book");
        for lines in [5, 20, 50, 500] {
            let receipt = receipt(lines);
            let name = BenchmarkId::new(format!("{count} promotions"), format!("{lines} lines"));
            group.bench_function(name, |bench| {
                bench.iter(|| {
                    price(
                        &programme,
                        &shopper,
                        &occasion,
                        &receipt,
                        &Wish::Most.into(),
                    )
                });
            });
        }
    }
    group.sample_size(10);
    let publication = publication(10_000);
    group.bench_function("a publication of 10,000 made ready", |bench| {
        bench.iter(|| Programme::compile(&publication));
    });
    group.finish();
}

criterion_group!(benches, quotes);
criterion_main!(benches);
