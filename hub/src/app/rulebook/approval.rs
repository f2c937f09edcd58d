//! The second person: publications of large effect wait as proposals until somebody other than their author agrees.
//!
//! What may pass without one is said by thresholds in the programme's settings at the hub, and not in the rule book:
//! stores have no use for them, and who edits a draft must not move the bar that the draft is measured by.

use kopilka_crdt::ids::ProgrammeId;
use kopilka_crdt::rulebook::RuleBook;
use kopilka_rules::replay::{Figures, Large, Thresholds};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::publish::{self, Numbered};
use super::{RuleBookError, parse, saves};
use crate::app::Hub;
use crate::app::action::{ATTEMPTS_MAX, ActionError, Actor, text};
use crate::app::catalogue::programmes;
use crate::app::entities::{PublicationEntity, hex};
use crate::app::staff::{self, Permission, StaffEntity};
use crate::store::{ProposalDecision, ProposalOutcome, ProposalRow, Settlement, StoreError};

/// Longest reason for a rejection, in bytes.
const REASON_BYTES_MAX: usize = 400;
/// Proposals that a list shows, the newest.
const LISTED_MAX: usize = 20;

/// What was proposed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposed {
    /// Why, in words.
    pub note: String,
    /// Number of the publication that it was compared with.
    pub base: u32,
    /// The draft's heads: hashes of its last changes.
    pub heads: Vec<String>,
    /// Hexadecimal BLAKE3 of the rule book in canonical JSON.
    pub rules_hash: String,
    /// What makes its effect large.
    pub large: Vec<Large>,
    /// What the replay found.
    pub figures: Figures,
}

/// A proposal as it stands.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// The programme.
    pub programme: ProgrammeId,
    /// The row.
    pub row: ProposalRow,
    /// What was proposed.
    pub proposed: Proposed,
    /// Logins of those who may decide about it; empty once it was decided.
    pub approvers: Vec<String>,
}

/// The newest proposals of a programme, newest first.
pub async fn all(hub: &Hub, programme: ProgrammeId) -> Result<Vec<Proposal>, ActionError> {
    programmes::one(hub, programme).await?;
    let rows = hub.store.proposals(programme, None, LISTED_MAX).await?;
    let staff = staff::all(hub).await?;
    Ok(rows
        .into_iter()
        .map(|row| read(programme, row, &staff))
        .collect::<Result<_, _>>()?)
}

/// One proposal.
pub async fn one(hub: &Hub, programme: ProgrammeId, number: u64) -> Result<Proposal, ActionError> {
    let after = number.saturating_add(1);
    let rows = hub.store.proposals(programme, Some(after), 1).await?;
    let row = rows.into_iter().find(|row| row.number == number);
    let row = row.ok_or_else(|| ActionError::not_found("proposal", number))?;
    Ok(read(programme, row, &staff::all(hub).await?)?)
}

fn read(
    programme: ProgrammeId,
    row: ProposalRow,
    staff: &[StaffEntity],
) -> Result<Proposal, StoreError> {
    let proposed =
        serde_json::from_slice(&row.body).map_err(|_| StoreError::Damaged("proposal"))?;
    let may = |one: &&StaffEntity| {
        one.enabled && one.login != row.author && Permission::ApproveRules.allows(one.role)
    };
    let approvers = match row.decision {
        None => staff
            .iter()
            .filter(may)
            .map(|one| one.login.clone())
            .collect(),
        Some(_) => Vec::new(),
    };
    Ok(Proposal {
        programme,
        row,
        proposed,
        approvers,
    })
}

/// Has a draft wait for a second person. A draft that waits already is not proposed again.
pub(super) async fn propose(
    hub: &Hub,
    actor: &Actor,
    programme: ProgrammeId,
    proposed: &Proposed,
) -> Result<Proposal, RuleBookError> {
    let staff = staff::all(hub).await?;
    for _ in 0..ATTEMPTS_MAX {
        let newest = hub.store.proposals(programme, None, 1).await?.pop();
        let number = newest
            .as_ref()
            .map_or(1, |row| row.number.saturating_add(1));
        if let Some(row) = newest.filter(|row| row.decision.is_none()) {
            let waiting = read(programme, row, &staff)?;
            let asked = |one: &Proposed| (one.base, one.heads.clone(), one.rules_hash.clone());
            if asked(&waiting.proposed) == asked(proposed) {
                return Ok(waiting);
            }
        }
        let row = ProposalRow {
            number,
            author: actor.name().to_owned(),
            proposed_ms: (hub.clock)(),
            body: serde_json::to_vec(proposed).expect("a proposal is plain data"),
            decision: None,
        };
        let details = json!({ "note": proposed.note, "rules_hash": proposed.rules_hash,
            "large": proposed.large, "effect_permille": proposed.figures.effect_permille() });
        let subject = format!("{programme}/{number}");
        let audit = actor.audit(row.proposed_ms, "rulebook.propose", &subject, &details);
        match hub.store.propose(programme, &row, &audit).await {
            Ok(()) => return Ok(read(programme, row, &staff)?),
            Err(StoreError::Exists(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(StoreError::Contended.into())
}

/// Publishes exactly what was proposed, if the draft and the rules in force are still those of the proposal.
pub async fn approve(
    hub: &Hub,
    by: &StaffEntity,
    programme: ProgrammeId,
    number: u64,
) -> Result<PublicationEntity, RuleBookError> {
    let actor = may_decide(by)?;
    let Proposal { row, proposed, .. } = waiting(hub, programme, number).await?;
    if row.author == by.login {
        return Err(RuleBookError::OwnProposal);
    }
    let mut stored = saves::load(hub, programme, row.author.as_bytes()).await?;
    let rules = parse(&stored.document.value()?)?;
    let entity = programmes::one(hub, programme).await?;
    let in_force = entity.value.publication;
    let now = (stored.document.heads(), rules_hash(&rules), in_force);
    if now != (proposed.heads, proposed.rules_hash, proposed.base) {
        return Err(RuleBookError::Stale);
    }
    let details = json!({ "note": proposed.note, "proposal": number, "author": row.author });
    let numbered = Numbered {
        programme: entity,
        rules,
        draft: stored.changes(programme)?,
        author: &Actor::staff(&row.author),
        note: &proposed.note,
        action: "rulebook.approve",
        details,
        proposal: Some(number),
    };
    match publish::issue(hub, &actor, numbered).await {
        Ok(Some(publication)) => Ok(publication),
        // The draft or the programme changed since they were read.
        Ok(None) => Err(RuleBookError::Stale),
        Err(error) => Err(settled_meanwhile(error)),
    }
}

/// Turns a proposal down; its author may take it back so.
pub async fn reject(
    hub: &Hub,
    by: &StaffEntity,
    programme: ProgrammeId,
    number: u64,
    reason: &str,
) -> Result<Proposal, RuleBookError> {
    let Proposal { row, .. } = waiting(hub, programme, number).await?;
    let actor = if row.author == by.login {
        Actor::staff(&by.login)
    } else {
        may_decide(by)?
    };
    let reason = text("reason", reason, REASON_BYTES_MAX)?;
    let at_ms = (hub.clock)();
    let settlement = Settlement {
        programme,
        number,
        decision: ProposalDecision {
            outcome: ProposalOutcome::Rejected {
                reason: reason.clone(),
            },
            by: actor.name().to_owned(),
            at_ms,
        },
    };
    let subject = format!("{programme}/{number}");
    let audit = actor.audit(
        at_ms,
        "rulebook.reject",
        &subject,
        &json!({ "reason": reason }),
    );
    let settled = hub.store.settle(&settlement, &[], &audit).await;
    settled.map_err(|error| settled_meanwhile(error.into()))?;
    Ok(one(hub, programme, number).await?)
}

/// Says from which effect on a programme's publications need a second person.
pub async fn set_thresholds(
    hub: &Hub,
    actor: &Actor,
    programme: ProgrammeId,
    effect_permille: Option<u32>,
    receipts_permille: Option<u32>,
) -> Result<Thresholds, ActionError> {
    for _ in 0..ATTEMPTS_MAX {
        let mut entity = programmes::one(hub, programme).await?;
        let known = entity.value.approval;
        let thresholds = Thresholds {
            effect_permille: effect_permille.unwrap_or(known.effect_permille),
            receipts_permille: receipts_permille.unwrap_or(known.receipts_permille),
        };
        entity.value.approval = thresholds;
        let details = json!({ "from": known, "to": thresholds });
        let audit = actor.audit((hub.clock)(), "programme.approval", programme, &details);
        let change = entity.change();
        match hub.store.change_entities(&[change], Some(&audit)).await {
            Ok(()) => return Ok(thresholds),
            Err(StoreError::Exists(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(StoreError::Contended.into())
}

/// Hexadecimal BLAKE3 of a rule book in canonical JSON.
pub(super) fn rules_hash(rules: &RuleBook) -> String {
    let json = serde_json::to_vec(rules).expect("a rule book is plain data with string keys");
    hex(blake3::hash(&json).as_bytes())
}

fn may_decide(by: &StaffEntity) -> Result<Actor, RuleBookError> {
    if by.enabled && Permission::ApproveRules.allows(by.role) {
        Ok(Actor::staff(&by.login))
    } else {
        Err(RuleBookError::NoApprover)
    }
}

async fn waiting(
    hub: &Hub,
    programme: ProgrammeId,
    number: u64,
) -> Result<Proposal, RuleBookError> {
    let proposal = one(hub, programme, number).await?;
    match &proposal.row.decision {
        None => Ok(proposal),
        Some(decision) => Err(RuleBookError::Settled(decision.outcome.word())),
    }
}

/// Somebody else was quicker.
fn settled_meanwhile(error: RuleBookError) -> RuleBookError {
    let refused = |error: &RuleBookError| {
        matches!(
            error,
            RuleBookError::Action(ActionError::Store(StoreError::Refused(_)))
        )
    };
    if refused(&error) {
        RuleBookError::Settled("settled")
    } else {
        error
    }
}
