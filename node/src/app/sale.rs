//! Sales: authorise, confirm, void. Points are held in between, because a fiscal receipt is printed then.

use kopilka_crdt::card::CardState;
use kopilka_crdt::identifier::CardTag;
use kopilka_crdt::member::Member;
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::{Body, Purchase, ReceiptKey};
use kopilka_rules::redemption::HubAnswer;
use kopilka_shell::clock::random_bytes;

use crate::store::Table;

use super::core::Core;
use super::error::AppError;
use super::keys;
use super::ladder::{Bound, Customer};
use super::message;
use super::records::{
    Adoptions, HoldRecord, Outcome, PurchaseId, PurchaseRecord, SaleOutcome, SaleState,
};
use super::request::{Call, HOLDS_MAX, PurchaseRef, Sale};
use super::rules::InForce;

/// Whether a card may be used: not blocked, active, the member's. Without a card, whether any of theirs may be.
pub(super) fn check_card(
    in_force: &InForce,
    member: &Member,
    card: Option<CardTag>,
) -> Result<(), AppError> {
    let blocks = in_force.blocks();
    let usable = |tag: CardTag, state: CardState| match state {
        CardState::Active => match blocks.against_tag(tag) {
            Some(order) => Err(AppError::CardBlocked {
                reason: order.reason.clone(),
            }),
            None if member.is_blocked(tag) => Err(AppError::CardBlocked {
                reason: String::new(),
            }),
            None => Ok(()),
        },
        CardState::Issued | CardState::Replaced | CardState::Closed => {
            Err(AppError::CardNotActive(state))
        }
    };
    check_is_members(member)?;
    match card {
        Some(tag) => {
            let card = member.cards.get(&tag).ok_or(AppError::UnknownCard)?;
            usable(tag, card.state)
        }
        None => {
            let mut refusal = Ok(());
            for (tag, card) in &member.cards {
                match usable(*tag, card.state) {
                    Ok(()) => return Ok(()),
                    // Who lost a card and shows a phone is served; who has blocked cards only is not.
                    Err(blocked @ AppError::CardBlocked { .. }) => refusal = Err(blocked),
                    Err(_) => {}
                }
            }
            refusal
        }
    }
}

/// Whether it is a member's state, and not that of a gift card or a bearer's coupon.
pub(super) fn check_is_members(member: &Member) -> Result<(), AppError> {
    let bearers = member.cards.values().find(|card| card.kind.is_bearers());
    bearers.map_or(Ok(()), |card| Err(AppError::BearersCard(card.kind)))
}

impl Core {
    pub(super) fn authorise(
        &mut self,
        call: &Call,
        sale: &Sale,
        hub: HubAnswer,
        at_ms: u64,
    ) -> Result<Outcome, AppError> {
        let rules = self.rules()?;
        let mut member = self.member(sale.member)?;
        check_card(&self.in_force, &member, sale.basket.card)?;
        self.check_receipt_is_free(&sale.receipt)?;
        let purchase = self.priced(call, sale, &member, hub, at_ms)?;
        let hold_ms = u64::from(rules.programme.rules().offline.hold_seconds).saturating_mul(1_000);
        let until_ms = at_ms.saturating_add(hold_ms);
        let mut record = PurchaseRecord {
            purchase,
            state: SaleState::Held { until_ms },
            returned: Vec::new(),
            authorised_ms: at_ms,
        };
        let id = PurchaseId(u64::from_be_bytes(random_bytes()));
        let key = keys::purchase(id);
        let due_ms = at_ms.saturating_add(rules.kept_ms());
        self.rows.expire(due_ms, Table::Purchases, &key);
        if sale.confirm {
            self.sell(id, &mut record, &mut member, at_ms)?;
        } else {
            self.hold(id, &record, until_ms)?;
        }
        self.rows.put(Table::Purchases, key, &record);
        self.sale_outcome(id, record, &member, at_ms)
    }

    /// The sale as it will be signed: priced, and its redemption authorised.
    fn priced(
        &self,
        call: &Call,
        sale: &Sale,
        member: &Member,
        hub: HubAnswer,
        at_ms: u64,
    ) -> Result<Purchase, AppError> {
        let rules = self.rules()?;
        let customer = Customer {
            rules: &rules,
            identity: self.identity,
            member,
            bound: &Bound::read(&self.rows, sale.member)?,
            moment: rules.moment(at_ms),
        };
        let store = self.directory()?;
        let mut occasion = customer.occasion(&sale.basket, &store, sale.online);
        occasion.left_out = self.in_force.blocks().left_out();
        let quote = customer.price(sale.member, &sale.basket, &occasion)?;
        let granted = if quote.redeemed > Minor::ZERO {
            let account = rules.programme.rules().redemption.account;
            Some(customer.authorise(account, quote.redeemed, hub)?)
        } else {
            None
        };
        let (redeemed, authority) = granted
            .map(|granted| (granted.takes, granted.authority))
            .unzip();
        Ok(Purchase {
            receipt: sale.receipt,
            cashier: call.cashier,
            member: sale.member,
            card: sale.basket.card,
            publication: rules.programme.number(),
            promoted: quote.promoted(&rules.programme, &sale.basket.lines, &occasion)?,
            lines: quote.lines,
            tenders: sale.basket.tenders.clone(),
            redeemed,
            authority,
            earned: quote.earned,
            counted: quote.to_pay,
            partner: store.store.partner,
        })
    }

    fn hold(
        &mut self,
        id: PurchaseId,
        record: &PurchaseRecord,
        until_ms: u64,
    ) -> Result<(), AppError> {
        if self.rows.scan(Table::Holds, &[], None, HOLDS_MAX)?.len() == HOLDS_MAX {
            return Err(AppError::TooManyHolds);
        }
        let authority = record.purchase.authority.as_ref();
        let hold = HoldRecord {
            until_ms,
            takes: record.purchase.redeemed.clone(),
            uses: authority.map_or_else(Vec::new, |authority| authority.uses.clone()),
        };
        let key = keys::hold(record.purchase.member, id);
        self.rows.put(Table::Holds, key, &hold);
        Ok(())
    }

    /// A receipt counts once, however often it is posted.
    fn check_receipt_is_free(&self, receipt: &ReceiptKey) -> Result<(), AppError> {
        match self.rows.read(Table::Receipts, &keys::receipt(receipt))? {
            Some(id) => Err(AppError::ReceiptRegistered(id)),
            None => Ok(()),
        }
    }

    /// Signs a sale.
    fn sell(
        &mut self,
        id: PurchaseId,
        record: &mut PurchaseRecord,
        member: &mut Member,
        at_ms: u64,
    ) -> Result<(), AppError> {
        self.check_receipt_is_free(&record.purchase.receipt)?;
        let body = Body::Purchase(record.purchase.clone());
        let (operation, stamp) = self.record(at_ms, record.purchase.member, member, body)?;
        record.state = SaleState::Confirmed { operation, stamp };
        let due_ms = at_ms.saturating_add(self.rules()?.kept_ms());
        let key = keys::receipt(&record.purchase.receipt);
        self.rows.expire(due_ms, Table::Receipts, &key);
        self.rows.put(Table::Receipts, key, &id);
        Ok(())
    }

    pub(super) fn confirm(&mut self, id: PurchaseId, at_ms: u64) -> Result<Outcome, AppError> {
        let mut record = self.purchase(id)?;
        let mut member = self.member(record.purchase.member)?;
        match record.state {
            SaleState::Confirmed { .. } => {}
            SaleState::Voided => return Err(AppError::Voided),
            SaleState::Held { .. } | SaleState::Lapsed => {
                let hold = keys::hold(record.purchase.member, id);
                self.rows.delete(Table::Holds, hold);
                self.rename_lapsed(&mut record.purchase, &member)?;
                self.let_go_of_ended(&mut record.purchase, &member);
                self.sell(id, &mut record, &mut member, at_ms)?;
                self.rows.put(Table::Purchases, keys::purchase(id), &record);
            }
        }
        self.sale_outcome(id, record, &member, at_ms)
    }

    pub(super) fn void(&mut self, id: PurchaseId, at_ms: u64) -> Result<Outcome, AppError> {
        let mut record = self.purchase(id)?;
        let member = self.member(record.purchase.member)?;
        match record.state {
            SaleState::Confirmed { .. } => return Err(AppError::AlreadyConfirmed),
            SaleState::Voided => {}
            SaleState::Held { .. } | SaleState::Lapsed => {
                self.end_hold(id, &mut record, SaleState::Voided);
            }
        }
        self.sale_outcome(id, record, &member, at_ms)
    }

    /// Leaves out rights that ended with the incarnation that held them. The goods are gone, so the sale is signed all
    /// the same; that it stands on less than it takes is what the hub's verdict says.
    fn let_go_of_ended(&self, purchase: &mut Purchase, member: &Member) {
        let Some(authority) = &mut purchase.authority else {
            return;
        };
        authority.uses.retain(|used| {
            member.allowances.get(&used.allowance).is_some_and(|held| {
                (held.node, held.incarnation) == (self.identity.node, self.identity.incarnation)
            })
        });
    }

    /// Gives takes on lots that are not known by their names any more the hub's: a lapsed sale waits for nobody, so it
    /// has missed the end of its incarnation.
    fn rename_lapsed(&self, purchase: &mut Purchase, member: &Member) -> Result<(), AppError> {
        let Some(redeemed) = &mut purchase.redeemed else {
            return Ok(());
        };
        let Some(account) = member.accounts.get(&redeemed.account) else {
            return Ok(());
        };
        let adoptions = self.adoptions()?;
        for take in &mut redeemed.takes {
            let renamed = adoptions.rename_lot(self.identity.node, take.lot);
            if !account.lots.contains_key(&take.lot) && account.lots.contains_key(&renamed) {
                take.lot = renamed;
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
            let mut hold: HoldRecord = super::records::decode(&bytes)?;
            if let Some(taken) = &mut hold.takes {
                adoptions.rename_takes(own, &mut taken.takes);
            }
            let Some(row) = keys::held_purchase(&key).map(keys::purchase) else {
                continue;
            };
            let record: Option<PurchaseRecord> = self.rows.read(Table::Purchases, &row)?;
            if let Some(mut record) = record
                && let Some(taken) = &mut record.purchase.redeemed
            {
                adoptions.rename_takes(own, &mut taken.takes);
                self.rows.put(Table::Purchases, row, &record);
            }
            self.rows.put(Table::Holds, key, &hold);
        }
        Ok(())
    }

    fn end_hold(&mut self, id: PurchaseId, record: &mut PurchaseRecord, state: SaleState) {
        record.state = state;
        let hold = keys::hold(record.purchase.member, id);
        self.rows.delete(Table::Holds, hold);
        self.rows.put(Table::Purchases, keys::purchase(id), record);
    }

    /// Gives free what was held too long.
    pub(super) fn lapse_holds(&mut self, at_ms: u64) -> Result<(), AppError> {
        for (key, bytes) in self.rows.scan(Table::Holds, &[], None, HOLDS_MAX)? {
            let hold: HoldRecord = super::records::decode(&bytes)?;
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

    pub(super) fn purchase(&self, id: PurchaseId) -> Result<PurchaseRecord, AppError> {
        super::view::purchase(&self.rows, id)
    }

    pub(super) fn find_purchase(&self, name: PurchaseRef) -> Result<PurchaseId, AppError> {
        match name {
            PurchaseRef::Id(id) => Ok(id),
            PurchaseRef::Receipt(receipt) => self
                .rows
                .read(Table::Receipts, &keys::receipt(&receipt))?
                .ok_or(AppError::UnknownPurchase),
        }
    }

    fn sale_outcome(
        &self,
        id: PurchaseId,
        record: PurchaseRecord,
        member: &Member,
        at_ms: u64,
    ) -> Result<Outcome, AppError> {
        let rules = self.rules()?;
        let bound = Bound::read(&self.rows, record.purchase.member)?;
        let customer = Customer {
            rules: &rules,
            identity: self.identity,
            member,
            bound: &bound,
            moment: rules.moment(at_ms),
        };
        let balances = customer.balances()?;
        let tier = rules.programme.tier_of(member, customer.moment.today());
        let purchase = Some(&record.purchase);
        let message = message::receipt(&rules, member, tier, purchase, &balances);
        Ok(Outcome::Sale(Box::new(SaleOutcome {
            id,
            record,
            balances,
            message,
        })))
    }
}
