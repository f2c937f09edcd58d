//! Purchases that goods come back from: this store's own, and what the hub tells of others'.

use kopilka_crdt::clock::Stamp;
use kopilka_crdt::ids::{MemberId, OperationId};
use kopilka_crdt::log::decode_entry;
use kopilka_crdt::member::Member;
use kopilka_crdt::money::Milli;
use kopilka_crdt::operation::{Body, Purchase};
use kopilka_protocol::limits::SOLD_MAX;
use kopilka_protocol::message::{CameBack, Reply, SoldCursor, SoldPage, SoldPurchase, SoldQuery};
use kopilka_shell::clock::random_bytes;

use crate::store::Table;

use super::core::Core;
use super::error::AppError;
use super::hub::within;
use super::records::{HistoryEntry, PurchaseId, PurchaseRecord, SaleState, decode};
use super::request::{PurchaseRef, Told};
use super::rows::Rows;
use super::{App, keys, view};

/// Operations of a member that one page of own purchases looks through; the next one goes on.
const LOOKED_THROUGH_MAX: usize = 2_000;

/// A purchase in a list.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its name at this node, when it has one.
    pub id: Option<PurchaseId>,
    /// The operation.
    pub operation: OperationId,
    /// When it was sold.
    pub stamp: Stamp,
    /// What was sold.
    pub purchase: Purchase,
    /// What has come back, line by line.
    pub returned: Vec<Milli>,
}

/// Where a page of purchases ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListCursor {
    /// In the hub's list.
    Hub(SoldCursor),
    /// In this node's: the end of a key of the member's history.
    Own(Vec<u8>),
}

/// A page of a member's purchases, newest first.
#[derive(Debug, Clone)]
pub struct PurchaseList {
    /// The purchases.
    pub items: Vec<Listed>,
    /// Where the next page starts; none at the end.
    pub next: Option<ListCursor>,
    /// Whether purchases at other stores are in the list.
    pub other_stores: bool,
}

impl App {
    /// A page of what a member bought in the return period: everywhere while the hub can be asked, else at this node.
    ///
    /// # Errors
    /// [`AppError::HubOutOfReach`] for a page that only the hub can go on with, or when the store cannot be read.
    pub async fn purchases_of(
        &self,
        member: MemberId,
        after: Option<ListCursor>,
        limit: usize,
    ) -> Result<PurchaseList, AppError> {
        let limit = limit.clamp(1, SOLD_MAX);
        let before = match after {
            Some(ListCursor::Own(key)) => return self.own_purchases(member, Some(&key), limit),
            Some(ListCursor::Hub(cursor)) => Some(cursor),
            None => None,
        };
        let query = SoldQuery::Member {
            member,
            before,
            limit: u16::try_from(limit).expect("a page is shorter than 65,536"),
        };
        match self.ask_what_was_sold(query).await? {
            Some(page) => self.everywhere(member, before.is_none(), limit, &page),
            None if before.is_some() => Err(AppError::HubOutOfReach),
            None => self.own_purchases(member, None, limit),
        }
    }

    /// The hub's page, and before its first one own sales that have not reached it.
    fn everywhere(
        &self,
        member: MemberId,
        is_first: bool,
        limit: usize,
        page: &SoldPage,
    ) -> Result<PurchaseList, AppError> {
        let oldest_ms = self.oldest_ms()?;
        let rows = self.rows();
        let mut items = Vec::new();
        for sold in &page.purchases {
            let purchase = purchase_in(sold)?;
            let id = rows.read(Table::Receipts, &keys::receipt(&purchase.receipt))?;
            let mut record = match id {
                Some(id) => view::purchase(&rows, id)?,
                None => told_record(sold, purchase),
            };
            record.learn(&sold.returned);
            items.extend(listed(id, &record).map(|item| Listed {
                operation: sold.operation,
                ..item
            }));
        }
        let all = items.len();
        items.retain(|item| item.stamp.ms() >= oldest_ms);
        let is_last = items.len() < all;
        if is_first {
            let own = self.own_purchases(member, None, limit)?.items.into_iter();
            let known = |one: &Listed| {
                let mut found = items.iter();
                found.any(|item| item.purchase.receipt == one.purchase.receipt)
            };
            let incarnation = self.identity().incarnation;
            let durable = self.sync_record()?.durable.map_or(0, |tip| tip.sequence);
            let missing: Vec<_> = own
                .filter(|one| one.operation.incarnation == incarnation)
                .filter(|one| one.operation.sequence > durable && !known(one))
                .collect();
            items.splice(0..0, missing);
        }
        Ok(PurchaseList {
            items,
            next: page.next.filter(|_| !is_last).map(ListCursor::Hub),
            other_stores: true,
        })
    }

    /// What this node itself sold to a member.
    fn own_purchases(
        &self,
        member: MemberId,
        before: Option<&[u8]>,
        limit: usize,
    ) -> Result<PurchaseList, AppError> {
        let (rows, prefix) = (self.rows(), keys::member(member));
        let mut below = match before {
            Some(before) => Some([&prefix[..], before].concat()),
            None => keys::after_prefix(&prefix),
        };
        let mut items = Vec::new();
        for _ in 0..LOOKED_THROUGH_MAX {
            let last = rows.last_below(Table::History, below.as_deref())?;
            let Some((key, bytes)) = last.filter(|(key, _)| key.starts_with(&prefix)) else {
                below = None;
                break;
            };
            if items.len() == limit {
                break;
            }
            let entry: HistoryEntry = decode(&bytes)?;
            items.extend(own_purchase(&rows, &entry)?);
            below = Some(key);
        }
        let next = below.and_then(|key| key.get(prefix.len()..).map(<[u8]>::to_vec));
        Ok(PurchaseList {
            items,
            next: next.map(ListCursor::Own),
            other_stores: false,
        })
    }

    /// What the hub knows of a purchase of which goods are to come back.
    pub(super) async fn ask_about(&self, name: PurchaseRef) -> Result<Told, AppError> {
        let rows = self.rows();
        let query = match (name, view::find_purchase(&rows, name)) {
            (_, Ok(id)) => SoldQuery::Receipt(view::purchase(&rows, id)?.purchase.receipt),
            (PurchaseRef::Receipt(receipt), Err(_)) => SoldQuery::Receipt(receipt),
            (PurchaseRef::Operation(operation), Err(_)) => SoldQuery::Operation(operation),
            (PurchaseRef::Id(_), Err(_)) => return Ok(Told::Unknown),
        };
        Ok(match self.ask_what_was_sold(query).await? {
            Some(page) => match page.purchases.into_iter().next() {
                Some(sold) => Told::Sold(Box::new(sold)),
                None => Told::Unknown,
            },
            None => Told::Nothing,
        })
    }

    async fn ask_what_was_sold(&self, query: SoldQuery) -> Result<Option<SoldPage>, AppError> {
        let hub = self.hub();
        if !hub.is_connected() {
            return Ok(None);
        }
        let reply = within(self.hub_deadline_ms()?, hub.sold(query)).await;
        match reply {
            Some(Reply::Sold(page)) => Ok(Some(page)),
            Some(
                Reply::Enrolled(_)
                | Reply::Reserved(_)
                | Reply::Short { .. }
                | Reply::Found(_)
                | Reply::Page(_)
                | Reply::Refused(_)
                | Reply::Publication(_)
                | Reply::Rules(_),
            ) => {
                tracing::warn!("the hub's answer about purchases makes no sense");
                Ok(None)
            }
            None => Ok(None),
        }
    }

    /// Wall time from which on goods may be taken back.
    fn oldest_ms(&self) -> Result<u64, AppError> {
        Ok(self.now_ms().saturating_sub(self.rules()?.kept_ms()))
    }
}

/// The purchase that an own operation is.
fn own_purchase(rows: &Rows, entry: &HistoryEntry) -> Result<Option<Listed>, AppError> {
    let Body::Purchase(purchase) = &entry.body else {
        return Ok(None);
    };
    let key = keys::receipt(&purchase.receipt);
    let Some(id) = rows.read(Table::Receipts, &key)? else {
        return Ok(None);
    };
    Ok(listed(Some(id), &view::purchase(rows, id)?))
}

fn listed(id: Option<PurchaseId>, record: &PurchaseRecord) -> Option<Listed> {
    match record.state {
        SaleState::Confirmed { operation, stamp } => Some(Listed {
            id,
            operation,
            stamp,
            purchase: record.purchase.clone(),
            returned: record.came_back(),
        }),
        SaleState::Held { .. } | SaleState::Voided | SaleState::Lapsed => None,
    }
}

fn purchase_in(sold: &SoldPurchase) -> Result<Purchase, AppError> {
    let (_, body) = decode_entry(&sold.entry)?;
    let Body::Purchase(purchase) = body else {
        return Err(AppError::UnreadableRecord);
    };
    Ok(purchase)
}

fn told_record(sold: &SoldPurchase, purchase: Purchase) -> PurchaseRecord {
    PurchaseRecord {
        purchase,
        state: SaleState::Confirmed {
            operation: sold.operation,
            stamp: sold.stamp,
        },
        charges: Vec::new(),
        returned: Vec::new(),
        authorised_ms: sold.stamp.ms(),
        told_by_hub: true,
    }
}

impl Core {
    /// The purchase that goods come back from, with all that is known to have come back of it. One that was sold
    /// elsewhere is kept here from now on.
    pub(super) fn sold(
        &mut self,
        name: PurchaseRef,
        told: &Told,
        at_ms: u64,
    ) -> Result<(PurchaseId, PurchaseRecord), AppError> {
        match (view::find_purchase(&self.rows, name), told) {
            (Ok(id), Told::Sold(sold)) => {
                let mut record = self.purchase(id)?;
                record.learn(&sold.returned);
                Ok((id, record))
            }
            (Ok(id), Told::Nothing | Told::Unknown) => Ok((id, self.purchase(id)?)),
            (Err(AppError::UnknownPurchase), Told::Sold(sold)) => self.keep(sold, at_ms),
            (Err(AppError::UnknownPurchase), Told::Nothing) => match name {
                PurchaseRef::Receipt(_) | PurchaseRef::Operation(_) => {
                    Err(AppError::PurchaseOutOfReach)
                }
                PurchaseRef::Id(_) => Err(AppError::UnknownPurchase),
            },
            (Err(error), _) => Err(error),
        }
    }

    fn keep(
        &mut self,
        sold: &SoldPurchase,
        at_ms: u64,
    ) -> Result<(PurchaseId, PurchaseRecord), AppError> {
        let purchase = purchase_in(sold)?;
        let receipt = keys::receipt(&purchase.receipt);
        if let Some(id) = self.rows.read(Table::Receipts, &receipt)? {
            // An own sale of a log that the hub took over under another number.
            let mut record = self.purchase(id)?;
            record.learn(&sold.returned);
            return Ok((id, record));
        }
        let due_ms = sold.stamp.ms().saturating_add(self.rules()?.kept_ms());
        if due_ms < at_ms {
            return Err(AppError::UnknownPurchase);
        }
        let member = self.member(purchase.member)?;
        let id = PurchaseId(u64::from_be_bytes(random_bytes()));
        let mut record = told_record(sold, purchase);
        use_adopted_names(&mut record.purchase, sold.operation, &member);
        record.learn(&sold.returned);
        self.rows.put(Table::Receipts, receipt.clone(), &id);
        self.rows.expire(due_ms, Table::Receipts, &receipt);
        self.name_operation(sold.operation, id, due_ms);
        self.rows
            .expire(due_ms, Table::Purchases, &keys::purchase(id));
        Ok((id, record))
    }

    /// Lets a purchase be found by its operation.
    pub(super) fn name_operation(&mut self, operation: OperationId, id: PurchaseId, due_ms: u64) {
        let key = keys::sold(operation);
        self.rows.expire(due_ms, Table::Receipts, &key);
        self.rows.put(Table::Receipts, key, &id);
    }
}

/// Gives lots of a log that was taken over under another number the names that the member's lots have: the entry's bytes
/// name them as they were signed.
fn use_adopted_names(purchase: &mut Purchase, operation: OperationId, member: &Member) {
    if !operation.incarnation.is_adopted() {
        return;
    }
    let promoted = purchase.promoted.iter_mut();
    let spent = promoted.flat_map(|promoted| &mut promoted.spent);
    let further = spent.map(|spending| &mut spending.taken);
    for taken in purchase.redeemed.iter_mut().chain(further) {
        let Some(account) = member.accounts.get(&taken.account) else {
            continue;
        };
        for take in &mut taken.takes {
            let mut adopted = take.lot;
            adopted.operation.incarnation = operation.incarnation;
            let is_own = take.lot.operation.node == operation.node;
            if is_own
                && !account.lots.contains_key(&take.lot)
                && account.lots.contains_key(&adopted)
            {
                take.lot = adopted;
            }
        }
    }
}

impl PurchaseRecord {
    /// Adds what others say has come back.
    pub(super) fn learn(&mut self, returned: &[CameBack]) {
        for back in returned {
            let mut known = self.returned.iter();
            if !known.any(|known| (known.node, known.stamp) == (back.node, back.stamp)) {
                self.returned.push(back.clone());
            }
        }
    }
}
