//! Keys of the rows that the app keeps; numbers are big-endian, so that rows sort as the numbers do.

use kopilka_crdt::identifier::IdentifierHash;
use kopilka_crdt::ids::{Incarnation, MemberId, OperationId, TillId};
use kopilka_crdt::operation::ReceiptKey;

use crate::store::Table;

use super::records::PurchaseId;

/// In `Meta`: how the node stands with the hub.
pub(super) const SYNC: &[u8] = b"sync";
/// In `Meta`: how far a snapshot has come.
pub(super) const SNAPSHOT: &[u8] = b"snapshot";
/// In `Meta`: branches of own logs that the hub counts under other numbers.
pub(super) const ADOPTIONS: &[u8] = b"adoptions";
/// In `Meta`: whether the last clock mark of the log said that the clock is believed.
pub(super) const CLOCK: &[u8] = b"clock";
/// In `Directory`: the directory in force.
pub(super) const DIRECTORY: &[u8] = b"current";

pub(super) fn member(member: MemberId) -> Vec<u8> {
    member.0.to_be_bytes().to_vec()
}

pub(super) fn identifier(hash: IdentifierHash) -> Vec<u8> {
    hash.0.to_vec()
}

/// Bytes at the start of an identifier's key that a member's row lists it by.
pub(super) const PREFIX_BYTES: usize = 4;

/// The start of an identifier's key.
pub(super) type IdentifierPrefix = [u8; PREFIX_BYTES];

pub(super) fn prefix(hash: IdentifierHash) -> IdentifierPrefix {
    let first = hash.0.first_chunk::<PREFIX_BYTES>();
    *first.expect("a hash is longer than its prefix")
}

/// Of a place in one incarnation's log.
pub(super) fn log(incarnation: Incarnation, sequence: u64) -> Vec<u8> {
    [
        &incarnation.0.to_be_bytes()[..],
        &sequence.to_be_bytes()[..],
    ]
    .concat()
}

/// The incarnation at the start of a key made by [`log`].
pub(super) fn incarnation(key: &[u8]) -> Option<Incarnation> {
    key.first_chunk::<4>()
        .map(|head| Incarnation(u32::from_be_bytes(*head)))
}

/// Of an operation among its member's.
pub(super) fn of_member(member: MemberId, incarnation: Incarnation, sequence: u64) -> Vec<u8> {
    [&member.0.to_be_bytes()[..], &log(incarnation, sequence)[..]].concat()
}

/// The incarnation and sequence in a key made by [`of_member`].
pub(super) fn operation_of_member(key: &[u8]) -> Option<(Incarnation, u64)> {
    let place = key.get(8..)?;
    Some((incarnation(place)?, sequence(place)?))
}

/// The sequence at the end of a key made by [`log`] or [`of_member`].
pub(super) fn sequence(key: &[u8]) -> Option<u64> {
    key.last_chunk::<8>().map(|tail| u64::from_be_bytes(*tail))
}

pub(super) fn purchase(purchase: PurchaseId) -> Vec<u8> {
    purchase.0.to_be_bytes().to_vec()
}

pub(super) fn hold(member: MemberId, purchase: PurchaseId) -> Vec<u8> {
    [member.0.to_be_bytes(), purchase.0.to_be_bytes()].concat()
}

/// The purchase at the end of a key made by [`hold`].
pub(super) fn held_purchase(key: &[u8]) -> Option<PurchaseId> {
    sequence(key).map(PurchaseId)
}

pub(super) fn receipt(key: &ReceiptKey) -> Vec<u8> {
    [
        &key.day.0.to_be_bytes()[..],
        &key.till.0.to_be_bytes()[..],
        &key.number.to_be_bytes()[..],
    ]
    .concat()
}

/// Of a purchase's operation, among receipts; no receipt's key is as short.
pub(super) fn sold(operation: OperationId) -> Vec<u8> {
    let log = log(operation.incarnation, operation.sequence);
    [&operation.node.0.to_be_bytes()[..], &log[..]].concat()
}

pub(super) fn idempotency(till: TillId, key: &str) -> Vec<u8> {
    [&till.0.to_be_bytes()[..], key.as_bytes()].concat()
}

/// Of a row that goes at `due_ms`; the row's own table and key tell those of one millisecond apart.
pub(super) fn expiry(due_ms: u64, table: Table, key: &[u8]) -> Vec<u8> {
    [&due_ms.to_be_bytes()[..], &[table.tag()], key].concat()
}

/// The row that a key made by [`expiry`] names.
pub(super) fn expired_row(key: &[u8]) -> Option<(Table, &[u8])> {
    let (tag, row) = key.get(8..)?.split_first()?;
    let table = Table::ALL.into_iter().find(|table| table.tag() == *tag)?;
    Some((table, row))
}

/// The first key after all that begin with `prefix`; none when there is no such key.
pub(super) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}
