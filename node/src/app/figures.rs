//! The node's figures for Prometheus: what was written is counted once it is durable, what stands is read for a scrape.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use kopilka_crdt::allowance::Rung;
use kopilka_crdt::operation::Body;
use metrics::{
    Counter, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};

use crate::store::Table;

use super::App;
use super::error::AppError;

/// Requests refused, by the `code` of the problem document.
pub(crate) const REFUSALS: &str = "kopilka_node_refusals_total";
/// Sessions that the hub took up.
pub(crate) const SESSIONS: &str = "kopilka_node_sessions_total";
/// Sessions, and attempts at one, that an error ended.
pub(crate) const SESSIONS_FAILED: &str = "kopilka_node_sessions_failed_total";
/// Sessions that the hub refused.
pub(crate) const SESSIONS_REFUSED: &str = "kopilka_node_sessions_refused_total";

const OPERATIONS: &str = "kopilka_node_operations_total";
const REDEMPTIONS: &str = "kopilka_node_redemptions_total";
const COMMITS_FAILED: &str = "kopilka_node_commits_failed_total";
const COMMIT_REQUESTS: &str = "kopilka_node_commit_requests";
const COMMIT_SECONDS: &str = "kopilka_node_commit_seconds";
const HOLDS_OPEN: &str = "kopilka_node_holds_open";
const OPERATIONS_PENDING: &str = "kopilka_node_operations_pending";
const HUB_CONNECTED: &str = "kopilka_node_hub_connected";
const HUB_CONTACT_AGE: &str = "kopilka_node_hub_contact_age_seconds";
const CLOCK_TRUSTED: &str = "kopilka_node_clock_trusted";
const MEMBERS: &str = "kopilka_node_members";
const STORE_BYTES: &str = "kopilka_node_store_bytes";

const RUNGS: [Rung; 2] = [Rung::Hub, Rung::Allowance];
/// Least time between two counts of the members, milliseconds: sled reads its whole table for one.
const MEMBERS_COUNTED_MS: u64 = 60_000;

/// What the writer's thread counts. The handles are made beforehand, so that counting is an addition to an atomic.
pub(super) struct WriterFigures {
    operations: BTreeMap<&'static str, Counter>,
    redemptions: BTreeMap<&'static str, Counter>,
    commits_failed: Counter,
    commit_requests: Histogram,
    commit_seconds: Histogram,
    group: Group,
}

/// Requests that will share a commit.
#[derive(Default)]
struct Group {
    requests: u32,
    /// Their operations' kinds, and the rungs of those that redeem.
    operations: Vec<(&'static str, Option<Rung>)>,
    commit_began: Option<Instant>,
}

impl WriterFigures {
    /// Registers with the recorder of this moment, and says what the figures mean.
    pub(super) fn new() -> Self {
        describe();
        for name in [SESSIONS, SESSIONS_FAILED, SESSIONS_REFUSED] {
            counter!(name).increment(0);
        }
        let operation = |kind| (kind, counter!(OPERATIONS, "kind" => kind));
        let redemption = |rung| {
            let rung = rung_name(rung);
            (rung, counter!(REDEMPTIONS, "rung" => rung))
        };
        Self {
            operations: Body::KINDS.into_iter().map(operation).collect(),
            redemptions: RUNGS.into_iter().map(redemption).collect(),
            commits_failed: counter!(COMMITS_FAILED),
            commit_requests: histogram!(COMMIT_REQUESTS),
            commit_seconds: histogram!(COMMIT_SECONDS),
            group: Group::default(),
        }
    }

    /// A request joins the group. Gives how many operations the group has so far.
    pub(super) fn request(&mut self) -> usize {
        self.group.requests = self.group.requests.saturating_add(1);
        self.group.operations.len()
    }

    /// The request appended an operation.
    pub(super) fn appended(&mut self, body: &Body) {
        self.group.operations.push((body.kind(), rung(body)));
    }

    /// The request was refused: of the group's operations only so many remain.
    pub(super) fn refused(&mut self, operations: usize) {
        self.group.operations.truncate(operations);
    }

    /// The group is complete; it goes to the disk now.
    pub(super) fn commit_begins(&mut self) {
        self.group.commit_began = Some(Instant::now());
    }

    /// The group is durable, or had nothing to write.
    pub(super) fn committed(&mut self) {
        if let Some(began) = self.group.commit_began.take() {
            self.commit_seconds.record(began.elapsed());
            self.commit_requests.record(self.group.requests);
        }
        self.group.requests = 0;
        for (kind, rung) in self.group.operations.drain(..) {
            let operations = self.operations.entry(kind);
            operations
                .or_insert_with(|| counter!(OPERATIONS, "kind" => kind))
                .increment(1);
            if let Some(counted) = rung.and_then(|rung| self.redemptions.get(rung_name(rung))) {
                counted.increment(1);
            }
        }
    }

    /// The group could not be written.
    pub(super) fn failed(&mut self) {
        self.commits_failed.increment(1);
        self.group = Group::default();
    }
}

/// The rung that a redemption stood on; none for what redeems nothing.
fn rung(body: &Body) -> Option<Rung> {
    let authority = match body {
        Body::Purchase(purchase) => purchase.authority.as_ref(),
        Body::Adjust(adjustment) => adjustment.authority.as_ref(),
        Body::Charge(charge) => charge.authority.as_ref(),
        Body::Enrol(_)
        | Body::Bind(_)
        | Body::CardState(_)
        | Body::Cancel(_)
        | Body::Return(_)
        | Body::Gift(_)
        | Body::Profile(_)
        | Body::Consent(_)
        | Body::AllowanceReturn(_)
        | Body::ClockMark(_)
        | Body::IncarnationMark(_)
        | Body::Tag(_)
        | Body::Refund(_) => None,
    };
    authority.map(|authority| authority.rung)
}

fn rung_name(rung: Rung) -> &'static str {
    match rung {
        Rung::Hub => "hub",
        Rung::Allowance => "allowance",
    }
}

/// What an [`App`] keeps so that its state can be shown.
pub(super) struct Observed {
    opened_ms: u64,
    /// When the members were last counted; 0: never.
    members_counted_ms: AtomicU64,
}

impl Observed {
    pub(super) fn new(opened_ms: u64) -> Self {
        Self {
            opened_ms,
            members_counted_ms: AtomicU64::new(0),
        }
    }

    fn members_are_due(&self, now_ms: u64) -> bool {
        let counted_ms = self.members_counted_ms.load(Ordering::Relaxed);
        let due = counted_ms == 0 || now_ms.abs_diff(counted_ms) >= MEMBERS_COUNTED_MS;
        if due {
            self.members_counted_ms.store(now_ms, Ordering::Relaxed);
        }
        due
    }
}

impl App {
    /// Brings the gauges up to date, for a scrape that follows. Blocks on the store.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn observe(&self) -> Result<(), AppError> {
        let now_ms = (self.0.clock)();
        let status = self.sync_status()?;
        let observed = &self.0.observed;
        // An age by one clock is right even where that clock is wrong, which a time would not be.
        let heard_ms = status.last_contact_ms.unwrap_or(observed.opened_ms);
        let holds = u64::try_from(status.holds).unwrap_or(u64::MAX);
        gauge!(HOLDS_OPEN).set(gauge_value(holds));
        gauge!(OPERATIONS_PENDING).set(gauge_value(status.pending_operations));
        gauge!(HUB_CONNECTED).set(u8::from(status.connected));
        gauge!(HUB_CONTACT_AGE).set(gauge_value(now_ms.saturating_sub(heard_ms) / 1_000));
        gauge!(CLOCK_TRUSTED).set(u8::from(status.clock_trusted));
        gauge!(STORE_BYTES).set(gauge_value(self.0.engine.disk_bytes()?));
        if observed.members_are_due(now_ms) {
            gauge!(MEMBERS).set(gauge_value(self.0.engine.count(Table::Members)?));
        }
        Ok(())
    }
}

/// Exact below 2^53, which nothing counted here reaches.
fn gauge_value(value: u64) -> f64 {
    value as f64
}

fn describe() {
    describe_counter!(OPERATIONS, "Operations written to the node's log, by kind");
    describe_counter!(
        REDEMPTIONS,
        "Redemptions written, by the rung of the ladder that they stood on"
    );
    describe_counter!(
        REFUSALS,
        "Requests refused, by the code of the problem document"
    );
    describe_counter!(SESSIONS, "Sessions with the hub that came about");
    describe_counter!(
        SESSIONS_FAILED,
        "Sessions with the hub, and attempts at one, that an error ended"
    );
    describe_counter!(SESSIONS_REFUSED, "Sessions that the hub refused");
    describe_counter!(
        COMMITS_FAILED,
        "Groups of requests that could not be written"
    );
    describe_histogram!(COMMIT_REQUESTS, "Requests that shared a commit");
    describe_histogram!(
        COMMIT_SECONDS,
        Unit::Seconds,
        "Time to sign a group of requests and sync it to the disk"
    );
    describe_gauge!(HOLDS_OPEN, "Sales that wait for confirmation");
    describe_gauge!(
        OPERATIONS_PENDING,
        "Own operations that are not yet durable at the hub"
    );
    describe_gauge!(HUB_CONNECTED, "Whether the hub can be asked now");
    describe_gauge!(
        HUB_CONTACT_AGE,
        Unit::Seconds,
        "Time since the hub was last heard, or since the start"
    );
    describe_gauge!(CLOCK_TRUSTED, "Whether the node's clock is believed");
    describe_gauge!(
        MEMBERS,
        "Members in the replica, counted at most once a minute"
    );
    describe_gauge!(
        STORE_BYTES,
        Unit::Bytes,
        "What the store occupies on the disk"
    );
}
