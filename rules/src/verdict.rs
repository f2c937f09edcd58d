//! What the hub makes of an operation: counted or not, with which verdict, and what security staff should see.
//!
//! No verdict undoes what a store has given: goods are gone, so a doubtful operation is counted and named. Only the
//! second posting of one receipt, and what cannot be computed at all, is kept without being counted.

use kopilka_crdt::clock::{Day, Stamp};
use kopilka_crdt::ids::{Incarnation, OperationId};
use kopilka_crdt::ledger::{Account, apply};
use kopilka_crdt::member::Member;
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::{AccountTakes, Authority, Body, Purchase, Reversal, Verdict};

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
    /// For reversals: the purchase is known, counted, and this member's.
    pub purchase_known: bool,
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
            blocked_card(member, purchase, context, found);
            if let Some(authority) = &purchase.authority {
                rights(
                    member,
                    authority,
                    purchase.redeemed.as_ref(),
                    context,
                    found,
                );
            } else if purchase.redeemed.is_some() {
                found.add(
                    Verdict::Overdraft,
                    Suspicion::Breach,
                    "points were redeemed without any right",
                );
            }
            let promoted = purchase.promoted.iter();
            for spending in promoted.flat_map(|promoted| &promoted.spent) {
                let (authority, taken) = (&spending.authority, &spending.taken);
                rights(member, authority, Some(taken), context, found);
            }
            mispriced(member, purchase, context, found);
        }
        Body::Adjust(adjustment) => {
            if let Some(authority) = &adjustment.authority {
                rights(member, authority, adjustment.taken.as_ref(), context, found);
            }
        }
        Body::Enrol(_) | Body::Bind(_) if context.identifier_taken => {
            let reason = "a card or phone belongs to another member and stays theirs";
            found.add(Verdict::Contested, Suspicion::IdentifierTaken, reason);
        }
        Body::Cancel(_) | Body::Return(_) if !context.purchase_known => {
            let reason = "the purchase that was taken back is not known, or is another member's";
            found.add(Verdict::Contested, Suspicion::Reversal, reason);
        }
        Body::Charge(charge) => {
            if let Some(authority) = &charge.authority {
                rights(member, authority, charge.taken.as_ref(), context, found);
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
            for taken in purchase.redeemed.iter().chain(further) {
                overdraft(before, after, Some(taken), context.day, found);
            }
        }
        Body::Adjust(adjustment) => {
            overdraft(before, after, adjustment.taken.as_ref(), context.day, found)
        }
        Body::Cancel(reversal) | Body::Return(reversal) => {
            reversed_too_much(after, reversal, found)
        }
        Body::Charge(charge) => {
            overdraft(before, after, charge.taken.as_ref(), context.day, found);
        }
        Body::Enrol(_)
        | Body::Bind(_)
        | Body::CardState(_)
        | Body::Tag(_)
        | Body::Refund(_)
        | Body::Gift(_)
        | Body::Profile(_)
        | Body::Consent(_)
        | Body::AllowanceReturn(_)
        | Body::ClockMark(_)
        | Body::IncarnationMark(_) => {}
    }
}

fn blocked_card(member: &Member, purchase: &Purchase, context: &Context<'_>, found: &mut Findings) {
    let Some(mark) = purchase.card.and_then(|card| member.blocks.get(&card)) else {
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

/// Every point redeemed must stand on a right that this incarnation of this node held.
fn rights(
    member: &Member,
    authority: &Authority,
    takes: Option<&AccountTakes>,
    context: &Context<'_>,
    found: &mut Findings,
) {
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
        let held = member.allowances.get(&used.allowance).filter(|allowance| {
            allowance.node == context.id.node
                && [context.id.incarnation, context.written_under].contains(&allowance.incarnation)
                && takes.is_some_and(|takes| takes.account == allowance.account)
        });
        let open = held.map_or(Minor::ZERO, kopilka_crdt::allowance::Allowance::open);
        if used.amount > open {
            let reason = format!(
                "node {} took {} where it held a right to {}",
                context.id.node, used.amount.0, open.0
            );
            found.add(Verdict::Overdraft, Suspicion::Breach, reason);
        }
    }
}

fn overdraft(
    before: &Member,
    after: &Member,
    takes: Option<&AccountTakes>,
    day: Day,
    found: &mut Findings,
) {
    let Some(takes) = takes else { return };
    let debt = |member: &Member| {
        let view = member
            .accounts
            .get(&takes.account)
            .map(|account: &Account| account.view(day));
        view.and_then(Result::ok)
            .map_or(Minor::ZERO, |view| view.debt)
    };
    let (was, is) = (debt(before), debt(after));
    if is > was {
        let reason = format!("the account fell {} below zero", is.0.saturating_sub(was.0));
        found.add(Verdict::Overdraft, Suspicion::Overdraft, reason);
    }
}

fn reversed_too_much(after: &Member, reversal: &Reversal, found: &mut Findings) {
    let over_restored = reversal.restored.iter().any(|takes| {
        let account = after.accounts.get(&takes.account);
        takes.takes.iter().any(|take| {
            account
                .and_then(|account| account.lots.get(&take.lot))
                .is_some_and(|lot| lot.taken < Minor::ZERO)
        })
    });
    let over_withdrawn = reversal.withdrawn.iter().any(|takes| {
        let account = after.accounts.get(&takes.account);
        takes.takes.iter().any(|take| {
            account
                .and_then(|account| account.lots.get(&take.lot))
                .is_some_and(|lot| lot.withdrawn > lot.amount)
        })
    });
    if over_restored || over_withdrawn {
        let reason = "more came back than was sold";
        found.add(Verdict::Contested, Suspicion::Reversal, reason);
    }
}

/// Prices the purchase again under the publication that it names.
///
/// A node whose replica was behind may have seen another tier than the hub: any tier that the member has ever reached
/// is honoured without remark.
fn mispriced(member: &Member, purchase: &Purchase, context: &Context<'_>, found: &mut Findings) {
    let Some(programme) = context.programme else {
        let reason = format!("publication {} is not known", purchase.publication);
        found.add(Verdict::Mispriced, Suspicion::Mispriced, reason);
        return;
    };
    // The store may not have known of returns elsewhere that took a tier away again.
    let seen_at_most = Minor(member.counted.0.saturating_add(member.taken_back.0));
    let own_tier = programme.tier(seen_at_most);
    let tiers = programme
        .rules()
        .tiers
        .iter()
        .filter(|tier| tier.from_minor <= own_tier.from_minor);
    let mut reason =
        "the purchase does not match the rules in any tier that the member has reached".to_owned();
    for tier in tiers.rev() {
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
