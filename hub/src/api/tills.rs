//! Tills and cashiers of a store.

use axum::extract::State;
use kopilka_crdt::ids::{CashierId, StoreId, TillId};
use kopilka_shell::problem::{ApiJson, ApiPath};
use serde::Deserialize;
use utoipa::ToSchema;

use super::access::Caller;
use super::catalogue::NameBody;
use super::{Answer, ApiState, Created, Id, created};
use crate::app::catalogue::{cashiers, tills};
use crate::view::ListView;
use crate::view::catalogue::{CashierView, TillView};

/// A new cashier.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCashierBody {
    /// Their name.
    name: String,
    /// Their number on head office's own list; none: the next free one.
    #[schema(value_type = Option<String>, example = "c17")]
    id: Option<Id<CashierId>>,
}

/// What changes of a till or cashier; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NameEditBody {
    /// A new name.
    name: Option<String>,
    /// Whether it may work.
    enabled: Option<bool>,
}

/// A store's tills
#[utoipa::path(get, path = "/v1/stores/{store}/tills", tag = "catalogue", security(("session" = [])),
    params(("store" = String, Path)), responses((status = 200, body = ListView<TillView>)))]
pub async fn tills(
    State(state): State<ApiState>,
    ApiPath(Id(store)): ApiPath<Id<StoreId>>,
) -> Answer<ListView<TillView>> {
    let all = tills::all(&state.hub, store).await?;
    Ok(ApiJson(all.iter().map(TillView::from).collect()))
}

/// Create a till; the answer shows its token, once
#[utoipa::path(post, path = "/v1/stores/{store}/tills", tag = "catalogue", security(("session" = [])),
    params(("store" = String, Path)), request_body = NameBody, responses((status = 201, body = TillView)))]
pub async fn create_till(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(Id(store)): ApiPath<Id<StoreId>>,
    ApiJson(body): ApiJson<NameBody>,
) -> Created<TillView> {
    let made = tills::create(&state.hub, &caller.actor(), store, &body.name).await?;
    Ok(created(TillView::from(made)))
}

/// Rename, enable or disable a till
#[utoipa::path(patch, path = "/v1/stores/{store}/tills/{till}", tag = "catalogue", security(("session" = [])),
    params(("store" = String, Path), ("till" = String, Path)), request_body = NameEditBody,
    responses((status = 200, body = TillView)))]
pub async fn edit_till(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(path): ApiPath<(Id<StoreId>, Id<TillId>)>,
    ApiJson(body): ApiJson<NameEditBody>,
) -> Answer<TillView> {
    let (Id(store), Id(till)) = path;
    let actor = caller.actor();
    let till = tills::edit(
        &state.hub,
        &actor,
        (store, till),
        body.name.as_deref(),
        body.enabled,
    )
    .await?;
    Ok(ApiJson(TillView::from(&till)))
}

/// Give a till a new token; the answer shows it, once
#[utoipa::path(post, path = "/v1/stores/{store}/tills/{till}/token", tag = "catalogue", security(("session" = [])),
    params(("store" = String, Path), ("till" = String, Path)), responses((status = 201, body = TillView)))]
pub async fn renew_token(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(path): ApiPath<(Id<StoreId>, Id<TillId>)>,
) -> Created<TillView> {
    let (Id(store), Id(till)) = path;
    let made = tills::renew_token(&state.hub, &caller.actor(), (store, till)).await?;
    Ok(created(TillView::from(made)))
}

/// A store's cashiers
#[utoipa::path(get, path = "/v1/stores/{store}/cashiers", tag = "catalogue", security(("session" = [])),
    params(("store" = String, Path)), responses((status = 200, body = ListView<CashierView>)))]
pub async fn cashiers(
    State(state): State<ApiState>,
    ApiPath(Id(store)): ApiPath<Id<StoreId>>,
) -> Answer<ListView<CashierView>> {
    let all = cashiers::all(&state.hub, store).await?;
    Ok(ApiJson(all.iter().map(CashierView::from).collect()))
}

/// Create a cashier
#[utoipa::path(post, path = "/v1/stores/{store}/cashiers", tag = "catalogue", security(("session" = [])),
    params(("store" = String, Path)), request_body = NewCashierBody,
    responses((status = 201, body = CashierView)))]
pub async fn create_cashier(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(Id(store)): ApiPath<Id<StoreId>>,
    ApiJson(body): ApiJson<NewCashierBody>,
) -> Created<CashierView> {
    let number = body.id.map(|Id(id)| id);
    let cashier = cashiers::create(&state.hub, &caller.actor(), store, &body.name, number).await?;
    Ok(created(CashierView::from(&cashier)))
}

/// Rename, enable or disable a cashier
#[utoipa::path(patch, path = "/v1/stores/{store}/cashiers/{cashier}", tag = "catalogue", security(("session" = [])),
    params(("store" = String, Path), ("cashier" = String, Path)), request_body = NameEditBody,
    responses((status = 200, body = CashierView)))]
pub async fn edit_cashier(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(path): ApiPath<(Id<StoreId>, Id<CashierId>)>,
    ApiJson(body): ApiJson<NameEditBody>,
) -> Answer<CashierView> {
    let (Id(store), Id(id)) = path;
    let actor = caller.actor();
    let name = body.name.as_deref();
    let cashier = cashiers::edit(&state.hub, &actor, (store, id), name, body.enabled).await?;
    Ok(ApiJson(CashierView::from(&cashier)))
}
