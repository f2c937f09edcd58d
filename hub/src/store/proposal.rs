//! Proposals to publish: who asked, what for, and who decided. A programme has one that waits at most.

use kopilka_crdt::ids::ProgrammeId;

use super::StoreError;
use super::columns::{Columns, number};

/// A proposal to publish a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposalRow {
    /// 1, 2, 3 … within the programme.
    pub number: u64,
    /// Who asked for it.
    pub author: String,
    /// When, milliseconds since 1970.
    pub proposed_ms: u64,
    /// What was proposed, JSON.
    pub body: Vec<u8>,
    /// What became of it; none while it waits.
    pub decision: Option<ProposalDecision>,
}

/// What became of a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposalDecision {
    /// What.
    pub outcome: ProposalOutcome,
    /// Through whom.
    pub by: String,
    /// When, milliseconds since 1970.
    pub at_ms: u64,
}

/// How a proposal ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProposalOutcome {
    /// Somebody other than its author agreed.
    Approved {
        /// The publication that it became.
        publication: u32,
    },
    /// It was turned down, or taken back.
    Rejected {
        /// Why.
        reason: String,
    },
    /// A later proposal took its place.
    Superseded,
}

/// The end of a proposal that still waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// The programme.
    pub programme: ProgrammeId,
    /// Which of its proposals.
    pub number: u64,
    /// What is decided.
    pub decision: ProposalDecision,
}

const APPROVED: &str = "approved";
const REJECTED: &str = "rejected";
const SUPERSEDED: &str = "superseded";

impl ProposalOutcome {
    /// A stable word for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Approved { .. } => APPROVED,
            Self::Rejected { .. } => REJECTED,
            Self::Superseded => SUPERSEDED,
        }
    }

    pub(super) fn publication(&self) -> Option<i64> {
        match self {
            Self::Approved { publication } => Some((*publication).into()),
            Self::Rejected { .. } | Self::Superseded => None,
        }
    }

    pub(super) fn reason(&self) -> &str {
        match self {
            Self::Rejected { reason } => reason,
            Self::Approved { .. } | Self::Superseded => "",
        }
    }
}

/// A proposal out of `number, author, proposed_ms, body, outcome, decided_by, decided_ms, reason, publication`; the text
/// columns of one that waits are empty.
pub(super) fn proposal_row(row: &impl Columns) -> Result<ProposalRow, StoreError> {
    const TABLE: &str = "proposal";
    let outcome = match row.text(4)?.as_str() {
        "" => None,
        APPROVED => Some(ProposalOutcome::Approved {
            publication: number(row, 8, TABLE)?,
        }),
        REJECTED => Some(ProposalOutcome::Rejected {
            reason: row.text(7)?,
        }),
        SUPERSEDED => Some(ProposalOutcome::Superseded),
        _ => return Err(StoreError::Damaged(TABLE)),
    };
    let decision = match outcome {
        Some(outcome) => Some(ProposalDecision {
            outcome,
            by: row.text(5)?,
            at_ms: number(row, 6, TABLE)?,
        }),
        None => None,
    };
    Ok(ProposalRow {
        number: number(row, 0, TABLE)?,
        author: row.text(1)?,
        proposed_ms: number(row, 2, TABLE)?,
        body: row.bytes(3)?,
        decision,
    })
}

/// A programme's proposals, newest first.
pub(super) const PROPOSALS: &str = "SELECT number, author, proposed_ms, body, COALESCE(outcome, ''), \
    COALESCE(decided_by, ''), decided_ms, COALESCE(reason, ''), publication FROM proposal \
    WHERE programme = $1 AND number < $2 ORDER BY number DESC LIMIT $3";

/// A new proposal takes the place of the one that waits.
pub(super) const SUPERSEDE: &str = "UPDATE proposal SET outcome = 'superseded', decided_by = $1, decided_ms = $2 \
    WHERE programme = $3 AND outcome IS NULL";

/// A new proposal.
pub(super) const PROPOSE: &str = "INSERT INTO proposal (programme, number, author, proposed_ms, body) \
    VALUES ($1, $2, $3, $4, $5)";

/// Settles a proposal that waits; nobody approves their own.
pub(super) const SETTLE: &str = "UPDATE proposal SET outcome = $1, decided_by = $2, decided_ms = $3, reason = $4, \
    publication = $5 WHERE programme = $6 AND number = $7 AND outcome IS NULL AND ($1 <> 'approved' OR author <> $2)";
