//! Programmes, partners and stores.

use axum::extract::State;
use kopilka_crdt::ids::{PartnerId, ProgrammeId, StoreId};
use kopilka_crdt::rulebook::model::Text;
use kopilka_shell::problem::{ApiJson, ApiPath};
use serde::Deserialize;
use utoipa::ToSchema;

use super::access::Caller;
use super::{Answer, ApiState, Created, Id, created};
use crate::app::catalogue::{programmes, stores};
use crate::view::ListView;
use crate::view::catalogue::{PartnerView, ProgrammeView, StoreView};

/// A new programme.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewProgrammeBody {
    /// Its name in Russian.
    name_ru: String,
    /// Its name in English.
    name_en: String,
}

/// Something with a name.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NameBody {
    /// The name.
    pub(super) name: String,
}

/// A new store.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewStoreBody {
    /// Its owner.
    #[schema(value_type = String, example = "r1")]
    partner: Id<PartnerId>,
    /// Its name.
    name: String,
    /// IANA time zone.
    #[schema(example = "Europe/Moscow")]
    time_zone: String,
    /// Store groups.
    #[serde(default)]
    groups: Vec<String>,
}

/// What changes; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreEditBody {
    /// A new name.
    name: Option<String>,
    /// A new time zone.
    time_zone: Option<String>,
    /// New groups.
    groups: Option<Vec<String>>,
}

/// All programmes
#[utoipa::path(get, path = "/v1/programmes", tag = "catalogue", security(("session" = [])),
    responses((status = 200, body = ListView<ProgrammeView>)))]
pub async fn programmes(State(state): State<ApiState>) -> Answer<ListView<ProgrammeView>> {
    let all = programmes::all(&state.hub).await?;
    Ok(ApiJson(all.iter().map(ProgrammeView::from).collect()))
}

/// Create a programme with starter rules
#[utoipa::path(post, path = "/v1/programmes", tag = "catalogue", security(("session" = [])),
    request_body = NewProgrammeBody, responses((status = 201, body = ProgrammeView)))]
pub async fn create_programme(
    State(state): State<ApiState>,
    caller: Caller,
    ApiJson(body): ApiJson<NewProgrammeBody>,
) -> Created<ProgrammeView> {
    let name = Text {
        ru: body.name_ru,
        en: body.name_en,
    };
    let programme = programmes::create(&state.hub, &caller.actor(), &name).await?;
    Ok(created(ProgrammeView::from(&programme)))
}

/// One programme
#[utoipa::path(get, path = "/v1/programmes/{programme}", tag = "catalogue", security(("session" = [])),
    params(("programme" = String, Path)), responses((status = 200, body = ProgrammeView)))]
pub async fn programme(
    State(state): State<ApiState>,
    ApiPath(Id(id)): ApiPath<Id<ProgrammeId>>,
) -> Answer<ProgrammeView> {
    let programme = programmes::one(&state.hub, id).await?;
    Ok(ApiJson(ProgrammeView::from(&programme.value)))
}

/// A programme's partners
#[utoipa::path(get, path = "/v1/programmes/{programme}/partners", tag = "catalogue", security(("session" = [])),
    params(("programme" = String, Path)), responses((status = 200, body = ListView<PartnerView>)))]
pub async fn partners(
    State(state): State<ApiState>,
    ApiPath(Id(id)): ApiPath<Id<ProgrammeId>>,
) -> Answer<ListView<PartnerView>> {
    let all = programmes::partners(&state.hub, id).await?;
    Ok(ApiJson(all.iter().map(PartnerView::from).collect()))
}

/// Create a partner
#[utoipa::path(post, path = "/v1/programmes/{programme}/partners", tag = "catalogue", security(("session" = [])),
    params(("programme" = String, Path)), request_body = NameBody,
    responses((status = 201, body = PartnerView)))]
pub async fn create_partner(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(Id(id)): ApiPath<Id<ProgrammeId>>,
    ApiJson(body): ApiJson<NameBody>,
) -> Created<PartnerView> {
    let actor = caller.actor();
    let partner = programmes::create_partner(&state.hub, &actor, id, &body.name).await?;
    Ok(created(PartnerView::from(&partner)))
}

/// A programme's stores
#[utoipa::path(get, path = "/v1/programmes/{programme}/stores", tag = "catalogue", security(("session" = [])),
    params(("programme" = String, Path)), responses((status = 200, body = ListView<StoreView>)))]
pub async fn stores(
    State(state): State<ApiState>,
    ApiPath(Id(id)): ApiPath<Id<ProgrammeId>>,
) -> Answer<ListView<StoreView>> {
    let all = stores::all(&state.hub, id).await?;
    Ok(ApiJson(all.iter().map(StoreView::from).collect()))
}

/// Create a store
#[utoipa::path(post, path = "/v1/programmes/{programme}/stores", tag = "catalogue", security(("session" = [])),
    params(("programme" = String, Path)), request_body = NewStoreBody,
    responses((status = 201, body = StoreView)))]
pub async fn create_store(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(Id(programme)): ApiPath<Id<ProgrammeId>>,
    ApiJson(body): ApiJson<NewStoreBody>,
) -> Created<StoreView> {
    let NewStoreBody {
        partner: Id(partner),
        name,
        time_zone,
        groups,
    } = body;
    let new = stores::NewStore {
        programme,
        partner,
        name,
        time_zone,
        groups,
    };
    let store = stores::create(&state.hub, &caller.actor(), new).await?;
    Ok(created(StoreView::from(&store)))
}

/// Change a store
#[utoipa::path(patch, path = "/v1/stores/{store}", tag = "catalogue", security(("session" = [])),
    params(("store" = String, Path)), request_body = StoreEditBody,
    responses((status = 200, body = StoreView)))]
pub async fn edit_store(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(Id(id)): ApiPath<Id<StoreId>>,
    ApiJson(body): ApiJson<StoreEditBody>,
) -> Answer<StoreView> {
    let StoreEditBody {
        name,
        time_zone,
        groups,
    } = body;
    let edit = stores::StoreEdit {
        name,
        time_zone,
        groups,
    };
    let store = stores::edit(&state.hub, &caller.actor(), id, &edit).await?;
    Ok(ApiJson(StoreView::from(&store)))
}
