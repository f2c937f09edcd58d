//! Cancels and returns: what the shares stored at the sale give back.

use kopilka_crdt::ids::NodeId;
use kopilka_crdt::operation::{Body, Purchase, Refund, ReturnedLine};
use kopilka_protocol::message::CameBack;
use kopilka_rules::reversal::{Counter, Present, Sold, charge_back, reverse};

use crate::store::Table;

use super::core::Core;
use super::error::AppError;
use super::keys;
use super::ladder::{Bound, Customer};
use super::records::{Adoptions, Outcome, PurchaseRecord, ReversalOutcome, SaleCharge, SaleState};
use super::request::{Call, PurchaseRef, Told};

impl Core {
    pub(super) fn cancel(
        &mut self,
        call: &Call,
        name: PurchaseRef,
        at_ms: u64,
    ) -> Result<Outcome, AppError> {
        self.give_back(call, (name, &Told::Nothing), None, at_ms, Body::Cancel)
    }

    pub(super) fn take_back(
        &mut self,
        call: &Call,
        sold: (PurchaseRef, &Told),
        lines: Option<&[ReturnedLine]>,
        at_ms: u64,
    ) -> Result<Outcome, AppError> {
        self.give_back(call, sold, lines, at_ms, Body::Return)
    }

    fn give_back(
        &mut self,
        call: &Call,
        (name, told): (PurchaseRef, &Told),
        lines: Option<&[ReturnedLine]>,
        at_ms: u64,
        body: fn(kopilka_crdt::operation::Reversal) -> Body,
    ) -> Result<Outcome, AppError> {
        let (id, mut record) = self.sold(name, told, at_ms)?;
        let SaleState::Confirmed { operation, stamp } = record.state else {
            return Err(AppError::NotConfirmed);
        };
        let adoptions = self.adoptions()?.after(operation.incarnation);
        let own = self.identity.node;
        let (rules, of) = (self.rules()?, record.purchase.member);
        let mut member = self.member(of)?;
        let sold = Sold {
            operation: match record.told_by_hub {
                true => operation,
                false => adoptions.rename(own, operation),
            },
            stamp,
            purchase: &as_known_now(&record, own, &adoptions),
            returned: &record.came_back(),
        };
        let moment = rules.moment(at_ms);
        let present = Present {
            member: &member,
            rules: &rules.programme.rules().returns,
            today: moment.today(),
        };
        let counter = Counter {
            till: call.till,
            cashier: call.cashier,
        };
        let reversal = reverse(&sold, lines, counter, &present)?;
        let (operation, stamp) = self.record(at_ms, of, &mut member, body(reversal.clone()))?;
        record.returned.push(CameBack {
            node: own,
            stamp,
            lines: reversal.lines.clone(),
        });
        self.rows.put(Table::Purchases, keys::purchase(id), &record);
        if reversal.whole {
            self.charge_back(&record, (call, &adoptions), at_ms)?;
        }
        let customer = Customer {
            rules: &rules,
            identity: self.identity,
            member: &member,
            bound: &Bound::read(&self.rows, of)?,
            moment,
        };
        Ok(Outcome::Reversed(Box::new(ReversalOutcome {
            purchase: id,
            operation,
            reversal,
            balances: customer.balances()?,
        })))
    }
}

impl Core {
    /// Gives back what was drawn on beside a sale of which nothing is left. Who took the goods back of a sale that the hub
    /// told of does not know that.
    fn charge_back(
        &mut self,
        record: &PurchaseRecord,
        (call, adoptions): (&Call, &Adoptions),
        at_ms: u64,
    ) -> Result<(), AppError> {
        let (rules, own) = (self.rules()?, self.identity.node);
        for SaleCharge { charge, operation } in &record.charges {
            let Some((operation, stamp)) = *operation else {
                continue;
            };
            let Some(mut back) = charge_back(rules.programme.rules(), &record.purchase, charge)
            else {
                continue;
            };
            if let Some(restored) = &mut back.restored {
                adoptions.rename_takes(own, &mut restored.takes);
            }
            let body = Refund {
                member: charge.member,
                charge: adoptions.rename(own, operation),
                till: call.till,
                cashier: call.cashier,
                day: charge.receipt.counted_on(stamp),
                restored: back.restored,
                uncounted: back.uncounted,
            };
            let mut state = self.known(charge.member)?.unwrap_or_default();
            self.record(at_ms, charge.member, &mut state, Body::Refund(body))?;
        }
        Ok(())
    }
}

/// The sale with its lots under the names that the hub knows them by; what the hub told of has them already.
fn as_known_now(record: &PurchaseRecord, own: NodeId, adoptions: &Adoptions) -> Purchase {
    let mut sold = record.purchase.clone();
    if record.told_by_hub {
        return sold;
    }
    let promoted = sold.promoted.iter_mut();
    let spent = promoted.flat_map(|promoted| &mut promoted.spent);
    let further = spent.map(|spending| &mut spending.taken);
    for taken in sold.redeemed.iter_mut().chain(further) {
        adoptions.rename_takes(own, &mut taken.takes);
    }
    sold
}
