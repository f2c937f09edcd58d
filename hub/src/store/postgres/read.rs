//! Reads for nodes and staff, each in one view of the data.

use std::collections::BTreeMap;

use kopilka_crdt::identifier::IdentifierHash;
use kopilka_crdt::ids::{Incarnation, MemberId, NodeId, OperationId, ProgrammeId};
use kopilka_crdt::sealed::MemberKey;
use tokio_postgres::Row;

use super::load::tip;
use super::pool::{Session, Values};
use crate::store::StoreError;
use crate::store::columns::{
    audit_row, block_row, case_row, column, column_or_end, entity_kind, entity_row, feed_columns,
    feed_row, history_cursor, key_row, limit_column, log_row, number, operation_row, prefix_range,
    profile_row, programme_number, text_column,
};
use crate::store::rows::{
    AuditRow, BlockRow, CaseRow, Entity, EntityKind, FeedPage, Heads, LogRow, OperationRow,
    ProfileRow,
};
use crate::store::statements;

async fn all<T, C: FromIterator<T>>(
    view: &mut Session<'_>,
    sql: &'static str,
    values: Values<'_>,
    read: impl Fn(&Row) -> Result<T, StoreError>,
) -> Result<C, StoreError> {
    let rows = view.query(sql, values).await?;
    rows.iter().map(read).collect()
}

/// Members after a position.
pub(super) async fn feed(
    view: &mut Session<'_>,
    programme: ProgrammeId,
    partition: u16,
    after: u64,
    limit: usize,
    log: (NodeId, Incarnation),
) -> Result<FeedPage, StoreError> {
    const FEED: &str = concat!(
        "SELECT ",
        feed_columns!(),
        " FROM member WHERE programme = $1 AND partition = $2 AND position > $3 ORDER BY position LIMIT $4"
    );
    page(
        view,
        FEED,
        programme,
        partition,
        column_or_end(after),
        limit,
        log,
    )
    .await
}

/// Members after an identifier.
pub(super) async fn snapshot(
    view: &mut Session<'_>,
    programme: ProgrammeId,
    partition: u16,
    after: Option<MemberId>,
    limit: usize,
    log: (NodeId, Incarnation),
) -> Result<FeedPage, StoreError> {
    const SNAPSHOT: &str = concat!(
        "SELECT ",
        feed_columns!(),
        " FROM member WHERE programme = $1 AND partition = $2 AND id > $3 ORDER BY id LIMIT $4"
    );
    let after = after.map_or(-1, |id| column_or_end(id.0));
    page(view, SNAPSHOT, programme, partition, after, limit, log).await
}

async fn page(
    view: &mut Session<'_>,
    sql: &'static str,
    programme: ProgrammeId,
    partition: u16,
    after: i64,
    limit: usize,
    log: (NodeId, Incarnation),
) -> Result<FeedPage, StoreError> {
    let (programme, partition) = (i64::from(programme.0), i64::from(partition));
    let values: Values<'_> = &[&programme, &partition, &after, &limit_column(limit)];
    let members = all(view, sql, values, feed_row).await?;
    let head = view
        .query_one(statements::HEAD, &[&programme, &partition])
        .await?;
    let head = head.map(|row| number(&row, 0, "partition_head"));
    Ok(FeedPage {
        members,
        head: head.transpose()?.unwrap_or(0),
        applied: tip(view, log).await?,
    })
}

/// Members with an allowance to be looked at.
pub(super) async fn members_due(
    view: &mut Session<'_>,
    programme: ProgrammeId,
    now_ms: u64,
    limit: usize,
) -> Result<Vec<MemberId>, StoreError> {
    let values: Values<'_> = &[
        &i64::from(programme.0),
        &column_or_end(now_ms),
        &limit_column(limit),
    ];
    all(view, statements::DUE, values, |row| {
        Ok(MemberId(number(row, 0, "member")?))
    })
    .await
}

/// A member's operations, newest first.
pub(super) async fn operations_of(
    view: &mut Session<'_>,
    programme: ProgrammeId,
    member: MemberId,
    before: Option<(u64, OperationId)>,
    limit: usize,
) -> Result<Vec<OperationRow>, StoreError> {
    let (taken_in_ms, node, incarnation, sequence) = history_cursor(before);
    let values: Values<'_> = &[
        &i64::from(programme.0),
        &column(member.0, "member identifier")?,
        &taken_in_ms,
        &node,
        &incarnation,
        &sequence,
        &limit_column(limit),
    ];
    all(view, statements::HISTORY, values, operation_row).await
}

/// A programme's purchases, newest first.
pub(super) async fn purchases(
    view: &mut Session<'_>,
    programme: ProgrammeId,
    before: Option<(u64, OperationId)>,
    limit: usize,
) -> Result<Vec<OperationRow>, StoreError> {
    let (taken_in_ms, node, incarnation, sequence) = history_cursor(before);
    let values: Values<'_> = &[
        &i64::from(programme.0),
        &taken_in_ms,
        &node,
        &incarnation,
        &sequence,
        &limit_column(limit),
    ];
    all(view, statements::PURCHASES, values, operation_row).await
}

/// Operations of one log, in order.
pub(super) async fn operations_between(
    view: &mut Session<'_>,
    (node, incarnation): (NodeId, Incarnation),
    from: u64,
    to: u64,
    limit: usize,
) -> Result<Vec<OperationRow>, StoreError> {
    let values: Values<'_> = &[
        &i64::from(node.0),
        &i64::from(incarnation.0),
        &column_or_end(from),
        &column_or_end(to),
        &limit_column(limit),
    ];
    all(view, statements::RUN, values, operation_row).await
}

/// Every log of a node.
pub(super) async fn logs(
    view: &mut Session<'_>,
    node: NodeId,
) -> Result<BTreeMap<Incarnation, LogRow>, StoreError> {
    all(view, statements::LOGS, &[&i64::from(node.0)], |row| {
        let ((_, incarnation), row) = log_row(row)?;
        Ok((incarnation, row))
    })
    .await
}

/// A member's key and sealed fields.
pub(super) async fn profile(
    view: &mut Session<'_>,
    programme: ProgrammeId,
    member: MemberId,
) -> Result<(Option<MemberKey>, Vec<ProfileRow>), StoreError> {
    let place: Values<'_> = &[
        &i64::from(programme.0),
        &column(member.0, "member identifier")?,
    ];
    let key = view.query_one(statements::KEY, place).await?;
    let key = key.map(|row| key_row(&row)).transpose()?;
    let fields = all(view, statements::FIELDS, place, |row| {
        profile_row(row, member)
    })
    .await?;
    Ok((key, fields))
}

/// Block orders after a number.
pub(super) async fn blocks_after(
    view: &mut Session<'_>,
    programme: ProgrammeId,
    after: u64,
    limit: usize,
) -> Result<Vec<BlockRow>, StoreError> {
    let values: Values<'_> = &[
        &i64::from(programme.0),
        &column_or_end(after),
        &limit_column(limit),
    ];
    all(view, statements::BLOCKS, values, block_row).await
}

/// The latest block order about each thing in a range.
pub(super) async fn latest_blocks(
    view: &mut Session<'_>,
    programme: ProgrammeId,
    [from, through]: [IdentifierHash; 2],
    limit: usize,
) -> Result<Vec<BlockRow>, StoreError> {
    let values: Values<'_> = &[
        &i64::from(programme.0),
        &from.0.as_slice(),
        &through.0.as_slice(),
        &limit_column(limit),
    ];
    all(view, statements::LATEST_BLOCKS, values, block_row).await
}

/// Cases, newest first.
pub(super) async fn cases(
    view: &mut Session<'_>,
    programme: ProgrammeId,
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<(u64, CaseRow)>, StoreError> {
    let values: Values<'_> = &[
        &i64::from(programme.0),
        &column_or_end(before.unwrap_or(u64::MAX)),
        &limit_column(limit),
    ];
    all(view, statements::CASES, values, case_row).await
}

/// Staff actions, newest first.
pub(super) async fn audit(
    view: &mut Session<'_>,
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<(u64, AuditRow)>, StoreError> {
    let before = column_or_end(before.unwrap_or(u64::MAX));
    all(
        view,
        statements::AUDIT,
        &[&before, &limit_column(limit)],
        audit_row,
    )
    .await
}

/// One entity.
pub(super) async fn entity(
    view: &mut Session<'_>,
    kind: EntityKind,
    id: &str,
) -> Result<Option<Entity>, StoreError> {
    let row = view
        .query_one(statements::ENTITY, &[&entity_kind(kind), &text_column(id)])
        .await?;
    row.map(|row| entity_row(&row)).transpose()
}

/// Entities whose identifier starts with a prefix.
pub(super) async fn entities(
    view: &mut Session<'_>,
    kind: EntityKind,
    prefix: &str,
) -> Result<Vec<Entity>, StoreError> {
    let (start, end) = prefix_range(prefix);
    let values: Values<'_> = &[&entity_kind(kind), &start, &end];
    all(view, statements::ENTITIES, values, entity_row).await
}

/// What is newest.
pub(super) async fn heads(view: &mut Session<'_>, partitions: u16) -> Result<Heads, StoreError> {
    const FEED: &str = "SELECT programme, head, partition FROM partition_head";
    let mut heads = Heads::default();
    for row in view.query(FEED, &[]).await? {
        let (programme, head) = programme_number(&row, "partition_head")?;
        let partition: usize = number(&row, 2, "partition_head")?;
        let feed = heads
            .feed
            .entry(programme)
            .or_insert_with(|| vec![0; usize::from(partitions)]);
        *feed
            .get_mut(partition)
            .ok_or(StoreError::Damaged("partition_head"))? = head;
    }
    heads.blocks = all(view, statements::BLOCK_HEADS, &[], |row| {
        programme_number(row, "counter")
    })
    .await?;
    if let Some(row) = view.query_one(statements::ENTITY_HEAD, &[]).await? {
        heads.entities = number(&row, 0, "counter")?;
    }
    Ok(heads)
}
