//! Taking over a branch: a node's log that contradicts what the hub has of it.
//!
//! Both branches happened. The part that the hub did not have is counted under an incarnation number of its own, names
//! of its operations and lots changed accordingly; the log is frozen, the proof is kept, and a case is opened. A node
//! that wrote more before it heard of that, or never heard of it, sends a longer branch: the rest follows under the
//! same number.

mod names;
mod proof;
mod standing;

use std::collections::BTreeMap;

use kopilka_crdt::ids::{Incarnation, MemberId, NodeId, OperationId};
use kopilka_crdt::log::Tip;
use kopilka_crdt::sealed::MemberKey;
use kopilka_protocol::message::{Adoption, Renewal};
use kopilka_protocol::segment::{Received, Verified};

use super::batch::{Rules, need, tidy};
use super::ledger::Ledger;
use super::programmes_of;
use super::questionnaire::keys_of;
use crate::app::Hub;
use crate::app::entities::{Kept, NodeEntity};
use crate::store::{AuditRow, CaseRow, Changes, EntityChange, Keys, LogRow, Rows, StoreError};
use names::Names;
use standing::Standing;

/// Most operations of the stored branch that are kept as evidence.
const EVIDENCE_MAX: usize = 65_536;
/// Operations that one transaction takes over.
const PART_MAX: usize = 4_096;
/// Transactions that one branch may need: its parts, and those begun again because another session moved the logs.
const PARTS_MAX: usize = 128;

/// Takes over a branch, given as consecutive runs from the first entry that its node still holds.
///
/// `Contended` when it has more parts than may be taken over at once; those taken over are not counted again.
pub async fn adopt(
    hub: &Hub,
    node: &NodeEntity,
    runs: &[Verified],
    keys: &[(MemberId, MemberKey)],
) -> Result<Renewal, StoreError> {
    let Some(first) = runs.first() else {
        return Err(StoreError::Damaged("branch"));
    };
    let log = (node.id, first.incarnation);
    let operations: Vec<&Received> = runs.iter().flat_map(|run| &run.operations).collect();
    for _ in 0..PARTS_MAX {
        let logs = hub.store.logs(node.id).await?;
        let mut standing = Standing::of(hub, log, &operations, &logs).await?;
        let left = &operations[standing.done..];
        let Some(next) = left.first() else {
            let next = next_incarnation(node, first.incarnation, &logs);
            renew(hub, node, next).await?;
            hub.look_for_news().await?;
            let adopted = standing.parts.last().copied();
            return Ok(Renewal { next, adopted });
        };
        let mut case = None;
        if !standing.goes_on {
            let adoption = Adoption {
                from_sequence: next.id.sequence,
                incarnation: next_adopted(&logs),
            };
            standing.parts.push(adoption);
            let evidence = evidence(hub, log, runs, standing.shared, logs.get(&log.1)).await?;
            case = Some(fork_case(hub, log, adoption, left.len(), evidence));
        }
        let part = Part {
            node,
            log,
            logs: &logs,
            parts: &standing.parts,
            case,
        };
        let count = left.len().min(PART_MAX);
        part.store(hub, runs, &left[..count], keys).await?;
    }
    Err(StoreError::Contended)
}

/// An incarnation that the node never wrote under.
fn next_incarnation(
    node: &NodeEntity,
    present: Incarnation,
    logs: &BTreeMap<Incarnation, LogRow>,
) -> Incarnation {
    let own = logs.keys().filter(|known| !known.is_adopted());
    let latest = own.fold(node.incarnation.max(present), |latest, known| {
        latest.max(*known)
    });
    Incarnation(latest.0.saturating_add(1))
}

/// A number for one more branch of the node.
fn next_adopted(logs: &BTreeMap<Incarnation, LogRow>) -> Incarnation {
    let last = logs.keys().filter(|known| known.is_adopted()).max();
    Incarnation(last.map_or(Incarnation::ADOPTED_FIRST, |last| last.0.saturating_add(1)))
}

/// Writes down that a node goes on under another incarnation.
pub(crate) async fn renew(
    hub: &Hub,
    node: &NodeEntity,
    next: Incarnation,
) -> Result<(), StoreError> {
    let renewed = NodeEntity {
        incarnation: next,
        ..node.clone()
    };
    let change = EntityChange {
        kind: NodeEntity::KIND,
        id: renewed.key(),
        body: Some(renewed.to_body()),
        expected: None,
    };
    let audit = AuditRow {
        at_ms: (hub.clock)(),
        actor: "hub".to_owned(),
        action: "node.renew".to_owned(),
        subject: node.id.to_string(),
        details: format!("{{\"from\":{},\"to\":{}}}", node.incarnation.0, next.0),
    };
    hub.store.change_entities(&[change], Some(&audit)).await
}

async fn evidence(
    hub: &Hub,
    log: (NodeId, Incarnation),
    runs: &[Verified],
    shared: usize,
    row: Option<&LogRow>,
) -> Result<Vec<u8>, StoreError> {
    let known = row.map_or(0, |row| row.tip.sequence);
    let parted = proof::tip_before(runs, shared).map_or(0, |tip| tip.sequence);
    let stored = hub
        .store
        .operations_between(log, parted, known, EVIDENCE_MAX)
        .await?;
    Ok(proof::proof(runs, shared, &stored, row))
}

fn fork_case(
    hub: &Hub,
    (node, incarnation): (NodeId, Incarnation),
    adoption: Adoption,
    count: usize,
    evidence: Vec<u8>,
) -> CaseRow {
    let Adoption {
        from_sequence,
        incarnation: adopted,
    } = adoption;
    CaseRow {
        opened_ms: (hub.clock)(),
        kind: "fork",
        node: Some(node),
        member: None,
        operation: Some(OperationId {
            node,
            incarnation,
            sequence: from_sequence,
        }),
        summary: format!(
            "node {node} wrote two histories of incarnation {} from operation {from_sequence} on; {count} operations were counted under incarnation {}",
            incarnation.0, adopted.0
        ),
        evidence,
    }
}

/// What of a branch is taken over in one transaction.
struct Part<'a> {
    node: &'a NodeEntity,
    log: (NodeId, Incarnation),
    /// The node's logs as the branch was compared with them.
    logs: &'a BTreeMap<Incarnation, LogRow>,
    /// Where the branch is counted; the last is where this goes.
    parts: &'a [Adoption],
    /// To be opened with a branch's first part.
    case: Option<CaseRow>,
}

impl Part<'_> {
    async fn store(
        &self,
        hub: &Hub,
        runs: &[Verified],
        operations: &[&Received],
        member_keys: &[(MemberId, MemberKey)],
    ) -> Result<(), StoreError> {
        let names = Names {
            log: self.log,
            parts: self.parts,
        };
        let fresh: Vec<Received> = operations
            .iter()
            .map(|operation| names.rename(operation))
            .collect();
        let programme = self.node.programme;
        let rules = Rules {
            current: hub.current_rules(programme).await?,
            named: programmes_of(hub, programme, runs.iter()).await?,
            member_keys: keys_of(hub, programme, runs.iter()).await?,
            now_ms: (hub.clock)(),
        };
        let mut keys = Keys {
            programme: programme.0,
            nodes: vec![self.node.id],
            ..Keys::default()
        };
        for operation in &fresh {
            need(&mut keys, &operation.body);
        }
        tidy(&mut keys);
        let mut decision = |rows: &Rows| self.decide(rows, &rules, &fresh, member_keys);
        hub.store.decide(&keys, &mut decision).await
    }

    fn decide(
        &self,
        rows: &Rows,
        rules: &Rules,
        fresh: &[Received],
        member_keys: &[(MemberId, MemberKey)],
    ) -> Changes {
        let same = |((node, incarnation), row): (&(NodeId, Incarnation), &LogRow)| {
            *node != self.node.id || self.logs.get(incarnation) == Some(row)
        };
        // Another session of the node took some of this in meanwhile: it is compared again.
        if !rows.logs.iter().all(same) {
            return Changes::default();
        }
        let mut ledger = Ledger::new(rows, rules);
        for operation in fresh {
            ledger.take_operation(self.node, self.log.1, operation, member_keys);
        }
        let mut changes = ledger.changes();
        changes.keys.extend(member_keys.iter().cloned());
        if let Some(last) = fresh.last() {
            let tip = Tip {
                sequence: last.id.sequence,
                head: last.head,
                stamp: last.stamp,
            };
            let row = LogRow {
                tip,
                seal_signature: Vec::new(),
                frozen: true,
            };
            changes.logs.push((self.node.id, last.id.incarnation, row));
        }
        if let Some(known) = rows.logs.get(&self.log).filter(|known| !known.frozen) {
            let frozen = LogRow {
                frozen: true,
                ..known.clone()
            };
            changes.logs.push((self.log.0, self.log.1, frozen));
        }
        changes.cases.extend(self.case.clone());
        changes
    }
}
