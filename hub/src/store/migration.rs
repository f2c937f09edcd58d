//! What goes wrong while a schema is brought up to date, for both engines.

use refinery::error::Kind;

use super::StoreError;

/// A migration that the database has and this program does not know was made by a newer one.
pub(super) fn migration_error(error: &refinery::Error) -> StoreError {
    if matches!(error.kind(), Kind::MissingVersion(_)) {
        StoreError::Version
    } else {
        StoreError::Unavailable(error.to_string())
    }
}
