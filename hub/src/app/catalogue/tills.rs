//! Tills and their bearer tokens: shown once, kept as a hash.

use kopilka_crdt::ids::{StoreId, TillId};
use kopilka_shell::clock;
use serde_json::json;

use crate::app::Hub;
use crate::app::action::{ActionError, Actor, NAME_BYTES_MAX, text};
use crate::app::catalogue::stores::{self, Note, change_directory};
use crate::app::entities::{Kept, TillEntity, hex};
use crate::app::kept;

/// A till and the token that nobody will see again.
#[derive(Debug, Clone)]
pub struct TillWithToken {
    /// The till.
    pub till: TillEntity,
    /// 64 hexadecimal digits.
    pub token: String,
}

/// Creates a till.
pub async fn create(
    hub: &Hub,
    actor: &Actor,
    store: StoreId,
    name: &str,
) -> Result<TillWithToken, ActionError> {
    let name = text("name", name, NAME_BYTES_MAX)?;
    stores::one(hub, store).await?;
    let token = new_token();
    let till = TillEntity {
        id: TillId(hub.store.next_number(TillEntity::KIND).await?),
        store,
        name,
        token_hash: token_hash(&token),
        enabled: true,
    };
    let details = json!({ "store": store.to_string(), "name": till.name });
    let note = Note {
        action: "till.create",
        subject: till.id.to_string(),
        details,
    };
    change_directory(hub, actor, store, &note, |_| Ok(vec![kept::create(&till)])).await?;
    Ok(TillWithToken { till, token })
}

/// A store's tills.
pub async fn all(hub: &Hub, store: StoreId) -> Result<Vec<TillEntity>, ActionError> {
    stores::one(hub, store).await?;
    Ok(kept::list(&*hub.store, &format!("{store}/")).await?)
}

/// Renames, enables or disables a till.
pub async fn edit(
    hub: &Hub,
    actor: &Actor,
    (store, id): (StoreId, TillId),
    name: Option<&str>,
    enabled: Option<bool>,
) -> Result<TillEntity, ActionError> {
    let name = name
        .map(|name| text("name", name, NAME_BYTES_MAX))
        .transpose()?;
    let details = json!({ "store": store.to_string(), "name": name, "enabled": enabled });
    let note = Note {
        action: "till.edit",
        subject: id.to_string(),
        details,
    };
    change(hub, actor, (store, id), &note, |till| {
        till.name = name.clone().unwrap_or_else(|| till.name.clone());
        till.enabled = enabled.unwrap_or(till.enabled);
    })
    .await
}

/// Gives a till a new token; the old one stops working when the store's node has learnt of it.
pub async fn renew_token(
    hub: &Hub,
    actor: &Actor,
    (store, id): (StoreId, TillId),
) -> Result<TillWithToken, ActionError> {
    let token = new_token();
    let hash = token_hash(&token);
    let details = json!({ "store": store.to_string() });
    let note = Note {
        action: "till.token",
        subject: id.to_string(),
        details,
    };
    let till = change(hub, actor, (store, id), &note, |till| {
        till.token_hash = hash
    })
    .await?;
    Ok(TillWithToken { till, token })
}

async fn change(
    hub: &Hub,
    actor: &Actor,
    (store, id): (StoreId, TillId),
    note: &Note,
    edit: impl Fn(&mut TillEntity),
) -> Result<TillEntity, ActionError> {
    let key = format!("{store}/{id}");
    let mut till = kept::load::<TillEntity>(&*hub.store, &key)
        .await?
        .ok_or_else(|| ActionError::not_found("till", id))?;
    edit(&mut till.value);
    change_directory(hub, actor, store, note, |_| Ok(vec![till.change()])).await?;
    Ok(till.value)
}

fn new_token() -> String {
    hex(&clock::random_bytes::<32>())
}

/// The hash that stands for a token wherever it is kept.
pub fn token_hash(token: &str) -> [u8; 32] {
    *blake3::hash(token.as_bytes()).as_bytes()
}
