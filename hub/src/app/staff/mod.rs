//! Staff users: who they are, what each role may do, and how they sign in.

mod attempts;
pub mod role;
pub mod session;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::app::Hub;
use crate::app::action::{ATTEMPTS_MAX, ActionError, Actor, NAME_BYTES_MAX, text};
use crate::app::entities::Kept;
use crate::app::kept;
use crate::store::{EntityKind, StoreError};

pub use role::{Permission, Role};

/// Shortest password, in characters.
pub const PASSWORD_CHARACTERS_MIN: usize = 12;
/// Longest password, in bytes.
const PASSWORD_BYTES_MAX: usize = 1_024;
/// Longest login, in bytes.
const LOGIN_BYTES_MAX: usize = 64;

/// A member of staff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaffEntity {
    /// What they sign in with.
    pub login: String,
    /// Their name.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Argon2id in PHC form.
    pub password_hash: String,
    /// Whether they may sign in.
    pub enabled: bool,
}

impl Kept for StaffEntity {
    const KIND: EntityKind = EntityKind::Staff;

    fn key(&self) -> String {
        self.login.clone()
    }
}

/// What a new member of staff is.
#[derive(Debug, Clone)]
pub struct NewStaff {
    /// What they sign in with.
    pub login: String,
    /// Their name.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// In clear, for once.
    pub password: String,
}

/// What may change of a member of staff.
#[derive(Debug, Clone, Default)]
pub struct StaffEdit {
    /// Another role.
    pub role: Option<Role>,
    /// Whether they may sign in.
    pub enabled: Option<bool>,
    /// Another password.
    pub password: Option<String>,
}

/// Adds a member of staff.
pub async fn add(hub: &Hub, actor: &Actor, new: NewStaff) -> Result<StaffEntity, ActionError> {
    let login = checked_login(&new.login)?;
    let name = text("name", &new.name, NAME_BYTES_MAX)?;
    check_password(&new.password)?;
    let staff = StaffEntity {
        login,
        name,
        role: new.role,
        password_hash: session::hash_password(new.password).await,
        enabled: true,
    };
    let details = json!({ "role": staff.role });
    let audit = actor.audit((hub.clock)(), "staff.add", &staff.login, &details);
    match hub
        .store
        .change_entities(&[kept::create(&staff)], Some(&audit))
        .await
    {
        Ok(()) => Ok(staff),
        Err(StoreError::Exists(_)) => Err(ActionError::Conflict(format!(
            "there is a login {} already",
            staff.login
        ))),
        Err(error) => Err(error.into()),
    }
}

/// All members of staff.
pub async fn all(hub: &Hub) -> Result<Vec<StaffEntity>, StoreError> {
    kept::list(&*hub.store, "").await
}

/// Changes a member of staff. A new password also ends a lock.
pub async fn edit(
    hub: &Hub,
    actor: &Actor,
    login: &str,
    edit: StaffEdit,
) -> Result<StaffEntity, ActionError> {
    let hash = match edit.password {
        Some(password) => {
            check_password(&password)?;
            Some(session::hash_password(password).await)
        }
        None => None,
    };
    let details = json!({ "role": edit.role, "enabled": edit.enabled, "password": hash.is_some() });
    for _ in 0..ATTEMPTS_MAX {
        let mut staff = kept::load::<StaffEntity>(&*hub.store, login)
            .await?
            .ok_or_else(|| ActionError::not_found("login", login))?;
        staff.value.role = edit.role.unwrap_or(staff.value.role);
        staff.value.enabled = edit.enabled.unwrap_or(staff.value.enabled);
        if let Some(hash) = &hash {
            staff.value.password_hash.clone_from(hash);
        }
        let unlocked = hash.is_some().then(|| attempts::forgotten(login));
        let changes: Vec<_> = unlocked.into_iter().chain([staff.change()]).collect();
        let audit = actor.audit((hub.clock)(), "staff.edit", login, &details);
        match hub.store.change_entities(&changes, Some(&audit)).await {
            Ok(()) => return Ok(staff.value),
            Err(StoreError::Exists(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(StoreError::Contended.into())
}

fn checked_login(login: &str) -> Result<String, ActionError> {
    let login = text("login", login, LOGIN_BYTES_MAX)?;
    let plain =
        |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_' | '@');
    if login.chars().all(plain) {
        Ok(login)
    } else {
        Err(ActionError::invalid(
            "login",
            "has Latin letters, digits, '.', '-', '_' and '@' only",
        ))
    }
}

fn check_password(password: &str) -> Result<(), ActionError> {
    let long_enough = password.chars().count() >= PASSWORD_CHARACTERS_MIN;
    if long_enough && password.len() <= PASSWORD_BYTES_MAX {
        return Ok(());
    }
    let reason = format!(
        "has {PASSWORD_CHARACTERS_MIN} characters at least and {PASSWORD_BYTES_MAX} bytes at most"
    );
    Err(ActionError::invalid("password", &reason))
}
