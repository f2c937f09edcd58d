//! One transaction of intake: which rows a batch needs, and what becomes of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use kopilka_crdt::identifier::{IdentifierHash, IdentifierKind};
use kopilka_crdt::ids::{MemberId, OperationId, ProgrammeId};
use kopilka_crdt::operation::Body;
use kopilka_crdt::sealed::MemberKey;
use kopilka_rules::{Moment, Programme};

use super::ledger::Ledger;
use super::questionnaire::keys_of;
use super::{Arrived, Taken, programmes_of};
use crate::app::{Hub, moment_at};
use crate::store::{Keys, Rows, StoreError};

/// Loads, judges and stores a batch; gives what became of each run.
pub(super) async fn decide(
    hub: &Hub,
    programme: ProgrammeId,
    arrived: &[Arrived],
) -> Result<Vec<Taken>, StoreError> {
    let rules = Rules {
        current: hub.current_rules(programme).await?,
        named: programmes_of(hub, programme, arrived.iter().map(|arrived| &arrived.run)).await?,
        member_keys: keys_of(hub, programme, arrived.iter().map(|arrived| &arrived.run)).await?,
        now_ms: (hub.clock)(),
    };
    let mut keys = Keys {
        programme: programme.0,
        ..Keys::default()
    };
    for arrived in arrived {
        keys.nodes.push(arrived.node.id);
        // To tell a run that was sent twice from one that contradicts it.
        keys.operations.push(OperationId {
            node: arrived.node.id,
            incarnation: arrived.run.incarnation,
            sequence: arrived.run.seal.tip.sequence,
        });
        for operation in &arrived.run.operations {
            need(&mut keys, &operation.body);
        }
    }
    tidy(&mut keys);
    let mut outcome = Vec::new();
    let mut decision = |rows: &Rows| {
        let mut ledger = Ledger::new(rows, &rules);
        outcome = arrived
            .iter()
            .map(|arrived| ledger.take_run(arrived))
            .collect();
        ledger.changes()
    };
    hub.store.decide(&keys, &mut decision).await?;
    Ok(outcome)
}

pub(super) fn need(keys: &mut Keys, body: &Body) {
    keys.members.extend(body.member());
    match body {
        Body::Purchase(purchase) => keys.receipts.push(purchase.receipt),
        Body::Cancel(reversal) | Body::Return(reversal) => {
            keys.operations.push(reversal.purchase);
            keys.reversals_of.push(reversal.member);
        }
        Body::Refund(refund) => keys.operations.push(refund.charge),
        Body::Enrol(_) | Body::Bind(_) => {
            keys.identifiers
                .extend(identifiers(body).into_iter().map(|(hash, _)| hash));
        }
        Body::CardState(_)
        | Body::Adjust(_)
        | Body::Gift(_)
        | Body::Profile(_)
        | Body::Consent(_)
        | Body::AllowanceReturn(_)
        | Body::ClockMark(_)
        | Body::IncarnationMark(_)
        | Body::Tag(_)
        | Body::Charge(_) => {}
    }
}

pub(super) fn tidy(keys: &mut Keys) {
    keys.members.sort_unstable();
    keys.members.dedup();
    keys.receipts.sort_unstable();
    keys.receipts.dedup();
    keys.identifiers.sort_unstable();
    keys.identifiers.dedup();
    keys.nodes.sort_unstable();
    keys.nodes.dedup();
    keys.operations.sort_unstable();
    keys.operations.dedup();
    keys.reversals_of.sort_unstable();
    keys.reversals_of.dedup();
}

pub(super) fn identifiers(body: &Body) -> Vec<(IdentifierHash, IdentifierKind)> {
    match body {
        Body::Enrol(enrolment) => {
            let others = enrolment
                .identifiers
                .iter()
                .map(|(kind, hash)| (*hash, *kind));
            let card = enrolment
                .card
                .iter()
                .map(|(hash, _)| (*hash, IdentifierKind::Card));
            others.chain(card).collect()
        }
        Body::Bind(binding) => vec![(binding.hash, binding.kind)],
        Body::CardState(_)
        | Body::Purchase(_)
        | Body::Cancel(_)
        | Body::Return(_)
        | Body::Adjust(_)
        | Body::Gift(_)
        | Body::Profile(_)
        | Body::Consent(_)
        | Body::AllowanceReturn(_)
        | Body::ClockMark(_)
        | Body::IncarnationMark(_)
        | Body::Tag(_)
        | Body::Charge(_)
        | Body::Refund(_) => Vec::new(),
    }
}

/// The rules of a decision, and when it is made.
pub(super) struct Rules {
    /// In force now: for placement.
    pub current: Option<Arc<Programme>>,
    /// By publication number: for prices.
    pub named: BTreeMap<u32, Arc<Programme>>,
    /// Keys that are stored of members whose questionnaires change.
    pub member_keys: BTreeMap<MemberId, MemberKey>,
    /// Milliseconds since 1970.
    pub now_ms: u64,
}

impl Rules {
    pub(super) fn moment(&self) -> Moment {
        match &self.current {
            Some(rules) => moment_at(rules, self.now_ms),
            None => Moment {
                now_ms: self.now_ms,
                offset_seconds: 0,
            },
        }
    }
}
