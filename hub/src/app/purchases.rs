//! Purchases that nodes ask for: what was sold and counted, and what has come back of it.

use kopilka_crdt::ids::{MemberId, OperationId, ProgrammeId};
use kopilka_crdt::log::decode_entry;
use kopilka_crdt::operation::{Body, Purchase, ReceiptKey, Reversal, Verdict};
use kopilka_protocol::limits::{FRAME_BYTES_MAX, SOLD_MAX};
use kopilka_protocol::message::{CameBack, SoldCursor, SoldPage, SoldPurchase, SoldQuery};

use super::Hub;
use super::entities::NodeEntity;
use crate::store::{Changes, Keys, OperationRow, Rows, StoreError};

/// Bytes of entries that fit a frame with room for the rest of it.
const ENTRIES_BYTES_MAX: usize = FRAME_BYTES_MAX / 2;
/// Operations of a member that are read at once.
const HISTORY_PAGE: usize = 200;
/// Operations of a member that one answer looks through; the next one goes on.
const LOOKED_THROUGH_MAX: usize = 2_000;

impl Hub {
    /// What was sold, for one node.
    pub async fn sold(&self, node: &NodeEntity, query: &SoldQuery) -> Result<SoldPage, StoreError> {
        let programme = node.programme;
        let (rows, next) = match query {
            SoldQuery::Receipt(receipt) => (self.counted(programme, *receipt).await?, None),
            SoldQuery::Operation(id) => (self.counted_as(programme, *id).await?, None),
            SoldQuery::Member {
                member,
                before,
                limit,
            } => {
                let limit = usize::from(*limit).clamp(1, SOLD_MAX);
                self.bought(programme, *member, *before, limit).await?
            }
        };
        let Some(member) = rows.first().and_then(|row| row.member) else {
            let purchases = Vec::new();
            return Ok(SoldPage { purchases, next });
        };
        let keys = Keys {
            programme: programme.0,
            reversals_of: vec![member],
            ..Keys::default()
        };
        let reversals = self.look_up(keys).await?.reversals;
        let sold = |row| sold(row, &reversals);
        Ok(SoldPage {
            purchases: rows.into_iter().map(sold).collect::<Result<_, _>>()?,
            next,
        })
    }

    /// The purchase that was counted under a receipt.
    async fn counted(
        &self,
        programme: ProgrammeId,
        receipt: ReceiptKey,
    ) -> Result<Vec<OperationRow>, StoreError> {
        let keys = Keys {
            programme: programme.0,
            receipts: vec![receipt],
            ..Keys::default()
        };
        let found = self.look_up(keys).await?;
        match found.receipts.get(&receipt) {
            Some(id) => self.operation(*id).await,
            None => Ok(Vec::new()),
        }
    }

    /// An operation, if it is the purchase that was counted under its receipt in this programme.
    async fn counted_as(
        &self,
        programme: ProgrammeId,
        id: OperationId,
    ) -> Result<Vec<OperationRow>, StoreError> {
        let named = self.operation(id).await?;
        let purchase = named.first().map(purchase_of).transpose()?.flatten();
        let Some(purchase) = purchase else {
            return Ok(Vec::new());
        };
        let mut counted = self.counted(programme, purchase.receipt).await?;
        counted.retain(|row| row.id == id);
        Ok(counted)
    }

    async fn operation(&self, id: OperationId) -> Result<Vec<OperationRow>, StoreError> {
        let keys = Keys {
            operations: vec![id],
            ..Keys::default()
        };
        let found = self.look_up(keys).await?;
        Ok(found.operations.into_values().collect())
    }

    /// A member's purchases, newest first, as many as fit an answer; and where the next page starts.
    async fn bought(
        &self,
        programme: ProgrammeId,
        member: MemberId,
        before: Option<SoldCursor>,
        limit: usize,
    ) -> Result<(Vec<OperationRow>, Option<SoldCursor>), StoreError> {
        let mut cursor = before;
        let (mut found, mut bytes, mut looked_through) = (Vec::new(), 0, 0);
        while looked_through < LOOKED_THROUGH_MAX {
            let place = cursor.map(|cursor| (cursor.taken_in_ms, cursor.operation));
            let rows = self
                .store
                .operations_of(programme, member, place, HISTORY_PAGE)
                .await?;
            looked_through += rows.len();
            let is_last = rows.len() < HISTORY_PAGE;
            for row in rows {
                let is_purchase = row.kind == "purchase" && is_counted(&row);
                let full = found.len() == limit || bytes + row.bytes.len() > ENTRIES_BYTES_MAX;
                if is_purchase && full && !found.is_empty() {
                    return Ok((found, cursor));
                }
                cursor = Some(SoldCursor {
                    taken_in_ms: row.taken_in_ms,
                    operation: row.id,
                });
                if is_purchase {
                    bytes += row.bytes.len();
                    found.push(row);
                }
            }
            if is_last {
                return Ok((found, None));
            }
        }
        Ok((found, cursor))
    }

    /// Reads what a decision would be made on, and decides nothing.
    async fn look_up(&self, keys: Keys) -> Result<Rows, StoreError> {
        let mut found = Rows::default();
        let mut look = |rows: &Rows| {
            found = rows.clone();
            Changes::default()
        };
        self.store.decide(&keys, &mut look).await?;
        Ok(found)
    }
}

fn sold(row: OperationRow, reversals: &[OperationRow]) -> Result<SoldPurchase, StoreError> {
    let mut returned = Vec::new();
    for reversal in reversals {
        if let Some(body) = reversal_of(reversal, row.id)? {
            returned.push(CameBack {
                node: reversal.id.node,
                stamp: reversal.stamp,
                lines: body.lines,
            });
        }
    }
    Ok(SoldPurchase {
        operation: row.id,
        stamp: row.stamp,
        entry: row.bytes,
        returned,
    })
}

fn is_counted(row: &OperationRow) -> bool {
    match row.verdict {
        Verdict::Duplicate | Verdict::Quarantined => false,
        Verdict::Accepted | Verdict::Contested | Verdict::Overdraft | Verdict::Mispriced => true,
    }
}

fn body(row: &OperationRow) -> Result<Body, StoreError> {
    let decoded = decode_entry(&row.bytes).map_err(|_| StoreError::Damaged("operation"))?;
    Ok(decoded.1)
}

/// The purchase that a stored operation is.
pub(super) fn purchase_of(row: &OperationRow) -> Result<Option<Purchase>, StoreError> {
    if row.kind != "purchase" {
        return Ok(None);
    }
    let Body::Purchase(purchase) = body(row)? else {
        return Err(StoreError::Damaged("operation"));
    };
    Ok(Some(purchase))
}

/// The counted cancel or return that a stored operation is, when it is of that purchase.
///
/// Bytes stay as they were signed: on a branch that was taken over they name its own purchases by the number that its
/// node gave it.
pub(super) fn reversal_of(
    row: &OperationRow,
    purchase: OperationId,
) -> Result<Option<Reversal>, StoreError> {
    if !matches!(row.kind, "cancel" | "return") || !is_counted(row) {
        return Ok(None);
    }
    let (Body::Cancel(reversal) | Body::Return(reversal)) = body(row)? else {
        return Err(StoreError::Damaged("operation"));
    };
    let mut named = reversal.purchase;
    if row.id.incarnation.is_adopted() && named.node == row.id.node && named != purchase {
        named.incarnation = row.id.incarnation;
    }
    Ok((named == purchase).then_some(reversal))
}
