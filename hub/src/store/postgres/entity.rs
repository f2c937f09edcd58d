//! Writes what head office keeps. Each statement checks the expected version itself.

use super::number::{insert_audit, next};
use super::pool::{Session, Values};
use crate::store::StoreError;
use crate::store::columns::{column, entity_kind, text_column};
use crate::store::decision::is_news;
use crate::store::rows::{AuditRow, EntityChange};

/// Writes changes and the note about them.
pub(super) async fn change(
    session: &mut Session<'_>,
    changes: &[EntityChange],
    audit: Option<&AuditRow>,
) -> Result<(), StoreError> {
    let mut sorted: Vec<&EntityChange> = changes.iter().collect();
    sorted.sort_by(|one, other| (one.kind, &one.id).cmp(&(other.kind, &other.id)));
    for change in sorted {
        change_one(session, change).await?;
    }
    if is_news(changes) {
        next(session, "entities", 0).await?;
    }
    match audit {
        Some(row) => insert_audit(session, row).await,
        None => Ok(()),
    }
}

async fn change_one(session: &mut Session<'_>, change: &EntityChange) -> Result<(), StoreError> {
    const CREATE: &str = "INSERT INTO entity (kind, id, version, body) VALUES ($1, $2, 1, $3) ON CONFLICT DO NOTHING";
    const PUT: &str = "INSERT INTO entity (kind, id, version, body) VALUES ($1, $2, 1, $3) \
        ON CONFLICT (kind, id) DO UPDATE SET version = entity.version + 1, body = EXCLUDED.body";
    const UPDATE: &str = "UPDATE entity SET version = version + 1, body = $3 WHERE kind = $1 AND id = $2 AND version = $4";
    const REMOVE: &str = "DELETE FROM entity WHERE kind = $1 AND id = $2";
    const REMOVE_VERSION: &str = "DELETE FROM entity WHERE kind = $1 AND id = $2 AND version = $3";
    const ABSENT: &str = "SELECT 1 FROM entity WHERE kind = $1 AND id = $2";
    let kind = entity_kind(change.kind);
    let id = text_column(&change.id);
    let expected = change.expected.map(|version| column(version, "version"));
    let is_done = match (&change.body, expected.transpose()?) {
        (Some(body), None) => session.execute(PUT, &[&kind, &id, body]).await? == 1,
        (Some(body), Some(0)) => session.execute(CREATE, &[&kind, &id, body]).await? == 1,
        (Some(body), Some(version)) => {
            let values: Values<'_> = &[&kind, &id, body, &version];
            session.execute(UPDATE, values).await? == 1
        }
        (None, None) => {
            session.execute(REMOVE, &[&kind, &id]).await?;
            true
        }
        (None, Some(0)) => session.query_one(ABSENT, &[&kind, &id]).await?.is_none(),
        (None, Some(version)) => {
            let values: Values<'_> = &[&kind, &id, &version];
            session.execute(REMOVE_VERSION, values).await? == 1
        }
    };
    if is_done {
        Ok(())
    } else {
        Err(StoreError::Exists(kind))
    }
}
