//! Questions that change nothing, answered from the node's replica.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kopilka_crdt::clock::Day;
use kopilka_crdt::identifier::{CardTag, Identifier, IdentifierKind};
use kopilka_crdt::ids::MemberId;
use kopilka_crdt::log::Tip;
use kopilka_crdt::member::Member;
use kopilka_crdt::money::Minor;
use kopilka_crdt::rulebook::model::{Text, TierRules};
use kopilka_protocol::message::{Reply, Seen, VerdictNote};
use kopilka_rules::Moment;
use kopilka_rules::pricing::Quote;

use crate::store::{Entry, Table};

use super::coupon::check_cards;
use super::error::AppError;
use super::hub::within;
use super::ladder::{Bound, MemberNow};
use super::records::{Balance, HistoryEntry, PurchaseId, PurchaseRecord, SaleOutcome, decode};
use super::request::{Basket, HOLDS_MAX, News, PurchaseRef};
use super::resources::Resources;
use super::rows::Rows;
use super::rules::{Directory, Rules};
use super::{App, keys, message, sale, view};

/// Most operations in one page of a history.
pub const HISTORY_PAGE_MAX: usize = 200;
/// Most verdicts that one answer names.
pub const VERDICTS_MAX: usize = 100;

/// Who showed an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identified {
    /// The member.
    pub member: MemberId,
    /// The card, when the identifier is one's number.
    pub card: Option<CardTag>,
}

/// A member as a till may see them.
#[derive(Debug, Clone)]
pub struct MemberView {
    /// Who.
    pub id: MemberId,
    /// The replica's state.
    pub member: Member,
    /// Their tier.
    pub tier: TierRules,
    /// Its last day if nothing more is bought; none: it stays.
    pub tier_until: Option<Day>,
    /// The tier above, and what is missing to it.
    pub tier_next: Option<(TierRules, Minor)>,
    /// What they have today, waiting sales taken off.
    pub balances: Vec<Balance>,
    /// For the receipt.
    pub message: Text,
}

/// How the node stands with the hub.
#[derive(Debug, Clone)]
pub struct SyncStatus {
    /// Whether the hub can be asked now.
    pub connected: bool,
    /// Wall time in milliseconds at which the hub was last heard.
    pub last_contact_ms: Option<u64>,
    /// Where the own log stands.
    pub tip: Tip,
    /// Own operations that are not yet durable at the hub.
    pub pending_operations: u64,
    /// What is on this disk of what the hub sends.
    pub seen: Seen,
    /// Whether the wall clock is believed.
    pub clock_trusted: bool,
    /// Sales that wait for confirmation.
    pub holds: usize,
    /// What the hub found about own operations, accepted ones left out; at most `VERDICTS_MAX`.
    pub verdicts: Vec<VerdictNote>,
}

impl App {
    /// The rules in force.
    ///
    /// # Errors
    /// [`AppError::NotReady`] before the first publication came.
    pub fn rules(&self) -> Result<Arc<Rules>, AppError> {
        self.in_force().rules().ok_or(AppError::NotReady)
    }

    /// The directory in force.
    ///
    /// # Errors
    /// [`AppError::NotReady`] before it came.
    pub fn directory(&self) -> Result<Arc<Directory>, AppError> {
        self.in_force().directory().ok_or(AppError::NotReady)
    }

    /// Now, in the programme's calendar.
    ///
    /// # Errors
    /// [`AppError::NotReady`] before the first publication came.
    pub fn moment(&self) -> Result<Moment, AppError> {
        Ok(self.rules()?.moment(self.now_ms()))
    }

    /// Whose identifier it is; asks the hub when this replica does not know it.
    ///
    /// # Errors
    /// [`AppError::UnknownMember`], [`AppError::CardBlocked`], [`AppError::BearersCard`], or when the store cannot be
    /// read.
    pub async fn identify(&self, identifier: &Identifier) -> Result<Identified, AppError> {
        let hash = identifier.hash(&self.directory()?.store.lookup_key);
        let order = self.in_force().blocks().against(hash).cloned();
        if let Some(order) = order {
            return Err(AppError::CardBlocked {
                reason: order.reason,
            });
        }
        let owner = self.owner(identifier).await?;
        let member = view::member(&self.rows(), owner.member)?.ok_or(AppError::UnknownMember)?;
        sale::check_is_members(&member)?;
        Ok(owner)
    }

    /// Whose identifier it is, blocked or not.
    ///
    /// # Errors
    /// [`AppError::UnknownMember`], or when the store cannot be read.
    pub async fn owner(&self, identifier: &Identifier) -> Result<Identified, AppError> {
        let hash = identifier.hash(&self.directory()?.store.lookup_key);
        let known = view::member_of(&self.rows(), hash)?;
        let member = match known {
            Some(member) => member,
            None => self.find_at_hub(hash).await?,
        };
        let card = matches!(identifier.kind(), IdentifierKind::Card).then(|| hash.tag());
        Ok(Identified { member, card })
    }

    async fn find_at_hub(
        &self,
        hash: kopilka_crdt::identifier::IdentifierHash,
    ) -> Result<MemberId, AppError> {
        let hub = self.hub();
        if !hub.is_connected() {
            return Err(AppError::UnknownMember);
        }
        match within(self.hub_deadline_ms()?, hub.find(hash)).await {
            Some(Reply::Found(Some(state))) => {
                let id = state.member.id;
                match self.hear(News::Member(state)).await {
                    Ok(()) => Ok(id),
                    // The feed was quicker, and knows best whose it is.
                    Err(AppError::OutOfOrder) => {
                        view::member_of(&self.rows(), hash)?.ok_or(AppError::UnknownMember)
                    }
                    Err(error) => Err(error),
                }
            }
            Some(_) | None => Err(AppError::UnknownMember),
        }
    }

    /// How long a till waits for the hub.
    pub(super) fn hub_deadline_ms(&self) -> Result<u32, AppError> {
        Ok(self.rules()?.programme.rules().offline.hub_deadline_ms)
    }

    /// What a receipt would cost and earn.
    ///
    /// # Errors
    /// When the member is not known or the receipt cannot be priced.
    pub fn quote(&self, id: MemberId, basket: &Basket) -> Result<Quote, AppError> {
        let (now, store) = (self.member_now(id)?, self.directory()?);
        let (rows, of_store) = (self.rows(), store.store.store);
        let known = |id| view::member(&rows, id);
        let resources = Resources::read(&rows, &now.rules, of_store, basket, known)?;
        check_cards(self.in_force(), basket, &resources)?;
        let online = self.hub().is_connected();
        let customer = now.customer();
        let mut occasion = customer.occasion(basket, &store, online, &resources)?;
        occasion.left_out = self.in_force().blocks().left_out();
        Ok(customer.price(id, basket, &occasion, &resources)?)
    }

    /// The member's own coupons that may be used today, by series.
    ///
    /// # Errors
    /// When the member is not known here.
    pub fn coupons(&self, id: MemberId) -> Result<BTreeMap<String, Balance>, AppError> {
        let now = self.member_now(id)?;
        let customer = now.customer();
        let mut coupons = BTreeMap::new();
        for (code, series) in &now.rules.programme.rules().coupons {
            let balance = customer.balance(series.account)?;
            if balance.view.spendable > Minor::ZERO {
                coupons.insert(code.clone(), balance);
            }
        }
        Ok(coupons)
    }

    pub(super) fn member_now(&self, id: MemberId) -> Result<MemberNow, AppError> {
        let (rules, rows) = (self.rules()?, self.rows());
        Ok(MemberNow {
            identity: self.identity(),
            member: view::member(&rows, id)?.ok_or(AppError::UnknownMember)?,
            bound: Bound::read(&rows, id)?,
            moment: rules.moment(self.now_ms()),
            rules,
        })
    }

    /// Whether a member's card may be used here; without a card, whether any of theirs may be.
    ///
    /// # Errors
    /// [`AppError::CardBlocked`], [`AppError::CardNotActive`], [`AppError::UnknownCard`].
    pub fn check_card(&self, id: MemberId, card: Option<CardTag>) -> Result<(), AppError> {
        let member = view::member(&self.rows(), id)?.ok_or(AppError::UnknownMember)?;
        sale::check_card(self.in_force(), &member, card)
    }

    /// Whether a block order stands against a member's card.
    pub fn is_blocked(&self, member: &Member, card: CardTag) -> bool {
        member.is_blocked(card) || self.in_force().blocks().against_tag(card).is_some()
    }

    /// A member, for a till.
    ///
    /// # Errors
    /// When the member is not known here.
    pub fn member(&self, id: MemberId) -> Result<MemberView, AppError> {
        let now = self.member_now(id)?;
        let balances = now.customer().balances()?;
        let today = now.moment.today();
        let standing = now.rules.programme.standing(&now.member, today);
        let message = message::receipt(&now.rules, &now.member, standing.tier, None, &balances);
        Ok(MemberView {
            id,
            tier: standing.tier.clone(),
            tier_until: standing.until,
            tier_next: standing.next.map(|(tier, missing)| (tier.clone(), missing)),
            member: now.member,
            balances,
            message,
        })
    }

    /// A purchase made at this node, as it stands.
    ///
    /// # Errors
    /// When it is not known here, or no longer.
    pub fn purchase(&self, name: PurchaseRef) -> Result<(PurchaseId, PurchaseRecord), AppError> {
        let rows = self.rows();
        let id = view::find_purchase(&rows, name)?;
        Ok((id, view::purchase(&rows, id)?))
    }

    /// A sale with what its member has today.
    ///
    /// # Errors
    /// When the member is not known here.
    pub fn sale_outcome(
        &self,
        id: PurchaseId,
        record: PurchaseRecord,
    ) -> Result<SaleOutcome, AppError> {
        let view = self.member(record.purchase.member)?;
        let rules = self.rules()?;
        let purchase = Some(&record.purchase);
        Ok(SaleOutcome {
            id,
            message: message::receipt(&rules, &view.member, &view.tier, purchase, &view.balances),
            balances: view.balances,
            record,
        })
    }

    /// A page of what this store recorded about a member in the return period, and where the next one begins.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn history(
        &self,
        id: MemberId,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<(Vec<HistoryEntry>, Option<Vec<u8>>), AppError> {
        let prefix = keys::member(id);
        let start = match after {
            Some(after) => [&prefix[..], after, &[0]].concat(),
            None => prefix.clone(),
        };
        let limit = limit.clamp(1, HISTORY_PAGE_MAX);
        let end = keys::after_prefix(&prefix);
        let mut rows = self.rows().scan(
            Table::History,
            &start,
            end.as_deref(),
            limit.saturating_add(1),
        )?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows
            .last()
            .filter(|_| more)
            .and_then(|(key, _)| key.get(prefix.len()..))
            .map(<[u8]>::to_vec);
        let entries = rows.iter().map(|(_, bytes)| decode(bytes));
        Ok((entries.collect::<Result<_, _>>()?, next))
    }

    /// How the node stands with the hub.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn sync_status(&self) -> Result<SyncStatus, AppError> {
        let rows = self.rows();
        let written = *self.written().borrow();
        let durable = self.sync_record()?.durable.map_or(0, |tip| tip.sequence);
        let notes = rows.scan(Table::Verdicts, &[], None, VERDICTS_MAX)?;
        let verdicts = notes.iter().map(|(_, bytes): &Entry| decode(bytes));
        Ok(SyncStatus {
            connected: self.hub().is_connected(),
            last_contact_ms: self.hub().last_contact_ms(),
            tip: written.tip,
            pending_operations: written.tip.sequence.saturating_sub(durable),
            seen: self.seen()?,
            clock_trusted: written.clock_trusted,
            holds: waiting_sales(&rows)?,
            verdicts: verdicts.collect::<Result<_, _>>()?,
        })
    }
}

/// Sales that wait for confirmation; each may bind several records.
fn waiting_sales(rows: &Rows) -> Result<usize, AppError> {
    let holds = rows.scan(Table::Holds, &[], None, HOLDS_MAX)?;
    let sales: BTreeSet<_> = holds
        .iter()
        .filter_map(|(key, _)| keys::held_purchase(key))
        .collect();
    Ok(sales.len())
}
