//! The rule book's JSON Schema against its stored copy, the gallery, and books that are none.

use std::path::Path;

use boon::{Compiler, SchemaIndex, Schemas};
use kopilka_crdt::rulebook::schema::json_schema;
use serde_json::{Value, json};

use super::{gallery, parse};

const PLACE: &str = "urn:kopilka:schema:test";

fn compiled() -> (Schemas, SchemaIndex) {
    let mut schema = json_schema();
    schema.as_object_mut().unwrap().remove("$id");
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.add_resource(PLACE, schema).unwrap();
    let index = compiler.compile(PLACE, &mut schemas).unwrap();
    (schemas, index)
}

/// `KOPILKA_REFRESH=1 cargo test --workspace --lib schema` writes the stored copy anew.
#[test]
fn the_stored_schema_is_that_of_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/rulebook.schema.json");
    let generated = json_schema();
    if std::env::var_os("KOPILKA_REFRESH").is_some() {
        std::fs::write(&path, format!("{generated:#}\n")).unwrap();
    }
    let stored: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert!(
        stored == generated,
        "docs/rulebook.schema.json differs from the types; see this test's documentation"
    );
}

#[test]
fn every_book_of_the_gallery_fits_the_schema() {
    let (schemas, index) = compiled();
    for (name, book) in gallery::books() {
        let fits = schemas.validate(&book, index);
        assert!(fits.is_ok(), "{name}: {:#}", fits.unwrap_err());
    }
}

#[test]
fn the_schema_refuses_what_the_types_refuse() {
    let (schemas, index) = compiled();
    let promotion = json!({
        "name": { "ru": "Акция", "en": "Promotion" }, "stage": "receipt",
        "when": { "kind": "weekdays", "of": ["tuesday"] },
        "effects": [{ "kind": "discount", "off": { "by": "percent", "permille": 100 } }]
    });
    let (_, mut book) = gallery::books().remove(0);
    book["promotions"] = json!({ "7": promotion });
    assert!(schemas.validate(&book, index).is_ok());
    for (place, value) in [
        ("/schema", json!(0)),
        ("/schema", json!(999)),
        ("/rounding", json!("up")),
        ("/tiers/0/earn_permille", json!(-1)),
        ("/tiers/0/earn_permille", json!("many")),
        ("/promotions/7/effects/0/off/permille", json!(0.5)),
        ("/promotions/7/effects/0/off/by", json!("luck")),
        ("/promotions/7/when/kind", json!("moon")),
        ("/promotions/7/when/of", json!(["someday"])),
        ("/promotions/7/name", json!({ "ru": "Акция" })),
        ("/promotions", json!({ "seven": promotion })),
        ("/messages", json!({ "receipt": null })),
    ] {
        let mut wrong = book.clone();
        *wrong.pointer_mut(place).unwrap() = value.clone();
        assert!(parse(&wrong).is_err(), "{place}: {value}");
        assert!(schemas.validate(&wrong, index).is_err(), "{place}: {value}");
    }
    for place in [
        "",
        "/promotions/7",
        "/tiers/0",
        "/promotions/7/effects/0/off",
    ] {
        let mut wrong = book.clone();
        wrong.pointer_mut(place).unwrap()["unknown"] = json!(1);
        assert!(parse(&wrong).is_err(), "{place}");
        assert!(schemas.validate(&wrong, index).is_err(), "{place}");
    }
}
