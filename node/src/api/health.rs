//! How the node stands: alive, ready, and with the hub.

use axum::extract::State;
use axum::http::StatusCode;
use kopilka_crdt::operation::Verdict;
use kopilka_shell::problem::{ApiJson, Problem};
use serde::Serialize;
use utoipa::ToSchema;

use super::till::Till;
use crate::app::App;

/// How the node stands with the hub.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SyncJson {
    /// The node.
    #[schema(example = "n3")]
    node: String,
    /// The incarnation that it writes under.
    incarnation: u32,
    /// Whether the hub can be asked now.
    connected: bool,
    /// When the node last heard from the hub; none since it started.
    last_contact: Option<String>,
    /// Operations in the node's log.
    operations: u64,
    /// Operations that are not yet durable at the hub.
    pending_operations: u64,
    /// Feed position by partition.
    feed: Vec<u64>,
    /// Number of the last block order.
    block_order: u64,
    /// The publication in force; 0: none.
    publication: u32,
    /// Version of the store's directory; 0: none.
    directory: u64,
    /// Whether the node's clock is believed.
    clock_trusted: bool,
    /// Sales that wait for confirmation.
    held_sales: usize,
    /// What the hub found about this node's operations, accepted ones left out; at most 100.
    verdicts: Vec<VerdictJson>,
}

/// What the hub found about an operation.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VerdictJson {
    /// Which.
    operation_id: String,
    /// duplicate, contested, overdraft, mispriced or quarantined.
    #[schema(value_type = String)]
    verdict: Verdict,
    /// Why, in words.
    reason: String,
}

/// How the node stands with the hub
///
/// Any till of the store may ask. What a monitor needs is in `/metrics`, without a token.
#[utoipa::path(get, path = "/v1/sync", tag = "node", security(("till" = [])),
    responses((status = 200, body = SyncJson), (status = 401, body = Problem)))]
pub(super) async fn sync(
    State(app): State<App>,
    Till(_till): Till,
) -> Result<ApiJson<SyncJson>, Problem> {
    let status = app.sync_status()?;
    let identity = app.identity();
    let zone = app.directory()?.zone.clone();
    let verdicts = status.verdicts.into_iter().map(|note| VerdictJson {
        operation_id: note.operation.to_string(),
        verdict: note.verdict,
        reason: note.reason,
    });
    Ok(ApiJson(SyncJson {
        node: identity.node.to_string(),
        incarnation: identity.incarnation.0,
        connected: status.connected,
        last_contact: status
            .last_contact_ms
            .map(|ms| super::json::time_text(&zone, ms)),
        operations: status.tip.sequence,
        pending_operations: status.pending_operations,
        feed: status.seen.feed,
        block_order: status.seen.block,
        publication: status.seen.publication,
        directory: status.seen.directory,
        clock_trusted: status.clock_trusted,
        held_sales: status.holds,
        verdicts: verdicts.collect(),
    }))
}

/// The process answers
#[utoipa::path(get, path = "/healthz", tag = "node", responses((status = 204)))]
pub(super) async fn alive() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// The node can serve tills
#[utoipa::path(get, path = "/readyz", tag = "node", responses((status = 204), (status = 503, body = Problem)))]
pub(super) async fn ready(State(app): State<App>) -> Result<StatusCode, Problem> {
    app.rules()?;
    app.directory()?;
    Ok(StatusCode::NO_CONTENT)
}
