//! What staff and nodes read in pages.

use kopilka_crdt::ids::{Incarnation, MemberId, NodeId, OperationId, ProgrammeId};
use kopilka_hub::store::{AuditRow, CaseRow, Changes, Keys, OperationRow, Rows, Store};

use crate::sample::{NO_LOG, PROGRAMME, member_keys, operation, put_member};
use crate::subject::Subject;

const ANNA: MemberId = MemberId(12);

async fn put_operations(store: &dyn Store, rows: Vec<OperationRow>) {
    let mut decision = |_: &Rows| Changes {
        operations: rows.clone(),
        ..Changes::default()
    };
    store
        .decide(&member_keys(&[]), &mut decision)
        .await
        .unwrap();
}

pub async fn history_is_paged_newest_first(subject: &Subject) {
    let store = subject.open().await;
    let mut rows = Vec::new();
    for sequence in 1..=5 {
        for node in [2, 10] {
            rows.push(operation(node, sequence, Some(ANNA)));
        }
        rows.push(operation(3, sequence, Some(MemberId(13))));
        rows.push(operation(4, sequence, None));
    }
    put_operations(&*store, rows.clone()).await;
    let place = |row: &OperationRow| (row.taken_in_ms, row.id);
    let mut expected: Vec<(u64, OperationId)> = rows
        .iter()
        .filter(|row| row.member == Some(ANNA))
        .map(place)
        .collect();
    expected.sort_unstable();
    expected.reverse();
    let mut found = Vec::new();
    let mut before = None;
    loop {
        let page = store
            .operations_of(PROGRAMME, ANNA, before, 3)
            .await
            .unwrap();
        found.extend(page.iter().map(place));
        before = found.last().copied();
        if page.len() < 3 {
            break;
        }
    }
    assert_eq!(found, expected);
}

pub async fn purchases_are_paged_newest_first(subject: &Subject) {
    let store = subject.open().await;
    let mut rows = Vec::new();
    for sequence in 1..=6 {
        for node in [2, 10] {
            rows.push(operation(node, sequence, Some(ANNA)));
        }
        rows.push(OperationRow {
            kind: "gift",
            ..operation(3, sequence, Some(ANNA))
        });
    }
    put_operations(&*store, rows.clone()).await;
    let place = |row: &OperationRow| (row.taken_in_ms, row.id);
    let purchases = rows.iter().filter(|row| row.kind == "purchase");
    let mut expected: Vec<_> = purchases.map(place).collect();
    expected.sort_unstable();
    expected.reverse();
    let mut found = Vec::new();
    for _ in 0..4 {
        let before = found.last().copied();
        let page = store.purchases(PROGRAMME, before, 5).await.unwrap();
        assert!(page.iter().all(|row| rows.contains(row)), "{page:?}");
        found.extend(page.iter().map(place));
    }
    assert_eq!(found, expected);
    let other = ProgrammeId(PROGRAMME.0 + 1);
    assert_eq!(store.purchases(other, None, 5).await.unwrap(), []);
}

pub async fn members_are_read_together(subject: &Subject) {
    let store = subject.open().await;
    for id in [1, 2, 9] {
        put_member(&*store, MemberId(id), 1, None).await;
    }
    let wanted = [9, 1, 7, 1].map(MemberId);
    let found = store.members(PROGRAMME, &wanted).await.unwrap();
    let ids: Vec<_> = found.keys().copied().collect();
    assert_eq!(ids, [MemberId(1), MemberId(9)]);
    for (id, row) in &found {
        let alone = store.member(PROGRAMME, *id, NO_LOG).await.unwrap();
        assert_eq!(alone.unwrap().0, *row);
    }
    assert!(store.members(PROGRAMME, &[]).await.unwrap().is_empty());
}

pub async fn what_came_back_is_read_by_member(subject: &Subject) {
    let store = subject.open().await;
    let of_kind = |sequence, member, kind| OperationRow {
        kind,
        ..operation(2, sequence, Some(member))
    };
    let rows = vec![
        of_kind(1, ANNA, "purchase"),
        of_kind(2, ANNA, "return"),
        of_kind(3, MemberId(13), "return"),
        of_kind(4, ANNA, "cancel"),
        of_kind(5, ANNA, "refund"),
    ];
    put_operations(&*store, rows.clone()).await;
    let mut found = Vec::new();
    let keys = Keys {
        programme: PROGRAMME.0,
        reversals_of: vec![ANNA],
        ..Keys::default()
    };
    let mut look = |rows: &Rows| {
        found = rows.reversals.clone();
        Changes::default()
    };
    store.decide(&keys, &mut look).await.unwrap();
    found.sort_unstable_by_key(|row| row.id);
    assert_eq!(found, [rows[1].clone(), rows[3].clone()]);
}

pub async fn logs_are_read_in_runs(subject: &Subject) {
    let store = subject.open().await;
    let rows = (1..=9).map(|sequence| operation(2, sequence, None));
    put_operations(&*store, rows.chain([operation(3, 5, None)]).collect()).await;
    let log = (NodeId(2), Incarnation(1));
    for (from, to, limit, expected) in [
        (0, u64::MAX, 99, 1..=9),
        (0, 9, 4, 1..=4),
        (4, 6, 99, 5..=6),
        (8, 9, 99, 9..=9),
    ] {
        let run = store
            .operations_between(log, from, to, limit)
            .await
            .unwrap();
        let sequences: Vec<u64> = run.iter().map(|row| row.id.sequence).collect();
        assert_eq!(sequences, expected.collect::<Vec<_>>());
    }
    assert_eq!(store.operations_between(log, 9, 99, 99).await.unwrap(), []);
    assert_eq!(
        store.operations_between(NO_LOG, 0, 99, 99).await.unwrap(),
        []
    );
}

pub async fn members_are_due_in_time(subject: &Subject) {
    let store = subject.open().await;
    for (id, due_ms) in [(1, Some(30)), (2, Some(10)), (3, None), (4, Some(20))] {
        put_member(&*store, MemberId(id), 1, due_ms).await;
    }
    for (now_ms, limit, expected) in [
        (9, 9, vec![]),
        (20, 9, vec![2, 4]),
        (u64::MAX, 9, vec![2, 4, 1]),
        (u64::MAX, 1, vec![2]),
    ] {
        let due = store.members_due(PROGRAMME, now_ms, limit).await.unwrap();
        assert_eq!(due, expected.into_iter().map(MemberId).collect::<Vec<_>>());
    }
    put_member(&*store, MemberId(2), 2, None).await;
    let due = store.members_due(PROGRAMME, 20, 9).await.unwrap();
    assert_eq!(due, [MemberId(4)]);
}

fn case(opened_ms: u64) -> CaseRow {
    CaseRow {
        opened_ms,
        kind: "uncountable",
        node: None,
        member: None,
        operation: None,
        summary: String::new(),
        evidence: Vec::new(),
    }
}

pub async fn cases_and_staff_actions_are_paged(subject: &Subject) {
    let store = subject.open().await;
    for at_ms in [10, 20, 30] {
        let mut decision = |_: &Rows| Changes {
            cases: vec![case(at_ms), case(at_ms + 1)],
            audit: Some(AuditRow {
                at_ms,
                actor: "anna".to_owned(),
                action: "member.read".to_owned(),
                subject: "m1".to_owned(),
                details: "{}".to_owned(),
            }),
            ..Changes::default()
        };
        store
            .decide(&member_keys(&[]), &mut decision)
            .await
            .unwrap();
    }
    for (before, expected) in [
        (None, vec![(6, 31), (5, 30), (4, 21)]),
        (Some(4), vec![(3, 20), (2, 11), (1, 10)]),
        (Some(1), vec![]),
    ] {
        let page = store.cases(PROGRAMME, before, 3).await.unwrap();
        let found: Vec<_> = page
            .iter()
            .map(|(number, row)| (*number, row.opened_ms))
            .collect();
        assert_eq!(found, expected);
    }
    for (before, expected) in [(None, vec![(3, 30), (2, 20)]), (Some(2), vec![(1, 10)])] {
        let page = store.audit(before, 2).await.unwrap();
        let found: Vec<_> = page
            .iter()
            .map(|(number, row)| (*number, row.at_ms))
            .collect();
        assert_eq!(found, expected);
    }
}
