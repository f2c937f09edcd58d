//! Cards: handing them out, activating and closing them.

use axum::extract::State;
use kopilka_crdt::card::{Card, CardKind, CardNumber, CardState};
use kopilka_crdt::identifier::{Identifier, IdentifierError, IdentifierKind};
use kopilka_shell::problem::{ApiJson, ApiPath, Problem};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::{Action, App, AppError, NewIdentifier};

use super::json::{IdentifierBody, id, invalid, parse_card};
use super::members::{RecordedJson, recorded_json};
use super::till::{Write, signed};

/// A card or other identifier for a member.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BindBody {
    /// Who serves.
    #[schema(example = "c7")]
    cashier: String,
    /// What the member will be found by.
    identifier: IdentifierBody,
    /// Of a card: standard, employee, pensioner or virtual.
    #[schema(value_type = Option<String>)]
    kind: Option<CardKind>,
    /// Of a card: handed out now and activated later.
    #[serde(default)]
    inactive: bool,
    /// The card that it takes the place of.
    replaces: Option<String>,
}

/// Names a card by its number.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CardBody {
    /// Who serves.
    #[schema(example = "c7")]
    cashier: String,
    /// The card's number.
    number: String,
}

signed!(BindBody, CardBody);

/// Give a member a card or another identifier, perhaps in place of a card
#[utoipa::path(post, path = "/v1/members/{member_id}/cards", tag = "members", request_body = BindBody, security(("till" = [])),
    params(("member_id" = String, Path, description = "The member"), ("Idempotency-Key" = String, Header, description = "Names this request")),
    responses((status = 200, body = RecordedJson), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn bind(
    State(app): State<App>,
    ApiPath(member): ApiPath<String>,
    request: Write<BindBody>,
) -> Result<ApiJson<RecordedJson>, Problem> {
    let Write { call, body } = request;
    let identifier = body.identifier.parse()?;
    let card = match identifier.kind() {
        IdentifierKind::Card => Some(Card {
            kind: members_kind("kind", body.kind)?,
            tail: card_number(identifier.reveal())?.tail(),
            state: if body.inactive {
                CardState::Issued
            } else {
                CardState::Active
            },
        }),
        IdentifierKind::Phone
        | IdentifierKind::Qr
        | IdentifierKind::Nfc
        | IdentifierKind::Track => None,
    };
    let replaces = body.replaces.as_deref();
    let new = NewIdentifier {
        member: id("member_id", &member)?,
        identifier,
        card,
        replaces: replaces
            .map(|text| parse_card("replaces", text))
            .transpose()?,
    };
    let outcome = app.write(call, Action::Bind(new)).await?;
    recorded_json(&app, outcome).map(ApiJson)
}

/// Activate a card
#[utoipa::path(post, path = "/v1/cards/activate", tag = "members", request_body = CardBody, security(("till" = [])),
    params(("Idempotency-Key" = String, Header, description = "Names this request")),
    responses((status = 200, body = RecordedJson), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn activate(
    State(app): State<App>,
    request: Write<CardBody>,
) -> Result<ApiJson<RecordedJson>, Problem> {
    advance(&app, request, CardState::Active).await
}

/// Close a card for good
#[utoipa::path(post, path = "/v1/cards/close", tag = "members", request_body = CardBody, security(("till" = [])),
    params(("Idempotency-Key" = String, Header, description = "Names this request")),
    responses((status = 200, body = RecordedJson), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn close(
    State(app): State<App>,
    request: Write<CardBody>,
) -> Result<ApiJson<RecordedJson>, Problem> {
    advance(&app, request, CardState::Closed).await
}

async fn advance(
    app: &App,
    request: Write<CardBody>,
    state: CardState,
) -> Result<ApiJson<RecordedJson>, Problem> {
    let number = card_number(&request.body.number)?;
    let owner = app.owner(&Identifier::card(&number)).await?;
    let action = Action::CardState {
        member: owner.member,
        card: owner.card.ok_or(AppError::UnknownCard)?,
        state,
    };
    let outcome = app.write(request.call, action).await?;
    recorded_json(app, outcome).map(ApiJson)
}

/// The kind of a card that a till may give a member.
pub(super) fn members_kind(field: &str, kind: Option<CardKind>) -> Result<CardKind, Problem> {
    let kind = kind.unwrap_or_default();
    if kind.is_bearers() {
        return Err(invalid(
            field,
            "is standard, employee, pensioner or virtual: head office issues gift cards and coupons",
        ));
    }
    Ok(kind)
}

pub(super) fn card_number(text: &str) -> Result<CardNumber, AppError> {
    CardNumber::parse(text).map_err(|error| IdentifierError::Card(error).into())
}
