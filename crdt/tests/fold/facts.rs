//! What operations say, as a flat list of facts: each changes one counter or register.

use kopilka_crdt::allowance::{Allowance, AllowanceRef};
use kopilka_crdt::card::{Card, CardState};
use kopilka_crdt::clock::{Day, Stamp};
use kopilka_crdt::identifier::CardTag;
use kopilka_crdt::ids::{AccountId, LotId, MemberId, NodeId, OperationId, PartnerId, PromotionId};
use kopilka_crdt::ledger::fold::EARNED_RIGHT_MS;
use kopilka_crdt::ledger::{Cause, Lot};
use kopilka_crdt::log::Tip;
use kopilka_crdt::member::{DaySum, Usage};
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::{
    AccountTakes, Applied, Authority, Body, Channel, Charge, Counting, Credit, Enrolment, Promoted,
    Purchase, Refund, Reversal,
};

use crate::history::{History, LOGS};

/// One change of one counter or register.
#[derive(Debug, Clone)]
pub enum Fact {
    Credited {
        account: AccountId,
        lot: LotId,
        set: Lot,
    },
    Taken {
        account: AccountId,
        lot: LotId,
        amount: i64,
    },
    Withdrawn {
        account: AccountId,
        lot: LotId,
        amount: i64,
    },
    Right {
        name: AllowanceRef,
        right: Allowance,
    },
    Used {
        name: AllowanceRef,
        amount: i64,
    },
    GivenBack(AllowanceRef),
    Joined(Stamp),
    BroughtBy(MemberId),
    Bought(Stamp),
    TakenBack,
    Counted(i64),
    Traded {
        day: Day,
        sum: DaySum,
    },
    Promoted {
        promotion: PromotionId,
        day: Day,
        usage: Usage,
    },
    Card {
        tag: CardTag,
        card: Card,
    },
    Gift {
        code: String,
        count: i32,
    },
    Badge(String),
    Consent {
        channel: Channel,
        written: (Stamp, OperationId),
        given: bool,
    },
    Tag {
        tag: String,
        written: (Stamp, OperationId),
        on: bool,
    },
}

/// Everything that a history says, in no order that matters.
pub fn facts(history: &History) -> Vec<Fact> {
    let mut facts = Vec::new();
    for ((node, incarnation), log) in LOGS.into_iter().zip(&history.logs) {
        let mut tip = Tip::genesis(node, incarnation);
        for entry in log {
            let (next, stamp, body) = tip.follow(&entry.bytes).expect("an appended entry reads");
            facts.extend(facts_of(entry.id, stamp, &body));
            tip = next;
        }
    }
    facts
}

fn facts_of(id: OperationId, stamp: Stamp, body: &Body) -> Vec<Fact> {
    let written = (stamp, id);
    match body {
        Body::Enrol(body) => enrolled(id, stamp, body),
        Body::Bind(body) => {
            let card = body.card.iter().map(|card| Fact::Card {
                tag: body.hash.tag(),
                card: card.clone(),
            });
            let replaced = body.replaces.map(|tag| reached(tag, CardState::Replaced));
            card.chain(replaced).collect()
        }
        Body::CardState(body) => vec![reached(body.card, body.state)],
        Body::Purchase(body) => bought(id, stamp, body),
        Body::Cancel(body) | Body::Return(body) => reversed(id, body),
        Body::Adjust(body) => {
            let mut facts = vec![Fact::Counted(body.counted.0)];
            facts.extend(taken(body.taken.as_ref(), 1));
            facts.extend(used(body.authority.as_ref()));
            facts.extend(credited(id, 0, &body.credits, (body.partner, body.cause)));
            facts.extend(rights(id, stamp, &body.credits));
            facts
        }
        Body::Gift(body) => vec![Fact::Gift {
            code: body.code.clone(),
            count: body.count,
        }],
        Body::Consent(body) => vec![Fact::Consent {
            channel: body.channel,
            written,
            given: body.given,
        }],
        Body::Tag(body) => vec![Fact::Tag {
            tag: body.tag.clone(),
            written,
            on: body.on,
        }],
        Body::Charge(body) => charged(stamp, body),
        Body::Refund(body) => refunded(body),
        Body::AllowanceReturn(body) => vec![Fact::GivenBack(body.allowance)],
        Body::Profile(_) | Body::ClockMark(_) | Body::IncarnationMark(_) => Vec::new(),
    }
}

fn enrolled(id: OperationId, stamp: Stamp, body: &Enrolment) -> Vec<Fact> {
    let mut facts = vec![Fact::Joined(stamp)];
    facts.extend(body.card.iter().map(|(hash, card)| Fact::Card {
        tag: hash.tag(),
        card: card.clone(),
    }));
    facts.extend(body.consents.iter().map(|&channel| Fact::Consent {
        channel,
        written: (stamp, id),
        given: true,
    }));
    facts.extend(body.referrer.map(Fact::BroughtBy));
    let issuer = (body.partner, Cause::Welcome);
    facts.extend(credited(id, 0, &body.credits, issuer));
    facts.extend(rights(id, stamp, &body.credits));
    facts
}

fn bought(id: OperationId, stamp: Stamp, body: &Purchase) -> Vec<Fact> {
    let day = body.receipt.counted_on(stamp);
    let sum = DaySum {
        paid: body.counted,
        earned: Minor(body.earned.iter().map(|credit| credit.amount.0).sum()),
        visits: 1,
    };
    let mut facts = vec![
        Fact::Bought(stamp),
        Fact::Counted(body.counted.0),
        Fact::Traded { day, sum },
    ];
    facts.extend(taken(body.redeemed.as_ref(), 1));
    facts.extend(used(body.authority.as_ref()));
    let issuer = (body.partner, Cause::Purchase);
    facts.extend(credited(id, 0, &body.earned, issuer));
    let mut credits = body.earned.clone();
    if let Some(promoted) = &body.promoted {
        facts.extend(gained(day, promoted));
        let issuer = (body.partner, Cause::Issued);
        facts.extend(credited(id, credits.len(), &promoted.issued, issuer));
        credits.extend(&promoted.issued);
    }
    facts.extend(rights(id, stamp, &credits));
    facts
}

fn gained(day: Day, promoted: &Promoted) -> Vec<Fact> {
    let mut facts = Vec::new();
    for spending in &promoted.spent {
        facts.extend(taken(Some(&spending.taken), 1));
        facts.extend(used(Some(&spending.authority)));
    }
    let counted = promoted.applied.iter();
    let counted = counted.filter(|applied| applied.counting != Counting::Not);
    facts.extend(counted.map(|applied| promotion(day, applied, 1)));
    facts.extend(gifts(promoted.gifts.iter(), 1));
    facts.extend(promoted.badges.iter().cloned().map(Fact::Badge));
    facts
}

fn reversed(id: OperationId, body: &Reversal) -> Vec<Fact> {
    let restored = body.restored.iter();
    let mut facts: Vec<_> = restored.flat_map(|back| taken(Some(back), -1)).collect();
    let issuer = (body.partner, Cause::Restored);
    facts.extend(credited(id, 0, &body.renewed, issuer));
    let mut earned = 0;
    for from in &body.withdrawn {
        earned += from.takes.iter().map(|part| part.amount.0).sum::<i64>();
        facts.extend(withdrawn(from));
    }
    facts.extend(body.recalled.iter().flat_map(withdrawn));
    let uses = body.uncounted.iter();
    facts.extend(uses.map(|applied| promotion(body.day, applied, -1)));
    facts.extend(gifts(body.gifts.iter(), -1));
    let sum = DaySum {
        paid: Minor(-body.counted.0),
        earned: Minor(-earned),
        visits: if body.whole { -1 } else { 0 },
    };
    facts.extend([
        Fact::Counted(-body.counted.0),
        Fact::Traded { day: body.day, sum },
    ]);
    facts.extend(body.whole.then_some(Fact::TakenBack));
    facts
}

fn charged(stamp: Stamp, body: &Charge) -> Vec<Fact> {
    let day = body.receipt.counted_on(stamp);
    let counted = body.counted.iter();
    let counted = counted.map(|applied| promotion(day, applied, 1));
    taken(body.taken.as_ref(), 1)
        .chain(used(body.authority.as_ref()))
        .chain(counted)
        .collect()
}

fn refunded(body: &Refund) -> Vec<Fact> {
    let uncounted = body.uncounted.iter();
    let uncounted = uncounted.map(|applied| promotion(body.day, applied, -1));
    taken(body.restored.as_ref(), -1).chain(uncounted).collect()
}

fn reached(tag: CardTag, state: CardState) -> Fact {
    Fact::Card {
        tag,
        card: Card {
            state,
            ..Card::default()
        },
    }
}

fn promotion(day: Day, applied: &Applied, sign: i32) -> Fact {
    Fact::Promoted {
        promotion: applied.promotion,
        day,
        usage: Usage {
            receipts: sign,
            off: Minor(i64::from(sign) * applied.off.0),
            points: Minor(i64::from(sign) * applied.points.0),
        },
    }
}

fn gifts<'a>(
    gifts: impl Iterator<Item = (&'a String, &'a u32)>,
    sign: i32,
) -> impl Iterator<Item = Fact> {
    gifts.map(move |(code, count)| Fact::Gift {
        code: code.clone(),
        count: sign * i32::try_from(*count).expect("few gifts"),
    })
}

fn lot(operation: OperationId, index: usize) -> LotId {
    let index = u8::try_from(index).expect("few credits");
    LotId { operation, index }
}

fn credited(
    id: OperationId,
    first: usize,
    credits: &[Credit],
    (issuer, cause): (PartnerId, Cause),
) -> impl Iterator<Item = Fact> {
    let credits = (first..).zip(credits);
    credits.map(move |(index, credit)| Fact::Credited {
        account: credit.account,
        lot: lot(id, index),
        set: Lot {
            amount: credit.amount,
            active_from: credit.active_from,
            expires_on: credit.expires_on,
            issuer: Some(issuer),
            cause,
            ..Lot::default()
        },
    })
}

fn rights(id: OperationId, stamp: Stamp, credits: &[Credit]) -> impl Iterator<Item = Fact> {
    let stores = credits.iter().filter(move |_| id.node != NodeId::HUB);
    (0..).zip(stores).map(move |(index, credit)| Fact::Right {
        name: AllowanceRef::Earned(lot(id, index)),
        right: Allowance {
            account: credit.account,
            node: id.node,
            incarnation: id.incarnation,
            amount: credit.amount,
            used: Minor::ZERO,
            granted_on: Day::default(),
            expires_at_ms: stamp.ms() + EARNED_RIGHT_MS,
            closed: false,
            recalled: false,
        },
    })
}

fn taken(takes: Option<&AccountTakes>, sign: i64) -> impl Iterator<Item = Fact> {
    takes.into_iter().flat_map(move |from| {
        let account = from.account;
        let parts = from.takes.iter();
        parts.map(move |part| Fact::Taken {
            account,
            lot: part.lot,
            amount: sign * part.amount.0,
        })
    })
}

fn withdrawn(from: &AccountTakes) -> impl Iterator<Item = Fact> {
    let account = from.account;
    let parts = from.takes.iter();
    parts.map(move |part| Fact::Withdrawn {
        account,
        lot: part.lot,
        amount: part.amount.0,
    })
}

fn used(authority: Option<&Authority>) -> impl Iterator<Item = Fact> {
    let uses = authority.into_iter().flat_map(|authority| &authority.uses);
    uses.map(|used| Fact::Used {
        name: used.allowance,
        amount: used.amount.0,
    })
}
