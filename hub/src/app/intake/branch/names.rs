//! The names that operations of a branch, and what they refer to, have at the hub.

use kopilka_crdt::allowance::AllowanceRef;
use kopilka_crdt::ids::{Incarnation, LotId, NodeId, OperationId};
use kopilka_crdt::operation::{AccountTakes, Authority, Body};
use kopilka_protocol::message::Adoption;
use kopilka_protocol::segment::Received;

/// Which parts of a node's branch are counted under which incarnation numbers.
pub(super) struct Names<'a> {
    /// The log as its node names it.
    pub log: (NodeId, Incarnation),
    /// In order of their first sequence; what lies before the first of them kept its name.
    pub parts: &'a [Adoption],
}

impl Names<'_> {
    /// The operation under its adopted name. Its bytes stay as they were signed.
    pub(super) fn rename(&self, operation: &Received) -> Received {
        let mut renamed = operation.clone();
        self.rename_operation(&mut renamed.id);
        match &mut renamed.body {
            Body::Purchase(purchase) => {
                purchase
                    .redeemed
                    .iter_mut()
                    .for_each(|takes| self.rename_takes(takes));
                purchase
                    .authority
                    .iter_mut()
                    .for_each(|authority| self.rename_authority(authority));
                let promoted = purchase.promoted.iter_mut();
                for spending in promoted.flat_map(|promoted| &mut promoted.spent) {
                    self.rename_takes(&mut spending.taken);
                    self.rename_authority(&mut spending.authority);
                }
            }
            Body::Charge(charge) => {
                charge
                    .taken
                    .iter_mut()
                    .for_each(|takes| self.rename_takes(takes));
                charge
                    .authority
                    .iter_mut()
                    .for_each(|authority| self.rename_authority(authority));
            }
            Body::Refund(refund) => {
                self.rename_operation(&mut refund.charge);
                refund
                    .restored
                    .iter_mut()
                    .for_each(|takes| self.rename_takes(takes));
            }
            Body::Adjust(adjustment) => {
                adjustment
                    .taken
                    .iter_mut()
                    .for_each(|takes| self.rename_takes(takes));
                adjustment
                    .authority
                    .iter_mut()
                    .for_each(|authority| self.rename_authority(authority));
            }
            Body::Cancel(reversal) | Body::Return(reversal) => {
                self.rename_operation(&mut reversal.purchase);
                reversal
                    .restored
                    .iter_mut()
                    .for_each(|takes| self.rename_takes(takes));
                reversal
                    .withdrawn
                    .iter_mut()
                    .chain(&mut reversal.recalled)
                    .for_each(|takes| self.rename_takes(takes));
            }
            Body::AllowanceReturn(back) => self.rename_allowance(&mut back.allowance),
            Body::Enrol(_)
            | Body::Bind(_)
            | Body::CardState(_)
            | Body::Gift(_)
            | Body::Profile(_)
            | Body::Consent(_)
            | Body::ClockMark(_)
            | Body::IncarnationMark(_)
            | Body::Tag(_) => {}
        }
        renamed
    }

    fn rename_operation(&self, id: &mut OperationId) {
        if (id.node, id.incarnation) != self.log {
            return;
        }
        let mut parts = self.parts.iter().rev();
        if let Some(part) = parts.find(|part| part.from_sequence <= id.sequence) {
            id.incarnation = part.incarnation;
        }
    }

    fn rename_lot(&self, lot: &mut LotId) {
        self.rename_operation(&mut lot.operation);
    }

    fn rename_takes(&self, takes: &mut AccountTakes) {
        takes
            .takes
            .iter_mut()
            .for_each(|take| self.rename_lot(&mut take.lot));
    }

    fn rename_allowance(&self, allowance: &mut AllowanceRef) {
        match allowance {
            AllowanceRef::Earned(lot) => self.rename_lot(lot),
            AllowanceRef::Granted(_) => {}
        }
    }

    fn rename_authority(&self, authority: &mut Authority) {
        authority
            .uses
            .iter_mut()
            .for_each(|used| self.rename_allowance(&mut used.allowance));
    }
}
