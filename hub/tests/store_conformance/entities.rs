//! What head office keeps.

use kopilka_hub::store::{AuditRow, EntityChange, EntityKind, Store, StoreError};

use crate::subject::Subject;

fn change(kind: EntityKind, id: &str, body: Option<&str>, expected: Option<u64>) -> EntityChange {
    EntityChange {
        kind,
        id: id.to_owned(),
        body: body.map(|text| text.as_bytes().to_vec()),
        expected,
    }
}

fn audit() -> AuditRow {
    AuditRow {
        at_ms: 1,
        actor: "anna".to_owned(),
        action: "store.change".to_owned(),
        subject: "s1".to_owned(),
        details: "{}".to_owned(),
    }
}

async fn stored(store: &dyn Store, id: &str) -> Option<(u64, String)> {
    let entity = store.entity(EntityKind::Store, id).await.unwrap()?;
    Some((entity.version, String::from_utf8(entity.body).unwrap()))
}

pub async fn versions_guard_changes(subject: &Subject) {
    let store = subject.open().await;
    // What is asked, whether it is done, and what is there afterwards.
    for (body, expected, is_taken, after) in [
        (Some("a"), Some(1), false, None),
        (None, Some(1), false, None),
        (None, Some(0), true, None),
        (Some("a"), Some(0), true, Some((1, "a"))),
        (Some("b"), Some(0), false, Some((1, "a"))),
        (None, Some(0), false, Some((1, "a"))),
        (Some("b"), Some(1), true, Some((2, "b"))),
        (Some("c"), Some(1), false, Some((2, "b"))),
        (Some("c"), None, true, Some((3, "c"))),
        (None, Some(2), false, Some((3, "c"))),
        (None, Some(3), true, None),
        (None, None, true, None),
    ] {
        let change = change(EntityKind::Store, "s1", body, expected);
        let outcome = store.change_entities(&[change], None).await;
        match outcome {
            Ok(()) => assert!(is_taken, "{body:?} {expected:?}"),
            Err(error) => {
                assert!(!is_taken, "{body:?} {expected:?}");
                assert!(matches!(error, StoreError::Exists("store")), "{error}");
            }
        }
        let after = after.map(|(version, body)| (version, body.to_owned()));
        assert_eq!(stored(&*store, "s1").await, after);
    }
}

pub async fn changes_are_made_together(subject: &Subject) {
    let store = subject.open().await;
    let first = change(EntityKind::Store, "s1", Some("a"), Some(0));
    store.change_entities(&[first], None).await.unwrap();
    let before = store.heads().await.unwrap();
    let changes = [
        change(EntityKind::Store, "s2", Some("b"), Some(0)),
        change(EntityKind::Store, "s1", Some("c"), Some(9)),
    ];
    let outcome = store.change_entities(&changes, Some(&audit())).await;
    assert!(
        matches!(outcome, Err(StoreError::Exists("store"))),
        "{outcome:?}"
    );
    assert_eq!(stored(&*store, "s2").await, None);
    assert_eq!(store.audit(None, 9).await.unwrap(), []);
    assert_eq!(store.heads().await.unwrap(), before);

    let changes = [
        change(EntityKind::Store, "s2", Some("b"), Some(0)),
        change(EntityKind::Store, "s1", Some("c"), Some(1)),
    ];
    store
        .change_entities(&changes, Some(&audit()))
        .await
        .unwrap();
    assert_eq!(stored(&*store, "s1").await, Some((2, "c".to_owned())));
    assert_eq!(stored(&*store, "s2").await, Some((1, "b".to_owned())));
    assert_eq!(store.audit(None, 9).await.unwrap(), [(1, audit())]);
}

pub async fn prefixes_are_taken_by_letter(subject: &Subject) {
    let store = subject.open().await;
    let ids = [
        "p1/s1", "p1/s10", "p1/s2", "p10/s1", "P1/s1", "p1_", "п1/s1", "p1/я",
    ];
    for id in ids {
        let made = change(EntityKind::Store, id, Some("{}"), Some(0));
        store.change_entities(&[made], None).await.unwrap();
    }
    let till = change(EntityKind::Till, "p1/t", Some("{}"), Some(0));
    store.change_entities(&[till], None).await.unwrap();
    let mut all = ids.to_vec();
    all.sort_unstable();
    for (prefix, expected) in [
        ("p1/", vec!["p1/s1", "p1/s10", "p1/s2", "p1/я"]),
        ("p1/s1", vec!["p1/s1", "p1/s10"]),
        ("%", vec![]),
        ("п", vec!["п1/s1"]),
        ("", all),
    ] {
        let found = store.entities(EntityKind::Store, prefix).await.unwrap();
        let found: Vec<&str> = found.iter().map(|entity| entity.id.as_str()).collect();
        assert_eq!(found, expected, "{prefix}");
    }
}

pub async fn only_news_moves_the_head(subject: &Subject) {
    let store = subject.open().await;
    for (kind, is_news) in [
        (EntityKind::Programme, true),
        (EntityKind::Partner, true),
        (EntityKind::Store, true),
        (EntityKind::Node, true),
        (EntityKind::Till, true),
        (EntityKind::Cashier, true),
        (EntityKind::Staff, true),
        (EntityKind::Code, true),
        (EntityKind::RuleBook, true),
        (EntityKind::Publication, true),
        (EntityKind::Session, false),
        (EntityKind::Delivery, false),
        (EntityKind::Attempts, false),
    ] {
        let before = store.heads().await.unwrap().entities;
        let made = change(kind, "1", Some("{}"), None);
        store.change_entities(&[made], None).await.unwrap();
        let after = store.heads().await.unwrap().entities;
        assert_eq!(after > before, is_news, "{kind:?}");
        assert!(store.entity(kind, "1").await.unwrap().is_some());
    }
}
