//! Loads the rows that a decision is made on. Its transaction has the file's write lock, so rows need no locks.

use std::collections::BTreeMap;

use kopilka_crdt::identifier::IdentifierHash;
use kopilka_crdt::ids::{Incarnation, MemberId, NodeId, OperationId};
use kopilka_crdt::log::Tip;
use rusqlite::{Connection, Params, Row, params};

use crate::store::columns::{
    block_row, column, limit_column, log_row, member_columns, member_row, number,
    operation_columns, operation_id, operation_row,
};
use crate::store::rows::{BlockRow, Keys, LogRow, MemberRow, OperationRow, Rows};
use crate::store::statements;
use crate::store::{REVERSALS_MAX, StoreError};

/// Reads at most one row.
pub(super) fn one<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(read).transpose()
}

/// Reads all rows.
pub(super) fn all<T, C: Default + Extend<T>>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<C, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = C::default();
    while let Some(row) = rows.next()? {
        found.extend([read(row)?]);
    }
    Ok(found)
}

/// Everything that `keys` name.
pub(super) fn rows(connection: &Connection, keys: &Keys) -> Result<Rows, StoreError> {
    const RECEIPT: &str = "SELECT node, incarnation, sequence FROM receipt \
        WHERE programme = ? AND till = ? AND day = ? AND number = ?";
    let mut rows = Rows {
        members: members(connection, keys.programme, &keys.members)?,
        ..Rows::default()
    };
    for key in &keys.receipts {
        let receipt = column(key.number, "receipt number")?;
        let place = params![keys.programme, key.till.0, key.day.0, receipt];
        let found = one(connection, RECEIPT, place, |row| {
            operation_id(row, 0, "receipt")
        })?;
        rows.receipts.extend(found.map(|first| (*key, first)));
    }
    rows.identifiers = identifiers(connection, keys.programme, &keys.identifiers)?;
    for node in &keys.nodes {
        rows.logs.extend(logs(connection, *node)?);
    }
    for id in &keys.operations {
        let found = operation(connection, *id)?;
        rows.operations.extend(found.map(|row| (*id, row)));
    }
    for id in &keys.reversals_of {
        let member = column(id.0, "member identifier")?;
        let place = params![keys.programme, member, limit_column(REVERSALS_MAX)];
        let found: Vec<OperationRow> = all(connection, statements::REVERSALS, place, |row| {
            operation_row(row)
        })?;
        rows.reversals.extend(found);
    }
    if keys.counters {
        let hub_log = (NodeId::HUB, Incarnation(keys.programme.into()));
        rows.block_last = counter(connection, "block", keys.programme)?;
        for hash in &keys.identifiers {
            let latest = latest_block(connection, keys.programme, *hash)?;
            rows.blocks.extend(latest.map(|block| (*hash, block)));
        }
        rows.hub_log = tip(connection, hub_log)?;
    }
    Ok(rows)
}

/// One member.
pub(super) fn member(
    connection: &Connection,
    programme: u16,
    id: MemberId,
) -> Result<Option<MemberRow>, StoreError> {
    const MEMBER: &str = concat!(
        "SELECT ",
        member_columns!(),
        " FROM member WHERE programme = ? AND id = ?"
    );
    let place = params![programme, column(id.0, "member identifier")?];
    let row = one(connection, MEMBER, place, |row| member_row(row))?;
    Ok(row.map(|(_, row)| row))
}

/// Members; those that are not known are left out.
pub(super) fn members(
    connection: &Connection,
    programme: u16,
    ids: &[MemberId],
) -> Result<BTreeMap<MemberId, MemberRow>, StoreError> {
    let mut found = BTreeMap::new();
    for id in ids {
        let row = member(connection, programme, *id)?;
        found.extend(row.map(|row| (*id, row)));
    }
    Ok(found)
}

/// Who an identifier belongs to.
pub(super) fn identifier(
    connection: &Connection,
    programme: u16,
    hash: IdentifierHash,
) -> Result<Option<MemberId>, StoreError> {
    const IDENTIFIER: &str = "SELECT member FROM identifier WHERE programme = ? AND hash = ?";
    one(connection, IDENTIFIER, params![programme, hash.0], |row| {
        Ok(MemberId(number(row, 0, "identifier")?))
    })
}

/// Who identifiers belong to.
pub(super) fn identifiers(
    connection: &Connection,
    programme: u16,
    hashes: &[IdentifierHash],
) -> Result<BTreeMap<IdentifierHash, MemberId>, StoreError> {
    let mut owners = BTreeMap::new();
    for hash in hashes {
        let owner = identifier(connection, programme, *hash)?;
        owners.extend(owner.map(|member| (*hash, member)));
    }
    Ok(owners)
}

/// Every log of a node.
pub(super) fn logs(
    connection: &Connection,
    node: NodeId,
) -> Result<BTreeMap<(NodeId, Incarnation), LogRow>, StoreError> {
    all(connection, statements::LOGS, [node.0], |row| log_row(row))
}

/// Where one log stands.
pub(super) fn tip(
    connection: &Connection,
    (node, incarnation): (NodeId, Incarnation),
) -> Result<Option<Tip>, StoreError> {
    let row = one(
        connection,
        statements::LOG,
        [node.0, incarnation.0],
        |row| log_row(row),
    )?;
    Ok(row.map(|(_, log)| log.tip))
}

fn operation(connection: &Connection, id: OperationId) -> Result<Option<OperationRow>, StoreError> {
    const OPERATION: &str = concat!(
        "SELECT ",
        operation_columns!(),
        " FROM operation WHERE node = ? AND incarnation = ? AND sequence = ?"
    );
    let sequence = column(id.sequence, "sequence")?;
    let place = params![id.node.0, id.incarnation.0, sequence];
    one(connection, OPERATION, place, |row| operation_row(row))
}

/// The latest block order about a card.
fn latest_block(
    connection: &Connection,
    programme: u16,
    card: IdentifierHash,
) -> Result<Option<BlockRow>, StoreError> {
    const BLOCK: &str = "SELECT number, card, signed FROM block_order \
        WHERE programme = ? AND card = ? ORDER BY number DESC LIMIT 1";
    one(connection, BLOCK, params![programme, card.0], |row| {
        block_row(row)
    })
}

/// The last number given; 0 when none was.
fn counter(connection: &Connection, name: &str, scope: u16) -> Result<u64, StoreError> {
    const COUNTER: &str = "SELECT value FROM counter WHERE name = ? AND scope = ?";
    let value = one(connection, COUNTER, params![name, scope], |row| {
        number(row, 0, "counter")
    })?;
    Ok(value.unwrap_or(0))
}
