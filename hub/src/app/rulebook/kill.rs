//! The kill switch: an order that stops a promotion in every store at once, without a publication; and its release.

use kopilka_crdt::ids::{ProgrammeId, PromotionId};
use kopilka_protocol::signed::{BlockOrder, REASON_BYTES_MAX, Subject};

use crate::app::Hub;
use crate::app::action::{ActionError, Actor, text};
use crate::app::blocks::{self, Delivered, Ordered};
use crate::app::catalogue::programmes;

/// Most promotions that are listed as stopped.
pub const STOPPED_MAX: usize = 10_000;

/// A stop or release that staff ask for.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Which promotion.
    pub promotion: PromotionId,
    /// Stopped, or released.
    pub stopped: bool,
    /// Why, for the audit and for stores.
    pub reason: String,
    /// A second request with this key makes no second order.
    pub idempotency_key: String,
}

/// Stops or releases a promotion in every store.
pub async fn order(
    hub: &Hub,
    actor: &Actor,
    programme: ProgrammeId,
    wish: &Wish,
) -> Result<Ordered, ActionError> {
    let reason = text("reason", &wish.reason, REASON_BYTES_MAX)?;
    programmes::one(hub, programme).await?;
    if latest(hub, programme, wish.promotion).await?.is_none() {
        let rules = hub.current_rules(programme).await?;
        let published =
            rules.is_some_and(|rules| rules.rules().promotions.contains_key(&wish.promotion));
        if !published {
            return Err(ActionError::not_found("promotion", wish.promotion));
        }
        if !wish.stopped {
            let stands = format!("promotion {} was not stopped", wish.promotion);
            return Err(ActionError::Conflict(stands));
        }
    }
    let draft = BlockOrder {
        programme,
        number: 0,
        subject: Subject::Promotion(wish.promotion),
        blocked: wish.stopped,
        at_ms: (hub.clock)(),
        reason,
    };
    blocks::give(hub, actor, &draft, &wish.idempotency_key).await
}

/// The orders that stop promotions now, by promotion.
pub async fn stopped(hub: &Hub, programme: ProgrammeId) -> Result<Vec<BlockOrder>, ActionError> {
    programmes::one(hub, programme).await?;
    let all = [PromotionId(0), PromotionId(u32::MAX)].map(Subject::Promotion);
    let orders = blocks::latest(hub, programme, all, STOPPED_MAX).await?;
    Ok(orders.into_iter().filter(|order| order.blocked).collect())
}

/// Which nodes have the latest order about a promotion, and which have not yet.
pub async fn delivery(
    hub: &Hub,
    programme: ProgrammeId,
    promotion: PromotionId,
) -> Result<Vec<Delivered>, ActionError> {
    let order = latest(hub, programme, promotion).await?;
    let order = order.ok_or_else(|| ActionError::not_found("order about promotion", promotion))?;
    blocks::delivery(hub, programme, order.number).await
}

async fn latest(
    hub: &Hub,
    programme: ProgrammeId,
    promotion: PromotionId,
) -> Result<Option<BlockOrder>, ActionError> {
    let subject = Subject::Promotion(promotion);
    let mut found = blocks::latest(hub, programme, [subject, subject], 1).await?;
    Ok(found.pop())
}
