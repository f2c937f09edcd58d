//! Gift cards at a till: sold, topped up, paid with, and paid back to.

use std::fmt;
use std::str::FromStr;

use kopilka_crdt::allowance::Rung;
use kopilka_crdt::card::{Card, CardKind, CardNumber, CardState};
use kopilka_crdt::clock::Stamp;
use kopilka_crdt::identifier::{CardTag, Identifier};
use kopilka_crdt::ids::{AccountId, IdError, MemberId, NodeId, OperationId};
use kopilka_crdt::ledger::Cause;
use kopilka_crdt::member::Member;
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::{AccountTakes, Adjustment, Body, CardChange, Charge, Refund};
use kopilka_rules::gift_card::{self, GiftCardRefusal};
use kopilka_rules::redemption::{Authorised, HubAnswer, Refused};
use serde::{Deserialize, Serialize};

use crate::store::Table;

use super::App;
use super::core::Core;
use super::error::AppError;
use super::keys;
use super::ladder::{Bound, Customer};
use super::records::{Adoptions, Balance, HistoryEntry, Outcome, decode};
use super::request::{Call, GiftCardLoad, GiftCardPayment, GiftCardRefund};
use super::rules::InForce;
use super::sale::check_usable;

/// Operations of one gift card at this node that are looked at for what of a payment has gone back.
const OPERATIONS_MAX: usize = 4_096;

/// Why a gift card does not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GiftCardError {
    /// No card with this number.
    #[error("no such gift card is known here")]
    Unknown {
        /// Whether the hub was asked.
        connected: bool,
    },
    /// A card, but no gift card.
    #[error("the card is no gift card")]
    NotOne,
    /// It has been sold.
    #[error("the gift card was sold before")]
    Sold,
    /// No such payment at this node, or no longer.
    #[error("no such payment by gift card is known here")]
    UnknownPayment,
    /// The rules say no.
    #[error(transparent)]
    Rules(#[from] GiftCardRefusal),
    /// What is on it may not be spent now.
    #[error(transparent)]
    Ladder(#[from] Refused),
}

/// Names a payment by gift card: the card's record and the operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaymentId {
    /// The card's record.
    pub record: MemberId,
    /// The charge.
    pub operation: OperationId,
}

impl fmt::Display for PaymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}~{}", self.operation, self.record)
    }
}

impl FromStr for PaymentId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let wrong = IdError { kind: "payment" };
        let (operation, record) = text.split_once('~').ok_or_else(|| wrong.clone())?;
        Ok(Self {
            operation: operation.parse().map_err(|_| wrong.clone())?,
            record: record.parse().map_err(|_| wrong)?,
        })
    }
}

/// A gift card as it stands.
#[derive(Debug, Clone)]
pub struct GiftCard {
    /// Its record.
    pub record: MemberId,
    /// The card within it.
    pub tag: CardTag,
    /// What is known of the card.
    pub card: Card,
    /// Whether head office blocked it.
    pub blocked: bool,
    /// What is on it today.
    pub balance: Balance,
}

/// What moved on a gift card, as it was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GiftCardMove {
    /// The card's record.
    pub record: MemberId,
    /// The operation.
    pub operation: OperationId,
    /// How much was put on, taken, or given back.
    pub amount: Minor,
    /// What a payment stood on.
    pub rung: Option<Rung>,
    /// What is on the card after it.
    pub balance: Balance,
}

/// A payment, under the names that the hub knows it by.
struct Payment {
    operation: OperationId,
    stamp: Stamp,
    charge: Charge,
    /// What of it has gone back at this node.
    refunds: Vec<Refund>,
}

fn rename_takes(later: &Adoptions, own: NodeId, taken: Option<&mut AccountTakes>) {
    if let Some(taken) = taken {
        later.rename_takes(own, &mut taken.takes);
    }
}

/// Whether a gift card may be used: one, sold, not blocked.
fn check(in_force: &InForce, record: &Member, tag: CardTag) -> Result<(), AppError> {
    let card = gift_card(record, tag)?;
    check_usable(in_force, record, tag, card.state)
}

fn gift_card(record: &Member, tag: CardTag) -> Result<&Card, GiftCardError> {
    let card = record.cards.get(&tag);
    card.filter(|card| card.kind == CardKind::Gift)
        .ok_or(GiftCardError::NotOne)
}

impl App {
    /// A gift card by its number; the hub is asked when it is not known here.
    ///
    /// # Errors
    /// [`GiftCardError`] when it is not known or is no gift card, or the programme has none.
    pub async fn gift_card(&self, number: &CardNumber) -> Result<GiftCard, AppError> {
        let identifier = Identifier::card(number);
        let tag = identifier.hash(&self.directory()?.store.lookup_key).tag();
        let owner = match self.owner(&identifier).await {
            Err(AppError::UnknownMember) => {
                let connected = self.hub().is_connected();
                return Err(GiftCardError::Unknown { connected }.into());
            }
            owner => owner?,
        };
        let now = self.member_now(owner.member)?;
        let account = gift_card::offered(&now.rules.programme)
            .map_err(GiftCardError::from)?
            .account;
        Ok(GiftCard {
            record: owner.member,
            tag,
            card: gift_card(&now.member, tag)?.clone(),
            blocked: self.is_blocked(&now.member, tag),
            balance: now.customer().balance(account)?,
        })
    }

    /// What a payment would take from which account, were there rights enough.
    pub(super) fn gift_card_wanted(
        &self,
        payment: &GiftCardPayment,
    ) -> Result<(AccountId, Minor), AppError> {
        let now = self.member_now(payment.record)?;
        let rules = gift_card::offered(&now.rules.programme).map_err(GiftCardError::from)?;
        let spendable = now.customer().balance(rules.account)?.view.spendable;
        Ok((rules.account, payment.amount.min(spendable)))
    }
}

impl Core {
    /// Puts money on a card; one that is sold becomes active by it.
    pub(super) fn load_gift_card(
        &mut self,
        load: &GiftCardLoad,
        at_ms: u64,
    ) -> Result<Outcome, AppError> {
        let (rules, directory) = (self.rules()?, self.directory()?);
        let mut record = self.gift_record(load.record)?;
        let card = gift_card(&record, load.card)?;
        if load.is_sale && card.state == CardState::Active {
            return Err(GiftCardError::Sold.into());
        }
        if load.is_sale && card.state == CardState::Issued {
            let body = CardChange {
                member: load.record,
                card: load.card,
                state: CardState::Active,
            };
            self.record(at_ms, load.record, &mut record, Body::CardState(body))?;
        }
        check(&self.in_force, &record, load.card)?;
        let today = rules.moment(at_ms).today();
        let credit = gift_card::load(&rules.programme, &record, load.amount, today)
            .map_err(GiftCardError::from)?;
        let body = Adjustment {
            member: load.record,
            credits: vec![credit],
            taken: None,
            authority: None,
            cause: Cause::Loaded,
            reason: String::new(),
            counted: Minor::ZERO,
            partner: directory.store.partner,
        };
        let body = Body::Adjust(body);
        let (operation, _) = self.record(at_ms, load.record, &mut record, body)?;
        self.gift_card_moved(load.record, &record, (operation, load.amount, None), at_ms)
    }

    /// Pays with a card, within the rights that this store has to what is on it.
    pub(super) fn pay_by_gift_card(
        &mut self,
        call: &Call,
        payment: &GiftCardPayment,
        hub: HubAnswer,
        at_ms: u64,
    ) -> Result<Outcome, AppError> {
        let mut record = self.gift_record(payment.record)?;
        check(&self.in_force, &record, payment.card)?;
        let granted = self.gift_card_right(payment, &record, hub, at_ms)?;
        let rung = granted.authority.rung;
        let takes = granted.takes.takes.iter();
        let amount = Minor::sum(takes.map(|take| take.amount))?;
        let body = Charge {
            member: payment.record,
            card: Some(payment.card),
            receipt: payment.receipt,
            cashier: call.cashier,
            taken: Some(granted.takes),
            authority: Some(granted.authority),
            counted: None,
        };
        let body = Body::Charge(body);
        let (operation, _) = self.record(at_ms, payment.record, &mut record, body)?;
        let moved = (operation, amount, Some(rung));
        self.gift_card_moved(payment.record, &record, moved, at_ms)
    }

    fn gift_card_right(
        &self,
        payment: &GiftCardPayment,
        record: &Member,
        hub: HubAnswer,
        at_ms: u64,
    ) -> Result<Authorised, AppError> {
        let rules = self.rules()?;
        let customer = Customer {
            rules: &rules,
            identity: self.identity,
            member: record,
            bound: &Bound::read(&self.rows, payment.record)?,
            moment: rules.moment(at_ms),
        };
        let offered = gift_card::offered(&rules.programme).map_err(GiftCardError::from)?;
        let mut amount = payment.amount;
        if payment.partial {
            let spendable = customer.balance(offered.account)?.view.spendable;
            let missing = customer.missing_rights(offered.account, amount);
            let possible = amount.minus(missing)?.min(spendable);
            // With nothing to be had the refusal is about the whole amount, and says why.
            if possible > Minor::ZERO {
                amount = possible;
            }
        }
        let granted = customer.authorise(offered.account, amount, hub);
        Ok(granted.map_err(GiftCardError::from)?)
    }

    /// Gives a payment back to its card, whole or in part. A card that was blocked since gets its money all the same.
    pub(super) fn refund_gift_card(
        &mut self,
        call: &Call,
        request: &GiftCardRefund,
        at_ms: u64,
    ) -> Result<Outcome, AppError> {
        let PaymentId {
            record: id,
            operation,
        } = request.payment;
        let mut record = match self.gift_record(id) {
            Err(AppError::GiftCard(_)) => return Err(GiftCardError::UnknownPayment.into()),
            record => record?,
        };
        let payment = self.gift_card_payment(id, operation)?;
        let restored = gift_card::refund(&payment.charge, &payment.refunds, request.amount)
            .map_err(GiftCardError::from)?;
        let amount = Minor::sum(restored.takes.iter().map(|take| take.amount))?;
        let body = Refund {
            member: id,
            charge: payment.operation,
            till: call.till,
            cashier: call.cashier,
            day: payment.charge.receipt.counted_on(payment.stamp),
            restored: Some(restored),
            uncounted: None,
        };
        let (operation, _) = self.record(at_ms, id, &mut record, Body::Refund(body))?;
        self.gift_card_moved(id, &record, (operation, amount, None), at_ms)
    }

    /// A payment and what has gone back of it, under the names that the hub knows them by.
    fn gift_card_payment(&self, id: MemberId, operation: OperationId) -> Result<Payment, AppError> {
        let adoptions = self.adoptions()?;
        let mut payment = None;
        let mut refunds = Vec::new();
        let rows = self
            .rows
            .scan_prefix(Table::History, &keys::member(id), OPERATIONS_MAX)?;
        for (_, bytes) in rows {
            let entry: HistoryEntry = decode(&bytes)?;
            let later = adoptions.clone().after(entry.id.incarnation);
            if let Body::Charge(mut charge) = entry.body {
                if entry.id == operation {
                    rename_takes(&later, self.identity.node, charge.taken.as_mut());
                    let known_as = later.rename(self.identity.node, entry.id);
                    payment = Some(Payment {
                        operation: known_as,
                        stamp: entry.stamp,
                        charge,
                        refunds: Vec::new(),
                    });
                }
            } else if let Body::Refund(mut refund) = entry.body {
                rename_takes(&later, self.identity.node, refund.restored.as_mut());
                refund.charge = later.rename(self.identity.node, refund.charge);
                refunds.push(refund);
            }
        }
        let mut payment = payment.ok_or(GiftCardError::UnknownPayment)?;
        refunds.retain(|refund| refund.charge == payment.operation);
        payment.refunds = refunds;
        Ok(payment)
    }

    fn gift_record(&self, id: MemberId) -> Result<Member, AppError> {
        match self.member(id) {
            Err(AppError::UnknownMember) => Err(GiftCardError::Unknown { connected: false }.into()),
            record => record,
        }
    }

    fn gift_card_moved(
        &self,
        id: MemberId,
        record: &Member,
        (operation, amount, rung): (OperationId, Minor, Option<Rung>),
        at_ms: u64,
    ) -> Result<Outcome, AppError> {
        let rules = self.rules()?;
        let customer = Customer {
            rules: &rules,
            identity: self.identity,
            member: record,
            bound: &Bound::read(&self.rows, id)?,
            moment: rules.moment(at_ms),
        };
        let account = gift_card::offered(&rules.programme)
            .map_err(GiftCardError::from)?
            .account;
        Ok(Outcome::GiftCard(Box::new(GiftCardMove {
            record: id,
            operation,
            amount,
            rung,
            balance: customer.balance(account)?,
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payments_survive_their_text() {
        let record = MemberId::from_seed([7; 16]);
        let payment = PaymentId {
            record,
            operation: "o3.1.12".parse().unwrap(),
        };
        assert_eq!(payment.to_string().parse(), Ok(payment));
        for wrong in ["", "o3.1.12", "~", &record.to_string()] {
            assert!(wrong.parse::<PaymentId>().is_err(), "{wrong}");
        }
    }
}
