//! Quotes and sales.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use kopilka_crdt::money::Minor;
use kopilka_shell::problem::{ApiJson, ApiPath, Problem};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::{
    Action, App, AppError, Basket, HubAnswers, Outcome, PurchaseId, PurchaseRef, Sale, SaleOutcome,
    SaleState,
};

use super::json::{
    BalanceJson, ReceiptBody, ReceiptJson, TextJson, balances, card_text, id, parse_card,
    rung_text, time_text,
};
use super::members::NextTierJson;
use super::promotions::{self, GiftGoodsJson, MessageJson, PromotionJson};
use super::receipt::{
    LineBody, LineJson, RewardBody, TenderBody, WishBody, line_json, promo_codes, receipt_lines,
    rewards, shown_coupons, tenders, wishes,
};
use super::spending::{self, CouponUseJson, CouponsJson, PaidJson, PaymentJson, RewardJson};
use super::till::{Till, Write, signed};

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
    /// Coupons shown: a series for one of the member's own, or the number on a bearer's coupon. At most 16.
    #[serde(default)]
    #[schema(example = json!(["coffee"]))]
    coupons: Vec<String>,
    /// Rewards that the member takes for points. At most 16.
    #[serde(default)]
    rewards: Vec<RewardBody>,
    /// Points to redeem, minor units.
    redeem: Option<i64>,
    /// Redeem as much as may be.
    redeem_most: Option<bool>,
    /// What other accounts are to pay, by their codes: minor units, or `most`.
    #[serde(default)]
    redeem_from: BTreeMap<String, WishBody>,
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
    /// Coupons shown: a series for one of the member's own, or the number on a bearer's coupon. At most 16.
    #[serde(default)]
    #[schema(example = json!(["coffee"]))]
    coupons: Vec<String>,
    /// Rewards that the member takes for points. At most 16.
    #[serde(default)]
    rewards: Vec<RewardBody>,
    /// Points to redeem, minor units.
    redeem: Option<i64>,
    /// Redeem as much as may be.
    redeem_most: Option<bool>,
    /// What other accounts are to pay, by their codes: minor units, or `most`.
    #[serde(default)]
    redeem_from: BTreeMap<String, WishBody>,
    /// Whether to confirm at once.
    #[serde(default)]
    confirm: bool,
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
    /// Points redeemed, from all accounts.
    redeemed: i64,
    /// What accounts pay beside the one that usually does, and may pay.
    payments: Vec<PaymentJson>,
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
    /// The coupons shown that something was given for.
    coupons_used: Vec<CouponUseJson>,
    /// The rewards that are given, with what they cost beside the points redeemed.
    rewards: Vec<RewardJson>,
    /// Gifts that are credited to the member, by code.
    gifts_credited: BTreeMap<String, u32>,
    /// Badges that are awarded.
    badges: Vec<String>,
    /// Coupons that the member gets for the receipt.
    coupons_issued: Vec<CouponsJson>,
    /// Coupons of the member's own that may be used today.
    coupons_available: Vec<CouponsJson>,
    /// The tier above the member's, before this receipt.
    next_tier: Option<NextTierJson>,
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
    /// Points redeemed, from all accounts.
    redeemed: i64,
    /// What accounts paid beside the one that usually does.
    payments: Vec<PaidJson>,
    /// The coupons that were used: one entry for each.
    coupons_used: Vec<CouponUseJson>,
    /// The rewards that were given, with what they cost beside the points redeemed.
    rewards: Vec<RewardJson>,
    /// Gifts credited to the member, by code.
    gifts_credited: BTreeMap<String, u32>,
    /// Badges awarded.
    badges: Vec<String>,
    /// Coupons that the member gets for the receipt.
    coupons_issued: Vec<CouponsJson>,
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
    app.check_card(member, card)?;
    let basket = Basket {
        card,
        lines: receipt_lines(body.lines)?,
        tenders: tenders(&body.tenders)?,
        codes: promo_codes(body.promo_codes)?,
        coupons: shown_coupons(&app, &body.coupons).await?,
        rewards: rewards(&body.rewards)?,
        wishes: wishes(&app, (body.redeem, body.redeem_most), &body.redeem_from)?,
    };
    let quote = app.quote(member, &basket)?;
    let rules = app.rules()?;
    let book = rules.programme.rules();
    let today = app.moment()?.today();
    let issued = quote
        .issued_credits(&rules.programme, today)
        .map_err(AppError::from)?;
    Ok(ApiJson(QuoteJson {
        publication: rules.programme.number(),
        total: quote.total.0,
        redeemable: quote.redeemable.0,
        redeemable_now: quote.redeemable_now.0,
        redeemed: quote.redeemed_sum().0,
        payments: spending::quoted_payments(book, &quote),
        to_pay: quote.to_pay.0,
        earned: quote.earned_sum().0,
        promotions: promotions::explained(book, &quote),
        coupons_used: spending::quoted_coupons(&quote),
        rewards: spending::quoted_rewards(&quote),
        gifts_credited: promotions::gifts_credited(&quote),
        badges: promotions::badges(&quote),
        coupons_issued: spending::issued(book, &issued),
        coupons_available: spending::available(book, &app.coupons(member)?),
        next_tier: NextTierJson::of(app.member(member)?.tier_next),
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
            coupons: shown_coupons(&app, &body.coupons).await?,
            rewards: rewards(&body.rewards)?,
            wishes: wishes(&app, (body.redeem, body.redeem_most), &body.redeem_from)?,
        },
        online: false,
        confirm: body.confirm,
    };
    let action = Action::Authorise(sale, HubAnswers::default());
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
    let rules = app.rules()?;
    let book = rules.programme.rules();
    let coupons_used = spending::used_coupons(book, &sale.record);
    let came_back = sale.record.came_back();
    let purchase = sale.record.purchase;
    let promoted = purchase.promoted.unwrap_or_default();
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
        promotions: promoted
            .applied
            .iter()
            .map(|applied| applied.promotion.to_string())
            .collect(),
        payments: spending::paid(book, &promoted),
        coupons_used,
        rewards: spending::rewarded(book, &promoted),
        coupons_issued: spending::issued(book, &promoted.issued),
        gifts_credited: promoted.gifts,
        badges: promoted.badges.into_iter().collect(),
        total: total.0,
        redeemed: total.0 - to_pay.0,
        to_pay: to_pay.0,
        earned: Minor::sum(earned).map_err(AppError::from)?.0,
        rung: purchase
            .authority
            .map(|authority| rung_text(authority.rung)),
        lines: line_json(&purchase.lines, &came_back)?,
        balances: balances(app, &sale.balances)?,
        message: sale.message.into(),
    })
}
