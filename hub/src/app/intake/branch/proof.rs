//! A fork shown: both branches as their node signed them.

use kopilka_crdt::log::Tip;
use kopilka_protocol::key::SignatureBytes;
use kopilka_protocol::segment::{ForkProof, Segment, Verified};

use crate::store::{LogRow, OperationRow};

/// Both branches as signed segments that start where they part; empty when the hub's branch ends there.
pub(super) fn proof(
    runs: &[Verified],
    shared: usize,
    stored: &[OperationRow],
    row: Option<&LogRow>,
) -> Vec<u8> {
    let Some(base) = tip_before(runs, shared) else {
        return Vec::new();
    };
    let signature = row.and_then(|row| <[u8; 64]>::try_from(row.seal_signature.as_slice()).ok());
    let (Some(signature), Some(last)) = (signature, runs.last()) else {
        return Vec::new();
    };
    let (node, incarnation) = (last.node, last.incarnation);
    let segment = |entries: Vec<Vec<u8>>, signature| Segment {
        node,
        incarnation,
        base,
        entries,
        signature,
    };
    let ours = stored.iter().map(|stored| stored.bytes.clone()).collect();
    let theirs = runs.iter().flat_map(|run| &run.operations).skip(shared);
    let proof = ForkProof {
        node,
        incarnation,
        first: segment(ours, SignatureBytes(signature)),
        second: segment(
            theirs.map(|operation| operation.bytes.clone()).collect(),
            last.seal.signature,
        ),
    };
    postcard::to_stdvec(&proof).unwrap_or_default()
}

/// The log's tip before the operation with this index over all runs.
pub(super) fn tip_before(runs: &[Verified], index: usize) -> Option<Tip> {
    let first = runs.first()?;
    match index.checked_sub(1) {
        None => Some(first.base),
        Some(before) => runs
            .iter()
            .flat_map(|run| &run.operations)
            .nth(before)
            .map(|operation| Tip {
                sequence: operation.id.sequence,
                head: operation.head,
                stamp: operation.stamp,
            }),
    }
}
