//! Random histories: logs of several nodes about one member, each written by a node that knows only part of the rest.

use kopilka_crdt::allowance::{Allowance, AllowanceRef};
use kopilka_crdt::clock::{Day, Stamp};
use kopilka_crdt::ids::{AccountId, Incarnation, NodeId, OperationId};
use kopilka_crdt::ledger::apply;
use kopilka_crdt::log::{Appended, Frontier, Log, Tip};
use kopilka_crdt::member::Member;
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::Body;
use proptest::prelude::*;

use crate::action::{Action, action, body};

/// The writers: the hub, two stores, and the second store again after a restore.
pub const LOGS: [(NodeId, Incarnation); 4] = [
    (NodeId::HUB, Incarnation(1)),
    (NodeId(1), Incarnation(1)),
    (NodeId(2), Incarnation(1)),
    (NodeId(2), Incarnation(2)),
];

/// A replica that recognises what it has by its frontier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    pub member: Member,
    pub frontier: Frontier,
}

impl Replica {
    /// Nothing but the rights that the hub granted beforehand, one for each log.
    pub fn new() -> Self {
        let mut member = Member::default();
        for (number, (node, incarnation)) in (1..).zip(LOGS) {
            let allowance = Allowance {
                account: AccountId(1),
                node,
                incarnation,
                amount: Minor(25),
                used: Minor::ZERO,
                granted_on: Day::default(),
                expires_at_ms: 1_000_000,
                closed: false,
                recalled: false,
            };
            member
                .allowances
                .insert(AllowanceRef::Granted(number), allowance);
            member.allowance_last = number;
        }
        Self {
            member,
            frontier: Frontier::default(),
        }
    }

    /// Folds an entry in, unless it is known; entries of one log come in its order.
    pub fn receive(&mut self, entry: &Appended) {
        let OperationId {
            node, incarnation, ..
        } = entry.id;
        if self.frontier.holds(entry.id) {
            return;
        }
        let known = self.frontier.0.get(&(node, incarnation)).copied();
        let tip = known.unwrap_or_else(|| Tip::genesis(node, incarnation));
        let (next, stamp, body) = tip
            .follow(&entry.bytes)
            .expect("what a log appended can be read");
        assert_eq!((next.sequence, stamp), (entry.id.sequence, entry.stamp));
        apply(&mut self.member, entry.id, stamp, &body).expect("small amounts do not overflow");
        self.frontier.advance(node, incarnation, next);
    }
}

/// What one writer does next, and when.
#[derive(Debug, Clone)]
pub struct Step {
    writer: usize,
    wall_ms: u64,
    /// The day on which lots are credited and chosen.
    pub day: Day,
    /// The till's business day.
    pub business_day: Day,
    /// What it does.
    pub action: Action,
}

const DAY_MS: u64 = 86_400_000;

/// Histories of up to 60 steps over some years; wall clocks jump freely, and tills are wrong about the day at times.
pub fn histories() -> impl Strategy<Value = History> {
    let wall = (0..1_500_u32, 0..50_u64);
    let step = (0..LOGS.len(), wall, 0..4_u32, 0..40_u32, action()).prop_map(
        |(writer, (wall_day, wall_ms), ahead, day, action)| Step {
            writer,
            wall_ms: u64::from(wall_day) * DAY_MS + wall_ms,
            day: Day(day),
            business_day: Day(wall_day).plus(ahead),
            action,
        },
    );
    prop::collection::vec(step, 1..60).prop_map(|steps| History::play(&steps))
}

/// What all logs say.
#[derive(Debug, Clone)]
pub struct History {
    pub logs: Vec<Vec<Appended>>,
}

/// A node with its log and what it knows of the others'.
pub struct Writer {
    pub log: Log,
    pub replica: Replica,
}

/// An operation that somebody wrote, known to those whose frontier holds it.
pub struct Written {
    pub id: OperationId,
    pub stamp: Stamp,
    pub body: Body,
}

impl History {
    fn play(steps: &[Step]) -> Self {
        let mut history = Self {
            logs: vec![Vec::new(); LOGS.len()],
        };
        let mut written = Vec::new();
        let mut writers = LOGS.map(|(node, incarnation)| Writer {
            log: Log::resume(
                node,
                incarnation,
                Tip::genesis(node, incarnation),
                Stamp::default(),
            ),
            replica: Replica::new(),
        });
        for step in steps {
            let writer = &mut writers[step.writer];
            if let Action::Hear {
                writer: heard,
                entries,
            } = step.action
            {
                let run = history.logs[heard].iter().take(entries);
                run.for_each(|entry| writer.replica.receive(entry));
                continue;
            }
            let Some(body) = body(writer, step, &written) else {
                continue;
            };
            let entry = writer
                .log
                .append(step.wall_ms, &body)
                .expect("small bodies fit an entry");
            let (id, stamp) = (entry.id, entry.stamp);
            written.push(Written { id, stamp, body });
            writer.replica.receive(&entry);
            history.logs[step.writer].push(entry);
        }
        history
    }

    /// All entries, logs interleaved as `picks` say; each log keeps its order.
    pub fn interleaved(&self, picks: &[usize]) -> Vec<&Appended> {
        let mut rest: Vec<_> = self.logs.iter().map(|log| log.iter()).collect();
        let mut order = Vec::new();
        for pick in picks {
            let place = pick % rest.len();
            order.extend(rest[place].next());
        }
        order.extend(rest.into_iter().flatten());
        order
    }

    /// The fold of all of it, in some order.
    pub fn folded(&self) -> Member {
        let mut replica = Replica::new();
        self.logs
            .iter()
            .flatten()
            .for_each(|entry| replica.receive(entry));
        replica.member
    }
}
