//! JSON out of an Automerge document and into it, touching only what differs.

use automerge::transaction::Transactable;
use automerge::{AutoCommit, ObjId, ObjType, Prop, ROOT, ReadDoc, ScalarValue, Value as Held};
use serde_json::{Map, Number, Value};

use super::super::difference::common_ends;
use super::DocumentError;

/// Deepest nesting of a rule book.
pub const DEPTH_MAX: usize = 32;

/// The whole content.
pub fn read_root(doc: &AutoCommit) -> Result<Value, DocumentError> {
    read_map(doc, &ROOT, 0)
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

fn read_list(doc: &AutoCommit, object: &ObjId, depth: usize) -> Result<Vec<Value>, DocumentError> {
    let mut list = Vec::new();
    for index in 0..doc.length(object) {
        if let Some((held, item)) = doc.get(object, index)? {
            list.push(read(doc, &held, &item, depth)?);
        }
    }
    Ok(list)
}

/// One value with all that is below it.
pub fn read(
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
        Held::Object(ObjType::List) => Ok(Value::Array(read_list(doc, id, depth + 1)?)),
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

/// Turns a map into `target`.
pub fn write_map(
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
        write(doc, object, key.as_str().into(), value, depth)?;
    }
    Ok(())
}

/// Turns a list into `target`. What both begin and end with stays as it is, so that an item put in between moves none
/// of its neighbours' edits to another item.
fn write_list(
    doc: &mut AutoCommit,
    object: &ObjId,
    target: &[Value],
    depth: usize,
) -> Result<(), DocumentError> {
    if depth > DEPTH_MAX {
        return Err(DocumentError::TooLarge);
    }
    let held = read_list(doc, object, depth)?;
    let (start, end) = common_ends(&held, target);
    let paired = held.len().min(target.len()) - end;
    for (index, value) in target.iter().enumerate().take(paired).skip(start) {
        write(doc, object, index.into(), value, depth)?;
    }
    for _ in target.len()..held.len() {
        doc.delete(object, paired)?;
    }
    for (index, value) in target
        .iter()
        .enumerate()
        .take(target.len() - end)
        .skip(paired)
    {
        insert(doc, object, index, value, depth)?;
    }
    Ok(())
}

/// Turns what is at a place into `value`.
fn write(
    doc: &mut AutoCommit,
    object: &ObjId,
    place: Prop,
    value: &Value,
    depth: usize,
) -> Result<(), DocumentError> {
    let held = doc.get(object, place.clone())?;
    if let Some((held, id)) = &held
        && read(doc, held, id, depth)? == *value
    {
        return Ok(());
    }
    match (value, held) {
        (Value::Object(map), Some((Held::Object(ObjType::Map), id))) => {
            write_map(doc, &id, map, depth + 1)
        }
        (Value::Array(list), Some((Held::Object(ObjType::List), id))) => {
            write_list(doc, &id, list, depth + 1)
        }
        (_, _) => put(doc, object, place, value, depth),
    }
}

/// Puts a new value at a place, whatever is there.
pub fn put(
    doc: &mut AutoCommit,
    object: &ObjId,
    place: Prop,
    value: &Value,
    depth: usize,
) -> Result<(), DocumentError> {
    match value {
        Value::Object(map) => {
            let id = doc.put_object(object, place, ObjType::Map)?;
            write_map(doc, &id, map, depth + 1)
        }
        Value::Array(list) => {
            let id = doc.put_object(object, place, ObjType::List)?;
            write_list(doc, &id, list, depth + 1)
        }
        Value::Null => Ok(doc.put(object, place, ScalarValue::Null)?),
        Value::Bool(flag) => Ok(doc.put(object, place, *flag)?),
        Value::String(text) => Ok(doc.put(object, place, text.as_str())?),
        Value::Number(number) => Ok(doc.put(object, place, whole(number)?)?),
    }
}

fn insert(
    doc: &mut AutoCommit,
    list: &ObjId,
    index: usize,
    value: &Value,
    depth: usize,
) -> Result<(), DocumentError> {
    match value {
        Value::Object(map) => {
            let id = doc.insert_object(list, index, ObjType::Map)?;
            write_map(doc, &id, map, depth + 1)
        }
        Value::Array(items) => {
            let id = doc.insert_object(list, index, ObjType::List)?;
            write_list(doc, &id, items, depth + 1)
        }
        Value::Null => Ok(doc.insert(list, index, ScalarValue::Null)?),
        Value::Bool(flag) => Ok(doc.insert(list, index, *flag)?),
        Value::String(text) => Ok(doc.insert(list, index, text.as_str())?),
        Value::Number(number) => Ok(doc.insert(list, index, whole(number)?)?),
    }
}

fn whole(number: &Number) -> Result<i64, DocumentError> {
    number
        .as_i64()
        .ok_or_else(|| DocumentError::Unsupported(number.to_string()))
}
