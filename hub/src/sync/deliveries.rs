//! Notes what nodes have on disk, many at a time: a block order to a thousand nodes is acknowledged a thousand times.

use std::collections::BTreeMap;
use std::time::Duration;

use kopilka_crdt::ids::NodeId;
use tokio::sync::{mpsc, oneshot};

use crate::app::Hub;
use crate::app::entities::{DeliveryEntity, Kept};
use crate::store::EntityChange;

/// Notes that wait to be written.
const QUEUE_MAX: usize = 4_096;
/// How long notes are gathered.
const GATHER: Duration = Duration::from_millis(50);

enum Note {
    Seen(DeliveryEntity),
    Flush(oneshot::Sender<()>),
}

#[derive(Clone)]
pub(super) struct Deliveries {
    notes: mpsc::Sender<Note>,
}

impl Deliveries {
    pub(super) fn start(hub: Hub) -> Self {
        let (notes, queue) = mpsc::channel(QUEUE_MAX);
        tokio::spawn(write(hub, queue));
        Self { notes }
    }

    /// Notes what a node has; of several notes about a node the last counts.
    pub(super) async fn note(&self, delivery: DeliveryEntity) {
        // The task ends only with the process.
        let _ = self.notes.send(Note::Seen(delivery)).await;
    }

    /// Returns once everything noted so far is written.
    pub(super) async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.notes.send(Note::Flush(done)).await.is_ok() {
            let _ = written.await;
        }
    }
}

async fn write(hub: Hub, mut queue: mpsc::Receiver<Note>) {
    let mut waiting = BTreeMap::<NodeId, DeliveryEntity>::new();
    let mut flushes = Vec::new();
    while let Some(first) = queue.recv().await {
        sort_in(first, &mut waiting, &mut flushes);
        if flushes.is_empty() {
            tokio::time::sleep(GATHER).await;
        }
        while waiting.len() < QUEUE_MAX {
            let Ok(note) = queue.try_recv() else { break };
            sort_in(note, &mut waiting, &mut flushes);
        }
        let changes: Vec<_> = std::mem::take(&mut waiting)
            .into_values()
            .map(|delivery| EntityChange {
                kind: DeliveryEntity::KIND,
                id: delivery.key(),
                body: Some(delivery.to_body()),
                expected: None,
            })
            .collect();
        if !changes.is_empty()
            && let Err(error) = hub.store.change_entities(&changes, None).await
        {
            tracing::warn!(%error, "what nodes have could not be noted");
        }
        for done in flushes.drain(..) {
            let _ = done.send(());
        }
    }
}

fn sort_in(
    note: Note,
    waiting: &mut BTreeMap<NodeId, DeliveryEntity>,
    flushes: &mut Vec<oneshot::Sender<()>>,
) {
    match note {
        Note::Seen(delivery) => {
            waiting.insert(delivery.node, delivery);
        }
        Note::Flush(done) => flushes.push(done),
    }
}
