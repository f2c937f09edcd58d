//! The rule book and its publications.

use axum::extract::State;
use json_patch::Patch;
use kopilka_crdt::ids::ProgrammeId;
use kopilka_shell::problem::{ApiJson, ApiPath};
use serde::Deserialize;
use utoipa::ToSchema;

use super::access::Caller;
use super::{Answer, ApiState, Created, Id, created};
use crate::app::rulebook::{draft, publish, value_of};
use crate::view::ListView;
use crate::view::rules::{PublicationView, RuleBookView, RuleChangeView, RuleDiffView};

/// An edit of the draft.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleEditBody {
    /// JSON Patch (RFC 6902).
    #[schema(value_type = Vec<Object>)]
    patch: Patch,
    /// Why, for the history.
    note: String,
}

/// A note on a publication.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NoteBody {
    /// Why.
    note: String,
}

/// The draft, with what keeps it from being published
#[utoipa::path(get, path = "/v1/programmes/{programme}/rule-book", tag = "rules", security(("session" = [])),
    params(("programme" = String, Path)), responses((status = 200, body = RuleBookView)))]
pub async fn show(
    State(state): State<ApiState>,
    ApiPath(Id(programme)): ApiPath<Id<ProgrammeId>>,
) -> Answer<RuleBookView> {
    let draft = draft::show(&state.hub, programme).await?;
    Ok(ApiJson(RuleBookView::from(draft)))
}

/// Edit the draft by JSON Patch
#[utoipa::path(patch, path = "/v1/programmes/{programme}/rule-book", tag = "rules", security(("session" = [])),
    params(("programme" = String, Path)), request_body = RuleEditBody,
    responses((status = 200, body = RuleBookView)))]
pub async fn edit(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(Id(programme)): ApiPath<Id<ProgrammeId>>,
    ApiJson(body): ApiJson<RuleEditBody>,
) -> Answer<RuleBookView> {
    let actor = caller.actor();
    let draft = draft::edit(&state.hub, &actor, programme, &body.patch, &body.note).await?;
    Ok(ApiJson(RuleBookView::from(draft)))
}

/// All changes of the draft, oldest first
#[utoipa::path(get, path = "/v1/programmes/{programme}/rule-book/history", tag = "rules", security(("session" = [])),
    params(("programme" = String, Path)), responses((status = 200, body = ListView<RuleChangeView>)))]
pub async fn history(
    State(state): State<ApiState>,
    ApiPath(Id(programme)): ApiPath<Id<ProgrammeId>>,
) -> Answer<ListView<RuleChangeView>> {
    let changes = draft::history(&state.hub, programme).await?;
    Ok(ApiJson(changes.iter().map(RuleChangeView::from).collect()))
}

/// All publications, oldest first
#[utoipa::path(get, path = "/v1/programmes/{programme}/publications", tag = "rules", security(("session" = [])),
    params(("programme" = String, Path)), responses((status = 200, body = ListView<PublicationView>)))]
pub async fn publications(
    State(state): State<ApiState>,
    ApiPath(Id(programme)): ApiPath<Id<ProgrammeId>>,
) -> Answer<ListView<PublicationView>> {
    let all = publish::all(&state.hub, programme).await?;
    Ok(ApiJson(all.iter().map(PublicationView::from).collect()))
}

/// Publish the draft to all stores
#[utoipa::path(post, path = "/v1/programmes/{programme}/publications", tag = "rules", security(("session" = [])),
    params(("programme" = String, Path)), request_body = NoteBody,
    responses((status = 201, body = PublicationView)))]
pub async fn publish(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(Id(programme)): ApiPath<Id<ProgrammeId>>,
    ApiJson(body): ApiJson<NoteBody>,
) -> Created<PublicationView> {
    let made = publish::publish(&state.hub, &caller.actor(), programme, &body.note).await?;
    Ok(created(PublicationView::from(&made)))
}

/// The rules of one publication
#[utoipa::path(get, path = "/v1/programmes/{programme}/publications/{number}", tag = "rules",
    security(("session" = [])), params(("programme" = String, Path), ("number" = u32, Path)),
    responses((status = 200, body = Object)))]
pub async fn publication(
    State(state): State<ApiState>,
    ApiPath(path): ApiPath<(Id<ProgrammeId>, u32)>,
) -> Answer<serde_json::Value> {
    let (Id(programme), number) = path;
    let rules = publish::rules(&state.hub, programme, number).await?;
    Ok(ApiJson(value_of(&rules)))
}

/// What changed between two publications
#[utoipa::path(get, path = "/v1/programmes/{programme}/publications/{number}/diff/{to}", tag = "rules",
    security(("session" = [])),
    params(("programme" = String, Path), ("number" = u32, Path), ("to" = u32, Path)),
    responses((status = 200, body = RuleDiffView)))]
pub async fn diff(
    State(state): State<ApiState>,
    ApiPath(path): ApiPath<(Id<ProgrammeId>, u32, u32)>,
) -> Answer<RuleDiffView> {
    let (Id(programme), number, to) = path;
    let patch = publish::diff(&state.hub, programme, number, to).await?;
    Ok(ApiJson(RuleDiffView { patch }))
}

/// Publish an earlier publication's rules again, and set the draft to them
#[utoipa::path(post, path = "/v1/programmes/{programme}/publications/{number}/roll-back", tag = "rules",
    security(("session" = [])), params(("programme" = String, Path), ("number" = u32, Path)),
    request_body = NoteBody, responses((status = 201, body = PublicationView)))]
pub async fn roll_back(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(path): ApiPath<(Id<ProgrammeId>, u32)>,
    ApiJson(body): ApiJson<NoteBody>,
) -> Created<PublicationView> {
    let (Id(programme), number) = path;
    let actor = caller.actor();
    let made = publish::roll_back(&state.hub, &actor, programme, number, &body.note).await?;
    Ok(created(PublicationView::from(&made)))
}
