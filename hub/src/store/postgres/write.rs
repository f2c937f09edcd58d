//! Writes decisions: one statement a table, whatever the number of rows.
//!
//! A row that was not there when the decision was asked is inserted plainly: if another process made it meanwhile, the
//! insertion fails and the decision is asked again. Rows are inserted in order of key, so two processes cannot wait
//! for each other's.

use std::collections::BTreeMap;

use kopilka_crdt::identifier::IdentifierHash;
use kopilka_crdt::ids::{Incarnation, MemberId, NodeId};

use super::pool::{Session, Values};
use crate::store::StoreError;
use crate::store::columns::{
    column, field_column, identifier_kind_column, number, operation_kind, text_column,
    verdict_column,
};
use crate::store::decision::{
    MemberWrite, block_last, counts_by_partition, hub_log_row, latest_profiles, member_writes,
};
use crate::store::rows::{Changes, LogRow, OperationRow, Rows};

use super::number::{insert_audit, insert_cases};

/// Writes a decision.
pub(super) async fn changes(
    session: &mut Session<'_>,
    programme: u16,
    rows: &Rows,
    changes: &Changes,
    partitions: u16,
) -> Result<(), StoreError> {
    let scope = i64::from(programme);
    insert_operations(session, scope, changes).await?;
    insert_receipts(session, scope, changes).await?;
    insert_identifiers(session, scope, changes).await?;
    for (node, incarnation, row) in &changes.logs {
        let is_new = !rows.logs.contains_key(&(*node, *incarnation));
        put_log(session, *node, *incarnation, row, is_new).await?;
    }
    if let Some(tip) = changes.hub_log {
        let row = hub_log_row(tip);
        let is_new = rows.hub_log.is_none();
        put_log(
            session,
            NodeId::HUB,
            Incarnation(programme.into()),
            &row,
            is_new,
        )
        .await?;
    }
    insert_keys(session, scope, changes).await?;
    put_profiles(session, scope, changes).await?;
    for (member, lost) in &changes.erased {
        erase(session, scope, *member, lost).await?;
    }
    insert_blocks(session, scope, changes).await?;
    put_members(session, scope, &member_writes(rows, changes, partitions)?).await?;
    insert_cases(session, programme, &changes.cases).await?;
    match &changes.audit {
        Some(row) => insert_audit(session, row).await,
        None => Ok(()),
    }
}

async fn insert_operations(
    session: &mut Session<'_>,
    programme: i64,
    changes: &Changes,
) -> Result<(), StoreError> {
    const OPERATIONS: &str = "INSERT INTO operation (programme, node, incarnation, sequence, stamp, member, store, \
            kind, taken_in_ms, verdict, reason, head, bytes) \
        SELECT $1::BIGINT, * FROM UNNEST($2::BIGINT[], $3::BIGINT[], $4::BIGINT[], $5::BIGINT[], $6::BIGINT[], \
            $7::BIGINT[], $8::TEXT[], $9::BIGINT[], $10::BIGINT[], $11::TEXT[], $12::BYTEA[], $13::BYTEA[])";
    if changes.operations.is_empty() {
        return Ok(());
    }
    let mut sorted: Vec<&OperationRow> = changes.operations.iter().collect();
    sorted.sort_unstable_by_key(|row| row.id);
    let nodes = list(&sorted, |row| i64::from(row.id.node.0));
    let incarnations = list(&sorted, |row| i64::from(row.id.incarnation.0));
    let sequences = try_list(&sorted, |row| column(row.id.sequence, "sequence"))?;
    let stamps = try_list(&sorted, |row| column(row.stamp.0, "stamp"))?;
    let members: Vec<Option<i64>> = try_list(&sorted, |row| {
        let member = row.member.map(|id| column(id.0, "member identifier"));
        member.transpose()
    })?;
    let stores: Vec<Option<i64>> = list(&sorted, |row| row.store.map(|store| i64::from(store.0)));
    let kinds = list(&sorted, |row| operation_kind(row.kind));
    let times = try_list(&sorted, |row| column(row.taken_in_ms, "time"))?;
    let verdicts = list(&sorted, |row| verdict_column(row.verdict));
    let reasons = list(&sorted, |row| text_column(&row.reason));
    let heads = list(&sorted, |row| row.head.as_slice());
    let bytes = list(&sorted, |row| row.bytes.as_slice());
    let values: Values<'_> = &[
        &programme,
        &nodes,
        &incarnations,
        &sequences,
        &stamps,
        &members,
        &stores,
        &kinds,
        &times,
        &verdicts,
        &reasons,
        &heads,
        &bytes,
    ];
    session.execute(OPERATIONS, values).await?;
    Ok(())
}

async fn insert_receipts(
    session: &mut Session<'_>,
    programme: i64,
    changes: &Changes,
) -> Result<(), StoreError> {
    const RECEIPTS: &str = "INSERT INTO receipt (programme, till, day, number, node, incarnation, sequence) \
        SELECT $1::BIGINT, * FROM UNNEST($2::BIGINT[], $3::BIGINT[], $4::BIGINT[], $5::BIGINT[], $6::BIGINT[], $7::BIGINT[])";
    if changes.receipts.is_empty() {
        return Ok(());
    }
    let mut sorted: Vec<_> = changes.receipts.iter().collect();
    sorted.sort_unstable_by_key(|(key, _)| *key);
    let tills = list(&sorted, |(key, _)| i64::from(key.till.0));
    let days = list(&sorted, |(key, _)| i64::from(key.day.0));
    let numbers = try_list(&sorted, |(key, _)| column(key.number, "receipt number"))?;
    let nodes = list(&sorted, |(_, first)| i64::from(first.node.0));
    let incarnations = list(&sorted, |(_, first)| i64::from(first.incarnation.0));
    let sequences = try_list(&sorted, |(_, first)| column(first.sequence, "sequence"))?;
    let values: Values<'_> = &[
        &programme,
        &tills,
        &days,
        &numbers,
        &nodes,
        &incarnations,
        &sequences,
    ];
    session.execute(RECEIPTS, values).await?;
    Ok(())
}

async fn insert_identifiers(
    session: &mut Session<'_>,
    programme: i64,
    changes: &Changes,
) -> Result<(), StoreError> {
    const IDENTIFIERS: &str = "INSERT INTO identifier (programme, hash, kind, member) \
        SELECT $1::BIGINT, * FROM UNNEST($2::BYTEA[], $3::BIGINT[], $4::BIGINT[])";
    if changes.identifiers.is_empty() {
        return Ok(());
    }
    let mut sorted: Vec<_> = changes.identifiers.iter().collect();
    sorted.sort_unstable_by_key(|(hash, ..)| *hash);
    let hashes = list(&sorted, |(hash, ..)| hash.0.as_slice());
    let kinds = list(&sorted, |(_, kind, _)| identifier_kind_column(*kind));
    let members = try_list(&sorted, |(.., id)| column(id.0, "member identifier"))?;
    session
        .execute(IDENTIFIERS, &[&programme, &hashes, &kinds, &members])
        .await?;
    Ok(())
}

async fn put_log(
    session: &mut Session<'_>,
    node: NodeId,
    incarnation: Incarnation,
    row: &LogRow,
    is_new: bool,
) -> Result<(), StoreError> {
    const INSERT: &str = "INSERT INTO log (node, incarnation, sequence, head, stamp, frozen, seal_signature) \
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    const UPDATE: &str = "UPDATE log SET sequence = $3, head = $4, stamp = $5, frozen = $6, seal_signature = $7 \
        WHERE node = $1 AND incarnation = $2";
    let values: Values<'_> = &[
        &i64::from(node.0),
        &i64::from(incarnation.0),
        &column(row.tip.sequence, "sequence")?,
        &row.tip.head.0.as_slice(),
        &column(row.tip.stamp.0, "stamp")?,
        &row.frozen,
        &row.seal_signature,
    ];
    session
        .execute(if is_new { INSERT } else { UPDATE }, values)
        .await?;
    Ok(())
}

async fn insert_keys(
    session: &mut Session<'_>,
    programme: i64,
    changes: &Changes,
) -> Result<(), StoreError> {
    const KEYS: &str = "INSERT INTO member_key (programme, member, key) \
        SELECT $1::BIGINT, * FROM UNNEST($2::BIGINT[], $3::BYTEA[]) ON CONFLICT DO NOTHING";
    if changes.keys.is_empty() {
        return Ok(());
    }
    let mut sorted: Vec<_> = changes.keys.iter().collect();
    sorted.sort_by_key(|(member, _)| *member);
    let members = try_list(&sorted, |(id, _)| column(id.0, "member identifier"))?;
    let keys = list(&sorted, |(_, key)| key.0.as_slice());
    session
        .execute(KEYS, &[&programme, &members, &keys])
        .await?;
    Ok(())
}

async fn put_profiles(
    session: &mut Session<'_>,
    programme: i64,
    changes: &Changes,
) -> Result<(), StoreError> {
    const PROFILES: &str = "INSERT INTO profile (programme, member, field, stamp, node, incarnation, sequence, sealed) \
        SELECT $1::BIGINT, * FROM UNNEST($2::BIGINT[], $3::TEXT[], $4::BIGINT[], $5::BIGINT[], $6::BIGINT[], $7::BIGINT[], \
            $8::BYTEA[]) \
        ON CONFLICT (programme, member, field) DO UPDATE SET stamp = EXCLUDED.stamp, node = EXCLUDED.node, \
            incarnation = EXCLUDED.incarnation, sequence = EXCLUDED.sequence, sealed = EXCLUDED.sealed \
        WHERE (EXCLUDED.stamp, EXCLUDED.node, EXCLUDED.incarnation, EXCLUDED.sequence) \
            > (profile.stamp, profile.node, profile.incarnation, profile.sequence)";
    if changes.profiles.is_empty() {
        return Ok(());
    }
    let latest = latest_profiles(&changes.profiles);
    let members = try_list(&latest, |row| column(row.member.0, "member identifier"))?;
    let fields = list(&latest, |row| field_column(&row.field));
    let stamps = try_list(&latest, |row| column(row.written.0.0, "stamp"))?;
    let nodes = list(&latest, |row| i64::from(row.written.1.node.0));
    let incarnations = list(&latest, |row| i64::from(row.written.1.incarnation.0));
    let sequences = try_list(&latest, |row| column(row.written.1.sequence, "sequence"))?;
    let sealed = list(&latest, |row| row.sealed.0.as_slice());
    let values: Values<'_> = &[
        &programme,
        &members,
        &fields,
        &stamps,
        &nodes,
        &incarnations,
        &sequences,
        &sealed,
    ];
    session.execute(PROFILES, values).await?;
    Ok(())
}

async fn erase(
    session: &mut Session<'_>,
    programme: i64,
    member: MemberId,
    lost: &[IdentifierHash],
) -> Result<(), StoreError> {
    const KEY: &str = "INSERT INTO member_key (programme, member, key) VALUES ($1, $2, NULL) \
        ON CONFLICT (programme, member) DO UPDATE SET key = NULL";
    const FIELDS: &str = "DELETE FROM profile WHERE programme = $1 AND member = $2";
    const IDENTIFIERS: &str =
        "DELETE FROM identifier WHERE programme = $1 AND member = $2 AND hash = ANY($3)";
    let member = column(member.0, "member identifier")?;
    session.execute(KEY, &[&programme, &member]).await?;
    session.execute(FIELDS, &[&programme, &member]).await?;
    let hashes = list(lost, |hash| hash.0.as_slice().to_vec());
    session
        .execute(IDENTIFIERS, &[&programme, &member, &hashes])
        .await?;
    Ok(())
}

async fn insert_blocks(
    session: &mut Session<'_>,
    programme: i64,
    changes: &Changes,
) -> Result<(), StoreError> {
    const BLOCKS: &str = "INSERT INTO block_order (programme, number, card, signed) \
        SELECT $1::BIGINT, * FROM UNNEST($2::BIGINT[], $3::BYTEA[], $4::BYTEA[])";
    const BLOCK_LAST: &str = "UPDATE counter SET value = $2 WHERE name = 'block' AND scope = $1";
    let Some(last) = block_last(changes)? else {
        return Ok(());
    };
    let blocks: Vec<_> = changes.blocks.iter().collect();
    let numbers = try_list(&blocks, |row| column(row.number, "block order"))?;
    let cards = list(&blocks, |row| row.subject.0.as_slice());
    let signed = list(&blocks, |row| row.signed.as_slice());
    session
        .execute(BLOCKS, &[&programme, &numbers, &cards, &signed])
        .await?;
    session.execute(BLOCK_LAST, &[&programme, &last]).await?;
    Ok(())
}

/// Gives positions and writes the rows. The heads stay locked until the commit, so positions become visible in order.
async fn put_members(
    session: &mut Session<'_>,
    programme: i64,
    writes: &[MemberWrite],
) -> Result<(), StoreError> {
    const INSERT: &str = "INSERT INTO member (programme, partition, id, position, due_ms, record, identifiers) \
        SELECT $1::BIGINT, * FROM UNNEST($2::BIGINT[], $3::BIGINT[], $4::BIGINT[], $5::BIGINT[], $6::BYTEA[], $7::BYTEA[])";
    const UPDATE: &str = "UPDATE member SET position = new.position, due_ms = new.due_ms, record = new.record, \
            identifiers = new.identifiers \
        FROM UNNEST($2::BIGINT[], $3::BIGINT[], $4::BIGINT[], $5::BIGINT[], $6::BYTEA[], $7::BYTEA[]) \
            AS new (partition, id, position, due_ms, record, identifiers) \
        WHERE member.programme = $1 AND member.partition = new.partition AND member.id = new.id";
    let mut heads = raise_heads(session, programme, writes).await?;
    let mut placed = Vec::with_capacity(writes.len());
    for write in writes {
        let position = heads
            .get_mut(&write.partition)
            .ok_or(StoreError::Damaged("partition_head"))?;
        *position += 1;
        placed.push((write, *position));
    }
    let (new, old): (Vec<_>, Vec<_>) = placed.iter().partition(|(write, _)| write.is_new);
    for (sql, rows) in [(UPDATE, old), (INSERT, new)] {
        if rows.is_empty() {
            continue;
        }
        let partitions = list(&rows, |(write, _)| i64::from(write.partition));
        let ids: Vec<i64> = rows.iter().map(|(write, _)| write.id).collect();
        let positions: Vec<i64> = rows.iter().map(|(_, position)| *position).collect();
        let due: Vec<Option<i64>> = rows.iter().map(|(write, _)| write.due_ms).collect();
        let records: Vec<_> = rows
            .iter()
            .map(|(write, _)| write.record.as_slice())
            .collect();
        let identifiers: Vec<_> = rows
            .iter()
            .map(|(write, _)| write.identifiers.as_slice())
            .collect();
        let values: Values<'_> = &[
            &programme,
            &partitions,
            &ids,
            &positions,
            &due,
            &records,
            &identifiers,
        ];
        session.execute(sql, values).await?;
    }
    Ok(())
}

/// Reserves positions and says after which they begin, by partition.
async fn raise_heads(
    session: &mut Session<'_>,
    programme: i64,
    writes: &[MemberWrite],
) -> Result<BTreeMap<u16, i64>, StoreError> {
    const HEADS: &str = "INSERT INTO partition_head (programme, partition, head) \
        SELECT $1::BIGINT, new.* FROM UNNEST($2::BIGINT[], $3::BIGINT[]) AS new (partition, count) ORDER BY new.partition \
        ON CONFLICT (programme, partition) DO UPDATE SET head = partition_head.head + EXCLUDED.head \
        RETURNING partition, head";
    let counts = counts_by_partition(writes);
    if counts.is_empty() {
        return Ok(BTreeMap::new());
    }
    let partitions: Vec<i64> = counts
        .keys()
        .map(|partition| i64::from(*partition))
        .collect();
    let raises: Vec<i64> = counts.values().copied().collect();
    let raised = session
        .query(HEADS, &[&programme, &partitions, &raises])
        .await?;
    raised
        .iter()
        .map(|row| {
            let partition: u16 = number(row, 0, "partition_head")?;
            let head: i64 = number(row, 1, "partition_head")?;
            let raise = counts.get(&partition).copied().unwrap_or(0);
            Ok((partition, head - raise))
        })
        .collect()
}

fn list<R, T>(rows: &[R], value: impl Fn(&R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

fn try_list<R, T>(
    rows: &[R],
    value: impl Fn(&R) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    rows.iter().map(value).collect()
}
