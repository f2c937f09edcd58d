//! Taking over a branch: a node's log that contradicts what the hub has of it.
//!
//! Both branches happened. The part that the hub did not have is counted under an incarnation number of its own, names
//! of its operations and lots changed accordingly; the log is frozen, the proof is kept, and a case is opened.

use std::collections::BTreeMap;

use kopilka_crdt::allowance::AllowanceRef;
use kopilka_crdt::ids::{Incarnation, LotId, MemberId, NodeId, OperationId};
use kopilka_crdt::log::{Head, Tip};
use kopilka_crdt::operation::{AccountTakes, Authority, Body};
use kopilka_crdt::sealed::MemberKey;
use kopilka_protocol::key::SignatureBytes;
use kopilka_protocol::message::{Adoption, Renewal};
use kopilka_protocol::segment::{ForkProof, Received, Segment, Verified};

use super::batch::{Rules, need, tidy};
use super::ledger::Ledger;
use super::programmes_of;
use super::questionnaire::keys_of;
use crate::app::Hub;
use crate::app::entities::{Kept, NodeEntity};
use crate::store::{
    AuditRow, CaseRow, Changes, EntityChange, Keys, LogRow, OperationRow, Rows, StoreError,
};

/// Most operations of the stored branch that are compared and kept as evidence.
const COMPARED_MAX: usize = 65_536;

/// Takes over a branch, given as consecutive runs from the first entry that its node still holds.
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
    let logs = hub.store.logs(node.id).await?;
    let next = next_incarnation(node, first.incarnation, &logs);
    let operations: Vec<&Received> = runs.iter().flat_map(|run| &run.operations).collect();
    let head = operations.last().map(|last| last.head);
    if let Some(adoption) = taken_before(hub, node, &logs, head).await? {
        renew(hub, node, next).await?;
        return Ok(Renewal {
            next,
            adopted: Some(adoption),
        });
    }
    let row = logs.get(&first.incarnation);
    let known = row.map_or(0, |row| row.tip.sequence);
    let stored = hub
        .store
        .operations_between(log, first.base.sequence, known, COMPARED_MAX)
        .await?;
    let shared = shared_count(&operations, &stored);
    let branch = Branch {
        node,
        log,
        from_sequence: sequence_after(first.base.sequence, shared),
        adopted: next_adopted(&logs),
    };
    let renamed = operations[shared..].iter();
    let fresh: Vec<Received> = renamed.map(|operation| branch.rename(operation)).collect();
    let adopted = (!fresh.is_empty()).then_some(Adoption {
        from_sequence: branch.from_sequence,
        incarnation: branch.adopted,
    });
    if adopted.is_some() {
        let evidence = branch.proof(runs, shared, &stored, row);
        branch.store(hub, runs, fresh, keys, evidence).await?;
    }
    renew(hub, node, next).await?;
    Ok(Renewal { next, adopted })
}

/// How many operations the branch and the stored log begin with alike.
fn shared_count(branch: &[&Received], stored: &[OperationRow]) -> usize {
    branch
        .iter()
        .zip(stored)
        .take_while(|(branch, stored)| branch.id == stored.id && branch.head.0[..16] == stored.head)
        .count()
}

/// The first sequence number after `count` operations that follow `base`.
fn sequence_after(base: u64, count: usize) -> u64 {
    base.saturating_add(u64::try_from(count).unwrap_or(u64::MAX))
        .saturating_add(1)
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

/// The adoption of this very branch, when its node did not hear of it the first time.
async fn taken_before(
    hub: &Hub,
    node: &NodeEntity,
    logs: &BTreeMap<Incarnation, LogRow>,
    head: Option<Head>,
) -> Result<Option<Adoption>, StoreError> {
    let adopted = logs
        .iter()
        .filter(|(incarnation, _)| incarnation.is_adopted());
    let Some((incarnation, row)) = adopted
        .into_iter()
        .find(|(_, row)| Some(row.tip.head) == head)
    else {
        return Ok(None);
    };
    let first = hub
        .store
        .operations_between((node.id, *incarnation), 0, row.tip.sequence, 1)
        .await?;
    Ok(first.first().map(|first| Adoption {
        from_sequence: first.id.sequence,
        incarnation: *incarnation,
    }))
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

struct Branch<'a> {
    node: &'a NodeEntity,
    log: (NodeId, Incarnation),
    from_sequence: u64,
    adopted: Incarnation,
}

impl Branch<'_> {
    async fn store(
        &self,
        hub: &Hub,
        runs: &[Verified],
        fresh: Vec<Received>,
        member_keys: &[(MemberId, MemberKey)],
        evidence: Vec<u8>,
    ) -> Result<(), StoreError> {
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
        let mut decision = |rows: &Rows| self.decide(rows, &rules, &fresh, member_keys, &evidence);
        hub.store.decide(&keys, &mut decision).await?;
        hub.look_for_news().await
    }

    fn decide(
        &self,
        rows: &Rows,
        rules: &Rules,
        fresh: &[Received],
        member_keys: &[(MemberId, MemberKey)],
        evidence: &[u8],
    ) -> Changes {
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
            changes.logs.push((self.node.id, self.adopted, row));
        }
        if let Some(known) = rows.logs.get(&self.log) {
            changes.logs.push((
                self.log.0,
                self.log.1,
                LogRow {
                    frozen: true,
                    ..known.clone()
                },
            ));
        }
        let count = fresh.len();
        changes.cases.push(CaseRow {
            opened_ms: rules.now_ms,
            kind: "fork",
            node: Some(self.node.id),
            member: None,
            operation: Some(OperationId {
                node: self.log.0,
                incarnation: self.log.1,
                sequence: self.from_sequence,
            }),
            summary: format!(
                "node {} wrote two histories of incarnation {} from operation {} on; {count} operations were counted under incarnation {}",
                self.node.id, self.log.1.0, self.from_sequence, self.adopted.0
            ),
            evidence: evidence.to_vec(),
        });
        changes
    }

    /// Both branches as signed segments that start where they part; empty when the hub's branch ends there.
    fn proof(
        &self,
        runs: &[Verified],
        shared: usize,
        stored: &[OperationRow],
        row: Option<&LogRow>,
    ) -> Vec<u8> {
        let Some(base) = tip_before(runs, shared) else {
            return Vec::new();
        };
        let signature =
            row.and_then(|row| <[u8; 64]>::try_from(row.seal_signature.as_slice()).ok());
        let (Some(signature), Some(last)) = (signature, runs.last()) else {
            return Vec::new();
        };
        let segment = |entries: Vec<Vec<u8>>, signature| Segment {
            node: self.log.0,
            incarnation: self.log.1,
            base,
            entries,
            signature,
        };
        let ours = stored
            .iter()
            .skip(shared)
            .map(|stored| stored.bytes.clone())
            .collect();
        let theirs = runs.iter().flat_map(|run| &run.operations).skip(shared);
        let proof = ForkProof {
            node: self.log.0,
            incarnation: self.log.1,
            first: segment(ours, SignatureBytes(signature)),
            second: segment(
                theirs.map(|operation| operation.bytes.clone()).collect(),
                last.seal.signature,
            ),
        };
        postcard::to_stdvec(&proof).unwrap_or_default()
    }

    /// The operation under its adopted name. Its bytes stay as they were signed.
    fn rename(&self, operation: &Received) -> Received {
        let mut renamed = operation.clone();
        self.rename_operation(&mut renamed.id);
        match &mut renamed.body {
            Body::Purchase(purchase) => {
                purchase
                    .redeemed
                    .iter_mut()
                    .for_each(|takes| self.rename_takes(takes));
                purchase
                    .authority
                    .iter_mut()
                    .for_each(|authority| self.rename_authority(authority));
            }
            Body::Adjust(adjustment) => {
                adjustment
                    .taken
                    .iter_mut()
                    .for_each(|takes| self.rename_takes(takes));
                adjustment
                    .authority
                    .iter_mut()
                    .for_each(|authority| self.rename_authority(authority));
            }
            Body::Cancel(reversal) | Body::Return(reversal) => {
                self.rename_operation(&mut reversal.purchase);
                reversal
                    .restored
                    .iter_mut()
                    .for_each(|takes| self.rename_takes(takes));
                reversal
                    .withdrawn
                    .iter_mut()
                    .for_each(|takes| self.rename_takes(takes));
            }
            Body::AllowanceReturn(back) => self.rename_allowance(&mut back.allowance),
            Body::Enrol(_)
            | Body::Bind(_)
            | Body::CardState(_)
            | Body::Gift(_)
            | Body::Profile(_)
            | Body::Consent(_)
            | Body::ClockMark(_)
            | Body::IncarnationMark(_) => {}
        }
        renamed
    }

    fn rename_operation(&self, id: &mut OperationId) {
        if (id.node, id.incarnation) == self.log && id.sequence >= self.from_sequence {
            id.incarnation = self.adopted;
        }
    }

    fn rename_lot(&self, lot: &mut LotId) {
        self.rename_operation(&mut lot.operation);
    }

    fn rename_takes(&self, takes: &mut AccountTakes) {
        takes
            .takes
            .iter_mut()
            .for_each(|take| self.rename_lot(&mut take.lot));
    }

    fn rename_allowance(&self, allowance: &mut AllowanceRef) {
        match allowance {
            AllowanceRef::Earned(lot) => self.rename_lot(lot),
            AllowanceRef::Granted(_) => {}
        }
    }

    fn rename_authority(&self, authority: &mut Authority) {
        authority
            .uses
            .iter_mut()
            .for_each(|used| self.rename_allowance(&mut used.allowance));
    }
}

/// The log's tip before the operation with this index over all runs.
fn tip_before(runs: &[Verified], index: usize) -> Option<Tip> {
    let first = runs.first()?;
    match index.checked_sub(1) {
        None => Some(first.base),
        Some(before) => runs
            .iter()
            .flat_map(|run| &run.operations)
            .nth(before)
            .map(|operation| Tip {
                sequence: operation.id.sequence,
                head: operation.head,
                stamp: operation.stamp,
            }),
    }
}
