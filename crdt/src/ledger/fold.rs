//! State as a fold: what each operation does to its member. Any order of the same set gives the same state.
//!
//! Which operations are in the set is decided before: a caller applies an identifier once, and leaves out what the
//! hub's verdict says does not count.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::allowance::{Allowance, AllowanceRef};
use crate::card::{Card, CardState};
use crate::clock::{Day, Stamp};
use crate::identifier::CardTag;
use crate::ids::{LotId, NodeId, OperationId, PartnerId};
use crate::ledger::lot::Cause;
use crate::member::{DaySum, Member, Register, Usage};
use crate::money::{AmountError, Minor};
use crate::operation::{
    AccountTakes, Adjustment, Applied, Authority, Body, Charge, Counting, Credit, Enrolment,
    Promoted, Purchase, Refund, Reversal,
};

/// The operation cannot be folded; the member is to be taken as before the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// A sum left 64 bits.
    #[error(transparent)]
    Amount(#[from] AmountError),
    /// More credits than an operation may have.
    #[error("an operation credits at most 255 lots")]
    Credits,
}

/// How long points that a store credited stay its own to redeem there, in milliseconds (72 hours).
///
/// Part of the fold and so the same on every replica and in every version of the rules.
pub const EARNED_RIGHT_MS: u64 = 72 * 3_600_000;

/// Applies one operation to the member that it is about.
pub fn apply(
    member: &mut Member,
    id: OperationId,
    stamp: Stamp,
    body: &Body,
) -> Result<(), FoldError> {
    match body {
        Body::Enrol(body) => enrol(member, id, stamp, body),
        Body::Bind(body) => {
            if let Some(card) = &body.card {
                merge_card(member, body.hash.tag(), card);
            }
            if let Some(replaced) = body.replaces {
                advance_card(member, replaced, CardState::Replaced);
            }
            Ok(())
        }
        Body::CardState(body) => {
            advance_card(member, body.card, body.state);
            Ok(())
        }
        Body::Purchase(body) => purchase(member, id, stamp, body),
        Body::Cancel(body) | Body::Return(body) => reverse(member, id, body),
        Body::Adjust(body) => adjust(member, id, stamp, body),
        Body::Gift(body) => {
            let count = member.gifts.entry(body.code.clone()).or_default();
            *count = count.checked_add(body.count).ok_or(AmountError)?;
            Ok(())
        }
        Body::Consent(body) => {
            let register = Register {
                written: (stamp, id),
                value: body.given,
            };
            merge_register(&mut member.consents, body.channel, register);
            Ok(())
        }
        Body::Tag(body) => {
            let register = Register {
                written: (stamp, id),
                value: body.on,
            };
            merge_register(&mut member.tags, body.tag.clone(), register);
            Ok(())
        }
        Body::Charge(body) => charge(member, stamp, body),
        Body::Refund(body) => refund(member, body),
        Body::AllowanceReturn(body) => {
            if let Some(allowance) = member.allowances.get_mut(&body.allowance) {
                allowance.closed = true;
            }
            Ok(())
        }
        // The questionnaire is kept apart, sealed; marks are about nobody.
        Body::Profile(_) | Body::ClockMark(_) | Body::IncarnationMark(_) => Ok(()),
    }
}

fn merge_register<K: Ord>(
    registers: &mut BTreeMap<K, Register<bool>>,
    name: K,
    register: Register<bool>,
) {
    match registers.entry(name) {
        Entry::Vacant(slot) => {
            slot.insert(register);
        }
        Entry::Occupied(mut slot) => {
            slot.get_mut().merge(register.written, register.value);
        }
    }
}

fn merge_card(member: &mut Member, tag: CardTag, card: &Card) {
    member.cards.entry(tag).or_default().merge(card);
}

fn advance_card(member: &mut Member, tag: CardTag, state: CardState) {
    let card = member.cards.entry(tag).or_default();
    card.state = card.state.max(state);
}

fn enrol(
    member: &mut Member,
    id: OperationId,
    stamp: Stamp,
    body: &Enrolment,
) -> Result<(), FoldError> {
    if member.enrolled == Stamp::default() || stamp < member.enrolled {
        member.enrolled = stamp;
    }
    if let Some((hash, card)) = &body.card {
        merge_card(member, hash.tag(), card);
    }
    for channel in &body.consents {
        merge_register(
            &mut member.consents,
            *channel,
            Register {
                written: (stamp, id),
                value: true,
            },
        );
    }
    // A member is enrolled once; of two that claim it, the one with the smaller name is as good as the other.
    member.referrer = match (member.referrer, body.referrer) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    credit(member, id, 0, &body.credits, (body.partner, Cause::Welcome))?;
    keep_rights(member, id, stamp, &body.credits)
}

fn credit(
    member: &mut Member,
    id: OperationId,
    first: usize,
    credits: &[Credit],
    (partner, cause): (PartnerId, Cause),
) -> Result<(), FoldError> {
    for (index, credit) in (first..).zip(credits) {
        let index = u8::try_from(index).map_err(|_| FoldError::Credits)?;
        let account = member.accounts.entry(credit.account).or_default();
        let lot = account
            .lots
            .entry(LotId {
                operation: id,
                index,
            })
            .or_default();
        lot.amount = lot.amount.plus(credit.amount)?;
        lot.active_from = credit.active_from;
        lot.expires_on = credit.expires_on;
        lot.issuer = Some(partner);
        lot.cause = cause;
    }
    Ok(())
}

/// Adds to the sum that tiers go by; what comes off it is also remembered apart.
fn count(member: &mut Member, change: Minor) -> Result<(), FoldError> {
    member.counted = member.counted.plus(change)?;
    member.taken_back = member.taken_back.minus(change.min(Minor::ZERO))?;
    Ok(())
}

fn take(member: &mut Member, taken: &AccountTakes, sign: i64) -> Result<(), FoldError> {
    let account = member.accounts.entry(taken.account).or_default();
    for part in &taken.takes {
        let lot = account.lots.entry(part.lot).or_default();
        lot.taken = lot.taken.plus(part.amount.fraction(sign, 1)?)?;
    }
    Ok(())
}

fn count_uses(member: &mut Member, authority: Option<&Authority>) -> Result<(), FoldError> {
    for used in authority.iter().flat_map(|authority| &authority.uses) {
        if let Some(allowance) = member.allowances.get_mut(&used.allowance) {
            allowance.count_use(used.amount)?;
        }
    }
    Ok(())
}

fn purchase(
    member: &mut Member,
    id: OperationId,
    stamp: Stamp,
    body: &Purchase,
) -> Result<(), FoldError> {
    if let Some(taken) = &body.redeemed {
        take(member, taken, 1)?;
    }
    count_uses(member, body.authority.as_ref())?;
    let issuer = (body.partner, Cause::Purchase);
    credit(member, id, 0, &body.earned, issuer)?;
    let mut credits = body.earned.clone();
    let day = body.receipt.counted_on(stamp);
    if let Some(promoted) = &body.promoted {
        let issuer = (body.partner, Cause::Issued);
        credit(member, id, credits.len(), &promoted.issued, issuer)?;
        credits.extend_from_slice(&promoted.issued);
        promote(member, day, promoted)?;
    }
    keep_rights(member, id, stamp, &credits)?;
    count(member, body.counted)?;
    let bought = DaySum {
        paid: body.counted,
        earned: Minor::sum(body.earned.iter().map(|credit| credit.amount))?,
        visits: 1,
    };
    member.history.add(day, bought)?;
    member.purchases = member.purchases.checked_add(1).ok_or(AmountError)?;
    member.last_purchase = member.last_purchase.max(stamp);
    Ok(())
}

/// What promotions took beside the points that paid, counted, and handed out.
fn promote(member: &mut Member, day: Day, promoted: &Promoted) -> Result<(), FoldError> {
    for spending in &promoted.spent {
        take(member, &spending.taken, 1)?;
        count_uses(member, Some(&spending.authority))?;
    }
    for applied in &promoted.applied {
        match applied.counting {
            Counting::Not => {}
            Counting::UntilReturned | Counting::ForGood => {
                count_promotion(member, day, applied, 1)?;
            }
        }
    }
    hand_out(member, &promoted.gifts, 1)?;
    member.badges.extend(promoted.badges.iter().cloned());
    Ok(())
}

fn count_promotion(
    member: &mut Member,
    day: Day,
    applied: &Applied,
    sign: i32,
) -> Result<(), FoldError> {
    let used = member.used.entry(applied.promotion).or_default();
    Ok(used.add(day, Usage::of(applied, sign)?)?)
}

fn hand_out(
    member: &mut Member,
    gifts: &BTreeMap<String, u32>,
    sign: i32,
) -> Result<(), FoldError> {
    for (code, count) in gifts {
        let waiting = member.gifts.entry(code.clone()).or_default();
        let change = i32::try_from(*count).map_err(|_| AmountError)?;
        let change = change.checked_mul(sign).ok_or(AmountError)?;
        *waiting = waiting.checked_add(change).ok_or(AmountError)?;
    }
    Ok(())
}

fn charge(member: &mut Member, stamp: Stamp, body: &Charge) -> Result<(), FoldError> {
    if let Some(taken) = &body.taken {
        take(member, taken, 1)?;
    }
    count_uses(member, body.authority.as_ref())?;
    if let Some(counted) = &body.counted {
        count_promotion(member, body.receipt.counted_on(stamp), counted, 1)?;
    }
    Ok(())
}

fn refund(member: &mut Member, body: &Refund) -> Result<(), FoldError> {
    if let Some(restored) = &body.restored {
        take(member, restored, -1)?;
    }
    if let Some(uncounted) = &body.uncounted {
        count_promotion(member, body.day, uncounted, -1)?;
    }
    Ok(())
}

/// Points that a store credited are its own to redeem there for a while: nobody else knows of them yet.
fn keep_rights(
    member: &mut Member,
    id: OperationId,
    stamp: Stamp,
    credits: &[Credit],
) -> Result<(), FoldError> {
    if id.node == NodeId::HUB {
        return Ok(());
    }
    for (index, credit) in credits.iter().enumerate() {
        let index = u8::try_from(index).map_err(|_| FoldError::Credits)?;
        let right = Allowance {
            account: credit.account,
            node: id.node,
            incarnation: id.incarnation,
            amount: credit.amount,
            used: Minor::ZERO,
            granted_on: Day::default(),
            expires_at_ms: stamp.ms().saturating_add(EARNED_RIGHT_MS),
            recalled: false,
            closed: false,
        };
        member.allowances.insert(
            AllowanceRef::Earned(LotId {
                operation: id,
                index,
            }),
            right,
        );
    }
    Ok(())
}

fn withdraw(member: &mut Member, takes: &[AccountTakes]) -> Result<(), FoldError> {
    for withdrawn in takes {
        let account = member.accounts.entry(withdrawn.account).or_default();
        for part in &withdrawn.takes {
            let lot = account.lots.entry(part.lot).or_default();
            lot.withdrawn = lot.withdrawn.plus(part.amount)?;
        }
    }
    Ok(())
}

fn reverse(member: &mut Member, id: OperationId, body: &Reversal) -> Result<(), FoldError> {
    for restored in &body.restored {
        take(member, restored, -1)?;
    }
    let issuer = (body.partner, Cause::Restored);
    credit(member, id, 0, &body.renewed, issuer)?;
    withdraw(member, &body.withdrawn)?;
    withdraw(member, &body.recalled)?;
    for applied in &body.uncounted {
        count_promotion(member, body.day, applied, -1)?;
    }
    hand_out(member, &body.gifts, -1)?;
    count(member, Minor::ZERO.minus(body.counted)?)?;
    let earned = body.withdrawn.iter().flat_map(|taken| &taken.takes);
    let earned = Minor::sum(earned.map(|take| take.amount))?;
    let visits = i32::from(body.whole);
    let back = DaySum {
        paid: Minor::ZERO.minus(body.counted)?,
        earned: Minor::ZERO.minus(earned)?,
        visits: visits.checked_neg().ok_or(AmountError)?,
    };
    member.history.add(body.day, back)?;
    member.purchases = member.purchases.checked_sub(visits).ok_or(AmountError)?;
    Ok(())
}

fn adjust(
    member: &mut Member,
    id: OperationId,
    stamp: Stamp,
    body: &Adjustment,
) -> Result<(), FoldError> {
    if let Some(taken) = &body.taken {
        take(member, taken, 1)?;
    }
    count_uses(member, body.authority.as_ref())?;
    count(member, body.counted)?;
    credit(member, id, 0, &body.credits, (body.partner, body.cause))?;
    keep_rights(member, id, stamp, &body.credits)
}
