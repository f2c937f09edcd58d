//! Members at head office: found by what they show, looked at, and changed by staff as operations of the hub.

pub mod adjust;
pub mod bind;
pub mod erase;
pub mod history;
pub mod profile;

use std::sync::Arc;

use kopilka_crdt::identifier::{Identifier, IdentifierHash, IdentifierKind};
use kopilka_crdt::ids::{MemberId, ProgrammeId};
use kopilka_rules::{Moment, Programme};

use crate::app::Hub;
use crate::app::action::ActionError;
use crate::app::catalogue::programmes;
use crate::app::hub_log;
use crate::store::MemberRow;

/// A member with the rules to read them by.
pub struct Seen {
    /// Who.
    pub id: MemberId,
    /// The state.
    pub row: MemberRow,
    /// The rules in force.
    pub rules: Arc<Programme>,
    /// Now.
    pub moment: Moment,
}

/// The rules in force and the present moment in their calendar.
pub async fn rules_now(
    hub: &Hub,
    programme: ProgrammeId,
) -> Result<(Arc<Programme>, Moment), ActionError> {
    let rules = hub
        .current_rules(programme)
        .await?
        .ok_or_else(|| ActionError::not_found("programme", programme))?;
    let moment = hub.moment(&rules);
    Ok((rules, moment))
}

/// One member.
pub async fn one(hub: &Hub, programme: ProgrammeId, id: MemberId) -> Result<Seen, ActionError> {
    let (rules, moment) = rules_now(hub, programme).await?;
    let found = hub
        .store
        .member(programme, id, hub_log::name(programme))
        .await?;
    let (row, _) = found.ok_or_else(|| ActionError::not_found("member", id))?;
    Ok(Seen {
        id,
        row,
        rules,
        moment,
    })
}

/// The hash under which replicas keep what a member showed.
pub async fn hash_of(
    hub: &Hub,
    programme: ProgrammeId,
    kind: IdentifierKind,
    shown: &str,
) -> Result<(Identifier, IdentifierHash), ActionError> {
    let identifier =
        Identifier::parse(kind, shown).map_err(|error| ActionError::invalid("value", error))?;
    let entity = programmes::one(hub, programme).await?.value;
    let hash = identifier.hash(&entity.lookup_key);
    Ok((identifier, hash))
}

/// Who shows this card, phone or token.
pub async fn find(
    hub: &Hub,
    programme: ProgrammeId,
    kind: IdentifierKind,
    shown: &str,
) -> Result<Seen, ActionError> {
    let (_, hash) = hash_of(hub, programme, kind, shown).await?;
    let id = hub.store.find(programme, hash).await?;
    // What was shown may be a phone number, so the refusal does not repeat it.
    let id = id.ok_or_else(|| ActionError::not_found("member", "with this identifier"))?;
    one(hub, programme, id).await
}
