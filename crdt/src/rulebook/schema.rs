//! The JSON Schema of the rule book, made from its types.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::RuleBook;
use super::model::RULE_BOOK_SCHEMA;

/// The rule book's schema in JSON Schema 2020-12. What it lets through is a rule book, which may still contradict itself.
pub fn json_schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<RuleBook>();
    let id = format!("urn:kopilka:schema:rule_book:{RULE_BOOK_SCHEMA}");
    schema.insert("$id".to_owned(), json!(id));
    schema.to_value()
}
