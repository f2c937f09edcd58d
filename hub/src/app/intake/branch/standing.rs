//! How much of a branch the hub has already, and under which names.

use std::collections::BTreeMap;

use kopilka_crdt::ids::{Incarnation, NodeId};
use kopilka_protocol::message::Adoption;
use kopilka_protocol::segment::Received;

use crate::app::Hub;
use crate::store::{LogRow, StoreError};

/// What the hub has of a branch.
pub(super) struct Standing {
    /// Operations at its start that the hub has under the branch's own name.
    pub shared: usize,
    /// Operations at its start that the hub has at all.
    pub done: usize,
    /// Where they are counted that were taken over before, in order of their first sequence.
    pub parts: Vec<Adoption>,
    /// An adopted log ends exactly where the hub's knowledge of the branch does: it can be gone on with.
    pub goes_on: bool,
}

impl Standing {
    pub(super) async fn of(
        hub: &Hub,
        log: (NodeId, Incarnation),
        operations: &[&Received],
        logs: &BTreeMap<Incarnation, LogRow>,
    ) -> Result<Self, StoreError> {
        let shared = shared_with(hub, log, operations).await?;
        let mut standing = Self {
            shared,
            done: shared,
            parts: Vec::new(),
            goes_on: false,
        };
        for (incarnation, row) in logs.iter().filter(|(number, _)| number.is_adopted()) {
            standing
                .compare((log.0, *incarnation), row, operations, hub)
                .await?;
        }
        standing.parts.sort_by_key(|part| part.from_sequence);
        Ok(standing)
    }

    async fn compare(
        &mut self,
        adopted: (NodeId, Incarnation),
        row: &LogRow,
        operations: &[&Received],
        hub: &Hub,
    ) -> Result<(), StoreError> {
        let first = hub
            .store
            .operations_between(adopted, 0, row.tip.sequence, 1)
            .await?;
        let Some(from_sequence) = first.first().map(|first| first.id.sequence) else {
            return Ok(());
        };
        let start = operations.partition_point(|operation| operation.id.sequence < from_sequence);
        let count = shared_with(hub, adopted, &operations[start..]).await?;
        let end = start.saturating_add(count);
        if count == 0 {
            return Ok(());
        }
        self.parts.push(Adoption {
            from_sequence,
            incarnation: adopted.1,
        });
        if end > self.done {
            self.done = end;
            self.goes_on = operations[end - 1].head == row.tip.head;
        }
        Ok(())
    }
}

/// How many operations at the start of a branch are in a stored log. Heads are chained: who shares one shares all
/// before it.
async fn shared_with(
    hub: &Hub,
    log: (NodeId, Incarnation),
    operations: &[&Received],
) -> Result<usize, StoreError> {
    let (mut shared, mut unknown) = (0, operations.len());
    while shared < unknown {
        let count = shared + (unknown - shared).div_ceil(2);
        let operation = operations[count - 1];
        let sequence = operation.id.sequence;
        let stored = hub
            .store
            .operations_between(log, sequence.saturating_sub(1), sequence, 1)
            .await?;
        if stored
            .first()
            .is_some_and(|stored| stored.head == operation.head.0[..16])
        {
            shared = count;
        } else {
            unknown = count - 1;
        }
    }
    Ok(shared)
}
