//! Operations that the hub makes itself: one log for each programme, and each staff request counted once.

use kopilka_crdt::clock::{Day, Stamp};
use kopilka_crdt::ids::{Incarnation, NodeId, OperationId, ProgrammeId, TillId};
use kopilka_crdt::log::{Log, Tip};
use kopilka_crdt::member::Member;
use kopilka_crdt::operation::{Body, ReceiptKey};
use kopilka_rules::verdict::{Context, Judgement, judge};
use kopilka_rules::{Moment, Programme};

use crate::app::action::ActionError;
use crate::store::{Changes, OperationRow, Rows};

/// Till numbers start at 1; receipts of till 0 are requests of staff.
const STAFF_TILL: TillId = TillId(0);

/// The hub's log of a programme, about to be written within one decision.
pub struct HubLog<'a> {
    log: Log,
    programme: &'a Programme,
    moment: Moment,
}

impl<'a> HubLog<'a> {
    /// Goes on where the rows say that it stands. The decision's keys must ask for counters.
    pub fn resume(rows: &Rows, programme: &'a Programme, moment: Moment) -> Self {
        let (node, incarnation) = name(programme.id());
        let tip = rows
            .hub_log
            .unwrap_or_else(|| Tip::genesis(node, incarnation));
        let log = Log::resume(node, incarnation, tip, Stamp::default());
        Self {
            log,
            programme,
            moment,
        }
    }

    /// Appends an operation, judges it like any other, folds it into `member`, and notes it in `changes`.
    pub fn make(
        &mut self,
        member: &mut Member,
        body: &Body,
        changes: &mut Changes,
    ) -> Result<(OperationId, Judgement), ActionError> {
        let appended = self
            .log
            .append(self.moment.now_ms, body)
            .map_err(|error| ActionError::invalid("operation", error))?;
        let context = Context {
            id: appended.id,
            written_under: self.log.incarnation(),
            stamp: appended.stamp,
            day: self.moment.day_at(appended.stamp.ms()),
            programme: Some(self.programme),
            counted_receipt: None,
            identifier_taken: false,
            original_known: false,
            over_returned: false,
        };
        let judgement = judge(member, body, &context);
        let tip = self.log.tip();
        let mut head = [0; 16];
        head.copy_from_slice(&tip.head.0[..16]);
        changes.operations.push(OperationRow {
            id: appended.id,
            stamp: appended.stamp,
            member: body.member(),
            store: None,
            kind: body.kind(),
            bytes: appended.bytes,
            head,
            verdict: judgement.verdict,
            reason: judgement.reason.clone(),
            taken_in_ms: self.moment.now_ms,
        });
        changes.hub_log = Some(tip);
        Ok((appended.id, judgement))
    }
}

/// What the hub's log of a programme is called.
pub fn name(programme: ProgrammeId) -> (NodeId, Incarnation) {
    (NodeId::HUB, Incarnation(u32::from(programme.0)))
}

/// The key under which a staff request is counted once, in the table that does so for receipts.
///
/// `action` keeps keys of different actions apart.
pub fn request_key(programme: ProgrammeId, action: &str, idempotency_key: &str) -> ReceiptKey {
    let mut hasher = blake3::Hasher::new_derive_key("kopilka 2026 staff request");
    hasher.update(&programme.0.to_le_bytes());
    hasher.update(action.as_bytes());
    hasher.update(&[0]);
    hasher.update(idempotency_key.as_bytes());
    let mut short = [0; 8];
    short.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    // 63 bits: SQL integers are signed.
    let number = u64::from_be_bytes(short) >> 1;
    ReceiptKey {
        till: STAFF_TILL,
        day: Day(0),
        number,
    }
}
