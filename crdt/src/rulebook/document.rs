//! The rule book as an Automerge document: a draft that several people edit, with its history.
//!
//! Automerge had bugs that damaged saved documents as late as 2026-07, so a save is verified by loading it again
//! before anyone keeps it, and callers keep the last good one.

use automerge::transaction::Transactable;
use automerge::{AutoCommit, ObjId, ObjType, ROOT, ReadDoc, ScalarValue, Value as Held};
use serde_json::{Map, Number, Value};

/// Largest saved document, in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Deepest nesting of a rule book.
const DEPTH_MAX: usize = 32;

/// Why a document cannot be read or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// Automerge refused.
    #[error("the rule book document is damaged: {0}")]
    Damaged(String),
    /// A fraction, or a value that JSON patch cannot place here.
    #[error("{0}: rule books hold whole numbers, texts, booleans, lists and maps")]
    Unsupported(String),
    /// Larger than [`DOCUMENT_BYTES_MAX`] or nested too deeply.
    #[error("the rule book document is too large")]
    TooLarge,
}

impl From<automerge::AutomergeError> for DocumentError {
    fn from(error: automerge::AutomergeError) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// One entry of a document's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Hash of the change, hexadecimal.
    pub hash: String,
    /// Seconds since 1970.
    pub at_seconds: i64,
    /// Who and why.
    pub message: String,
}

/// A rule book draft.
pub struct Document {
    automerge: AutoCommit,
}

impl Document {
    /// A new document that holds `value`, written by `actor`.
    pub fn create(
        value: &Value,
        actor: &[u8],
        at_seconds: i64,
        message: &str,
    ) -> Result<Self, DocumentError> {
        let mut automerge = AutoCommit::new();
        automerge.set_actor(actor.into());
        let mut document = Self { automerge };
        document.replace(value, at_seconds, message)?;
        Ok(document)
    }

    /// Reads a saved document; later changes are `actor`'s.
    pub fn load(bytes: &[u8], actor: &[u8]) -> Result<Self, DocumentError> {
        if bytes.len() > DOCUMENT_BYTES_MAX {
            return Err(DocumentError::TooLarge);
        }
        let mut automerge = AutoCommit::load(bytes)?;
        automerge.set_actor(actor.into());
        Ok(Self { automerge })
    }

    /// Saves, and makes sure that the save reads back to the same content.
    pub fn save(&mut self) -> Result<Vec<u8>, DocumentError> {
        let bytes = self.automerge.save();
        let again = Self::load(&bytes, b"verify")?;
        if again.value()? != self.value()? {
            return Err(DocumentError::Damaged(
                "a saved copy reads back differently".to_owned(),
            ));
        }
        Ok(bytes)
    }

    /// The content as JSON.
    pub fn value(&self) -> Result<Value, DocumentError> {
        read_map(&self.automerge, &ROOT, 0)
    }

    /// Turns the content into `value`, touching only what differs, so that edits of other fields merge.
    pub fn replace(
        &mut self,
        value: &Value,
        at_seconds: i64,
        message: &str,
    ) -> Result<(), DocumentError> {
        let Value::Object(target) = value else {
            return Err(DocumentError::Unsupported("/".to_owned()));
        };
        write_map(&mut self.automerge, &ROOT, target, 0)?;
        let options = automerge::transaction::CommitOptions::default()
            .with_message(message)
            .with_time(at_seconds);
        self.automerge.commit_with(options);
        Ok(())
    }

    /// Takes in the changes of another copy.
    pub fn merge(&mut self, other: &mut Self) -> Result<(), DocumentError> {
        self.automerge.merge(&mut other.automerge)?;
        Ok(())
    }

    /// All changes, oldest first.
    pub fn history(&mut self) -> Vec<Change> {
        let changes = self.automerge.get_changes(&[]);
        changes
            .iter()
            .map(|change| Change {
                hash: change.hash().to_string(),
                at_seconds: change.timestamp(),
                message: change.message().unwrap_or_default().to_owned(),
            })
            .collect()
    }
}

fn read_map(doc: &AutoCommit, object: &ObjId, depth: usize) -> Result<Value, DocumentError> {
    let mut map = Map::new();
    for key in doc.keys(object) {
        if let Some((held, id)) = doc.get(object, key.as_str())? {
            map.insert(key, read(doc, &held, &id, depth)?);
        }
    }
    Ok(Value::Object(map))
}

fn read(
    doc: &AutoCommit,
    held: &Held<'_>,
    id: &ObjId,
    depth: usize,
) -> Result<Value, DocumentError> {
    if depth > DEPTH_MAX {
        return Err(DocumentError::TooLarge);
    }
    match held {
        Held::Object(ObjType::Map | ObjType::Table) => read_map(doc, id, depth + 1),
        Held::Object(ObjType::List) => {
            let mut list = Vec::new();
            for index in 0..doc.length(id) {
                if let Some((held, item)) = doc.get(id, index)? {
                    list.push(read(doc, &held, &item, depth + 1)?);
                }
            }
            Ok(Value::Array(list))
        }
        Held::Object(ObjType::Text) => Ok(Value::String(doc.text(id)?)),
        Held::Scalar(scalar) => read_scalar(scalar),
    }
}

fn read_scalar(scalar: &ScalarValue) -> Result<Value, DocumentError> {
    match scalar {
        ScalarValue::Str(text) => Ok(Value::String(text.to_string())),
        ScalarValue::Int(number) => Ok(Value::Number(Number::from(*number))),
        ScalarValue::Uint(number) => Ok(Value::Number(Number::from(*number))),
        ScalarValue::Boolean(flag) => Ok(Value::Bool(*flag)),
        ScalarValue::Null => Ok(Value::Null),
        ScalarValue::Bytes(_)
        | ScalarValue::F64(_)
        | ScalarValue::Counter(_)
        | ScalarValue::Timestamp(_)
        | ScalarValue::Unknown { .. } => Err(DocumentError::Unsupported(scalar.to_string())),
    }
}

fn scalar(value: &Value) -> Result<Option<ScalarValue>, DocumentError> {
    Ok(match value {
        Value::Null => Some(ScalarValue::Null),
        Value::Bool(flag) => Some(ScalarValue::Boolean(*flag)),
        Value::String(text) => Some(ScalarValue::Str(text.as_str().into())),
        Value::Number(number) => match number.as_i64() {
            Some(number) => Some(ScalarValue::Int(number)),
            None => return Err(DocumentError::Unsupported(number.to_string())),
        },
        Value::Array(_) | Value::Object(_) => None,
    })
}

fn write_map(
    doc: &mut AutoCommit,
    object: &ObjId,
    target: &Map<String, Value>,
    depth: usize,
) -> Result<(), DocumentError> {
    if depth > DEPTH_MAX {
        return Err(DocumentError::TooLarge);
    }
    let stale: Vec<String> = doc
        .keys(object)
        .filter(|key| !target.contains_key(key))
        .collect();
    for key in stale {
        doc.delete(object, key)?;
    }
    for (key, value) in target {
        let held = doc.get(object, key.as_str())?;
        if let Some((held, id)) = &held
            && read(doc, held, id, depth)? == *value
        {
            continue;
        }
        match (value, held) {
            (Value::Object(map), Some((Held::Object(ObjType::Map), id))) => {
                write_map(doc, &id, map, depth + 1)?
            }
            (Value::Object(map), _) => {
                let id = doc.put_object(object, key.as_str(), ObjType::Map)?;
                write_map(doc, &id, map, depth + 1)?;
            }
            (Value::Array(list), Some((Held::Object(ObjType::List), id))) => {
                write_list(doc, &id, list, depth + 1)?
            }
            (Value::Array(list), _) => {
                let id = doc.put_object(object, key.as_str(), ObjType::List)?;
                write_list(doc, &id, list, depth + 1)?;
            }
            (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_), _) => {
                if let Some(scalar) = scalar(value)? {
                    doc.put(object, key.as_str(), scalar)?;
                }
            }
        }
    }
    Ok(())
}

fn write_list(
    doc: &mut AutoCommit,
    object: &ObjId,
    target: &[Value],
    depth: usize,
) -> Result<(), DocumentError> {
    if depth > DEPTH_MAX {
        return Err(DocumentError::TooLarge);
    }
    for (index, value) in target.iter().enumerate() {
        let held = doc.get(object, index)?;
        if let Some((held, id)) = &held
            && read(doc, held, id, depth)? == *value
        {
            continue;
        }
        if let (Value::Object(map), Some((Held::Object(ObjType::Map), id))) = (value, &held) {
            write_map(doc, id, map, depth + 1)?;
            continue;
        }
        if held.is_some() {
            doc.delete(object, index)?;
        }
        match value {
            Value::Object(map) => {
                let id = doc.insert_object(object, index, ObjType::Map)?;
                write_map(doc, &id, map, depth + 1)?;
            }
            Value::Array(list) => {
                let id = doc.insert_object(object, index, ObjType::List)?;
                write_list(doc, &id, list, depth + 1)?;
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                if let Some(scalar) = scalar(value)? {
                    doc.insert(object, index, scalar)?;
                }
            }
        }
    }
    while doc.length(object) > target.len() {
        doc.delete(object, target.len())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn create(value: &Value) -> Document {
        Document::create(value, b"head office", 100, "first").unwrap()
    }

    #[test]
    fn content_survives_saving_and_replacing() {
        let mut document = create(&json!({"a": 1, "b": {"c": [1, {"d": "x"}, [true, null]]}}));
        for next in [
            json!({"a": 2, "b": {"c": [1, {"d": "y", "e": 5}]}, "f": {}}),
            json!({"b": {"c": []}, "f": [1, 2, 3]}),
            json!({"b": 7, "f": [3, {"g": 1}, 2, 1]}),
        ] {
            document.replace(&next, 200, "edit").unwrap();
            let bytes = document.save().unwrap();
            assert_eq!(
                Document::load(&bytes, b"other").unwrap().value().unwrap(),
                next
            );
        }
        assert_eq!(document.history().len(), 4);
        assert_eq!(document.history()[0].message, "first");
    }

    #[test]
    fn edits_of_different_fields_merge() {
        let mut one = create(&json!({"tiers": {"base": 5, "gold": 10}}));
        let mut two = Document::load(&one.save().unwrap(), b"colleague").unwrap();
        one.replace(&json!({"tiers": {"base": 6, "gold": 10}}), 200, "base")
            .unwrap();
        two.replace(&json!({"tiers": {"base": 5, "gold": 12}}), 200, "gold")
            .unwrap();
        one.merge(&mut two).unwrap();
        assert_eq!(
            one.value().unwrap(),
            json!({"tiers": {"base": 6, "gold": 12}})
        );
    }

    #[test]
    fn fractions_and_damage_are_refused() {
        let mut document = create(&json!({"a": 1}));
        assert!(matches!(
            document.replace(&json!({"a": 0.5}), 0, ""),
            Err(DocumentError::Unsupported(_))
        ));
        assert!(matches!(
            Document::load(b"junk", b"x"),
            Err(DocumentError::Damaged(_))
        ));
    }
}
