//! Tills' writes held back for a moment, so that the hub can have all that was written before.

use std::sync::Arc;

use tokio::sync::{OwnedRwLockWriteGuard, RwLock};

use super::App;

/// While it lives, no till's write begins; those under way were answered before it came to be.
#[derive(Debug)]
pub struct Held(#[expect(dead_code, reason = "held, never read")] OwnedRwLockWriteGuard<()>);

/// Where tills' writes pass.
pub(super) type Gate = Arc<RwLock<()>>;

impl App {
    /// Waits for the tills' writes that are under way, and holds back others until the answer is dropped.
    pub async fn hold_tills(&self) -> Held {
        Held(Arc::clone(&self.0.gate).write_owned().await)
    }
}
