//! Rows as they become while a batch's operations are judged one after the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use kopilka_crdt::clock::{Day, Stamp};
use kopilka_crdt::identifier::{IdentifierHash, IdentifierKind};
use kopilka_crdt::ids::{Incarnation, MemberId, NodeId, OperationId};
use kopilka_crdt::log::Tip;
use kopilka_crdt::member::Member;
use kopilka_crdt::operation::{Body, ReceiptKey, Verdict};
use kopilka_crdt::sealed::MemberKey;
use kopilka_protocol::message::{Refusal, Renewal, VerdictNote};
use kopilka_protocol::segment::Received;
use kopilka_rules::Moment;
use kopilka_rules::placement::{self, Holder};
use kopilka_rules::reversal::came_back;
use kopilka_rules::verdict::{Context, Judgement, judge};

use super::batch::{Rules, identifiers};
use super::{Arrived, Taken};
use crate::app::entities::NodeEntity;
use crate::app::purchases::{purchase_of, reversal_of};
use crate::store::{CaseRow, Changes, KeyState, LogRow, MemberRow, OperationRow, Rows};

/// What became of an operation of the same decision, or of an earlier one.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Judged {
    member: Option<MemberId>,
    kind: &'static str,
    counted: bool,
}

/// The rows of one decision.
pub(super) struct Ledger<'a> {
    rows: &'a Rows,
    pub(super) rules: &'a Rules,
    moment: Moment,
    members: BTreeMap<MemberId, MemberRow>,
    identifiers: BTreeMap<IdentifierHash, MemberId>,
    receipts: BTreeMap<ReceiptKey, OperationId>,
    logs: BTreeMap<(NodeId, Incarnation), LogRow>,
    judged: BTreeMap<OperationId, Judged>,
    pub(super) changes: Changes,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(rows: &'a Rows, rules: &'a Rules) -> Self {
        Self {
            rows,
            rules,
            moment: rules.moment(),
            members: BTreeMap::new(),
            identifiers: rows.identifiers.clone(),
            receipts: rows.receipts.clone(),
            logs: rows.logs.clone(),
            judged: BTreeMap::new(),
            changes: Changes::default(),
        }
    }

    /// Everything that is to be written.
    pub(super) fn changes(mut self) -> Changes {
        for (id, row) in self.members {
            let due = placement::due_ms(&row.member);
            self.changes.members.insert(id, (row.member, due));
        }
        let stored = &self.rows.logs;
        let moved = self
            .logs
            .into_iter()
            .filter(|(log, row)| stored.get(log) != Some(row));
        self.changes
            .logs
            .extend(moved.map(|((node, incarnation), row)| (node, incarnation, row)));
        self.changes
    }

    pub(super) fn take_run(&mut self, arrived: &Arrived) -> Taken {
        let run = &arrived.run;
        let log = (arrived.node.id, run.incarnation);
        let known = self.logs.get(&log).cloned().unwrap_or_else(|| LogRow {
            tip: Tip::genesis(log.0, log.1),
            seal_signature: Vec::new(),
            frozen: false,
        });
        if known.frozen {
            return Taken::Refused(Refusal::Frozen);
        }
        if run.incarnation < arrived.node.incarnation {
            let next = Incarnation(arrived.node.incarnation.0.saturating_add(1));
            return Taken::Ended(Renewal {
                next,
                adopted: None,
            });
        }
        let fresh = match self.fresh(arrived, &known.tip) {
            Ok(fresh) => fresh,
            Err(taken) => return taken,
        };
        let mut notes = Vec::new();
        for operation in &run.operations[fresh..] {
            let note =
                self.take_operation(&arrived.node, run.incarnation, operation, &arrived.keys);
            notes.extend(note);
        }
        self.changes.keys.extend(arrived.keys.iter().cloned());
        let tip = run.seal.tip;
        let seal_signature = run.seal.signature.0.to_vec();
        self.logs.insert(
            log,
            LogRow {
                tip,
                seal_signature,
                frozen: false,
            },
        );
        Taken::Durable(tip, notes)
    }

    /// The index of the run's first operation that is not stored yet; `Err` when there is nothing to take in.
    fn fresh(&self, arrived: &Arrived, known: &Tip) -> Result<usize, Taken> {
        let run = &arrived.run;
        if run.base.sequence == known.sequence {
            return if run.base == *known {
                Ok(0)
            } else {
                Err(Taken::Diverged)
            };
        }
        if run.base.sequence > known.sequence {
            return Err(Taken::Refused(Refusal::Segment));
        }
        if run.seal.tip.sequence <= known.sequence {
            let id = run.operations.last().map(|operation| operation.id);
            let stored = id.and_then(|id| self.rows.operations.get(&id));
            let same = run.seal.tip == *known
                || stored.is_some_and(|stored| run.seal.tip.head.0[..16] == stored.head);
            return Err(if same {
                Taken::Durable(*known, Vec::new())
            } else {
                Taken::Diverged
            });
        }
        let join = run
            .operations
            .iter()
            .position(|operation| operation.id.sequence == known.sequence);
        match join {
            Some(join) if run.operations[join].head == known.head => Ok(join + 1),
            Some(_) | None => Err(Taken::Diverged),
        }
    }

    /// Judges one operation and notes everything that it changes. Gives a note unless it was simply accepted.
    pub(super) fn take_operation(
        &mut self,
        node: &NodeEntity,
        written_under: Incarnation,
        operation: &Received,
        keys: &[(MemberId, MemberKey)],
    ) -> Option<VerdictNote> {
        let id = operation.id;
        let member_id = operation.body.member();
        let judgement = match member_id {
            Some(member) => self.judge_member(node, member, written_under, operation, keys),
            None => Judgement {
                verdict: Verdict::Accepted,
                reason: String::new(),
                suspicions: Vec::new(),
                counted: true,
            },
        };
        self.judged.insert(
            id,
            Judged {
                member: member_id,
                kind: operation.body.kind(),
                counted: judgement.counted,
            },
        );
        for suspicion in &judgement.suspicions {
            self.changes.cases.push(CaseRow {
                opened_ms: self.rules.now_ms,
                kind: suspicion.code(),
                node: Some(node.id),
                member: member_id,
                operation: Some(id),
                summary: judgement.reason.clone(),
                evidence: operation.bytes.clone(),
            });
        }
        let mut head = [0; 16];
        head.copy_from_slice(&operation.head.0[..16]);
        self.changes.operations.push(OperationRow {
            id,
            stamp: operation.stamp,
            member: member_id,
            store: (node.id != NodeId::HUB).then_some(node.store),
            kind: operation.body.kind(),
            bytes: operation.bytes.clone(),
            head,
            verdict: judgement.verdict,
            reason: judgement.reason.clone(),
            taken_in_ms: self.rules.now_ms,
        });
        (judgement.verdict != Verdict::Accepted).then_some(VerdictNote {
            operation: id,
            verdict: judgement.verdict,
            reason: judgement.reason,
        })
    }

    fn judge_member(
        &mut self,
        node: &NodeEntity,
        member: MemberId,
        written_under: Incarnation,
        operation: &Received,
        keys: &[(MemberId, MemberKey)],
    ) -> Judgement {
        let body = &operation.body;
        let offset_seconds = self.moment.offset_seconds;
        let mut programme = None;
        let mut counted_receipt = None;
        if let Body::Purchase(purchase) = body {
            programme = self.rules.named.get(&purchase.publication).map(Arc::as_ref);
            counted_receipt = self
                .receipts
                .get(&purchase.receipt)
                .copied()
                .filter(|first| *first != operation.id);
        }
        let names = identifiers(body);
        let taken = |hash: &IdentifierHash| {
            self.identifiers
                .get(hash)
                .is_some_and(|owner| *owner != member)
        };
        let context = Context {
            id: operation.id,
            written_under,
            stamp: operation.stamp,
            day: Day::from_ms(operation.stamp.ms(), offset_seconds),
            programme,
            counted_receipt,
            identifier_taken: names.iter().any(|(hash, _)| taken(hash)),
            original_known: self.original_known(body, member),
            over_returned: self.is_over_returned(body),
        };
        let mut row = self.member(member);
        let judgement = judge(&mut row.member, body, &context);
        if judgement.counted {
            if let Body::Purchase(purchase) = body {
                self.receipts.insert(purchase.receipt, operation.id);
                self.changes.receipts.push((purchase.receipt, operation.id));
            }
            // A phone that a store noted before it knew of the erasure does not come back.
            let erased = row.key == KeyState::Destroyed;
            let kept = |kind: IdentifierKind| !erased || kind == IdentifierKind::Card;
            for (hash, kind) in names
                .into_iter()
                .filter(|(hash, kind)| !taken(hash) && kept(*kind))
                .collect::<Vec<_>>()
            {
                if self.identifiers.insert(hash, member).is_none() {
                    row.identifiers.push(hash);
                    self.changes.identifiers.push((hash, kind, member));
                }
            }
            self.keep_profile(member, &mut row, operation, keys);
            self.place_rights(node, written_under, operation, (member, &mut row.member));
        }
        self.members.insert(member, row);
        judgement
    }

    fn member(&self, id: MemberId) -> MemberRow {
        self.members
            .get(&id)
            .or_else(|| self.rows.members.get(&id))
            .cloned()
            .unwrap_or_default()
    }

    /// Whether what an operation takes back is known, counted, and of the same member or record.
    fn original_known(&self, body: &Body, member: MemberId) -> bool {
        let Some((original, kind)) = original(body) else {
            return false;
        };
        let judged = self.judged.get(&original).copied().or_else(|| {
            let stored = self.rows.operations.get(&original)?;
            Some(Judged {
                member: stored.member,
                kind: stored.kind,
                counted: !matches!(stored.verdict, Verdict::Duplicate | Verdict::Quarantined),
            })
        });
        judged
            == Some(Judged {
                member: Some(member),
                kind,
                counted: true,
            })
    }

    /// Whether with this cancel or return more of a line has come back than was sold. What cannot be read decides
    /// nothing: it was written by this hub, and the operation is counted all the same.
    fn is_over_returned(&self, body: &Body) -> bool {
        let (Body::Cancel(reversal) | Body::Return(reversal)) = body else {
            return false;
        };
        let fresh = self.changes.operations.iter();
        let stored = self.rows.operations.get(&reversal.purchase);
        let sold = stored.or_else(|| fresh.clone().find(|row| row.id == reversal.purchase));
        let Some(Ok(Some(purchase))) = sold.map(purchase_of) else {
            return false;
        };
        let before = self.rows.reversals.iter().chain(fresh);
        let before = before.filter_map(|row| reversal_of(row, reversal.purchase).ok().flatten());
        let lines = before.flat_map(|before| before.lines);
        let lines: Vec<_> = lines.chain(reversal.lines.iter().copied()).collect();
        let back = came_back(&purchase, &lines);
        let mut sold = purchase.lines.iter().zip(back);
        sold.any(|(line, back)| back > line.quantity)
    }

    fn place_rights(
        &self,
        node: &NodeEntity,
        written_under: Incarnation,
        operation: &Received,
        (id, member): (MemberId, &mut Member),
    ) {
        let Some(rules) = &self.rules.current else {
            return;
        };
        let seen = |other: NodeId, incarnation: Incarnation| -> Option<Stamp> {
            if other != node.id {
                return None;
            }
            if incarnation < node.incarnation {
                Some(Stamp(u64::MAX))
            } else {
                Some(operation.stamp)
            }
        };
        placement::reclaim(member, seen);
        let visited = matches!(
            operation.body,
            Body::Purchase(_) | Body::Enrol(_) | Body::Charge(_) | Body::Adjust(_)
        );
        if !visited || written_under < node.incarnation {
            return;
        }
        let holder = Holder {
            node: node.id,
            incarnation: written_under,
            seen: operation.stamp,
        };
        // An amount out of range was judged above; rights then stay as they are.
        let _ = placement::place(id, member, rules, holder, self.moment);
    }
}

/// What an operation takes back, and which kind of operation that must be.
fn original(body: &Body) -> Option<(OperationId, &'static str)> {
    match body {
        Body::Cancel(reversal) | Body::Return(reversal) => Some((reversal.purchase, "purchase")),
        Body::Refund(refund) => Some((refund.charge, "charge")),
        Body::Enrol(_)
        | Body::Bind(_)
        | Body::CardState(_)
        | Body::Purchase(_)
        | Body::Adjust(_)
        | Body::Gift(_)
        | Body::Profile(_)
        | Body::Consent(_)
        | Body::AllowanceReturn(_)
        | Body::ClockMark(_)
        | Body::IncarnationMark(_)
        | Body::Tag(_)
        | Body::Charge(_) => None,
    }
}
