//! Opening databases: old, new, and at once.

use kopilka_crdt::ids::MemberId;
use kopilka_hub::store::{StoreError, StoreSettings};
use tokio::task::JoinSet;

use crate::sample::{put_member, stored_member};
use crate::subject::{PARTITIONS, Subject};

pub async fn data_outlive_the_process(subject: &Subject) {
    let store = subject.open().await;
    put_member(&*store, MemberId(1), 5, None).await;
    let heads = store.heads().await.unwrap();
    drop(store);
    let store = subject.open().await;
    let row = stored_member(&*store, MemberId(1)).await.unwrap();
    assert_eq!(row.member.purchases, 5);
    assert_eq!(store.heads().await.unwrap(), heads);
}

pub async fn a_newer_schema_is_refused(subject: &Subject) {
    drop(subject.open().await);
    let sql = "INSERT INTO refinery_schema_history (version, name, applied_on, checksum) \
        VALUES (9999, 'later', '2030-01-01T00:00:00Z', '1')";
    subject.execute(sql).await;
    let outcome = subject.try_open().await.err();
    assert!(matches!(outcome, Some(StoreError::Version)), "{outcome:?}");
}

pub async fn processes_may_start_together(subject: &Subject) {
    let mut starts = JoinSet::new();
    for _ in 0..4 {
        let settings = subject.settings.clone();
        starts.spawn(async move { kopilka_hub::store::open(&settings).await.map(|_| ()) });
    }
    for outcome in starts.join_all().await {
        outcome.unwrap();
    }
}

#[tokio::test]
async fn the_number_of_partitions_cannot_change() {
    let mut subject = Subject::postgres().await;
    assert_eq!(subject.open().await.partitions(), PARTITIONS);
    let StoreSettings::Postgres { partitions, .. } = &mut subject.settings else {
        unreachable!("the subject is in PostgreSQL")
    };
    *partitions = PARTITIONS + 1;
    let outcome = subject.try_open().await.err();
    let is_named = matches!(
        outcome,
        Some(StoreError::Partitions { stored: PARTITIONS, asked }) if asked == PARTITIONS + 1
    );
    assert!(is_named, "{outcome:?}");
}
