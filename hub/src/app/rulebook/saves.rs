//! Where drafts are kept: the present save, the last good one before it, and a damaged one as evidence.
//!
//! A save is verified when it is made. What is found damaged when it is read gives way to the last good one: people
//! are told, their next edit goes on from there, and nothing is published before they have looked.

use std::panic::{AssertUnwindSafe, catch_unwind};

use kopilka_crdt::ids::ProgrammeId;
use kopilka_crdt::rulebook::{Document, DocumentError};

use super::RuleBookError;
use crate::app::Hub;
use crate::app::action::ActionError;
use crate::store::{Entity, EntityChange, EntityKind};

/// A stored draft with the version that it was read at.
pub(super) struct StoredDraft {
    pub document: Document,
    /// Of the entity, to write it back only if nobody else did.
    pub entity_version: u64,
    /// What `document` was read from.
    good: Vec<u8>,
    damage: Option<Damage>,
}

/// A present save that cannot be read.
struct Damage {
    reason: String,
    body: Vec<u8>,
}

/// The change that stores a programme's first draft.
pub(super) fn first(
    programme: ProgrammeId,
    document: &mut Document,
) -> Result<EntityChange, DocumentError> {
    Ok(put(present_id(programme), document.save()?, Some(0)))
}

/// Loads the draft, or the last good save of it; later changes are `actor`'s.
pub(super) async fn load(
    hub: &Hub,
    programme: ProgrammeId,
    actor: &[u8],
) -> Result<StoredDraft, RuleBookError> {
    let entity = present(hub, programme).await?;
    let reason = match read(&entity.body, actor) {
        Ok(document) => {
            return Ok(StoredDraft {
                document,
                entity_version: entity.version,
                good: entity.body,
                damage: None,
            });
        }
        Err(error) => error.to_string(),
    };
    tracing::error!(%programme, reason, "a rule book draft is damaged; its last good save is used");
    let last_good = hub
        .store
        .entity(EntityKind::RuleBook, &last_good_id(programme))
        .await?;
    let lost = || RuleBookError::Lost {
        reason: reason.clone(),
    };
    let last_good = last_good.ok_or_else(lost)?;
    let document = read(&last_good.body, actor).map_err(|_| lost())?;
    let body = entity.body;
    Ok(StoredDraft {
        document,
        entity_version: entity.version,
        good: last_good.body,
        damage: Some(Damage { reason, body }),
    })
}

/// The changes that put a new document in the place of one of which no save can be read.
pub(super) async fn begin_anew(
    hub: &Hub,
    programme: ProgrammeId,
    document: &mut Document,
) -> Result<Vec<EntityChange>, RuleBookError> {
    let lost = present(hub, programme).await?;
    Ok(vec![
        put(present_id(programme), document.save()?, Some(lost.version)),
        put(damaged_id(programme), lost.body, None),
    ])
}

impl StoredDraft {
    /// The changes that store it, unless somebody else changed it meanwhile.
    pub fn changes(&mut self, programme: ProgrammeId) -> Result<Vec<EntityChange>, DocumentError> {
        let save = self.document.save()?;
        let mut changes = vec![put(present_id(programme), save, Some(self.entity_version))];
        changes.push(put(last_good_id(programme), self.good.clone(), None));
        if let Some(damage) = &self.damage {
            changes.push(put(damaged_id(programme), damage.body.clone(), None));
        }
        Ok(changes)
    }

    /// Why the present save could not be read.
    pub fn damage(&self) -> Option<&str> {
        self.damage.as_ref().map(|damage| damage.reason.as_str())
    }

    /// Makes sure that people know what they would publish.
    pub fn publishable(&mut self, despite_conflicts: bool) -> Result<(), RuleBookError> {
        if let Some(reason) = self.damage() {
            let reason = reason.to_owned();
            let version = self.document.version();
            return Err(RuleBookError::Recovered { reason, version });
        }
        let conflicts = self.document.conflicts()?;
        if conflicts.is_empty() || despite_conflicts {
            Ok(())
        } else {
            Err(RuleBookError::Conflicts(conflicts))
        }
    }
}

/// Reads a save to its last value. Automerge has panicked on documents that it damaged itself.
fn read(body: &[u8], actor: &[u8]) -> Result<Document, DocumentError> {
    let attempt = || {
        let mut document = Document::load(body, actor)?;
        document.value()?;
        document.conflicts()?;
        Ok(document)
    };
    catch_unwind(AssertUnwindSafe(attempt))
        .unwrap_or_else(|_| Err(DocumentError::Damaged("reading it failed".to_owned())))
}

async fn present(hub: &Hub, programme: ProgrammeId) -> Result<Entity, RuleBookError> {
    let id = present_id(programme);
    let entity = hub.store.entity(EntityKind::RuleBook, &id).await?;
    Ok(entity.ok_or_else(|| ActionError::not_found("programme", programme))?)
}

fn put(id: String, body: Vec<u8>, expected: Option<u64>) -> EntityChange {
    EntityChange {
        kind: EntityKind::RuleBook,
        id,
        body: Some(body),
        expected,
    }
}

fn present_id(programme: ProgrammeId) -> String {
    programme.to_string()
}

fn last_good_id(programme: ProgrammeId) -> String {
    format!("{programme}/last-good")
}

fn damaged_id(programme: ProgrammeId) -> String {
    format!("{programme}/damaged")
}
