//! The part of the catalogue that one store's node needs.

use kopilka_crdt::directory::{Cashier, StoreDirectory, Till};
use kopilka_crdt::ids::StoreId;

use crate::app::Hub;
use crate::app::action::ATTEMPTS_MAX;
use crate::app::catalogue::stores;
use crate::app::entities::{CashierEntity, Programme, TillEntity};
use crate::app::kept;
use crate::store::StoreError;

/// A store's directory as of one version; nothing for an unknown store.
///
/// Its parts are read one after the other, so the version is read again at the end: every change raises it.
pub async fn store_directory(
    hub: &Hub,
    store: StoreId,
) -> Result<Option<StoreDirectory>, StoreError> {
    for _ in 0..ATTEMPTS_MAX {
        let Some(read) = read_once(hub, store).await? else {
            return Ok(None);
        };
        let now = stores::find(hub, store).await?;
        if now.is_some_and(|now| now.value.directory_version == read.version) {
            return Ok(Some(read));
        }
    }
    Err(StoreError::Contended)
}

async fn read_once(hub: &Hub, store: StoreId) -> Result<Option<StoreDirectory>, StoreError> {
    let Some(found) = stores::find(hub, store).await? else {
        return Ok(None);
    };
    let entity = found.value;
    let programme: Programme = kept::load(&*hub.store, &entity.programme.to_string())
        .await?
        .ok_or(StoreError::Damaged("store"))?
        .value;
    let tills: Vec<TillEntity> = kept::list(&*hub.store, &format!("{store}/")).await?;
    let cashiers: Vec<CashierEntity> = kept::list(&*hub.store, &format!("{store}/")).await?;
    Ok(Some(StoreDirectory {
        version: entity.directory_version,
        programme: programme.id,
        lookup_key: programme.lookup_key,
        store,
        store_name: entity.name,
        partner: entity.partner,
        time_zone: entity.time_zone,
        groups: entity.groups,
        tills: tills
            .into_iter()
            .map(|till| Till {
                id: till.id,
                name: till.name,
                token_hash: till.token_hash,
                enabled: till.enabled,
            })
            .collect(),
        cashiers: cashiers
            .into_iter()
            .map(|cashier| Cashier {
                id: cashier.id,
                name: cashier.name,
                enabled: cashier.enabled,
            })
            .collect(),
    }))
}
