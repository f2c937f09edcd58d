//! What differs between two JSON documents, place by place.

use serde_json::Value;

/// One place that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// JSON pointer (RFC 6901) to it. An item of a list that is gone has its number in the first document, one that is
    /// new its number in the second.
    pub path: String,
    /// What the first document has there.
    pub before: Option<Value>,
    /// What the second has.
    pub after: Option<Value>,
}

/// All places that differ, in the documents' order. Whole maps and lists are named only where the other side has none.
pub fn differences(before: &Value, after: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", Some(before), Some(after), &mut found);
    found
}

/// Whether a JSON pointer leads to a place inside of what another one names.
pub fn is_below(path: &str, whole: &str) -> bool {
    path.strip_prefix(whole)
        .is_some_and(|rest| rest.starts_with('/'))
}

/// A map's key as a JSON pointer writes it.
pub fn pointer_token(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// How many items two lists have in common at their start, and how many of the rest at their end.
pub fn common_ends(before: &[Value], after: &[Value]) -> (usize, usize) {
    let start = before
        .iter()
        .zip(after)
        .take_while(|(one, other)| one == other)
        .count();
    let end = before[start..]
        .iter()
        .rev()
        .zip(after[start..].iter().rev())
        .take_while(|(one, other)| one == other)
        .count();
    (start, end)
}

fn compare(path: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<Difference>) {
    match (before, after) {
        (Some(before), Some(after)) if before == after => {}
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            for (key, value) in before {
                let path = format!("{path}/{}", pointer_token(key));
                compare(&path, Some(value), after.get(key), found);
            }
            for (key, value) in after.iter().filter(|(key, _)| !before.contains_key(*key)) {
                let path = format!("{path}/{}", pointer_token(key));
                compare(&path, None, Some(value), found);
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            let (start, end) = common_ends(before, after);
            for index in start..before.len().max(after.len()) - end {
                let path = format!("{path}/{index}");
                let one = before[..before.len() - end].get(index);
                compare(&path, one, after[..after.len() - end].get(index), found);
            }
        }
        (None, None) => {}
        (before, after) => found.push(Difference {
            path: path.to_owned(),
            before: before.cloned(),
            after: after.cloned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn differences_name_the_smallest_places() {
        let before =
            json!({"a": 1, "b": {"c": [1, 2, 3], "d/e": "x"}, "gone": {"f": 1}, "same": [1]});
        let after = json!({"a": 1, "b": {"c": [1, 9, 2, 3], "d/e": "y"}, "new": [], "same": [1]});
        let difference = |path: &str, before: Value, after: Value| Difference {
            path: path.to_owned(),
            before: Some(before).filter(|value| !value.is_null()),
            after: Some(after).filter(|value| !value.is_null()),
        };
        let none = Value::Null;
        let expected = [
            difference("/b/c/1", none.clone(), json!(9)),
            difference("/b/d~1e", json!("x"), json!("y")),
            difference("/gone", json!({"f": 1}), none.clone()),
            difference("/new", none.clone(), json!([])),
        ];
        assert_eq!(differences(&before, &after), expected);
        let shorter = json!({"c": [1, 3]});
        let expected = [difference("/c/1", json!(2), none)];
        assert_eq!(differences(&json!({"c": [1, 2, 3]}), &shorter), expected);
        assert_eq!(differences(&before, &before), []);
    }

    #[test]
    fn a_pointer_is_below_whole_tokens_only() {
        assert!(is_below("/promotions/7/name", "/promotions/7"));
        assert!(is_below("/promotions/7", ""));
        assert!(!is_below("/promotions/70", "/promotions/7"));
        assert!(!is_below("/promotions/7", "/promotions/7"));
    }
}
