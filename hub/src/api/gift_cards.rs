//! Gift cards over HTTP.

use axum::extract::State;
use kopilka_crdt::ids::{PartnerId, ProgrammeId};
use kopilka_crdt::money::Minor;
use kopilka_shell::problem::{ApiJson, ApiPath};
use serde::Deserialize;
use utoipa::ToSchema;

use super::access::{Caller, IdempotencyKey};
use super::{ApiState, Created, Id, created};
use crate::app::resources::bearers::{Goods, Order, issue_some};
use crate::app::resources::numbers::Prefix;
use crate::view::resources::NumbersView;

/// Gift cards to be issued.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GiftCardsBody {
    /// The partner that owes for what is on them.
    #[schema(value_type = String, example = "r1")]
    partner: Id<PartnerId>,
    /// How many, 1 to 1,000.
    count: u32,
    /// What is on each from the start, minor units; without, a till loads them when it sells them.
    value_minor: Option<i64>,
    /// First digits of the numbers, 6 at most; 91 when none is given.
    #[schema(value_type = Option<String>, example = "91")]
    prefix: Option<Id<Prefix>>,
}

/// Issue gift cards
///
/// The answer has their numbers; the hub keeps hashes only, and tells them never again. A repeated Idempotency-Key is
/// refused, so that an answer that was lost cannot be read by others: issue anew and block those cards.
#[utoipa::path(post, path = "/v1/programmes/{programme}/gift-cards", tag = "resources", security(("session" = [])),
    params(("programme" = String, Path), ("Idempotency-Key" = String, Header)), request_body = GiftCardsBody,
    responses((status = 201, body = NumbersView)))]
pub async fn issue(
    State(state): State<ApiState>,
    caller: Caller,
    IdempotencyKey(idempotency_key): IdempotencyKey,
    ApiPath(Id(programme)): ApiPath<Id<ProgrammeId>>,
    ApiJson(body): ApiJson<GiftCardsBody>,
) -> Created<NumbersView> {
    let order = Order {
        programme,
        partner: body.partner.0,
        goods: Goods::GiftCards(body.value_minor.map(Minor)),
        prefix: body.prefix.map(|Id(prefix)| prefix),
        count: body.count,
    };
    let numbers = issue_some(&state.hub, &caller.actor(), &order, &idempotency_key).await?;
    Ok(created(NumbersView::from(numbers)))
}
