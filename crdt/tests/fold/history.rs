//! Random histories: logs of several nodes about one member, each written by a node that knows only part of the rest.

use kopilka_crdt::allowance::{Allowance, AllowanceRef, AllowanceUse, Rung};
use kopilka_crdt::card::{Card, CardKind, CardState};
use kopilka_crdt::clock::{Day, Stamp};
use kopilka_crdt::identifier::{CardTag, IdentifierHash, IdentifierKind};
use kopilka_crdt::ids::{
    AccountId, CashierId, Incarnation, LotId, MemberId, NodeId, OperationId, PartnerId, TillId,
};
use kopilka_crdt::ledger::{Cause, Take, apply};
use kopilka_crdt::log::{Appended, Frontier, Log, Tip};
use kopilka_crdt::member::Member;
use kopilka_crdt::money::{Milli, Minor};
use kopilka_crdt::operation::{
    AccountTakes, Adjustment, AllowanceReturn, Authority, Binding, Body, CardChange, Channel,
    ClockMark, ConsentChange, Credit, Enrolment, GiftChange, Purchase, PurchaseLine, ReceiptKey,
    ReturnedLine, Reversal,
};
use proptest::prelude::*;

/// The writers: the hub, two stores, and the second store again after a restore.
pub const LOGS: [(NodeId, Incarnation); 4] = [
    (NodeId::HUB, Incarnation(1)),
    (NodeId(1), Incarnation(1)),
    (NodeId(2), Incarnation(1)),
    (NodeId(2), Incarnation(2)),
];
const MEMBER: MemberId = MemberId(77);
const CHANNELS: [Channel; 3] = [Channel::PersonalData, Channel::Sms, Channel::Push];
const CARD_STATES: [CardState; 4] = [
    CardState::Issued,
    CardState::Active,
    CardState::Replaced,
    CardState::Closed,
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

/// What one writer does next.
#[derive(Debug, Clone)]
pub struct Step {
    writer: usize,
    wall_ms: u64,
    day: u32,
    action: Action,
}

#[derive(Debug, Clone)]
enum Action {
    Enrol,
    Purchase { spent: i64, earned: i64 },
    Reverse { place: usize, quarters: i64 },
    Adjust { credited: i64, taken: i64 },
    Gift { count: i32 },
    Consent { channel: usize, given: bool },
    Card { tag: u32, state: usize },
    Bind { tag: u8, tail: u16, replaces: bool },
    GiveBack { place: usize },
    Hear { writer: usize, entries: usize },
    Mark,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        1 => Just(Action::Enrol),
        6 => (0..30_i64, 0..30_i64).prop_map(|(spent, earned)| Action::Purchase { spent, earned }),
        3 => (0..9_usize, 1..=4_i64).prop_map(|(place, quarters)| Action::Reverse { place, quarters }),
        2 => (0..30_i64, 0..30_i64).prop_map(|(credited, taken)| Action::Adjust { credited, taken }),
        1 => (-2..3_i32).prop_map(|count| Action::Gift { count }),
        1 => (0..CHANNELS.len(), any::<bool>()).prop_map(|(channel, given)| Action::Consent { channel, given }),
        1 => (0..3_u32, 0..CARD_STATES.len()).prop_map(|(tag, state)| Action::Card { tag, state }),
        1 => (0..3_u8, 0..3_u16, any::<bool>()).prop_map(|(tag, tail, replaces)| Action::Bind { tag, tail, replaces }),
        1 => (0..9_usize).prop_map(|place| Action::GiveBack { place }),
        4 => (0..LOGS.len(), 0..30_usize).prop_map(|(writer, entries)| Action::Hear { writer, entries }),
        1 => Just(Action::Mark),
    ]
}

/// Histories of up to 60 steps; wall clocks jump freely.
pub fn histories() -> impl Strategy<Value = History> {
    let step = (0..LOGS.len(), 0..50_u64, 0..40_u32, action()).prop_map(
        |(writer, wall_ms, day, action)| Step {
            writer,
            wall_ms,
            day,
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

struct Writer {
    log: Log,
    replica: Replica,
}

impl History {
    fn play(steps: &[Step]) -> Self {
        let mut history = Self {
            logs: vec![Vec::new(); LOGS.len()],
        };
        let mut purchases = Vec::new();
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
            let Some(body) = body(writer, step, &purchases) else {
                continue;
            };
            let entry = writer
                .log
                .append(step.wall_ms, &body)
                .expect("small bodies fit an entry");
            if let Body::Purchase(purchase) = body {
                purchases.push((entry.id, purchase));
            }
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

fn body(writer: &Writer, step: &Step, purchases: &[(OperationId, Purchase)]) -> Option<Body> {
    let member = &writer.replica.member;
    let day = Day(step.day);
    Some(match step.action {
        Action::Enrol => Body::Enrol(enrolment(day)),
        Action::Purchase { spent, earned } => {
            Body::Purchase(purchase(writer, day, Minor(spent), Minor(earned)))
        }
        Action::Reverse { place, quarters } => {
            let known: Vec<_> = purchases
                .iter()
                .filter(|(id, _)| writer.replica.frontier.holds(*id))
                .collect();
            let (id, purchase) = known.get(place % known.len().max(1))?;
            let reversal = reversal(*id, purchase, quarters);
            if reversal.whole {
                Body::Cancel(reversal)
            } else {
                Body::Return(reversal)
            }
        }
        Action::Adjust { credited, taken } => Body::Adjust(Adjustment {
            member: MEMBER,
            credits: vec![credit(1, credited, day)],
            taken: takes(member, Minor(taken), day),
            authority: None,
            cause: Cause::Adjustment,
            reason: "as asked".to_owned(),
            counted: Minor(credited),
            partner: PartnerId(3),
        }),
        Action::Gift { count } => Body::Gift(GiftChange {
            member: MEMBER,
            code: format!("gift{}", step.day % 2),
            count,
        }),
        Action::Consent { channel, given } => Body::Consent(ConsentChange {
            member: MEMBER,
            channel: CHANNELS[channel],
            given,
        }),
        Action::Card { tag, state } => Body::CardState(CardChange {
            member: MEMBER,
            card: CardTag(tag),
            state: CARD_STATES[state],
        }),
        Action::Bind {
            tag,
            tail,
            replaces,
        } => Body::Bind(Binding {
            member: MEMBER,
            kind: IdentifierKind::Card,
            hash: card_hash(tag),
            card: Some(Card {
                kind: CardKind::Virtual,
                tail,
                state: CardState::Active,
            }),
            replaces: replaces.then_some(CardTag(0)),
        }),
        Action::GiveBack { place } => {
            let own: Vec<_> = own_rights(writer).map(|(right, _)| right).collect();
            Body::AllowanceReturn(AllowanceReturn {
                member: MEMBER,
                allowance: *own.get(place % own.len().max(1))?,
            })
        }
        Action::Mark => Body::ClockMark(ClockMark {
            trusted: true,
            behind_ms: 0,
        }),
        Action::Hear { .. } => return None,
    })
}

fn card_hash(tag: u8) -> IdentifierHash {
    let mut hash = [9; 16];
    hash[..4].copy_from_slice(&[0, 0, 0, tag]);
    IdentifierHash(hash)
}

fn credit(account: u16, amount: i64, day: Day) -> Credit {
    // Pending, short-lived and unlimited points, by the amount.
    Credit {
        account: AccountId(account),
        amount: Minor(amount),
        active_from: day.plus(if amount % 4 == 0 { 3 } else { 0 }),
        expires_on: (amount % 3 != 0).then(|| day.plus(5)),
    }
}

fn enrolment(day: Day) -> Enrolment {
    Enrolment {
        member: MEMBER,
        identifiers: Vec::new(),
        card: Some((card_hash(1), Card::default())),
        profile: Vec::new(),
        consents: vec![Channel::PersonalData],
        credits: vec![credit(1, 20, day), credit(2, 7, day)],
        partner: PartnerId(1),
        till: None,
        cashier: None,
        referrer: None,
    }
}

fn own_rights(writer: &Writer) -> impl Iterator<Item = (AllowanceRef, Minor)> {
    let own = (writer.log.node(), writer.log.incarnation());
    let rights = writer.replica.member.allowances.iter();
    rights
        .filter(move |(_, right)| (right.node, right.incarnation) == own)
        .map(|(name, right)| (*name, right.open()))
}

fn takes(member: &Member, wanted: Minor, day: Day) -> Option<AccountTakes> {
    let account = member.account(AccountId(1));
    let view = account.view(day).expect("small amounts do not overflow");
    let takes = account
        .plan(wanted.min(view.spendable), day)
        .expect("small amounts do not overflow")
        .expect("what is spendable can be planned");
    (!takes.is_empty()).then_some(AccountTakes {
        account: AccountId(1),
        takes,
    })
}

fn purchase(writer: &Writer, day: Day, spent: Minor, earned: Minor) -> Purchase {
    let redeemed = takes(&writer.replica.member, spent, day);
    let mut missing: i64 = redeemed
        .iter()
        .flat_map(|taken| &taken.takes)
        .map(|take| take.amount.0)
        .sum();
    let mut uses = Vec::new();
    for (allowance, open) in own_rights(writer) {
        let amount = open.0.min(missing);
        if amount > 0 {
            missing -= amount;
            uses.push(AllowanceUse {
                allowance,
                amount: Minor(amount),
            });
        }
    }
    Purchase {
        receipt: ReceiptKey {
            till: TillId(1),
            day,
            number: writer.log.tip().sequence,
        },
        cashier: CashierId(1),
        member: MEMBER,
        card: None,
        publication: 1,
        lines: vec![PurchaseLine {
            sku: "tea".to_owned(),
            group: String::new(),
            quantity: Milli::ONE,
            unit_price: Minor(500),
            discount: Minor::ZERO,
            redeemed: spent,
            earned,
        }],
        tenders: Vec::new(),
        authority: redeemed.as_ref().map(|_| Authority {
            rung: Rung::Allowance,
            uses,
        }),
        redeemed,
        earned: vec![credit(1, earned.0, day), credit(2, 1, day)],
        promoted: None,
        counted: Minor(500),
        partner: PartnerId(2),
    }
}

fn reversal(id: OperationId, purchase: &Purchase, quarters: i64) -> Reversal {
    let part = |amount: Minor| Minor(amount.0 * quarters / 4);
    let restored = purchase.redeemed.as_ref().map(|taken| AccountTakes {
        account: taken.account,
        takes: taken
            .takes
            .iter()
            .map(|take| Take {
                lot: take.lot,
                amount: part(take.amount),
            })
            .collect(),
    });
    let withdrawn = (0..)
        .zip(&purchase.earned)
        .map(|(index, credit)| AccountTakes {
            account: credit.account,
            takes: vec![Take {
                lot: LotId {
                    operation: id,
                    index,
                },
                amount: part(credit.amount),
            }],
        });
    Reversal {
        purchase: id,
        member: MEMBER,
        cashier: CashierId(2),
        till: TillId(4),
        lines: vec![ReturnedLine {
            line: 0,
            quantity: Milli::ONE,
        }],
        refund: part(Minor(500)),
        counted: part(purchase.counted),
        day: purchase.receipt.day,
        restored: restored.into_iter().collect(),
        renewed: Vec::new(),
        withdrawn: withdrawn.collect(),
        recalled: Vec::new(),
        uncounted: Vec::new(),
        gifts: std::collections::BTreeMap::new(),
        partner: purchase.partner,
        whole: quarters == 4,
    }
}
