//! Attempts to sign in, counted in the store, so that all hub processes count together.
//!
//! An attempt is counted before its password is looked at, and all are forgotten once a password was right. So however
//! many come at once, to however many processes, no more are looked at than the count allows.

use serde::{Deserialize, Serialize};

use super::session::SignInError;
use crate::app::Hub;
use crate::app::action::ATTEMPTS_MAX;
use crate::app::entities::Kept;
use crate::app::kept;
use crate::store::{EntityChange, EntityKind, StoreError};

/// Failed attempts in a row that cost nothing.
const FAILURES_FREE: u32 = 5;
/// The pause after the first attempt beyond them; it doubles with each further one.
const PAUSE_MS: u64 = 30_000;
/// The longest pause (15 minutes).
const PAUSE_MS_MAX: u64 = 900_000;

/// Attempts with a login since its password was last right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct AttemptsEntity {
    /// The login.
    login: String,
    /// How many, those under way included.
    failures: u32,
    /// No attempt is looked at before, milliseconds since 1970.
    locked_until_ms: u64,
}

impl Kept for AttemptsEntity {
    const KIND: EntityKind = EntityKind::Attempts;

    fn key(&self) -> String {
        self.login.clone()
    }
}

/// Counts an attempt that may be looked at, and says how many there have been in a row.
pub(super) async fn count(hub: &Hub, login: &str) -> Result<u32, SignInError> {
    for _ in 0..ATTEMPTS_MAX {
        let known = kept::load::<AttemptsEntity>(&*hub.store, login).await?;
        let now_ms = (hub.clock)();
        let (failures, locked_until_ms, version) = known.map_or((0, 0, 0), |known| {
            let AttemptsEntity {
                failures,
                locked_until_ms,
                ..
            } = known.value;
            (failures, locked_until_ms, known.version)
        });
        if locked_until_ms > now_ms {
            let seconds = (locked_until_ms - now_ms).div_ceil(1_000);
            return Err(SignInError::Paused { seconds });
        }
        let failures = failures.saturating_add(1);
        let counted = AttemptsEntity {
            login: login.to_owned(),
            failures,
            locked_until_ms: now_ms.saturating_add(pause_ms(failures)),
        };
        let change = kept::put(&counted, Some(version));
        match hub.store.change_entities(&[change], None).await {
            Ok(()) => return Ok(failures),
            Err(StoreError::Exists(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(StoreError::Contended.into())
}

/// A change that forgets all attempts with a login.
pub(super) fn forgotten(login: &str) -> EntityChange {
    EntityChange {
        kind: AttemptsEntity::KIND,
        id: login.to_owned(),
        body: None,
        expected: None,
    }
}

fn pause_ms(failures: u32) -> u64 {
    match failures.checked_sub(FAILURES_FREE) {
        None => 0,
        Some(beyond) => PAUSE_MS
            .saturating_mul(1 << beyond.min(10))
            .min(PAUSE_MS_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let pauses: Vec<_> = [0, 4, 5, 6, 7, 100].map(pause_ms).to_vec();
        assert_eq!(pauses, [0, 0, 30_000, 60_000, 120_000, 900_000]);
    }
}
