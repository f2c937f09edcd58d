//! What the app asks the hub while a till waits; the sync loop answers it.

use std::time::Duration;

use kopilka_crdt::identifier::IdentifierHash;
use kopilka_protocol::message::{Reply, ReserveRequest, SoldQuery};

/// Why the hub did not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// There is no connection.
    #[error("the hub is out of reach")]
    Disconnected,
    /// The connection failed, or the answer made no sense.
    #[error("the hub did not answer")]
    Failed,
}

/// The connection to the hub, as far as tills need it. Callers set the deadline.
#[async_trait::async_trait]
pub trait HubLink: Send + Sync + 'static {
    /// Whether a question has a chance of an answer.
    fn is_connected(&self) -> bool;

    /// Wall time in milliseconds at which the hub was last heard; none when it never was.
    fn last_contact_ms(&self) -> Option<u64> {
        None
    }

    /// Reserves points: `Reserved`, `Short` or `Refused`.
    async fn reserve(&self, request: ReserveRequest) -> Result<Reply, LinkError>;

    /// Looks a member up: `Found` or `Refused`.
    async fn find(&self, identifier: IdentifierHash) -> Result<Reply, LinkError>;

    /// Asks for purchases: `Sold` or `Refused`.
    async fn sold(&self, query: SoldQuery) -> Result<Reply, LinkError>;
}

/// The hub's answer to a question, if it comes within so many milliseconds.
pub(super) async fn within(
    deadline_ms: u32,
    question: impl Future<Output = Result<Reply, LinkError>>,
) -> Option<Reply> {
    let deadline = Duration::from_millis(deadline_ms.into());
    match tokio::time::timeout(deadline, question).await {
        Ok(Ok(reply)) => Some(reply),
        Ok(Err(error)) => {
            tracing::debug!(%error, "no answer");
            None
        }
        Err(_) => {
            tracing::debug!(deadline_ms, "no answer within the deadline");
            None
        }
    }
}

/// No connection at all: a node before its sync loop runs.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHub;

#[async_trait::async_trait]
impl HubLink for NoHub {
    fn is_connected(&self) -> bool {
        false
    }

    async fn reserve(&self, _request: ReserveRequest) -> Result<Reply, LinkError> {
        Err(LinkError::Disconnected)
    }

    async fn find(&self, _identifier: IdentifierHash) -> Result<Reply, LinkError> {
        Err(LinkError::Disconnected)
    }

    async fn sold(&self, _query: SoldQuery) -> Result<Reply, LinkError> {
        Err(LinkError::Disconnected)
    }
}
