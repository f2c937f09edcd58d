//! Reads for nodes and staff, each in one view of the data.

use std::collections::BTreeMap;

use kopilka_crdt::identifier::IdentifierHash;
use kopilka_crdt::ids::{Incarnation, MemberId, NodeId, OperationId, ProgrammeId};
use kopilka_crdt::sealed::MemberKey;
use rusqlite::{Connection, params};

use super::load::{all, one, tip};
use crate::store::StoreError;
use crate::store::columns::{
    audit_row, block_row, case_row, column, column_or_end, entity_kind, entity_row, feed_columns,
    feed_row, history_cursor, key_row, limit_column, number, operation_row, prefix_range,
    profile_row, programme_number, text_column,
};
use crate::store::proposal::{PROPOSALS, ProposalRow, proposal_row};
use crate::store::rows::{
    AuditRow, BlockRow, CaseRow, Entity, EntityKind, FeedPage, Heads, OperationRow, ProfileRow,
};
use crate::store::statements;

/// Members after a position. All are in the one partition.
pub(super) fn feed(
    view: &Connection,
    programme: ProgrammeId,
    partition: u16,
    after: u64,
    limit: usize,
    log: (NodeId, Incarnation),
) -> Result<FeedPage, StoreError> {
    const FEED: &str = concat!(
        "SELECT ",
        feed_columns!(),
        " FROM member WHERE programme = ? AND ? = 0 AND position > ? ORDER BY position LIMIT ?"
    );
    let after = column_or_end(after);
    let place = params![programme.0, partition, after, limit_column(limit)];
    Ok(FeedPage {
        members: all(view, FEED, place, |row| feed_row(row))?,
        head: head(view, programme, partition)?,
        applied: tip(view, log)?,
    })
}

/// Members after an identifier.
pub(super) fn snapshot(
    view: &Connection,
    programme: ProgrammeId,
    partition: u16,
    after: Option<MemberId>,
    limit: usize,
    log: (NodeId, Incarnation),
) -> Result<FeedPage, StoreError> {
    const SNAPSHOT: &str = concat!(
        "SELECT ",
        feed_columns!(),
        " FROM member WHERE programme = ? AND ? = 0 AND id > ? ORDER BY id LIMIT ?"
    );
    let after = match after {
        Some(id) => column(id.0, "member identifier")?,
        None => -1,
    };
    let place = params![programme.0, partition, after, limit_column(limit)];
    Ok(FeedPage {
        members: all(view, SNAPSHOT, place, |row| feed_row(row))?,
        head: head(view, programme, partition)?,
        applied: tip(view, log)?,
    })
}

fn head(view: &Connection, programme: ProgrammeId, partition: u16) -> Result<u64, StoreError> {
    let head = one(
        view,
        statements::HEAD,
        params![programme.0, partition],
        |row| number(row, 0, "partition_head"),
    )?;
    Ok(head.unwrap_or(0))
}

/// Members with an allowance to be looked at.
pub(super) fn members_due(
    view: &Connection,
    programme: ProgrammeId,
    now_ms: u64,
    limit: usize,
) -> Result<Vec<MemberId>, StoreError> {
    let place = params![programme.0, column_or_end(now_ms), limit_column(limit)];
    all(view, statements::DUE, place, |row| {
        Ok(MemberId(number(row, 0, "member")?))
    })
}

/// A member's operations, newest first.
pub(super) fn operations_of(
    view: &Connection,
    programme: ProgrammeId,
    member: MemberId,
    before: Option<(u64, OperationId)>,
    limit: usize,
) -> Result<Vec<OperationRow>, StoreError> {
    let (taken_in_ms, node, incarnation, sequence) = history_cursor(before);
    let place = params![
        programme.0,
        column(member.0, "member identifier")?,
        taken_in_ms,
        node,
        incarnation,
        sequence,
        limit_column(limit),
    ];
    all(view, statements::HISTORY, place, |row| operation_row(row))
}

/// A programme's purchases, newest first.
pub(super) fn purchases(
    view: &Connection,
    programme: ProgrammeId,
    before: Option<(u64, OperationId)>,
    limit: usize,
) -> Result<Vec<OperationRow>, StoreError> {
    let (taken_in_ms, node, incarnation, sequence) = history_cursor(before);
    let limit = limit_column(limit);
    let place = params![programme.0, taken_in_ms, node, incarnation, sequence, limit];
    all(view, statements::PURCHASES, place, |row| operation_row(row))
}

/// Operations of one log, in order.
pub(super) fn operations_between(
    view: &Connection,
    (node, incarnation): (NodeId, Incarnation),
    from: u64,
    to: u64,
    limit: usize,
) -> Result<Vec<OperationRow>, StoreError> {
    let place = params![
        node.0,
        incarnation.0,
        column_or_end(from),
        column_or_end(to),
        limit_column(limit),
    ];
    all(view, statements::RUN, place, |row| operation_row(row))
}

/// A member's key and sealed fields.
pub(super) fn profile(
    view: &Connection,
    programme: ProgrammeId,
    member: MemberId,
) -> Result<(Option<MemberKey>, Vec<ProfileRow>), StoreError> {
    let place = params![programme.0, column(member.0, "member identifier")?];
    let key = one(view, statements::KEY, place, |row| key_row(row))?;
    let fields = all(view, statements::FIELDS, place, |row| {
        profile_row(row, member)
    })?;
    Ok((key, fields))
}

/// Block orders after a number.
pub(super) fn blocks_after(
    view: &Connection,
    programme: ProgrammeId,
    after: u64,
    limit: usize,
) -> Result<Vec<BlockRow>, StoreError> {
    let place = params![programme.0, column_or_end(after), limit_column(limit)];
    all(view, statements::BLOCKS, place, |row| block_row(row))
}

/// The latest block order about each thing in a range.
pub(super) fn latest_blocks(
    view: &Connection,
    programme: ProgrammeId,
    [from, through]: [IdentifierHash; 2],
    limit: usize,
) -> Result<Vec<BlockRow>, StoreError> {
    let place = params![programme.0, from.0, through.0, limit_column(limit)];
    all(view, statements::LATEST_BLOCKS, place, |row| block_row(row))
}

/// Cases, newest first.
pub(super) fn cases(
    view: &Connection,
    programme: ProgrammeId,
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<(u64, CaseRow)>, StoreError> {
    let before = column_or_end(before.unwrap_or(u64::MAX));
    let place = params![programme.0, before, limit_column(limit)];
    all(view, statements::CASES, place, |row| case_row(row))
}

/// Staff actions, newest first.
pub(super) fn audit(
    view: &Connection,
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<(u64, AuditRow)>, StoreError> {
    let before = column_or_end(before.unwrap_or(u64::MAX));
    all(
        view,
        statements::AUDIT,
        params![before, limit_column(limit)],
        |row| audit_row(row),
    )
}

/// A programme's proposals, newest first.
pub(super) fn proposals(
    view: &Connection,
    programme: ProgrammeId,
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<ProposalRow>, StoreError> {
    let before = column_or_end(before.unwrap_or(u64::MAX));
    let place = params![programme.0, before, limit_column(limit)];
    all(view, PROPOSALS, place, |row| proposal_row(row))
}

/// One entity.
pub(super) fn entity(
    view: &Connection,
    kind: EntityKind,
    id: &str,
) -> Result<Option<Entity>, StoreError> {
    one(
        view,
        statements::ENTITY,
        params![entity_kind(kind), text_column(id)],
        |row| entity_row(row),
    )
}

/// Entities whose identifier starts with a prefix.
pub(super) fn entities(
    view: &Connection,
    kind: EntityKind,
    prefix: &str,
) -> Result<Vec<Entity>, StoreError> {
    let (start, end) = prefix_range(prefix);
    all(
        view,
        statements::ENTITIES,
        params![entity_kind(kind), start, end],
        |row| entity_row(row),
    )
}

/// What is newest.
pub(super) fn heads(view: &Connection) -> Result<Heads, StoreError> {
    const FEED: &str = "SELECT programme, head FROM partition_head";
    let feed: BTreeMap<u16, u64> = all(view, FEED, [], |row| {
        programme_number(row, "partition_head")
    })?;
    let entities = one(view, statements::ENTITY_HEAD, [], |row| {
        number(row, 0, "counter")
    })?;
    Ok(Heads {
        feed: feed
            .into_iter()
            .map(|(programme, head)| (programme, vec![head]))
            .collect(),
        blocks: all(view, statements::BLOCK_HEADS, [], |row| {
            programme_number(row, "counter")
        })?,
        entities: entities.unwrap_or(0),
    })
}
