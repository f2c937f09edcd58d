//! A hub and stores that share one member, in virtual time: the decisions are the real ones, the rest is bookkeeping.

use std::collections::BTreeMap;

use kopilka_crdt::allowance::AllowanceRef;
use kopilka_crdt::clock::{Day, Stamp};
use kopilka_crdt::ids::{Incarnation, MemberId, NodeId, OperationId};
use kopilka_crdt::ledger::{Take, apply};
use kopilka_crdt::member::Member;
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::{AllowanceReturn, Body, ClockMark, Purchase};
use kopilka_rules::placement::{self, Holder, Reservation};
use kopilka_rules::pricing::{Wish, quote};
use kopilka_rules::redemption::{Asking, HubAnswer, authorise, usable_rights};
use kopilka_rules::verdict::{Context, Suspicion, judge};
use kopilka_rules::{Moment, Programme};

use crate::given::{POINTS, hours, line, member, operation, sale};

/// Stores in the world.
pub const STORES: usize = 3;
const MINUTE_MS: u64 = 60_000;

/// One thing that happens.
#[derive(Debug, Clone)]
pub enum Step {
    Wait {
        minutes: u64,
    },
    SetClock {
        store: usize,
        skew_hours: i64,
    },
    Sell {
        store: usize,
        points: i64,
        online: bool,
    },
    Confirm {
        store: usize,
    },
    GiveBack {
        store: usize,
    },
    Sync {
        store: usize,
    },
    HubCredit {
        amount: i64,
        days: Option<u32>,
    },
}

/// A sale that waits for its receipt to be printed.
pub struct Held {
    purchase: Purchase,
    until_ms: u64,
}

/// A store's node.
pub struct Store {
    replica: Member,
    /// Operations that the hub does not have.
    unsent: Vec<(OperationId, Stamp, Body)>,
    sequence: u64,
    last: Stamp,
    skew_hours: i64,
    pub held: Option<Held>,
}

/// The hub, its stores, and the truth that none of them knows.
pub struct World {
    programme: Programme,
    pub now_ms: u64,
    pub hub: Member,
    hub_sequence: u64,
    /// What the hub has seen of each log.
    seen: BTreeMap<NodeId, Stamp>,
    pub stores: Vec<Store>,
    /// Every operation, as soon as it is made.
    pub truth: Member,
}

fn node_of(store: usize) -> NodeId {
    NodeId(u32::try_from(store + 1).expect("few stores"))
}

impl World {
    pub fn new(programme: Programme, lots: &[(i64, u32, Option<u32>)]) -> Self {
        let hub = member(lots);
        let store = |_| Store {
            replica: hub.clone(),
            unsent: Vec::new(),
            sequence: 0,
            last: Stamp::default(),
            skew_hours: 0,
            held: None,
        };
        Self {
            programme,
            now_ms: hours(400).now_ms,
            hub_sequence: 1_000,
            seen: BTreeMap::new(),
            stores: (0..STORES).map(store).collect(),
            truth: hub.clone(),
            hub,
        }
    }

    fn hub_moment(&self) -> Moment {
        Moment {
            now_ms: self.now_ms,
            offset_seconds: 3 * 3_600,
        }
    }

    /// A node's time never runs behind its own log.
    fn store_moment(&self, store: usize) -> Moment {
        let store = &self.stores[store];
        let wall = self
            .now_ms
            .saturating_add_signed(store.skew_hours * 3_600_000);
        Moment {
            now_ms: wall.max(store.last.ms()),
            offset_seconds: 3 * 3_600,
        }
    }

    fn record(&mut self, store: usize, body: Body) {
        let moment = self.store_moment(store);
        let at = &mut self.stores[store];
        at.last = Stamp(Stamp::from_ms(moment.now_ms).0.max(at.last.0 + 1));
        at.sequence += 1;
        let id = operation(node_of(store).0, at.sequence);
        if body.member().is_some() {
            for state in [&mut at.replica, &mut self.truth] {
                apply(state, id, at.last, &body).expect("small sums");
            }
        }
        at.unsent.push((id, at.last, body));
    }

    fn holder(&self, store: usize) -> Holder {
        let node = node_of(store);
        let seen = self.seen.get(&node).copied().unwrap_or_default();
        Holder {
            node,
            incarnation: Incarnation(1),
            seen,
        }
    }

    /// What the hub sends of the member, with the node's own later operations on top.
    fn refresh(&mut self, store: usize) {
        let at = &mut self.stores[store];
        at.replica = self.hub.for_node(node_of(store));
        for (id, stamp, body) in &at.unsent {
            apply(&mut at.replica, *id, *stamp, body).expect("small sums");
        }
    }

    fn reclaim(&mut self) {
        let seen = &self.seen;
        placement::reclaim(&mut self.hub, |node, _| seen.get(&node).copied());
    }

    pub fn sync(&mut self, store: usize) {
        self.record(
            store,
            Body::ClockMark(ClockMark {
                trusted: true,
                behind_ms: 0,
            }),
        );
        for (id, stamp, body) in std::mem::take(&mut self.stores[store].unsent) {
            let context = Context {
                id,
                written_under: id.incarnation,
                stamp,
                day: self.hub_moment().day_at(stamp.ms()),
                programme: Some(&self.programme),
                counted_receipt: None,
                identifier_taken: false,
                original_known: false,
                over_returned: false,
            };
            let judgement = judge(&mut self.hub, &body, &context);
            // A clock that is set back while a sale waits moves the days of its credits: a remark, and no loss.
            let remarks = [Suspicion::Mispriced];
            assert!(
                judgement
                    .suspicions
                    .iter()
                    .all(|found| remarks.contains(found)),
                "{id}: {}",
                judgement.reason
            );
            self.seen.insert(id.node, stamp);
        }
        self.reclaim();
        let (holder, moment) = (self.holder(store), self.hub_moment());
        placement::place(MemberId(1), &mut self.hub, &self.programme, holder, moment)
            .expect("small sums");
        self.refresh(store);
    }

    /// Rung 1 beyond what the store holds; its log may lie behind at the hub.
    fn reserve(&mut self, store: usize, missing: Minor) -> HubAnswer {
        if missing <= Minor::ZERO {
            return HubAnswer::Unreachable;
        }
        self.reclaim();
        let (holder, moment) = (self.holder(store), self.hub_moment());
        let answer = placement::reserve(
            &mut self.hub,
            &self.programme,
            holder,
            POINTS,
            missing,
            moment,
        );
        self.refresh(store);
        match answer.expect("small sums") {
            Reservation::Granted(_) => HubAnswer::Reserved,
            Reservation::Short { available, .. } => HubAnswer::Short(available),
        }
    }

    /// Authorises a sale of four times the points, and leaves it waiting.
    pub fn sell(&mut self, store: usize, points: i64, online: bool) {
        if self.stores[store].held.is_some() {
            return;
        }
        let amount = Minor(points);
        let (held_rights, held_takes) =
            (BTreeMap::<AllowanceRef, Minor>::new(), Vec::<Take>::new());
        let asking = Asking {
            node: node_of(store),
            incarnation: Incarnation(1),
            account: POINTS,
            amount,
            held_rights: &held_rights,
            held_takes: &held_takes,
            margin_ms: placement::margin_ms(&self.programme.rules().offline),
        };
        let mut answer = HubAnswer::Unreachable;
        if online {
            let usable = usable_rights(
                &self.stores[store].replica,
                &asking,
                self.store_moment(store),
            );
            answer = self.reserve(store, Minor(amount.0 - usable.0));
        }
        let moment = self.store_moment(store);
        let replica = &self.stores[store].replica;
        let receipt = [line("", "1", points * 4 + 100)];
        let Ok(quote) = quote(
            &self.programme,
            replica,
            &receipt,
            Wish::Exactly(amount),
            moment.today(),
        ) else {
            return;
        };
        let authorised = if amount == Minor::ZERO {
            None
        } else {
            match authorise(replica, &asking, answer, moment) {
                Ok(authorised) => Some(authorised),
                Err(_) => return,
            }
        };
        let number = self.stores[store].sequence;
        let hold_ms = u64::from(self.programme.rules().offline.hold_seconds) * 1_000;
        let purchase = sale(&quote, number, authorised);
        self.stores[store].held = Some(Held {
            purchase,
            until_ms: moment.now_ms + hold_ms,
        });
    }

    pub fn confirm(&mut self, store: usize) {
        let moment = self.store_moment(store);
        if let Some(held) = self.stores[store].held.take()
            && moment.now_ms <= held.until_ms
        {
            self.record(store, Body::Purchase(held.purchase));
        }
    }

    /// Gives back every grant that no waiting sale uses.
    fn give_back(&mut self, store: usize) {
        if self.stores[store].held.is_some() {
            return;
        }
        let names: Vec<_> = self.stores[store]
            .replica
            .allowances
            .keys()
            .copied()
            .collect();
        for allowance in names {
            self.record(
                store,
                Body::AllowanceReturn(AllowanceReturn {
                    member: MemberId(1),
                    allowance,
                }),
            );
        }
    }

    fn hub_credit(&mut self, amount: i64, days: Option<u32>) {
        self.hub_sequence += 1;
        let today = self.hub_moment().today();
        let credited = crate::given::member(&[(amount, 0, None)]);
        let mut lot = *credited
            .account(POINTS)
            .lots
            .values()
            .next()
            .expect("one lot");
        lot.active_from = today;
        lot.expires_on = days.map(|days| today.plus(days));
        let name = crate::given::lot(self.hub_sequence);
        for state in [&mut self.hub, &mut self.truth] {
            state
                .accounts
                .entry(POINTS)
                .or_default()
                .lots
                .insert(name, lot);
        }
    }

    pub fn step(&mut self, step: &Step) {
        match *step {
            Step::Wait { minutes } => self.now_ms += minutes * MINUTE_MS,
            Step::SetClock { store, skew_hours } => self.stores[store].skew_hours = skew_hours,
            Step::Sell {
                store,
                points,
                online,
            } => self.sell(store, points, online),
            Step::Confirm { store } => self.confirm(store),
            Step::GiveBack { store } => self.give_back(store),
            Step::Sync { store } => self.sync(store),
            Step::HubCredit { amount, days } => self.hub_credit(amount, days),
        }
    }

    fn days_ahead(&self) -> impl Iterator<Item = Day> {
        let today = self.hub_moment().today();
        [0, 1, 3, 8, 21, 500]
            .into_iter()
            .map(move |days| today.plus(days))
    }

    /// Rights that last to some day are covered by points that last to it.
    pub fn check_cover(&self) {
        let moment = self.hub_moment();
        for until in self.days_ahead() {
            let lasting = self.hub.allowances.iter().filter(|(name, allowance)| {
                matches!(name, AllowanceRef::Granted(_))
                    && moment.day_at(allowance.expires_at_ms) >= until
            });
            let open: i64 = lasting.map(|(_, allowance)| allowance.open().0).sum();
            let cover = self
                .hub
                .account(POINTS)
                .spendable_through(moment.today(), until)
                .expect("small sums");
            assert!(
                open <= cover.0,
                "rights to {open} last to {until:?} and {cover:?} do"
            );
        }
    }

    pub fn check_debt(&self) {
        for day in self.days_ahead() {
            let view = self.truth.account(POINTS).view(day).expect("small sums");
            assert_eq!(view.debt, Minor::ZERO, "on {day:?}");
        }
    }
}
