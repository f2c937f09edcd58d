//! Cashiers, as stores' nodes check them.

use kopilka_crdt::ids::{CashierId, StoreId};
use serde_json::json;

use crate::app::Hub;
use crate::app::action::{ActionError, Actor, NAME_BYTES_MAX, text};
use crate::app::catalogue::stores::{self, Note, change_directory};
use crate::app::entities::{CashierEntity, Kept};
use crate::app::kept;

/// Creates a cashier; `number` is the one of head office's own list, or none for the next free one.
pub async fn create(
    hub: &Hub,
    actor: &Actor,
    store: StoreId,
    name: &str,
    number: Option<CashierId>,
) -> Result<CashierEntity, ActionError> {
    let name = text("name", name, NAME_BYTES_MAX)?;
    stores::one(hub, store).await?;
    let id = match number {
        Some(number) => number,
        None => CashierId(hub.store.next_number(CashierEntity::KIND).await?),
    };
    let key = format!("{store}/{id}");
    if hub.store.entity(CashierEntity::KIND, &key).await?.is_some() {
        return Err(ActionError::Conflict(format!(
            "{store} has a cashier {id} already"
        )));
    }
    let cashier = CashierEntity {
        id,
        store,
        name,
        enabled: true,
    };
    // Names of staff are personal data too and stay out of the audit.
    let details = json!({ "store": store.to_string() });
    let note = Note {
        action: "cashier.create",
        subject: id.to_string(),
        details,
    };
    change_directory(hub, actor, store, &note, |_| {
        Ok(vec![kept::create(&cashier)])
    })
    .await?;
    Ok(cashier)
}

/// A store's cashiers.
pub async fn all(hub: &Hub, store: StoreId) -> Result<Vec<CashierEntity>, ActionError> {
    stores::one(hub, store).await?;
    Ok(kept::list(&*hub.store, &format!("{store}/")).await?)
}

/// Renames, enables or disables a cashier.
pub async fn edit(
    hub: &Hub,
    actor: &Actor,
    (store, id): (StoreId, CashierId),
    name: Option<&str>,
    enabled: Option<bool>,
) -> Result<CashierEntity, ActionError> {
    let name = name
        .map(|name| text("name", name, NAME_BYTES_MAX))
        .transpose()?;
    let mut cashier = kept::load::<CashierEntity>(&*hub.store, &format!("{store}/{id}"))
        .await?
        .ok_or_else(|| ActionError::not_found("cashier", id))?;
    let details =
        json!({ "store": store.to_string(), "renamed": name.is_some(), "enabled": enabled });
    cashier.value.name = name.unwrap_or(cashier.value.name);
    cashier.value.enabled = enabled.unwrap_or(cashier.value.enabled);
    let note = Note {
        action: "cashier.edit",
        subject: id.to_string(),
        details,
    };
    change_directory(hub, actor, store, &note, |_| Ok(vec![cashier.change()])).await?;
    Ok(cashier.value)
}
