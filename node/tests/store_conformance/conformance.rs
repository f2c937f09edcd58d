//! What every engine does alike.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use kopilka_node::store::{Batch, EngineKind, Table};

use crate::subject::Subject;

#[test]
fn redb_conforms() {
    check(|| Subject::disk(EngineKind::Redb));
}

#[test]
fn sled_conforms() {
    check(|| Subject::disk(EngineKind::Sled));
}

#[test]
fn faulty_conforms() {
    check(Subject::memory);
}

fn check(subject: impl Fn() -> Subject) {
    for case in [
        empty_store_has_nothing,
        writes_take_effect_in_order,
        tables_are_apart,
        scan_keeps_to_its_bounds,
        last_finds_the_greatest,
        read_many_answers_in_order,
        odd_sizes_survive,
        commit_makes_relaxed_batches_durable,
        a_batch_is_seen_whole,
        compact_changes_nothing,
    ] {
        case(&subject());
    }
}

fn batch(entries: &[(Table, &[u8], &[u8])]) -> Batch {
    let mut batch = Batch::new();
    for (table, key, value) in entries {
        batch.put(*table, *key, *value);
    }
    batch
}

fn empty_store_has_nothing(subject: &Subject) {
    let engine = subject.open();
    for table in Table::ALL {
        assert_eq!(engine.read(table, b"k"), Ok(None));
        assert_eq!(engine.scan(table, b"", None, 10), Ok(vec![]));
        assert_eq!(engine.last(table, None), Ok(None));
        assert_eq!(engine.count(table), Ok(0));
    }
    engine.commit(&Batch::new()).unwrap();
    engine.disk_bytes().unwrap();
}

fn writes_take_effect_in_order(subject: &Subject) {
    let engine = subject.open();
    let mut batch = Batch::new();
    batch.put(Table::Seals, *b"a", *b"1");
    batch.put(Table::Seals, *b"b", *b"1");
    batch.delete(Table::Seals, *b"a");
    batch.put(Table::Seals, *b"b", *b"2");
    batch.delete(Table::Seals, *b"c");
    batch.put(Table::Seals, *b"c", *b"3");
    assert_eq!((batch.len(), batch.bytes()), (6, 10));
    engine.commit(&batch).unwrap();
    let stored = engine.scan(Table::Seals, b"", None, 10).unwrap();
    assert_eq!(
        stored,
        [
            (b"b".to_vec(), b"2".to_vec()),
            (b"c".to_vec(), b"3".to_vec())
        ]
    );
    assert_eq!(engine.count(Table::Seals), Ok(2));
}

fn tables_are_apart(subject: &Subject) {
    let engine = subject.open();
    let mut batch = Batch::new();
    for table in Table::ALL {
        for key in [&b""[..], b"k", b"\xff\xff"] {
            batch.put(table, key, table.name());
        }
    }
    engine.commit(&batch).unwrap();
    for table in Table::ALL {
        let entries = engine.scan(table, b"", None, 10).unwrap();
        assert_eq!(entries.len(), 3, "{}", table.name());
        assert!(
            entries
                .iter()
                .all(|(_, value)| value == table.name().as_bytes())
        );
        let last = engine.last(table, None).unwrap().unwrap();
        assert_eq!(last.0, b"\xff\xff");
        assert_eq!(engine.count(table), Ok(3));
    }
}

fn scan_keeps_to_its_bounds(subject: &Subject) {
    let engine = subject.open();
    let mut batch = Batch::new();
    for key in 0..100_u8 {
        batch.put(Table::Log, [key], [key]);
    }
    engine.commit(&batch).unwrap();
    let keys = |start: &[u8], end: Option<&[u8]>, limit| -> Vec<u8> {
        let entries = engine.scan(Table::Log, start, end, limit).unwrap();
        entries.iter().map(|(key, _)| key[0]).collect()
    };
    for (start, end, limit, expected) in [
        (&[10][..], Some(&[13][..]), 10, vec![10, 11, 12]),
        (&[10], Some(&[13]), 2, vec![10, 11]),
        (&[10], Some(&[13]), 0, vec![]),
        (&[98], None, 10, vec![98, 99]),
        (&[10, 0], Some(&[12]), 10, vec![11]),
        (&[10], Some(&[10]), 10, vec![]),
        (&[20], Some(&[10]), 10, vec![]),
        (&[100], None, 10, vec![]),
        (&[], Some(&[1]), 10, vec![0]),
    ] {
        assert_eq!(
            keys(start, end, limit),
            expected,
            "{start:?}..{end:?} of {limit}"
        );
    }
}

fn last_finds_the_greatest(subject: &Subject) {
    let engine = subject.open();
    engine
        .commit(&batch(&[
            (Table::Log, &[2], b"two"),
            (Table::Log, &[4], b"four"),
            (Table::Pending, &[9], b"nine"),
        ]))
        .unwrap();
    let last = |below: Option<&[u8]>| {
        let entry = engine.last(Table::Log, below).unwrap();
        entry.map(|(key, _)| key[0])
    };
    for (below, expected) in [
        (None, Some(4)),
        (Some(&[5][..]), Some(4)),
        (Some(&[4][..]), Some(2)),
        (Some(&[2][..]), None),
        (Some(&[][..]), None),
    ] {
        assert_eq!(last(below), expected, "below {below:?}");
    }
}

fn read_many_answers_in_order(subject: &Subject) {
    let engine = subject.open();
    engine
        .commit(&batch(&[
            (Table::Members, b"m", b"1"),
            (Table::Blocks, b"b", b"2"),
        ]))
        .unwrap();
    let values = engine
        .read_many(&[
            (Table::Blocks, b"b"),
            (Table::Members, b"b"),
            (Table::Members, b"m"),
            (Table::Blocks, b"b"),
        ])
        .unwrap();
    let expected = [Some("2"), None, Some("1"), Some("2")];
    assert_eq!(
        values,
        expected.map(|value| value.map(|value| value.as_bytes().to_vec()))
    );
    assert_eq!(engine.read_many(&[]), Ok(vec![]));
}

fn odd_sizes_survive(subject: &Subject) {
    let long = vec![7; 700 << 10];
    let entries: [(Table, &[u8], &[u8]); 3] = [
        (Table::Publications, b"", b""),
        (Table::Publications, &[0xff; 2000], b"long key"),
        (Table::Publications, b"long value", &long),
    ];
    subject.open().commit(&batch(&entries)).unwrap();
    let engine = subject.open();
    for (table, key, value) in entries {
        assert_eq!(engine.read(table, key).unwrap().as_deref(), Some(value));
    }
}

fn commit_makes_relaxed_batches_durable(subject: &Subject) {
    let engine = subject.open();
    for number in 0..200_u8 {
        let page = vec![number; 100 << 10];
        engine
            .commit_relaxed(&batch(&[(Table::History, &[number], &page)]))
            .unwrap();
    }
    assert_eq!(engine.count(Table::History), Ok(200));
    engine
        .commit(&batch(&[(Table::Meta, b"done", b"yes")]))
        .unwrap();
    drop(engine);
    let engine = subject.open();
    assert_eq!(engine.count(Table::History), Ok(200));
    assert_eq!(
        engine.read(Table::Meta, b"done").unwrap().as_deref(),
        Some(&b"yes"[..])
    );
}

fn a_batch_is_seen_whole(subject: &Subject) {
    let engine = subject.open();
    let done = Arc::new(AtomicBool::new(false));
    let reader = thread::spawn({
        let (engine, done) = (Arc::clone(&engine), Arc::clone(&done));
        move || {
            let mut looks = 0_u64;
            while !done.load(Ordering::Acquire) || looks == 0 {
                let values = engine
                    .read_many(&[(Table::Meta, b"x"), (Table::History, b"x")])
                    .unwrap();
                assert_eq!(values[0], values[1]);
                looks += 1;
            }
        }
    });
    for number in 0..100_u64 {
        let value = number.to_be_bytes();
        engine
            .commit(&batch(&[
                (Table::Meta, b"x", &value),
                (Table::History, b"x", &value),
            ]))
            .unwrap();
    }
    done.store(true, Ordering::Release);
    reader.join().unwrap();
}

fn compact_changes_nothing(subject: &Subject) {
    let engine = subject.open();
    let mut batch = Batch::new();
    for number in 0..2_000_u16 {
        batch.put(Table::Members, number.to_be_bytes(), vec![1; 100]);
    }
    engine.commit(&batch).unwrap();
    engine.compact().unwrap();
    assert_eq!(engine.count(Table::Members), Ok(2_000));
    drop(engine);
    assert_eq!(subject.open().count(Table::Members), Ok(2_000));
}
