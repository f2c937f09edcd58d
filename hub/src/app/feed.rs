//! The feed and its relatives: what nodes are told of members, in batches, pages, or one at a time.

use kopilka_crdt::identifier::IdentifierHash;
use kopilka_crdt::ids::{Incarnation, MemberId};
use kopilka_crdt::log::Tip;
use kopilka_crdt::member::Member;
use kopilka_protocol::limits::{FEED_MEMBERS_MAX, FRAME_BYTES_MAX, SNAPSHOT_MEMBERS_MAX};
use kopilka_protocol::message::{AppliedLog, FeedBatch, FeedMember, MemberState, Scope};
use kopilka_protocol::snapshot::{PageError, SignedPage};

use super::Hub;
use super::entities::NodeEntity;
use crate::store::{FeedRow, StoreError};

/// Bytes of records that fit a frame with room for the rest of it.
const BATCH_BYTES_MAX: usize = FRAME_BYTES_MAX / 2;

fn feed_member(node: &NodeEntity, id: MemberId, row: FeedRow) -> Result<FeedMember, StoreError> {
    let record = if row.has_rights {
        let member = Member::decode(&row.record).map_err(|_| StoreError::Damaged("member"))?;
        member.for_node(node.id).encode()
    } else {
        row.record
    };
    Ok(FeedMember {
        id,
        scope: Scope::Programme,
        identifiers: row.identifiers,
        record,
    })
}

fn applied(incarnation: Incarnation, tip: Option<Tip>) -> AppliedLog {
    AppliedLog {
        incarnation,
        sequence: tip.map_or(0, |tip| tip.sequence),
    }
}

/// As many members as fit a frame, the position of the last, and whether that was all.
fn fitting(
    node: &NodeEntity,
    rows: Vec<(MemberId, FeedRow)>,
) -> Result<(Vec<FeedMember>, Option<u64>, bool), StoreError> {
    let mut bytes = 0;
    let mut last = None;
    let mut members = Vec::with_capacity(rows.len());
    for (id, row) in rows {
        let position = row.position;
        let member = feed_member(node, id, row)?;
        bytes += member.record.len() + 16 * member.identifiers.len() + 32;
        if bytes > BATCH_BYTES_MAX && !members.is_empty() {
            return Ok((members, last, false));
        }
        members.push(member);
        last = Some(position);
    }
    Ok((members, last, true))
}

impl Hub {
    /// What changed in a partition after a position, for one node.
    pub async fn feed_batch(
        &self,
        node: &NodeEntity,
        incarnation: Incarnation,
        partition: u16,
        after: u64,
    ) -> Result<FeedBatch, StoreError> {
        let log = (node.id, incarnation);
        let page = self
            .store
            .feed(node.programme, partition, after, FEED_MEMBERS_MAX, log)
            .await?;
        let (members, last, all) = fitting(node, page.members)?;
        let upto = last.unwrap_or(page.head).max(after);
        let caught_up = all && upto >= page.head;
        let applied = applied(incarnation, page.applied);
        Ok(FeedBatch {
            partition,
            after,
            upto,
            applied,
            caught_up,
            members,
        })
    }

    /// A signed page of a partition's members after one of them, for one node.
    pub async fn snapshot_page(
        &self,
        node: &NodeEntity,
        partition: u16,
        after: Option<MemberId>,
    ) -> Result<SignedPage, SnapshotError> {
        let log = (node.id, node.incarnation);
        let mut limit = SNAPSHOT_MEMBERS_MAX;
        loop {
            let page = self
                .store
                .snapshot(node.programme, partition, after, limit, log)
                .await?;
            let members = page
                .members
                .into_iter()
                .map(|(id, row)| feed_member(node, id, row))
                .collect::<Result<Vec<_>, _>>()?;
            let last = members.len() < limit;
            let applied = applied(node.incarnation, page.applied);
            let batch = FeedBatch {
                partition,
                after: 0,
                upto: 0,
                applied,
                caught_up: false,
                members,
            };
            match SignedPage::pack(&self.key, node.programme, &batch, last) {
                Err(PageError::TooLarge) if limit > 1 => limit /= 4,
                result => return Ok(result?),
            }
        }
    }

    /// One member as of now, for one node.
    pub async fn member_state(
        &self,
        node: &NodeEntity,
        incarnation: Incarnation,
        member: MemberId,
    ) -> Result<Option<MemberState>, StoreError> {
        let found = self
            .store
            .member(node.programme, member, (node.id, incarnation))
            .await?;
        Ok(found.map(|(row, tip)| MemberState {
            position: row.position,
            applied: applied(incarnation, tip),
            member: FeedMember {
                id: member,
                scope: Scope::Programme,
                identifiers: row.identifiers,
                record: row.member.for_node(node.id).encode(),
            },
        }))
    }

    /// The member behind an identifier, for one node.
    pub async fn find_for(
        &self,
        node: &NodeEntity,
        hash: IdentifierHash,
    ) -> Result<Option<MemberState>, StoreError> {
        match self.store.find(node.programme, hash).await? {
            Some(member) => self.member_state(node, node.incarnation, member).await,
            None => Ok(None),
        }
    }
}

/// Why a page could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// One member alone does not fit a page.
    #[error(transparent)]
    Page(#[from] PageError),
}
