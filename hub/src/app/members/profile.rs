//! A member's questionnaire, opened for those who may read it; every opening is noted.

use kopilka_crdt::ids::{MemberId, ProgrammeId};
use kopilka_crdt::operation::ProfileField;
use serde_json::json;

use crate::app::Hub;
use crate::app::action::{ActionError, Actor};
use crate::store::{KeyState, StoreError};

/// An opened questionnaire, field by field.
pub type Opened = Vec<(ProfileField, String)>;

/// Opens the questionnaire.
pub async fn open(
    hub: &Hub,
    actor: &Actor,
    programme: ProgrammeId,
    id: MemberId,
) -> Result<Opened, ActionError> {
    let seen = super::one(hub, programme, id).await?;
    if seen.row.key == KeyState::Destroyed {
        return Err(ActionError::Erased);
    }
    let (key, rows) = hub.store.profile(programme, id).await?;
    let mut opened = Opened::new();
    for row in rows {
        let Some(key) = &key else { break };
        let bytes = row
            .sealed
            .open(key, id)
            .map_err(|_| StoreError::Damaged("questionnaire"))?;
        let value = String::from_utf8(bytes).map_err(|_| StoreError::Damaged("questionnaire"))?;
        opened.push((row.field, value));
    }
    let details = json!({ "fields": opened.len() });
    let audit = actor.audit((hub.clock)(), "member.open_profile", id, &details);
    hub.store.change_entities(&[], Some(&audit)).await?;
    Ok(opened)
}
