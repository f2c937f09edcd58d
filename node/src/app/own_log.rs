//! The node's own log against the hub: what is durable there, what may be pruned here, and a new incarnation.

use std::collections::BTreeSet;

use kopilka_crdt::allowance::AllowanceRef;
use kopilka_crdt::clock::Stamp;
use kopilka_crdt::ids::{Incarnation, LotId, MemberId, OperationId};
use kopilka_crdt::log::{Log, Tip};
use kopilka_crdt::member::Member;
use kopilka_crdt::operation::{Body, IncarnationMark};
use kopilka_protocol::message::{AppliedLog, Renewal, VerdictNote};

use crate::store::{Entry, StoreError, Table};

use super::core::Core;
use super::error::AppError;
use super::keys;
use super::records::{Adoptions, LogEntry, SyncRecord, decode};
use super::rows::Rows;

/// Entries that one request prunes at most; the next caught-up batch goes on.
const PRUNED_MAX: usize = 4_096;
/// Entries of former incarnations that one tick lets go at most; each may rename its member's lots.
const SWEPT_MAX: usize = 512;
/// Entries about no member that the hub may lack when an incarnation ends.
const MARKS_MAX: usize = 64;
/// Operations of one member that wait for the hub; a node offline for a month stays far below it.
pub(super) const PENDING_MAX: usize = 65_536;

impl Core {
    pub(super) fn durable(
        &mut self,
        incarnation: Incarnation,
        tip: Tip,
        verdicts: &[VerdictNote],
        at_ms: u64,
    ) -> Result<(), AppError> {
        for note in verdicts {
            let key = keys::log(note.operation.incarnation, note.operation.sequence);
            self.rows.put(Table::Verdicts, key.clone(), note);
            if let Some(rules) = self.in_force.rules() {
                let due_ms = at_ms.saturating_add(rules.kept_ms());
                self.rows.expire(due_ms, Table::Verdicts, &key);
            }
        }
        let mut sync = self.sync_record()?;
        let ahead = sync
            .durable
            .is_none_or(|durable| durable.sequence < tip.sequence);
        if incarnation != self.identity.incarnation || !ahead {
            return Ok(());
        }
        if tip.sequence > self.writing.log.tip().sequence {
            return Err(AppError::OutOfOrder);
        }
        sync.durable = Some(tip);
        self.rows.put(Table::Meta, keys::SYNC.to_vec(), &sync);
        self.prune(sync)
    }

    /// Lets go of entries that are durable at the hub and included in every state that came from it.
    pub(super) fn prune(&mut self, mut sync: SyncRecord) -> Result<(), AppError> {
        let incarnation = self.identity.incarnation;
        let durable = sync.durable.map_or(0, |tip| tip.sequence);
        let complete = |cursor: &super::records::FeedCursor| match cursor.complete {
            AppliedLog {
                incarnation: of,
                sequence,
            } if of == incarnation => sequence,
            AppliedLog { .. } => 0,
        };
        let included = sync.feed.iter().map(complete).min().unwrap_or(0);
        let upto = durable.min(included);
        let from = sync.pruned.map_or(0, |tip| tip.sequence);
        if upto <= from {
            return Ok(());
        }
        let start = keys::log(incarnation, from.saturating_add(1));
        let end = keys::log(incarnation, upto.saturating_add(1));
        let entries = self.rows.scan(Table::Log, &start, Some(&end), PRUNED_MAX)?;
        for (key, bytes) in entries {
            let entry: LogEntry = decode(&bytes)?;
            let sequence = keys::sequence(&key).unwrap_or_default();
            self.forget_entry(incarnation, sequence, &entry.body()?);
            self.rows.delete(Table::Seals, key.clone());
            self.rows.delete(Table::Log, key);
            sync.pruned = Some(Tip {
                sequence,
                head: entry.head,
                stamp: entry.stamp,
            });
        }
        self.rows.put(Table::Meta, keys::SYNC.to_vec(), &sync);
        Ok(())
    }

    fn forget_entry(&mut self, incarnation: Incarnation, sequence: u64, body: &Body) {
        let Some(member) = body.member() else {
            return;
        };
        let pending = keys::of_member(member, incarnation, sequence);
        self.rows.delete(Table::Pending, pending);
        if matches!(body, Body::Enrol(_) | Body::Profile(_)) {
            self.rows.delete(Table::Keys, keys::member(member));
        }
    }

    /// Goes on under a new incarnation. What the old one wrote is the hub's now, under the names that it gives.
    ///
    /// `OutOfOrder` when tills wrote what is not `known` there: it would be lost.
    ///
    /// The old log may be a month long, so it is not let go of here: see [`Self::sweep`].
    pub(super) fn renew(
        &mut self,
        renewal: &Renewal,
        known: Tip,
        at_ms: u64,
    ) -> Result<(), AppError> {
        let old = self.identity.incarnation;
        if renewal.next <= old || self.is_outrun(known)? {
            return Err(AppError::OutOfOrder);
        }
        if let Some(adoption) = renewal.adopted {
            let mut adoptions = self.adoptions()?;
            adoptions.0.push((old, adoption));
            self.rename_holds(&Adoptions(vec![(old, adoption)]))?;
            self.rows
                .put(Table::Meta, keys::ADOPTIONS.to_vec(), &adoptions);
        }
        let mut sync = self.sync_record()?;
        sync.durable = None;
        sync.pruned = None;
        self.rows.put(Table::Meta, keys::SYNC.to_vec(), &sync);

        self.identity.incarnation = renewal.next;
        let (key, value) = self.identity.row();
        self.rows.put_bytes(Table::Meta, key, value);
        let floor: Stamp = self.writing.log.tip().stamp;
        let genesis = Tip::genesis(self.identity.node, renewal.next);
        self.begin_log(Log::resume(
            self.identity.node,
            renewal.next,
            genesis,
            floor,
        ));
        let mark = IncarnationMark {
            previous: Some(old),
        };
        self.append(at_ms, &Body::IncarnationMark(mark))?;
        tracing::warn!(
            old = old.0,
            new = renewal.next.0,
            "a new incarnation begins"
        );
        Ok(())
    }

    /// Whether the log says more of members than up to `known`. Marks of the clock may go with the log that they are of.
    fn is_outrun(&self, known: Tip) -> Result<bool, AppError> {
        let incarnation = self.identity.incarnation;
        let start = keys::log(incarnation, known.sequence.saturating_add(1));
        let end = keys::log(incarnation, u64::MAX);
        let rest = self
            .rows
            .scan(Table::Log, &start, Some(&end), MARKS_MAX.saturating_add(1))?;
        if rest.len() > MARKS_MAX {
            return Ok(true);
        }
        for (_, bytes) in rest {
            let entry: LogEntry = decode(&bytes)?;
            if entry.body()?.member().is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Lets go of some of what former incarnations left here: it is the hub's now.
    pub(super) fn sweep(&mut self) -> Result<(), AppError> {
        if !self.writing.former_left {
            return Ok(());
        }
        let is_adopted = !self.adoptions()?.0.is_empty();
        let end = keys::log(self.identity.incarnation, 0);
        let entries = self.rows.scan(Table::Log, &[], Some(&end), SWEPT_MAX)?;
        let more = entries.len() == SWEPT_MAX;
        for (key, bytes) in entries {
            let (tip, entry) = tip_of(&key, &bytes)?;
            let incarnation = keys::incarnation(&key).unwrap_or(Incarnation(0));
            let body = entry.body()?;
            if let Some(id) = body.member().filter(|_| is_adopted) {
                self.put_renamed(id)?;
            }
            self.forget_entry(incarnation, tip.sequence, &body);
            self.rows.delete(Table::Seals, key.clone());
            self.rows.delete(Table::Log, key);
        }
        self.writing.former_left = more;
        Ok(())
    }

    fn put_renamed(&mut self, id: MemberId) -> Result<(), AppError> {
        match self.member(id) {
            Ok(member) => self.put_member(id, &member)?,
            Err(AppError::UnknownMember) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Renames lots and rights that own operations on an adopted branch made, until a state of the hub's has come.
    ///
    /// While it has not, operations of former incarnations are still listed as pending for the member. A state of the
    /// hub's may name the same places in the same log: what the branch was a second history of.
    pub(super) fn rename_former(&self, id: MemberId, member: &mut Member) -> Result<(), AppError> {
        if !self.writing.former_left {
            return Ok(());
        }
        let pending = self.former_pending(id, PENDING_MAX)?;
        if pending.is_empty() {
            return Ok(());
        }
        let own: BTreeSet<_> = pending
            .iter()
            .filter_map(|(key, _)| keys::operation_of_member(key))
            .map(|(incarnation, sequence)| OperationId {
                node: self.identity.node,
                incarnation,
                sequence,
            })
            .collect();
        let adoptions = self.adoptions()?;
        rename_lots(member, |lot| {
            if own.contains(&lot.operation) {
                adoptions.rename_lot(self.identity.node, lot)
            } else {
                lot
            }
        });
        Ok(())
    }

    /// Operations of former incarnations are part of every state that the hub sends now.
    pub(super) fn forget_former(&mut self, id: MemberId) -> Result<(), AppError> {
        if self.writing.former_left {
            for (key, _) in self.former_pending(id, PENDING_MAX)? {
                self.rows.delete(Table::Pending, key);
            }
        }
        Ok(())
    }

    fn former_pending(&self, id: MemberId, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let end = keys::of_member(id, self.identity.incarnation, 0);
        self.rows
            .scan(Table::Pending, &keys::member(id), Some(&end), limit)
    }

    pub(super) fn adoptions(&self) -> Result<Adoptions, StoreError> {
        let adoptions = self.rows.read(Table::Meta, keys::ADOPTIONS)?;
        Ok(adoptions.unwrap_or_default())
    }
}

/// Whether anything of former incarnations is left.
pub(super) fn is_former_left(rows: &Rows, incarnation: Incarnation) -> Result<bool, StoreError> {
    let end = keys::log(incarnation, 0);
    Ok(!rows.scan(Table::Log, &[], Some(&end), 1)?.is_empty())
}

fn rename_lots(member: &mut Member, rename: impl Fn(LotId) -> LotId) {
    for account in member.accounts.values_mut() {
        account.lots = std::mem::take(&mut account.lots)
            .into_iter()
            .map(|(id, lot)| (rename(id), lot))
            .collect();
    }
    member.allowances = std::mem::take(&mut member.allowances)
        .into_iter()
        .map(|(name, allowance)| match name {
            AllowanceRef::Granted(_) => (name, allowance),
            AllowanceRef::Earned(lot) => (AllowanceRef::Earned(rename(lot)), allowance),
        })
        .collect();
}

/// A tip and the entry that made it, as the store has them.
pub(super) fn tip_of(key: &[u8], bytes: &[u8]) -> Result<(Tip, LogEntry), StoreError> {
    let entry: LogEntry = decode(bytes)?;
    let tip = Tip {
        sequence: keys::sequence(key).unwrap_or_default(),
        head: entry.head,
        stamp: entry.stamp,
    };
    Ok((tip, entry))
}
