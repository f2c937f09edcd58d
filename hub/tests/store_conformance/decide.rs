//! What one decision loads, writes and refuses.

use std::collections::BTreeMap;
use std::time::Duration;

use kopilka_crdt::clock::Stamp;
use kopilka_crdt::identifier::IdentifierKind;
use kopilka_crdt::ids::{Incarnation, MemberId, NodeId, ProgrammeId};
use kopilka_crdt::operation::ProfileField;
use kopilka_crdt::sealed::{MemberKey, Sealed};
use kopilka_hub::store::{
    AuditRow, BlockRow, CaseRow, Changes, DECISION_ROWS_MAX, Heads, KeyState, Keys, LogRow,
    MemberRow, ProfileRow, Rows, StoreError,
};

use crate::sample::{
    NO_LOG, PROGRAMME, identifier, log_row, member, member_keys, operation, operation_id,
    put_member, receipt, stored_member, tip,
};
use crate::subject::Subject;

const ANNA: MemberId = MemberId(0x7fff_ffff_ffff_fff0);
const NODE: NodeId = NodeId(3);

fn all_keys() -> Keys {
    Keys {
        programme: PROGRAMME.0,
        members: vec![ANNA, ANNA, MemberId(1)],
        receipts: vec![receipt(1), receipt(2)],
        identifiers: vec![identifier(1), identifier(2)],
        nodes: vec![NODE],
        operations: vec![operation_id(3, 1), operation_id(3, 2)],
        reversals_of: Vec::new(),
        counters: true,
    }
}

fn field(name: &str, written_ms: u64, text: &[u8]) -> ProfileRow {
    ProfileRow {
        member: ANNA,
        field: ProfileField::Own(name.to_owned()),
        written: (Stamp::from_ms(written_ms), operation_id(3, 1)),
        sealed: Sealed(text.to_vec()),
    }
}

fn case() -> CaseRow {
    CaseRow {
        opened_ms: 5,
        kind: "fork",
        node: Some(NODE),
        member: Some(ANNA),
        operation: Some(operation_id(3, 1)),
        summary: "Две ветви".to_owned(),
        evidence: vec![0, 1],
    }
}

fn audit() -> AuditRow {
    AuditRow {
        at_ms: 6,
        actor: "command line".to_owned(),
        action: "card.block".to_owned(),
        subject: "c1".to_owned(),
        details: "{}".to_owned(),
    }
}

fn block() -> BlockRow {
    BlockRow {
        number: 1,
        subject: identifier(1),
        signed: vec![4; 70],
    }
}

fn everything() -> Changes {
    Changes {
        members: [(ANNA, (member(1), Some(77)))].into(),
        identifiers: vec![(identifier(1), IdentifierKind::Card, ANNA)],
        receipts: vec![(receipt(1), operation_id(3, 1))],
        operations: vec![operation(3, 1, Some(ANNA)), operation(0, 1, None)],
        logs: vec![(NODE, Incarnation(1), log_row(1))],
        keys: vec![(ANNA, MemberKey([8; 32]))],
        profiles: vec![field("город\0", 1, b"sealed")],
        erased: BTreeMap::new(),
        cases: vec![case()],
        blocks: vec![block()],
        hub_log: Some(tip(1)),
        audit: Some(audit()),
    }
}

pub async fn everything_that_is_written_is_read_back(subject: &Subject) {
    let store = subject.open().await;
    let write = &mut |_: &Rows| everything();
    store.decide(&all_keys(), write).await.unwrap();
    let mut found = Rows::default();
    let mut look = |rows: &Rows| {
        found = rows.clone();
        Changes::default()
    };
    store.decide(&all_keys(), &mut look).await.unwrap();
    let row = MemberRow {
        member: member(1),
        identifiers: vec![identifier(1)],
        position: 1,
        key: KeyState::Stored,
    };
    assert_eq!(found.members, [(ANNA, row.clone())].into());
    assert_eq!(found.receipts, [(receipt(1), operation_id(3, 1))].into());
    assert_eq!(found.identifiers, [(identifier(1), ANNA)].into());
    assert_eq!(found.logs, [((NODE, Incarnation(1)), log_row(1))].into());
    let bought = operation(3, 1, Some(ANNA));
    assert_eq!(found.operations, [(bought.id, bought)].into());
    assert_eq!(found.block_last, 1);
    assert_eq!(found.blocks, [(identifier(1), block())].into());
    assert_eq!(found.hub_log, Some(tip(1)));

    let log = (NODE, Incarnation(1));
    let anna = store.member(PROGRAMME, ANNA, log).await.unwrap();
    assert_eq!(anna, Some((row, Some(tip(1)))));
    let owner = store.find(PROGRAMME, identifier(1)).await.unwrap();
    assert_eq!(owner, Some(ANNA));
    let asked = [identifier(1), identifier(1), identifier(9)];
    let owners = store.owners(PROGRAMME, &asked).await.unwrap();
    assert_eq!(owners, [(identifier(1), ANNA)].into());
    let (key, fields) = store.profile(PROGRAMME, ANNA).await.unwrap();
    assert_eq!(key, Some(MemberKey([8; 32])));
    assert_eq!(fields, [field("город\u{fffd}", 1, b"sealed")]);
    let blocks = store.blocks_after(PROGRAMME, 0, 9).await.unwrap();
    assert_eq!(blocks, [block()]);
    assert_eq!(store.blocks_after(PROGRAMME, 1, 9).await.unwrap(), []);
    let cases = store.cases(PROGRAMME, None, 9).await.unwrap();
    assert_eq!(cases, [(1, case())]);
    assert_eq!(store.audit(None, 9).await.unwrap(), [(1, audit())]);
    let hub_logs = store.logs(NodeId::HUB).await.unwrap();
    let hub_row = LogRow {
        seal_signature: Vec::new(),
        ..log_row(1)
    };
    assert_eq!(
        hub_logs,
        [(Incarnation(PROGRAMME.0.into()), hub_row)].into()
    );
    let mut feed = vec![0; usize::from(store.partitions())];
    feed[usize::from(ANNA.partition(store.partitions()))] = 1;
    let heads = Heads {
        feed: [(PROGRAMME.0, feed)].into(),
        blocks: [(PROGRAMME.0, 1)].into(),
        entities: 0,
    };
    assert_eq!(store.heads().await.unwrap(), heads);
}

pub async fn a_new_store_knows_nothing(subject: &Subject) {
    let store = subject.open().await;
    store.ping().await.unwrap();
    let mut asked = 0;
    let mut decision = |rows: &Rows| {
        asked += 1;
        assert!(rows.members.is_empty() && rows.receipts.is_empty() && rows.logs.is_empty());
        assert!(rows.identifiers.is_empty() && rows.operations.is_empty());
        assert_eq!((rows.block_last, rows.hub_log), (0, None));
        Changes::default()
    };
    store.decide(&all_keys(), &mut decision).await.unwrap();
    assert_eq!(asked, 1);
    assert_eq!(store.find(PROGRAMME, identifier(1)).await.unwrap(), None);
    assert_eq!(stored_member(&*store, ANNA).await, None);
    let (key, fields) = store.profile(PROGRAMME, ANNA).await.unwrap();
    assert_eq!((key, fields), (None, Vec::new()));
    assert_eq!(store.logs(NODE).await.unwrap(), [].into());
    let page = store.feed(PROGRAMME, 0, 0, 9, NO_LOG).await.unwrap();
    assert_eq!((page.members, page.head, page.applied), (vec![], 0, None));
}

pub async fn an_operation_is_stored_once(subject: &Subject) {
    let store = subject.open().await;
    let write = &mut |_: &Rows| everything();
    store.decide(&all_keys(), write).await.unwrap();
    let before = store.heads().await.unwrap();
    let mut again = |_: &Rows| Changes {
        members: [(ANNA, (member(2), None))].into(),
        operations: vec![operation(3, 2, None), operation(3, 1, None)],
        ..Changes::default()
    };
    let outcome = store.decide(&all_keys(), &mut again).await;
    assert!(
        matches!(outcome, Err(StoreError::Exists("operation"))),
        "{outcome:?}"
    );
    assert_eq!(store.heads().await.unwrap(), before);
    let anna = stored_member(&*store, ANNA).await.unwrap();
    assert_eq!(anna.member, member(1));
    let log = (NODE, Incarnation(1));
    let run = store.operations_between(log, 0, 9, 9).await.unwrap();
    assert_eq!(run, [operation(3, 1, Some(ANNA))]);
}

pub async fn a_stored_key_is_never_overwritten(subject: &Subject) {
    let store = subject.open().await;
    for key in [1, 2] {
        let mut decision = |_: &Rows| Changes {
            keys: vec![(ANNA, MemberKey([key; 32]))],
            ..Changes::default()
        };
        store
            .decide(&member_keys(&[ANNA]), &mut decision)
            .await
            .unwrap();
        put_member(&*store, ANNA, 1, None).await;
        let (stored, _) = store.profile(PROGRAMME, ANNA).await.unwrap();
        assert_eq!(stored, Some(MemberKey([1; 32])));
    }
    let anna = stored_member(&*store, ANNA).await.unwrap();
    assert_eq!(anna.key, KeyState::Stored);
    subject.execute("UPDATE member_key SET key = NULL").await;
    let mut late = |_: &Rows| Changes {
        keys: vec![(ANNA, MemberKey([3; 32]))],
        ..Changes::default()
    };
    store
        .decide(&member_keys(&[ANNA]), &mut late)
        .await
        .unwrap();
    let (stored, _) = store.profile(PROGRAMME, ANNA).await.unwrap();
    assert_eq!(stored, None, "a destroyed key does not come back");
    let anna = stored_member(&*store, ANNA).await.unwrap();
    assert_eq!(anna.key, KeyState::Destroyed);
}

pub async fn an_erasure_takes_what_it_names_and_is_final(subject: &Subject) {
    let store = subject.open().await;
    let others = [identifier(2), identifier(3)];
    let keys = Keys {
        identifiers: others.to_vec(),
        ..all_keys()
    };
    let mut write = |_: &Rows| Changes {
        identifiers: others
            .map(|hash| (hash, IdentifierKind::Phone, ANNA))
            .to_vec(),
        ..everything()
    };
    store.decide(&keys, &mut write).await.unwrap();
    let mut erase = |_: &Rows| Changes {
        members: [(ANNA, (member(2), None))].into(),
        erased: [(ANNA, vec![identifier(2)])].into(),
        // Written in the same decision, they go too.
        keys: vec![(ANNA, MemberKey([9; 32]))],
        profiles: vec![field("size", 9, b"late")],
        ..Changes::default()
    };
    store
        .decide(&member_keys(&[ANNA]), &mut erase)
        .await
        .unwrap();
    let anna = stored_member(&*store, ANNA).await.unwrap();
    assert_eq!((anna.key, anna.position), (KeyState::Destroyed, 2));
    assert_eq!(anna.identifiers, [identifier(3)]);
    let owners = store.owners(PROGRAMME, &others).await.unwrap();
    assert_eq!(owners, [(identifier(3), ANNA)].into());
    let profile = store.profile(PROGRAMME, ANNA).await.unwrap();
    assert_eq!(profile, (None, vec![]));

    let bob = MemberId(1);
    let mut reuse = |_: &Rows| Changes {
        members: [(bob, (member(1), None))].into(),
        identifiers: vec![(identifier(2), IdentifierKind::Phone, bob)],
        ..Changes::default()
    };
    let keys = Keys {
        identifiers: vec![identifier(2)],
        ..member_keys(&[bob])
    };
    store.decide(&keys, &mut reuse).await.unwrap();
    let owner = store.find(PROGRAMME, identifier(2)).await.unwrap();
    assert_eq!(owner, Some(bob));
    assert_eq!(
        stored_member(&*store, bob).await.unwrap().key,
        KeyState::Absent
    );
}

pub async fn the_later_writing_of_a_field_wins(subject: &Subject) {
    let store = subject.open().await;
    let batches: [&[(u64, &[u8])]; 3] = [
        &[(5, b"five"), (3, b"three")],
        &[(4, b"four")],
        &[(6, b"six"), (7, b"seven")],
    ];
    for (batch, expected) in batches.iter().zip([b"five".as_slice(), b"five", b"seven"]) {
        let mut decision = |_: &Rows| Changes {
            profiles: batch
                .iter()
                .map(|(written_ms, text)| field("size", *written_ms, text))
                .collect(),
            ..Changes::default()
        };
        store
            .decide(&member_keys(&[]), &mut decision)
            .await
            .unwrap();
        let (_, fields) = store.profile(PROGRAMME, ANNA).await.unwrap();
        assert_eq!(fields.len(), 1);
        assert_eq!(fields[0].sealed.0, expected);
    }
}

pub async fn the_latest_order_about_a_card_is_found(subject: &Subject) {
    let store = subject.open().await;
    let order = |number: u64, card: u8| BlockRow {
        number,
        subject: identifier(card),
        signed: vec![u8::try_from(number).unwrap()],
    };
    let mut orders = |_: &Rows| Changes {
        blocks: vec![order(1, 1), order(2, 2), order(3, 1)],
        ..Changes::default()
    };
    let keys = |counters| Keys {
        identifiers: vec![identifier(1), identifier(3)],
        counters,
        ..member_keys(&[])
    };
    store.decide(&keys(true), &mut orders).await.unwrap();
    for (counters, expected) in [
        (true, [(identifier(1), order(3, 1))].into()),
        (false, [].into()),
    ] {
        let mut found = Rows::default();
        let mut look = |rows: &Rows| {
            found = rows.clone();
            Changes::default()
        };
        store.decide(&keys(counters), &mut look).await.unwrap();
        assert_eq!(found.blocks, expected, "{counters}");
    }
}

pub async fn identifiers_add_up(subject: &Subject) {
    let store = subject.open().await;
    for number in [2, 1] {
        let mut decision = |_: &Rows| Changes {
            members: [(ANNA, (member(1), None))].into(),
            identifiers: vec![(identifier(number), IdentifierKind::Phone, ANNA)],
            ..Changes::default()
        };
        let keys = Keys {
            identifiers: vec![identifier(number)],
            ..member_keys(&[ANNA])
        };
        store.decide(&keys, &mut decision).await.unwrap();
    }
    put_member(&*store, ANNA, 2, None).await;
    let anna = stored_member(&*store, ANNA).await.unwrap();
    assert_eq!(anna.identifiers, [identifier(1), identifier(2)]);
    assert_eq!(anna.position, 3);
}

pub async fn programmes_do_not_meet(subject: &Subject) {
    const OTHER: ProgrammeId = ProgrammeId(8);
    let store = subject.open().await;
    store
        .decide(&all_keys(), &mut |_: &Rows| everything())
        .await
        .unwrap();
    let mut found = Rows::default();
    let mut look = |rows: &Rows| {
        found = rows.clone();
        Changes::default()
    };
    let keys = Keys {
        programme: OTHER.0,
        ..all_keys()
    };
    store.decide(&keys, &mut look).await.unwrap();
    assert!(found.members.is_empty() && found.receipts.is_empty());
    assert!(found.identifiers.is_empty());
    assert_eq!((found.block_last, found.hub_log), (0, None));
    assert_eq!(store.find(OTHER, identifier(1)).await.unwrap(), None);
    assert_eq!(
        store.owners(OTHER, &[identifier(1)]).await.unwrap(),
        [].into()
    );
    assert_eq!(store.profile(OTHER, ANNA).await.unwrap(), (None, vec![]));
    assert_eq!(store.cases(OTHER, None, 9).await.unwrap(), []);
    let history = store.operations_of(OTHER, ANNA, None, 9).await.unwrap();
    assert_eq!(history, []);
}

pub async fn too_many_rows_are_refused(subject: &Subject) {
    let store = subject.open().await;
    let mut members: Vec<MemberId> = (0..).map(MemberId).take(DECISION_ROWS_MAX).collect();
    let nothing = &mut |_: &Rows| Changes::default();
    store.decide(&member_keys(&members), nothing).await.unwrap();
    members.push(ANNA);
    let outcome = store.decide(&member_keys(&members), nothing).await;
    assert!(matches!(outcome, Err(StoreError::TooLarge)), "{outcome:?}");
}

pub async fn numbers_that_no_column_holds_are_refused(subject: &Subject) {
    let store = subject.open().await;
    let keys = Keys {
        receipts: vec![receipt(u64::MAX)],
        ..member_keys(&[])
    };
    let outcome = store.decide(&keys, &mut |_: &Rows| everything()).await;
    assert!(
        matches!(outcome, Err(StoreError::Range("receipt number"))),
        "{outcome:?}"
    );
    let mut decision = |_: &Rows| {
        let mut late = operation(3, 1, None);
        late.stamp = Stamp(u64::MAX);
        Changes {
            members: [(ANNA, (member(1), None))].into(),
            operations: vec![late],
            ..Changes::default()
        }
    };
    let outcome = store.decide(&member_keys(&[ANNA]), &mut decision).await;
    assert!(
        matches!(outcome, Err(StoreError::Range("stamp"))),
        "{outcome:?}"
    );
    assert_eq!(stored_member(&*store, ANNA).await, None);
}

pub async fn members_that_were_not_loaded_cannot_be_changed(subject: &Subject) {
    let store = subject.open().await;
    let other = store.clone();
    let wrong = tokio::spawn(async move {
        let mut decision = |_: &Rows| everything();
        other.decide(&member_keys(&[]), &mut decision).await
    });
    assert!(wrong.await.unwrap_err().is_panic());
    assert_eq!(store.heads().await.unwrap(), Heads::default());
    put_member(&*store, ANNA, 1, None).await;
}

/// A caller that goes away at any moment leaves all of its decision or nothing.
pub async fn a_decision_that_dies_leaves_nothing(subject: &Subject) {
    let store = subject.open().await;
    let mut sequence = 0;
    for patience_us in (0..6_000).step_by(200) {
        let next = sequence + 1;
        let mut decision = |_: &Rows| Changes {
            members: [(ANNA, (member(i32::try_from(next).unwrap()), None))].into(),
            operations: vec![operation(3, next, Some(ANNA))],
            logs: vec![(NODE, Incarnation(1), log_row(next))],
            ..Changes::default()
        };
        let keys = Keys {
            nodes: vec![NODE],
            ..member_keys(&[ANNA])
        };
        let patience = Duration::from_micros(patience_us);
        let _ = tokio::time::timeout(patience, store.decide(&keys, &mut decision)).await;
        // Waits for whatever a commit under way may still do.
        let nothing = &mut |_: &Rows| Changes::default();
        store.decide(&keys, nothing).await.unwrap();
        let log = (NODE, Incarnation(1));
        let run = store.operations_between(log, 0, 99, 99).await.unwrap();
        let anna = store.member(PROGRAMME, ANNA, log).await.unwrap();
        let (purchases, position, applied) = anna.map_or((0, 0, 0), |(row, tip)| {
            let applied = tip.unwrap().sequence;
            (
                u64::try_from(row.member.purchases).unwrap(),
                row.position,
                applied,
            )
        });
        let stored = u64::try_from(run.len()).unwrap();
        assert!(stored == sequence || stored == next);
        assert_eq!([purchases, position, applied], [stored; 3]);
        sequence = stored;
    }
}

pub async fn the_latest_orders_in_a_range_are_found(subject: &Subject) {
    let store = subject.open().await;
    let order = |number: u64, about: u8| BlockRow {
        number,
        subject: identifier(about),
        signed: vec![u8::try_from(number).unwrap()],
    };
    let orders = [
        order(1, 2),
        order(2, 4),
        order(3, 2),
        order(4, 5),
        order(5, 1),
    ];
    let mut decision = |_: &Rows| Changes {
        blocks: orders.to_vec(),
        ..Changes::default()
    };
    let keys = Keys {
        counters: true,
        ..member_keys(&[])
    };
    store.decide(&keys, &mut decision).await.unwrap();
    let found = async |from, through, limit| {
        let range = [identifier(from), identifier(through)];
        store.latest_blocks(PROGRAMME, range, limit).await.unwrap()
    };
    assert_eq!(found(2, 4, 9).await, [order(3, 2), order(2, 4)]);
    assert_eq!(found(2, 4, 1).await, [order(3, 2)]);
    assert_eq!(found(3, 3, 9).await, []);
}
