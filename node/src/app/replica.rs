//! Members as the hub sends them, laid under the node's own operations, and found by what the hub lists.

use std::collections::BTreeMap;

use kopilka_crdt::identifier::IdentifierHash;
use kopilka_crdt::ids::{MemberId, OperationId};
use kopilka_crdt::ledger;
use kopilka_crdt::member::Member;
use kopilka_crdt::operation::Body;
use kopilka_protocol::message::{AppliedLog, FeedMember, MemberState};

use crate::store::Table;

use super::core::Core;
use super::error::AppError;
use super::keys::{self, IdentifierPrefix};
use super::own_log::PENDING_MAX;
use super::records::{LogEntry, SyncRecord, decode, listed_member, split_member};

/// Answers remembered at once. One that is forgotten early shows an older state until the feed has come to it.
const AHEAD_MAX: usize = 4_096;
/// Identifiers that begin with the same four bytes: even among a hundred million, hardly three do.
const SAME_PREFIX_MAX: usize = 64;

/// What the writer remembers of the hub's answers between requests. Without it states may be older for a while.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// Where the feed will have come to what an answer said of a member.
    ahead: BTreeMap<MemberId, u64>,
    /// No member was here when the snapshot began, so that only those in `ahead` are now.
    is_first_snapshot: bool,
}

impl Heard {
    /// As a snapshot begins: positions before it may be those of other partitions.
    pub(super) fn at_snapshot(is_first: bool) -> Self {
        Self {
            ahead: BTreeMap::new(),
            is_first_snapshot: is_first,
        }
    }

    /// Whether an answer said more of a member than the feed does up to a position.
    pub(super) fn is_ahead_of(&self, id: MemberId, upto: u64) -> bool {
        self.ahead.get(&id).is_some_and(|position| upto < *position)
    }

    fn remember(&mut self, id: MemberId, position: u64) {
        self.ahead.insert(id, position);
        if self.ahead.len() > AHEAD_MAX {
            self.ahead.pop_first();
            self.is_first_snapshot = false;
        }
    }

    /// Whether a row of a member may be here already while a snapshot is read.
    fn may_know(&self, id: MemberId) -> bool {
        !self.is_first_snapshot || self.ahead.contains_key(&id)
    }

    /// Forgets the answers that a partition's feed has passed.
    pub(super) fn forget(&mut self, partitions: u16, partition: u16, upto: u64) {
        self.ahead
            .retain(|id, position| id.partition(partitions) != partition || upto < *position);
    }
}

/// How many partitions the feed has.
pub(super) fn partitions(sync: &SyncRecord) -> u16 {
    u16::try_from(sync.feed.len()).unwrap_or(u16::MAX)
}

impl Core {
    pub(super) fn one_member(&mut self, state: MemberState) -> Result<(), AppError> {
        let id = state.member.id;
        let sync = self.sync_record()?;
        let partition = usize::from(id.partition(partitions(&sync)));
        let overtaken = sync.feed.get(partition).is_some_and(|cursor| {
            let applied = (state.applied.incarnation, state.applied.sequence);
            state.position <= cursor.position
                || applied < (cursor.applied.incarnation, cursor.applied.sequence)
        });
        // What the feed or a later answer brought may include rights and own operations that this state lacks.
        if overtaken || self.heard.is_ahead_of(id, state.position) {
            return Err(AppError::OutOfOrder);
        }
        // Own operations stay pending until the feed, which is in order, says that they are included.
        self.lay_under(state.member, state.applied)?;
        self.heard.remember(id, state.position);
        Ok(())
    }

    /// Makes the hub's state of a member the node's, with own operations that it does not include on top.
    pub(super) fn lay_under(
        &mut self,
        state: FeedMember,
        applied: AppliedLog,
    ) -> Result<(), AppError> {
        let id = state.id;
        let mut member = Member::decode(&state.record).map_err(|_| AppError::UnreadableRecord)?;
        self.forget_former(id)?;
        let pending = self.pending_after(id, applied)?;
        let mut listed: Vec<_> = state
            .identifiers
            .iter()
            .copied()
            .map(keys::prefix)
            .collect();
        let may_be_erased = pending.is_empty();
        for (sequence, entry) in pending {
            let body = entry.body()?;
            if matches!(body, Body::Enrol(_) | Body::Profile(_)) {
                // What may be shown is not part of the fold.
                if let Some(own) = super::view::member(&self.rows, id)? {
                    member.shown = own.shown;
                }
            }
            // The hub does not list yet what was bound here.
            listed.extend(bound_by(&body).into_iter().map(keys::prefix));
            let operation = OperationId {
                node: self.identity.node,
                incarnation: self.identity.incarnation,
                sequence,
            };
            ledger::apply(&mut member, operation, entry.stamp, &body)?;
        }
        let has_lost = self.forget_lost(id, &listed)?;
        // All that the key was made for is at the hub, which may have destroyed its own.
        if has_lost && may_be_erased {
            self.rows.delete(Table::Keys, keys::member(id));
        }
        for hash in state.identifiers {
            let key = keys::identifier(hash);
            if self.rows.read::<MemberId>(Table::Identifiers, &key)? != Some(id) {
                self.rows.put(Table::Identifiers, key, &id);
            }
        }
        self.put_listed(id, &listed, &member.encode());
        Ok(())
    }

    /// As [`Self::lay_under`] while no own operation waits for the hub.
    pub(super) fn store_as_sent(&mut self, state: FeedMember) -> Result<(), AppError> {
        Member::decode(&state.record).map_err(|_| AppError::UnreadableRecord)?;
        let listed: Vec<_> = state
            .identifiers
            .iter()
            .copied()
            .map(keys::prefix)
            .collect();
        if self.heard.may_know(state.id) {
            self.forget_lost(state.id, &listed)?;
        }
        for hash in state.identifiers {
            self.rows
                .put(Table::Identifiers, keys::identifier(hash), &state.id);
        }
        self.put_listed(state.id, &listed, &state.record);
        Ok(())
    }

    /// Writes a member's state; what they are found by stays.
    pub(super) fn put_member(&mut self, id: MemberId, member: &Member) -> Result<(), AppError> {
        let listed = self.listed(id)?;
        self.put_listed(id, &listed, &member.encode());
        Ok(())
    }

    /// Writes a member's state after an own operation, which may let them be found by more.
    pub(super) fn put_recorded(
        &mut self,
        id: MemberId,
        member: &Member,
        body: &Body,
    ) -> Result<(), AppError> {
        let mut listed = self.listed(id)?;
        listed.extend(bound_by(body).into_iter().map(keys::prefix));
        self.put_listed(id, &listed, &member.encode());
        Ok(())
    }

    fn put_listed(&mut self, id: MemberId, listed: &[IdentifierPrefix], record: &[u8]) {
        let row = listed_member(listed, record);
        self.rows.put_bytes(Table::Members, keys::member(id), row);
    }

    fn listed(&self, id: MemberId) -> Result<Vec<IdentifierPrefix>, AppError> {
        let row = self.rows.read_bytes(Table::Members, &keys::member(id))?;
        Ok(split_member(&row.unwrap_or_default())?.0)
    }

    /// Deletes what a member is no longer found by, and says whether there was anything.
    fn forget_lost(&mut self, id: MemberId, now: &[IdentifierPrefix]) -> Result<bool, AppError> {
        let before = self.listed(id)?;
        let lost = before.iter().filter(|prefix| !now.contains(prefix));
        let mut has_lost = false;
        for prefix in lost {
            has_lost = true;
            let rows = self
                .rows
                .scan_prefix(Table::Identifiers, prefix, SAME_PREFIX_MAX)?;
            for (key, owner) in rows {
                if decode::<MemberId>(&owner)? == id {
                    self.rows.delete(Table::Identifiers, key);
                }
            }
        }
        Ok(has_lost)
    }

    /// Own operations about a member that a state does not include, in order.
    fn pending_after(
        &self,
        id: MemberId,
        applied: AppliedLog,
    ) -> Result<Vec<(u64, LogEntry)>, AppError> {
        let incarnation = self.identity.incarnation;
        let included = if applied.incarnation == incarnation {
            applied.sequence
        } else {
            0
        };
        let start = keys::of_member(id, incarnation, included.saturating_add(1));
        let end = keys::after_prefix(&keys::member(id));
        let mut found = Vec::new();
        for (key, _) in self
            .rows
            .scan(Table::Pending, &start, end.as_deref(), PENDING_MAX)?
        {
            let sequence = keys::sequence(&key).unwrap_or_default();
            let entry = self
                .rows
                .read(Table::Log, &keys::log(incarnation, sequence))?;
            if let Some(entry) = entry {
                found.push((sequence, entry));
            }
        }
        Ok(found)
    }

    pub(super) fn forget_pending(
        &mut self,
        id: MemberId,
        applied: AppliedLog,
    ) -> Result<(), AppError> {
        if applied.incarnation != self.identity.incarnation {
            return Ok(());
        }
        let end = keys::of_member(id, applied.incarnation, applied.sequence.saturating_add(1));
        for (key, _) in
            self.rows
                .scan(Table::Pending, &keys::member(id), Some(&end), PENDING_MAX)?
        {
            self.rows.delete(Table::Pending, key);
        }
        Ok(())
    }
}

/// What an operation lets its member be found by.
fn bound_by(body: &Body) -> Vec<IdentifierHash> {
    if let Body::Enrol(enrolment) = body {
        let card = enrolment.card.iter().map(|(hash, _)| *hash);
        let others = enrolment.identifiers.iter().map(|(_, hash)| *hash);
        card.chain(others).collect()
    } else if let Body::Bind(binding) = body {
        vec![binding.hash]
    } else {
        Vec::new()
    }
}
