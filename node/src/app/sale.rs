//! Sales: authorise, confirm, void. Points are held in between, because a fiscal receipt is printed then.

use kopilka_crdt::card::CardState;
use kopilka_crdt::identifier::CardTag;
use kopilka_crdt::ids::{CashierId, MemberId};
use kopilka_crdt::member::Member;
use kopilka_crdt::operation::{Applied, Body, Charge, Promoted, Purchase, ReceiptKey};
use kopilka_rules::pricing::Quote;
use kopilka_rules::promotion::Why;
use kopilka_shell::clock::random_bytes;

use crate::store::Table;

use super::core::Core;
use super::coupon::check_cards;
use super::error::AppError;
use super::keys;
use super::ladder::{Bound, Customer};
use super::message;
use super::needs::{Granted, HubAnswers, grant, needs};
use super::records::{Outcome, PurchaseId, PurchaseRecord, SaleCharge, SaleOutcome, SaleState};
use super::request::{Call, Sale};
use super::resources::Resources;
use super::rules::{Directory, InForce, Rules};

/// Whether a card may be used: not blocked, active, the member's. Without a card, whether any of theirs may be.
pub(super) fn check_card(
    in_force: &InForce,
    member: &Member,
    card: Option<CardTag>,
) -> Result<(), AppError> {
    check_is_members(member)?;
    match card {
        Some(tag) => {
            let card = member.cards.get(&tag).ok_or(AppError::UnknownCard)?;
            check_usable(in_force, member, tag, card.state)
        }
        None => {
            let mut refusal = Ok(());
            for (tag, card) in &member.cards {
                match check_usable(in_force, member, *tag, card.state) {
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

/// Whether a card in this state may be used: active, and not blocked.
pub(super) fn check_usable(
    in_force: &InForce,
    of: &Member,
    tag: CardTag,
    state: CardState,
) -> Result<(), AppError> {
    match state {
        CardState::Active => match in_force.blocks().against_tag(tag) {
            Some(order) => Err(AppError::CardBlocked {
                reason: order.reason.clone(),
            }),
            None if of.is_blocked(tag) => Err(AppError::CardBlocked {
                reason: String::new(),
            }),
            None => Ok(()),
        },
        CardState::Issued | CardState::Replaced | CardState::Closed => {
            Err(AppError::CardNotActive(state))
        }
    }
}

/// A use that a record counts without any right.
fn count(
    (record, counted): (MemberId, Applied),
    (receipt, cashier): (ReceiptKey, CashierId),
) -> Charge {
    Charge {
        member: record,
        card: None,
        receipt,
        cashier,
        taken: None,
        authority: None,
        counted: Some(counted),
    }
}

fn signed(
    sale: &Sale,
    quote: Quote,
    promoted: Option<Promoted>,
    granted: Granted,
    (call, store, rules): (&Call, &Directory, &Rules),
) -> (Purchase, Vec<Charge>) {
    let points = granted
        .points
        .map(|points| (points.takes, points.authority));
    let (redeemed, authority) = points.unzip();
    let spent = granted.spent;
    let purchase = Purchase {
        receipt: sale.receipt,
        cashier: call.cashier,
        member: sale.member,
        card: sale.basket.card,
        publication: rules.programme.number(),
        promoted: promoted.map(|promoted| Promoted { spent, ..promoted }),
        lines: quote.lines,
        tenders: sale.basket.tenders.clone(),
        redeemed,
        authority,
        earned: quote.earned,
        counted: quote.to_pay,
        partner: store.store.partner,
    };
    (purchase, granted.charges)
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
        hub: &HubAnswers,
        at_ms: u64,
    ) -> Result<Outcome, AppError> {
        let rules = self.rules()?;
        let mut member = self.member(sale.member)?;
        check_card(&self.in_force, &member, sale.basket.card)?;
        self.check_receipt_is_free(&sale.receipt)?;
        let (purchase, charges) = self.priced(call, sale, &member, hub, at_ms)?;
        let hold_ms = u64::from(rules.programme.rules().offline.hold_seconds).saturating_mul(1_000);
        let until_ms = at_ms.saturating_add(hold_ms);
        let mut record = PurchaseRecord {
            purchase,
            state: SaleState::Held { until_ms },
            charges: charges
                .into_iter()
                .map(|charge| SaleCharge {
                    charge,
                    operation: None,
                })
                .collect(),
            returned: Vec::new(),
            authorised_ms: at_ms,
            told_by_hub: false,
        };
        let id = PurchaseId(u64::from_be_bytes(random_bytes()));
        let key = keys::purchase(id);
        let due_ms = at_ms.saturating_add(rules.kept_ms());
        self.rows.expire(due_ms, Table::Purchases, &key);
        if sale.confirm {
            self.sell(id, &mut record, &mut member, at_ms)?;
        } else {
            self.hold(id, &mut record, until_ms)?;
        }
        self.rows.put(Table::Purchases, key, &record);
        self.sale_outcome(id, record, &member, at_ms)
    }

    /// The sale as it will be signed, priced and with everything that it takes authorised; and the charges beside it.
    fn priced(
        &self,
        call: &Call,
        sale: &Sale,
        member: &Member,
        hub: &HubAnswers,
        at_ms: u64,
    ) -> Result<(Purchase, Vec<Charge>), AppError> {
        let (rules, store) = (self.rules()?, self.directory()?);
        let programme = &rules.programme;
        let customer = Customer {
            rules: &rules,
            identity: self.identity,
            member,
            bound: &Bound::read(&self.rows, sale.member)?,
            moment: rules.moment(at_ms),
        };
        let basket = &sale.basket;
        let of_store = store.store.store;
        let known = |id| self.known(id);
        let resources = Resources::read(&self.rows, &rules, of_store, basket, known)?;
        check_cards(&self.in_force, basket, &resources)?;
        let mut occasion = customer.occasion(basket, &store, sale.online, &resources)?;
        occasion.left_out = self.in_force.blocks().left_out();
        // Each turn does without one more promotion at least, or is the last.
        loop {
            let quote = customer.price(sale.member, basket, &occasion, &resources)?;
            let needs = needs(
                programme.rules(),
                &quote.draws(programme),
                &quote,
                (sale.member, basket),
            );
            let of = (sale.receipt, call.cashier);
            let mut granted = grant(&customer, &resources, needs, hub, of)?;
            if granted.short.is_empty() {
                let counts = quote.counts(programme, of_store);
                granted
                    .charges
                    .extend(counts.into_iter().map(|counted| count(counted, of)));
                let promoted = quote.promoted(programme, &basket.lines, &occasion)?;
                return Ok(signed(
                    sale,
                    quote,
                    promoted,
                    granted,
                    (call, &store, &rules),
                ));
            }
            let short = granted.short.into_iter().map(|one| (one, Why::Limit));
            occasion.left_out.extend(short);
        }
    }

    /// A record's present state, when it is known here.
    pub(super) fn known(&self, id: MemberId) -> Result<Option<Member>, AppError> {
        match self.member(id) {
            Ok(state) => Ok(Some(state)),
            Err(AppError::UnknownMember) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A receipt counts once, however often it is posted.
    fn check_receipt_is_free(&self, receipt: &ReceiptKey) -> Result<(), AppError> {
        match self.rows.read(Table::Receipts, &keys::receipt(receipt))? {
            Some(id) => Err(AppError::ReceiptRegistered(id)),
            None => Ok(()),
        }
    }

    /// Signs a sale, and what it draws on.
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
        for beside in &mut record.charges {
            let of = beside.charge.member;
            let mut state = self.known(of)?.unwrap_or_default();
            let body = Body::Charge(beside.charge.clone());
            beside.operation = Some(self.record(at_ms, of, &mut state, body)?);
        }
        let due_ms = at_ms.saturating_add(self.rules()?.kept_ms());
        let key = keys::receipt(&record.purchase.receipt);
        self.rows.expire(due_ms, Table::Receipts, &key);
        self.rows.put(Table::Receipts, key, &id);
        self.name_operation(operation, id, due_ms);
        Ok(())
    }

    pub(super) fn confirm(&mut self, id: PurchaseId, at_ms: u64) -> Result<Outcome, AppError> {
        let mut record = self.purchase(id)?;
        let mut member = self.member(record.purchase.member)?;
        match record.state {
            SaleState::Confirmed { .. } => {}
            SaleState::Voided => return Err(AppError::Voided),
            SaleState::Held { .. } | SaleState::Lapsed => {
                self.let_hold_go(id, &record);
                self.rename_lapsed(&mut record)?;
                self.let_go_of_ended(&mut record)?;
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

    pub(super) fn purchase(&self, id: PurchaseId) -> Result<PurchaseRecord, AppError> {
        super::view::purchase(&self.rows, id)
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
