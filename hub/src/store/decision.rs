//! What both engines make of a decision before they write it.

use std::collections::{BTreeMap, BTreeSet};

use kopilka_crdt::identifier::IdentifierHash;
use kopilka_crdt::ids::{MemberId, NodeId};
use kopilka_crdt::log::Tip;

use super::columns::{column, field_column};
use super::rows::{Changes, EntityChange, EntityKind, Keys, LogRow, ProfileRow, Rows};
use super::{DECISION_ROWS_MAX, StoreError};

/// A member's row as it will be stored.
pub(super) struct MemberWrite {
    pub(super) id: i64,
    pub(super) partition: u16,
    pub(super) due_ms: Option<i64>,
    pub(super) record: Vec<u8>,
    pub(super) identifiers: Vec<u8>,
    pub(super) is_new: bool,
}

/// Refuses decisions that would load too much.
pub(super) fn check_size(keys: &Keys) -> Result<(), StoreError> {
    let rows = keys.members.len()
        + keys.receipts.len()
        + keys.identifiers.len()
        + keys.nodes.len()
        + keys.operations.len()
        + keys.reversals_of.len();
    if rows > DECISION_ROWS_MAX {
        return Err(StoreError::TooLarge);
    }
    Ok(())
}

/// A row that was not loaded is not locked either: to change it would lose what others did to it.
pub(super) fn assert_loaded(keys: &Keys, changes: &Changes) {
    let members: BTreeSet<MemberId> = keys.members.iter().copied().collect();
    let nodes: BTreeSet<NodeId> = keys.nodes.iter().copied().collect();
    let receipts: BTreeSet<_> = keys.receipts.iter().copied().collect();
    let identifiers: BTreeSet<IdentifierHash> = keys.identifiers.iter().copied().collect();
    assert!(
        changes.members.keys().all(|id| members.contains(id)),
        "a decision changes members that it loaded"
    );
    assert!(
        changes.logs.iter().all(|(node, ..)| nodes.contains(node)),
        "a decision moves logs that it loaded"
    );
    assert!(
        changes
            .receipts
            .iter()
            .all(|(key, _)| receipts.contains(key)),
        "a decision counts receipts that it looked up"
    );
    let is_bound_well = |(hash, _, member): &(IdentifierHash, _, MemberId)| {
        identifiers.contains(hash) && changes.members.contains_key(member)
    };
    assert!(
        changes.identifiers.iter().all(is_bound_well),
        "a decision binds identifiers that it looked up to members that it changes"
    );
    assert!(
        changes
            .erased
            .keys()
            .all(|member| changes.members.contains_key(member)),
        "a decision erases what is personal of members that it changes"
    );
    assert!(
        keys.counters || (changes.blocks.is_empty() && changes.hub_log.is_none()),
        "a decision that numbers something locked the counters"
    );
}

/// Members as they will be stored, in order of identifier.
pub(super) fn member_writes(
    rows: &Rows,
    changes: &Changes,
    partitions: u16,
) -> Result<Vec<MemberWrite>, StoreError> {
    let mut bound: BTreeMap<MemberId, Vec<IdentifierHash>> = BTreeMap::new();
    for (hash, _, member) in &changes.identifiers {
        bound.entry(*member).or_default().push(*hash);
    }
    let write = |(id, (member, due_ms)): (&MemberId, &(_, Option<u64>))| {
        let member: &kopilka_crdt::member::Member = member;
        let stored = rows.members.get(id);
        let known = stored.map(|row| row.identifiers.as_slice());
        let lost = changes.erased.get(id).map_or(&[][..], Vec::as_slice);
        let hashes: BTreeSet<&IdentifierHash> = known
            .unwrap_or_default()
            .iter()
            .chain(bound.get(id).into_iter().flatten())
            .filter(|hash| !lost.contains(hash))
            .collect();
        Ok(MemberWrite {
            id: column(id.0, "member identifier")?,
            partition: id.partition(partitions),
            due_ms: due_ms.map(|ms| column(ms, "time")).transpose()?,
            record: member.encode(),
            identifiers: hashes.into_iter().flat_map(|hash| hash.0).collect(),
            is_new: stored.is_none(),
        })
    };
    changes.members.iter().map(write).collect()
}

/// How many members of each partition change, in ascending order of partition.
pub(super) fn counts_by_partition(writes: &[MemberWrite]) -> BTreeMap<u16, i64> {
    let mut counts = BTreeMap::new();
    for write in writes {
        *counts.entry(write.partition).or_insert(0) += 1;
    }
    counts
}

/// The latest writing of each field, since one statement cannot write a row twice.
pub(super) fn latest_profiles(profiles: &[ProfileRow]) -> Vec<&ProfileRow> {
    let mut latest: BTreeMap<_, &ProfileRow> = BTreeMap::new();
    for row in profiles {
        let kept = latest
            .entry((row.member, field_column(&row.field)))
            .or_insert(row);
        if row.written > kept.written {
            *kept = row;
        }
    }
    latest.into_values().collect()
}

/// Whether anybody waits for such a change: what changes all the time is nobody's news.
pub(super) fn is_news(changes: &[EntityChange]) -> bool {
    changes.iter().any(|change| match change.kind {
        EntityKind::Session | EntityKind::Delivery | EntityKind::Attempts => false,
        EntityKind::Programme
        | EntityKind::Partner
        | EntityKind::Store
        | EntityKind::Node
        | EntityKind::Till
        | EntityKind::Cashier
        | EntityKind::Staff
        | EntityKind::Code
        | EntityKind::RuleBook
        | EntityKind::Publication => true,
    })
}

/// The number that a programme's last block order has after a decision.
pub(super) fn block_last(changes: &Changes) -> Result<Option<i64>, StoreError> {
    let last = changes.blocks.iter().map(|block| block.number).max();
    last.map(|number| column(number, "block order")).transpose()
}

/// The row of the hub's own log: nobody else writes it, so it needs no seal and is never frozen.
pub(super) fn hub_log_row(tip: Tip) -> LogRow {
    LogRow {
        tip,
        seal_signature: Vec::new(),
        frozen: false,
    }
}
