//! Logs: each node's hash-chained sequence of entries, where it stands, and how far others have seen it.
//!
//! An entry's bytes are a version, the distance of its stamp from the one before it, and its body (postcard). The
//! head after entry *n* is `BLAKE3(head after n-1 ‖ bytes of n)`, so one signature over a head covers all before it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::{HybridClock, Stamp};
use crate::ids::{Incarnation, NodeId, OperationId};
use crate::operation::Body;

/// The version that entries are written in.
pub const ENTRY_VERSION: u8 = 1;
/// Largest encoded entry: a receipt of 1,000 lines fits.
pub const ENTRY_BYTES_MAX: usize = 256 * 1024;

/// Bytes that are not an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Longer than [`ENTRY_BYTES_MAX`].
    #[error("the log entry is too large")]
    TooLarge,
    /// A version that this program does not know.
    #[error("the log entry has version {0}; this program reads version 1")]
    Version(u8),
    /// Not an operation.
    #[error("the log entry is malformed")]
    Malformed,
}

/// The hash over a log up to some entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Head(pub [u8; 32]);

impl Head {
    /// The head of an empty log, different for each incarnation of each node.
    pub fn genesis(node: NodeId, incarnation: Incarnation) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("kopilka 2026 log genesis");
        hasher.update(&node.0.to_le_bytes());
        hasher.update(&incarnation.0.to_le_bytes());
        Self(*hasher.finalize().as_bytes())
    }

    /// The head after one more entry.
    pub fn then(&self, entry: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0);
        hasher.update(entry);
        Self(*hasher.finalize().as_bytes())
    }
}

impl std::fmt::Debug for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Head({:02x}{:02x}{:02x}{:02x}…)",
            self.0[0], self.0[1], self.0[2], self.0[3]
        )
    }
}

/// Where a log stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tip {
    /// Sequence of the last entry; 0 when there is none.
    pub sequence: u64,
    /// Head after it.
    pub head: Head,
    /// Its stamp.
    pub stamp: Stamp,
}

impl Tip {
    /// The tip of an empty log.
    pub fn genesis(node: NodeId, incarnation: Incarnation) -> Self {
        Self {
            sequence: 0,
            head: Head::genesis(node, incarnation),
            stamp: Stamp::default(),
        }
    }

    /// Follows one entry: its decoded form, and the tip after it.
    pub fn follow(&self, entry: &[u8]) -> Result<(Self, Stamp, Body), EntryError> {
        let (delta, body) = decode_entry(entry)?;
        let stamp = Stamp(
            self.stamp
                .0
                .checked_add(delta)
                .ok_or(EntryError::Malformed)?,
        );
        let sequence = self.sequence.checked_add(1).ok_or(EntryError::Malformed)?;
        Ok((
            Self {
                sequence,
                head: self.head.then(entry),
                stamp,
            },
            stamp,
            body,
        ))
    }
}

/// Reads an entry: the distance of its stamp from the one before it, and its body.
pub fn decode_entry(entry: &[u8]) -> Result<(u64, Body), EntryError> {
    if entry.len() > ENTRY_BYTES_MAX {
        return Err(EntryError::TooLarge);
    }
    match entry.split_first() {
        Some((&ENTRY_VERSION, rest)) => {
            let (decoded, tail) = postcard::take_from_bytes::<(u64, Body)>(rest)
                .map_err(|_| EntryError::Malformed)?;
            if tail.is_empty() {
                Ok(decoded)
            } else {
                Err(EntryError::Malformed)
            }
        }
        Some((&version, _)) => Err(EntryError::Version(version)),
        None => Err(EntryError::Malformed),
    }
}

/// A log that its own node appends to.
#[derive(Debug, Clone)]
pub struct Log {
    node: NodeId,
    incarnation: Incarnation,
    tip: Tip,
    clock: HybridClock,
}

/// An entry just appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// Its identifier.
    pub id: OperationId,
    /// Its stamp.
    pub stamp: Stamp,
    /// Its encoded bytes.
    pub bytes: Vec<u8>,
}

impl Log {
    /// Goes on after `tip`; stamps will be later than both `tip` and `clock_floor`.
    pub fn resume(node: NodeId, incarnation: Incarnation, tip: Tip, clock_floor: Stamp) -> Self {
        Self {
            node,
            incarnation,
            tip,
            clock: HybridClock::resume(tip.stamp.max(clock_floor)),
        }
    }

    /// Appends one operation, stamped by a wall reading of `now_ms`.
    pub fn append(&mut self, now_ms: u64, body: &Body) -> Result<Appended, EntryError> {
        let mut clock = self.clock;
        let stamp = clock.tick(now_ms);
        let delta = stamp
            .0
            .checked_sub(self.tip.stamp.0)
            .ok_or(EntryError::Malformed)?;
        let bytes = postcard::to_extend(&(delta, body), vec![ENTRY_VERSION])
            .expect("an operation encodes: all its types are plain data");
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(EntryError::TooLarge);
        }
        let sequence = self
            .tip
            .sequence
            .checked_add(1)
            .ok_or(EntryError::Malformed)?;
        self.clock = clock;
        self.tip = Tip {
            sequence,
            head: self.tip.head.then(&bytes),
            stamp,
        };
        let id = OperationId {
            node: self.node,
            incarnation: self.incarnation,
            sequence,
        };
        Ok(Appended { id, stamp, bytes })
    }

    /// Where it stands.
    pub fn tip(&self) -> Tip {
        self.tip
    }

    /// The node that writes it.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// The incarnation that it belongs to.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// By how many milliseconds a wall reading lies behind the stamps already given.
    pub fn behind_ms(&self, now_ms: u64) -> u64 {
        self.clock.behind_ms(now_ms)
    }
}

/// What has been seen of every log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Frontier(pub BTreeMap<(NodeId, Incarnation), Tip>);

impl Frontier {
    /// Whether an operation lies within what has been seen.
    pub fn holds(&self, id: OperationId) -> bool {
        self.0
            .get(&(id.node, id.incarnation))
            .is_some_and(|tip| id.sequence <= tip.sequence)
    }

    /// Notes a tip, unless a later one of that log is known.
    pub fn advance(&mut self, node: NodeId, incarnation: Incarnation, tip: Tip) {
        let known = self.0.entry((node, incarnation)).or_insert(tip);
        if tip.sequence > known.sequence {
            *known = tip;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::ClockMark;

    fn mark(behind_ms: u64) -> Body {
        Body::ClockMark(ClockMark {
            trusted: true,
            behind_ms,
        })
    }

    #[test]
    fn a_reader_follows_what_a_writer_appends() {
        let (node, incarnation) = (NodeId(7), Incarnation(2));
        let genesis = Tip::genesis(node, incarnation);
        let mut log = Log::resume(node, incarnation, genesis, Stamp::default());
        let mut seen = genesis;
        for step in [5_000, 4_000, 9_000] {
            let appended = log.append(step, &mark(step)).unwrap();
            let (tip, stamp, body) = seen.follow(&appended.bytes).unwrap();
            assert_eq!((stamp, body), (appended.stamp, mark(step)));
            assert_eq!(appended.id.sequence, tip.sequence);
            seen = tip;
        }
        assert_eq!(seen, log.tip());
    }

    #[test]
    fn foreign_bytes_are_refused() {
        let tip = Tip::genesis(NodeId(1), Incarnation(1));
        assert_eq!(tip.follow(&[]), Err(EntryError::Malformed));
        assert_eq!(tip.follow(&[2, 0, 0]), Err(EntryError::Version(2)));
        assert_eq!(tip.follow(&[1, 0, 200]), Err(EntryError::Malformed));
        assert_eq!(
            tip.follow(&vec![1; ENTRY_BYTES_MAX + 1]),
            Err(EntryError::TooLarge)
        );
        let mut log = Log::resume(NodeId(1), Incarnation(1), tip, Stamp::default());
        let mut padded = log.append(1, &mark(0)).unwrap().bytes;
        padded.push(0);
        assert_eq!(tip.follow(&padded), Err(EntryError::Malformed));
    }

    #[test]
    fn incarnations_start_apart() {
        let one = Head::genesis(NodeId(1), Incarnation(1));
        assert_ne!(one, Head::genesis(NodeId(1), Incarnation(2)));
        assert_ne!(one, Head::genesis(NodeId(2), Incarnation(1)));
    }
}
