//! Places that people set at the same time, and edits of which only one can hold.

use std::collections::BTreeMap;

use automerge::{AutoCommit, ObjId, ObjType, Prop, ROOT, ReadDoc, Value as Held};
use serde_json::Value;

use super::tree::{DEPTH_MAX, put, read};
use super::{Change, DocumentError};
use crate::rulebook::difference::{Difference, is_below, pointer_token};

/// A place with several values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// JSON pointer to it.
    pub path: String,
    /// The values, oldest change first.
    pub candidates: Vec<Candidate>,
}

/// One of a conflict's values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The value.
    pub value: Value,
    /// Whether it is what the document shows.
    pub kept: bool,
    /// Who wrote it, when and why.
    pub change: Change,
}

/// A place with several values, as Automerge finds it again.
struct Place {
    path: String,
    object: ObjId,
    prop: Prop,
    depth: usize,
}

/// All conflicts, in the document's order.
pub fn all(doc: &AutoCommit, history: &[Change]) -> Result<Vec<Conflict>, DocumentError> {
    let changes: BTreeMap<&str, &Change> = history
        .iter()
        .map(|change| (change.hash.as_str(), change))
        .collect();
    let mut conflicts = Vec::new();
    for place in places(doc)? {
        let kept = doc.get(&place.object, place.prop.clone())?;
        let mut candidates = Vec::new();
        for (held, id) in doc.get_all(&place.object, place.prop.clone())? {
            let hash = doc.hash_for_opid(&id).map(|hash| hash.to_string());
            let change = hash.and_then(|hash| changes.get(hash.as_str()).copied());
            let change = change
                .ok_or_else(|| DocumentError::Damaged(format!("{}: no change", place.path)))?;
            candidates.push(Candidate {
                value: read(doc, &held, &id, place.depth)?,
                kept: kept.as_ref().is_some_and(|(_, kept)| *kept == id),
                change: change.clone(),
            });
        }
        candidates.sort_by_key(|candidate| candidate.change.version);
        let path = place.path;
        conflicts.push(Conflict { path, candidates });
    }
    Ok(conflicts)
}

/// Settles the conflicts at and below the named places: what `content` has there becomes the one value.
pub fn settle(
    doc: &mut AutoCommit,
    content: &Value,
    named: &[String],
) -> Result<(), DocumentError> {
    if named.is_empty() {
        return Ok(());
    }
    for place in places(doc)? {
        let is_named = named
            .iter()
            .any(|name| *name == place.path || is_below(&place.path, name));
        if is_named && let Some(value) = content.pointer(&place.path) {
            put(doc, &place.object, place.prop, value, place.depth)?;
        }
    }
    Ok(())
}

/// The first place where one side removes or replaces a whole inside which the other side changed something.
pub fn overlap(mine: &[Difference], theirs: &[Difference]) -> Option<String> {
    let theirs: BTreeMap<&str, &Difference> = theirs
        .iter()
        .map(|other| (other.path.as_str(), other))
        .collect();
    let clash = mine.iter().find(|one| is_lost(one, &theirs));
    clash.map(|one| one.path.clone())
}

/// Whether a change and what others changed cannot both hold.
fn is_lost(one: &Difference, theirs: &BTreeMap<&str, &Difference>) -> bool {
    let inside = format!("{}/", one.path);
    let changed_inside = one.before.is_some()
        && theirs
            .range(inside.as_str()..)
            .next()
            .is_some_and(|(path, _)| path.starts_with(&inside));
    let mut wholes = one.path.match_indices('/').map(|(at, _)| &one.path[..at]);
    let whole_replaced = wholes.any(|whole| {
        theirs
            .get(whole)
            .is_some_and(|other| other.before.is_some())
    });
    let removed_here = theirs
        .get(one.path.as_str())
        .is_some_and(|other| one.after.is_none() != other.after.is_none());
    changed_inside || whole_replaced || removed_here
}

fn places(doc: &AutoCommit) -> Result<Vec<Place>, DocumentError> {
    let mut found = Vec::new();
    walk(doc, &ROOT, ObjType::Map, "", 0, &mut found)?;
    Ok(found)
}

fn walk(
    doc: &AutoCommit,
    object: &ObjId,
    kind: ObjType,
    path: &str,
    depth: usize,
    found: &mut Vec<Place>,
) -> Result<(), DocumentError> {
    if depth > DEPTH_MAX {
        return Err(DocumentError::TooLarge);
    }
    let props: Vec<Prop> = match kind {
        ObjType::Map | ObjType::Table => doc.keys(object).map(Prop::from).collect(),
        ObjType::List => (0..doc.length(object)).map(Prop::from).collect(),
        ObjType::Text => Vec::new(),
    };
    for prop in props {
        let path = match &prop {
            Prop::Map(key) => format!("{path}/{}", pointer_token(key)),
            Prop::Seq(index) => format!("{path}/{index}"),
        };
        let held = doc.get_all(object, prop.clone())?;
        if differ(&held) {
            found.push(Place {
                path,
                object: object.clone(),
                prop,
                depth,
            });
        } else if let Some((Held::Object(kind), id)) = doc.get(object, prop)? {
            walk(doc, &id, kind, &path, depth + 1, found)?;
        }
    }
    Ok(())
}

/// Two people who wrote the same number or text agree. Maps and lists that are the same now need not stay so: later
/// edits go into the one that is shown.
fn differ(held: &[(Held<'_>, ObjId)]) -> bool {
    held.windows(2)
        .any(|pair| pair[0].0.is_object() || pair[0].0 != pair[1].0)
}
