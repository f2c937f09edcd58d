//! Two processes that decide on the same rows at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use kopilka_crdt::identifier::IdentifierKind;
use kopilka_crdt::ids::MemberId;
use kopilka_crdt::operation::Verdict;
use kopilka_hub::store::{BlockRow, Changes, EntityKind, Keys, Rows, Store};
use tokio::task::JoinSet;

use crate::sample::{
    PROGRAMME, identifier, member, member_keys, operation, operation_id, receipt, stored_member,
    tip,
};
use crate::subject::Subject;

const ANNA: MemberId = MemberId(12);

/// Two processes, each with a number of its own.
async fn processes(subject: &Subject) -> [(u32, Arc<dyn Store>); 2] {
    [(1, subject.open().await), (2, subject.open().await)]
}

fn purchases_of(rows: &Rows, id: MemberId) -> i32 {
    rows.members.get(&id).map_or(0, |row| row.member.purchases)
}

pub async fn a_receipt_posted_twice_counts_once(subject: &Subject) {
    const RECEIPTS: u64 = 40;
    let mut posts = JoinSet::new();
    for (node, store) in processes(subject).await {
        posts.spawn(async move {
            for number in 1..=RECEIPTS {
                post(&*store, node, number).await;
            }
        });
    }
    posts.join_all().await;
    let store = subject.open().await;
    let history = store
        .operations_of(PROGRAMME, ANNA, None, 1_000)
        .await
        .unwrap();
    let counted = history
        .iter()
        .filter(|row| row.verdict == Verdict::Accepted)
        .count();
    assert_eq!(history.len(), 80);
    assert_eq!(counted, 40);
    let anna = stored_member(&*store, ANNA).await.unwrap();
    assert_eq!(anna.member.purchases, 40);
}

async fn post(store: &dyn Store, node: u32, number: u64) {
    let id = operation_id(node, number);
    let keys = Keys {
        receipts: vec![receipt(number)],
        ..member_keys(&[ANNA])
    };
    let mut decision = |rows: &Rows| {
        let mut row = operation(node, number, Some(ANNA));
        if rows.receipts.contains_key(&receipt(number)) {
            row.verdict = Verdict::Duplicate;
            return Changes {
                operations: vec![row],
                ..Changes::default()
            };
        }
        let purchases = purchases_of(rows, ANNA) + 1;
        Changes {
            members: [(ANNA, (member(purchases), None))].into(),
            receipts: vec![(receipt(number), id)],
            operations: vec![row],
            ..Changes::default()
        }
    };
    store.decide(&keys, &mut decision).await.unwrap();
}

pub async fn an_identifier_is_given_once(subject: &Subject) {
    let mut enrolments = JoinSet::new();
    for (process, store) in processes(subject).await {
        enrolments.spawn(async move {
            for number in 0..40 {
                let own = MemberId(u64::from(process) * 100 + u64::from(number));
                enrol(&*store, own, number).await;
            }
        });
    }
    enrolments.join_all().await;
    let store = subject.open().await;
    for number in 0..40_u8 {
        let hash = identifier(number);
        let owner = store.find(PROGRAMME, hash).await.unwrap().unwrap();
        let mut holders = Vec::new();
        for process in [1, 2] {
            let id = MemberId(process * 100 + u64::from(number));
            let row = stored_member(&*store, id).await.unwrap();
            if row.identifiers == [hash] {
                holders.push(id);
            }
        }
        assert_eq!(holders, [owner]);
    }
}

/// The second to come with an identifier joins without it.
async fn enrol(store: &dyn Store, id: MemberId, number: u8) {
    let hash = identifier(number);
    let keys = Keys {
        identifiers: vec![hash],
        ..member_keys(&[id])
    };
    let mut decision = |rows: &Rows| {
        let free = !rows.identifiers.contains_key(&hash);
        let bound = free.then_some((hash, IdentifierKind::Phone, id));
        Changes {
            members: [(id, (member(0), None))].into(),
            identifiers: bound.into_iter().collect(),
            ..Changes::default()
        }
    };
    store.decide(&keys, &mut decision).await.unwrap();
}

pub async fn no_update_is_lost(subject: &Subject) {
    const TASKS: u32 = 3;
    const UPDATES: i32 = 20;
    let mut writers = JoinSet::new();
    for (_, store) in processes(subject).await {
        for _ in 0..TASKS {
            let store = Arc::clone(&store);
            writers.spawn(async move {
                for _ in 0..UPDATES {
                    let mut decision = |rows: &Rows| {
                        let purchases = purchases_of(rows, ANNA) + 1;
                        Changes {
                            members: [(ANNA, (member(purchases), None))].into(),
                            ..Changes::default()
                        }
                    };
                    store
                        .decide(&member_keys(&[ANNA]), &mut decision)
                        .await
                        .unwrap();
                }
            });
        }
    }
    writers.join_all().await;
    let store = subject.open().await;
    let anna = stored_member(&*store, ANNA).await.unwrap();
    assert_eq!((anna.member.purchases, anna.position), (120, 120));
}

pub async fn block_orders_have_no_gaps(subject: &Subject) {
    let mut orders = JoinSet::new();
    for (_, store) in processes(subject).await {
        orders.spawn(async move {
            for _ in 0..20 {
                order_block(&*store).await;
            }
        });
    }
    orders.join_all().await;
    let store = subject.open().await;
    let blocks = store.blocks_after(PROGRAMME, 0, 1_000).await.unwrap();
    let numbers: Vec<u64> = blocks.iter().map(|block| block.number).collect();
    assert_eq!(numbers, (1..=40).collect::<Vec<_>>());
    let heads = store.heads().await.unwrap();
    assert_eq!(heads.blocks, [(PROGRAMME.0, 40)].into());
}

async fn order_block(store: &dyn Store) {
    let keys = Keys {
        counters: true,
        ..member_keys(&[])
    };
    let mut decision = |rows: &Rows| {
        let sequence = rows.hub_log.map_or(0, |log| log.sequence);
        assert_eq!(sequence, rows.block_last, "both are read under one lock");
        Changes {
            blocks: vec![BlockRow {
                number: rows.block_last + 1,
                subject: identifier(1),
                signed: vec![1],
            }],
            operations: vec![operation(0, sequence + 1, None)],
            hub_log: Some(tip(sequence + 1)),
            ..Changes::default()
        }
    };
    store.decide(&keys, &mut decision).await.unwrap();
}

pub async fn numbers_are_given_once(subject: &Subject) {
    let mut takers = JoinSet::new();
    for (_, store) in processes(subject).await {
        takers.spawn(async move {
            let mut taken = Vec::new();
            for _ in 0..20 {
                taken.push(store.next_number(EntityKind::Node).await.unwrap());
            }
            taken
        });
    }
    let taken: BTreeSet<u32> = takers.join_all().await.into_iter().flatten().collect();
    assert_eq!(taken, (1..=40).collect());
    let store = subject.open().await;
    assert_eq!(store.next_number(EntityKind::Till).await.unwrap(), 1);
}
