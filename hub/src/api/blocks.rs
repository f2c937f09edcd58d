//! Block orders and who has them.

use axum::extract::State;
use kopilka_crdt::ids::{MemberId, ProgrammeId};
use kopilka_shell::problem::{ApiJson, ApiPath, ApiQuery};
use serde::Deserialize;
use utoipa::ToSchema;

use super::access::{Caller, IdempotencyKey};
use super::{Answer, ApiState, Created, Id, PAGE_USUAL, created};
use crate::app::action::ActionError;
use crate::app::blocks::{self, CardName, Wish};
use crate::app::members::history::PAGE_MAX;
use crate::view::security::{BlockView, DeliveredView, OrderedView};
use crate::view::{ListView, PageView};

/// A card to block or release: by `number`, or by `member` and `tail`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BlockBody {
    /// The number on the card.
    number: Option<String>,
    /// Its owner.
    #[schema(value_type = Option<String>)]
    member: Option<Id<MemberId>>,
    /// Its last four digits.
    tail: Option<u16>,
    /// Block, or release.
    blocked: bool,
    /// For the cashier, such as "lost".
    reason: String,
}

/// Part of the list, from the oldest on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AfterQuery {
    after: Option<u64>,
    limit: Option<usize>,
}

/// Block orders after a number, oldest first
#[utoipa::path(get, path = "/v1/programmes/{programme}/blocks", tag = "blocks", security(("session" = [])),
    params(("programme" = String, Path),
        ("after" = Option<u64>, Query, description = "`next` of the page before"),
        ("limit" = Option<usize>, Query, description = "1 to 200")),
    responses((status = 200, body = PageView<BlockView>)))]
pub async fn list(
    State(state): State<ApiState>,
    ApiPath(Id(programme)): ApiPath<Id<ProgrammeId>>,
    ApiQuery(query): ApiQuery<AfterQuery>,
) -> Answer<PageView<BlockView>> {
    let limit = query.limit.unwrap_or(PAGE_USUAL).clamp(1, PAGE_MAX);
    let after = query.after.unwrap_or_default();
    let orders = blocks::after(&state.hub, programme, after, limit).await?;
    let last = orders.last().filter(|_| orders.len() == limit);
    Ok(ApiJson(PageView {
        items: orders.iter().map(BlockView::from).collect(),
        next: last.map(|order| order.number.to_string()),
    }))
}

/// Block or release a card in every store
#[utoipa::path(post, path = "/v1/programmes/{programme}/blocks", tag = "blocks", security(("session" = [])),
    params(("programme" = String, Path), ("Idempotency-Key" = String, Header)), request_body = BlockBody,
    responses((status = 201, body = OrderedView)))]
pub async fn order(
    State(state): State<ApiState>,
    caller: Caller,
    IdempotencyKey(idempotency_key): IdempotencyKey,
    ApiPath(Id(programme)): ApiPath<Id<ProgrammeId>>,
    ApiJson(body): ApiJson<BlockBody>,
) -> Created<OrderedView> {
    let card = match (body.number, body.member, body.tail) {
        (Some(number), None, None) => CardName::Number(number),
        (None, Some(Id(member)), Some(tail)) => CardName::Tail(member, tail),
        _ => {
            let reason = "name the card by number, or by member and tail";
            return Err(ActionError::invalid("number", reason).into());
        }
    };
    let wish = Wish {
        card,
        blocked: body.blocked,
        reason: body.reason,
        idempotency_key,
    };
    let ordered = blocks::order(&state.hub, &caller.actor(), programme, &wish).await?;
    Ok(created(OrderedView::from(&ordered)))
}

/// Which nodes have a block order, and which have not yet
#[utoipa::path(get, path = "/v1/programmes/{programme}/blocks/{number}/delivery", tag = "blocks",
    security(("session" = [])), params(("programme" = String, Path), ("number" = u64, Path)),
    responses((status = 200, body = ListView<DeliveredView>)))]
pub async fn delivery(
    State(state): State<ApiState>,
    ApiPath(path): ApiPath<(Id<ProgrammeId>, u64)>,
) -> Answer<ListView<DeliveredView>> {
    let (Id(programme), number) = path;
    let delivered = blocks::delivery(&state.hub, programme, number).await?;
    Ok(ApiJson(delivered.iter().map(DeliveredView::from).collect()))
}
