//! Coupons over HTTP.

use axum::extract::State;
use kopilka_crdt::ids::{MemberId, PartnerId, ProgrammeId};
use kopilka_shell::problem::{ApiJson, ApiPath};
use serde::Deserialize;
use utoipa::ToSchema;

use super::access::{Caller, IdempotencyKey};
use super::{Answer, ApiState, Created, Id, created};
use crate::app::resources::bearers::{Goods, Order, issue_some};
use crate::app::resources::bulk::{Errand, Noted};
use crate::app::resources::coupons::Issuing;
use crate::app::resources::numbers::Prefix;
use crate::app::resources::transfer;
use crate::view::members::AdjustedView;
use crate::view::resources::{CountView, GivenView, NumbersView};

/// A coupon for a member.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GiveBody {
    /// Code of the series.
    series: String,
    /// The partner that owes for it.
    #[schema(value_type = String, example = "r1")]
    partner: Id<PartnerId>,
}

/// A coupon for another member.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TransferBody {
    /// Code of the series.
    series: String,
    /// Who gets it.
    #[schema(value_type = String, example = "m0000000000000")]
    to: Id<MemberId>,
}

/// Coupons for whoever holds their number.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CouponsBody {
    /// Code of the series.
    series: String,
    /// The partner that owes for them.
    #[schema(value_type = String, example = "r1")]
    partner: Id<PartnerId>,
    /// How many, 1 to 1,000.
    count: u32,
    /// First digits of the numbers, 6 at most; 92 when none is given.
    #[schema(value_type = Option<String>, example = "92")]
    prefix: Option<Id<Prefix>>,
}

/// Coupons for members.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GiveManyBody {
    /// The partner that owes for them.
    #[schema(value_type = String, example = "r1")]
    partner: Id<PartnerId>,
    /// Members' identifiers, card numbers or phones; 500 at most.
    members: Vec<String>,
}

/// Give a member a coupon
#[utoipa::path(post, path = "/v1/programmes/{programme}/members/{member}/coupons", tag = "resources",
    security(("session" = [])),
    params(("programme" = String, Path), ("member" = String, Path), ("Idempotency-Key" = String, Header)),
    request_body = GiveBody, responses((status = 201, body = GivenView)))]
pub async fn give(
    State(state): State<ApiState>,
    caller: Caller,
    IdempotencyKey(idempotency_key): IdempotencyKey,
    ApiPath(path): ApiPath<(Id<ProgrammeId>, Id<MemberId>)>,
    ApiJson(body): ApiJson<GiveBody>,
) -> Created<GivenView> {
    let (Id(programme), Id(member)) = path;
    let (hub, actor, Id(partner)) = (&state.hub, caller.actor(), body.partner);
    let deed = Issuing::new(hub, programme, &body.series, partner, &idempotency_key).await?;
    let done = Errand::new(hub, &actor, programme, &deed)
        .await?
        .to_one(member)
        .await?;
    Ok(created(GivenView::from(done)))
}

/// Let a member give an unused coupon to another
///
/// It keeps its days. While a store holds the right to it, the store is asked to give it back, for two seconds at most.
#[utoipa::path(post, path = "/v1/programmes/{programme}/members/{member}/coupon-transfers", tag = "resources",
    security(("session" = [])),
    params(("programme" = String, Path), ("member" = String, Path), ("Idempotency-Key" = String, Header)),
    request_body = TransferBody, responses((status = 201, body = AdjustedView)))]
pub async fn transfer(
    State(state): State<ApiState>,
    caller: Caller,
    IdempotencyKey(idempotency_key): IdempotencyKey,
    ApiPath(path): ApiPath<(Id<ProgrammeId>, Id<MemberId>)>,
    ApiJson(body): ApiJson<TransferBody>,
) -> Created<AdjustedView> {
    let (Id(programme), Id(from)) = path;
    let wish = transfer::Wish {
        from,
        to: body.to.0,
        series: body.series,
        idempotency_key,
    };
    let made = transfer::transfer(&state.hub, &caller.actor(), programme, &wish).await?;
    Ok(created(AdjustedView::from(made)))
}

/// Issue coupons for whoever holds their number
///
/// The answer has the numbers; the hub keeps hashes only, and tells them never again. A repeated Idempotency-Key is
/// refused.
#[utoipa::path(post, path = "/v1/programmes/{programme}/coupons", tag = "resources", security(("session" = [])),
    params(("programme" = String, Path), ("Idempotency-Key" = String, Header)), request_body = CouponsBody,
    responses((status = 201, body = NumbersView)))]
pub async fn issue(
    State(state): State<ApiState>,
    caller: Caller,
    IdempotencyKey(idempotency_key): IdempotencyKey,
    ApiPath(Id(programme)): ApiPath<Id<ProgrammeId>>,
    ApiJson(body): ApiJson<CouponsBody>,
) -> Created<NumbersView> {
    let order = Order {
        programme,
        partner: body.partner.0,
        goods: Goods::Coupons(body.series),
        prefix: body.prefix.map(|Id(prefix)| prefix),
        count: body.count,
    };
    let numbers = issue_some(&state.hub, &caller.actor(), &order, &idempotency_key).await?;
    Ok(created(NumbersView::from(numbers)))
}

/// Give members a coupon of a series, one each
///
/// With the same Idempotency-Key each gets one, however often the request is repeated.
#[utoipa::path(post, path = "/v1/programmes/{programme}/coupons/{series}/members", tag = "resources",
    security(("session" = [])),
    params(("programme" = String, Path), ("series" = String, Path), ("Idempotency-Key" = String, Header)),
    request_body = GiveManyBody, responses((status = 200, body = CountView)))]
pub async fn give_to_many(
    State(state): State<ApiState>,
    caller: Caller,
    IdempotencyKey(idempotency_key): IdempotencyKey,
    ApiPath(path): ApiPath<(Id<ProgrammeId>, String)>,
    ApiJson(body): ApiJson<GiveManyBody>,
) -> Answer<CountView> {
    let (Id(programme), series) = path;
    let (hub, actor, Id(partner)) = (&state.hub, caller.actor(), body.partner);
    let deed = Issuing::new(hub, programme, &series, partner, &idempotency_key).await?;
    let errand = Errand::new(hub, &actor, programme, &deed).await?;
    let mut noted = Noted::default();
    let count = errand.to_named(&body.members, &mut noted).await?;
    let faults = noted.0;
    Ok(ApiJson(CountView { count, faults }))
}
