//! Block orders about cards and promotions: numbered, signed, sent to every node ahead of everything else; and who has
//! them.

use kopilka_crdt::identifier::{IdentifierHash, IdentifierKind};
use kopilka_crdt::ids::{Incarnation, MemberId, NodeId, OperationId, ProgrammeId};
use kopilka_crdt::member::BlockMark;
use kopilka_protocol::limits::PROTOCOL_DELTAS;
use kopilka_protocol::signed::{BlockOrder, REASON_BYTES_MAX, SignedBlockOrder, Subject};
use kopilka_rules::placement::due_ms;
use serde_json::json;

use crate::app::Hub;
use crate::app::action::{ATTEMPTS_MAX, ActionError, Actor, text};
use crate::app::hub_log::request_key;
use crate::app::members;
use crate::app::nodes::{self, NodeStanding};
use crate::store::{BlockRow, Changes, Keys, Rows, StoreError};

/// How staff name a card.
#[derive(Debug, Clone)]
pub enum CardName {
    /// By the number on it, whether anybody has it or not.
    Number(String),
    /// By its owner and last four digits.
    Tail(MemberId, u16),
}

/// A block or release that staff ask for.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Which card.
    pub card: CardName,
    /// Blocked, or released.
    pub blocked: bool,
    /// For the cashier, such as "lost".
    pub reason: String,
    /// A second request with this key makes no second order.
    pub idempotency_key: String,
}

/// What became of it.
#[derive(Debug, Clone)]
pub struct Ordered {
    /// The order.
    pub order: BlockOrder,
    /// Whose card it is, when it is anybody's.
    pub member: Option<MemberId>,
    /// It had been given before, by the same key.
    pub repeated: bool,
}

/// A node and whether it has an order.
#[derive(Debug, Clone)]
pub struct Delivered {
    /// The node.
    pub standing: NodeStanding,
    /// It refuses the card, or gives the promotion no more; with a release, it does again.
    pub has_it: bool,
}

/// Blocks or releases a card in every store.
pub async fn order(
    hub: &Hub,
    actor: &Actor,
    programme: ProgrammeId,
    wish: &Wish,
) -> Result<Ordered, ActionError> {
    let reason = text("reason", &wish.reason, REASON_BYTES_MAX)?;
    let card = card_hash(hub, programme, &wish.card).await?;
    let draft = BlockOrder {
        programme,
        number: 0,
        subject: Subject::Card(card),
        blocked: wish.blocked,
        at_ms: (hub.clock)(),
        reason,
    };
    give(hub, actor, &draft, &wish.idempotency_key).await
}

/// Numbers, signs and stores an order, once for an idempotency key.
pub(super) async fn give(
    hub: &Hub,
    actor: &Actor,
    draft: &BlockOrder,
    idempotency_key: &str,
) -> Result<Ordered, ActionError> {
    for _ in 0..ATTEMPTS_MAX {
        let owner = match draft.subject {
            Subject::Card(card) => hub.store.find(draft.programme, card).await?,
            Subject::Promotion(_) => None,
        };
        if let Some(number) = try_order(hub, actor, draft, owner, idempotency_key).await? {
            hub.look_for_news().await?;
            return finished(hub, draft, owner, number).await;
        }
    }
    Err(StoreError::Contended.into())
}

/// The action's name in the audit and in idempotency keys.
fn action(order: &BlockOrder) -> &'static str {
    match (order.subject, order.blocked) {
        (Subject::Card(_), true) => "card.block",
        (Subject::Card(_), false) => "card.release",
        (Subject::Promotion(_), true) => "promotion.stop",
        (Subject::Promotion(_), false) => "promotion.release",
    }
}

/// One attempt: the order's number, or nothing when the card got another owner meanwhile.
async fn try_order(
    hub: &Hub,
    actor: &Actor,
    draft: &BlockOrder,
    owner: Option<MemberId>,
    idempotency_key: &str,
) -> Result<Option<Numbered>, ActionError> {
    let action = action(draft);
    let receipt = request_key(draft.programme, action, idempotency_key);
    let subject = IdentifierHash::from(draft.subject);
    let keys = Keys {
        programme: draft.programme.0,
        members: owner.into_iter().collect(),
        identifiers: vec![subject],
        receipts: vec![receipt],
        counters: true,
        ..Keys::default()
    };
    let mut outcome = None;
    let mut decision = |rows: &Rows| {
        if let Some(first) = rows.receipts.get(&receipt) {
            outcome = Some(Numbered {
                number: first.sequence,
                repeated: true,
            });
            return Changes::default();
        }
        if rows.identifiers.get(&subject).copied() != owner {
            outcome = None;
            return Changes::default();
        }
        let order = BlockOrder {
            number: rows.block_last + 1,
            ..draft.clone()
        };
        outcome = Some(Numbered {
            number: order.number,
            repeated: false,
        });
        let mut changes = Changes::default();
        changes
            .receipts
            .push((receipt, order_as_operation(order.number)));
        if let Some((id, row)) = owner.and_then(|id| Some((id, rows.members.get(&id)?))) {
            let mut member = row.member.clone();
            member.blocks.insert(subject.tag(), mark_of(&order));
            let due = due_ms(&member);
            changes.members.insert(id, (member, due));
        }
        let details = json!({ "number": order.number, "reason": order.reason });
        let about = match (order.subject, owner) {
            (Subject::Card(_), None) => "card".to_owned(),
            (Subject::Card(_), Some(id)) => id.to_string(),
            (Subject::Promotion(promotion), _) => format!("{}/{promotion}", order.programme),
        };
        changes.audit = Some(actor.audit(order.at_ms, action, &about, &details));
        let signed = SignedBlockOrder::sign(&hub.key, order);
        changes.blocks.push(BlockRow {
            number: signed.order.number,
            subject,
            signed: postcard::to_stdvec(&signed).expect("a block order is plain data"),
        });
        changes
    };
    hub.store.decide(&keys, &mut decision).await?;
    Ok(outcome)
}

#[derive(Debug, Clone, Copy)]
struct Numbered {
    number: u64,
    repeated: bool,
}

/// Block orders are counted once in the same table as receipts, which knows operations; incarnation 0 is no log's.
fn order_as_operation(number: u64) -> OperationId {
    OperationId {
        node: NodeId::HUB,
        incarnation: Incarnation(0),
        sequence: number,
    }
}

/// The order as stored. A repeated key that asks for something else is refused.
async fn finished(
    hub: &Hub,
    draft: &BlockOrder,
    member: Option<MemberId>,
    numbered: Numbered,
) -> Result<Ordered, ActionError> {
    let order = one(hub, draft.programme, numbered.number).await?;
    let same = order.subject == draft.subject && order.reason == draft.reason;
    if numbered.repeated && !same {
        return Err(ActionError::KeyReused);
    }
    Ok(Ordered {
        order,
        member,
        repeated: numbered.repeated,
    })
}

async fn card_hash(
    hub: &Hub,
    programme: ProgrammeId,
    card: &CardName,
) -> Result<IdentifierHash, ActionError> {
    match card {
        CardName::Number(number) => {
            let (_, hash) = members::hash_of(hub, programme, IdentifierKind::Card, number).await?;
            Ok(hash)
        }
        CardName::Tail(id, tail) => {
            let seen = members::one(hub, programme, *id).await?;
            let cards = &seen.row.member.cards;
            let mut found = seen.row.identifiers.iter().filter(|hash| {
                cards
                    .get(&hash.tag())
                    .is_some_and(|card| card.tail == *tail)
            });
            match (found.next(), found.next()) {
                (Some(hash), None) => Ok(*hash),
                (Some(_), Some(_)) => Err(ActionError::Conflict(format!(
                    "{id} has several cards …{tail:04}"
                ))),
                (None, _) => Err(ActionError::not_found(
                    "card",
                    &format!("…{tail:04} of {id}"),
                )),
            }
        }
    }
}

/// One order.
pub async fn one(
    hub: &Hub,
    programme: ProgrammeId,
    number: u64,
) -> Result<BlockOrder, ActionError> {
    let found = match number.checked_sub(1) {
        Some(before) => hub.store.blocks_after(programme, before, 1).await?,
        None => Vec::new(),
    };
    match found.first() {
        Some(row) if row.number == number => Ok(read(row)?),
        Some(_) | None => Err(ActionError::not_found("block order", number)),
    }
}

/// Orders after a number, in order.
pub async fn after(
    hub: &Hub,
    programme: ProgrammeId,
    number: u64,
    limit: usize,
) -> Result<Vec<BlockOrder>, StoreError> {
    let rows = hub.store.blocks_after(programme, number, limit).await?;
    rows.iter().map(read).collect()
}

/// The latest order about each of the things from one to another, in their order.
pub(super) async fn latest(
    hub: &Hub,
    programme: ProgrammeId,
    subjects: [Subject; 2],
    limit: usize,
) -> Result<Vec<BlockOrder>, StoreError> {
    let range = subjects.map(IdentifierHash::from);
    let rows = hub.store.latest_blocks(programme, range, limit).await?;
    rows.iter().map(read).collect()
}

fn read(row: &BlockRow) -> Result<BlockOrder, StoreError> {
    let signed: SignedBlockOrder =
        postcard::from_bytes(&row.signed).map_err(|_| StoreError::Damaged("block order"))?;
    Ok(signed.order)
}

/// What the latest order says about a card that finds an owner in a decision, which must have asked for the card and
/// for the counters: orders that come later find the owner.
pub fn mark(rows: &Rows, card: &IdentifierHash) -> Result<Option<BlockMark>, StoreError> {
    let latest = rows.blocks.get(card).map(read).transpose()?;
    Ok(latest.as_ref().map(mark_of))
}

fn mark_of(order: &BlockOrder) -> BlockMark {
    BlockMark {
        order: order.number,
        blocked: order.blocked,
        at_ms: order.at_ms,
    }
}

/// Which nodes have an order and which have not yet.
pub async fn delivery(
    hub: &Hub,
    programme: ProgrammeId,
    number: u64,
) -> Result<Vec<Delivered>, ActionError> {
    // Older programs keep orders about promotions and do not understand them.
    let protocol_min = match one(hub, programme, number).await?.subject {
        Subject::Card(_) => 0,
        Subject::Promotion(_) => PROTOCOL_DELTAS,
    };
    let standings = nodes::all(hub, programme).await?;
    let trusted = standings
        .into_iter()
        .filter(|standing| !standing.node.revoked);
    Ok(trusted
        .map(|standing| Delivered {
            has_it: standing.delivery.as_ref().is_some_and(|delivery| {
                delivery.seen.block >= number && delivery.protocol >= protocol_min
            }),
            standing,
        })
        .collect())
}
