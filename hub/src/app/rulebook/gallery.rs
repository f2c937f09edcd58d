//! The rule books of `rules/gallery`, to try what must work with every mechanic.

use std::path::Path;

use kopilka_crdt::rulebook::RuleBook;
use kopilka_crdt::rulebook::model::Text;
use serde_json::Value;

use super::value_of;

/// Fewest books that are there; a walk that finds fewer proves nothing.
const BOOKS_MIN: usize = 80;

/// Every book of the gallery, and each variant that a case makes of it, with the file's name.
pub fn books() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules/gallery");
    let starter = value_of(&RuleBook::starter(Text::new("Копилка", "Kopilka")));
    let mut books = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "json") {
            continue;
        }
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let example: Value = serde_json::from_str(&text).unwrap();
        let mut whole = starter.clone();
        json_patch::merge(&mut whole, &example["rule_book"]);
        let changes = example["cases"].as_array().unwrap().iter();
        for change in changes.filter_map(|case| case.get("change")) {
            let mut variant = whole.clone();
            json_patch::merge(&mut variant, change);
            books.push((name.clone(), variant));
        }
        books.push((name, whole));
    }
    assert!(books.len() > BOOKS_MIN, "{} books found", books.len());
    books
}
