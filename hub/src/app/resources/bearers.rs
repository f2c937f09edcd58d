//! Gift cards and bearers' coupons, issued by the thousand: whoever holds the number has what is on it.
//!
//! Numbers are handed over once, batch by batch, after each batch is durable; the store keeps their hashes only.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use kopilka_crdt::card::{Card, CardKind, CardNumber, CardState};
use kopilka_crdt::identifier::{Identifier, IdentifierHash, IdentifierKind, LookupKey};
use kopilka_crdt::ids::{AccountId, MemberId, OperationId, PartnerId, ProgrammeId};
use kopilka_crdt::ledger::Cause;
use kopilka_crdt::member::Member;
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::{Adjustment, Body, Credit, Enrolment, ReceiptKey};
use kopilka_rules::{Moment, Programme};
use kopilka_shell::clock;
use serde_json::{Value, json};

use super::numbers::Prefix;
use super::{BulkError, series};
use crate::app::Hub;
use crate::app::action::{ActionError, Actor};
use crate::app::blocks;
use crate::app::catalogue::programmes;
use crate::app::hub_log::{HubLog, request_key};
use crate::app::members::rules_now;
use crate::store::{Changes, Keys, Rows, StoreError};

/// Cards in one transaction.
const BATCH_CARDS: u32 = 1_000;
/// Most cards that one call over HTTP issues: they come back in one answer.
pub const CALL_CARDS_MAX: u32 = BATCH_CARDS;

/// What cards are issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goods {
    /// Gift cards: with so much on them, or to be loaded when they are sold.
    GiftCards(Option<Minor>),
    /// Coupons of a series, by its code.
    Coupons(String),
}

/// Cards to be issued.
#[derive(Debug, Clone)]
pub struct Order {
    /// The programme.
    pub programme: ProgrammeId,
    /// The partner that owes for what is on them.
    pub partner: PartnerId,
    /// What they are.
    pub goods: Goods,
    /// What their numbers begin with; none: the usual digits of their kind.
    pub prefix: Option<Prefix>,
    /// How many.
    pub count: u32,
}

/// Takes numbers as they become valid.
pub trait Recipient {
    /// These cards are issued. They are told once.
    fn issued(&mut self, numbers: &[CardNumber]) -> io::Result<()>;
}

/// Issues cards in batches, each durable and in the audit before its numbers are handed over.
pub async fn issue(
    hub: &Hub,
    actor: &Actor,
    order: &Order,
    recipient: &mut (dyn Recipient + Send),
) -> Result<(), BulkError> {
    let mint = Mint::new(hub, order).await?;
    let mut missing = order.count;
    while missing > 0 {
        let numbers = mint
            .strike(hub, actor, missing.min(BATCH_CARDS), None)
            .await?;
        recipient.issued(&numbers).map_err(BulkError::Write)?;
        let made = u32::try_from(numbers.len()).expect("a batch is small");
        missing = missing.saturating_sub(made);
    }
    hub.look_for_news().await.map_err(ActionError::from)?;
    Ok(())
}

/// Issues as many cards as fit one transaction, once for each idempotency key.
pub async fn issue_some(
    hub: &Hub,
    actor: &Actor,
    order: &Order,
    idempotency_key: &str,
) -> Result<Vec<CardNumber>, ActionError> {
    if !(1..=CALL_CARDS_MAX).contains(&order.count) {
        let reason = format!("is 1 to {CALL_CARDS_MAX}; the command line issues more");
        return Err(ActionError::invalid("count", &reason));
    }
    let request = request_key(order.programme, "bearers.issue", idempotency_key);
    let mint = Mint::new(hub, order).await?;
    let numbers = mint.strike(hub, actor, order.count, Some(request)).await?;
    hub.look_for_news().await?;
    Ok(numbers)
}

/// A card about to be.
struct Blank {
    number: CardNumber,
    hash: IdentifierHash,
    id: MemberId,
}

/// What cards of an order are made with.
struct Mint<'a> {
    order: &'a Order,
    prefix: Prefix,
    card: (CardKind, CardState),
    /// What is put on each, and why.
    load: Option<(Credit, Cause)>,
    lookup_key: LookupKey,
    rules: Arc<Programme>,
    moment: Moment,
}

impl<'a> Mint<'a> {
    async fn new(hub: &Hub, order: &'a Order) -> Result<Self, ActionError> {
        programmes::require_partner(hub, order.programme, order.partner).await?;
        let (rules, moment) = rules_now(hub, order.programme).await?;
        let entity = programmes::one(hub, order.programme).await?.value;
        let credit = |account: AccountId, amount| rules.credit(account, amount, moment.today());
        let (usual, card, load) = match &order.goods {
            Goods::GiftCards(None) => {
                gift_account(&rules, None)?;
                let card = (CardKind::Gift, CardState::Issued);
                (Prefix::gift_cards(), card, None)
            }
            Goods::GiftCards(Some(value)) => {
                let account = gift_account(&rules, Some(*value))?;
                let card = (CardKind::Gift, CardState::Active);
                let load = (credit(account, *value), Cause::Loaded);
                (Prefix::gift_cards(), card, Some(load))
            }
            Goods::Coupons(code) => {
                let account = series(&rules, code)?.account;
                let card = (CardKind::Coupon, CardState::Active);
                let load = (credit(account, Minor(1)), Cause::Budget);
                (Prefix::coupons(), card, Some(load))
            }
        };
        Ok(Self {
            order,
            prefix: order.prefix.clone().unwrap_or(usual),
            card,
            load,
            lookup_key: entity.lookup_key,
            rules,
            moment,
        })
    }

    /// Makes cards; those whose number is somebody's already are left out, at least one is made.
    async fn strike(
        &self,
        hub: &Hub,
        actor: &Actor,
        count: u32,
        request: Option<ReceiptKey>,
    ) -> Result<Vec<CardNumber>, ActionError> {
        let blanks: Vec<Blank> = (0..count).map(|_| self.blank()).collect();
        let keys = Keys {
            programme: self.order.programme.0,
            members: blanks.iter().map(|blank| blank.id).collect(),
            identifiers: blanks.iter().map(|blank| blank.hash).collect(),
            receipts: request.into_iter().collect(),
            counters: true,
            ..Keys::default()
        };
        let mut outcome = Err(ActionError::Store(StoreError::Contended));
        let mut decision = |rows: &Rows| match self.decide(rows, &blanks, request, actor) {
            Ok((changes, numbers)) => {
                outcome = Ok(numbers);
                changes
            }
            Err(refusal) => {
                outcome = Err(refusal);
                Changes::default()
            }
        };
        hub.store.decide(&keys, &mut decision).await?;
        outcome
    }

    fn blank(&self) -> Blank {
        let number = self.prefix.draw();
        Blank {
            hash: Identifier::card(&number).hash(&self.lookup_key),
            number,
            id: MemberId::from_seed(clock::random_bytes()),
        }
    }

    fn decide(
        &self,
        rows: &Rows,
        blanks: &[Blank],
        request: Option<ReceiptKey>,
        actor: &Actor,
    ) -> Result<(Changes, Vec<CardNumber>), ActionError> {
        if request.is_some_and(|request| rows.receipts.contains_key(&request)) {
            let text = "cards were issued under this key, and their numbers are told once";
            return Err(ActionError::Conflict(text.to_owned()));
        }
        let mut log = HubLog::resume(rows, &self.rules, self.moment);
        let mut changes = Changes::default();
        let mut numbers = Vec::with_capacity(blanks.len());
        let mut taken: BTreeSet<IdentifierHash> = rows.identifiers.keys().copied().collect();
        let mut first = None;
        for blank in blanks {
            if !taken.insert(blank.hash) || rows.members.contains_key(&blank.id) {
                continue;
            }
            let made = self.make(blank, rows, &mut log, &mut changes)?;
            first.get_or_insert(made);
            numbers.push(blank.number.clone());
        }
        let Some(first) = first else {
            let reason = "leaves no free numbers; take a shorter one";
            return Err(ActionError::invalid("prefix", reason));
        };
        changes
            .receipts
            .extend(request.map(|request| (request, first)));
        let details = self.details(numbers.len());
        let subject = self.order.programme;
        changes.audit = Some(actor.audit(self.moment.now_ms, self.action(), subject, &details));
        Ok((changes, numbers))
    }

    fn make(
        &self,
        blank: &Blank,
        rows: &Rows,
        log: &mut HubLog<'_>,
        changes: &mut Changes,
    ) -> Result<OperationId, ActionError> {
        let (kind, state) = self.card;
        let card = Card {
            kind,
            tail: blank.number.tail(),
            state,
        };
        let mut member = Member::default();
        let enrolment = Enrolment {
            member: blank.id,
            identifiers: Vec::new(),
            card: Some((blank.hash, card)),
            profile: Vec::new(),
            consents: Vec::new(),
            credits: Vec::new(),
            partner: self.order.partner,
            till: None,
            cashier: None,
            referrer: None,
        };
        let (made, _) = log.make(&mut member, &Body::Enrol(enrolment), changes)?;
        if let Some(mark) = blocks::mark(rows, &blank.hash)? {
            member.blocks.insert(blank.hash.tag(), mark);
        }
        if let Some((credit, cause)) = self.load {
            let loading = Adjustment {
                member: blank.id,
                credits: vec![credit],
                taken: None,
                authority: None,
                cause,
                reason: String::new(),
                counted: Minor::ZERO,
                partner: self.order.partner,
            };
            log.make(&mut member, &Body::Adjust(loading), changes)?;
        }
        changes
            .identifiers
            .push((blank.hash, IdentifierKind::Card, blank.id));
        changes.members.insert(blank.id, (member, None));
        Ok(made)
    }

    fn action(&self) -> &'static str {
        match self.order.goods {
            Goods::GiftCards(_) => "gift_card.issue",
            Goods::Coupons(_) => "coupon.issue_bearers",
        }
    }

    fn details(&self, count: usize) -> Value {
        let partner = self.order.partner.to_string();
        match &self.order.goods {
            Goods::GiftCards(value) => json!({
                "count": count, "partner": partner, "value_minor": value.map(|value| value.0),
            }),
            Goods::Coupons(series) => {
                json!({ "count": count, "partner": partner, "series": series })
            }
        }
    }
}

/// The account of gift cards, when they may be given this value.
fn gift_account(rules: &Programme, value: Option<Minor>) -> Result<AccountId, ActionError> {
    let cards = rules.rules().gift_cards.as_ref();
    let cards = cards.ok_or_else(|| {
        let text = "the published rule book has no gift cards; publish gift_cards first";
        ActionError::Conflict(text.to_owned())
    })?;
    let (least, most) = (cards.load_min_minor, cards.balance_max_minor);
    if value.is_some_and(|value| value < least.max(Minor(1)) || value > most) {
        let reason = format!("is {} to {} by the rule book", least.0, most.0);
        return Err(ActionError::invalid("value_minor", &reason));
    }
    Ok(cards.account)
}
