//! What the hub sends: member states laid under the node's own operations, block orders, rules, directory.

use std::sync::Arc;

use kopilka_crdt::directory::StoreDirectory;
use kopilka_crdt::ids::MemberId;
use kopilka_crdt::ledger;
use kopilka_crdt::member::Member;
use kopilka_crdt::operation::{AllowanceReturn, Body};
use kopilka_protocol::message::{AppliedLog, FeedBatch, FeedMember, MemberState};
use kopilka_protocol::signed::{SignedBlockOrder, SignedPublication};

use crate::store::Table;

use super::core::{Core, PUBLICATIONS_KEPT};
use super::error::AppError;
use super::keys;
use super::ladder::Bound;
use super::own_log::PENDING_MAX;
use super::records::{FeedCursor, LogEntry, SnapshotProgress, SyncRecord};
use super::request::News;
use super::rules::{Directory, Rules};

/// Partitions that a feed may have.
const PARTITIONS_MAX: usize = 1_024;

impl Core {
    pub(super) fn news(&mut self, news: News, now_ms: u64, at_ms: u64) -> Result<(), AppError> {
        match news {
            News::Feed(batch) => self.feed(batch),
            News::Member(state) => self.one_member(state),
            News::Blocks(orders) => self.blocks(orders),
            News::Publication(publication) => self.publication(&publication, at_ms),
            News::Directory(directory) => self.new_directory(directory),
            News::Durable {
                incarnation,
                tip,
                verdicts,
            } => self.durable(incarnation, tip, &verdicts, at_ms),
            News::Recall { member, allowances } => self.recall(member, &allowances, at_ms),
            News::Renew(renewal) => self.renew(&renewal, at_ms),
            News::SnapshotBegins { positions } => self.snapshot_begins(positions),
            News::SnapshotPages { batches, last } => self.snapshot_pages(batches, last),
            News::Time { hub_ms } => {
                self.writing.clock.compare(now_ms, hub_ms);
                Ok(())
            }
        }
    }

    fn feed(&mut self, batch: FeedBatch) -> Result<(), AppError> {
        let mut sync = self.sync_record()?;
        let cursor = sync
            .feed
            .get_mut(usize::from(batch.partition))
            .ok_or(AppError::OutOfOrder)?;
        if batch.after != cursor.position {
            return Err(AppError::OutOfOrder);
        }
        cursor.position = batch.upto;
        cursor.applied = batch.applied;
        if batch.caught_up {
            cursor.complete = batch.applied;
        }
        for member in batch.members {
            let id = member.id;
            self.lay_under(member, batch.applied)?;
            self.forget_pending(id, batch.applied)?;
        }
        self.rows.put(Table::Meta, keys::SYNC.to_vec(), &sync);
        if batch.caught_up {
            self.prune(sync)?;
        }
        Ok(())
    }

    fn one_member(&mut self, state: MemberState) -> Result<(), AppError> {
        let sync = self.sync_record()?;
        let partitions = u16::try_from(sync.feed.len()).unwrap_or(u16::MAX);
        let partition = usize::from(state.member.id.partition(partitions));
        let older = sync.feed.get(partition).is_some_and(|cursor| {
            (state.applied.incarnation, state.applied.sequence)
                < (cursor.applied.incarnation, cursor.applied.sequence)
        });
        // The feed overtook the answer: what it brought includes own operations that this state lacks.
        if older {
            return Err(AppError::OutOfOrder);
        }
        // Own operations stay pending until the feed, which is in order, says that they are included.
        self.lay_under(state.member, state.applied)
    }

    /// Makes the hub's state of a member the node's, with own operations that it does not include on top.
    fn lay_under(&mut self, state: FeedMember, applied: AppliedLog) -> Result<(), AppError> {
        let id = state.id;
        let mut member = Member::decode(&state.record).map_err(|_| AppError::UnreadableRecord)?;
        self.forget_former(id)?;
        for (sequence, entry) in self.pending_after(id, applied)? {
            let body = entry.body()?;
            if matches!(body, Body::Enrol(_) | Body::Profile(_)) {
                // What may be shown is not part of the fold.
                if let Some(own) = super::view::member(&self.rows, id)? {
                    member.shown = own.shown;
                }
            }
            let operation = kopilka_crdt::ids::OperationId {
                node: self.identity.node,
                incarnation: self.identity.incarnation,
                sequence,
            };
            ledger::apply(&mut member, operation, entry.stamp, &body)?;
        }
        for hash in state.identifiers {
            let key = keys::identifier(hash);
            if self.rows.read::<MemberId>(Table::Identifiers, &key)? != Some(id) {
                self.rows.put(Table::Identifiers, key, &id);
            }
        }
        self.put_member(id, &member);
        Ok(())
    }

    /// As [`Self::lay_under`] while no own operation waits for the hub.
    fn store_as_sent(&mut self, state: FeedMember) -> Result<(), AppError> {
        Member::decode(&state.record).map_err(|_| AppError::UnreadableRecord)?;
        for hash in state.identifiers {
            self.rows
                .put(Table::Identifiers, keys::identifier(hash), &state.id);
        }
        self.rows
            .put_bytes(Table::Members, keys::member(state.id), state.record);
        Ok(())
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

    fn forget_pending(&mut self, id: MemberId, applied: AppliedLog) -> Result<(), AppError> {
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

    fn blocks(&mut self, orders: Vec<SignedBlockOrder>) -> Result<(), AppError> {
        for signed in &orders {
            signed.verify(&self.identity.hub)?;
            if signed.order.programme != self.identity.programme {
                return Err(AppError::Foreign);
            }
        }
        let mut sync = self.sync_record()?;
        for signed in orders {
            sync.block = sync.block.max(signed.order.number);
            let key = keys::identifier(signed.order.card);
            let known: Option<SignedBlockOrder> = self.rows.read(Table::Blocks, &key)?;
            if known.is_none_or(|known| known.order.number < signed.order.number) {
                self.rows.put(Table::Blocks, key, &signed);
            }
            // A card is refused from here on, before the order is on the disk.
            self.in_force.take_order(signed.order);
        }
        self.rows.put(Table::Meta, keys::SYNC.to_vec(), &sync);
        Ok(())
    }

    fn publication(&mut self, signed: &SignedPublication, at_ms: u64) -> Result<(), AppError> {
        signed.verify(&self.identity.hub)?;
        let publication = &signed.publication;
        if publication.programme != self.identity.programme {
            return Err(AppError::Foreign);
        }
        let rules = Rules::compile(publication)?;
        let present = self.in_force.newest().map(|rules| rules.programme.number());
        match present {
            Some(number) if publication.number < number => return Err(AppError::OutOfOrder),
            Some(number) if publication.number == number => return Ok(()),
            Some(_) | None => {}
        }
        let key = publication.number.to_be_bytes().to_vec();
        self.rows.put(Table::Publications, key, signed);
        let kept = self.rows.scan(Table::Publications, &[], None, usize::MAX)?;
        let surplus = kept.len().saturating_sub(PUBLICATIONS_KEPT);
        for (key, _) in kept.into_iter().take(surplus) {
            self.rows.delete(Table::Publications, key);
        }
        self.in_force.take_rules(rules, at_ms);
        Ok(())
    }

    fn new_directory(&mut self, store: StoreDirectory) -> Result<(), AppError> {
        let ours = (self.identity.programme, self.identity.store);
        if (store.programme, store.store) != ours {
            return Err(AppError::Foreign);
        }
        let present = self.in_force.directory();
        if present.is_some_and(|present| present.store.version > store.version) {
            return Err(AppError::OutOfOrder);
        }
        self.rows
            .put(Table::Directory, keys::DIRECTORY.to_vec(), &store);
        self.in_force
            .set_directory(Some(Arc::new(Directory::new(store))));
        Ok(())
    }

    /// Gives back rights that no waiting sale draws on.
    fn recall(
        &mut self,
        id: MemberId,
        allowances: &[kopilka_crdt::allowance::AllowanceRef],
        at_ms: u64,
    ) -> Result<(), AppError> {
        let mut member = self.member(id)?;
        let bound = Bound::read(&self.rows, id)?;
        for allowance in allowances {
            let own = member.allowances.get(allowance).is_some_and(|held| {
                held.node == self.identity.node
                    && held.incarnation == self.identity.incarnation
                    && !held.closed
            });
            if own && !bound.draws_on(allowance) {
                let body = AllowanceReturn {
                    member: id,
                    allowance: *allowance,
                };
                self.record(at_ms, id, &mut member, Body::AllowanceReturn(body))?;
            }
        }
        Ok(())
    }

    fn snapshot_begins(&mut self, positions: Vec<u64>) -> Result<(), AppError> {
        if positions.is_empty() || positions.len() > PARTITIONS_MAX {
            return Err(AppError::OutOfOrder);
        }
        let progress = SnapshotProgress {
            positions,
            ..SnapshotProgress::default()
        };
        self.rows
            .put(Table::Meta, keys::SNAPSHOT.to_vec(), &progress);
        Ok(())
    }

    fn snapshot_pages(&mut self, batches: Vec<FeedBatch>, last: bool) -> Result<(), AppError> {
        let progress: Option<SnapshotProgress> = self.rows.read(Table::Meta, keys::SNAPSHOT)?;
        let mut progress = progress.ok_or(AppError::OutOfOrder)?;
        // A new replica has no operations of its own: a million members then need no look at what is here of each.
        let untouched = self.rows.scan(Table::Pending, &[], None, 1)?.is_empty();
        for batch in batches {
            if batch.partition != progress.partition {
                return Err(AppError::OutOfOrder);
            }
            let through = batch.members.last().map(|member| member.id);
            for member in batch.members {
                if untouched {
                    self.store_as_sent(member)?;
                } else {
                    self.lay_under(member, batch.applied)?;
                }
            }
            progress.after = through.or(progress.after);
        }
        if last {
            progress.partition = progress.partition.saturating_add(1);
            progress.after = None;
        }
        if usize::from(progress.partition) < progress.positions.len() {
            self.rows
                .put(Table::Meta, keys::SNAPSHOT.to_vec(), &progress);
            return Ok(());
        }
        let nothing = AppliedLog {
            incarnation: self.identity.incarnation,
            sequence: 0,
        };
        let start = |position: &u64| FeedCursor {
            position: *position,
            applied: nothing,
            complete: nothing,
        };
        let sync = SyncRecord {
            feed: progress.positions.iter().map(start).collect(),
            ..self.sync_record()?
        };
        self.rows.put(Table::Meta, keys::SYNC.to_vec(), &sync);
        self.rows.delete(Table::Meta, keys::SNAPSHOT.to_vec());
        Ok(())
    }
}
