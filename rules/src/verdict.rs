//! What the hub makes of an operation: counted or not, with which verdict, and what security staff should see.
//!
//! No verdict undoes what a store has given: goods are gone, so a doubtful operation is counted and named. Only the
//! second posting of one receipt, and what cannot be computed at all, is kept without being counted.

use std::collections::{BTreeMap, BTreeSet};

use kopilka_crdt::allowance::{Allowance, AllowanceRef};
use kopilka_crdt::clock::{Day, Stamp};
use kopilka_crdt::identifier::CardTag;
use kopilka_crdt::ids::{AccountId, Incarnation, OperationId};
use kopilka_crdt::ledger::{Lot, apply};
use kopilka_crdt::member::Member;
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::{AccountTakes, Applied, Authority, Body, Purchase, Verdict};

use crate::programme::Programme;
use crate::repricing::{agrees, reprice};

/// What a suspicion is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suspicion {
    /// An account fell below zero.
    Overdraft,
    /// A node used rights that it did not have.
    Breach,
    /// A node credited or took what the rules do not give.
    Mispriced,
    /// A blocked card was used.
    BlockedCard,
    /// An identifier belongs to somebody else.
    IdentifierTaken,
    /// More came back than was sold, or from a purchase that nobody knows.
    Reversal,
    /// The operation cannot be folded.
    Uncountable,
}

impl Suspicion {
    /// A stable word for APIs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Overdraft => "overdraft",
            Self::Breach => "breach",
            Self::Mispriced => "mispriced",
            Self::BlockedCard => "blocked_card",
            Self::IdentifierTaken => "identifier_taken",
            Self::Reversal => "reversal",
            Self::Uncountable => "uncountable",
        }
    }
}

/// What was decided about one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Why, in words; empty when accepted without remark.
    pub reason: String,
    /// Suspicions, for cases.
    pub suspicions: Vec<Suspicion>,
    /// Whether it changed the member.
    pub counted: bool,
}

/// What is known around an operation.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Its identifier.
    pub id: OperationId,
    /// The incarnation that its node wrote it under: another one than the identifier's for an adopted branch.
    pub written_under: Incarnation,
    /// Its stamp.
    pub stamp: Stamp,
    /// The programme's calendar day of its stamp.
    pub day: Day,
    /// The rules that it names, when the hub has published them.
    pub programme: Option<&'a Programme>,
    /// Another operation that was counted for the same receipt.
    pub counted_receipt: Option<OperationId>,
    /// An identifier of an enrolment or binding belongs to somebody else.
    pub identifier_taken: bool,
    /// For what takes something back: the purchase or charge is known, counted, and this member's.
    pub original_known: bool,
    /// For reversals: with this one, more of a line has come back than was sold.
    pub over_returned: bool,
}

/// Judges an operation and, when it counts, folds it into the member.
pub fn judge(member: &mut Member, body: &Body, context: &Context<'_>) -> Judgement {
    if let Some(first) = context.counted_receipt {
        let reason = format!("the receipt was counted as {first}");
        return Judgement {
            verdict: Verdict::Duplicate,
            reason,
            suspicions: Vec::new(),
            counted: false,
        };
    }
    let mut found = Findings::default();
    before_fold(member, body, context, &mut found);
    let mut next = member.clone();
    if let Err(error) = apply(&mut next, context.id, context.stamp, body) {
        let suspicions = vec![Suspicion::Uncountable];
        return Judgement {
            verdict: Verdict::Quarantined,
            reason: error.to_string(),
            suspicions,
            counted: false,
        };
    }
    after_fold(member, &next, body, context, &mut found);
    *member = next;
    found.judgement()
}

#[derive(Default)]
struct Findings(Vec<(Verdict, Suspicion, String)>);

impl Findings {
    fn add(&mut self, verdict: Verdict, suspicion: Suspicion, reason: impl Into<String>) {
        self.0.push((verdict, suspicion, reason.into()));
    }

    /// The gravest verdict; all reasons and suspicions.
    fn judgement(self) -> Judgement {
        let verdict = self
            .0
            .iter()
            .map(|(verdict, ..)| *verdict)
            .max()
            .unwrap_or(Verdict::Accepted);
        let reasons: Vec<_> = self.0.iter().map(|(.., reason)| reason.as_str()).collect();
        Judgement {
            verdict,
            reason: reasons.join("; "),
            suspicions: self.0.iter().map(|(_, suspicion, _)| *suspicion).collect(),
            counted: true,
        }
    }
}

fn before_fold(member: &Member, body: &Body, context: &Context<'_>, found: &mut Findings) {
    match body {
        Body::Purchase(purchase) => {
            blocked_card(member, purchase.card, context, found);
            purchase_rights(member, purchase, context, found);
            mispriced(member, purchase, context, found);
        }
        Body::Adjust(adjustment) => {
            if let Some(authority) = &adjustment.authority {
                Rights::new(member, context).check(authority, adjustment.taken.as_ref(), found);
            }
        }
        Body::Enrol(_) | Body::Bind(_) if context.identifier_taken => {
            let reason = "a card or phone belongs to another member and stays theirs";
            found.add(Verdict::Contested, Suspicion::IdentifierTaken, reason);
        }
        Body::Cancel(_) | Body::Return(_) if !context.original_known => {
            let reason = "the purchase that was taken back is not known, or is another member's";
            found.add(Verdict::Contested, Suspicion::Reversal, reason);
        }
        Body::Refund(_) if !context.original_known => {
            let reason = "the charge that was given back is not known, or is another record's";
            found.add(Verdict::Contested, Suspicion::Reversal, reason);
        }
        Body::Charge(charge) => {
            blocked_card(member, charge.card, context, found);
            if let Some(authority) = &charge.authority {
                Rights::new(member, context).check(authority, charge.taken.as_ref(), found);
            }
        }
        Body::Enrol(_)
        | Body::Bind(_)
        | Body::CardState(_)
        | Body::Tag(_)
        | Body::Refund(_)
        | Body::Cancel(_)
        | Body::Return(_)
        | Body::Gift(_)
        | Body::Profile(_)
        | Body::Consent(_)
        | Body::AllowanceReturn(_)
        | Body::ClockMark(_)
        | Body::IncarnationMark(_) => {}
    }
}

fn after_fold(
    before: &Member,
    after: &Member,
    body: &Body,
    context: &Context<'_>,
    found: &mut Findings,
) {
    match body {
        Body::Purchase(purchase) => {
            let promoted = purchase.promoted.iter();
            let further = promoted.flat_map(|promoted| &promoted.spent);
            let further = further.map(|spending| &spending.taken);
            let taken = purchase.redeemed.iter().chain(further);
            overdraft(before, after, taken, context.day, found);
        }
        Body::Adjust(adjustment) => {
            overdraft(before, after, &adjustment.taken, context.day, found);
        }
        Body::Charge(charge) => overdraft(before, after, &charge.taken, context.day, found),
        Body::Cancel(reversal) | Body::Return(reversal) => {
            let withdrawn = reversal.withdrawn.iter().chain(&reversal.recalled);
            if context.over_returned
                || over_restored(after, &reversal.restored)
                || over_withdrawn(after, withdrawn)
                || over_uncounted(after, &reversal.uncounted)
            {
                let reason = "more came back than was sold";
                found.add(Verdict::Contested, Suspicion::Reversal, reason);
            }
        }
        Body::Refund(refund) => {
            if over_restored(after, &refund.restored) || over_uncounted(after, &refund.uncounted) {
                let reason = "more was given back than was drawn";
                found.add(Verdict::Contested, Suspicion::Reversal, reason);
            }
        }
        Body::Enrol(_)
        | Body::Bind(_)
        | Body::CardState(_)
        | Body::Tag(_)
        | Body::Gift(_)
        | Body::Profile(_)
        | Body::Consent(_)
        | Body::AllowanceReturn(_)
        | Body::ClockMark(_)
        | Body::IncarnationMark(_) => {}
    }
}

fn blocked_card(
    member: &Member,
    card: Option<CardTag>,
    context: &Context<'_>,
    found: &mut Findings,
) {
    let Some(mark) = card.and_then(|card| member.blocks.get(&card)) else {
        return;
    };
    if mark.blocked {
        let when = if mark.at_ms <= context.stamp.ms() {
            "after"
        } else {
            "before"
        };
        let reason =
            format!("the card is blocked; it was used {when} the block order, by the node's clock");
        found.add(Verdict::Contested, Suspicion::BlockedCard, reason);
    }
}

fn purchase_rights(
    member: &Member,
    purchase: &Purchase,
    context: &Context<'_>,
    found: &mut Findings,
) {
    let mut rights = Rights::new(member, context);
    if let Some(authority) = &purchase.authority {
        rights.check(authority, purchase.redeemed.as_ref(), found);
    } else if purchase.redeemed.is_some() {
        let reason = "points were redeemed without any right";
        found.add(Verdict::Overdraft, Suspicion::Breach, reason);
    }
    let promoted = purchase.promoted.iter();
    for spending in promoted.flat_map(|promoted| &promoted.spent) {
        rights.check(&spending.authority, Some(&spending.taken), found);
    }
}

/// What one operation uses of the rights on its member; all its takings together must stand on them.
struct Rights<'a> {
    member: &'a Member,
    context: &'a Context<'a>,
    used: BTreeMap<AllowanceRef, Minor>,
}

impl<'a> Rights<'a> {
    fn new(member: &'a Member, context: &'a Context<'a>) -> Self {
        Self {
            member,
            context,
            used: BTreeMap::new(),
        }
    }

    /// Every point taken must stand on a right that this incarnation of this node held.
    fn check(&mut self, authority: &Authority, takes: Option<&AccountTakes>, found: &mut Findings) {
        let sum = |amounts: &mut dyn Iterator<Item = i64>| amounts.fold(0_i64, i64::saturating_add);
        let taken = takes.map_or(0, |takes| {
            sum(&mut takes.takes.iter().map(|take| take.amount.0))
        });
        let covered = sum(&mut authority.uses.iter().map(|used| used.amount.0));
        let negative = authority.uses.iter().any(|used| used.amount <= Minor::ZERO)
            || takes.is_some_and(|takes| takes.takes.iter().any(|take| take.amount <= Minor::ZERO));
        if taken != covered || negative {
            let reason = format!("rights for {covered} were named where {taken} was taken");
            found.add(Verdict::Overdraft, Suspicion::Breach, reason);
            return;
        }
        for used in &authority.uses {
            let open = self.open(used.allowance, takes.map(|takes| takes.account));
            let before = self.used.entry(used.allowance).or_default();
            let left = Minor(open.0.saturating_sub(before.0).max(0));
            *before = Minor(before.0.saturating_add(used.amount.0));
            if used.amount > left {
                let node = self.context.id.node;
                let (took, held) = (used.amount.0, left.0);
                let reason = format!("node {node} took {took} where it held a right to {held}");
                found.add(Verdict::Overdraft, Suspicion::Breach, reason);
            }
        }
    }

    /// What an allowance had left before the operation; nothing if it is another node's or on another account.
    fn open(&self, name: AllowanceRef, account: Option<AccountId>) -> Minor {
        let own = [self.context.id.incarnation, self.context.written_under];
        let held = self.member.allowances.get(&name).filter(|allowance| {
            allowance.node == self.context.id.node
                && own.contains(&allowance.incarnation)
                && account == Some(allowance.account)
        });
        held.map_or(Minor::ZERO, Allowance::open)
    }
}

/// Remarks on each account that was taken from and fell below zero, or further below.
fn overdraft<'a>(
    before: &Member,
    after: &Member,
    takes: impl IntoIterator<Item = &'a AccountTakes>,
    day: Day,
    found: &mut Findings,
) {
    let accounts: BTreeSet<_> = takes.into_iter().map(|takes| takes.account).collect();
    for account in accounts {
        let debt = |member: &Member| {
            let account = member.accounts.get(&account);
            let view = account.map(|account| account.view(day));
            view.and_then(Result::ok)
                .map_or(Minor::ZERO, |view| view.debt)
        };
        let (was, is) = (debt(before), debt(after));
        if is > was {
            let reason = format!("the account fell {} below zero", is.0.saturating_sub(was.0));
            found.add(Verdict::Overdraft, Suspicion::Overdraft, reason);
        }
    }
}

fn any_lot<'a>(
    member: &Member,
    named: impl IntoIterator<Item = &'a AccountTakes>,
    is_wrong: impl Fn(&Lot) -> bool,
) -> bool {
    named.into_iter().any(|named| {
        let lots = member.accounts.get(&named.account);
        let lots = lots.map(|account| &account.lots);
        let mut found = named.takes.iter().filter_map(|take| lots?.get(&take.lot));
        found.any(&is_wrong)
    })
}

fn over_restored<'a>(after: &Member, restored: impl IntoIterator<Item = &'a AccountTakes>) -> bool {
    any_lot(after, restored, |lot| lot.taken < Minor::ZERO)
}

fn over_withdrawn<'a>(
    after: &Member,
    withdrawn: impl IntoIterator<Item = &'a AccountTakes>,
) -> bool {
    any_lot(after, withdrawn, |lot| lot.withdrawn > lot.amount)
}

fn over_uncounted<'a>(after: &Member, uncounted: impl IntoIterator<Item = &'a Applied>) -> bool {
    uncounted.into_iter().any(|applied| {
        let used = after.used.get(&applied.promotion);
        used.is_some_and(|used| used.ever.receipts < 0)
    })
}

/// Prices the purchase again under the publication that it names.
///
/// A node whose replica was behind may have seen another tier than the hub: any tier that the member may ever have
/// reached is honoured without remark.
fn mispriced(member: &Member, purchase: &Purchase, context: &Context<'_>, found: &mut Findings) {
    let Some(programme) = context.programme else {
        let reason = format!("publication {} is not known", purchase.publication);
        found.add(Verdict::Mispriced, Suspicion::Mispriced, reason);
        return;
    };
    let mut reason =
        "the purchase does not match the rules in any tier that the member has reached".to_owned();
    for tier in programme.honoured(member).iter().rev() {
        // The clock of a store and the hub's may lie on two sides of midnight.
        for day in [
            context.day,
            Day(context.day.0.saturating_sub(1)),
            context.day.plus(1),
        ] {
            let priced = reprice(programme, purchase, &tier.code, day);
            let agreed = priced.and_then(|quote| Ok(agrees(programme, purchase, &quote, day)?));
            match agreed {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => reason = format!("the rules do not allow the purchase: {error}"),
            }
        }
    }
    found.add(Verdict::Mispriced, Suspicion::Mispriced, reason);
}
