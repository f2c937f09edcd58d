//! Proposals to publish, and what becomes of them.

use kopilka_crdt::ids::ProgrammeId;

use super::number::insert_audit;
use super::pool::{Session, Values};
use super::{Postgres, entity};
use crate::store::StoreError;
use crate::store::columns::{column, column_or_end, limit_column, text_column};
use crate::store::proposal::{
    PROPOSALS, PROPOSE, ProposalRow, SETTLE, SUPERSEDE, Settlement, proposal_row,
};
use crate::store::rows::{AuditRow, EntityChange};

impl Postgres {
    /// Writes a proposal, once.
    pub(super) async fn attempt_proposal(
        &self,
        programme: ProgrammeId,
        row: &ProposalRow,
        audit: &AuditRow,
    ) -> Result<(), StoreError> {
        let mut lent = self.pool.lend().await?;
        let mut session = lent.change().await?;
        propose(&mut session, programme, row, audit).await?;
        session.commit().await
    }

    /// Settles a proposal together with what changes with it, once.
    pub(super) async fn attempt_settlement(
        &self,
        settlement: &Settlement,
        changes: &[EntityChange],
        audit: &AuditRow,
    ) -> Result<(), StoreError> {
        let mut lent = self.pool.lend().await?;
        let mut session = lent.change().await?;
        settle(&mut session, settlement).await?;
        entity::change(&mut session, changes, Some(audit)).await?;
        session.commit().await
    }
}

/// A programme's proposals, newest first.
pub(super) async fn proposals(
    view: &mut Session<'_>,
    programme: ProgrammeId,
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<ProposalRow>, StoreError> {
    let values: Values<'_> = &[
        &i64::from(programme.0),
        &column_or_end(before.unwrap_or(u64::MAX)),
        &limit_column(limit),
    ];
    let rows = view.query(PROPOSALS, values).await?;
    rows.iter().map(proposal_row).collect()
}

/// Writes a proposal, which takes the place of the one that waits.
async fn propose(
    session: &mut Session<'_>,
    programme: ProgrammeId,
    row: &ProposalRow,
    audit: &AuditRow,
) -> Result<(), StoreError> {
    let programme = i64::from(programme.0);
    let at_ms = column(row.proposed_ms, "time")?;
    let author = text_column(&row.author);
    session
        .execute(SUPERSEDE, &[&author, &at_ms, &programme])
        .await?;
    let number = column(row.number, "proposal")?;
    let values: Values<'_> = &[&programme, &number, &author, &at_ms, &row.body];
    session.execute(PROPOSE, values).await?;
    insert_audit(session, audit).await
}

/// Settles a proposal that waits.
async fn settle(session: &mut Session<'_>, settlement: &Settlement) -> Result<(), StoreError> {
    let decision = &settlement.decision;
    let values: Values<'_> = &[
        &decision.outcome.word(),
        &text_column(&decision.by),
        &column(decision.at_ms, "time")?,
        &text_column(decision.outcome.reason()),
        &decision.outcome.publication(),
        &i64::from(settlement.programme.0),
        &column_or_end(settlement.number),
    ];
    match session.execute(SETTLE, values).await? {
        1 => Ok(()),
        _ => Err(StoreError::Refused("proposal")),
    }
}
