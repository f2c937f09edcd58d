//! State as a fold: what each operation does to its member. Any order of the same set gives the same state.
//!
//! Which operations are in the set is decided before: a caller applies an identifier once, and leaves out what the
//! hub's verdict says does not count.

use crate::allowance::{Allowance, AllowanceRef};
use crate::card::{Card, CardState};
use crate::clock::{Day, Stamp};
use crate::identifier::CardTag;
use crate::ids::{LotId, NodeId, OperationId, PartnerId};
use crate::ledger::lot::Cause;
use crate::member::{Member, Register};
use crate::money::{AmountError, Minor};
use crate::operation::{
    AccountTakes, Adjustment, Authority, Body, Credit, Enrolment, Purchase, Reversal,
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
        Body::Cancel(body) | Body::Return(body) => reverse(member, body),
        Body::Adjust(body) => adjust(member, id, body),
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
            merge_register(member, body.channel, register);
            Ok(())
        }
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

fn merge_register(
    member: &mut Member,
    channel: crate::operation::Channel,
    register: Register<bool>,
) {
    match member.consents.entry(channel) {
        std::collections::btree_map::Entry::Vacant(slot) => {
            slot.insert(register);
        }
        std::collections::btree_map::Entry::Occupied(mut slot) => {
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
            member,
            *channel,
            Register {
                written: (stamp, id),
                value: true,
            },
        );
    }
    credit(member, id, &body.credits, body.partner, Cause::Welcome)?;
    keep_rights(member, id, stamp, &body.credits)
}

fn credit(
    member: &mut Member,
    id: OperationId,
    credits: &[Credit],
    partner: PartnerId,
    cause: Cause,
) -> Result<(), FoldError> {
    for (index, credit) in credits.iter().enumerate() {
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
    credit(member, id, &body.earned, body.partner, Cause::Purchase)?;
    keep_rights(member, id, stamp, &body.earned)?;
    count(member, body.counted)?;
    member.purchases = member.purchases.checked_add(1).ok_or(AmountError)?;
    member.last_purchase = member.last_purchase.max(stamp);
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

fn reverse(member: &mut Member, body: &Reversal) -> Result<(), FoldError> {
    if let Some(restored) = &body.restored {
        take(member, restored, -1)?;
    }
    for withdrawn in &body.withdrawn {
        let account = member.accounts.entry(withdrawn.account).or_default();
        for part in &withdrawn.takes {
            let lot = account.lots.entry(part.lot).or_default();
            lot.withdrawn = lot.withdrawn.plus(part.amount)?;
        }
    }
    count(member, Minor::ZERO.minus(body.counted)?)?;
    if body.whole {
        member.purchases = member.purchases.checked_sub(1).ok_or(AmountError)?;
    }
    Ok(())
}

fn adjust(member: &mut Member, id: OperationId, body: &Adjustment) -> Result<(), FoldError> {
    if let Some(taken) = &body.taken {
        take(member, taken, 1)?;
    }
    count_uses(member, body.authority.as_ref())?;
    count(member, body.counted)?;
    credit(member, id, &body.credits, body.partner, body.cause)
}
