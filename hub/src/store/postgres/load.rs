//! Loads and locks the rows that a decision is made on.
//!
//! Locks are taken in one order everywhere: counters, logs, members, what is inserted, partition heads, members again,
//! numbers of cases and staff actions; within a table in order of key. Other rows are never changed once they are
//! there, so they are read after the locks and need none.

use std::collections::BTreeMap;

use kopilka_crdt::identifier::IdentifierHash;
use kopilka_crdt::ids::{Incarnation, MemberId, NodeId};
use kopilka_crdt::log::Tip;

use super::pool::Session;
use crate::store::columns::{
    block_row, column, identifier_row, limit_column, log_columns, log_row, member_columns,
    member_row, number, operation_columns, operation_row, receipt_row,
};
use crate::store::rows::{BlockRow, Keys, MemberRow, Rows};
use crate::store::statements;
use crate::store::{REVERSALS_MAX, StoreError};

/// Everything that `keys` name.
pub(super) async fn rows(
    session: &mut Session<'_>,
    keys: &Keys,
    partitions: u16,
) -> Result<Rows, StoreError> {
    let mut rows = Rows::default();
    if keys.counters {
        rows.block_last = locked_block_last(session, keys.programme).await?;
    }
    lock_logs(session, keys, &mut rows).await?;
    lock_members(session, keys, partitions, &mut rows).await?;
    if keys.counters {
        let hub_log = (NodeId::HUB, Incarnation(keys.programme.into()));
        rows.hub_log = tip(session, hub_log).await?;
    }
    read_receipts(session, keys, &mut rows).await?;
    rows.identifiers = identifiers(session, keys.programme, &keys.identifiers).await?;
    if keys.counters {
        rows.blocks = latest_blocks(session, keys).await?;
    }
    read_operations(session, keys, &mut rows).await?;
    read_reversals(session, keys, &mut rows).await?;
    Ok(rows)
}

async fn locked_block_last(session: &mut Session<'_>, programme: u16) -> Result<u64, StoreError> {
    // Writes the value that is there: so the row is made, locked and read at once.
    const LOCK: &str = "INSERT INTO counter (name, scope, value) VALUES ('block', $1, 0) \
        ON CONFLICT (name, scope) DO UPDATE SET value = counter.value RETURNING value";
    let row = session.query_one(LOCK, &[&i64::from(programme)]).await?;
    let row = row.ok_or(StoreError::Damaged("counter"))?;
    number(&row, 0, "counter")
}

async fn lock_logs(
    session: &mut Session<'_>,
    keys: &Keys,
    rows: &mut Rows,
) -> Result<(), StoreError> {
    const LOGS: &str = concat!(
        "SELECT ",
        log_columns!(),
        " FROM log WHERE node = ANY($1) ORDER BY node, incarnation FOR UPDATE"
    );
    if keys.nodes.is_empty() {
        return Ok(());
    }
    let nodes: Vec<i64> = keys.nodes.iter().map(|node| node.0.into()).collect();
    for row in session.query(LOGS, &[&nodes]).await? {
        let (log, row) = log_row(&row)?;
        rows.logs.insert(log, row);
    }
    Ok(())
}

async fn lock_members(
    session: &mut Session<'_>,
    keys: &Keys,
    partitions: u16,
    rows: &mut Rows,
) -> Result<(), StoreError> {
    const MEMBERS: &str = concat!(
        "SELECT ",
        member_columns!(),
        " FROM UNNEST($2::BIGINT[], $3::BIGINT[]) AS wanted (partition, id) \
         JOIN member ON programme = $1 AND member.partition = wanted.partition AND member.id = wanted.id \
         ORDER BY member.id FOR UPDATE OF member"
    );
    if keys.members.is_empty() {
        return Ok(());
    }
    let (wanted_partitions, wanted) = places(&keys.members, partitions)?;
    let programme = i64::from(keys.programme);
    let values: super::pool::Values<'_> = &[&programme, &wanted_partitions, &wanted];
    for row in session.query(MEMBERS, values).await? {
        let (id, row) = member_row(&row)?;
        rows.members.insert(id, row);
    }
    Ok(())
}

/// Partition and identifier of each member once, as two arrays.
fn places(members: &[MemberId], partitions: u16) -> Result<(Vec<i64>, Vec<i64>), StoreError> {
    let mut members = members.to_vec();
    members.sort_unstable();
    members.dedup();
    members
        .into_iter()
        .map(|id| {
            let place = i64::from(id.partition(partitions));
            Ok((place, column(id.0, "member identifier")?))
        })
        .collect()
}

async fn read_receipts(
    session: &mut Session<'_>,
    keys: &Keys,
    rows: &mut Rows,
) -> Result<(), StoreError> {
    const RECEIPTS: &str = "SELECT till, day, number, node, incarnation, sequence \
        FROM UNNEST($2::BIGINT[], $3::BIGINT[], $4::BIGINT[]) AS wanted (till, day, number) \
        JOIN receipt USING (till, day, number) WHERE programme = $1";
    if keys.receipts.is_empty() {
        return Ok(());
    }
    let tills: Vec<i64> = keys.receipts.iter().map(|key| key.till.0.into()).collect();
    let days: Vec<i64> = keys.receipts.iter().map(|key| key.day.0.into()).collect();
    let numbers = keys
        .receipts
        .iter()
        .map(|key| column(key.number, "receipt number"))
        .collect::<Result<Vec<i64>, _>>()?;
    let programme = i64::from(keys.programme);
    for row in session
        .query(RECEIPTS, &[&programme, &tills, &days, &numbers])
        .await?
    {
        let (key, first) = receipt_row(&row)?;
        rows.receipts.insert(key, first);
    }
    Ok(())
}

/// The latest block order about each card. Orders are made under the lock on the counters, so none is missed.
async fn latest_blocks(
    session: &mut Session<'_>,
    keys: &Keys,
) -> Result<BTreeMap<IdentifierHash, BlockRow>, StoreError> {
    const BLOCKS: &str = "SELECT latest.number, latest.card, latest.signed FROM UNNEST($2::BYTEA[]) AS wanted (card) \
        CROSS JOIN LATERAL (SELECT number, card, signed FROM block_order \
            WHERE programme = $1 AND card = wanted.card ORDER BY number DESC LIMIT 1) AS latest";
    if keys.identifiers.is_empty() {
        return Ok(BTreeMap::new());
    }
    let cards: Vec<&[u8]> = keys
        .identifiers
        .iter()
        .map(|hash| hash.0.as_slice())
        .collect();
    let programme = i64::from(keys.programme);
    let rows = session.query(BLOCKS, &[&programme, &cards]).await?;
    rows.iter()
        .map(|row| block_row(row).map(|block| (block.subject, block)))
        .collect()
}

async fn read_operations(
    session: &mut Session<'_>,
    keys: &Keys,
    rows: &mut Rows,
) -> Result<(), StoreError> {
    const OPERATIONS: &str = concat!(
        "SELECT ",
        operation_columns!(),
        " FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::BIGINT[]) AS wanted (node, incarnation, sequence) \
         JOIN operation USING (node, incarnation, sequence)"
    );
    if keys.operations.is_empty() {
        return Ok(());
    }
    let nodes: Vec<i64> = keys.operations.iter().map(|id| id.node.0.into()).collect();
    let incarnations: Vec<i64> = keys
        .operations
        .iter()
        .map(|id| id.incarnation.0.into())
        .collect();
    let sequences = keys
        .operations
        .iter()
        .map(|id| column(id.sequence, "sequence"))
        .collect::<Result<Vec<i64>, _>>()?;
    for row in session
        .query(OPERATIONS, &[&nodes, &incarnations, &sequences])
        .await?
    {
        let row = operation_row(&row)?;
        rows.operations.insert(row.id, row);
    }
    Ok(())
}

async fn read_reversals(
    session: &mut Session<'_>,
    keys: &Keys,
    rows: &mut Rows,
) -> Result<(), StoreError> {
    let programme = i64::from(keys.programme);
    let limit = limit_column(REVERSALS_MAX);
    for id in &keys.reversals_of {
        let member = column(id.0, "member identifier")?;
        let values: super::pool::Values<'_> = &[&programme, &member, &limit];
        for row in session.query(statements::REVERSALS, values).await? {
            rows.reversals.push(operation_row(&row)?);
        }
    }
    Ok(())
}

/// One member.
pub(super) async fn member(
    session: &mut Session<'_>,
    programme: u16,
    id: MemberId,
    partitions: u16,
) -> Result<Option<MemberRow>, StoreError> {
    const MEMBER: &str = concat!(
        "SELECT ",
        member_columns!(),
        " FROM member WHERE programme = $1 AND partition = $2 AND id = $3"
    );
    let partition = i64::from(id.partition(partitions));
    let id = column(id.0, "member identifier")?;
    let row = session
        .query_one(MEMBER, &[&i64::from(programme), &partition, &id])
        .await?;
    Ok(row
        .map(|row| member_row(&row))
        .transpose()?
        .map(|(_, row)| row))
}

/// Members; those that are not known are left out.
pub(super) async fn members(
    session: &mut Session<'_>,
    programme: u16,
    ids: &[MemberId],
    partitions: u16,
) -> Result<BTreeMap<MemberId, MemberRow>, StoreError> {
    const MEMBERS: &str = concat!(
        "SELECT ",
        member_columns!(),
        " FROM UNNEST($2::BIGINT[], $3::BIGINT[]) AS wanted (partition, id) \
         JOIN member ON programme = $1 AND member.partition = wanted.partition AND member.id = wanted.id"
    );
    let (wanted_partitions, wanted) = places(ids, partitions)?;
    let programme = i64::from(programme);
    let values: super::pool::Values<'_> = &[&programme, &wanted_partitions, &wanted];
    let rows = session.query(MEMBERS, values).await?;
    rows.iter().map(member_row).collect()
}

/// Who an identifier belongs to.
pub(super) async fn identifier(
    session: &mut Session<'_>,
    programme: u16,
    hash: IdentifierHash,
) -> Result<Option<MemberId>, StoreError> {
    const IDENTIFIER: &str =
        "SELECT hash, member FROM identifier WHERE programme = $1 AND hash = $2";
    let row = session
        .query_one(IDENTIFIER, &[&i64::from(programme), &hash.0.as_slice()])
        .await?;
    Ok(row
        .map(|row| identifier_row(&row))
        .transpose()?
        .map(|(_, member)| member))
}

/// Who identifiers belong to.
pub(super) async fn identifiers(
    session: &mut Session<'_>,
    programme: u16,
    hashes: &[IdentifierHash],
) -> Result<BTreeMap<IdentifierHash, MemberId>, StoreError> {
    const IDENTIFIERS: &str = "SELECT hash, member FROM UNNEST($2::BYTEA[]) AS wanted (hash) \
        JOIN identifier USING (hash) WHERE programme = $1";
    if hashes.is_empty() {
        return Ok(BTreeMap::new());
    }
    let hashes: Vec<&[u8]> = hashes.iter().map(|hash| hash.0.as_slice()).collect();
    let programme = i64::from(programme);
    let rows = session.query(IDENTIFIERS, &[&programme, &hashes]).await?;
    rows.iter().map(identifier_row).collect()
}

/// Where one log stands.
pub(super) async fn tip(
    session: &mut Session<'_>,
    (node, incarnation): (NodeId, Incarnation),
) -> Result<Option<Tip>, StoreError> {
    let row = session
        .query_one(
            statements::LOG,
            &[&i64::from(node.0), &i64::from(incarnation.0)],
        )
        .await?;
    Ok(row
        .map(|row| log_row(&row))
        .transpose()?
        .map(|(_, log)| log.tip))
}
