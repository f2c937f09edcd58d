//! Promotions stopped in every store at once, and released.

use axum::extract::State;
use axum::http::StatusCode;
use kopilka_crdt::ids::{ProgrammeId, PromotionId};
use kopilka_shell::problem::{ApiJson, ApiPath, Problem};
use serde::Deserialize;
use utoipa::ToSchema;

use super::access::{Caller, IdempotencyKey};
use super::{Answer, ApiState, Created, Id, created};
use crate::app::rulebook::kill::{self, Wish};
use crate::view::ListView;
use crate::view::security::{BlockView, DeliveredView, OrderedView};

/// Why a promotion is stopped or released.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StopBody {
    /// For the audit and for stores, such as "wrong price".
    reason: String,
}

/// A promotion of a programme, in a path.
type Place = ApiPath<(Id<ProgrammeId>, Id<PromotionId>)>;

/// Orders that stop promotions now, by promotion
#[utoipa::path(get, path = "/v1/programmes/{programme}/promotions/stopped", tag = "promotions",
    security(("session" = [])), params(("programme" = String, Path)),
    responses((status = 200, body = ListView<BlockView>)))]
pub async fn stopped(
    State(state): State<ApiState>,
    ApiPath(Id(programme)): ApiPath<Id<ProgrammeId>>,
) -> Answer<ListView<BlockView>> {
    let orders = kill::stopped(&state.hub, programme).await?;
    Ok(ApiJson(orders.iter().map(BlockView::from).collect()))
}

/// Stop a promotion in every store at once, whatever publication runs there
#[utoipa::path(post, path = "/v1/programmes/{programme}/promotions/{promotion}/stop", tag = "promotions",
    security(("session" = [])),
    params(("programme" = String, Path), ("promotion" = String, Path), ("Idempotency-Key" = String, Header)),
    request_body = StopBody, responses((status = 201, body = OrderedView)))]
pub async fn stop(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    place: Place,
    body: ApiJson<StopBody>,
) -> Created<OrderedView> {
    order(&state, &caller, key, place, body, true).await
}

/// Let stores give a stopped promotion again
#[utoipa::path(post, path = "/v1/programmes/{programme}/promotions/{promotion}/release", tag = "promotions",
    security(("session" = [])),
    params(("programme" = String, Path), ("promotion" = String, Path), ("Idempotency-Key" = String, Header)),
    request_body = StopBody, responses((status = 201, body = OrderedView)))]
pub async fn release(
    State(state): State<ApiState>,
    caller: Caller,
    key: IdempotencyKey,
    place: Place,
    body: ApiJson<StopBody>,
) -> Created<OrderedView> {
    order(&state, &caller, key, place, body, false).await
}

async fn order(
    state: &ApiState,
    caller: &Caller,
    IdempotencyKey(idempotency_key): IdempotencyKey,
    ApiPath((Id(programme), Id(promotion))): Place,
    ApiJson(StopBody { reason }): ApiJson<StopBody>,
    stopped: bool,
) -> Result<(StatusCode, ApiJson<OrderedView>), Problem> {
    let wish = Wish {
        promotion,
        stopped,
        reason,
        idempotency_key,
    };
    let ordered = kill::order(&state.hub, &caller.actor(), programme, &wish).await?;
    Ok(created(OrderedView::from(&ordered)))
}

/// Which nodes have the latest order about a promotion, and which have not yet
#[utoipa::path(get, path = "/v1/programmes/{programme}/promotions/{promotion}/delivery", tag = "promotions",
    security(("session" = [])), params(("programme" = String, Path), ("promotion" = String, Path)),
    responses((status = 200, body = ListView<DeliveredView>)))]
pub async fn delivery(
    State(state): State<ApiState>,
    ApiPath(place): Place,
) -> Answer<ListView<DeliveredView>> {
    let (Id(programme), Id(promotion)) = place;
    let delivered = kill::delivery(&state.hub, programme, promotion).await?;
    Ok(ApiJson(delivered.iter().map(DeliveredView::from).collect()))
}
