//! What a member bought, so that goods can be taken back without the receipt at hand.

use axum::extract::State;
use kopilka_crdt::money::Milli;
use kopilka_crdt::operation::PurchaseLine;
use kopilka_protocol::message::SoldCursor;
use kopilka_shell::problem::{ApiJson, ApiPath, ApiQuery, Problem};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::{App, AppError, ListCursor, Listed};

use super::json::{ReceiptJson, id, invalid, time_text};
use super::till::Till;

/// Purchases on a page when the query names no number.
const PAGE_DEFAULT: usize = 20;
/// Bytes of a cursor in this node's own list: an incarnation and a sequence.
const OWN_CURSOR_BYTES: usize = 12;

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
pub(super) struct ListQuery {
    /// As the page before gave it.
    cursor: Option<String>,
    /// At most 50.
    limit: Option<usize>,
}

/// A page of purchases, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PurchaseListJson {
    /// The purchases.
    items: Vec<SoldJson>,
    /// For the next page; none: this is the last.
    next_cursor: Option<String>,
    /// Whether purchases at other stores are in the list: only while the hub is in reach.
    other_stores: bool,
}

/// A purchase of which goods may be taken back.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SoldJson {
    /// The signed operation; a return may name it.
    operation_id: String,
    /// Its name at this node; none for one of another store.
    purchase_id: Option<String>,
    /// When it was sold.
    at: String,
    /// Its receipt.
    receipt: ReceiptJson,
    /// Paid with money, minor units.
    paid: i64,
    /// What was sold; the place of a line is its index.
    lines: Vec<SoldLineJson>,
}

/// A line of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SoldLineJson {
    /// The article.
    sku: String,
    /// Its product group.
    group: String,
    /// How much was sold.
    #[schema(example = "2")]
    quantity: String,
    /// Price of one unit, minor units.
    unit_price: i64,
    /// What the line cost before points.
    amount: i64,
    /// How much of it can still come back, as far as it is known here.
    #[schema(example = "1")]
    left: String,
}

/// What a member bought in the return period
///
/// At every store while the hub is in reach, else at this one. A return then names the operation or the receipt.
#[utoipa::path(get, path = "/v1/members/{member_id}/purchases", tag = "members", security(("till" = [])),
    params(("member_id" = String, Path, description = "The member"), ListQuery),
    responses((status = 200, body = PurchaseListJson), (status = 422, body = Problem), (status = 503, body = Problem, description = "The hub began the list and is out of reach")))]
pub(super) async fn purchases(
    State(app): State<App>,
    _till: Till,
    ApiPath(member): ApiPath<String>,
    ApiQuery(page): ApiQuery<ListQuery>,
) -> Result<ApiJson<PurchaseListJson>, Problem> {
    let member = id("member_id", &member)?;
    let after = page.cursor.as_deref().map(parse_cursor).transpose()?;
    let limit = page.limit.unwrap_or(PAGE_DEFAULT);
    let list = app.purchases_of(member, after, limit).await?;
    let zone = app.directory()?.zone.clone();
    let items = list.items.iter().map(|item| {
        let at = time_text(&zone, item.stamp.ms());
        sold_json(item, at)
    });
    Ok(ApiJson(PurchaseListJson {
        items: items.collect::<Result<_, _>>()?,
        next_cursor: list.next.as_ref().map(cursor_text),
        other_stores: list.other_stores,
    }))
}

fn sold_json(item: &Listed, at: String) -> Result<SoldJson, AppError> {
    let lines = item.purchase.lines.iter().zip(&item.returned);
    Ok(SoldJson {
        operation_id: item.operation.to_string(),
        purchase_id: item.id.map(|id| id.to_string()),
        at,
        receipt: item.purchase.receipt.into(),
        paid: item.purchase.counted.0,
        lines: lines
            .map(|(line, back)| line_json(line, *back))
            .collect::<Result<_, _>>()?,
    })
}

fn line_json(line: &PurchaseLine, back: Milli) -> Result<SoldLineJson, AppError> {
    Ok(SoldLineJson {
        sku: line.sku.clone(),
        group: line.group.clone(),
        quantity: line.quantity.to_string(),
        unit_price: line.unit_price.0,
        amount: line.amount()?.0,
        left: Milli(line.quantity.0.saturating_sub(back.0)).to_string(),
    })
}

fn cursor_text(cursor: &ListCursor) -> String {
    match cursor {
        ListCursor::Hub(cursor) => format!("h{}_{}", cursor.taken_in_ms, cursor.operation),
        ListCursor::Own(key) => {
            let digits = key.iter().map(|byte| format!("{byte:02x}"));
            format!("n{}", digits.collect::<String>())
        }
    }
}

fn parse_cursor(text: &str) -> Result<ListCursor, Problem> {
    let wrong = || invalid("cursor", "is not one that this interface gave");
    if let Some(text) = text.strip_prefix('h') {
        let (ms, operation) = text.split_once('_').ok_or_else(wrong)?;
        return Ok(ListCursor::Hub(SoldCursor {
            taken_in_ms: ms.parse().map_err(|_| wrong())?,
            operation: operation.parse().map_err(|_| wrong())?,
        }));
    }
    let digits = text.strip_prefix('n').ok_or_else(wrong)?;
    if digits.len() != OWN_CURSOR_BYTES * 2 || !digits.is_ascii() {
        return Err(wrong());
    }
    let byte = |index: usize| u8::from_str_radix(&digits[index * 2..index * 2 + 2], 16);
    let key = (0..OWN_CURSOR_BYTES).map(|index| byte(index).map_err(|_| wrong()));
    Ok(ListCursor::Own(key.collect::<Result<_, _>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back() {
        let hub = SoldCursor {
            taken_in_ms: 17,
            operation: "o3.2.9".parse().unwrap(),
        };
        for cursor in [ListCursor::Hub(hub), ListCursor::Own((0..12).collect())] {
            assert_eq!(parse_cursor(&cursor_text(&cursor)).unwrap(), cursor);
        }
        for foreign in ["", "h", "h17", "hx_o1.1.1", "n00", "x17_o1.1.1"] {
            assert!(parse_cursor(foreign).is_err(), "{foreign}");
        }
    }
}
