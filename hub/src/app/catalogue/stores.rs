//! Stores, and the version of a store's directory, which rises with whatever its node must learn.

use kopilka_crdt::ids::{PartnerId, ProgrammeId, StoreId};
use serde_json::{Value, json};

use crate::app::Hub;
use crate::app::action::{ATTEMPTS_MAX, ActionError, Actor, NAME_BYTES_MAX, text};
use crate::app::catalogue::programmes;
use crate::app::entities::{Kept, StoreEntity};
use crate::app::kept::{self, Versioned};
use crate::store::{EntityChange, StoreError};

/// Most groups that a store may belong to.
const GROUPS_MAX: usize = 64;

/// What a new store is.
#[derive(Debug, Clone)]
pub struct NewStore {
    /// The programme.
    pub programme: ProgrammeId,
    /// Its owner.
    pub partner: PartnerId,
    /// Its name.
    pub name: String,
    /// IANA time zone.
    pub time_zone: String,
    /// Store groups.
    pub groups: Vec<String>,
}

/// What may change of a store.
#[derive(Debug, Clone, Default)]
pub struct StoreEdit {
    /// A new name.
    pub name: Option<String>,
    /// A new time zone.
    pub time_zone: Option<String>,
    /// New groups.
    pub groups: Option<Vec<String>>,
}

/// Creates a store.
pub async fn create(hub: &Hub, actor: &Actor, new: NewStore) -> Result<StoreEntity, ActionError> {
    programmes::one(hub, new.programme).await?;
    programmes::require_partner(hub, new.programme, new.partner).await?;
    let name = text("name", &new.name, NAME_BYTES_MAX)?;
    let time_zone = known_zone(&new.time_zone)?;
    let groups = checked_groups(&new.groups)?;
    let store = StoreEntity {
        id: StoreId(hub.store.next_number(StoreEntity::KIND).await?),
        programme: new.programme,
        partner: new.partner,
        name,
        time_zone,
        groups,
        directory_version: 1,
    };
    let details = json!({ "programme": new.programme.to_string(), "name": store.name });
    let audit = actor.audit((hub.clock)(), "store.create", store.id, &details);
    hub.store
        .change_entities(&[kept::create(&store)], Some(&audit))
        .await?;
    Ok(store)
}

/// A programme's stores.
pub async fn all(hub: &Hub, programme: ProgrammeId) -> Result<Vec<StoreEntity>, ActionError> {
    programmes::one(hub, programme).await?;
    Ok(kept::list(&*hub.store, &format!("{programme}/")).await?)
}

/// One store, whichever programme it is in.
pub async fn one(hub: &Hub, id: StoreId) -> Result<Versioned<StoreEntity>, ActionError> {
    find(hub, id)
        .await?
        .ok_or_else(|| ActionError::not_found("store", id))
}

/// As [`one`], with nothing for an unknown store. Stores are kept by programme, of which there are few.
pub async fn find(hub: &Hub, id: StoreId) -> Result<Option<Versioned<StoreEntity>>, StoreError> {
    for programme in programmes::all(hub).await? {
        let key = format!("{}/{id}", programme.id);
        if let Some(store) = kept::load(&*hub.store, &key).await? {
            return Ok(Some(store));
        }
    }
    Ok(None)
}

/// Changes a store.
pub async fn edit(
    hub: &Hub,
    actor: &Actor,
    id: StoreId,
    edit: &StoreEdit,
) -> Result<StoreEntity, ActionError> {
    let name = edit
        .name
        .as_deref()
        .map(|name| text("name", name, NAME_BYTES_MAX))
        .transpose()?;
    let time_zone = edit.time_zone.as_deref().map(known_zone).transpose()?;
    let groups = edit.groups.as_deref().map(checked_groups).transpose()?;
    let details = json!({ "name": name, "time_zone": time_zone, "groups": groups });
    let note = Note {
        action: "store.edit",
        subject: id.to_string(),
        details,
    };
    change_directory(hub, actor, id, &note, |store| {
        store.name = name.clone().unwrap_or_else(|| store.name.clone());
        store.time_zone = time_zone.clone().unwrap_or_else(|| store.time_zone.clone());
        store.groups = groups.clone().unwrap_or_else(|| store.groups.clone());
        Ok(Vec::new())
    })
    .await
}

/// What the audit says of a change of a directory.
pub(super) struct Note {
    pub action: &'static str,
    pub subject: String,
    pub details: Value,
}

/// Changes what a store's node must learn, and raises the directory's version together with it.
pub(super) async fn change_directory(
    hub: &Hub,
    actor: &Actor,
    id: StoreId,
    note: &Note,
    mut change: impl FnMut(&mut StoreEntity) -> Result<Vec<EntityChange>, ActionError>,
) -> Result<StoreEntity, ActionError> {
    for _ in 0..ATTEMPTS_MAX {
        let mut store = one(hub, id).await?;
        let mut changes = change(&mut store.value)?;
        store.value.directory_version += 1;
        changes.push(store.change());
        let audit = actor.audit((hub.clock)(), note.action, &note.subject, &note.details);
        match hub.store.change_entities(&changes, Some(&audit)).await {
            Ok(()) => {
                hub.look_for_news().await?;
                return Ok(store.value);
            }
            Err(StoreError::Exists(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(StoreError::Contended.into())
}

fn known_zone(name: &str) -> Result<String, ActionError> {
    match jiff::tz::TimeZone::get(name.trim()) {
        Ok(_) => Ok(name.trim().to_owned()),
        Err(_) => Err(ActionError::invalid(
            "time_zone",
            "is not an IANA name such as Europe/Moscow",
        )),
    }
}

fn checked_groups(groups: &[String]) -> Result<Vec<String>, ActionError> {
    if groups.len() > GROUPS_MAX {
        return Err(ActionError::invalid(
            "groups",
            &format!("are at most {GROUPS_MAX}"),
        ));
    }
    groups
        .iter()
        .map(|group| text("groups", group, NAME_BYTES_MAX))
        .collect()
}
