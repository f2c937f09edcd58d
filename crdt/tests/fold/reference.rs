//! A reference that is simpler than the fold: a flat list of facts, searched anew for each question.

use kopilka_crdt::allowance::{Allowance, AllowanceRef};
use kopilka_crdt::card::{Card, CardState};
use kopilka_crdt::clock::{Day, Stamp};
use kopilka_crdt::identifier::CardTag;
use kopilka_crdt::ids::{AccountId, LotId, NodeId, OperationId, PartnerId};
use kopilka_crdt::ledger::fold::EARNED_RIGHT_MS;
use kopilka_crdt::ledger::{Cause, Lot};
use kopilka_crdt::log::Tip;
use kopilka_crdt::member::{Member, Register};
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::{AccountTakes, Authority, Body, Channel, Credit};

use crate::history::{History, LOGS, Replica};

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
    Bought(Stamp),
    TakenBack,
    Counted(i64),
    Card {
        tag: CardTag,
        card: Card,
    },
    Gift {
        code: String,
        count: i32,
    },
    Consent {
        channel: Channel,
        written: (Stamp, OperationId),
        given: bool,
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
    let mut facts = Vec::new();
    match body {
        Body::Enrol(body) => {
            facts.push(Fact::Joined(stamp));
            let card = body.card.iter();
            facts.extend(card.map(|(hash, card)| Fact::Card {
                tag: hash.tag(),
                card: card.clone(),
            }));
            let written = (stamp, id);
            let consents = body.consents.iter();
            facts.extend(consents.map(|&channel| Fact::Consent {
                channel,
                written,
                given: true,
            }));
            facts.extend(credited(
                id,
                &body.credits,
                Some(body.partner),
                Cause::Welcome,
            ));
            facts.extend(rights(id, stamp, &body.credits));
        }
        Body::Bind(body) => {
            let card = body.card.iter();
            facts.extend(card.map(|card| Fact::Card {
                tag: body.hash.tag(),
                card: card.clone(),
            }));
            facts.extend(body.replaces.map(|tag| reached(tag, CardState::Replaced)));
        }
        Body::CardState(body) => facts.push(reached(body.card, body.state)),
        Body::Purchase(body) => {
            facts.extend([Fact::Bought(stamp), Fact::Counted(body.counted.0)]);
            facts.extend(taken(body.redeemed.as_ref(), 1));
            facts.extend(used(body.authority.as_ref()));
            facts.extend(credited(
                id,
                &body.earned,
                Some(body.partner),
                Cause::Purchase,
            ));
            facts.extend(rights(id, stamp, &body.earned));
        }
        Body::Cancel(body) | Body::Return(body) => {
            facts.push(Fact::Counted(-body.counted.0));
            for restored in &body.restored {
                facts.extend(taken(Some(restored), -1));
            }
            facts.extend(body.withdrawn.iter().flat_map(|from| {
                let account = from.account;
                let parts = from.takes.iter();
                parts.map(move |part| Fact::Withdrawn {
                    account,
                    lot: part.lot,
                    amount: part.amount.0,
                })
            }));
            facts.extend(body.whole.then_some(Fact::TakenBack));
        }
        Body::Adjust(body) => {
            facts.push(Fact::Counted(body.counted.0));
            facts.extend(taken(body.taken.as_ref(), 1));
            facts.extend(used(body.authority.as_ref()));
            facts.extend(credited(id, &body.credits, Some(body.partner), body.cause));
        }
        Body::Gift(body) => facts.push(Fact::Gift {
            code: body.code.clone(),
            count: body.count,
        }),
        Body::Consent(body) => facts.push(Fact::Consent {
            channel: body.channel,
            written: (stamp, id),
            given: body.given,
        }),
        Body::AllowanceReturn(body) => facts.push(Fact::GivenBack(body.allowance)),
        Body::Profile(_)
        | Body::ClockMark(_)
        | Body::IncarnationMark(_)
        | Body::Tag(_)
        | Body::Charge(_)
        | Body::Refund(_) => {}
    }
    facts
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

fn credited(
    id: OperationId,
    credits: &[Credit],
    issuer: Option<PartnerId>,
    cause: Cause,
) -> impl Iterator<Item = Fact> {
    (0..)
        .zip(credits)
        .map(move |(index, credit)| Fact::Credited {
            account: credit.account,
            lot: LotId {
                operation: id,
                index,
            },
            set: Lot {
                amount: credit.amount,
                active_from: credit.active_from,
                expires_on: credit.expires_on,
                issuer,
                cause,
                ..Lot::default()
            },
        })
}

fn rights(id: OperationId, stamp: Stamp, credits: &[Credit]) -> impl Iterator<Item = Fact> {
    let stores = credits.iter().filter(move |_| id.node != NodeId::HUB);
    (0..).zip(stores).map(move |(index, credit)| Fact::Right {
        name: AllowanceRef::Earned(LotId {
            operation: id,
            index,
        }),
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

fn used(authority: Option<&Authority>) -> impl Iterator<Item = Fact> {
    let uses = authority.into_iter().flat_map(|authority| &authority.uses);
    uses.map(|used| Fact::Used {
        name: used.allowance,
        amount: used.amount.0,
    })
}

fn sum(facts: &[Fact], amount: impl Fn(&Fact) -> Option<i64>) -> i64 {
    facts.iter().filter_map(amount).sum()
}

impl Fact {
    fn credited_to(&self, place: (AccountId, LotId)) -> Option<Lot> {
        if let Self::Credited { account, lot, set } = self {
            ((*account, *lot) == place).then_some(*set)
        } else {
            None
        }
    }

    fn taken_from(&self, place: (AccountId, LotId)) -> Option<i64> {
        if let Self::Taken {
            account,
            lot,
            amount,
        } = self
        {
            ((*account, *lot) == place).then_some(*amount)
        } else {
            None
        }
    }

    fn withdrawn_from(&self, place: (AccountId, LotId)) -> Option<i64> {
        if let Self::Withdrawn {
            account,
            lot,
            amount,
        } = self
        {
            ((*account, *lot) == place).then_some(*amount)
        } else {
            None
        }
    }

    fn used_of(&self, right: AllowanceRef) -> Option<i64> {
        if let Self::Used { name, amount } = self {
            (*name == right).then_some(*amount)
        } else {
            None
        }
    }

    fn joined(&self) -> Option<Stamp> {
        if let Self::Joined(stamp) = self {
            Some(*stamp)
        } else {
            None
        }
    }

    fn consent(&self, about: Channel) -> Option<((Stamp, OperationId), bool)> {
        if let Self::Consent {
            channel,
            written,
            given,
        } = self
        {
            (*channel == about).then_some((*written, *given))
        } else {
            None
        }
    }
}

/// A lot's counters, from the list.
fn lot(facts: &[Fact], place: (AccountId, LotId)) -> Lot {
    let set = facts.iter().find_map(|fact| fact.credited_to(place));
    Lot {
        taken: Minor(sum(facts, |fact| fact.taken_from(place))),
        withdrawn: Minor(sum(facts, |fact| fact.withdrawn_from(place))),
        ..set.unwrap_or_default()
    }
}

/// The member that the facts describe.
pub fn member(facts: &[Fact]) -> Member {
    let mut member = Replica::new().member;
    for fact in facts {
        match fact {
            Fact::Credited {
                account, lot: id, ..
            }
            | Fact::Taken {
                account, lot: id, ..
            }
            | Fact::Withdrawn {
                account, lot: id, ..
            } => {
                let lots = &mut member.accounts.entry(*account).or_default().lots;
                lots.insert(*id, lot(facts, (*account, *id)));
            }
            Fact::Right { name, right } => {
                member.allowances.insert(*name, *right);
            }
            Fact::Card { tag, card } => {
                let known = member.cards.entry(*tag).or_default();
                if (card.kind, card.tail) > (known.kind, known.tail) {
                    (known.kind, known.tail) = (card.kind, card.tail);
                }
                known.state = known.state.max(card.state);
            }
            Fact::Gift { code, count } => *member.gifts.entry(code.clone()).or_default() += count,
            Fact::Counted(amount) => {
                member.counted.0 += amount;
                member.taken_back.0 += (-amount).max(0);
            }
            Fact::Bought(stamp) => {
                member.purchases += 1;
                member.last_purchase = member.last_purchase.max(*stamp);
            }
            Fact::TakenBack => member.purchases -= 1,
            Fact::Consent { channel, .. } => {
                let latest = facts.iter().filter_map(|fact| fact.consent(*channel));
                let (written, value) = latest.max().expect("at least the fact at hand is about it");
                member
                    .consents
                    .insert(*channel, Register { written, value });
            }
            Fact::Joined(_) | Fact::Used { .. } | Fact::GivenBack(_) => {}
        }
    }
    member.enrolled = facts
        .iter()
        .filter_map(Fact::joined)
        .min()
        .unwrap_or_default();
    for (name, right) in &mut member.allowances {
        right.used = Minor(sum(facts, |fact| fact.used_of(*name)));
        right.closed = facts
            .iter()
            .any(|fact| matches!(fact, Fact::GivenBack(back) if back == name));
    }
    member
}
