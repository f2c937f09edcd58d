//! Segments: runs of a log under one signature, and what a reader checks before it believes them.

use ed25519_dalek::SigningKey;
use kopilka_crdt::clock::Stamp;
use kopilka_crdt::ids::{Incarnation, NodeId, OperationId};
use kopilka_crdt::log::{EntryError, Head, Tip};
use kopilka_crdt::operation::Body;
use serde::{Deserialize, Serialize};

use crate::key::{Domain, PublicKey, SignatureBytes, sign};
use crate::limits::{SEGMENT_BYTES_MAX, SEGMENT_OPERATIONS_MAX};

/// A node's signature over its log up to some entry. One is made for each group commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// Where the log stood.
    pub tip: Tip,
    /// Over [`seal_hash`].
    pub signature: SignatureBytes,
}

/// What a seal signs: whose log, which life of it, and where it stands.
pub fn seal_hash(node: NodeId, incarnation: Incarnation, tip: &Tip) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("kopilka 2026 log seal");
    hasher.update(&node.0.to_le_bytes());
    hasher.update(&incarnation.0.to_le_bytes());
    hasher.update(&tip.sequence.to_le_bytes());
    hasher.update(&tip.stamp.0.to_le_bytes());
    hasher.update(&tip.head.0);
    *hasher.finalize().as_bytes()
}

impl Seal {
    /// Signs a tip of the signer's own log.
    pub fn sign(key: &SigningKey, node: NodeId, incarnation: Incarnation, tip: Tip) -> Self {
        Self {
            tip,
            signature: sign(key, Domain::Log, &seal_hash(node, incarnation, &tip)),
        }
    }
}

/// A run of one log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Whose log.
    pub node: NodeId,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// Where the log stood before the first entry.
    pub base: Tip,
    /// Encoded entries, in order.
    pub entries: Vec<Vec<u8>>,
    /// The node's signature over the log up to the last entry.
    pub signature: SignatureBytes,
}

/// Why a segment is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    /// No entries, or more than a segment may carry.
    #[error("a segment carries 1 to 1024 operations in at most 512 KiB")]
    Size,
    /// An entry cannot be read.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// The signature is not the node's over these entries after this base.
    #[error("the segment's signature does not verify")]
    Signature,
}

/// One believed operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Its identifier.
    pub id: OperationId,
    /// Its stamp.
    pub stamp: Stamp,
    /// What it says.
    pub body: Body,
    /// Its bytes, as they were signed.
    pub bytes: Vec<u8>,
    /// The log's head after it.
    pub head: Head,
}

/// A segment whose chain and signature hold. Whether its base is the log that one knows is the reader's to check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Whose log.
    pub node: NodeId,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// Where the log stood before.
    pub base: Tip,
    /// The operations, in order.
    pub operations: Vec<Received>,
    /// The seal over the last of them.
    pub seal: Seal,
}

impl Segment {
    /// Follows the chain and checks the signature, once for all entries.
    pub fn verify(self, key: &PublicKey) -> Result<Verified, SegmentError> {
        let bytes: usize = self.entries.iter().map(Vec::len).sum();
        if self.entries.is_empty()
            || self.entries.len() > SEGMENT_OPERATIONS_MAX
            || bytes > SEGMENT_BYTES_MAX
        {
            return Err(SegmentError::Size);
        }
        let mut tip = self.base;
        let mut operations = Vec::with_capacity(self.entries.len());
        for bytes in self.entries {
            let (next, stamp, body) = tip.follow(&bytes)?;
            let id = OperationId {
                node: self.node,
                incarnation: self.incarnation,
                sequence: next.sequence,
            };
            operations.push(Received {
                id,
                stamp,
                body,
                bytes,
                head: next.head,
            });
            tip = next;
        }
        key.verify(
            Domain::Log,
            &seal_hash(self.node, self.incarnation, &tip),
            &self.signature,
        )
        .map_err(|_| SegmentError::Signature)?;
        let seal = Seal {
            tip,
            signature: self.signature,
        };
        Ok(Verified {
            node: self.node,
            incarnation: self.incarnation,
            base: self.base,
            operations,
            seal,
        })
    }
}

/// Two signed heads of one log at one sequence that differ: proof that its key wrote two histories.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForkProof {
    /// Whose log.
    pub node: NodeId,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// The segment that was counted, or the part of it that reaches the first difference.
    pub first: Segment,
    /// The segment that contradicts it.
    pub second: Segment,
}

impl ForkProof {
    /// Whether both segments are the node's and disagree about some entry that both cover.
    pub fn holds(&self, key: &PublicKey) -> bool {
        let same_log = |segment: &Segment| {
            segment.node == self.node && segment.incarnation == self.incarnation
        };
        if !same_log(&self.first) || !same_log(&self.second) {
            return false;
        }
        let (Ok(first), Ok(second)) = (
            self.first.clone().verify(key),
            self.second.clone().verify(key),
        ) else {
            return false;
        };
        first.operations.iter().any(|one| {
            second
                .operations
                .iter()
                .any(|two| one.id == two.id && one.head != two.head)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kopilka_crdt::log::Log;
    use kopilka_crdt::operation::ClockMark;

    fn segment(key: &SigningKey, marks: &[u64]) -> Segment {
        let (node, incarnation) = (NodeId(1), Incarnation(1));
        let base = Tip::genesis(node, incarnation);
        let mut log = Log::resume(node, incarnation, base, Stamp::default());
        let mut append = |behind_ms: &u64| {
            let body = Body::ClockMark(ClockMark {
                trusted: true,
                behind_ms: *behind_ms,
            });
            log.append(1_000, &body).unwrap().bytes
        };
        let entries: Vec<_> = marks.iter().map(&mut append).collect();
        let signature = Seal::sign(key, node, incarnation, log.tip()).signature;
        Segment {
            node,
            incarnation,
            base,
            entries,
            signature,
        }
    }

    #[test]
    fn only_the_nodes_own_bytes_in_their_order_verify() {
        let key = SigningKey::from_bytes(&[3; 32]);
        let public = PublicKey::of(&key);
        let good = segment(&key, &[1, 2, 3]);
        assert_eq!(good.clone().verify(&public).unwrap().operations.len(), 3);
        let stranger = PublicKey::of(&SigningKey::from_bytes(&[4; 32]));
        assert_eq!(good.clone().verify(&stranger), Err(SegmentError::Signature));
        for spoil in [
            |segment: &mut Segment| segment.entries.swap(0, 2),
            |segment: &mut Segment| segment.entries.truncate(2),
            |segment: &mut Segment| segment.base.sequence = 1,
            |segment: &mut Segment| segment.base.stamp = Stamp(1),
            |segment: &mut Segment| segment.base.head = Head([0; 32]),
            |segment: &mut Segment| segment.node = NodeId(2),
            |segment: &mut Segment| segment.incarnation = Incarnation(2),
        ] {
            let mut bad = good.clone();
            spoil(&mut bad);
            assert_eq!(bad.verify(&public), Err(SegmentError::Signature));
        }
        let empty = Segment {
            entries: vec![],
            ..good
        };
        assert_eq!(empty.verify(&public), Err(SegmentError::Size));
    }

    #[test]
    fn two_histories_of_one_log_prove_a_fork() {
        let key = SigningKey::from_bytes(&[3; 32]);
        let public = PublicKey::of(&key);
        let proof = |second| ForkProof {
            node: NodeId(1),
            incarnation: Incarnation(1),
            first: segment(&key, &[1, 2, 3]),
            second,
        };
        assert!(proof(segment(&key, &[1, 9])).holds(&public));
        assert!(!proof(segment(&key, &[1, 2])).holds(&public));
        assert!(!proof(segment(&SigningKey::from_bytes(&[4; 32]), &[1, 9])).holds(&public));
    }
}
