//! Gift cards: what is on one, selling and topping up, paying and paying back.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use kopilka_crdt::card::CardState;
use kopilka_rules::redemption::HubAnswer;
use kopilka_shell::problem::{ApiJson, ApiPath, Problem};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::{
    Action, App, Balance, GiftCardLoad, GiftCardPayment, GiftCardRefund, Outcome, PaymentId,
};

use super::cards::card_number;
use super::json::{BalanceJson, ReceiptBody, balances, id, positive, rung_text};
use super::till::{Till, Write, signed};

/// Names a gift card.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GiftCardBody {
    /// The card's number, with its check digit.
    #[schema(example = "79927398713")]
    number: String,
}

/// Money for a gift card.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LoadBody {
    /// Who serves.
    #[schema(example = "c7")]
    cashier: String,
    /// The card's number, with its check digit.
    number: String,
    /// How much was paid for it, minor units.
    amount: i64,
}

/// A payment by gift card.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PaymentBody {
    /// Who serves.
    #[schema(example = "c7")]
    cashier: String,
    /// The card's number, with its check digit.
    number: String,
    /// What is to be paid, minor units.
    amount: i64,
    /// Pay what may be had now, if that is less; the answer says how much it was.
    #[serde(default)]
    partial: bool,
    /// The receipt that it pays for.
    receipt: ReceiptBody,
}

/// A payment that goes back to its card.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RefundBody {
    /// Who serves.
    #[schema(example = "c7")]
    cashier: String,
    /// How much of it, minor units; all that has not gone back yet when not given.
    amount: Option<i64>,
}

signed!(LoadBody, PaymentBody, RefundBody);

/// A gift card as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GiftCardJson {
    /// Its last four digits.
    #[schema(example = "8713")]
    tail: String,
    /// issued (not sold yet), active, replaced or closed.
    #[schema(value_type = String, example = "active")]
    state: CardState,
    /// Whether head office blocked it.
    blocked: bool,
    /// What is on it.
    balance: BalanceJson,
}

/// What moved on a gift card.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GiftCardMoveJson {
    /// The signed operation.
    operation_id: String,
    /// Of a payment: its name for refunds.
    payment_id: Option<String>,
    /// Put on, paid, or given back, minor units.
    amount: i64,
    /// What a payment stood on: hub or allowance.
    #[schema(example = "hub")]
    rung: Option<&'static str>,
    /// What is on the card after it.
    balance: BalanceJson,
}

/// What is on a gift card?
///
/// The number goes in the body, so that no log of requests has it.
#[utoipa::path(post, path = "/v1/gift-cards/find", tag = "gift cards", request_body = GiftCardBody, security(("till" = [])),
    responses((status = 200, body = GiftCardJson), (status = 404, body = Problem), (status = 409, body = Problem, description = "Not a gift card"), (status = 422, body = Problem)))]
pub(super) async fn find(
    State(app): State<App>,
    _till: Till,
    ApiJson(body): ApiJson<GiftCardBody>,
) -> Result<ApiJson<GiftCardJson>, Problem> {
    let found = app.gift_card(&card_number(&body.number)?).await?;
    Ok(ApiJson(GiftCardJson {
        tail: format!("{:04}", found.card.tail),
        state: found.card.state,
        blocked: found.blocked,
        balance: balance(&app, &found.balance)?,
    }))
}

/// Sell a gift card
///
/// It is active at once, and this store may take what is on it also without the hub.
#[utoipa::path(post, path = "/v1/gift-cards/sales", tag = "gift cards", request_body = LoadBody, security(("till" = [])),
    params(("Idempotency-Key" = String, Header, description = "Names this request")),
    responses((status = 201, body = GiftCardMoveJson), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn sell(
    State(app): State<App>,
    request: Write<LoadBody>,
) -> Result<Response, Problem> {
    load(&app, request, true).await
}

/// Put more money on a gift card
#[utoipa::path(post, path = "/v1/gift-cards/top-ups", tag = "gift cards", request_body = LoadBody, security(("till" = [])),
    params(("Idempotency-Key" = String, Header, description = "Names this request")),
    responses((status = 201, body = GiftCardMoveJson), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn top_up(
    State(app): State<App>,
    request: Write<LoadBody>,
) -> Result<Response, Problem> {
    load(&app, request, false).await
}

/// Pay with a gift card
///
/// The till pays first, and then names the tender `gift_card` in the sale. A payment whose sale does not happen is to be
/// refunded.
#[utoipa::path(post, path = "/v1/gift-cards/payments", tag = "gift cards", request_body = PaymentBody, security(("till" = [])),
    params(("Idempotency-Key" = String, Header, description = "Names this request")),
    responses((status = 201, body = GiftCardMoveJson), (status = 404, body = Problem), (status = 409, body = Problem, description = "Refused, with the reason for the cashier"), (status = 422, body = Problem)))]
pub(super) async fn pay(
    State(app): State<App>,
    request: Write<PaymentBody>,
) -> Result<Response, Problem> {
    let Write { call, body } = request;
    let card = app.gift_card(&card_number(&body.number)?).await?;
    let payment = GiftCardPayment {
        record: card.record,
        card: card.tag,
        amount: positive("amount", body.amount)?,
        partial: body.partial,
        receipt: body.receipt.key(&app, call.till)?,
    };
    let action = Action::PayByGiftCard(payment, HubAnswer::Unreachable);
    created(&app, app.write(call, action).await?)
}

/// Give a payment back to its gift card, whole or in part
///
/// At the store that took the payment, within the return period; never more than was paid.
#[utoipa::path(post, path = "/v1/gift-cards/payments/{payment_id}/refunds", tag = "gift cards", request_body = RefundBody, security(("till" = [])),
    params(("payment_id" = String, Path, description = "As the payment gave it"), ("Idempotency-Key" = String, Header, description = "Names this request")),
    responses((status = 201, body = GiftCardMoveJson), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn refund(
    State(app): State<App>,
    ApiPath(payment): ApiPath<String>,
    request: Write<RefundBody>,
) -> Result<Response, Problem> {
    let Write { call, body } = request;
    let amount = body.amount.map(|amount| positive("amount", amount));
    let refund = GiftCardRefund {
        payment: id::<PaymentId>("payment_id", &payment)?,
        amount: amount.transpose()?,
    };
    created(&app, app.write(call, Action::RefundGiftCard(refund)).await?)
}

async fn load(app: &App, request: Write<LoadBody>, is_sale: bool) -> Result<Response, Problem> {
    let Write { call, body } = request;
    let card = app.gift_card(&card_number(&body.number)?).await?;
    let load = GiftCardLoad {
        record: card.record,
        card: card.tag,
        amount: positive("amount", body.amount)?,
        is_sale,
    };
    created(app, app.write(call, Action::LoadGiftCard(load)).await?)
}

fn created(app: &App, outcome: Outcome) -> Result<Response, Problem> {
    let moved = match outcome {
        Outcome::GiftCard(moved) => *moved,
        Outcome::Sale(_)
        | Outcome::Reversed(_)
        | Outcome::Enrolled { .. }
        | Outcome::Recorded { .. } => return Err(Problem::internal()),
    };
    let payment = PaymentId {
        record: moved.record,
        operation: moved.operation,
    };
    let json = GiftCardMoveJson {
        operation_id: moved.operation.to_string(),
        payment_id: moved.rung.map(|_| payment.to_string()),
        amount: moved.amount.0,
        rung: moved.rung.map(rung_text),
        balance: balance(app, &moved.balance)?,
    };
    Ok((StatusCode::CREATED, ApiJson(json)).into_response())
}

fn balance(app: &App, one: &Balance) -> Result<BalanceJson, Problem> {
    let mut json = balances(app, std::slice::from_ref(one))?;
    json.pop().ok_or_else(Problem::internal)
}
