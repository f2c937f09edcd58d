//! Members.

use axum::extract::State;
use axum::http::StatusCode;
use kopilka_crdt::card::CardKind;
use kopilka_crdt::identifier::IdentifierKind;
use kopilka_crdt::ids::{AccountId, MemberId, PartnerId, ProgrammeId};
use kopilka_crdt::money::Minor;
use kopilka_shell::problem::{ApiJson, ApiPath, ApiQuery, Problem};
use serde::Deserialize;
use utoipa::ToSchema;

use super::access::{Caller, IdempotencyKey};
use super::{Answer, ApiState, Created, Id, PAGE_USUAL, created};
use crate::app::members::adjust::{self, Wish};
use crate::app::members::bind::{self, NewIdentifier};
use crate::app::members::history::{self, Cursor};
use crate::app::members::{self, erase, profile};
use crate::view::PageView;
use crate::view::members::{
    AdjustedView, MemberView, OperationView, ProfileView, history as history_view, parse_tag,
};

/// What a member shows.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FindBody {
    /// `card`, `phone`, `qr`, `nfc` or `track`.
    #[schema(value_type = String, example = "phone")]
    kind: IdentifierKind,
    /// As shown or told.
    value: String,
}

/// Points to credit or write off.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdjustBody {
    /// The account.
    #[schema(value_type = String, example = "a1")]
    account: Id<AccountId>,
    /// Credited when positive, written off when negative, minor units.
    amount_minor: i64,
    /// The partner that owes for credits.
    #[schema(value_type = String, example = "r1")]
    partner: Id<PartnerId>,
    /// In words, for the history.
    reason: String,
}

/// A card or other identifier for a member.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BindBody {
    /// `card`, `phone`, `qr`, `nfc` or `track`.
    #[schema(value_type = String, example = "card")]
    kind: IdentifierKind,
    /// As printed or told.
    value: String,
    /// `standard`, `employee`, `pensioner` or `virtual`; for cards.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "standard")]
    card_kind: CardKind,
    /// Tag of the card that it takes the place of.
    replaces: Option<String>,
}

/// Part of a list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryQuery {
    before: Option<String>,
    limit: Option<usize>,
}

/// Find a member by what they show
#[utoipa::path(post, path = "/v1/programmes/{programme}/members/find", tag = "members", security(("session" = [])),
    params(("programme" = String, Path)), request_body = FindBody,
    responses((status = 200, body = MemberView)))]
pub async fn find(
    State(state): State<ApiState>,
    ApiPath(Id(programme)): ApiPath<Id<ProgrammeId>>,
    ApiJson(body): ApiJson<FindBody>,
) -> Answer<MemberView> {
    let seen = members::find(&state.hub, programme, body.kind, &body.value).await?;
    Ok(ApiJson(MemberView::from(&seen)))
}

/// One member
#[utoipa::path(get, path = "/v1/programmes/{programme}/members/{member}", tag = "members", security(("session" = [])),
    params(("programme" = String, Path), ("member" = String, Path)),
    responses((status = 200, body = MemberView)))]
pub async fn show(
    State(state): State<ApiState>,
    ApiPath(path): ApiPath<(Id<ProgrammeId>, Id<MemberId>)>,
) -> Answer<MemberView> {
    let (Id(programme), Id(member)) = path;
    let seen = members::one(&state.hub, programme, member).await?;
    Ok(ApiJson(MemberView::from(&seen)))
}

/// Open a member's questionnaire; the audit notes it
#[utoipa::path(get, path = "/v1/programmes/{programme}/members/{member}/profile", tag = "members",
    security(("session" = [])), params(("programme" = String, Path), ("member" = String, Path)),
    responses((status = 200, body = ProfileView)))]
pub async fn profile(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(path): ApiPath<(Id<ProgrammeId>, Id<MemberId>)>,
) -> Answer<ProfileView> {
    let (Id(programme), Id(member)) = path;
    let opened = profile::open(&state.hub, &caller.actor(), programme, member).await?;
    Ok(ApiJson(ProfileView::from(opened)))
}

/// Erase a member's personal data for good
///
/// Names, phone, mail, birth date and tokens are gone at the hub, and at each store once it hears of it. Cards, points
/// and history stay. Repeating it changes nothing.
#[utoipa::path(delete, path = "/v1/programmes/{programme}/members/{member}/profile", tag = "members",
    security(("session" = [])), params(("programme" = String, Path), ("member" = String, Path)),
    responses((status = 204, description = "They are erased")))]
pub async fn erase_profile(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(path): ApiPath<(Id<ProgrammeId>, Id<MemberId>)>,
) -> Result<StatusCode, Problem> {
    let (Id(programme), Id(member)) = path;
    erase::erase(&state.hub, &caller.actor(), programme, member).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What happened to a member, newest first
#[utoipa::path(get, path = "/v1/programmes/{programme}/members/{member}/operations", tag = "members",
    security(("session" = [])),
    params(("programme" = String, Path), ("member" = String, Path),
        ("before" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<usize>, Query, description = "1 to 200")),
    responses((status = 200, body = PageView<OperationView>)))]
pub async fn operations(
    State(state): State<ApiState>,
    ApiPath(path): ApiPath<(Id<ProgrammeId>, Id<MemberId>)>,
    ApiQuery(query): ApiQuery<HistoryQuery>,
) -> Answer<PageView<OperationView>> {
    let (Id(programme), Id(member)) = path;
    let before = query
        .before
        .as_deref()
        .map(str::parse::<Cursor>)
        .transpose()?;
    let limit = query.limit.unwrap_or(PAGE_USUAL);
    let page = history::history(&state.hub, programme, member, before, limit).await?;
    Ok(ApiJson(history_view(&page)))
}

/// Credit or write off points
#[utoipa::path(post, path = "/v1/programmes/{programme}/members/{member}/adjustments", tag = "members",
    security(("session" = [])),
    params(("programme" = String, Path), ("member" = String, Path), ("Idempotency-Key" = String, Header)),
    request_body = AdjustBody, responses((status = 201, body = AdjustedView)))]
pub async fn adjust(
    State(state): State<ApiState>,
    caller: Caller,
    IdempotencyKey(idempotency_key): IdempotencyKey,
    ApiPath(path): ApiPath<(Id<ProgrammeId>, Id<MemberId>)>,
    ApiJson(body): ApiJson<AdjustBody>,
) -> Created<AdjustedView> {
    let (Id(programme), Id(member)) = path;
    let wish = Wish {
        account: body.account.0,
        amount: Minor(body.amount_minor),
        partner: body.partner.0,
        reason: body.reason,
        idempotency_key,
    };
    let made = adjust::adjust(&state.hub, &caller.actor(), programme, member, &wish).await?;
    Ok(created(AdjustedView::from(made)))
}

/// Give a member a card or another identifier
#[utoipa::path(post, path = "/v1/programmes/{programme}/members/{member}/cards", tag = "members",
    security(("session" = [])), params(("programme" = String, Path), ("member" = String, Path)),
    request_body = BindBody, responses((status = 204, description = "They have it")))]
pub async fn bind(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(path): ApiPath<(Id<ProgrammeId>, Id<MemberId>)>,
    ApiJson(body): ApiJson<BindBody>,
) -> Result<StatusCode, Problem> {
    let (Id(programme), Id(member)) = path;
    let replaces = body.replaces.as_deref().map(parse_tag).transpose()?;
    let BindBody {
        kind,
        value,
        card_kind,
        ..
    } = body;
    let new = NewIdentifier {
        kind,
        value,
        card_kind,
        replaces,
    };
    bind::bind(&state.hub, &caller.actor(), programme, member, &new).await?;
    Ok(StatusCode::NO_CONTENT)
}
