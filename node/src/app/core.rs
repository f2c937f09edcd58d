//! The node's state and its one writer: every request runs here, one after the other, and is signed with its group.

use std::sync::Arc;

use ed25519_dalek::SigningKey;
use kopilka_crdt::clock::Stamp;
use kopilka_crdt::ids::{MemberId, OperationId};
use kopilka_crdt::ledger;
use kopilka_crdt::log::{Log, Tip};
use kopilka_crdt::member::Member;
use kopilka_crdt::operation::{Body, ClockMark};
use kopilka_protocol::limits::{SEGMENT_BYTES_MAX, SEGMENT_OPERATIONS_MAX};
use kopilka_protocol::segment::Seal;
use kopilka_protocol::signed::{SignedBlockOrder, SignedPublication};
use tokio::sync::watch;

use crate::identity::Identity;
use crate::store::writer::Apply;
use crate::store::{Batch, Engine, StoreError, Table};

use super::clock::WallClock;
use super::error::AppError;
use super::figures::WriterFigures;
use super::keys;
use super::records::{Answered, HistoryEntry, LogEntry, Outcome, SyncRecord};
use super::replica::Heard;
use super::request::{Action, Call, Request};
use super::rows::Rows;
use super::rules::{Blocks, Directory, InForce, Rules};

/// Publications kept: the one in force, and the good one before it.
pub(super) const PUBLICATIONS_KEPT: usize = 2;
/// Block orders read at once when the node starts.
const BLOCKS_PAGE: usize = 4_096;

/// Where the node's own log stands on its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Who writes, and in which incarnation.
    pub identity: Identity,
    /// The last operation.
    pub tip: Tip,
    /// Whether the wall clock is believed.
    pub clock_trusted: bool,
}

/// What an append changes in memory; a refused request puts it back.
#[derive(Clone)]
pub(super) struct Writing {
    pub log: Log,
    pub clock: WallClock,
    /// Something of former incarnations is left on the disk.
    pub former_left: bool,
    unsealed_operations: usize,
    unsealed_bytes: usize,
}

/// The applier of the writer's thread.
pub(super) struct Core {
    pub(super) rows: Rows,
    pub(super) identity: Identity,
    pub(super) writing: Writing,
    pub(super) in_force: Arc<InForce>,
    pub(super) heard: Heard,
    engine: Arc<dyn Engine>,
    key: SigningKey,
    written: watch::Sender<Written>,
    figures: WriterFigures,
    /// A commit failed and what is in memory has not been read again since.
    stale: bool,
}

impl Core {
    /// Reads the state of an enrolled node.
    pub(super) fn open(
        engine: Arc<dyn Engine>,
        identity: Identity,
        key: SigningKey,
        in_force: Arc<InForce>,
    ) -> Result<(Self, watch::Receiver<Written>), AppError> {
        let rows = Rows::new(Arc::clone(&engine));
        let writing = read_writing(&rows, &identity)?;
        let (written, receiver) = watch::channel(Written {
            identity,
            tip: writing.log.tip(),
            clock_trusted: writing.clock.marked_trusted,
        });
        let core = Self {
            rows,
            identity,
            writing,
            in_force,
            heard: Heard::default(),
            engine,
            key,
            written,
            figures: WriterFigures::new(),
            stale: false,
        };
        core.read_in_force()?;
        Ok((core, receiver))
    }

    fn read_again(&mut self) -> Result<(), AppError> {
        self.rows.forget_group();
        self.heard = Heard::default();
        self.identity = Identity::read(self.engine.as_ref())?.ok_or(AppError::NotReady)?;
        self.writing = read_writing(&self.rows, &self.identity)?;
        self.read_in_force()?;
        self.stale = false;
        Ok(())
    }

    fn read_in_force(&self) -> Result<(), AppError> {
        let publications = self.rows.scan(
            Table::Publications,
            &[],
            None,
            PUBLICATIONS_KEPT.saturating_mul(2),
        )?;
        self.in_force.clear_rules();
        let at_ms = self.writing.log.tip().stamp.ms();
        for (_, bytes) in &publications {
            let signed: SignedPublication = super::records::decode(bytes)?;
            match Rules::compile(&signed.publication) {
                Ok(rules) => self.in_force.take_rules(rules, at_ms),
                Err(error) => tracing::warn!(%error, "a stored publication cannot be run"),
            }
        }
        let directory = self.rows.read(Table::Directory, keys::DIRECTORY)?;
        self.in_force
            .set_directory(directory.map(|store| Arc::new(Directory::new(store))));
        self.in_force.set_blocks(read_blocks(&self.rows)?);
        Ok(())
    }

    /// The rules; [`AppError::NotReady`] before the first publication.
    pub(super) fn rules(&self) -> Result<Arc<Rules>, AppError> {
        self.in_force.rules().ok_or(AppError::NotReady)
    }

    /// The directory; [`AppError::NotReady`] before it came.
    pub(super) fn directory(&self) -> Result<Arc<Directory>, AppError> {
        self.in_force.directory().ok_or(AppError::NotReady)
    }

    /// A member's present state.
    pub(super) fn member(&self, id: MemberId) -> Result<Member, AppError> {
        let mut member = super::view::member(&self.rows, id)?.ok_or(AppError::UnknownMember)?;
        self.rename_former(id, &mut member)?;
        Ok(member)
    }

    pub(super) fn sync_record(&self) -> Result<SyncRecord, AppError> {
        Ok(self.rows.read(Table::Meta, keys::SYNC)?.unwrap_or_default())
    }

    /// Appends an operation to the log and folds it into the member that it is about.
    pub(super) fn record(
        &mut self,
        at_ms: u64,
        id: MemberId,
        member: &mut Member,
        body: Body,
    ) -> Result<(OperationId, Stamp), AppError> {
        let (operation, stamp) = self.append(at_ms, &body)?;
        ledger::apply(member, operation, stamp, &body)?;
        self.put_recorded(id, member, &body)?;
        let key = keys::of_member(id, operation.incarnation, operation.sequence);
        let entry = HistoryEntry {
            id: operation,
            stamp,
            body,
        };
        self.rows.put(Table::History, key.clone(), &entry);
        if let Some(rules) = self.in_force.rules() {
            let due_ms = at_ms.saturating_add(rules.kept_ms());
            self.rows.expire(due_ms, Table::History, &key);
        }
        self.rows.put_bytes(Table::Pending, key, Vec::new());
        Ok((operation, stamp))
    }

    /// Appends an operation to the log.
    pub(super) fn append(
        &mut self,
        at_ms: u64,
        body: &Body,
    ) -> Result<(OperationId, Stamp), AppError> {
        let before = self.writing.log.tip();
        let appended = self.writing.log.append(at_ms, body)?;
        let bytes = self
            .writing
            .unsealed_bytes
            .saturating_add(appended.bytes.len());
        let fits =
            bytes <= SEGMENT_BYTES_MAX && self.writing.unsealed_operations < SEGMENT_OPERATIONS_MAX;
        if fits {
            self.writing.unsealed_bytes = bytes;
        } else {
            // A segment ends at a seal, so a large group needs one on the way.
            let seal = self.seal_at(before);
            let key = keys::log(self.identity.incarnation, before.sequence);
            self.rows.put(Table::Seals, key, &seal);
            self.writing.unsealed_bytes = appended.bytes.len();
            self.writing.unsealed_operations = 0;
        }
        self.writing.unsealed_operations = self.writing.unsealed_operations.saturating_add(1);
        let key = keys::log(appended.id.incarnation, appended.id.sequence);
        let entry = LogEntry {
            stamp: appended.stamp,
            head: self.writing.log.tip().head,
            bytes: appended.bytes,
        };
        self.rows.put(Table::Log, key, &entry);
        self.figures.appended(body);
        Ok((appended.id, appended.stamp))
    }

    /// Goes on in another log; the one before it is left for later.
    pub(super) fn begin_log(&mut self, log: Log) {
        self.writing = Writing {
            log,
            clock: self.writing.clock,
            former_left: true,
            unsealed_operations: 0,
            unsealed_bytes: 0,
        };
    }

    fn seal_at(&self, tip: Tip) -> Seal {
        Seal::sign(
            &self.key,
            self.identity.node,
            self.identity.incarnation,
            tip,
        )
    }

    /// Says in the log when the clock stops or starts to be believed.
    fn mark_clock(&mut self, now_ms: u64) -> Result<(), AppError> {
        let behind_ms = self.writing.log.behind_ms(now_ms);
        let trusted = self.writing.clock.observe(now_ms, behind_ms);
        if trusted == self.writing.clock.marked_trusted {
            return Ok(());
        }
        tracing::warn!(trusted, behind_ms, "the clock changed");
        self.writing.clock.marked_trusted = trusted;
        self.rows.put(Table::Meta, keys::CLOCK.to_vec(), &trusted);
        let mark = ClockMark { trusted, behind_ms };
        let at_ms = self.time_ms(now_ms);
        self.append(at_ms, &Body::ClockMark(mark))?;
        Ok(())
    }

    fn time_ms(&self, now_ms: u64) -> u64 {
        let stamped_ms = self.writing.log.tip().stamp.ms();
        self.writing.clock.time_ms(now_ms, stamped_ms)
    }

    fn dispatch(&mut self, request: Request, now_ms: u64) -> Result<Option<Outcome>, AppError> {
        if self.stale {
            self.read_again()?;
        }
        self.mark_clock(now_ms)?;
        // Time never runs backwards for what it decides, whatever the wall says.
        let at_ms = self.time_ms(now_ms);
        self.in_force.promote(at_ms);
        match request {
            Request::Till(call, action) => self.till(&call, *action, at_ms).map(Some),
            Request::Hub(news) => self.news(*news, now_ms, at_ms).map(|()| None),
            Request::Rules(checked) => self.publication(*checked, at_ms).map(|()| None),
            Request::Tick => self.tick(now_ms, at_ms).map(|()| None),
        }
    }

    fn till(&mut self, call: &Call, action: Action, at_ms: u64) -> Result<Outcome, AppError> {
        if let Some(outcome) = super::view::answered(&self.rows, call)? {
            return Ok(outcome);
        }
        if !self.directory()?.admits(call.cashier) {
            return Err(AppError::UnknownCashier(call.cashier));
        }
        let outcome = self.act(call, action, at_ms)?;
        let key = keys::idempotency(call.till, &call.key);
        let due_ms = at_ms.saturating_add(self.rules()?.kept_ms());
        let answered = Answered {
            body: call.body,
            outcome,
        };
        self.rows.put(Table::Idempotency, key.clone(), &answered);
        self.rows.expire(due_ms, Table::Idempotency, &key);
        Ok(answered.outcome)
    }

    fn act(&mut self, call: &Call, action: Action, at_ms: u64) -> Result<Outcome, AppError> {
        match action {
            Action::Authorise(sale, hub) => self.authorise(call, &sale, &hub, at_ms),
            Action::Confirm(purchase) => self.confirm(purchase, at_ms),
            Action::Void(purchase) => self.void(purchase, at_ms),
            Action::Cancel(purchase) => self.cancel(call, purchase, at_ms),
            Action::Return(purchase, lines, told) => {
                self.take_back(call, (purchase, &told), lines.as_deref(), at_ms)
            }
            Action::Enrol(person) => self.enrol(call, person, at_ms),
            Action::Bind(identifier) => self.bind(&identifier, at_ms),
            Action::CardState {
                member,
                card,
                state,
            } => self.card_state(member, card, state, at_ms),
            Action::WriteOff(write_off, hub) => self.write_off(write_off, hub, at_ms),
            Action::Gift {
                member,
                code,
                count,
            } => self.gift(member, code, count, at_ms),
            Action::Consent {
                member,
                channel,
                given,
            } => self.consent(member, channel, given, at_ms),
            Action::Profile { member, fields } => self.profile(member, &fields, at_ms),
            Action::LoadGiftCard(load) => self.load_gift_card(&load, at_ms),
            Action::PayByGiftCard(payment, hub) => {
                self.pay_by_gift_card(call, &payment, hub, at_ms)
            }
            Action::RefundGiftCard(refund) => self.refund_gift_card(call, &refund, at_ms),
        }
    }
}

impl Apply for Core {
    type Request = Request;
    type Reply = Result<Option<Outcome>, AppError>;

    fn apply(&mut self, request: Request, now_ms: u64, batch: &mut Batch) -> Self::Reply {
        let before = (self.writing.clone(), self.identity);
        let counted = self.figures.request();
        let reply = self.dispatch(request, now_ms);
        match &reply {
            Ok(_) => self.rows.accept(batch),
            Err(_) => {
                self.rows.refuse();
                self.figures.refused(counted);
                (self.writing, self.identity) = before;
            }
        }
        reply
    }

    fn seal(&mut self, batch: &mut Batch) {
        self.figures.commit_begins();
        if self.writing.unsealed_operations == 0 {
            return;
        }
        let tip = self.writing.log.tip();
        let key = keys::log(self.identity.incarnation, tip.sequence);
        batch.put(
            Table::Seals,
            key,
            super::records::encode(&self.seal_at(tip)),
        );
        self.writing.unsealed_operations = 0;
        self.writing.unsealed_bytes = 0;
    }

    fn committed(&mut self) {
        self.rows.forget_group();
        self.figures.committed();
        let now = Written {
            identity: self.identity,
            tip: self.writing.log.tip(),
            clock_trusted: self.writing.clock.marked_trusted,
        };
        self.written.send_if_modified(|written| {
            let changed = *written != now;
            *written = now;
            changed
        });
    }

    fn rollback(&mut self) {
        self.rows.forget_group();
        self.figures.failed();
        self.stale = true;
        if let Err(error) = self.read_again() {
            tracing::error!(%error, "cannot read the state again after a failed commit");
        }
    }

    fn failed(error: StoreError) -> Self::Reply {
        Err(error.into())
    }
}

fn read_writing(rows: &Rows, identity: &Identity) -> Result<Writing, AppError> {
    let sync: SyncRecord = rows.read(Table::Meta, keys::SYNC)?.unwrap_or_default();
    let pruned = sync
        .pruned
        .unwrap_or_else(|| Tip::genesis(identity.node, identity.incarnation));
    let tip = match rows.last_stored(Table::Log)? {
        Some((key, bytes)) if keys::incarnation(&key) == Some(identity.incarnation) => {
            super::own_log::tip_of(&key, &bytes)?.0
        }
        Some(_) | None => pruned,
    };
    let marked_trusted = rows.read(Table::Meta, keys::CLOCK)?.unwrap_or(true);
    Ok(Writing {
        log: Log::resume(identity.node, identity.incarnation, tip, tip.stamp),
        clock: WallClock::new(marked_trusted),
        former_left: super::own_log::is_former_left(rows, identity.incarnation)?,
        unsealed_operations: 0,
        unsealed_bytes: 0,
    })
}

fn read_blocks(rows: &Rows) -> Result<Blocks, AppError> {
    let mut blocks = Blocks::default();
    let mut start = Vec::new();
    loop {
        let page = rows.scan(Table::Blocks, &start, None, BLOCKS_PAGE)?;
        for (_, bytes) in &page {
            let signed: SignedBlockOrder = super::records::decode(bytes)?;
            blocks.take(signed.order);
        }
        match page.last() {
            Some((key, _)) if page.len() == BLOCKS_PAGE => {
                start = [key.as_slice(), &[0]].concat();
            }
            Some(_) | None => return Ok(blocks),
        }
    }
}
