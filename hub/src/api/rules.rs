//! The rule book and its publications.

use axum::extract::State;
use json_patch::Patch;
use kopilka_crdt::ids::ProgrammeId;
use kopilka_crdt::rulebook::schema::json_schema;
use kopilka_shell::problem::{ApiJson, ApiPath, ApiQuery};
use serde::Deserialize;
use utoipa::ToSchema;

use super::access::Caller;
use super::{Answer, ApiState, Created, Id, created};
use crate::app::rulebook::versions::VersionName;
use crate::app::rulebook::{draft, publish, value_of, versions};
use crate::view::ListView;
use crate::view::rules::{PublicationView, RuleBookView, RuleChangeView, RuleDiffView};

/// An edit of the draft.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleEditBody {
    /// Version of the draft that the patch was made from, so that edits at the same time are seen; the present one when
    /// none is given.
    base: Option<u32>,
    /// JSON Patch (RFC 6902).
    #[schema(value_type = Vec<Object>)]
    patch: Patch,
    /// Why, for the history.
    note: String,
}

/// Which version to set the draft to, and why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevertBody {
    /// `v12`: a version of the draft; `3`: a publication.
    #[schema(value_type = String, example = "v12")]
    to: Id<VersionName>,
    /// Why, for the history.
    note: String,
}

/// Two versions of the rules.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiffQuery {
    from: Id<VersionName>,
    to: Id<VersionName>,
}

/// Why the draft is published, and what is known about it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishBody {
    /// Why.
    pub(super) note: String,
    /// Whether to take the values that the draft shows where conflicts are open.
    #[serde(default)]
    pub(super) despite_conflicts: bool,
}

/// A note on a publication.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NoteBody {
    /// Why.
    pub(super) note: String,
}

/// The rule book's schema, in JSON Schema 2020-12, for editors and programs that write rule books
#[utoipa::path(get, path = "/v1/schemas/rulebook", tag = "rules", responses((status = 200, body = Object)))]
pub async fn schema() -> ApiJson<serde_json::Value> {
    ApiJson(json_schema())
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
///
/// Edits of one version (`base`) by several people all hold where they set different places. Where they set the same
/// one, the draft shows one value and lists all under `conflicts`. What would undo another's edit silently is refused.
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
    let RuleEditBody { base, patch, note } = body;
    let draft = draft::edit(&state.hub, &actor, programme, base, &patch, &note).await?;
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

/// The rules of any version: `draft`, `v12` for a version of the draft, `3` for a publication
#[utoipa::path(get, path = "/v1/programmes/{programme}/rule-book/versions/{version}", tag = "rules",
    security(("session" = [])), params(("programme" = String, Path), ("version" = String, Path)),
    responses((status = 200, body = Object)))]
pub async fn version(
    State(state): State<ApiState>,
    ApiPath(path): ApiPath<(Id<ProgrammeId>, Id<VersionName>)>,
) -> Answer<serde_json::Value> {
    let (Id(programme), Id(version)) = path;
    let rules = versions::rules(&state.hub, programme, version).await?;
    Ok(ApiJson(value_of(&rules)))
}

/// What differs between any two versions, named as for reading one
#[utoipa::path(get, path = "/v1/programmes/{programme}/rule-book/diff", tag = "rules", security(("session" = [])),
    params(("programme" = String, Path), ("from" = String, Query), ("to" = String, Query)),
    responses((status = 200, body = RuleDiffView)))]
pub async fn diff_versions(
    State(state): State<ApiState>,
    ApiPath(Id(programme)): ApiPath<Id<ProgrammeId>>,
    ApiQuery(query): ApiQuery<DiffQuery>,
) -> Answer<RuleDiffView> {
    let DiffQuery { from, to } = query;
    let diff = versions::diff(&state.hub, programme, from.0, to.0).await?;
    Ok(ApiJson(RuleDiffView::from(diff)))
}

/// Set the draft to an earlier version, as a new change
#[utoipa::path(post, path = "/v1/programmes/{programme}/rule-book/revert", tag = "rules", security(("session" = [])),
    params(("programme" = String, Path)), request_body = RevertBody,
    responses((status = 200, body = RuleBookView)))]
pub async fn revert(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(Id(programme)): ApiPath<Id<ProgrammeId>>,
    ApiJson(body): ApiJson<RevertBody>,
) -> Answer<RuleBookView> {
    let actor = caller.actor();
    let RevertBody { to: Id(to), note } = body;
    let draft = versions::revert(&state.hub, &actor, programme, to, &note).await?;
    Ok(ApiJson(RuleBookView::from(draft)))
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
    let [from, to] = [number, to].map(VersionName::Publication);
    let diff = versions::diff(&state.hub, programme, from, to).await?;
    Ok(ApiJson(RuleDiffView::from(diff)))
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
