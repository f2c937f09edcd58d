//! Programmes, which can work from their first minute, and the partners that own stores in them.

use kopilka_crdt::identifier::LookupKey;
use kopilka_crdt::ids::{PartnerId, ProgrammeId};
use kopilka_crdt::rulebook::model::Text;
use kopilka_crdt::rulebook::{Publication, RuleBook};
use kopilka_rules::replay::Thresholds;
use kopilka_shell::clock;
use serde_json::json;

use crate::app::Hub;
use crate::app::action::{ActionError, Actor, NAME_BYTES_MAX, text};
use crate::app::entities::{Kept, Partner, Programme};
use crate::app::kept::{self, Versioned};
use crate::app::rulebook;
use crate::store::StoreError;

/// Creates a programme with the starter rule book as its draft and first publication.
pub async fn create(hub: &Hub, actor: &Actor, name: &Text) -> Result<Programme, ActionError> {
    let name = Text {
        ru: text("name_ru", &name.ru, NAME_BYTES_MAX)?,
        en: text("name_en", &name.en, NAME_BYTES_MAX)?,
    };
    let number = hub.store.next_number(Programme::KIND).await?;
    let id = u16::try_from(number)
        .map(ProgrammeId)
        .map_err(|_| ActionError::Conflict("a hub holds at most 65535 programmes".to_owned()))?;
    let now_ms = (hub.clock)();
    let rules = RuleBook::starter(name.clone());
    let programme = Programme {
        id,
        name: name.ru,
        lookup_key: LookupKey(clock::random_bytes()),
        publication: 1,
        approval: Thresholds::default(),
    };
    let first = Publication::new(id, 1, now_ms, &rules);
    let changes = [
        kept::create(&programme),
        rulebook::draft::first(id, &rules, actor, now_ms)?,
        kept::create(&rulebook::publish::signed(
            hub,
            first,
            actor,
            "starter rules",
        )),
    ];
    let audit = actor.audit(
        now_ms,
        "programme.create",
        id,
        &json!({ "name_en": name.en }),
    );
    hub.store.change_entities(&changes, Some(&audit)).await?;
    hub.look_for_news().await?;
    Ok(programme)
}

/// All programmes.
pub async fn all(hub: &Hub) -> Result<Vec<Programme>, StoreError> {
    kept::list(&*hub.store, "").await
}

/// One programme.
pub async fn one(hub: &Hub, id: ProgrammeId) -> Result<Versioned<Programme>, ActionError> {
    kept::load(&*hub.store, &id.to_string())
        .await?
        .ok_or_else(|| ActionError::not_found("programme", id))
}

/// Creates a partner.
pub async fn create_partner(
    hub: &Hub,
    actor: &Actor,
    programme: ProgrammeId,
    name: &str,
) -> Result<Partner, ActionError> {
    one(hub, programme).await?;
    let name = text("name", name, NAME_BYTES_MAX)?;
    let id = PartnerId(hub.store.next_number(Partner::KIND).await?);
    let partner = Partner {
        id,
        programme,
        name,
    };
    let details = json!({ "programme": programme.to_string(), "name": partner.name });
    let audit = actor.audit((hub.clock)(), "partner.create", id, &details);
    hub.store
        .change_entities(&[kept::create(&partner)], Some(&audit))
        .await?;
    Ok(partner)
}

/// A programme's partners.
pub async fn partners(hub: &Hub, programme: ProgrammeId) -> Result<Vec<Partner>, ActionError> {
    one(hub, programme).await?;
    Ok(kept::list(&*hub.store, &format!("{programme}/")).await?)
}

/// Makes sure that a partner belongs to a programme.
pub async fn require_partner(
    hub: &Hub,
    programme: ProgrammeId,
    partner: PartnerId,
) -> Result<(), ActionError> {
    let key = format!("{programme}/{partner}");
    match hub.store.entity(Partner::KIND, &key).await? {
        Some(_) => Ok(()),
        None => Err(ActionError::not_found("partner", partner)),
    }
}
