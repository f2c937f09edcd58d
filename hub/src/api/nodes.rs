//! Store nodes.

use axum::extract::State;
use axum::http::StatusCode;
use kopilka_crdt::ids::{NodeId, ProgrammeId, StoreId};
use kopilka_shell::problem::{ApiJson, ApiPath, Problem};
use serde::Deserialize;
use utoipa::ToSchema;

use super::access::Caller;
use super::{Answer, ApiState, Created, Id, created};
use crate::app::nodes;
use crate::view::ListView;
use crate::view::catalogue::{NodeCodeView, NodeView};

/// A new code.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeCodeBody {
    /// How long it works, in hours.
    #[serde(default = "usual_life_hours")]
    #[schema(default = 24)]
    life_hours: u32,
}

fn usual_life_hours() -> u32 {
    nodes::CODE_LIFE_HOURS
}

/// Why a node is revoked.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeBody {
    /// In words, for the audit.
    reason: String,
}

/// A programme's nodes and where they stand
#[utoipa::path(get, path = "/v1/programmes/{programme}/nodes", tag = "nodes", security(("session" = [])),
    params(("programme" = String, Path)), responses((status = 200, body = ListView<NodeView>)))]
pub async fn list(
    State(state): State<ApiState>,
    ApiPath(Id(programme)): ApiPath<Id<ProgrammeId>>,
) -> Answer<ListView<NodeView>> {
    let all = nodes::all(&state.hub, programme).await?;
    Ok(ApiJson(all.iter().map(NodeView::from).collect()))
}

/// Make a code with which one node can enrol for a store
#[utoipa::path(post, path = "/v1/stores/{store}/node-codes", tag = "nodes", security(("session" = [])),
    params(("store" = String, Path)), request_body = NodeCodeBody,
    responses((status = 201, body = NodeCodeView)))]
pub async fn issue_code(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(Id(store)): ApiPath<Id<StoreId>>,
    ApiJson(body): ApiJson<NodeCodeBody>,
) -> Created<NodeCodeView> {
    let address = &state.public_address;
    let issued =
        nodes::issue_code(&state.hub, &caller.actor(), store, address, body.life_hours).await?;
    Ok(created(NodeCodeView::from(&issued)))
}

/// Revoke a node, for good
#[utoipa::path(post, path = "/v1/nodes/{node}/revoke", tag = "nodes", security(("session" = [])),
    params(("node" = String, Path)), request_body = RevokeBody,
    responses((status = 204, description = "It is no longer trusted")))]
pub async fn revoke(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(Id(node)): ApiPath<Id<NodeId>>,
    ApiJson(body): ApiJson<RevokeBody>,
) -> Result<StatusCode, Problem> {
    nodes::revoke(&state.hub, &caller.actor(), node, &body.reason).await?;
    Ok(StatusCode::NO_CONTENT)
}
