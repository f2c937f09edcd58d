//! Publishing: the replay before it, and the second person's word on what has a large effect.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use kopilka_crdt::ids::ProgrammeId;
use kopilka_shell::problem::{ApiJson, ApiPath, ApiQuery, Problem};
use serde::Deserialize;
use utoipa::ToSchema;

use super::access::Caller;
use super::rules::PublishBody;
use super::{Answer, ApiState, Created, Id, created};
use crate::app::action::ActionError;
use crate::app::catalogue::programmes;
use crate::app::rulebook::publish::Outcome;
use crate::app::rulebook::replay::{Against, RECEIPTS_USUAL};
use crate::app::rulebook::{approval, publish, replay};
use crate::view::ListView;
use crate::view::replay::{ProposalView, PublishedView, ReplayView, ThresholdsView};
use crate::view::rules::PublicationView;

/// What is replayed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplayQuery {
    receipts: Option<usize>,
    against: Option<String>,
}

/// Why a proposal is turned down.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RejectionBody {
    /// Why.
    reason: String,
}

/// New thresholds; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ThresholdsBody {
    /// What receipts change by, in thousandths of their turnover.
    effect_permille: Option<u32>,
    /// Receipts touched, in thousandths of those replayed; 1000: however many.
    receipts_permille: Option<u32>,
}

/// The newest receipts under the rules in force and under the draft or another publication; changes nothing
#[utoipa::path(get, path = "/v1/programmes/{programme}/rule-book/replay", tag = "rules", security(("session" = [])),
    params(("programme" = String, Path),
        ("receipts" = Option<usize>, Query, description = "how many; 1,000 unless told, 100,000 at most"),
        ("against" = Option<String>, Query, description = "`draft`, as if left out, or the number of a publication")),
    responses((status = 200, body = ReplayView)))]
pub async fn replay(
    State(state): State<ApiState>,
    ApiPath(Id(programme)): ApiPath<Id<ProgrammeId>>,
    ApiQuery(query): ApiQuery<ReplayQuery>,
) -> Answer<ReplayView> {
    let against = query.against.as_deref().unwrap_or("draft").parse();
    let against: Against = against.map_err(|reason| ActionError::invalid("against", reason))?;
    let receipts = query.receipts.unwrap_or(RECEIPTS_USUAL);
    let figures = replay::run(&state.hub, programme, against, receipts, &mut |_| ()).await?;
    Ok(ApiJson(ReplayView::from(&figures)))
}

/// Publish the draft to all stores, or have it wait for a second person when its effect is large
#[utoipa::path(post, path = "/v1/programmes/{programme}/publications", tag = "rules", security(("session" = [])),
    params(("programme" = String, Path)), request_body = PublishBody,
    responses((status = 201, body = PublishedView),
        (status = 202, description = "It waits for a second person", body = ProposalView)))]
pub async fn publish(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(Id(programme)): ApiPath<Id<ProgrammeId>>,
    ApiJson(body): ApiJson<PublishBody>,
) -> Result<Response, Problem> {
    let (hub, actor) = (&state.hub, caller.actor());
    let PublishBody {
        note,
        despite_conflicts,
    } = body;
    let progress = &mut |_| ();
    let outcome =
        publish::publish(hub, &actor, programme, &note, despite_conflicts, progress).await?;
    Ok(match outcome {
        Outcome::Published {
            publication,
            figures,
        } => created(PublishedView::new(&publication, &figures)).into_response(),
        Outcome::Waiting(proposal) => {
            let view = ApiJson(ProposalView::from(&*proposal));
            (StatusCode::ACCEPTED, view).into_response()
        }
    })
}

/// Proposals to publish, newest first, 20 at most
#[utoipa::path(get, path = "/v1/programmes/{programme}/proposals", tag = "rules", security(("session" = [])),
    params(("programme" = String, Path)), responses((status = 200, body = ListView<ProposalView>)))]
pub async fn proposals(
    State(state): State<ApiState>,
    ApiPath(Id(programme)): ApiPath<Id<ProgrammeId>>,
) -> Answer<ListView<ProposalView>> {
    let all = approval::all(&state.hub, programme).await?;
    Ok(ApiJson(all.iter().map(ProposalView::from).collect()))
}

/// One proposal
#[utoipa::path(get, path = "/v1/programmes/{programme}/proposals/{number}", tag = "rules", security(("session" = [])),
    params(("programme" = String, Path), ("number" = u64, Path)), responses((status = 200, body = ProposalView)))]
pub async fn proposal(
    State(state): State<ApiState>,
    ApiPath(path): ApiPath<(Id<ProgrammeId>, u64)>,
) -> Answer<ProposalView> {
    let (Id(programme), number) = path;
    let proposal = approval::one(&state.hub, programme, number).await?;
    Ok(ApiJson(ProposalView::from(&proposal)))
}

/// Agree to somebody else's proposal: publishes exactly what was proposed
#[utoipa::path(post, path = "/v1/programmes/{programme}/proposals/{number}/approve", tag = "rules",
    security(("session" = [])), params(("programme" = String, Path), ("number" = u64, Path)),
    responses((status = 201, body = PublicationView)))]
pub async fn approve(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(path): ApiPath<(Id<ProgrammeId>, u64)>,
) -> Created<PublicationView> {
    let (Id(programme), number) = path;
    let made = approval::approve(&state.hub, &caller.staff, programme, number).await?;
    Ok(created(PublicationView::from(&made)))
}

/// Turn a proposal down; its author may take it back so
#[utoipa::path(post, path = "/v1/programmes/{programme}/proposals/{number}/reject", tag = "rules",
    security(("session" = [])), params(("programme" = String, Path), ("number" = u64, Path)),
    request_body = RejectionBody, responses((status = 200, body = ProposalView)))]
pub async fn reject(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(path): ApiPath<(Id<ProgrammeId>, u64)>,
    ApiJson(body): ApiJson<RejectionBody>,
) -> Answer<ProposalView> {
    let (Id(programme), number) = path;
    let (hub, staff) = (&state.hub, &caller.staff);
    let rejected = approval::reject(hub, staff, programme, number, &body.reason).await?;
    Ok(ApiJson(ProposalView::from(&rejected)))
}

/// Up to which effect a version is published without a second person
#[utoipa::path(get, path = "/v1/programmes/{programme}/approval", tag = "rules", security(("session" = [])),
    params(("programme" = String, Path)), responses((status = 200, body = ThresholdsView)))]
pub async fn thresholds(
    State(state): State<ApiState>,
    ApiPath(Id(programme)): ApiPath<Id<ProgrammeId>>,
) -> Answer<ThresholdsView> {
    let programme = programmes::one(&state.hub, programme).await?;
    Ok(ApiJson(ThresholdsView::from(programme.value.approval)))
}

/// Change up to which effect a version is published without a second person
#[utoipa::path(patch, path = "/v1/programmes/{programme}/approval", tag = "rules", security(("session" = [])),
    params(("programme" = String, Path)), request_body = ThresholdsBody,
    responses((status = 200, body = ThresholdsView)))]
pub async fn set_thresholds(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(Id(programme)): ApiPath<Id<ProgrammeId>>,
    ApiJson(body): ApiJson<ThresholdsBody>,
) -> Answer<ThresholdsView> {
    let actor = caller.actor();
    let set = approval::set_thresholds(
        &state.hub,
        &actor,
        programme,
        body.effect_permille,
        body.receipts_permille,
    );
    Ok(ApiJson(ThresholdsView::from(set.await?)))
}
