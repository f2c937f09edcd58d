//! The rules, directory and block orders in force, shared between the writer and whoever reads.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use kopilka_crdt::clock::Day;
use kopilka_crdt::directory::StoreDirectory;
use kopilka_crdt::identifier::{CardTag, IdentifierHash};
use kopilka_crdt::ids::{CashierId, PromotionId, TillId};
use kopilka_crdt::rulebook::Publication;
use kopilka_protocol::signed::{BlockOrder, Subject};
use kopilka_rules::programme::CompileError;
use kopilka_rules::promotion::Why;
use kopilka_rules::{Moment, Programme, placement};

const DAY_MS: u64 = 86_400_000;

/// A publication made ready to decide with.
#[derive(Debug)]
pub struct Rules {
    /// The compiled rules.
    pub programme: Programme,
    /// Wall time in milliseconds from which it counts.
    pub valid_from_ms: u64,
    zone: TimeZone,
}

impl Rules {
    pub(super) fn compile(publication: &Publication) -> Result<Self, CompileError> {
        let programme = Programme::compile(publication)?;
        let zone = TimeZone::get(&programme.rules().time_zone).unwrap_or(TimeZone::UTC);
        Ok(Self {
            programme,
            valid_from_ms: publication.valid_from_ms,
            zone,
        })
    }

    /// A wall time, with the offset of the programme's calendar.
    pub fn moment(&self, now_ms: u64) -> Moment {
        Moment {
            now_ms,
            offset_seconds: offset_seconds(&self.zone, now_ms),
        }
    }

    /// How long purchases, their receipts and the answers about them are kept, milliseconds.
    pub fn kept_ms(&self) -> u64 {
        u64::from(self.programme.rules().offline.return_days).saturating_mul(DAY_MS)
    }

    /// How far before its end an allowance is no longer used, milliseconds.
    pub fn margin_ms(&self) -> u64 {
        placement::margin_ms(&self.programme.rules().offline)
    }
}

/// The node's place in the programme, with the store's calendar.
#[derive(Debug)]
pub struct Directory {
    /// As the hub sent it.
    pub store: StoreDirectory,
    /// The store's time zone.
    pub zone: TimeZone,
}

fn offset_seconds(zone: &TimeZone, now_ms: u64) -> i32 {
    i64::try_from(now_ms)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok())
        .map_or(0, |time| zone.to_offset(time).seconds())
}

impl Directory {
    pub(super) fn new(store: StoreDirectory) -> Self {
        let zone = TimeZone::get(&store.time_zone).unwrap_or(TimeZone::UTC);
        Self { store, zone }
    }

    /// The day and the minute of it on the store's wall clock.
    pub(super) fn wall_clock(&self, now_ms: u64) -> (Day, u16) {
        let offset_seconds = offset_seconds(&self.zone, now_ms);
        let local_ms = i64::try_from(now_ms)
            .unwrap_or(i64::MAX)
            .saturating_add(i64::from(offset_seconds) * 1_000);
        let minute = local_ms.div_euclid(60_000).rem_euclid(24 * 60);
        let day = Day::from_ms(now_ms, offset_seconds);
        (day, u16::try_from(minute).expect("a day has 1,440 minutes"))
    }

    /// The till that holds a token, when it may work.
    pub fn till(&self, token: &str) -> Option<TillId> {
        let hash = blake3::hash(token.as_bytes());
        // Comparing blake3::Hash takes the same time wherever the difference lies.
        let known = |stored: &[u8; 32]| hash == blake3::Hash::from_bytes(*stored);
        let till = self.store.tills.iter().find(|till| known(&till.token_hash));
        till.filter(|till| till.enabled).map(|till| till.id)
    }

    /// Whether the cashier may work here.
    pub fn admits(&self, cashier: CashierId) -> bool {
        let cashiers = &self.store.cashiers;
        cashiers.is_empty()
            || cashiers
                .iter()
                .any(|known| known.id == cashier && known.enabled)
    }
}

/// The last block order about each card and each promotion.
#[derive(Debug, Default)]
pub struct Blocks {
    cards: BTreeMap<IdentifierHash, BlockOrder>,
    promotions: BTreeMap<PromotionId, BlockOrder>,
}

impl Blocks {
    /// Takes an order; of two about the same thing the larger number decides. Whether it changed anything.
    pub(super) fn take(&mut self, order: BlockOrder) -> bool {
        match order.subject {
            Subject::Card(card) => newer(self.cards.entry(card), order),
            Subject::Promotion(promotion) => newer(self.promotions.entry(promotion), order),
        }
    }

    /// The promotions that head office has stopped, as a price leaves them out.
    pub fn left_out(&self) -> BTreeMap<PromotionId, Why> {
        let stopped = self.promotions.iter().filter(|(_, order)| order.blocked);
        stopped
            .map(|(promotion, _)| (*promotion, Why::Stopped))
            .collect()
    }

    /// The order that blocks a card known by its hash.
    pub fn against(&self, card: IdentifierHash) -> Option<&BlockOrder> {
        self.cards.get(&card).filter(|order| order.blocked)
    }

    /// The order that blocks a card known by its tag.
    pub fn against_tag(&self, tag: CardTag) -> Option<&BlockOrder> {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&tag.0.to_be_bytes());
        self.cards
            .range(IdentifierHash(bytes)..)
            .take_while(|(hash, _)| hash.tag() == tag)
            .map(|(_, order)| order)
            .find(|order| order.blocked)
    }
}

/// Puts an order in the place of an older one.
fn newer<K: Ord>(place: Entry<'_, K, BlockOrder>, order: BlockOrder) -> bool {
    match place {
        Entry::Vacant(place) => {
            place.insert(order);
            true
        }
        Entry::Occupied(mut known) if known.get().number < order.number => {
            known.insert(order);
            true
        }
        Entry::Occupied(_) => false,
    }
}

/// What is in force, for readers on any thread. The writer's thread alone changes it.
#[derive(Debug, Default)]
pub struct InForce {
    rules: RwLock<Option<Arc<Rules>>>,
    upcoming: RwLock<Option<Arc<Rules>>>,
    directory: RwLock<Option<Arc<Directory>>>,
    blocks: RwLock<Blocks>,
}

impl InForce {
    /// The rules; none before the first publication came.
    pub fn rules(&self) -> Option<Arc<Rules>> {
        read(&self.rules).clone()
    }

    /// The newest rules that are here, in force or not yet.
    pub fn newest(&self) -> Option<Arc<Rules>> {
        read(&self.upcoming).clone().or_else(|| self.rules())
    }

    /// The directory; none before it came.
    pub fn directory(&self) -> Option<Arc<Directory>> {
        read(&self.directory).clone()
    }

    /// The block orders.
    pub fn blocks(&self) -> RwLockReadGuard<'_, Blocks> {
        read(&self.blocks)
    }

    pub(super) fn clear_rules(&self) {
        write(&self.rules, None);
        write(&self.upcoming, None);
    }

    /// Takes rules that are newer than all before: at once, or when their time comes. The first ones count at once.
    pub(super) fn take_rules(&self, rules: Rules, at_ms: u64) {
        let rules = Some(Arc::new(rules));
        let waits = rules
            .as_ref()
            .is_some_and(|rules| rules.valid_from_ms > at_ms);
        if waits && self.rules().is_some() {
            write(&self.upcoming, rules);
        } else {
            write(&self.rules, rules);
            write(&self.upcoming, None);
        }
    }

    /// Puts rules in force whose time has come.
    pub(super) fn promote(&self, at_ms: u64) {
        let due = |rules: &Arc<Rules>| rules.valid_from_ms <= at_ms;
        let upcoming = read(&self.upcoming).clone().filter(due);
        if upcoming.is_some() {
            write(&self.rules, upcoming);
            write(&self.upcoming, None);
        }
    }

    pub(super) fn set_directory(&self, directory: Option<Arc<Directory>>) {
        write(&self.directory, directory);
    }

    pub(super) fn set_blocks(&self, blocks: Blocks) {
        write(&self.blocks, blocks);
    }

    pub(super) fn take_order(&self, order: BlockOrder) -> bool {
        self.blocks
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take(order)
    }
}

// Each change of what the locks guard is one assignment or one insert, so a panic elsewhere leaves it whole.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>, value: T) {
    *lock.write().unwrap_or_else(PoisonError::into_inner) = value;
}
