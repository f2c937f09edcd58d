//! Quotes and sales.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::{
    CODE_BYTES_MAX, PurchaseLine, RECEIPT_LINES_MAX, Tender, TenderKind,
};
use kopilka_rules::pricing::{ReceiptLine, Wish};
use kopilka_rules::redemption::HubAnswer;
use kopilka_shell::problem::{ApiJson, ApiPath, Problem};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::{
    Action, App, AppError, Basket, Outcome, PurchaseId, PurchaseRef, Sale, SaleOutcome, SaleState,
    TENDERS_MAX,
};

use super::json::{
    BalanceJson, ReceiptBody, ReceiptJson, TextJson, balances, card_text, id, invalid, parse_card,
    quantity, rung_text, time_text,
};
use super::promotions::{self, GiftGoodsJson, MessageJson, PromotionJson};
use super::till::{Till, Write, signed};

/// Promo codes on one receipt.
const PROMO_CODES_MAX: usize = 16;

/// A line as rung up.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LineBody {
    /// The article.
    #[schema(example = "4601234567890")]
    sku: String,
    /// Its product group.
    group: Option<String>,
    /// A decimal with at most three places.
    #[schema(example = "0.345")]
    quantity: String,
    /// Price of one unit, minor units.
    unit_price: i64,
    /// What the till took off the line, minor units.
    discount: Option<i64>,
    /// The price below which a unit may not be sold, minor units.
    price_min: Option<i64>,
    /// What else is known of the goods, such as `brand`: promotions may ask for it. At most 16.
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

/// A receipt to price.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct QuoteBody {
    /// Who buys.
    member_id: String,
    /// The card shown, as identify gave it.
    card: Option<String>,
    /// 1 to 1,000 lines.
    lines: Vec<LineBody>,
    /// How it will be paid, as far as that is known: some promotions ask for it.
    #[serde(default)]
    tenders: Vec<TenderBody>,
    /// Promo codes entered.
    #[serde(default)]
    promo_codes: Vec<String>,
    /// Points to redeem, minor units.
    redeem: Option<i64>,
    /// Redeem as much as may be.
    redeem_most: Option<bool>,
}

/// A sale.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PurchaseBody {
    /// Who serves.
    #[schema(example = "c7")]
    cashier: String,
    /// Who buys.
    member_id: String,
    /// The card shown, as identify gave it.
    card: Option<String>,
    /// The receipt; a receipt counts once in the whole chain.
    receipt: ReceiptBody,
    /// 1 to 1,000 lines.
    lines: Vec<LineBody>,
    /// How it is paid, points apart.
    #[serde(default)]
    tenders: Vec<TenderBody>,
    /// Promo codes entered.
    #[serde(default)]
    promo_codes: Vec<String>,
    /// Points to redeem, minor units.
    redeem: Option<i64>,
    /// Redeem as much as may be.
    redeem_most: Option<bool>,
    /// Whether to confirm at once.
    #[serde(default)]
    confirm: bool,
}

/// A means of payment.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TenderBody {
    /// cash, bank_card, fast_payment, gift_card or other.
    #[schema(value_type = String, example = "bank_card")]
    kind: TenderKind,
    /// Paid, minor units.
    amount: i64,
}

/// A write that says no more than who asks.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CashierBody {
    /// Who serves.
    #[schema(example = "c7")]
    cashier: String,
}

signed!(PurchaseBody, CashierBody);

/// A line with its shares.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LineJson {
    /// The article.
    sku: String,
    /// Its product group.
    group: String,
    /// How much of it.
    quantity: String,
    /// Price of one unit.
    unit_price: i64,
    /// Taken off the line.
    discount: i64,
    /// Before points.
    amount: i64,
    /// Points redeemed on it.
    redeemed: i64,
    /// Points earned by it.
    earned: i64,
    /// How much of it has come back.
    returned: String,
}

/// A priced receipt.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct QuoteJson {
    /// The publication that it was priced under.
    publication: u32,
    /// The lines with their shares.
    lines: Vec<LineJson>,
    /// Before points.
    total: i64,
    /// Most that points may pay of it, whatever the balance.
    redeemable: i64,
    /// Most that this member may redeem on it today.
    redeemable_now: i64,
    /// Points redeemed.
    redeemed: i64,
    /// Left to pay.
    to_pay: i64,
    /// Points earned.
    earned: i64,
    /// The promotions that gave something, and those that almost did with the reason.
    promotions: Vec<PromotionJson>,
    /// Goods to hand out at no charge, on top of those bought.
    gifts: Vec<GiftGoodsJson>,
    /// Texts of promotions, for the cashier or the receipt.
    messages: Vec<MessageJson>,
}

/// A sale at this node.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PurchaseJson {
    /// Its name here.
    purchase_id: String,
    /// held, lapsed, voided or confirmed.
    #[schema(example = "confirmed")]
    state: &'static str,
    /// When a held sale will be voided.
    held_until: Option<String>,
    /// The signed operation.
    operation_id: Option<String>,
    /// When it was confirmed.
    confirmed_at: Option<String>,
    /// Who bought.
    member_id: String,
    /// The card shown.
    card: Option<String>,
    /// The receipt.
    receipt: ReceiptJson,
    /// The publication that it was priced under.
    publication: u32,
    /// The lines with their shares.
    lines: Vec<LineJson>,
    /// The promotions that gave something.
    #[schema(example = json!(["x12"]))]
    promotions: Vec<String>,
    /// Before points.
    total: i64,
    /// Points redeemed.
    redeemed: i64,
    /// Left to pay.
    to_pay: i64,
    /// Points earned.
    earned: i64,
    /// What the redemption stood on: hub or allowance.
    #[schema(example = "hub")]
    rung: Option<&'static str>,
    /// What the member has after it.
    balances: Vec<BalanceJson>,
    /// For the receipt.
    message: TextJson,
}

/// Price a receipt
#[utoipa::path(post, path = "/v1/quotes", tag = "sales", request_body = QuoteBody, security(("till" = [])),
    responses((status = 200, body = QuoteJson), (status = 409, body = Problem, description = "The card is blocked, or the points are too many"), (status = 422, body = Problem)))]
pub(super) async fn quote(
    State(app): State<App>,
    _till: Till,
    ApiJson(body): ApiJson<QuoteBody>,
) -> Result<ApiJson<QuoteJson>, Problem> {
    let member = id("member_id", &body.member_id)?;
    let card = body
        .card
        .as_deref()
        .map(|text| parse_card("card", text))
        .transpose()?;
    let basket = Basket {
        card,
        lines: receipt_lines(body.lines)?,
        tenders: tenders(&body.tenders)?,
        codes: promo_codes(body.promo_codes)?,
        wish: wish(body.redeem, body.redeem_most)?,
    };
    app.check_card(member, card)?;
    let quote = app.quote(member, &basket)?;
    let rules = app.rules()?;
    Ok(ApiJson(QuoteJson {
        publication: rules.programme.number(),
        total: quote.total.0,
        redeemable: quote.redeemable.0,
        redeemable_now: quote.redeemable_now.0,
        redeemed: quote.redeemed.0,
        to_pay: quote.to_pay.0,
        earned: quote.earned_sum().0,
        promotions: promotions::explained(rules.programme.rules(), &quote),
        gifts: promotions::gifts(&quote),
        messages: promotions::messages(&quote),
        lines: line_json(&quote.lines, &[])?,
    }))
}

/// Authorise a sale, and confirm it at once if asked
#[utoipa::path(post, path = "/v1/purchases", tag = "sales", request_body = PurchaseBody, security(("till" = [])),
    params(("Idempotency-Key" = String, Header, description = "Names this request; 1 to 128 characters")),
    responses((status = 201, body = PurchaseJson), (status = 409, body = Problem, description = "Refused, with the reason for the cashier"), (status = 422, body = Problem), (status = 507, body = Problem)))]
pub(super) async fn authorise(
    State(app): State<App>,
    request: Write<PurchaseBody>,
) -> Result<Response, Problem> {
    let Write { call, body } = request;
    let card = body.card.as_deref();
    let sale = Sale {
        member: id("member_id", &body.member_id)?,
        receipt: body.receipt.key(&app, call.till)?,
        basket: Basket {
            card: card.map(|text| parse_card("card", text)).transpose()?,
            lines: receipt_lines(body.lines)?,
            tenders: tenders(&body.tenders)?,
            codes: promo_codes(body.promo_codes)?,
            wish: wish(body.redeem, body.redeem_most)?,
        },
        online: false,
        confirm: body.confirm,
    };
    let action = Action::Authorise(sale, HubAnswer::Unreachable);
    let outcome = app.write(call, action).await?;
    let json = sale_outcome(&app, outcome)?;
    Ok((StatusCode::CREATED, ApiJson(json)).into_response())
}

/// A sale as it stands
#[utoipa::path(get, path = "/v1/purchases/{purchase_id}", tag = "sales", security(("till" = [])),
    params(("purchase_id" = String, Path, description = "As the authorisation gave it")),
    responses((status = 200, body = PurchaseJson), (status = 404, body = Problem)))]
pub(super) async fn show(
    State(app): State<App>,
    _till: Till,
    ApiPath(purchase): ApiPath<String>,
) -> Result<ApiJson<PurchaseJson>, Problem> {
    let (id, record) = app.purchase(PurchaseRef::Id(id("purchase_id", &purchase)?))?;
    Ok(ApiJson(purchase_json(&app, app.sale_outcome(id, record)?)?))
}

/// The receipt is printed
///
/// A sale that was not confirmed in time is confirmed all the same: the goods may be gone.
#[utoipa::path(post, path = "/v1/purchases/{purchase_id}/confirm", tag = "sales", request_body = CashierBody, security(("till" = [])),
    params(("purchase_id" = String, Path, description = "As the authorisation gave it"), ("Idempotency-Key" = String, Header, description = "Names this request")),
    responses((status = 200, body = PurchaseJson), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn confirm(
    State(app): State<App>,
    ApiPath(purchase): ApiPath<String>,
    request: Write<CashierBody>,
) -> Result<ApiJson<PurchaseJson>, Problem> {
    let action = Action::Confirm(id::<PurchaseId>("purchase_id", &purchase)?);
    let outcome = app.write(request.call, action).await?;
    Ok(ApiJson(sale_outcome(&app, outcome)?))
}

/// The sale does not happen
#[utoipa::path(post, path = "/v1/purchases/{purchase_id}/void", tag = "sales", request_body = CashierBody, security(("till" = [])),
    params(("purchase_id" = String, Path, description = "As the authorisation gave it"), ("Idempotency-Key" = String, Header, description = "Names this request")),
    responses((status = 200, body = PurchaseJson), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn void(
    State(app): State<App>,
    ApiPath(purchase): ApiPath<String>,
    request: Write<CashierBody>,
) -> Result<ApiJson<PurchaseJson>, Problem> {
    let action = Action::Void(id::<PurchaseId>("purchase_id", &purchase)?);
    let outcome = app.write(request.call, action).await?;
    Ok(ApiJson(sale_outcome(&app, outcome)?))
}

fn wish(redeem: Option<i64>, most: Option<bool>) -> Result<Wish, Problem> {
    match (redeem, most.unwrap_or_default()) {
        (None, false) => Ok(Wish::Nothing),
        (None, true) => Ok(Wish::Most),
        (Some(amount), false) if amount >= 0 => Ok(Wish::Exactly(Minor(amount))),
        (Some(_), _) => Err(invalid(
            "redeem",
            "is 0 or more, and is not given together with `redeem_most`",
        )),
    }
}

fn tenders(tenders: &[TenderBody]) -> Result<Vec<Tender>, Problem> {
    if tenders.len() > TENDERS_MAX || tenders.iter().any(|tender| tender.amount < 0) {
        return Err(invalid("tenders", "are at most 16, none below 0"));
    }
    let tender = |tender: &TenderBody| Tender {
        kind: tender.kind,
        amount: Minor(tender.amount),
    };
    Ok(tenders.iter().map(tender).collect())
}

fn promo_codes(codes: Vec<String>) -> Result<Vec<String>, Problem> {
    let fits = |code: &String| (1..=CODE_BYTES_MAX).contains(&code.len());
    if codes.len() > PROMO_CODES_MAX || !codes.iter().all(fits) {
        return Err(invalid(
            "promo_codes",
            "are at most 16, each of 1 to 64 bytes",
        ));
    }
    Ok(codes)
}

fn receipt_lines(lines: Vec<LineBody>) -> Result<Vec<ReceiptLine>, Problem> {
    if lines.len() > RECEIPT_LINES_MAX {
        return Err(invalid("lines", "are at most 1,000"));
    }
    let mut receipt = Vec::with_capacity(lines.len());
    for line in lines {
        receipt.push(ReceiptLine {
            quantity: quantity("quantity", &line.quantity)?,
            sku: line.sku,
            group: line.group.unwrap_or_default(),
            unit_price: Minor(line.unit_price),
            discount: Minor(line.discount.unwrap_or_default()),
            price_min: line.price_min.map(Minor),
            attributes: line.attributes,
        });
    }
    Ok(receipt)
}

fn line_json(
    lines: &[PurchaseLine],
    returned: &[kopilka_crdt::money::Milli],
) -> Result<Vec<LineJson>, Problem> {
    let mut json = Vec::with_capacity(lines.len());
    for (index, line) in lines.iter().enumerate() {
        json.push(LineJson {
            sku: line.sku.clone(),
            group: line.group.clone(),
            quantity: line.quantity.to_string(),
            unit_price: line.unit_price.0,
            discount: line.discount.0,
            amount: line.amount().map_err(AppError::from)?.0,
            redeemed: line.redeemed.0,
            earned: line.earned.0,
            returned: returned.get(index).copied().unwrap_or_default().to_string(),
        });
    }
    Ok(json)
}

fn sale_outcome(app: &App, outcome: Outcome) -> Result<PurchaseJson, Problem> {
    match outcome {
        Outcome::Sale(sale) => purchase_json(app, *sale),
        Outcome::Reversed(_)
        | Outcome::Enrolled { .. }
        | Outcome::Recorded { .. }
        | Outcome::GiftCard(_) => Err(Problem::internal()),
    }
}

fn purchase_json(app: &App, sale: SaleOutcome) -> Result<PurchaseJson, Problem> {
    let zone = app.directory()?.zone.clone();
    let (total, to_pay) = sale.record.totals().map_err(AppError::from)?;
    let purchase = sale.record.purchase;
    let (state, held_until, confirmed) = match sale.record.state {
        SaleState::Held { until_ms } => ("held", Some(time_text(&zone, until_ms)), None),
        SaleState::Lapsed => ("lapsed", None, None),
        SaleState::Voided => ("voided", None, None),
        SaleState::Confirmed { operation, stamp } => ("confirmed", None, Some((operation, stamp))),
    };
    let earned = purchase.earned.iter().map(|credit| credit.amount);
    Ok(PurchaseJson {
        purchase_id: sale.id.to_string(),
        state,
        held_until,
        operation_id: confirmed.map(|(operation, _)| operation.to_string()),
        confirmed_at: confirmed.map(|(_, stamp)| time_text(&zone, stamp.ms())),
        member_id: purchase.member.to_string(),
        card: purchase.card.map(card_text),
        receipt: purchase.receipt.into(),
        publication: purchase.publication,
        promotions: purchase
            .promoted
            .iter()
            .flat_map(|promoted| &promoted.applied)
            .map(|applied| applied.promotion.to_string())
            .collect(),
        total: total.0,
        redeemed: total.0 - to_pay.0,
        to_pay: to_pay.0,
        earned: Minor::sum(earned).map_err(AppError::from)?.0,
        rung: purchase
            .authority
            .map(|authority| rung_text(authority.rung)),
        lines: line_json(&purchase.lines, &sale.record.returned)?,
        balances: balances(app, &sale.balances)?,
        message: sale.message.into(),
    })
}
