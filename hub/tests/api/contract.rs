//! The interface against its stored description, `hub/openapi.json`.

use std::path::Path;

use super::house::House;

/// `KOPILKA_REFRESH=1 cargo test -p kopilka-hub --test api contract` writes the stored copy anew.
#[test]
fn the_stored_description_is_the_interface() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let generated = kopilka_hub::api::openapi().to_pretty_json().unwrap() + "\n";
    if std::env::var_os("KOPILKA_REFRESH").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap();
    assert!(
        stored == generated,
        "hub/openapi.json differs from the interface; see this test's documentation"
    );
}

#[tokio::test]
async fn the_rule_books_schema_is_for_everybody() {
    let house = House::new().await;
    let schema = house.got("", "/v1/schemas/rulebook").await;
    assert_eq!(schema, kopilka_crdt::rulebook::schema::json_schema());
    assert_eq!(schema["type"], "object");
}
