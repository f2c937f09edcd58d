//! Writes what decisions and staff change.

use kopilka_crdt::identifier::IdentifierHash;
use kopilka_crdt::ids::{Incarnation, MemberId, NodeId, ProgrammeId};
use rusqlite::{Connection, ErrorCode, Params, params};

use super::load::one;
use crate::store::StoreError;
use crate::store::columns::{
    case_kind, column, column_or_end, entity_kind, field_column, identifier_kind_column, number,
    operation_kind, text_column, verdict_column,
};
use crate::store::decision::{block_last, hub_log_row, is_news, latest_profiles, member_writes};
use crate::store::proposal::{self, ProposalRow, Settlement};
use crate::store::rows::{
    AuditRow, BlockRow, CaseRow, Changes, EntityChange, LogRow, OperationRow, ProfileRow, Rows,
};

/// The embedded store's only partition.
const PARTITION: u16 = 0;

/// Writes a decision.
pub(super) fn changes(
    connection: &Connection,
    programme: u16,
    rows: &Rows,
    changes: &Changes,
) -> Result<(), StoreError> {
    for row in &changes.operations {
        insert_operation(connection, programme, row)?;
    }
    insert_receipts_and_identifiers(connection, programme, changes)?;
    for (node, incarnation, row) in &changes.logs {
        put_log(connection, *node, *incarnation, row)?;
    }
    if let Some(tip) = changes.hub_log {
        let incarnation = Incarnation(programme.into());
        put_log(connection, NodeId::HUB, incarnation, &hub_log_row(tip))?;
    }
    put_members(connection, programme, rows, changes)?;
    insert_keys(connection, programme, changes)?;
    for row in latest_profiles(&changes.profiles) {
        put_profile(connection, programme, row)?;
    }
    for (member, lost) in &changes.erased {
        erase(connection, programme, *member, lost)?;
    }
    for row in &changes.blocks {
        insert_block(connection, programme, row)?;
    }
    if let Some(last) = block_last(changes)? {
        const BLOCK_LAST: &str = "INSERT INTO counter (name, scope, value) VALUES ('block', ?, ?) \
            ON CONFLICT DO UPDATE SET value = excluded.value";
        execute(connection, BLOCK_LAST, params![programme, last])?;
    }
    for row in &changes.cases {
        insert_case(connection, programme, row)?;
    }
    changes
        .audit
        .iter()
        .try_for_each(|row| insert_audit(connection, row))
}

/// Writes changes of entities and the note about them.
pub(super) fn entities(
    connection: &Connection,
    changes: &[EntityChange],
    audit: Option<&AuditRow>,
) -> Result<(), StoreError> {
    for change in changes {
        entity(connection, change)?;
    }
    if is_news(changes) {
        next(connection, "entities", 0, 1)?;
    }
    audit
        .into_iter()
        .try_for_each(|row| insert_audit(connection, row))
}

/// Writes a proposal, which takes the place of the one that waits.
pub(super) fn propose(
    connection: &Connection,
    programme: ProgrammeId,
    row: &ProposalRow,
) -> Result<(), StoreError> {
    let at_ms = column(row.proposed_ms, "time")?;
    let author = text_column(&row.author);
    let place = params![author, at_ms, programme.0];
    execute(connection, proposal::SUPERSEDE, place)?;
    let number = column(row.number, "proposal")?;
    let values = params![programme.0, number, author, at_ms, row.body];
    insert(connection, proposal::PROPOSE, values, "proposal")
}

/// Settles a proposal that waits.
pub(super) fn settle(connection: &Connection, settlement: &Settlement) -> Result<(), StoreError> {
    let decision = &settlement.decision;
    let values = params![
        decision.outcome.word(),
        text_column(&decision.by),
        column(decision.at_ms, "time")?,
        text_column(decision.outcome.reason()),
        decision.outcome.publication(),
        settlement.programme.0,
        column_or_end(settlement.number),
    ];
    match connection
        .prepare_cached(proposal::SETTLE)?
        .execute(values)?
    {
        1 => Ok(()),
        _ => Err(StoreError::Refused("proposal")),
    }
}

/// Writes an entity; `Exists` when another version is stored than the change expects.
fn entity(connection: &Connection, change: &EntityChange) -> Result<(), StoreError> {
    const VERSION: &str = "SELECT version FROM entity WHERE kind = ? AND id = ?";
    const PUT: &str = "INSERT INTO entity (kind, id, version, body) VALUES (?, ?, ?, ?) \
        ON CONFLICT DO UPDATE SET version = excluded.version, body = excluded.body";
    const REMOVE: &str = "DELETE FROM entity WHERE kind = ? AND id = ?";
    let kind = entity_kind(change.kind);
    let id = text_column(&change.id);
    let stored = one(connection, VERSION, params![kind, id], |row| {
        number::<u64>(row, 0, "entity")
    })?;
    let version = stored.unwrap_or(0);
    if change.expected.is_some_and(|expected| expected != version) {
        return Err(StoreError::Exists(kind));
    }
    match &change.body {
        Some(body) => {
            let version = column(version.saturating_add(1), "version")?;
            execute(connection, PUT, params![kind, id, version, body])
        }
        None => execute(connection, REMOVE, params![kind, id]),
    }
}

/// Writes a staff action under the next number.
pub(super) fn insert_audit(connection: &Connection, row: &AuditRow) -> Result<(), StoreError> {
    const AUDIT: &str = "INSERT INTO audit (number, at_ms, actor, action, subject, details) \
        VALUES (?, ?, ?, ?, ?, ?)";
    let place = next(connection, "audit", 0, 1)?;
    let at_ms = column(row.at_ms, "time")?;
    let texts = [&row.actor, &row.action, &row.subject, &row.details].map(|text| text_column(text));
    let [actor, action, subject, details] = texts;
    let params = params![place, at_ms, actor, action, subject, details];
    insert(connection, AUDIT, params, "audit number")
}

/// Raises a counter and says where it stands then.
pub(super) fn next(
    connection: &Connection,
    name: &str,
    scope: u16,
    count: i64,
) -> Result<i64, StoreError> {
    const NEXT: &str = "INSERT INTO counter (name, scope, value) VALUES (?, ?, ?) \
        ON CONFLICT DO UPDATE SET value = value + excluded.value RETURNING value";
    let value = one(connection, NEXT, params![name, scope, count], |row| {
        number(row, 0, "counter")
    })?;
    value.ok_or(StoreError::Damaged("counter"))
}

fn execute(connection: &Connection, sql: &str, params: impl Params) -> Result<(), StoreError> {
    connection.prepare_cached(sql)?.execute(params)?;
    Ok(())
}

/// Writes a new row; `what` names it when it is there already.
fn insert(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    what: &'static str,
) -> Result<(), StoreError> {
    match connection.prepare_cached(sql)?.execute(params) {
        Ok(_) => Ok(()),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
            Err(StoreError::Exists(what))
        }
        Err(error) => Err(error.into()),
    }
}

fn insert_operation(
    connection: &Connection,
    programme: u16,
    row: &OperationRow,
) -> Result<(), StoreError> {
    const OPERATION: &str = "INSERT INTO operation (node, incarnation, sequence, programme, stamp, member, store, kind, \
        taken_in_ms, verdict, reason, head, bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let member = row.member.map(|id| column(id.0, "member identifier"));
    let params = params![
        row.id.node.0,
        row.id.incarnation.0,
        column(row.id.sequence, "sequence")?,
        programme,
        column(row.stamp.0, "stamp")?,
        member.transpose()?,
        row.store.map(|store| store.0),
        operation_kind(row.kind),
        column(row.taken_in_ms, "time")?,
        verdict_column(row.verdict),
        text_column(&row.reason),
        row.head,
        row.bytes,
    ];
    insert(connection, OPERATION, params, "operation")
}

fn insert_receipts_and_identifiers(
    connection: &Connection,
    programme: u16,
    changes: &Changes,
) -> Result<(), StoreError> {
    const RECEIPT: &str = "INSERT INTO receipt (programme, till, day, number, node, incarnation, sequence) \
        VALUES (?, ?, ?, ?, ?, ?, ?)";
    const IDENTIFIER: &str =
        "INSERT INTO identifier (programme, hash, kind, member) VALUES (?, ?, ?, ?)";
    for (key, first) in &changes.receipts {
        let params = params![
            programme,
            key.till.0,
            key.day.0,
            column(key.number, "receipt number")?,
            first.node.0,
            first.incarnation.0,
            column(first.sequence, "sequence")?,
        ];
        insert(connection, RECEIPT, params, "receipt")?;
    }
    for (hash, kind, member) in &changes.identifiers {
        let member = column(member.0, "member identifier")?;
        let params = params![programme, hash.0, identifier_kind_column(*kind), member];
        insert(connection, IDENTIFIER, params, "identifier")?;
    }
    Ok(())
}

fn put_log(
    connection: &Connection,
    node: NodeId,
    incarnation: Incarnation,
    row: &LogRow,
) -> Result<(), StoreError> {
    const LOG: &str = "INSERT INTO log (node, incarnation, sequence, head, stamp, frozen, seal_signature) \
        VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET sequence = excluded.sequence, head = excluded.head, \
        stamp = excluded.stamp, frozen = excluded.frozen, seal_signature = excluded.seal_signature";
    let params = params![
        node.0,
        incarnation.0,
        column(row.tip.sequence, "sequence")?,
        row.tip.head.0,
        column(row.tip.stamp.0, "stamp")?,
        row.frozen,
        row.seal_signature,
    ];
    execute(connection, LOG, params)
}

fn put_members(
    connection: &Connection,
    programme: u16,
    rows: &Rows,
    changes: &Changes,
) -> Result<(), StoreError> {
    const HEAD: &str = "INSERT INTO partition_head (programme, partition, head) VALUES (?, ?, ?) \
        ON CONFLICT DO UPDATE SET head = head + excluded.head RETURNING head";
    const MEMBER: &str = "INSERT INTO member (programme, id, position, due_ms, record, identifiers) \
        VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET position = excluded.position, due_ms = excluded.due_ms, \
        record = excluded.record, identifiers = excluded.identifiers";
    let writes = member_writes(rows, changes, PARTITION + 1)?;
    if writes.is_empty() {
        return Ok(());
    }
    let count = i64::try_from(writes.len()).map_err(|_| StoreError::TooLarge)?;
    let head = one(
        connection,
        HEAD,
        params![programme, PARTITION, count],
        |row| number::<i64>(row, 0, "partition_head"),
    )?;
    let head = head.ok_or(StoreError::Damaged("partition_head"))?;
    for (position, write) in (head - count + 1..).zip(&writes) {
        let params = params![
            programme,
            write.id,
            position,
            write.due_ms,
            write.record,
            write.identifiers
        ];
        execute(connection, MEMBER, params)?;
    }
    Ok(())
}

fn insert_keys(
    connection: &Connection,
    programme: u16,
    changes: &Changes,
) -> Result<(), StoreError> {
    const KEY: &str =
        "INSERT INTO member_key (programme, member, key) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
    for (member, key) in &changes.keys {
        let member = column(member.0, "member identifier")?;
        execute(connection, KEY, params![programme, member, key.0])?;
    }
    Ok(())
}

fn erase(
    connection: &Connection,
    programme: u16,
    member: MemberId,
    lost: &[IdentifierHash],
) -> Result<(), StoreError> {
    const KEY: &str = "INSERT INTO member_key (programme, member, key) VALUES (?, ?, NULL) \
        ON CONFLICT DO UPDATE SET key = NULL";
    const FIELDS: &str = "DELETE FROM profile WHERE programme = ? AND member = ?";
    const IDENTIFIER: &str =
        "DELETE FROM identifier WHERE programme = ? AND hash = ? AND member = ?";
    let member = column(member.0, "member identifier")?;
    execute(connection, KEY, params![programme, member])?;
    execute(connection, FIELDS, params![programme, member])?;
    lost.iter()
        .try_for_each(|hash| execute(connection, IDENTIFIER, params![programme, hash.0, member]))
}

fn put_profile(
    connection: &Connection,
    programme: u16,
    row: &ProfileRow,
) -> Result<(), StoreError> {
    const PROFILE: &str = "INSERT INTO profile (programme, member, field, stamp, node, incarnation, sequence, sealed) \
        VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET stamp = excluded.stamp, node = excluded.node, \
        incarnation = excluded.incarnation, sequence = excluded.sequence, sealed = excluded.sealed \
        WHERE (excluded.stamp, excluded.node, excluded.incarnation, excluded.sequence) \
            > (profile.stamp, profile.node, profile.incarnation, profile.sequence)";
    let (stamp, id) = row.written;
    let params = params![
        programme,
        column(row.member.0, "member identifier")?,
        field_column(&row.field),
        column(stamp.0, "stamp")?,
        id.node.0,
        id.incarnation.0,
        column(id.sequence, "sequence")?,
        row.sealed.0,
    ];
    execute(connection, PROFILE, params)
}

fn insert_block(connection: &Connection, programme: u16, row: &BlockRow) -> Result<(), StoreError> {
    const BLOCK: &str =
        "INSERT INTO block_order (programme, number, card, signed) VALUES (?, ?, ?, ?)";
    let number = column(row.number, "block order")?;
    let params = params![programme, number, row.subject.0, row.signed];
    insert(connection, BLOCK, params, "block order")
}

fn insert_case(connection: &Connection, programme: u16, row: &CaseRow) -> Result<(), StoreError> {
    const CASE: &str = "INSERT INTO suspicion (programme, number, opened_ms, kind, node, member, operation_node, \
        operation_incarnation, operation_sequence, summary, evidence) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let member = row.member.map(|id| column(id.0, "member identifier"));
    let sequence = row.operation.map(|id| column(id.sequence, "sequence"));
    let params = params![
        programme,
        next(connection, "case", programme, 1)?,
        column(row.opened_ms, "time")?,
        case_kind(row.kind),
        row.node.map(|node| node.0),
        member.transpose()?,
        row.operation.map(|id| id.node.0),
        row.operation.map(|id| id.incarnation.0),
        sequence.transpose()?,
        text_column(&row.summary),
        row.evidence,
    ];
    insert(connection, CASE, params, "case number")
}
