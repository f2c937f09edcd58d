//! What the sync loop sends: runs of the own log that end at a seal, with the keys that travel beside them.

use kopilka_crdt::ids::MemberId;
use kopilka_crdt::log::Tip;
use kopilka_crdt::operation::Body;
use kopilka_crdt::sealed::MemberKey;
use kopilka_protocol::limits::{SEGMENT_BYTES_MAX, SEGMENT_OPERATIONS_MAX};
use kopilka_protocol::segment::{Seal, Segment};

use crate::identity::Identity;
use crate::store::Table;

use super::error::AppError;
use super::keys;
use super::own_log::tip_of;
use super::records::{LogEntry, SyncRecord, decode};
use super::rows::Rows;

/// A run of the log, ready to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The run.
    pub segment: Segment,
    /// Keys of members whose sealed data are in it.
    pub keys: Vec<(MemberId, MemberKey)>,
    /// Where the log stood after it: the base of the next one.
    pub tip: Tip,
}

/// Up to where the own log is gone from the disk.
pub(super) fn pruned(rows: &Rows, identity: &Identity) -> Result<Tip, AppError> {
    let sync: SyncRecord = rows.read(Table::Meta, keys::SYNC)?.unwrap_or_default();
    let genesis = Tip::genesis(identity.node, identity.incarnation);
    Ok(sync.pruned.unwrap_or(genesis))
}

/// Where the log stood after a sequence; none when that is pruned or not written yet.
pub(super) fn tip_at(
    rows: &Rows,
    identity: &Identity,
    sequence: u64,
) -> Result<Option<Tip>, AppError> {
    let pruned = pruned(rows, identity)?;
    if sequence == pruned.sequence {
        return Ok(Some(pruned));
    }
    let key = keys::log(identity.incarnation, sequence);
    let entry: Option<LogEntry> = rows.read(Table::Log, &key)?;
    Ok(entry.map(|entry| Tip {
        sequence,
        head: entry.head,
        stamp: entry.stamp,
    }))
}

/// The longest run after `base` that fits a segment; none when there is nothing after it.
pub(super) fn after(
    rows: &Rows,
    identity: &Identity,
    base: Tip,
) -> Result<Option<Outgoing>, AppError> {
    let incarnation = identity.incarnation;
    let start = keys::log(incarnation, base.sequence.saturating_add(1));
    let end = keys::log(incarnation, u64::MAX);
    let stored = rows.scan(Table::Log, &start, Some(&end), SEGMENT_OPERATIONS_MAX)?;
    let mut entries = Vec::new();
    let mut bytes_sum = 0_usize;
    for (key, bytes) in stored {
        let (tip, entry) = tip_of(&key, &bytes)?;
        bytes_sum = bytes_sum.saturating_add(entry.bytes.len());
        if bytes_sum > SEGMENT_BYTES_MAX {
            break;
        }
        entries.push((tip, entry));
    }
    let Some((last, _)) = entries.last() else {
        return Ok(None);
    };
    // The writer sets seals so close that one lies within any full run.
    let end = keys::log(incarnation, last.sequence.saturating_add(1));
    let seals = rows.scan(Table::Seals, &start, Some(&end), SEGMENT_OPERATIONS_MAX)?;
    let Some((_, seal)) = seals.last() else {
        return Ok(None);
    };
    let seal: Seal = decode(seal)?;
    entries.retain(|(tip, _)| tip.sequence <= seal.tip.sequence);
    let mut member_keys = Vec::new();
    for (_, entry) in &entries {
        if let Body::Enrol(_) | Body::Profile(_) = entry.body()? {
            member_keys.extend(key_for(rows, &entry.body()?)?);
        }
    }
    member_keys.sort_unstable_by_key(|(member, _)| *member);
    member_keys.dedup();
    Ok(Some(Outgoing {
        segment: Segment {
            node: identity.node,
            incarnation,
            base,
            entries: entries.into_iter().map(|(_, entry)| entry.bytes).collect(),
            signature: seal.signature,
        },
        keys: member_keys,
        tip: seal.tip,
    }))
}

fn key_for(rows: &Rows, body: &Body) -> Result<Option<(MemberId, MemberKey)>, AppError> {
    let Some(member) = body.member() else {
        return Ok(None);
    };
    let key = rows.read(Table::Keys, &keys::member(member))?;
    Ok(key.map(|key| (member, key)))
}
