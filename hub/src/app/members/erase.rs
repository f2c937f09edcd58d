//! Erasure of a member's personal data: the key is destroyed, so what is sealed with it opens nowhere any more.
//!
//! Cards, points and history stay, as they name nobody. Nodes learn of it as of any change of a member.

use kopilka_crdt::identifier::IdentifierHash;
use kopilka_crdt::ids::{MemberId, ProgrammeId};
use kopilka_crdt::member::Shown;
use kopilka_rules::placement::due_ms;
use serde_json::json;

use crate::app::Hub;
use crate::app::action::{ActionError, Actor};
use crate::store::{AuditRow, Changes, KeyState, Keys, MemberRow, Rows, StoreError};

/// Destroys a member's key, deletes their questionnaire, clears what tills show, and forgets phones and tokens. A
/// second time changes nothing.
pub async fn erase(
    hub: &Hub,
    actor: &Actor,
    programme: ProgrammeId,
    id: MemberId,
) -> Result<(), ActionError> {
    let keys = Keys {
        programme: programme.0,
        members: vec![id],
        ..Keys::default()
    };
    let audit = actor.audit((hub.clock)(), "member.erase", id, &json!({}));
    let mut outcome = Err(ActionError::Store(StoreError::Contended));
    let mut decision = |rows: &Rows| match decide(rows, id, &audit) {
        Ok(changes) => {
            outcome = Ok(());
            changes
        }
        Err(refusal) => {
            outcome = Err(refusal);
            Changes::default()
        }
    };
    hub.store.decide(&keys, &mut decision).await?;
    outcome?;
    hub.look_for_news().await?;
    Ok(())
}

fn decide(rows: &Rows, id: MemberId, audit: &AuditRow) -> Result<Changes, ActionError> {
    let row = rows
        .members
        .get(&id)
        .ok_or_else(|| ActionError::not_found("member", id))?;
    match row.key {
        KeyState::Destroyed => return Ok(Changes::default()),
        KeyState::Absent | KeyState::Stored => {}
    }
    let mut member = row.member.clone();
    member.shown = Shown::default();
    let due = due_ms(&member);
    Ok(Changes {
        members: [(id, (member, due))].into(),
        erased: [(id, personal(row))].into(),
        audit: Some(audit.clone()),
        ..Changes::default()
    })
}

/// What a member is found by other than their cards.
fn personal(row: &MemberRow) -> Vec<IdentifierHash> {
    let is_card = |hash: &IdentifierHash| row.member.cards.contains_key(&hash.tag());
    let hashes = row.identifiers.iter().copied();
    hashes.filter(|hash| !is_card(hash)).collect()
}
