//! Cancels and returns.

use axum::extract::State;
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::{AccountTakes, RECEIPT_LINES_MAX, ReturnedLine};
use kopilka_shell::problem::{ApiJson, ApiPath, Problem};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::{Action, App, AppError, Outcome, PurchaseRef};

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
    /// The purchase; or its receipt.
    purchase_id: Option<String>,
    /// The receipt; or its purchase.
    receipt: Option<ReceiptBody>,
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
    /// Spent points that the member has again.
    restored: i64,
    /// Earned points taken back.
    withdrawn: i64,
    /// Nothing of the purchase is left.
    whole: bool,
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
/// Refund and points come from the shares stored at the sale; nothing is priced again.
#[utoipa::path(post, path = "/v1/returns", tag = "sales", request_body = ReturnBody, security(("till" = [])),
    params(("Idempotency-Key" = String, Header, description = "Names this request")),
    responses((status = 200, body = ReversalJson), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn take_back(
    State(app): State<App>,
    request: Write<ReturnBody>,
) -> Result<ApiJson<ReversalJson>, Problem> {
    let Write { call, body } = request;
    let name = match (&body.purchase_id, &body.receipt) {
        (Some(purchase), None) => PurchaseRef::Id(id("purchase_id", purchase)?),
        (None, Some(receipt)) => PurchaseRef::Receipt(receipt.key(&app, call.till)?),
        (Some(_), Some(_)) | (None, None) => {
            return Err(invalid(
                "purchase_id",
                "or `receipt` must be given, one of them",
            ));
        }
    };
    let lines = body.lines.map(returned_lines).transpose()?;
    let outcome = app.write(call, Action::Return(name, lines)).await?;
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

fn sum(taken: &[AccountTakes]) -> Result<Minor, AppError> {
    let takes = taken.iter().flat_map(|taken| &taken.takes);
    Ok(Minor::sum(takes.map(|take| take.amount))?)
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
    let (restored, withdrawn) = (sum(&reversal.restored)?, sum(&reversal.withdrawn)?);
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
        restored: restored.0,
        withdrawn: withdrawn.0,
        whole: reversal.whole,
        balances: balances(app, &reversed.balances)?,
    }))
}
