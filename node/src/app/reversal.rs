//! Cancels and returns: what the shares stored at the sale give back.

use kopilka_crdt::ids::NodeId;
use kopilka_crdt::operation::{Body, Purchase, ReturnedLine};
use kopilka_protocol::message::CameBack;
use kopilka_rules::reversal::{Counter, Present, Sold, reverse};

use crate::store::Table;

use super::core::Core;
use super::error::AppError;
use super::keys;
use super::ladder::{Bound, Customer};
use super::records::{Adoptions, Outcome, PurchaseRecord, ReversalOutcome, SaleState};
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
