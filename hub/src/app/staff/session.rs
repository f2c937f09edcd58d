//! Signing in and out. Passwords are kept as Argon2id, session tokens as a hash.

use std::sync::LazyLock;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use kopilka_shell::clock;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::app::Hub;
use crate::app::action::Actor;
use crate::app::catalogue::tills::token_hash;
use crate::app::entities::{Kept, hex};
use crate::app::kept;
use crate::app::staff::{StaffEntity, attempts};
use crate::store::{EntityChange, EntityKind, StoreError};

/// How long a session lasts, in milliseconds (12 h).
pub const SESSION_MS: u64 = 12 * 3_600_000;
/// Password checks at once: each takes 19 MiB and tens of milliseconds.
const CHECKS_MAX: usize = 2;

static CHECKS: Semaphore = Semaphore::const_new(CHECKS_MAX);

/// Checked for logins that do not exist, so that the time taken does not tell which do.
static NOBODY: LazyLock<String> = LazyLock::new(|| hash_now(&hex(&clock::random_bytes::<16>())));

/// A session, kept under the BLAKE3 of its token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionEntity {
    /// Hexadecimal BLAKE3 of the token.
    pub token_hash: String,
    /// Whose.
    pub login: String,
    /// Until when, milliseconds since 1970.
    pub expires_ms: u64,
}

impl Kept for SessionEntity {
    const KIND: EntityKind = EntityKind::Session;

    fn key(&self) -> String {
        self.token_hash.clone()
    }
}

/// Why a sign-in or a token is refused.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Wrong login or password, or a disabled login.
    #[error("the login or the password is wrong")]
    Wrong,
    /// Too many failed attempts.
    #[error("too many failed attempts; wait {seconds} s")]
    Paused {
        /// How long.
        seconds: u64,
    },
    /// The token belongs to no session, or the session is over.
    #[error("the session token is unknown or has expired")]
    Token,
}

/// A session that begins.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// Bearer token, shown once.
    pub token: String,
    /// Until when, milliseconds since 1970.
    pub expires_ms: u64,
    /// Who.
    pub staff: StaffEntity,
}

/// Begins a session.
pub async fn sign_in(hub: &Hub, login: &str, password: String) -> Result<SignedIn, SignInError> {
    let _slot = CHECKS
        .acquire()
        .await
        .expect("the semaphore is never closed");
    let Some(known) = kept::load::<StaffEntity>(&*hub.store, login).await? else {
        check_now(password, NOBODY.clone()).await;
        return Err(SignInError::Wrong);
    };
    let staff = known.value;
    let failures = attempts::count(hub, login).await?;
    let right = check_now(password, staff.password_hash.clone()).await;
    if right && staff.enabled {
        return begin(hub, staff).await;
    }
    let details = json!({ "failures": failures });
    let audit = Actor::staff(login).audit((hub.clock)(), "session.refused", login, &details);
    hub.store.change_entities(&[], Some(&audit)).await?;
    Err(SignInError::Wrong)
}

async fn begin(hub: &Hub, staff: StaffEntity) -> Result<SignedIn, SignInError> {
    let now_ms = (hub.clock)();
    let token = hex(&clock::random_bytes::<32>());
    let session = SessionEntity {
        token_hash: hex(&token_hash(&token)),
        login: staff.login.clone(),
        expires_ms: now_ms.saturating_add(SESSION_MS),
    };
    let mut changes = vec![kept::create(&session), attempts::forgotten(&staff.login)];
    let sessions: Vec<SessionEntity> = kept::list(&*hub.store, "").await?;
    let over = sessions
        .iter()
        .filter(|session| session.expires_ms <= now_ms);
    changes.extend(over.map(|session| removal(session.key())));
    let audit = Actor::staff(&staff.login).audit(now_ms, "session.begin", &staff.login, &json!({}));
    hub.store.change_entities(&changes, Some(&audit)).await?;
    Ok(SignedIn {
        token,
        expires_ms: session.expires_ms,
        staff,
    })
}

/// Who a token stands for.
pub async fn who(hub: &Hub, token: &str) -> Result<StaffEntity, SignInError> {
    let key = hex(&token_hash(token));
    let session = kept::load::<SessionEntity>(&*hub.store, &key)
        .await?
        .ok_or(SignInError::Token)?;
    if session.value.expires_ms <= (hub.clock)() {
        return Err(SignInError::Token);
    }
    let staff = kept::load::<StaffEntity>(&*hub.store, &session.value.login).await?;
    match staff {
        Some(staff) if staff.value.enabled => Ok(staff.value),
        Some(_) | None => Err(SignInError::Token),
    }
}

/// Ends a session.
pub async fn sign_out(hub: &Hub, token: &str) -> Result<(), SignInError> {
    let change = removal(hex(&token_hash(token)));
    Ok(hub.store.change_entities(&[change], None).await?)
}

fn removal(id: String) -> EntityChange {
    EntityChange {
        kind: SessionEntity::KIND,
        id,
        body: None,
        expected: None,
    }
}

/// Argon2id with the library's default costs, which are OWASP's.
pub(super) async fn hash_password(password: String) -> String {
    tokio::task::spawn_blocking(move || hash_now(&password))
        .await
        .expect("hashing a password does not panic")
}

fn hash_now(password: &str) -> String {
    let salt = clock::random_bytes::<16>();
    let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt);
    hash.expect("the default costs and a salt of 16 bytes are within Argon2's limits")
        .to_string()
}

async fn check_now(password: String, hash: String) -> bool {
    tokio::task::spawn_blocking(move || {
        PasswordHash::new(&hash).is_ok_and(|hash| {
            Argon2::default()
                .verify_password(password.as_bytes(), &hash)
                .is_ok()
        })
    })
    .await
    .expect("checking a password does not panic")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_password_fits_its_hash() {
        let hash = hash_password("correct horse battery".to_owned()).await;
        assert!(hash.starts_with("$argon2id$"));
        assert!(check_now("correct horse battery".to_owned(), hash.clone()).await);
        assert!(!check_now("correct horse".to_owned(), hash).await);
    }
}
