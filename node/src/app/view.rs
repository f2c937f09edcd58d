//! Reads that the writer and the app share.

use kopilka_crdt::identifier::IdentifierHash;
use kopilka_crdt::ids::MemberId;
use kopilka_crdt::member::Member;

use crate::store::{StoreError, Table};

use super::error::AppError;
use super::keys;
use super::records::{self, Answered, Outcome, PurchaseId, PurchaseRecord};
use super::request::{Call, PurchaseRef};
use super::rows::Rows;

pub(super) fn member(rows: &Rows, id: MemberId) -> Result<Option<Member>, AppError> {
    let bytes = rows.read_bytes(Table::Members, &keys::member(id))?;
    let decode = |bytes: Vec<u8>| {
        let (_, record) = records::split_member(&bytes)?;
        Member::decode(record).map_err(|error| StoreError::Corrupt(error.to_string()))
    };
    Ok(bytes.map(decode).transpose()?)
}

pub(super) fn member_of(rows: &Rows, hash: IdentifierHash) -> Result<Option<MemberId>, AppError> {
    Ok(rows.read(Table::Identifiers, &keys::identifier(hash))?)
}

pub(super) fn purchase(rows: &Rows, id: PurchaseId) -> Result<PurchaseRecord, AppError> {
    rows.read(Table::Purchases, &keys::purchase(id))?
        .ok_or(AppError::UnknownPurchase)
}

/// The purchase that a till names; one named by its own name here may be gone.
pub(super) fn find_purchase(rows: &Rows, name: PurchaseRef) -> Result<PurchaseId, AppError> {
    let key = match name {
        PurchaseRef::Id(id) => return Ok(id),
        PurchaseRef::Receipt(receipt) => keys::receipt(&receipt),
        PurchaseRef::Operation(operation) => keys::sold(operation),
    };
    rows.read(Table::Receipts, &key)?
        .ok_or(AppError::UnknownPurchase)
}

/// The answer that a request had before.
pub(super) fn answered(rows: &Rows, call: &Call) -> Result<Option<Outcome>, AppError> {
    let key = keys::idempotency(call.till, &call.key);
    match rows.read::<Answered>(Table::Idempotency, &key)? {
        Some(answered) if answered.body == call.body => Ok(Some(answered.outcome)),
        Some(_) => Err(AppError::IdempotencyKeyReused),
        None => Ok(None),
    }
}
