//! A card or other identifier given to a member at head office.

use kopilka_crdt::card::{Card, CardKind, CardNumber, CardState};
use kopilka_crdt::identifier::{CardTag, IdentifierKind};
use kopilka_crdt::ids::{MemberId, ProgrammeId};
use kopilka_crdt::operation::{Binding, Body};
use kopilka_rules::placement::due_ms;
use kopilka_rules::{Moment, Programme};
use serde_json::json;

use super::{hash_of, rules_now};
use crate::app::Hub;
use crate::app::action::{ActionError, Actor};
use crate::app::blocks;
use crate::app::hub_log::HubLog;
use crate::store::{Changes, KeyState, Keys, Rows, StoreError};

/// What is given.
#[derive(Debug, Clone)]
pub struct NewIdentifier {
    /// Its kind.
    pub kind: IdentifierKind,
    /// As printed or told.
    pub value: String,
    /// What a card is for.
    pub card_kind: CardKind,
    /// The card that it takes the place of.
    pub replaces: Option<CardTag>,
}

/// Gives an identifier to a member; one that they have already changes nothing.
pub async fn bind(
    hub: &Hub,
    actor: &Actor,
    programme: ProgrammeId,
    id: MemberId,
    new: &NewIdentifier,
) -> Result<(), ActionError> {
    let (identifier, hash) = hash_of(hub, programme, new.kind, &new.value).await?;
    let (rules, moment) = rules_now(hub, programme).await?;
    let card = match new.kind {
        IdentifierKind::Card => Some(card_of(identifier.reveal(), new.card_kind)?),
        IdentifierKind::Phone
        | IdentifierKind::Qr
        | IdentifierKind::Nfc
        | IdentifierKind::Track => None,
    };
    let binding = Binding {
        member: id,
        kind: new.kind,
        hash,
        card,
        replaces: new.replaces,
    };
    let keys = Keys {
        programme: programme.0,
        members: vec![id],
        identifiers: vec![hash],
        counters: true,
        ..Keys::default()
    };
    let details = json!({ "kind": new.kind, "replaces": new.replaces.is_some() });
    let audit = actor.audit(moment.now_ms, "member.bind", id, &details);
    let mut outcome = Err(ActionError::Store(StoreError::Contended));
    let mut decision = |rows: &Rows| match decide(rows, &binding, &rules, moment) {
        Ok(Some(mut changes)) => {
            outcome = Ok(());
            changes.audit = Some(audit.clone());
            changes
        }
        Ok(None) => {
            outcome = Ok(());
            Changes::default()
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

/// What a binding changes; nothing when the member has the identifier already.
fn decide(
    rows: &Rows,
    binding: &Binding,
    rules: &Programme,
    moment: Moment,
) -> Result<Option<Changes>, ActionError> {
    let (id, hash) = (binding.member, binding.hash);
    let row = rows
        .members
        .get(&id)
        .ok_or_else(|| ActionError::not_found("member", id))?;
    match rows.identifiers.get(&hash) {
        Some(owner) if *owner == id => return Ok(None),
        Some(_) => {
            let text = "the identifier belongs to another member".to_owned();
            return Err(ActionError::Conflict(text));
        }
        None => {}
    }
    if row.key == KeyState::Destroyed && binding.card.is_none() {
        return Err(ActionError::Erased);
    }
    if binding
        .replaces
        .is_some_and(|card| !row.member.cards.contains_key(&card))
    {
        let reason = "is not a card of this member";
        return Err(ActionError::invalid("replaces", reason));
    }
    let mut changes = Changes::default();
    let mut member = row.member.clone();
    if let Some(mark) = blocks::mark(rows, &hash)? {
        member.blocks.insert(hash.tag(), mark);
    }
    let body = Body::Bind(binding.clone());
    HubLog::resume(rows, rules, moment).make(&mut member, &body, &mut changes)?;
    let due = due_ms(&member);
    changes.members.insert(id, (member, due));
    changes.identifiers.push((hash, binding.kind, id));
    Ok(Some(changes))
}

/// An active card of a number that was checked before.
fn card_of(number: &str, kind: CardKind) -> Result<Card, ActionError> {
    let number = CardNumber::parse(number).map_err(|error| ActionError::invalid("value", error))?;
    Ok(Card {
        kind,
        tail: number.tail(),
        state: CardState::Active,
    })
}
