//! The document: what survives saving, what merges, what is told of and what is refused.

use serde_json::json;

use super::*;

fn create(value: &Value) -> Document {
    Document::create(value, b"head office", 100, "first").unwrap()
}

/// The document after another process took over.
fn handed(document: &mut Document, actor: &[u8]) -> Document {
    Document::load(&document.save().unwrap(), actor).unwrap()
}

fn edit(document: &mut Document, base: u32, value: &Value) -> Result<(), DocumentError> {
    document.edit(Edit {
        base,
        value,
        named: &[],
        at_seconds: 200,
        message: "edit",
    })
}

#[test]
fn content_survives_saving_and_replacing() {
    let mut document = create(&json!({"a": 1, "b": {"c": [1, {"d": "x"}, [true, null]]}}));
    for next in [
        json!({"a": 2, "b": {"c": [1, {"d": "y", "e": 5}]}, "f": {}}),
        json!({"b": {"c": []}, "f": [1, 2, 3]}),
        json!({"b": 7, "f": [3, {"g": 1}, 2, 1]}),
        json!({"b": 7, "f": [3, 4, {"g": 1}, 2, 1]}),
        json!({"b": 7, "f": [3, 1]}),
    ] {
        let base = document.version();
        edit(&mut document, base, &next).unwrap();
        assert_eq!(handed(&mut document, b"other").value().unwrap(), next);
    }
    assert_eq!(document.version(), 6);
    assert_eq!(document.history()[0].message, "first");
    assert_eq!(document.conflicts().unwrap(), []);
}

#[test]
fn edits_of_different_places_of_one_version_all_hold() {
    let mut document = create(&json!({"tiers": [{"earn": 5}, {"earn": 10}], "name": "x"}));
    let edits = [
        json!({"tiers": [{"earn": 6}, {"earn": 10}], "name": "x"}),
        json!({"tiers": [{"earn": 5}, {"earn": 12}], "name": "x"}),
        json!({"tiers": [{"earn": 5}, {"earn": 10}, {"earn": 15}], "name": "x"}),
        json!({"tiers": [{"earn": 5}, {"earn": 10}], "name": "y"}),
    ];
    for value in &edits {
        edit(&mut document, 1, value).unwrap();
        document = handed(&mut document, b"head office");
    }
    let merged = json!({"tiers": [{"earn": 6}, {"earn": 12}, {"earn": 15}], "name": "y"});
    assert_eq!(document.value().unwrap(), merged);
    assert_eq!(document.conflicts().unwrap(), []);
}

#[test]
fn an_item_put_in_between_leaves_its_neighbours_edits_with_them() {
    let mut document = create(&json!({"tiers": [{"code": "base"}, {"code": "gold", "earn": 10}]}));
    let with_silver =
        json!({"tiers": [{"code": "base"}, {"code": "silver"}, {"code": "gold", "earn": 10}]});
    edit(&mut document, 1, &with_silver).unwrap();
    let golden = json!({"tiers": [{"code": "base"}, {"code": "gold", "earn": 12}]});
    edit(&mut document, 1, &golden).unwrap();
    let merged =
        json!({"tiers": [{"code": "base"}, {"code": "silver"}, {"code": "gold", "earn": 12}]});
    assert_eq!(document.value().unwrap(), merged);
}

#[test]
fn a_place_that_two_set_is_a_conflict_until_somebody_names_it() {
    let mut document = create(&json!({"rate": 50, "set": {"a": 1}, "days": ["monday"]}));
    for (rate, day) in [(60, "tuesday"), (70, "sunday")] {
        let value = json!({"rate": rate, "set": {"a": 1}, "days": [day]});
        edit(&mut document, 1, &value).unwrap();
    }
    let mut document = handed(&mut document, b"reader");
    let conflicts = document.conflicts().unwrap();
    let paths: Vec<_> = conflicts.iter().map(|found| found.path.as_str()).collect();
    assert_eq!(paths, ["/days/0", "/rate"]);
    let told: Vec<_> = conflicts[1]
        .candidates
        .iter()
        .map(|one| (one.value.clone(), one.kept, one.change.version))
        .collect();
    assert_eq!(told, [(json!(60), false, 2), (json!(70), true, 3)]);

    let present = document.value().unwrap();
    assert_eq!(present["rate"], 70);
    let base = document.version();
    let mut name = |value: &Value, named: &[String]| {
        let edit = Edit {
            base,
            value,
            named,
            at_seconds: 300,
            message: "settled",
        };
        document.edit(edit).unwrap();
        let found = document.conflicts().unwrap();
        found
            .into_iter()
            .map(|found| found.path)
            .collect::<Vec<_>>()
    };
    let unrelated = ["/set/a".to_owned(), "/rat".to_owned()];
    assert_eq!(name(&present, &unrelated), ["/days/0", "/rate"]);
    assert_eq!(name(&present, &["/rate".to_owned()]), ["/days/0"]);
}

#[test]
fn a_whole_that_is_named_settles_what_is_inside() {
    let mut document = create(&json!({"offer": {"rate": 50}}));
    for rate in [60, 70] {
        edit(&mut document, 1, &json!({"offer": {"rate": rate}})).unwrap();
    }
    assert_eq!(document.conflicts().unwrap().len(), 1);
    let value = document.value().unwrap();
    let named = ["/offer".to_owned()];
    let base = document.version();
    let settling = Edit {
        base,
        value: &value,
        named: &named,
        at_seconds: 300,
        message: "settled",
    };
    document.edit(settling).unwrap();
    assert_eq!(document.conflicts().unwrap(), []);
    assert_eq!(document.value().unwrap(), value);
}

#[test]
fn two_new_things_under_one_number_are_both_told() {
    let mut document = create(&json!({"promotions": {}}));
    for name in ["tuesday", "sunday"] {
        edit(
            &mut document,
            1,
            &json!({"promotions": {"7": {"name": name}}}),
        )
        .unwrap();
    }
    let conflicts = document.conflicts().unwrap();
    assert_eq!(conflicts[0].path, "/promotions/7");
    let values: Vec<_> = conflicts[0]
        .candidates
        .iter()
        .map(|one| one.value["name"].clone())
        .collect();
    assert_eq!(values, ["tuesday", "sunday"]);
}

#[test]
fn what_would_fall_silently_is_refused() {
    let whole = json!({"promotions": {"7": {"rate": 50}}});
    let changed = json!({"promotions": {"7": {"rate": 60}}});
    let gone = json!({"promotions": {}});
    for (first, second, path) in [
        (&changed, &gone, "/promotions/7"),
        (&gone, &changed, "/promotions/7/rate"),
    ] {
        let mut document = create(&whole);
        edit(&mut document, 1, first).unwrap();
        let refused = DocumentError::Overlap {
            path: path.to_owned(),
            base: 1,
        };
        assert_eq!(edit(&mut document, 1, second), Err(refused));
        assert_eq!((document.version(), &document.value().unwrap()), (2, first));
    }
}

#[test]
fn each_version_stays_what_it_was() {
    let mut document = create(&json!({"a": 0, "b": 0, "c": 0}));
    let mut seen = vec![document.value().unwrap()];
    // Each edit is made on the version before the last one, so every second one merges.
    for step in 1..=9_u32 {
        let base = step.saturating_sub(1).max(1);
        let mut value = document.value_at(base).unwrap();
        value[["a", "b", "c"][(step % 3) as usize]] = json!(step);
        edit(&mut document, base, &value).unwrap();
        document = handed(&mut document, b"head office");
        seen.push(document.value().unwrap());
    }
    let hashes = document.history();
    let mut again = handed(&mut document, b"reader");
    assert_eq!(again.history(), hashes);
    for (version, value) in (1..).zip(&seen) {
        assert_eq!(again.value_at(version).as_ref(), Ok(value), "{version}");
    }
    let beyond = DocumentError::Version {
        version: 11,
        latest: 10,
    };
    assert_eq!(again.value_at(11), Err(beyond));
    assert!(again.value_at(0).is_err());
}

#[test]
fn fractions_and_damage_are_refused_and_leave_the_document_as_it_was() {
    let mut document = create(&json!({"a": 1}));
    assert!(matches!(
        edit(&mut document, 1, &json!({"a": 2, "b": 0.5})),
        Err(DocumentError::Unsupported(_))
    ));
    assert_eq!(document.value(), Ok(json!({"a": 1})));
    assert!(matches!(
        Document::load(b"junk", b"x"),
        Err(DocumentError::Damaged(_))
    ));
    let saved = document.save().unwrap();
    for index in 0..saved.len() {
        let mut spoilt = saved.clone();
        spoilt[index] ^= 0x40;
        assert!(Document::load(&spoilt, b"x").is_err(), "byte {index}");
    }
    let large = vec![0; DOCUMENT_BYTES_MAX + 1];
    assert_eq!(
        Document::load(&large, b"x").err(),
        Some(DocumentError::TooLarge)
    );
}
