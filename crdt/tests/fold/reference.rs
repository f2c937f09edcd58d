//! A reference that is simpler than the fold: it looks through all facts anew for each question.

use std::collections::BTreeMap;

use kopilka_crdt::allowance::AllowanceRef;
use kopilka_crdt::clock::{Day, Stamp};
use kopilka_crdt::ids::{AccountId, LotId, OperationId, PromotionId};
use kopilka_crdt::ledger::Lot;
use kopilka_crdt::member::{
    DaySum, HISTORY_DAYS, HISTORY_LATEST, Member, Register, USAGE_DAYS, USAGE_LATEST, Usage, Used,
};
use kopilka_crdt::money::Minor;

use crate::facts::Fact;
use crate::history::Replica;

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

    fn traded(&self) -> Option<(Day, DaySum)> {
        if let Self::Traded { day, sum } = self {
            Some((*day, *sum))
        } else {
            None
        }
    }

    fn use_of(&self, which: PromotionId) -> Option<(Day, Usage)> {
        if let Self::Promoted {
            promotion,
            day,
            usage,
        } = self
        {
            (*promotion == which).then_some((*day, *usage))
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

/// Of all days that are mentioned, those that are kept: the `latest` ones, and all that lie within `days` of the last.
pub fn kept<T>(sums: BTreeMap<Day, T>, days: u32, latest: usize) -> BTreeMap<Day, T> {
    let last = sums.keys().max().map_or(0, |last| last.0);
    let earlier = sums.len().saturating_sub(latest);
    let numbered = sums.into_iter().enumerate();
    let kept = numbered.filter(|(place, (day, _))| *place >= earlier || day.0 + days >= last);
    kept.map(|(_, sum)| sum).collect()
}

/// What was bought on the days that are kept.
pub fn history(traded: impl Iterator<Item = (Day, DaySum)>) -> BTreeMap<Day, DaySum> {
    let mut days = BTreeMap::<_, DaySum>::new();
    for (day, sum) in traded {
        let known = days.entry(day).or_default();
        known.paid.0 += sum.paid.0;
        known.earned.0 += sum.earned.0;
        known.visits += sum.visits;
    }
    kept(days, HISTORY_DAYS, HISTORY_LATEST)
}

/// Uses of one promotion: all of them, and those on the days that are kept.
pub fn used(uses: impl Iterator<Item = (Day, Usage)>) -> (Usage, BTreeMap<Day, Usage>) {
    let mut ever = Usage::default();
    let mut days = BTreeMap::<_, Usage>::new();
    for (day, usage) in uses {
        for known in [&mut ever, days.entry(day).or_default()] {
            known.receipts += usage.receipts;
            known.off.0 += usage.off.0;
            known.points.0 += usage.points.0;
        }
    }
    (ever, kept(days, USAGE_DAYS, USAGE_LATEST))
}

fn keep_latest<K: Ord>(
    registers: &mut BTreeMap<K, Register<bool>>,
    name: K,
    written: (Stamp, OperationId),
    value: bool,
) {
    let known = registers.get(&name);
    if known.is_none_or(|known| known.written < written) {
        registers.insert(name, Register { written, value });
    }
}

/// The member that the facts describe.
pub fn member(facts: &[Fact]) -> Member {
    let mut member = Replica::new().member;
    for fact in facts {
        note(&mut member, facts, fact);
    }
    for (day, sum) in history(facts.iter().filter_map(Fact::traded)) {
        let added = member.history.add(day, sum);
        added.expect("small amounts do not overflow");
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

fn note(member: &mut Member, facts: &[Fact], fact: &Fact) {
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
        Fact::Badge(code) => {
            member.badges.insert(code.clone());
        }
        Fact::Counted(amount) => {
            member.counted.0 += amount;
            member.taken_back.0 += (-amount).max(0);
        }
        Fact::Bought(stamp) => {
            member.purchases += 1;
            member.last_purchase = member.last_purchase.max(*stamp);
        }
        Fact::TakenBack => member.purchases -= 1,
        Fact::BroughtBy(referrer) => {
            let known = member.referrer.unwrap_or(*referrer);
            member.referrer = Some(known.min(*referrer));
        }
        Fact::Promoted { promotion, .. } => {
            let uses = facts.iter().filter_map(|fact| fact.use_of(*promotion));
            member.used.insert(*promotion, counter(uses));
        }
        Fact::Consent {
            channel,
            written,
            given,
        } => keep_latest(&mut member.consents, *channel, *written, *given),
        Fact::Tag { tag, written, on } => {
            keep_latest(&mut member.tags, tag.clone(), *written, *on);
        }
        Fact::Joined(_) | Fact::Traded { .. } | Fact::Used { .. } | Fact::GivenBack(_) => {}
    }
}

/// The same as a counter that has forgotten what it should.
fn counter(uses: impl Iterator<Item = (Day, Usage)>) -> Used {
    let (ever, days) = used(uses);
    let mut counter = Used::default();
    for (day, usage) in days {
        let added = counter.add(day, usage);
        added.expect("small amounts do not overflow");
    }
    counter.ever = ever;
    counter
}
