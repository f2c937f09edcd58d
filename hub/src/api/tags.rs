//! Tags over HTTP.

use axum::extract::State;
use kopilka_crdt::ids::ProgrammeId;
use kopilka_shell::problem::{ApiJson, ApiPath, ApiQuery};
use serde::Deserialize;
use utoipa::ToSchema;

use super::access::Caller;
use super::{Answer, ApiState, Id, PAGE_USUAL};
use crate::app::members::history::PAGE_MAX;
use crate::app::members::rules_now;
use crate::app::resources::bulk::{Errand, Noted};
use crate::app::resources::people::{self, Place};
use crate::app::resources::tags::Tagging;
use crate::view::ListView;
use crate::view::resources::{CountView, TagView, TaggedView, tags as tags_view};

/// Members to be tagged.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TagBody {
    /// Put on, or taken off.
    on: bool,
    /// Members' identifiers, card numbers or phones; 500 at most.
    members: Vec<String>,
}

/// Part of a list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaggedQuery {
    after: Option<String>,
    limit: Option<usize>,
}

/// Tags of the published rule book
#[utoipa::path(get, path = "/v1/programmes/{programme}/tags", tag = "resources", security(("session" = [])),
    params(("programme" = String, Path)), responses((status = 200, body = ListView<TagView>)))]
pub async fn list(
    State(state): State<ApiState>,
    ApiPath(Id(programme)): ApiPath<Id<ProgrammeId>>,
) -> Answer<ListView<TagView>> {
    let (rules, _) = rules_now(&state.hub, programme).await?;
    Ok(ApiJson(tags_view(&rules).into_iter().collect()))
}

/// Members with a tag
///
/// A page may be short, or empty, before the end: members are looked through as long as `next` says that there are more.
#[utoipa::path(get, path = "/v1/programmes/{programme}/tags/{tag}/members", tag = "resources",
    security(("session" = [])),
    params(("programme" = String, Path), ("tag" = String, Path),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<usize>, Query, description = "1 to 200")),
    responses((status = 200, body = TaggedView)))]
pub async fn members(
    State(state): State<ApiState>,
    ApiPath(path): ApiPath<(Id<ProgrammeId>, String)>,
    ApiQuery(query): ApiQuery<TaggedQuery>,
) -> Answer<TaggedView> {
    let (Id(programme), tag) = path;
    let after = query
        .after
        .as_deref()
        .map(str::parse::<Place>)
        .transpose()?;
    let limit = query.limit.unwrap_or(PAGE_USUAL).clamp(1, PAGE_MAX);
    let from = after.unwrap_or_default();
    let walked = people::tagged(&state.hub, programme, &tag, from, limit).await?;
    Ok(ApiJson(TaggedView::from(walked)))
}

/// Put a tag on members, or take it off
///
/// Repeating it changes nothing. A tag that is not in the published rule book can be taken off, and not be put on.
#[utoipa::path(post, path = "/v1/programmes/{programme}/tags/{tag}/members", tag = "resources",
    security(("session" = [])), params(("programme" = String, Path), ("tag" = String, Path)), request_body = TagBody,
    responses((status = 200, body = CountView)))]
pub async fn change(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(path): ApiPath<(Id<ProgrammeId>, String)>,
    ApiJson(body): ApiJson<TagBody>,
) -> Answer<CountView> {
    let (Id(programme), tag) = path;
    let (hub, actor) = (&state.hub, caller.actor());
    let (rules, _) = rules_now(hub, programme).await?;
    let deed = if body.on {
        Tagging::put(&rules, &tag)?
    } else {
        Tagging::take_off(&tag)
    };
    let errand = Errand::new(hub, &actor, programme, &deed).await?;
    let mut noted = Noted::default();
    let count = errand.to_named(&body.members, &mut noted).await?;
    let faults = noted.0;
    Ok(ApiJson(CountView { count, faults }))
}
