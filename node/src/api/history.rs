//! What this store recorded about a member.

use axum::extract::State;
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::{AccountTakes, Body, Credit};
use kopilka_shell::problem::{ApiJson, ApiPath, ApiQuery, Problem};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::{App, AppError, HistoryEntry};

use super::json::{ReceiptJson, id, invalid, time_text};
use super::till::Till;

/// Operations on a page when the query names no number.
const PAGE_DEFAULT: usize = 50;
/// Bytes of a cursor: an incarnation and a sequence.
const CURSOR_BYTES: usize = 12;

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
pub(super) struct PageQuery {
    /// As the page before gave it.
    cursor: Option<String>,
    /// At most 200.
    limit: Option<usize>,
}

/// A page of operations, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OperationsJson {
    /// The operations.
    items: Vec<OperationJson>,
    /// For the next page; none: this is the last.
    next_cursor: Option<String>,
}

/// An operation.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OperationJson {
    /// Which.
    operation_id: String,
    /// Such as purchase, return, enrol.
    kind: &'static str,
    /// When.
    at: String,
    /// The receipt of a purchase.
    receipt: Option<ReceiptJson>,
    /// The purchase that a cancel or return is about.
    purchase_operation_id: Option<String>,
    /// Points credited.
    credited: i64,
    /// Points redeemed or written off; below 0: given back.
    taken: i64,
    /// Earned points taken back.
    withdrawn: i64,
    /// Money paid; below 0: handed back.
    paid: i64,
}

/// What this store recorded about a member
///
/// The node holds operations of its own store for the return period; the whole history is at the hub.
#[utoipa::path(get, path = "/v1/members/{member_id}/operations", tag = "members", security(("till" = [])),
    params(("member_id" = String, Path, description = "The member"), PageQuery),
    responses((status = 200, body = OperationsJson), (status = 422, body = Problem)))]
pub(super) async fn operations(
    State(app): State<App>,
    _till: Till,
    ApiPath(member): ApiPath<String>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<ApiJson<OperationsJson>, Problem> {
    let member = id("member_id", &member)?;
    let after = page.cursor.as_deref().map(parse_cursor).transpose()?;
    let limit = page.limit.unwrap_or(PAGE_DEFAULT);
    let (entries, next) = app.history(member, after.as_deref(), limit)?;
    let zone = app.directory()?.zone.clone();
    let items = entries.iter().map(|entry| {
        let at = time_text(&zone, entry.stamp.ms());
        operation_json(entry, at)
    });
    Ok(ApiJson(OperationsJson {
        items: items.collect::<Result<_, _>>()?,
        next_cursor: next.map(|bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
    }))
}

fn parse_cursor(text: &str) -> Result<Vec<u8>, Problem> {
    let wrong = || invalid("cursor", "is not one that this interface gave");
    if text.len() != CURSOR_BYTES * 2 || !text.is_ascii() {
        return Err(wrong());
    }
    (0..CURSOR_BYTES)
        .map(|index| u8::from_str_radix(&text[index * 2..index * 2 + 2], 16).map_err(|_| wrong()))
        .collect()
}

fn credits(credits: &[Credit]) -> Result<i64, AppError> {
    Ok(Minor::sum(credits.iter().map(|credit| credit.amount))?.0)
}

fn takes<'a>(takes: impl IntoIterator<Item = &'a AccountTakes>) -> Result<i64, AppError> {
    let takes = takes.into_iter().flat_map(|taken| &taken.takes);
    Ok(Minor::sum(takes.map(|take| take.amount))?.0)
}

fn operation_json(entry: &HistoryEntry, at: String) -> Result<OperationJson, AppError> {
    let mut json = OperationJson {
        operation_id: entry.id.to_string(),
        kind: entry.body.kind(),
        at,
        receipt: None,
        purchase_operation_id: None,
        credited: 0,
        taken: 0,
        withdrawn: 0,
        paid: 0,
    };
    match &entry.body {
        Body::Enrol(body) => json.credited = credits(&body.credits)?,
        Body::Purchase(body) => {
            json.receipt = Some(body.receipt.into());
            json.credited = credits(&body.earned)?;
            json.taken = takes(&body.redeemed)?;
            json.paid = body.counted.0;
        }
        Body::Cancel(body) | Body::Return(body) => {
            json.purchase_operation_id = Some(body.purchase.to_string());
            json.taken = -takes(&body.restored)?;
            json.withdrawn = takes(&body.withdrawn)?;
            json.paid = -body.refund.0;
        }
        Body::Adjust(body) => {
            json.credited = credits(&body.credits)?;
            json.taken = takes(&body.taken)?;
        }
        Body::Charge(body) => {
            json.receipt = Some(body.receipt.into());
            json.taken = takes(&body.taken)?;
        }
        Body::Refund(body) => json.taken = -takes(&body.restored)?,
        Body::Bind(_)
        | Body::CardState(_)
        | Body::Gift(_)
        | Body::Profile(_)
        | Body::Consent(_)
        | Body::AllowanceReturn(_)
        | Body::ClockMark(_)
        | Body::IncarnationMark(_)
        | Body::Tag(_) => {}
    }
    Ok(json)
}
