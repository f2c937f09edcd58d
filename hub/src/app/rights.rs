//! Rung 1 of the ladder and the upkeep of rights: reserve on the spot, recall, take back what has lapsed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kopilka_crdt::clock::Stamp;
use kopilka_crdt::ids::{Incarnation, MemberId, NodeId, ProgrammeId};
use kopilka_crdt::money::Minor;
use kopilka_protocol::message::{Refusal, Reply, ReserveRequest};
use kopilka_rules::placement::{self, Holder, Reservation};

use super::Hub;
use super::entities::{DeliveryEntity, Kept, NodeEntity};
use crate::store::{Changes, Keys, LogRow, MemberRow, Rows, StoreError};

/// Longest that a reservation may wait for other stores, in milliseconds.
const RESERVE_MS_MAX: u32 = 2_000;
/// Share of the till's deadline that the hub uses, in percent: the answer has to travel.
const DEADLINE_PERCENT: u32 = 70;
/// Members whose rights are looked after in one transaction.
const UPKEEP_MEMBERS_MAX: usize = 256;

impl Hub {
    /// Reserves points for a redemption that waits at one of the node's tills.
    ///
    /// When other stores hold the rights, those that are connected are asked to give them back, within the deadline.
    pub async fn reserve(
        &self,
        node: &NodeEntity,
        request: &ReserveRequest,
    ) -> Result<Reply, StoreError> {
        let wait_ms = u64::from(request.deadline_ms.min(RESERVE_MS_MAX) * DEADLINE_PERCENT / 100);
        let deadline = tokio::time::Instant::now() + Duration::from_millis(wait_ms);
        let mut news = self.news();
        loop {
            let short = match self.try_reserve(node, request).await? {
                Attempt::Granted => break,
                Attempt::Short {
                    available,
                    asked: true,
                } => available,
                Attempt::Short {
                    available,
                    asked: false,
                } => {
                    return self.short(node, request.member, available).await;
                }
                Attempt::Unknown => return Ok(Reply::Refused(Refusal::Busy)),
            };
            self.look_for_news().await?;
            news.mark_unchanged();
            if tokio::time::timeout_at(deadline, news.changed())
                .await
                .is_err()
            {
                return self.short(node, request.member, short).await;
            }
        }
        self.look_for_news().await?;
        let state = self
            .member_state(node, node.incarnation, request.member)
            .await?;
        Ok(state.map_or(Reply::Refused(Refusal::Busy), Reply::Reserved))
    }

    async fn short(
        &self,
        node: &NodeEntity,
        member: MemberId,
        available: Minor,
    ) -> Result<Reply, StoreError> {
        let state = self.member_state(node, node.incarnation, member).await?;
        Ok(
            state.map_or(Reply::Refused(Refusal::Busy), |state| Reply::Short {
                available,
                state,
            }),
        )
    }

    async fn try_reserve(
        &self,
        node: &NodeEntity,
        request: &ReserveRequest,
    ) -> Result<Attempt, StoreError> {
        let Some(rules) = self.current_rules(node.programme).await? else {
            return Ok(Attempt::Unknown);
        };
        let moment = self.moment(&rules);
        let reachable = self.connected_holders(node, request.member).await?;
        let keys = Keys {
            programme: node.programme.0,
            members: vec![request.member],
            nodes: vec![node.id],
            ..Keys::default()
        };
        let mut attempt = Attempt::Unknown;
        let mut decision = |rows: &Rows| {
            let Some(row) = rows.members.get(&request.member) else {
                attempt = Attempt::Unknown;
                return Changes::default();
            };
            let mut member = row.member.clone();
            placement::reclaim(
                &mut member,
                seen_in(&rows.logs, &BTreeMap::from([(node.id, node.incarnation)])),
            );
            let tip = rows
                .logs
                .get(&(node.id, node.incarnation))
                .map(|log| log.tip.stamp);
            let holder = Holder {
                node: node.id,
                incarnation: node.incarnation,
                seen: tip.unwrap_or_default(),
            };
            let reserved = placement::reserve(
                &mut member,
                &rules,
                holder,
                request.account,
                request.amount,
                moment,
            );
            attempt = match reserved {
                Ok(Reservation::Granted(_)) => Attempt::Granted,
                Ok(Reservation::Short { available, .. }) => {
                    let missing = Minor(request.amount.0.saturating_sub(available.0));
                    let own = (node.id, node.incarnation);
                    let admit = |other: NodeId| reachable.contains(&other);
                    let asked =
                        placement::recall(&mut member, request.account, own, missing, admit);
                    Attempt::Short { available, asked }
                }
                Err(_) => Attempt::Unknown,
            };
            changes_if_changed(request.member, row, member)
        };
        self.store.decide(&keys, &mut decision).await?;
        Ok(attempt)
    }

    /// Other nodes that hold rights on a member and were connected when last heard.
    async fn connected_holders(
        &self,
        node: &NodeEntity,
        member: MemberId,
    ) -> Result<BTreeSet<NodeId>, StoreError> {
        let found = self
            .store
            .member(node.programme, member, (node.id, node.incarnation))
            .await?;
        let mut holders: BTreeSet<NodeId> = found
            .iter()
            .flat_map(|(row, _)| row.member.allowances.values())
            .map(|right| right.node)
            .collect();
        holders.remove(&node.id);
        let mut connected = BTreeSet::new();
        for holder in holders {
            let entity = self
                .store
                .entity(DeliveryEntity::KIND, &holder.to_string())
                .await?;
            if let Some(entity) = entity
                && DeliveryEntity::from_body(&entity.body)?.connected
            {
                connected.insert(holder);
            }
        }
        Ok(connected)
    }

    /// Takes back rights whose holders' logs have passed their end. Gives how many members were looked after.
    pub async fn keep_rights(&self, programme: ProgrammeId) -> Result<usize, StoreError> {
        let due = self
            .store
            .members_due(programme, (self.clock)(), UPKEEP_MEMBERS_MAX)
            .await?;
        if due.is_empty() {
            return Ok(0);
        }
        let nodes = self.nodes(programme).await?;
        let current: BTreeMap<NodeId, Incarnation> = nodes
            .iter()
            .map(|node| (node.id, node.incarnation))
            .collect();
        let keys = Keys {
            programme: programme.0,
            members: due.clone(),
            nodes: current.keys().copied().collect(),
            ..Keys::default()
        };
        let retry_ms = (self.clock)().saturating_add(60_000);
        let mut decision = |rows: &Rows| {
            let mut changes = Changes::default();
            for (id, row) in &rows.members {
                let mut member = row.member.clone();
                placement::reclaim(&mut member, seen_in(&rows.logs, &current));
                // What is lapsed but not proven so stays, and is looked at again.
                let due = placement::due_ms(&member).map(|due_ms| due_ms.max(retry_ms));
                changes.members.insert(*id, (member, due));
            }
            changes
        };
        self.store.decide(&keys, &mut decision).await?;
        Ok(due.len())
    }

    /// All nodes of a programme.
    pub async fn nodes(&self, programme: ProgrammeId) -> Result<Vec<NodeEntity>, StoreError> {
        let entities = self.store.entities(NodeEntity::KIND, "").await?;
        let mut nodes = Vec::with_capacity(entities.len());
        for entity in entities {
            let node = NodeEntity::from_body(&entity.body)?;
            if node.programme == programme {
                nodes.push(node);
            }
        }
        Ok(nodes)
    }
}

enum Attempt {
    Granted,
    Short { available: Minor, asked: bool },
    Unknown,
}

/// How far logs have been seen; incarnations that are over count as seen to the end of time.
fn seen_in<'a>(
    logs: &'a BTreeMap<(NodeId, Incarnation), LogRow>,
    current: &'a BTreeMap<NodeId, Incarnation>,
) -> impl Fn(NodeId, Incarnation) -> Option<Stamp> + 'a {
    move |node, incarnation| {
        if current
            .get(&node)
            .is_some_and(|current| incarnation < *current)
        {
            return Some(Stamp(u64::MAX));
        }
        logs.get(&(node, incarnation)).map(|row| row.tip.stamp)
    }
}

fn changes_if_changed(
    id: MemberId,
    row: &MemberRow,
    member: kopilka_crdt::member::Member,
) -> Changes {
    let mut changes = Changes::default();
    if member != row.member {
        let due = placement::due_ms(&member);
        changes.members.insert(id, (member, due));
    }
    changes
}
