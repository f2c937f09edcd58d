//! Rows that the database numbers: cases and staff actions. Their counters are locked last.

use super::pool::Session;
use crate::store::StoreError;
use crate::store::columns::{case_kind, column, number, text_column};
use crate::store::rows::{AuditRow, CaseRow};

/// Raises a counter and says where it stands then.
pub(super) async fn next(
    session: &mut Session<'_>,
    name: &str,
    scope: i64,
) -> Result<i64, StoreError> {
    const NEXT: &str = "INSERT INTO counter (name, scope, value) VALUES ($1, $2, 1) \
        ON CONFLICT (name, scope) DO UPDATE SET value = counter.value + 1 RETURNING value";
    let row = session.query_one(NEXT, &[&name, &scope]).await?;
    let row = row.ok_or(StoreError::Damaged("counter"))?;
    number(&row, 0, "counter")
}

/// Writes cases under the programme's next numbers. There are few, so each takes a statement.
pub(super) async fn insert_cases(
    session: &mut Session<'_>,
    programme: u16,
    cases: &[CaseRow],
) -> Result<(), StoreError> {
    const CASE: &str = "INSERT INTO suspicion (programme, number, opened_ms, kind, node, member, operation_node, \
        operation_incarnation, operation_sequence, summary, evidence) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    let programme = i64::from(programme);
    for row in cases {
        let member = row.member.map(|id| column(id.0, "member identifier"));
        let sequence = row.operation.map(|id| column(id.sequence, "sequence"));
        let case = next(session, "case", programme).await?;
        session
            .execute(
                CASE,
                &[
                    &programme,
                    &case,
                    &column(row.opened_ms, "time")?,
                    &case_kind(row.kind),
                    &row.node.map(|node| i64::from(node.0)),
                    &member.transpose()?,
                    &row.operation.map(|id| i64::from(id.node.0)),
                    &row.operation.map(|id| i64::from(id.incarnation.0)),
                    &sequence.transpose()?,
                    &text_column(&row.summary),
                    &row.evidence,
                ],
            )
            .await?;
    }
    Ok(())
}

/// Writes a staff action under the next number.
pub(super) async fn insert_audit(
    session: &mut Session<'_>,
    row: &AuditRow,
) -> Result<(), StoreError> {
    const AUDIT: &str = "INSERT INTO audit (number, at_ms, actor, action, subject, details) \
        VALUES ($1, $2, $3, $4, $5, $6)";
    let place = next(session, "audit", 0).await?;
    session
        .execute(
            AUDIT,
            &[
                &place,
                &column(row.at_ms, "time")?,
                &text_column(&row.actor),
                &text_column(&row.action),
                &text_column(&row.subject),
                &text_column(&row.details),
            ],
        )
        .await?;
    Ok(())
}
