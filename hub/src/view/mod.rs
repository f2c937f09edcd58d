//! What people and programs see of the hub: one JSON form, for the HTTP interface and for the command line.
//!
//! Identifiers are opaque strings, money and points integers in minor units, times RFC 3339.

pub mod catalogue;
pub mod members;
pub mod replay;
pub mod resources;
pub mod rules;
pub mod security;

use serde::Serialize;
use utoipa::ToSchema;

/// A list with all that there is.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListView<T> {
    /// The items.
    pub items: Vec<T>,
}

impl<T> FromIterator<T> for ListView<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self {
            items: items.into_iter().collect(),
        }
    }
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct PageView<T> {
    /// The items.
    pub items: Vec<T>,
    /// Pass it as `before` to get the next page; none at the end.
    pub next: Option<String>,
}

/// A moment in RFC 3339, in UTC.
pub fn time(ms: u64) -> String {
    let timestamp = i64::try_from(ms)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    timestamp.map_or_else(|| "unknown".to_owned(), |timestamp| timestamp.to_string())
}

/// A word that an enum of ours has in JSON.
pub fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(time(0), "1970-01-01T00:00:00Z");
        assert_eq!(time(1_700_000_000_123), "2023-11-14T22:13:20.123Z");
        assert_eq!(time(u64::MAX), "unknown");
    }
}
