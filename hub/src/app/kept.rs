//! Entities as the types that they are: read, listed, and written together.

use crate::app::entities::Kept;
use crate::store::{EntityChange, Store, StoreError};

/// An entity with the version that it was read at.
#[derive(Debug, Clone)]
pub struct Versioned<T> {
    /// The entity.
    pub value: T,
    /// Its version.
    pub version: u64,
}

impl<T: Kept> Versioned<T> {
    /// Writes it back, unless somebody else wrote meanwhile.
    pub fn change(&self) -> EntityChange {
        put(&self.value, Some(self.version))
    }
}

/// One entity by its key.
pub async fn load<T: Kept>(
    store: &dyn Store,
    key: &str,
) -> Result<Option<Versioned<T>>, StoreError> {
    let Some(entity) = store.entity(T::KIND, key).await? else {
        return Ok(None);
    };
    let value = T::from_body(&entity.body)?;
    Ok(Some(Versioned {
        value,
        version: entity.version,
    }))
}

/// All entities whose key starts with `prefix`, in order of key.
pub async fn list<T: Kept>(store: &dyn Store, prefix: &str) -> Result<Vec<T>, StoreError> {
    let entities = store.entities(T::KIND, prefix).await?;
    entities
        .iter()
        .map(|entity| T::from_body(&entity.body))
        .collect()
}

/// A change that writes an entity; `expected` as in [`EntityChange`].
pub fn put<T: Kept>(value: &T, expected: Option<u64>) -> EntityChange {
    EntityChange {
        kind: T::KIND,
        id: value.key(),
        body: Some(value.to_body()),
        expected,
    }
}

/// A change that creates an entity, which must not exist.
pub fn create<T: Kept>(value: &T) -> EntityChange {
    put(value, Some(0))
}
