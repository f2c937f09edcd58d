//! Staff actions: who acts, what is noted about it, and why one is refused.

use kopilka_crdt::money::AmountError;
use serde_json::Value;

use crate::store::{AuditRow, StoreError};

/// Longest name of anything, in bytes.
pub const NAME_BYTES_MAX: usize = 200;
/// How often an action is asked again when others change the same thing at once.
pub const ATTEMPTS_MAX: usize = 8;

/// Who acts: a staff login, or the command line on the hub's own machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor(String);

impl Actor {
    /// Whoever has a shell on the hub's machine.
    pub fn command_line() -> Self {
        Self("command line".to_owned())
    }

    /// The hub itself, where it does what a publication asks for.
    pub fn hub() -> Self {
        Self("hub".to_owned())
    }

    /// A member of staff.
    pub fn staff(login: &str) -> Self {
        Self(login.to_owned())
    }

    /// As the audit shows it.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// A note of what was done. `details` holds no personal data: the audit outlives an erasure.
    pub fn audit(
        &self,
        at_ms: u64,
        action: &str,
        subject: impl ToString + Copy,
        details: &Value,
    ) -> AuditRow {
        AuditRow {
            at_ms,
            actor: self.0.clone(),
            action: action.to_owned(),
            subject: subject.to_string(),
            details: details.to_string(),
        }
    }
}

/// Why an action was not done. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the action names does not exist.
    #[error("there is no {kind} {id}")]
    NotFound {
        /// Such as `store`.
        kind: &'static str,
        /// As it was asked for.
        id: String,
    },
    /// A value cannot be accepted.
    #[error("{field}: {reason}")]
    Invalid {
        /// Which one.
        field: &'static str,
        /// Why, in words.
        reason: String,
    },
    /// The action contradicts the present state.
    #[error("{0}")]
    Conflict(String),
    /// The idempotency key was used for something else.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// The member's personal data are gone for good.
    #[error("the personal data of this member were erased")]
    Erased,
    /// Fewer points than asked for can be written off.
    #[error(
        "only {available} minor units can be written off now; stores may hold rights to the rest"
    )]
    Short {
        /// What could be taken.
        available: i64,
    },
}

impl From<AmountError> for ActionError {
    fn from(error: AmountError) -> Self {
        Self::invalid("amount_minor", error)
    }
}

impl ActionError {
    /// [`Self::NotFound`] from an identifier of any kind.
    pub fn not_found(kind: &'static str, id: impl ToString + Copy) -> Self {
        Self::NotFound {
            kind,
            id: id.to_string(),
        }
    }

    /// [`Self::Invalid`] from any reason.
    pub fn invalid(field: &'static str, reason: impl ToString + Copy) -> Self {
        Self::Invalid {
            field,
            reason: reason.to_string(),
        }
    }
}

/// A trimmed text that is neither empty nor longer than `bytes_max`.
pub fn text(field: &'static str, text: &str, bytes_max: usize) -> Result<String, ActionError> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err(ActionError::invalid(field, "must not be empty"));
    }
    if trimmed.len() > bytes_max {
        return Err(ActionError::invalid(
            field,
            &format!("takes at most {bytes_max} bytes"),
        ));
    }
    Ok(trimmed.to_owned())
}
