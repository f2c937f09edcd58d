//! The draft: an Automerge document, edited by JSON Patch (RFC 6902), with its history.

use json_patch::Patch;
use kopilka_crdt::ids::ProgrammeId;
use kopilka_crdt::rulebook::document;
use kopilka_crdt::rulebook::{Document, RuleBook};
use kopilka_rules::validation::{Problem, unpublishable};
use serde_json::{Value, json};

use super::{RuleBookError, parse, value_of};
use crate::app::Hub;
use crate::app::action::{ATTEMPTS_MAX, ActionError, Actor};
use crate::store::{EntityChange, EntityKind, StoreError};

/// Longest note on an edit or publication, in bytes.
pub const NOTE_BYTES_MAX: usize = 400;
/// Most operations of one patch.
const PATCH_OPERATIONS_MAX: usize = 1_000;

/// A draft as it stands.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Its content.
    pub value: Value,
    /// What keeps it from being published.
    pub problems: Vec<Problem>,
}

/// A stored draft with the version that it was read at.
pub(super) struct StoredDraft {
    pub document: Document,
    pub version: u64,
}

/// The change that stores a new programme's first draft.
pub fn first(
    programme: ProgrammeId,
    rules: &RuleBook,
    actor: &Actor,
    now_ms: u64,
) -> Result<EntityChange, ActionError> {
    let value = serde_json::to_value(rules).expect("a rule book is plain data with string keys");
    let message = message(actor, "starter rules");
    let body = Document::create(&value, actor.name().as_bytes(), seconds(now_ms), &message)
        .and_then(|mut document| document.save())
        .map_err(|error| ActionError::invalid("name", &error))?;
    Ok(EntityChange {
        kind: EntityKind::RuleBook,
        id: programme.to_string(),
        body: Some(body),
        expected: Some(0),
    })
}

/// The draft.
pub async fn show(hub: &Hub, programme: ProgrammeId) -> Result<Draft, RuleBookError> {
    let stored = load(hub, programme, b"reader").await?;
    let value = stored.document.value()?;
    let problems = unpublishable(&parse(&value)?);
    Ok(Draft { value, problems })
}

/// All changes of the draft, oldest first.
pub async fn history(
    hub: &Hub,
    programme: ProgrammeId,
) -> Result<Vec<document::Change>, RuleBookError> {
    Ok(load(hub, programme, b"reader").await?.document.history())
}

/// Applies a patch. Edits at the same time merge: a patch that lost a race is applied again to the newer draft, where
/// its `test` operations are checked again too.
pub async fn edit(
    hub: &Hub,
    actor: &Actor,
    programme: ProgrammeId,
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
    let details = json!({ "note": note, "paths": paths });
    let change = Change {
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

/// Sets the draft to a whole rule book. Only what differs is touched, so the history stays readable.
pub async fn import(
    hub: &Hub,
    actor: &Actor,
    programme: ProgrammeId,
    rules: &RuleBook,
    note: &str,
) -> Result<Draft, RuleBookError> {
    let whole = value_of(rules);
    let details = json!({ "note": note });
    let change = Change {
        note,
        action: "rulebook.import",
        details: &details,
    };
    write(hub, actor, programme, change, |_| Ok(whole.clone())).await
}

/// What is said of a change.
#[derive(Clone, Copy)]
struct Change<'a> {
    note: &'a str,
    action: &'static str,
    details: &'a Value,
}

/// Changes the draft by a function of what it holds, again and again while others are quicker.
async fn write(
    hub: &Hub,
    actor: &Actor,
    programme: ProgrammeId,
    change: Change<'_>,
    next: impl Fn(&Value) -> Result<Value, RuleBookError>,
) -> Result<Draft, RuleBookError> {
    check_note(change.note)?;
    for _ in 0..ATTEMPTS_MAX {
        let mut stored = load(hub, programme, actor.name().as_bytes()).await?;
        let value = next(&stored.document.value()?)?;
        let rules = parse(&value)?;
        let now_ms = (hub.clock)();
        stored
            .document
            .replace(&value, seconds(now_ms), &message(actor, change.note))?;
        let stored = stored.change(programme)?;
        let audit = actor.audit(now_ms, change.action, programme, change.details);
        match hub.store.change_entities(&[stored], Some(&audit)).await {
            Ok(()) => {
                return Ok(Draft {
                    value,
                    problems: unpublishable(&rules),
                });
            }
            Err(StoreError::Exists(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(StoreError::Contended.into())
}

/// Loads the draft; later changes are `actor`'s.
pub(super) async fn load(
    hub: &Hub,
    programme: ProgrammeId,
    actor: &[u8],
) -> Result<StoredDraft, RuleBookError> {
    let entity = hub
        .store
        .entity(EntityKind::RuleBook, &programme.to_string())
        .await?
        .ok_or_else(|| ActionError::not_found("programme", programme))?;
    Ok(StoredDraft {
        document: Document::load(&entity.body, actor)?,
        version: entity.version,
    })
}

impl StoredDraft {
    /// The change that stores it, unless somebody else changed it meanwhile.
    pub fn change(&mut self, programme: ProgrammeId) -> Result<EntityChange, RuleBookError> {
        Ok(EntityChange {
            kind: EntityKind::RuleBook,
            id: programme.to_string(),
            body: Some(self.document.save()?),
            expected: Some(self.version),
        })
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
