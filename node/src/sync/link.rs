//! The connection to the hub as tills see it: questions on streams of their own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use async_trait::async_trait;
use kopilka_crdt::identifier::IdentifierHash;
use kopilka_protocol::codec::{decode, encode};
use kopilka_protocol::limits::FRAME_BYTES_MAX;
use kopilka_protocol::message::{Opening, Reply, ReserveRequest, SoldQuery};
use kopilka_shell::clock::now_ms;
use kopilka_shell::frame_io::{read_frame, write_frame};
use quinn::Connection;

use super::SessionError;
use crate::app::{HubLink, LinkError};

#[derive(Default)]
pub(super) struct Link {
    state: RwLock<Option<State>>,
    /// Wall time at which the hub was last heard before it fell silent; 0: never.
    heard_ms: AtomicU64,
}

struct State {
    connection: Connection,
    /// Datagrams received when a question went unanswered: until another comes, tills do not wait for the hub again.
    silent_since: Option<u64>,
}

impl Link {
    pub(super) fn set(&self, connection: Connection) {
        self.heard();
        *self.write() = Some(State {
            connection,
            silent_since: None,
        });
    }

    /// A frame came.
    pub(super) fn heard(&self) {
        self.heard_ms.store(now_ms(), Ordering::Relaxed);
    }

    pub(super) fn clear(&self) {
        *self.write() = None;
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Option<State>> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn connection(&self) -> Option<Connection> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let state = state.as_ref()?;
        let received = state.connection.stats().udp_rx.datagrams;
        let silent = state.silent_since.is_some_and(|then| received <= then);
        (!silent && state.connection.close_reason().is_none()).then(|| state.connection.clone())
    }

    async fn ask(&self, opening: &Opening) -> Result<Reply, LinkError> {
        let connection = self.connection().ok_or(LinkError::Disconnected)?;
        let waiting = Waiting {
            link: self,
            answered: false,
        };
        let reply = ask(&connection, opening).await;
        waiting.answered();
        reply.map_err(|error| {
            tracing::debug!(%error, "a question to the hub failed");
            LinkError::Failed
        })
    }
}

/// Notes a question that was dropped unanswered, because the till's deadline passed.
struct Waiting<'a> {
    link: &'a Link,
    answered: bool,
}

impl Waiting<'_> {
    fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.answered
            && let Some(state) = self.link.write().as_mut()
        {
            state.silent_since = Some(state.connection.stats().udp_rx.datagrams);
        }
    }
}

async fn ask(connection: &Connection, opening: &Opening) -> Result<Reply, SessionError> {
    let (mut send, mut receive) = connection.open_bi().await?;
    // Questions of tills go out before segments.
    let _ = send.set_priority(1);
    write_frame(&mut send, &encode(opening)?, FRAME_BYTES_MAX).await?;
    let _ = send.finish();
    let frame = read_frame(&mut receive, FRAME_BYTES_MAX)
        .await?
        .ok_or(SessionError::Closed)?;
    Ok(decode(&frame)?)
}

#[async_trait]
impl HubLink for Link {
    fn is_connected(&self) -> bool {
        self.connection().is_some()
    }

    fn last_contact_ms(&self) -> Option<u64> {
        if self.is_connected() {
            return Some(now_ms());
        }
        Some(self.heard_ms.load(Ordering::Relaxed)).filter(|heard_ms| *heard_ms > 0)
    }

    async fn reserve(&self, request: ReserveRequest) -> Result<Reply, LinkError> {
        self.ask(&Opening::Reserve(request)).await
    }

    async fn find(&self, identifier: IdentifierHash) -> Result<Reply, LinkError> {
        self.ask(&Opening::Find(identifier)).await
    }

    async fn sold(&self, query: SoldQuery) -> Result<Reply, LinkError> {
        self.ask(&Opening::Sold(query)).await
    }
}
