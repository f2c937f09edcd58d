//! Cancels and returns: what the shares stored at the sale give back.

use kopilka_crdt::ids::NodeId;
use kopilka_crdt::operation::{Body, ReturnedLine};
use kopilka_rules::reversal::{Counter, Present, Sold, reverse};

use crate::store::Table;

use super::core::Core;
use super::error::AppError;
use super::keys;
use super::ladder::{Bound, Customer};
use super::records::{Adoptions, Outcome, PurchaseRecord, ReversalOutcome, SaleState};
use super::request::{Call, PurchaseRef};

impl Core {
    pub(super) fn cancel(
        &mut self,
        call: &Call,
        name: PurchaseRef,
        at_ms: u64,
    ) -> Result<Outcome, AppError> {
        self.give_back(call, name, None, at_ms, Body::Cancel)
    }

    pub(super) fn take_back(
        &mut self,
        call: &Call,
        name: PurchaseRef,
        lines: Option<&[ReturnedLine]>,
        at_ms: u64,
    ) -> Result<Outcome, AppError> {
        self.give_back(call, name, lines, at_ms, Body::Return)
    }

    fn give_back(
        &mut self,
        call: &Call,
        name: PurchaseRef,
        lines: Option<&[ReturnedLine]>,
        at_ms: u64,
        body: fn(kopilka_crdt::operation::Reversal) -> Body,
    ) -> Result<Outcome, AppError> {
        let id = self.find_purchase(name)?;
        let mut record = self.purchase(id)?;
        let SaleState::Confirmed { operation, stamp } = record.state else {
            return Err(AppError::NotConfirmed);
        };
        let adoptions = self.adoptions()?.after(operation.incarnation);
        let own = self.identity.node;
        let sold = as_known_now(&record, own, &adoptions);
        let counter = Counter {
            till: call.till,
            cashier: call.cashier,
        };
        let (rules, of) = (self.rules()?, record.purchase.member);
        let mut member = self.member(of)?;
        let sold = Sold {
            operation: adoptions.rename(own, operation),
            stamp,
            purchase: &sold.purchase,
            returned: &record.returned,
        };
        let moment = rules.moment(at_ms);
        let present = Present {
            member: &member,
            rules: &rules.programme.rules().returns,
            today: moment.today(),
        };
        let reversal = reverse(&sold, lines, counter, &present)?;
        let (operation, _) = self.record(at_ms, of, &mut member, body(reversal.clone()))?;
        record.count_returned(&reversal)?;
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

/// The sale with its lots under the names that the hub knows them by.
fn as_known_now(record: &PurchaseRecord, own: NodeId, adoptions: &Adoptions) -> PurchaseRecord {
    let mut sold = record.clone();
    if let Some(redeemed) = &mut sold.purchase.redeemed {
        adoptions.rename_takes(own, &mut redeemed.takes);
    }
    let promoted = sold.purchase.promoted.iter_mut();
    for spending in promoted.flat_map(|promoted| &mut promoted.spent) {
        adoptions.rename_takes(own, &mut spending.taken.takes);
    }
    sold
}
