//! The node's own log against the hub: what is durable there, what may be pruned here, and a new incarnation.

use kopilka_crdt::allowance::AllowanceRef;
use kopilka_crdt::clock::Stamp;
use kopilka_crdt::ids::{Incarnation, MemberId};
use kopilka_crdt::log::{Log, Tip};
use kopilka_crdt::member::Member;
use kopilka_crdt::operation::{Body, IncarnationMark};
use kopilka_protocol::message::{AppliedLog, Renewal, VerdictNote};

use crate::store::{StoreError, Table};

use super::core::Core;
use super::error::AppError;
use super::keys;
use super::records::{Adoptions, LogEntry, SyncRecord, decode};

/// Entries that one request prunes at most; the next caught-up batch goes on.
const PRUNED_MAX: usize = 4_096;

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
    pub(super) fn renew(&mut self, renewal: &Renewal, at_ms: u64) -> Result<(), AppError> {
        let old = self.identity.incarnation;
        if renewal.next <= old {
            return Err(AppError::OutOfOrder);
        }
        if let Some(adoption) = renewal.adopted {
            let mut adoptions: Adoptions = self
                .rows
                .read(Table::Meta, keys::ADOPTIONS)?
                .unwrap_or_default();
            adoptions.0.push((old, adoption));
            self.rename_lots(&adoptions)?;
            self.rows
                .put(Table::Meta, keys::ADOPTIONS.to_vec(), &adoptions);
        }
        for table in [Table::Log, Table::Seals, Table::Pending] {
            for (key, _) in self.rows.scan(table, &[], None, usize::MAX)? {
                self.rows.delete(table, key);
            }
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

    /// Renames lots and rights that own operations on an adopted branch made.
    fn rename_lots(&mut self, adoptions: &Adoptions) -> Result<(), AppError> {
        let pending = self.rows.scan(Table::Pending, &[], None, usize::MAX)?;
        let mut touched: Vec<MemberId> = pending
            .iter()
            .filter_map(|(key, _)| key.first_chunk::<8>())
            .map(|bytes| MemberId(u64::from_be_bytes(*bytes)))
            .collect();
        touched.dedup();
        for id in touched {
            let mut member = self.member(id)?;
            rename_member(&mut member, adoptions);
            self.put_member(id, &member);
        }
        Ok(())
    }
}

fn rename_member(member: &mut Member, adoptions: &Adoptions) {
    for account in member.accounts.values_mut() {
        account.lots = std::mem::take(&mut account.lots)
            .into_iter()
            .map(|(id, lot)| (adoptions.rename_lot(id), lot))
            .collect();
    }
    member.allowances = std::mem::take(&mut member.allowances)
        .into_iter()
        .map(|(name, allowance)| match name {
            AllowanceRef::Granted(_) => (name, allowance),
            AllowanceRef::Earned(lot) => {
                (AllowanceRef::Earned(adoptions.rename_lot(lot)), allowance)
            }
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
