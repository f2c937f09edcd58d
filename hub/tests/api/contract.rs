//! The interface against its stored description, `hub/openapi.json`.

use std::path::Path;

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
