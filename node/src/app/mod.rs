//! What the node does: reads go straight to the store, writes through the one writer, redemptions up the ladder.

mod clock;
mod core;
mod coupon;
mod error;
mod figures;
mod gift_card;
mod hold;
mod hub;
mod keys;
mod ladder;
mod member;
mod message;
mod needs;
mod news;
mod outgoing;
mod own_log;
mod publication;
mod queries;
mod records;
mod redeem;
mod referral;
mod replica;
mod request;
mod resources;
mod reversal;
mod rows;
mod rules;
mod sale;
mod sold;
mod upkeep;
mod view;
mod waiting;

use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use ed25519_dalek::SigningKey;
use kopilka_crdt::log::Tip;
use kopilka_protocol::limits::PROTOCOL_VERSION;
use kopilka_protocol::message::{Hello, Seen};
use tokio::sync::watch;

use crate::identity::Identity;
use crate::store::writer::{Writer, WriterHandle};
use crate::store::{Engine, StoreError, Table};

pub use self::core::Written;
pub use coupon::{CouponError, ShownCoupon};
pub use error::AppError;
pub(crate) use figures::{REFUSALS, SESSIONS, SESSIONS_FAILED, SESSIONS_REFUSED};
pub use gift_card::{GiftCard, GiftCardError, GiftCardMove, PaymentId};
pub use hold::Held;
pub use hub::{HubLink, LinkError, NoHub};
pub use message::points;
pub use needs::HubAnswers;
pub use outgoing::Outgoing;
pub use publication::Checked;
pub use queries::{Identified, MemberView, SyncStatus};
pub use records::{
    Balance, HistoryEntry, Outcome, PurchaseId, PurchaseRecord, ReversalOutcome, SaleCharge,
    SaleOutcome, SaleState, SnapshotProgress,
};
pub use request::{
    Action, Basket, Call, GiftCardLoad, GiftCardPayment, GiftCardRefund, HOLDS_MAX,
    IDEMPOTENCY_KEY_BYTES_MAX, NewIdentifier, NewMember, News, PurchaseRef, Request, Sale,
    TENDERS_MAX, Told, WriteOff,
};
pub use rules::{Blocks, Directory, InForce, Rules};
pub use sold::{ListCursor, Listed, PurchaseList};

use self::core::Core;
use figures::Observed;
use records::SyncRecord;
use rows::Rows;

/// Why the node's state cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The node has not enrolled.
    #[error("this node is not enrolled: run `kopilka-node enrol` with a code from the hub")]
    NotEnrolled,
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] AppError),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The writer's thread cannot be started.
    #[error("cannot start the writer")]
    Writer(#[from] io::Error),
}

/// The node; cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    engine: Arc<dyn Engine>,
    writer: WriterHandle<Core>,
    in_force: Arc<InForce>,
    written: watch::Receiver<Written>,
    hub: RwLock<Arc<dyn HubLink>>,
    clock: fn() -> u64,
    observed: Observed,
    gate: hold::Gate,
}

impl App {
    /// Opens an enrolled node's state and starts its writer. `clock` gives milliseconds since 1970.
    ///
    /// What the writer counts goes to the metrics recorder that is installed by then.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(
        engine: Arc<dyn Engine>,
        key: SigningKey,
        clock: fn() -> u64,
    ) -> Result<Self, OpenError> {
        let identity = Identity::read(engine.as_ref())?.ok_or(OpenError::NotEnrolled)?;
        let in_force = Arc::new(InForce::default());
        let (core, written) =
            Core::open(Arc::clone(&engine), identity, key, Arc::clone(&in_force))?;
        let writer = Writer::spawn(Arc::clone(&engine), core, clock)?;
        Ok(Self(Arc::new(Inner {
            engine,
            writer,
            in_force,
            written,
            hub: RwLock::new(Arc::new(NoHub)),
            clock,
            observed: Observed::new(clock()),
            gate: hold::Gate::default(),
        })))
    }

    /// Tells where to ask while a till waits.
    pub fn set_hub(&self, hub: Arc<dyn HubLink>) {
        *self.0.hub.write().unwrap_or_else(PoisonError::into_inner) = hub;
    }

    /// The connection to the hub.
    pub fn hub(&self) -> Arc<dyn HubLink> {
        Arc::clone(&self.0.hub.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The rules, directory and block orders in force.
    pub fn in_force(&self) -> &InForce {
        &self.0.in_force
    }

    /// Where the own log stands on this disk, now and whenever it grows.
    pub fn written(&self) -> watch::Receiver<Written> {
        self.0.written.clone()
    }

    /// Who the node is now.
    pub fn identity(&self) -> Identity {
        self.0.written.borrow().identity
    }

    /// Takes in what the hub sent; returns when it is on the disk.
    ///
    /// # Errors
    /// When it does not verify, does not follow what came before, or cannot be written.
    pub async fn hear(&self, news: News) -> Result<(), AppError> {
        self.submit(Request::Hub(Box::new(news))).await.map(|_| ())
    }

    /// Lets time act: to be called every second or so.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn tick(&self) -> Result<(), AppError> {
        self.submit(Request::Tick).await.map(|_| ())
    }

    /// Finishes what waits for the writer and stops it. Blocks meanwhile.
    ///
    /// # Errors
    /// When the writer's thread had panicked.
    pub fn stop(&self) -> Result<(), AppError> {
        Ok(self.0.writer.stop()?)
    }

    /// Gives space that the store no longer uses back to the file system. Blocks; everything else waits meanwhile.
    ///
    /// # Errors
    /// When the store fails.
    pub fn compact(&self) -> Result<(), AppError> {
        Ok(self.0.engine.compact()?)
    }

    /// The first message of a session with the hub.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn hello(&self) -> Result<Hello, AppError> {
        let written = *self.0.written.borrow();
        Ok(Hello {
            protocol: PROTOCOL_VERSION,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            node: written.identity.node,
            incarnation: written.identity.incarnation,
            tip: written.tip,
            seen: self.seen()?,
        })
    }

    /// What the node has on its disk of what the hub sends. Without a whole snapshot its feed is empty.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn seen(&self) -> Result<Seen, AppError> {
        let sync = self.sync_record()?;
        Ok(Seen {
            feed: sync.feed.iter().map(|cursor| cursor.position).collect(),
            block: sync.block,
            publication: self
                .0
                .in_force
                .newest()
                .map_or(0, |rules| rules.programme.number()),
            directory: self
                .0
                .in_force
                .directory()
                .map_or(0, |directory| directory.store.version),
        })
    }

    /// How far a snapshot has come; none when none is under way.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn snapshot_progress(&self) -> Result<Option<SnapshotProgress>, AppError> {
        Ok(self.rows().read(Table::Meta, keys::SNAPSHOT)?)
    }

    /// The next run of the own log after `base`; none when all of it is sent.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn segment_after(&self, base: Tip) -> Result<Option<Outgoing>, AppError> {
        outgoing::after(&self.rows(), &self.identity(), base)
    }

    /// Where what is left of the own log begins: the base to send a whole branch from.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn branch_base(&self) -> Result<Tip, AppError> {
        outgoing::pruned(&self.rows(), &self.identity())
    }

    /// Where the own log stood after a sequence; none when it has not come so far, or that is pruned.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn own_tip(&self, sequence: u64) -> Result<Option<Tip>, AppError> {
        outgoing::tip_at(&self.rows(), &self.identity(), sequence)
    }

    async fn submit(&self, request: Request) -> Result<Option<Outcome>, AppError> {
        let reply = self.0.writer.submit(request).await?;
        if let Some(error) = reply.as_ref().err().filter(|error| error.is_fault()) {
            tracing::error!(%error, "a request failed");
        }
        reply
    }

    fn rows(&self) -> Rows {
        Rows::new(Arc::clone(&self.0.engine))
    }

    fn sync_record(&self) -> Result<SyncRecord, AppError> {
        Ok(self
            .rows()
            .read(Table::Meta, keys::SYNC)?
            .unwrap_or_default())
    }

    /// The node's best knowledge of the time: it never runs behind what the log says.
    fn now_ms(&self) -> u64 {
        let written = *self.0.written.borrow();
        let stamped_ms = written.tip.stamp.ms();
        if written.clock_trusted {
            (self.0.clock)().max(stamped_ms)
        } else {
            stamped_ms
        }
    }
}
