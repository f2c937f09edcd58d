//! What the hub sends beside rules: batches of the feed, pages of a snapshot, block orders, directory.

use std::sync::Arc;

use kopilka_crdt::directory::StoreDirectory;
use kopilka_crdt::ids::MemberId;
use kopilka_crdt::operation::{AllowanceReturn, Body};
use kopilka_protocol::message::{AppliedLog, FeedBatch};
use kopilka_protocol::signed::SignedBlockOrder;

use crate::store::Table;

use super::core::Core;
use super::error::AppError;
use super::keys;
use super::ladder::Bound;
use super::records::{FeedCursor, SnapshotProgress, SyncRecord};
use super::replica::{Heard, partitions};
use super::request::News;
use super::rules::Directory;

/// Partitions that a feed may have.
const PARTITIONS_MAX: usize = 1_024;

impl Core {
    pub(super) fn news(&mut self, news: News, now_ms: u64, at_ms: u64) -> Result<(), AppError> {
        match news {
            News::Feed(batch) => self.feed(batch),
            News::Member(state) => self.one_member(state),
            News::Blocks(orders) => self.blocks(orders),
            News::Directory(directory) => self.new_directory(directory),
            News::Durable {
                incarnation,
                tip,
                verdicts,
            } => self.durable(incarnation, tip, &verdicts, at_ms),
            News::Recall { member, allowances } => self.recall(member, &allowances, at_ms),
            News::Renew { renewal, known } => self.renew(&renewal, known, at_ms),
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
        let partitions = partitions(&sync);
        for member in batch.members {
            let id = member.id;
            if !self.heard.is_ahead_of(id, batch.upto) {
                self.lay_under(member, batch.applied)?;
            }
            self.forget_pending(id, batch.applied)?;
        }
        self.heard.forget(partitions, batch.partition, batch.upto);
        self.rows.put(Table::Meta, keys::SYNC.to_vec(), &sync);
        if batch.caught_up {
            self.prune(sync)?;
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
            let key = keys::identifier(signed.order.subject.into());
            let known: Option<SignedBlockOrder> = self.rows.read(Table::Blocks, &key)?;
            if known.is_none_or(|known| known.order.number < signed.order.number) {
                self.rows.put(Table::Blocks, key, &signed);
            }
            // A card is refused from here on, and a promotion given no more, before the order is on the disk.
            self.in_force.take_order(signed.order);
        }
        self.rows.put(Table::Meta, keys::SYNC.to_vec(), &sync);
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
        // Nobody is known here, so nobody can have lost an identifier.
        let is_first = self.rows.scan(Table::Members, &[], None, 1)?.is_empty();
        self.heard = Heard::at_snapshot(is_first);
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
            // The feed goes on from here, so what a page leaves out comes again.
            let position = progress.positions.get(usize::from(batch.partition));
            let position = position.copied().unwrap_or_default();
            for member in batch.members {
                if self.heard.is_ahead_of(member.id, position) {
                    continue;
                }
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
