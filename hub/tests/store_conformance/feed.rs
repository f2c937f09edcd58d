//! The feed and snapshots.

use std::collections::BTreeMap;
use std::sync::Arc;

use kopilka_crdt::ids::{Incarnation, MemberId, NodeId};
use kopilka_crdt::member::Member;
use kopilka_hub::store::{Changes, Keys, Rows, Store};
use tokio::task::JoinSet;

use crate::sample::{
    NO_LOG, PROGRAMME, log_row, member, member_keys, operation, put_member, stored_member,
};
use crate::subject::Subject;

pub async fn positions_are_dense_and_pages_bounded(subject: &Subject) {
    let store = subject.open().await;
    let ids: Vec<MemberId> = (1..=40).map(MemberId).collect();
    for half in [&ids[..25], &ids[10..]] {
        let mut decision = |_: &Rows| Changes {
            members: half.iter().map(|id| (*id, (member(1), None))).collect(),
            ..Changes::default()
        };
        store
            .decide(&member_keys(half), &mut decision)
            .await
            .unwrap();
    }
    put_member(&*store, MemberId(3), 2, None).await;
    let heads = store.heads().await.unwrap().feed[&PROGRAMME.0].clone();
    assert_eq!(heads.iter().sum::<u64>(), 25 + 30 + 1);
    for partition in 0..store.partitions() {
        let mut positions = Vec::new();
        let mut after = 0;
        loop {
            let page = store
                .feed(PROGRAMME, partition, after, 3, NO_LOG)
                .await
                .unwrap();
            assert_eq!(page.head, heads[usize::from(partition)]);
            assert!(page.members.len() <= 3);
            let Some((_, last)) = page.members.last() else {
                break;
            };
            after = last.position;
            for (id, row) in page.members {
                assert_eq!(id.partition(store.partitions()), partition);
                positions.push(row.position);
            }
        }
        assert!(positions.is_sorted_by(|one, next| one < next));
        assert_eq!(positions.last(), Some(&heads[usize::from(partition)]));
    }
    let last = stored_member(&*store, MemberId(3)).await.unwrap();
    let partition = usize::from(MemberId(3).partition(store.partitions()));
    assert_eq!(last.position, heads[partition]);
}

const WRITES: u64 = 60;
const MEMBERS: u64 = 12;

/// The member that a node's operation is about. Two nodes share members.
fn member_of(node: u32, sequence: u64) -> MemberId {
    MemberId((sequence * 5 + u64::from(node)) % MEMBERS)
}

async fn write_log(store: Arc<dyn Store>, node: u32) {
    for sequence in 1..=WRITES {
        let id = member_of(node, sequence);
        let keys = Keys {
            nodes: vec![NodeId(node)],
            ..member_keys(&[id])
        };
        let mut decision = |rows: &Rows| {
            let stored = rows.members.get(&id).map(|row| row.member.clone());
            let mut state = stored.unwrap_or_default();
            // One gift a node: how often, and by which operation last.
            let last = state.gifts.entry(format!("n{node}")).or_default();
            *last = i32::try_from(sequence).unwrap();
            Changes {
                members: [(id, (state, None))].into(),
                operations: vec![operation(node, sequence, Some(id))],
                logs: vec![(NodeId(node), Incarnation(1), log_row(sequence))],
                ..Changes::default()
            }
        };
        store.decide(&keys, &mut decision).await.unwrap();
    }
}

pub async fn a_walk_misses_nothing_while_others_write(subject: &Subject) {
    let mut writers = JoinSet::new();
    for node in [1, 2] {
        writers.spawn(write_log(subject.open().await, node));
    }
    let mut walkers = JoinSet::new();
    let partitions = subject.open().await.partitions();
    for partition in 0..partitions {
        walkers.spawn(walk(subject.open().await, partition));
    }
    writers.join_all().await;
    let caught_up = walkers.join_all().await;
    assert!(caught_up.iter().all(|pages| *pages > 0));
}

/// Follows one partition to its end, and says how often it had caught up with the writers.
async fn walk(store: Arc<dyn Store>, partition: u16) -> u32 {
    const NODE: u32 = 1;
    const LIMIT: usize = 2;
    let log = (NodeId(NODE), Incarnation(1));
    let (mut after, mut caught_up) = (0, 0);
    let mut seen: BTreeMap<MemberId, i32> = BTreeMap::new();
    loop {
        let page = store
            .feed(PROGRAMME, partition, after, LIMIT, log)
            .await
            .unwrap();
        for (id, row) in &page.members {
            assert!(row.position > after && row.position <= page.head);
            after = row.position;
            let member = Member::decode(&row.record).unwrap();
            seen.insert(*id, member.gifts.get("n1").copied().unwrap_or(0));
        }
        if page.members.len() == LIMIT {
            continue;
        }
        assert_eq!(after, page.head);
        caught_up += 1;
        // What was applied is in the states, and nothing else of this log is.
        let applied = page.applied.map_or(0, |tip| tip.sequence);
        let mut expected: BTreeMap<MemberId, i32> = BTreeMap::new();
        for sequence in 1..=applied {
            let id = member_of(NODE, sequence);
            if id.partition(store.partitions()) == partition {
                expected.insert(id, i32::try_from(sequence).unwrap());
            }
        }
        for (id, last) in &seen {
            assert_eq!(*last, expected.remove(id).unwrap_or(0));
        }
        assert!(expected.is_empty());
        if applied == WRITES {
            return caught_up;
        }
        tokio::task::yield_now().await;
    }
}

pub async fn snapshots_go_by_identifier(subject: &Subject) {
    let store = subject.open().await;
    let largest = MemberId(u64::MAX >> 1);
    for id in [largest, MemberId(5), MemberId(0), MemberId(4), MemberId(8)] {
        put_member(&*store, id, 1, None).await;
    }
    let mut found = Vec::new();
    for partition in 0..store.partitions() {
        let mut after = None;
        loop {
            let page = store
                .snapshot(PROGRAMME, partition, after, 2, NO_LOG)
                .await
                .unwrap();
            assert!(page.members.len() <= 2);
            let Some((last, _)) = page.members.last() else {
                break;
            };
            assert!(after < Some(page.members[0].0));
            after = Some(*last);
            found.extend(page.members.into_iter().map(|(id, _)| id));
        }
    }
    found.sort_unstable();
    assert_eq!(
        found,
        [MemberId(0), MemberId(4), MemberId(5), MemberId(8), largest]
    );
}
