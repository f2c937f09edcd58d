//! Random histories: each engine agrees with a sorted map, also after it is opened again.

use std::collections::BTreeMap;

use kopilka_node::store::{Batch, EngineKind, Table};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::subject::Subject;

type Model = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

#[derive(Debug, Clone)]
enum Step {
    Commit(Vec<Change>),
    Relaxed(Vec<Change>),
    Reopen,
}

type Change = (Table, Vec<u8>, Option<Vec<u8>>);

fn change() -> impl Strategy<Value = Change> {
    let table = prop::sample::select(vec![Table::Meta, Table::Log, Table::History]);
    let key = vec(0..4_u8, 0..3);
    let value = prop::option::of(vec(any::<u8>(), 0..300));
    (table, key, value)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => vec(change(), 0..8).prop_map(Step::Commit),
        3 => vec(change(), 0..8).prop_map(Step::Relaxed),
        1 => Just(Step::Reopen),
    ]
}

fn batch(changes: &[Change], model: &mut Model) -> Batch {
    let mut batch = Batch::new();
    for (table, key, value) in changes {
        match value {
            Some(value) => {
                batch.put(*table, key.clone(), value.clone());
                model.insert((*table, key.clone()), value.clone());
            }
            None => {
                batch.delete(*table, key.clone());
                model.remove(&(*table, key.clone()));
            }
        }
    }
    batch
}

fn check(subject: &Subject, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut model = Model::new();
    let mut engine = subject.open();
    for step in steps {
        match step {
            Step::Commit(changes) => engine.commit(&batch(changes, &mut model)).unwrap(),
            Step::Relaxed(changes) => engine.commit_relaxed(&batch(changes, &mut model)).unwrap(),
            Step::Reopen => {
                engine.commit(&Batch::new()).unwrap();
                drop(engine);
                engine = subject.open();
            }
        }
        for table in [Table::Meta, Table::Log, Table::History] {
            let expected: Vec<_> = model
                .iter()
                .filter(|((other, _), _)| *other == table)
                .map(|((_, key), value)| (key.clone(), value.clone()))
                .collect();
            prop_assert_eq!(engine.last(table, None).unwrap(), expected.last().cloned());
            prop_assert_eq!(engine.scan(table, b"", None, usize::MAX).unwrap(), expected);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn redb_agrees_with_a_map(steps in vec(step(), 1..20)) {
        check(&Subject::disk(EngineKind::Redb), &steps)?;
    }

    #[test]
    fn sled_agrees_with_a_map(steps in vec(step(), 1..20)) {
        check(&Subject::disk(EngineKind::Sled), &steps)?;
    }

    #[test]
    fn faulty_agrees_with_a_map(steps in vec(step(), 1..20)) {
        check(&Subject::memory(), &steps)?;
    }
}
