//! Deltas between texts: they lead from any rule book to any other, stay small where little changed, and hurt nobody.

use kopilka_crdt::ids::{ProgrammeId, PromotionId};
use kopilka_crdt::rulebook::delta::{DELTA_BYTES_MAX, Delta, DeltaError, SPLICES_MAX, Splice};
use kopilka_crdt::rulebook::model::{Promotion, Text};
use kopilka_crdt::rulebook::publication::PUBLICATION_BYTES_MAX;
use kopilka_crdt::rulebook::{Publication, RuleBook};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Bytes that a splice weighs at most beside what it inserts: two numbers and a length.
const SPLICE_BYTES: usize = 15;

fn weight(delta: &Delta) -> usize {
    let splices = delta.splices.iter();
    splices
        .map(|splice| splice.insert.len() + SPLICE_BYTES)
        .sum()
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-cя ]{0,6}",
        Just("a\"b,c\\".to_owned()),
        Just("{[}],:".to_owned())
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0_u32..2_000).prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            btree_map(text(), inner, 0..5).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn promotion() -> impl Strategy<Value = Promotion> {
    (text(), 0_u32..1_000, vec(text(), 0..4)).prop_map(|(name, permille, skus)| {
        let off = json!({ "by": "percent", "permille": permille });
        let target = json!({ "of": "lines", "goods": { "skus": skus } });
        let promotion = json!({
            "name": { "ru": name, "en": name },
            "stage": "lines",
            "effects": [{ "kind": "discount", "off": off, "target": target }],
        });
        serde_json::from_value(promotion).expect("a promotion")
    })
}

fn rule_book() -> impl Strategy<Value = RuleBook> {
    (
        text(),
        btree_map(1_u32..30, promotion(), 0..20),
        any::<bool>(),
    )
        .prop_map(|(name, promotions, short)| {
            let mut rules = RuleBook::starter(Text::new(&name, "Kopilka"));
            let numbered = promotions.into_iter();
            rules.promotions = numbered
                .map(|(number, promotion)| (PromotionId(number), promotion))
                .collect();
            if short {
                rules.tiers.pop();
                rules.welcome = None;
            }
            rules
        })
}

fn publication(number: u32, rules: &RuleBook) -> Publication {
    Publication::new(ProgrammeId(1), number, 0, rules)
}

fn splices() -> impl Strategy<Value = Vec<Splice>> {
    let splice = (0_u32..40, 0_u32..40, text());
    let splice = splice.prop_map(|(keep, drop, insert)| Splice { keep, drop, insert });
    vec(splice, 0..8)
}

proptest! {
    #[test]
    fn a_delta_leads_from_any_value_to_any_other(base in value(), target in value()) {
        let (base, target) = (base.to_string(), target.to_string());
        let delta = Delta::between(&base, &target).expect("small enough");
        prop_assert_eq!(delta.apply(&base), Ok(target));
    }

    #[test]
    fn a_delta_leads_between_texts_that_are_no_json(base in "[\\{\\}\\[\\],:\"\\\\aя]{0,24}", target in "[\\{\\}\\[\\],:\"\\\\aя]{0,24}") {
        let delta = Delta::between(&base, &target).expect("small enough");
        prop_assert_eq!(delta.apply(&base), Ok(target));
    }

    #[test]
    fn canonical_bytes_of_a_publication_come_back(base in rule_book(), target in rule_book()) {
        let (base, target) = (publication(1, &base), publication(2, &target));
        let delta = Delta::between(&base.rules, &target.rules).expect("small enough");
        let rebuilt = Publication { rules: delta.apply(&base.rules).expect("it fits"), ..base };
        prop_assert_eq!(&rebuilt.rules, &target.rules);
        let renumbered = Publication { number: 2, ..rebuilt };
        prop_assert_eq!(renumbered.hash(), target.hash());
    }

    #[test]
    fn one_promotion_costs_what_it_weighs(rules in rule_book(), number in 1_u32..40, new in promotion()) {
        let mut changed = rules.clone();
        changed.promotions.insert(PromotionId(number), new.clone());
        let delta = Delta::between(&publication(1, &rules).rules, &publication(2, &changed).rules);
        let whole = serde_json::to_string(&new).expect("plain data").len();
        let key = 16;
        prop_assert!(weight(&delta.expect("small enough")) <= whole + key + 8 * SPLICE_BYTES);
    }

    #[test]
    fn what_anybody_sends_is_refused_or_makes_a_text(base in text(), splices in splices()) {
        let kept: u64 = splices.iter().map(|one| u64::from(one.keep) + u64::from(one.drop)).sum();
        let delta = Delta { splices };
        match delta.apply(&base) {
            Ok(made) => prop_assert!(made.len() <= PUBLICATION_BYTES_MAX),
            Err(error) => prop_assert!(error == DeltaError::Misfit && (kept > 0)),
        }
    }
}

#[test]
fn one_field_of_thousands_of_promotions_costs_a_few_bytes() {
    let promotion = |permille: u32| -> Promotion {
        let off = json!({ "by": "percent", "permille": permille });
        let effects = json!([{ "kind": "discount", "off": off, "target": { "of": "receipt" } }]);
        let name = json!({ "ru": "Акция", "en": "Promotion" });
        serde_json::from_value(json!({ "name": name, "stage": "receipt", "effects": effects }))
            .expect("a promotion")
    };
    let mut rules = RuleBook::starter(Text::new("Копилка", "Kopilka"));
    rules.promotions = (1..=3_000)
        .map(|number| (PromotionId(number), promotion(50)))
        .collect();
    let base = publication(1, &rules);
    rules.promotions.insert(PromotionId(1_234), promotion(75));
    rules.promotions.remove(&PromotionId(2_000));
    rules.promotions.remove(&PromotionId(3_000));
    let target = publication(2, &rules);
    let delta = Delta::between(&base.rules, &target.rules).expect("small enough");
    assert_eq!(delta.splices.len(), 3, "{delta:?}");
    assert!(weight(&delta) < 64, "{delta:?}");
    assert_eq!(delta.apply(&base.rules), Ok(target.rules));
}

#[test]
fn what_is_too_much_is_not_made_and_not_taken() {
    let large = |letter: &str, bytes: usize| format!("[\"{}\"]", letter.repeat(bytes));
    let (base, target) = (large("a", 10), large("b", DELTA_BYTES_MAX + 1));
    assert_eq!(Delta::between(&base, &target), None);
    assert!(
        Delta::between(&target, &base).is_some(),
        "leaving out is cheap"
    );

    let nothing = Splice {
        keep: 0,
        drop: 0,
        insert: String::new(),
    };
    let mut delta = Delta {
        splices: vec![nothing.clone(); SPLICES_MAX],
    };
    assert_eq!(delta.apply("base").as_deref(), Ok("base"));
    delta.splices.push(nothing);
    assert_eq!(delta.apply("base"), Err(DeltaError::TooLarge));

    let insert = |bytes| Delta {
        splices: vec![Splice {
            keep: 1,
            drop: 0,
            insert: "x".repeat(bytes),
        }],
    };
    let fits = insert(PUBLICATION_BYTES_MAX - 4).apply("base");
    assert_eq!(fits.map(|text| text.len()), Ok(PUBLICATION_BYTES_MAX));
    assert_eq!(
        insert(PUBLICATION_BYTES_MAX - 3).apply("base"),
        Err(DeltaError::TooLarge)
    );
}

#[test]
fn a_splice_that_does_not_fit_is_refused() {
    for (keep, drop) in [(5, 0), (0, 5), (4, 1), (u32::MAX, u32::MAX), (1, 0)] {
        let delta = Delta {
            splices: vec![Splice {
                keep,
                drop,
                insert: "x".to_owned(),
            }],
        };
        // Of these only the last lies within: in the middle of the first letter.
        assert_eq!(delta.apply("яя"), Err(DeltaError::Misfit), "{keep} {drop}");
    }
}

#[test]
fn deep_nesting_is_no_danger() {
    let deep = |inner: &str| format!("{}{inner}{}", "[".repeat(100_000), "]".repeat(100_000));
    let (base, target) = (deep("1"), deep("2"));
    let delta = Delta::between(&base, &target).expect("small enough");
    assert_eq!(delta.apply(&base), Ok(target));
}
