//! Sales that wait for confirmation: what they bind, how they lapse, and what becomes of them as an incarnation ends.

use std::collections::BTreeMap;

use kopilka_crdt::ids::MemberId;

use crate::store::Table;

use super::core::Core;
use super::error::AppError;
use super::keys;
use super::records::{Adoptions, HoldRecord, PurchaseId, PurchaseRecord, SaleState, decode};
use super::request::HOLDS_MAX;

impl Core {
    /// Binds what a sale takes, record by record; the member's is among them also when nothing is taken.
    pub(super) fn hold(
        &mut self,
        id: PurchaseId,
        record: &mut PurchaseRecord,
        until_ms: u64,
    ) -> Result<(), AppError> {
        if self.rows.scan(Table::Holds, &[], None, HOLDS_MAX)?.len() == HOLDS_MAX {
            return Err(AppError::TooManyHolds);
        }
        let nothing = HoldRecord {
            until_ms,
            ..HoldRecord::default()
        };
        let mut holds: BTreeMap<MemberId, HoldRecord> = BTreeMap::new();
        holds.insert(record.purchase.member, nothing.clone());
        for taking in record.takings() {
            let hold = holds
                .entry(taking.record)
                .or_insert_with(|| nothing.clone());
            hold.takes.push(taking.taken.clone());
            let uses = taking
                .authority
                .iter()
                .flat_map(|authority| &authority.uses);
            hold.uses.extend(uses);
        }
        for (of, hold) in holds {
            self.rows.put(Table::Holds, keys::hold(of, id), &hold);
        }
        Ok(())
    }

    pub(super) fn end_hold(
        &mut self,
        id: PurchaseId,
        record: &mut PurchaseRecord,
        state: SaleState,
    ) {
        record.state = state;
        self.let_hold_go(id, record);
        self.rows.put(Table::Purchases, keys::purchase(id), record);
    }

    pub(super) fn let_hold_go(&mut self, id: PurchaseId, record: &PurchaseRecord) {
        for of in record.records() {
            self.rows.delete(Table::Holds, keys::hold(of, id));
        }
    }

    /// Gives free what was held too long.
    pub(super) fn lapse_holds(&mut self, at_ms: u64) -> Result<(), AppError> {
        for (key, bytes) in self.rows.scan(Table::Holds, &[], None, HOLDS_MAX)? {
            let hold: HoldRecord = decode(&bytes)?;
            if hold.until_ms > at_ms {
                continue;
            }
            let Some(id) = keys::held_purchase(&key) else {
                continue;
            };
            match self.purchase(id) {
                Ok(mut record) => self.end_hold(id, &mut record, SaleState::Lapsed),
                Err(AppError::UnknownPurchase) => self.rows.delete(Table::Holds, key),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Leaves out rights that ended with the incarnation that held them. The goods are gone, so the sale is signed all
    /// the same; that it stands on less than it takes is what the hub's verdict says.
    pub(super) fn let_go_of_ended(&self, record: &mut PurchaseRecord) -> Result<(), AppError> {
        for taking in record.takings() {
            let Some(authority) = taking.authority else {
                continue;
            };
            let state = self.known(taking.record)?.unwrap_or_default();
            authority.uses.retain(|used| {
                state.allowances.get(&used.allowance).is_some_and(|held| {
                    (held.node, held.incarnation) == (self.identity.node, self.identity.incarnation)
                })
            });
        }
        Ok(())
    }

    /// Gives takes on lots that are not known by their names any more the hub's: a lapsed sale waits for nobody, so it
    /// has missed the end of its incarnation.
    pub(super) fn rename_lapsed(&self, record: &mut PurchaseRecord) -> Result<(), AppError> {
        let adoptions = self.adoptions()?;
        for taking in record.takings() {
            let state = self.known(taking.record)?.unwrap_or_default();
            let Some(account) = state.accounts.get(&taking.taken.account) else {
                continue;
            };
            for take in &mut taking.taken.takes {
                let renamed = adoptions.rename_lot(self.identity.node, take.lot);
                if !account.lots.contains_key(&take.lot) && account.lots.contains_key(&renamed) {
                    take.lot = renamed;
                }
            }
        }
        Ok(())
    }

    /// Gives what waiting sales take the names that the hub knows it by.
    ///
    /// Done once, as the old incarnation ends: what is held later may name the same places in the hub's history of it.
    pub(super) fn rename_holds(&mut self, adoptions: &Adoptions) -> Result<(), AppError> {
        let own = self.identity.node;
        for (key, bytes) in self.rows.scan(Table::Holds, &[], None, HOLDS_MAX)? {
            let mut hold: HoldRecord = decode(&bytes)?;
            for taken in &mut hold.takes {
                adoptions.rename_takes(own, &mut taken.takes);
            }
            let Some(row) = keys::held_purchase(&key).map(keys::purchase) else {
                continue;
            };
            let record: Option<PurchaseRecord> = self.rows.read(Table::Purchases, &row)?;
            if let Some(mut record) = record {
                // A sale that binds several records is met once for each; a second renaming finds nothing.
                for taking in record.takings() {
                    adoptions.rename_takes(own, &mut taking.taken.takes);
                }
                self.rows.put(Table::Purchases, row, &record);
            }
            self.rows.put(Table::Holds, key, &hold);
        }
        Ok(())
    }
}
