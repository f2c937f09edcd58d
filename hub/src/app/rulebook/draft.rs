//! The draft: an Automerge document, edited by JSON Patch (RFC 6902) or as a whole, with its history.
//!
//! An edit may name the version that its writer saw. Edits of one version by several people all hold where they set
//! different places; where they set the same one, the draft shows one value and tells of both.

use json_patch::{Patch, PatchOperation};
use kopilka_crdt::ids::ProgrammeId;
use kopilka_crdt::rulebook::document::{self, Conflict, Edit};
use kopilka_crdt::rulebook::{Document, RuleBook};
use kopilka_rules::validation::{Problem, unpublishable};
use serde_json::{Value, json};

use super::saves::{self, StoredDraft};
use super::{RuleBookError, parse, value_of};
use crate::app::Hub;
use crate::app::action::{ATTEMPTS_MAX, ActionError, Actor};
use crate::store::{EntityChange, StoreError};

/// Longest note on an edit or publication, in bytes.
pub const NOTE_BYTES_MAX: usize = 400;
/// JSON pointer to the whole rule book.
pub(super) const WHOLE: &str = "";
/// Most operations of one patch.
const PATCH_OPERATIONS_MAX: usize = 1_000;

/// A draft as it stands.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Its content.
    pub value: Value,
    /// How many changes made it.
    pub version: u32,
    /// What keeps it from being published.
    pub problems: Vec<Problem>,
    /// Places that people set at the same time, with all their values.
    pub conflicts: Vec<Conflict>,
    /// Why this is the last good save and not the latest.
    pub damage: Option<String>,
}

/// The change that stores a new programme's first draft.
pub fn first(
    programme: ProgrammeId,
    rules: &RuleBook,
    actor: &Actor,
    now_ms: u64,
) -> Result<EntityChange, ActionError> {
    let message = message(actor, "starter rules");
    let (name, now) = (actor.name().as_bytes(), seconds(now_ms));
    Document::create(&value_of(rules), name, now, &message)
        .and_then(|mut document| saves::first(programme, &mut document))
        .map_err(|error| ActionError::invalid("name", &error))
}

/// The draft.
pub async fn show(hub: &Hub, programme: ProgrammeId) -> Result<Draft, RuleBookError> {
    let mut stored = saves::load(hub, programme, b"reader").await?;
    let value = stored.document.value()?;
    let problems = unpublishable(&parse(&value)?);
    shown(&mut stored, value, problems)
}

/// All changes of the draft, oldest first.
pub async fn history(
    hub: &Hub,
    programme: ProgrammeId,
) -> Result<Vec<document::Change>, RuleBookError> {
    let mut stored = saves::load(hub, programme, b"reader").await?;
    Ok(stored.document.history())
}

/// Applies a patch to the version `base` that its writer saw, or to the draft as it is now. A patch without a version
/// that lost a race is applied again to the newer draft, where its `test` operations are checked again too.
pub async fn edit(
    hub: &Hub,
    actor: &Actor,
    programme: ProgrammeId,
    base: Option<u32>,
    patch: &Patch,
    note: &str,
) -> Result<Draft, RuleBookError> {
    if patch.0.len() > PATCH_OPERATIONS_MAX {
        let reason = format!("has at most {PATCH_OPERATIONS_MAX} operations");
        return Err(ActionError::invalid("patch", &reason).into());
    }
    let paths: Vec<String> = patch
        .0
        .iter()
        .map(|operation| operation.path().to_string())
        .collect();
    let named: Vec<String> = patch.0.iter().filter_map(named).collect();
    let details = json!({ "note": note, "paths": paths });
    let change = Change {
        base,
        named: &named,
        note,
        action: "rulebook.edit",
        details: &details,
    };
    write(hub, actor, programme, change, |value| {
        let mut value = value.clone();
        json_patch::patch(&mut value, patch).map_err(|error| RuleBookError::Patch {
            path: error.path.to_string(),
            reason: error.kind.to_string(),
        })?;
        Ok(value)
    })
    .await
}

/// Sets the draft to a whole rule book that was made from the version `base`, or in place of the draft as it is now.
/// Only what differs is touched, so the history stays readable.
pub async fn import(
    hub: &Hub,
    actor: &Actor,
    programme: ProgrammeId,
    base: Option<u32>,
    rules: &RuleBook,
    note: &str,
) -> Result<Draft, RuleBookError> {
    let whole = value_of(rules);
    let details = json!({ "note": note });
    let change = Change {
        base,
        named: &[],
        note,
        action: "rulebook.import",
        details: &details,
    };
    match write(hub, actor, programme, change, |_| Ok(whole.clone())).await {
        Err(RuleBookError::Lost { .. }) => begin_anew(hub, actor, programme, rules, change).await,
        other => other,
    }
}

/// What is said of a change.
#[derive(Clone, Copy)]
pub(super) struct Change<'a> {
    /// The version that it was made from; none: the present one.
    pub base: Option<u32>,
    /// JSON pointers to places whose conflicts it settles.
    pub named: &'a [String],
    pub note: &'a str,
    pub action: &'static str,
    pub details: &'a Value,
}

/// Changes the draft by a function of what it holds, again and again while others are quicker.
pub(super) async fn write(
    hub: &Hub,
    actor: &Actor,
    programme: ProgrammeId,
    change: Change<'_>,
    next: impl Fn(&Value) -> Result<Value, RuleBookError>,
) -> Result<Draft, RuleBookError> {
    check_note(change.note)?;
    for _ in 0..ATTEMPTS_MAX {
        let mut stored = saves::load(hub, programme, actor.name().as_bytes()).await?;
        let present = stored.document.version();
        let base = change.base.unwrap_or(present);
        let value = next(&stored.document.value_at(base)?)?;
        parse(&value)?;
        let now_ms = (hub.clock)();
        stored.document.edit(Edit {
            base,
            value: &value,
            named: change.named,
            at_seconds: seconds(now_ms),
            message: &message(actor, change.note),
        })?;
        let merged = stored.document.value()?;
        let rules = parse(&merged).map_err(|error| RuleBookError::Merge {
            base,
            reason: error.to_string(),
        })?;
        let changes = stored.changes(programme)?;
        let audit = actor.audit(now_ms, change.action, programme, change.details);
        match hub.store.change_entities(&changes, Some(&audit)).await {
            Ok(()) => return shown(&mut stored, merged, unpublishable(&rules)),
            Err(StoreError::Exists(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(StoreError::Contended.into())
}

/// Puts a rule book in the place of a draft that cannot be read any more; its history begins anew.
async fn begin_anew(
    hub: &Hub,
    actor: &Actor,
    programme: ProgrammeId,
    rules: &RuleBook,
    change: Change<'_>,
) -> Result<Draft, RuleBookError> {
    let now_ms = (hub.clock)();
    let message = message(actor, change.note);
    let (name, value) = (actor.name().as_bytes(), value_of(rules));
    let mut document = Document::create(&value, name, seconds(now_ms), &message)?;
    let changes = saves::begin_anew(hub, programme, &mut document).await?;
    let audit = actor.audit(now_ms, change.action, programme, change.details);
    hub.store.change_entities(&changes, Some(&audit)).await?;
    Ok(Draft {
        value,
        version: document.version(),
        problems: unpublishable(rules),
        conflicts: Vec::new(),
        damage: None,
    })
}

fn shown(
    stored: &mut StoredDraft,
    value: Value,
    problems: Vec<Problem>,
) -> Result<Draft, RuleBookError> {
    Ok(Draft {
        value,
        version: stored.document.version(),
        problems,
        conflicts: stored.document.conflicts()?,
        damage: stored.damage().map(str::to_owned),
    })
}

/// The place that an operation gives a value.
fn named(operation: &PatchOperation) -> Option<String> {
    match operation {
        PatchOperation::Add(_)
        | PatchOperation::Replace(_)
        | PatchOperation::Move(_)
        | PatchOperation::Copy(_) => Some(operation.path().to_string()),
        PatchOperation::Remove(_) | PatchOperation::Test(_) => None,
    }
}

/// Makes sure that a note is not too long.
pub(super) fn check_note(note: &str) -> Result<(), ActionError> {
    if note.len() > NOTE_BYTES_MAX {
        return Err(ActionError::invalid(
            "note",
            &format!("takes at most {NOTE_BYTES_MAX} bytes"),
        ));
    }
    Ok(())
}

/// What the history shows: `author: note`.
pub(super) fn message(actor: &Actor, note: &str) -> String {
    format!("{}: {note}", actor.name())
}

/// Splits what `message` made.
pub fn author_and_note(message: &str) -> (&str, &str) {
    message.split_once(": ").unwrap_or(("", message))
}

pub(super) fn seconds(ms: u64) -> i64 {
    i64::try_from(ms / 1_000).unwrap_or(i64::MAX)
}
