//! Store nodes as head office sees them: codes to enrol one, where each stands, and revoking one.

use std::collections::BTreeMap;

use kopilka_crdt::ids::{NodeId, ProgrammeId, StoreId};
use kopilka_protocol::enrolment::EnrolmentCode;
use kopilka_shell::clock;
use serde_json::json;

use crate::app::Hub;
use crate::app::action::{ATTEMPTS_MAX, ActionError, Actor};
use crate::app::catalogue::{programmes, stores};
use crate::app::entities::{CodeEntity, DeliveryEntity, Kept, NodeEntity, hex};
use crate::app::kept;
use crate::store::StoreError;

/// How long an enrolment code works unless told otherwise, in hours.
pub const CODE_LIFE_HOURS: u32 = 24;
/// Longest life of a code, in hours: 30 days.
const CODE_LIFE_HOURS_MAX: u32 = 720;

/// A new code, shown once.
#[derive(Debug, Clone)]
pub struct IssuedCode {
    /// To be typed in at the node.
    pub code: EnrolmentCode,
    /// Until when it works, milliseconds since 1970.
    pub expires_ms: u64,
}

/// A node with what it has on its disk.
#[derive(Debug, Clone)]
pub struct NodeStanding {
    /// The node.
    pub node: NodeEntity,
    /// What it last told; none when it has never been heard.
    pub delivery: Option<DeliveryEntity>,
    /// Feed positions that it still lacks; none while it has no snapshot.
    pub feed_lag: Option<u64>,
}

/// Makes a code with which one new node can enrol for a store. `hub_address` is where nodes reach this hub.
pub async fn issue_code(
    hub: &Hub,
    actor: &Actor,
    store: StoreId,
    hub_address: &str,
    life_hours: u32,
) -> Result<IssuedCode, ActionError> {
    if !(1..=CODE_LIFE_HOURS_MAX).contains(&life_hours) {
        let reason = format!("a code lives for 1 to {CODE_LIFE_HOURS_MAX} hours");
        return Err(ActionError::invalid("life_hours", &reason));
    }
    let store = stores::one(hub, store).await?.value;
    let code = EnrolmentCode {
        hub_address: hub_address.to_owned(),
        fingerprint: hub.public_key().fingerprint(),
        secret: clock::random_bytes(),
    };
    let now_ms = (hub.clock)();
    let expires_ms = now_ms.saturating_add(u64::from(life_hours) * 3_600_000);
    let entity = CodeEntity {
        secret_hash: hex(blake3::hash(&code.secret).as_bytes()),
        programme: store.programme,
        store: store.id,
        expires_ms,
    };
    let details = json!({ "life_hours": life_hours });
    let audit = actor.audit(now_ms, "node.code", store.id, &details);
    hub.store
        .change_entities(&[kept::create(&entity)], Some(&audit))
        .await?;
    Ok(IssuedCode { code, expires_ms })
}

/// A programme's nodes and where they stand.
pub async fn all(hub: &Hub, programme: ProgrammeId) -> Result<Vec<NodeStanding>, ActionError> {
    programmes::one(hub, programme).await?;
    let nodes: Vec<NodeEntity> = kept::list(&*hub.store, "").await?;
    let deliveries: Vec<DeliveryEntity> = kept::list(&*hub.store, "").await?;
    let mut deliveries: BTreeMap<NodeId, DeliveryEntity> = deliveries
        .into_iter()
        .map(|delivery| (delivery.node, delivery))
        .collect();
    let heads = hub
        .store
        .heads()
        .await?
        .feed
        .remove(&programme.0)
        .unwrap_or_default();
    let mut standings: Vec<NodeStanding> = nodes
        .into_iter()
        .filter(|node| node.programme == programme)
        .map(|node| {
            let delivery = deliveries.remove(&node.id);
            let feed_lag = delivery
                .as_ref()
                .and_then(|delivery| lag(&heads, &delivery.seen.feed));
            NodeStanding {
                node,
                delivery,
                feed_lag,
            }
        })
        .collect();
    standings.sort_by_key(|standing| standing.node.id);
    Ok(standings)
}

fn lag(heads: &[u64], seen: &[u64]) -> Option<u64> {
    let has_snapshot = !seen.is_empty();
    has_snapshot.then(|| {
        let behind = heads
            .iter()
            .zip(seen)
            .map(|(head, seen)| head.saturating_sub(*seen));
        behind.fold(0, u64::saturating_add)
    })
}

/// Ends the trust in a node's key, for good.
pub async fn revoke(
    hub: &Hub,
    actor: &Actor,
    id: NodeId,
    reason: &str,
) -> Result<NodeEntity, ActionError> {
    let nodes: Vec<NodeEntity> = kept::list(&*hub.store, "").await?;
    let found = nodes.into_iter().find(|node| node.id == id);
    let key = found
        .ok_or_else(|| ActionError::not_found("node", id))?
        .key();
    for _ in 0..ATTEMPTS_MAX {
        let mut node = kept::load::<NodeEntity>(&*hub.store, &key)
            .await?
            .ok_or_else(|| ActionError::not_found("node", id))?;
        node.value.revoked = true;
        let audit = actor.audit(
            (hub.clock)(),
            "node.revoke",
            id,
            &json!({ "reason": reason }),
        );
        match hub
            .store
            .change_entities(&[node.change()], Some(&audit))
            .await
        {
            Ok(()) => {
                hub.look_for_news().await?;
                return Ok(node.value);
            }
            Err(StoreError::Exists(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(StoreError::Contended.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_is_known_once_there_is_a_snapshot() {
        assert_eq!(lag(&[5, 9], &[]), None);
        assert_eq!(lag(&[5, 9], &[5, 7]), Some(2));
        assert_eq!(lag(&[5], &[6]), Some(0));
    }
}
