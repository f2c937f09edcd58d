//! Cancels and returns.

use std::collections::BTreeMap;

use axum::extract::State;
use kopilka_crdt::ids::AccountId;
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::{AccountTakes, Credit, RECEIPT_LINES_MAX, ReturnedLine};
use kopilka_crdt::rulebook::RuleBook;
use kopilka_rules::reversal::kept_back;
use kopilka_shell::problem::{ApiJson, ApiPath, Problem};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::{Action, App, AppError, Outcome, PurchaseRef, Told};

use super::json::{BalanceJson, ReceiptBody, balances, id, invalid, quantity};
use super::purchases::CashierBody;
use super::till::{Write, signed};

/// Part of a line.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReturnedLineJson {
    /// 0-based index of the line in the purchase.
    line: u16,
    /// How much of it.
    #[schema(example = "1")]
    quantity: String,
}

/// Goods that come back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReturnBody {
    /// Who serves.
    #[schema(example = "c7")]
    cashier: String,
    /// The purchase; or its receipt or operation.
    purchase_id: Option<String>,
    /// The receipt, also of another store; or its purchase or operation.
    receipt: Option<ReceiptBody>,
    /// The operation, as the member's list of purchases has it; or its purchase or receipt.
    operation_id: Option<String>,
    /// What comes back; all that is left when not given.
    lines: Option<Vec<ReturnedLineJson>>,
}

signed!(ReturnBody);

/// What was taken back.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReversalJson {
    /// The signed operation.
    operation_id: String,
    /// The purchase.
    purchase_id: String,
    /// Who had bought.
    member_id: String,
    /// What came back.
    lines: Vec<ReturnedLineJson>,
    /// Money to hand back, minor units.
    refund: i64,
    /// By how much the refund is lower than what was paid, because points that the goods earned are spent.
    kept_back: i64,
    /// Spent points that the member has again in their lots.
    restored: i64,
    /// Spent points given anew, because their lots have run out or would soon.
    renewed: i64,
    /// Earned points taken back.
    withdrawn: i64,
    /// Nothing of the purchase is left.
    whole: bool,
    /// Gifts that are taken back, by code.
    gifts: BTreeMap<String, u32>,
    /// What the member has after it.
    balances: Vec<BalanceJson>,
}

/// Take a confirmed sale back before the goods leave
#[utoipa::path(post, path = "/v1/purchases/{purchase_id}/cancel", tag = "sales", request_body = CashierBody, security(("till" = [])),
    params(("purchase_id" = String, Path, description = "As the authorisation gave it"), ("Idempotency-Key" = String, Header, description = "Names this request")),
    responses((status = 200, body = ReversalJson), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn cancel(
    State(app): State<App>,
    ApiPath(purchase): ApiPath<String>,
    request: Write<CashierBody>,
) -> Result<ApiJson<ReversalJson>, Problem> {
    let name = PurchaseRef::Id(id("purchase_id", &purchase)?);
    let outcome = app.write(request.call, Action::Cancel(name)).await?;
    reversal_json(&app, outcome)
}

/// Take goods back
///
/// Refund and points come from the shares stored at the sale; nothing is priced again. A purchase of another store is
/// asked of the hub.
#[utoipa::path(post, path = "/v1/returns", tag = "sales", request_body = ReturnBody, security(("till" = [])),
    params(("Idempotency-Key" = String, Header, description = "Names this request")),
    responses((status = 200, body = ReversalJson), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn take_back(
    State(app): State<App>,
    request: Write<ReturnBody>,
) -> Result<ApiJson<ReversalJson>, Problem> {
    let Write { call, body } = request;
    let name = match (&body.purchase_id, &body.receipt, &body.operation_id) {
        (Some(purchase), None, None) => PurchaseRef::Id(id("purchase_id", purchase)?),
        (None, Some(receipt), None) => PurchaseRef::Receipt(receipt.key(&app, call.till)?),
        (None, None, Some(operation)) => PurchaseRef::Operation(id("operation_id", operation)?),
        _ => {
            return Err(invalid(
                "purchase_id",
                "or `receipt` or `operation_id` must be given, one of them",
            ));
        }
    };
    let lines = body.lines.map(returned_lines).transpose()?;
    let action = Action::Return(name, lines, Told::Nothing);
    let outcome = app.write(call, action).await?;
    reversal_json(&app, outcome)
}

fn returned_lines(lines: Vec<ReturnedLineJson>) -> Result<Vec<ReturnedLine>, Problem> {
    if lines.len() > RECEIPT_LINES_MAX {
        return Err(invalid("lines", "are at most 1,000"));
    }
    let returned = |line: ReturnedLineJson| {
        let quantity = quantity("quantity", &line.quantity)?;
        Ok(ReturnedLine {
            line: line.line,
            quantity,
        })
    };
    lines.into_iter().map(returned).collect()
}

/// Sums of points; coupons, which are counted in accounts too, left out.
struct Points<'a>(&'a RuleBook);

impl Points<'_> {
    fn are_in(&self, account: AccountId) -> bool {
        let mut series = self.0.coupons.values();
        !series.any(|series| series.account == account)
    }

    fn taken(&self, taken: &[AccountTakes]) -> Result<i64, AppError> {
        let own = taken.iter().filter(|taken| self.are_in(taken.account));
        let takes = own.flat_map(|taken| &taken.takes);
        Ok(Minor::sum(takes.map(|take| take.amount))?.0)
    }

    fn credited(&self, credits: &[Credit]) -> Result<i64, AppError> {
        let own = credits.iter().filter(|credit| self.are_in(credit.account));
        Ok(Minor::sum(own.map(|credit| credit.amount))?.0)
    }
}

fn reversal_json(app: &App, outcome: Outcome) -> Result<ApiJson<ReversalJson>, Problem> {
    let reversed = match outcome {
        Outcome::Reversed(reversed) => *reversed,
        Outcome::Sale(_)
        | Outcome::Enrolled { .. }
        | Outcome::Recorded { .. }
        | Outcome::GiftCard(_) => return Err(Problem::internal()),
    };
    let reversal = &reversed.reversal;
    let rules = app.rules()?;
    let points = Points(rules.programme.rules());
    let line = |line: &ReturnedLine| ReturnedLineJson {
        line: line.line,
        quantity: line.quantity.to_string(),
    };
    Ok(ApiJson(ReversalJson {
        operation_id: reversed.operation.to_string(),
        purchase_id: reversed.purchase.to_string(),
        member_id: reversal.member.to_string(),
        lines: reversal.lines.iter().map(line).collect(),
        refund: reversal.refund.0,
        kept_back: kept_back(reversal).map_err(AppError::from)?.0,
        restored: points.taken(&reversal.restored)?,
        renewed: points.credited(&reversal.renewed)?,
        withdrawn: points.taken(&reversal.withdrawn)?,
        whole: reversal.whole,
        gifts: reversal.gifts.clone(),
        balances: balances(app, &reversed.balances)?,
    }))
}
