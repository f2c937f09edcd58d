//! Proposals to publish: one waits, two people decide, and what is decided happens once.

use kopilka_crdt::ids::ProgrammeId;
use kopilka_hub::app::action::Actor;
use kopilka_hub::app::catalogue::programmes;
use kopilka_hub::app::rulebook::publish::Outcome;
use kopilka_hub::app::rulebook::{RuleBookError, approval, draft, publish};
use kopilka_hub::app::staff::{self, NewStaff, Role, StaffEntity};
use kopilka_hub::store::{
    AuditRow, EntityChange, EntityKind, ProposalDecision, ProposalOutcome, ProposalRow, Settlement,
    Store, StoreError,
};
use serde_json::json;

use crate::hubs::{furnish, processes};
use crate::sales::sell;
use crate::sample::PROGRAMME;
use crate::subject::Subject;

fn proposal(number: u64, author: &str) -> ProposalRow {
    ProposalRow {
        number,
        author: author.to_owned(),
        proposed_ms: 1_700_000_000_000 + number,
        body: b"{}".to_vec(),
        decision: None,
    }
}

fn audit(action: &str) -> AuditRow {
    AuditRow {
        at_ms: 1_700_000_000_000,
        actor: "anna".to_owned(),
        action: action.to_owned(),
        subject: "p7/1".to_owned(),
        details: "{}".to_owned(),
    }
}

fn decision(by: &str, outcome: ProposalOutcome) -> ProposalDecision {
    ProposalDecision {
        outcome,
        by: by.to_owned(),
        at_ms: 1_700_000_000_099,
    }
}

fn settlement(number: u64, by: &str, outcome: ProposalOutcome) -> Settlement {
    Settlement {
        programme: PROGRAMME,
        number,
        decision: decision(by, outcome),
    }
}

fn approved() -> ProposalOutcome {
    ProposalOutcome::Approved { publication: 2 }
}

fn rejected() -> ProposalOutcome {
    ProposalOutcome::Rejected {
        reason: "too dear".to_owned(),
    }
}

async fn propose(store: &dyn Store, row: &ProposalRow) -> Result<(), StoreError> {
    store.propose(PROGRAMME, row, &audit("propose")).await
}

/// Publication 2, if none is there.
fn publication(expected: u64) -> EntityChange {
    EntityChange {
        kind: EntityKind::Publication,
        id: "p7/2".to_owned(),
        body: Some(b"{}".to_vec()),
        expected: Some(expected),
    }
}

pub async fn one_proposal_waits_at_a_time(subject: &Subject) {
    let store = subject.open().await;
    for number in 1..=3 {
        propose(&*store, &proposal(number, "anna")).await.unwrap();
    }
    let again = propose(&*store, &proposal(3, "boris")).await;
    assert!(
        matches!(again, Err(StoreError::Exists("proposal"))),
        "{again:?}"
    );
    let superseded = |number: u64| ProposalRow {
        decision: Some(ProposalDecision {
            outcome: ProposalOutcome::Superseded,
            by: "anna".to_owned(),
            at_ms: 1_700_000_000_001 + number,
        }),
        ..proposal(number, "anna")
    };
    let all = store.proposals(PROGRAMME, None, 9).await.unwrap();
    assert_eq!(all, [proposal(3, "anna"), superseded(2), superseded(1)]);
    let page = store.proposals(PROGRAMME, Some(3), 1).await.unwrap();
    assert_eq!(page, [superseded(2)]);
    assert_eq!(store.proposals(ProgrammeId(8), None, 9).await.unwrap(), []);
    assert_eq!(store.audit(None, 9).await.unwrap().len(), 3);
}

pub async fn no_author_approves_their_own(subject: &Subject) {
    let store = subject.open().await;
    propose(&*store, &proposal(1, "anna")).await.unwrap();
    let own = settlement(1, "anna", approved());
    let outcome = store
        .settle(&own, &[publication(0)], &audit("approve"))
        .await;
    assert!(
        matches!(outcome, Err(StoreError::Refused("proposal"))),
        "{outcome:?}"
    );
    let stored = store.entity(EntityKind::Publication, "p7/2").await.unwrap();
    assert_eq!(stored, None);
    const BEHIND_THE_STORE: &str = "UPDATE proposal SET outcome = 'approved', decided_by = author, \
        decided_ms = 1, publication = 2";
    let told = subject.try_execute(BEHIND_THE_STORE).await.unwrap_err();
    assert!(told.to_lowercase().contains("check"), "{told}");
    let waiting = store.proposals(PROGRAMME, None, 9).await.unwrap();
    assert_eq!(waiting, [proposal(1, "anna")]);
    store
        .settle(&settlement(1, "anna", rejected()), &[], &audit("reject"))
        .await
        .unwrap();
    let decided = ProposalRow {
        decision: Some(decision("anna", rejected())),
        ..proposal(1, "anna")
    };
    assert_eq!(
        store.proposals(PROGRAMME, None, 9).await.unwrap(),
        [decided]
    );
}

pub async fn an_approval_and_its_publication_are_one(subject: &Subject) {
    let store = subject.open().await;
    propose(&*store, &proposal(1, "anna")).await.unwrap();
    let settled = settlement(1, "boris", approved());
    let before = store.heads().await.unwrap();
    let stale = store
        .settle(&settled, &[publication(5)], &audit("approve"))
        .await;
    assert!(
        matches!(stale, Err(StoreError::Exists("publication"))),
        "{stale:?}"
    );
    let waiting = store.proposals(PROGRAMME, None, 9).await.unwrap();
    assert_eq!(
        (waiting, store.heads().await.unwrap()),
        (vec![proposal(1, "anna")], before)
    );
    for is_first in [true, false] {
        let outcome = store
            .settle(&settled, &[publication(0)], &audit("approve"))
            .await;
        match outcome {
            Ok(()) => assert!(is_first),
            Err(error) => {
                assert!(!is_first, "{error}");
                assert!(matches!(error, StoreError::Refused("proposal")), "{error}");
            }
        }
    }
    let decided = ProposalRow {
        decision: Some(decision("boris", approved())),
        ..proposal(1, "anna")
    };
    assert_eq!(
        store.proposals(PROGRAMME, None, 9).await.unwrap(),
        [decided]
    );
    assert!(
        store
            .entity(EntityKind::Publication, "p7/2")
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(store.audit(None, 9).await.unwrap().len(), 2);
    let unknown = settlement(2, "boris", approved());
    let outcome = store.settle(&unknown, &[], &audit("approve")).await;
    assert!(
        matches!(outcome, Err(StoreError::Refused("proposal"))),
        "{outcome:?}"
    );
}

async fn office(hub: &kopilka_hub::app::Hub, login: &str) -> StaffEntity {
    let new = NewStaff {
        login: login.to_owned(),
        name: login.to_owned(),
        role: Role::HeadOffice,
        password: "correct horse battery".to_owned(),
    };
    staff::add(hub, &Actor::command_line(), new).await.unwrap()
}

pub async fn two_hubs_publish_what_was_proposed_once(subject: &Subject) {
    let [first, second] = processes(subject).await;
    furnish(&first).await;
    let programme = crate::hubs::PROGRAMME;
    sell(&first, &[10_000, 20_000, 30_000]).await;
    let (anna, boris, clara) = (
        office(&first, "anna").await,
        office(&first, "boris").await,
        office(&first, "clara").await,
    );
    let patch = json!([{ "op": "replace", "path": "/tiers/0/earn_permille", "value": 100 }]);
    let patch = serde_json::from_value(patch).unwrap();
    let author = Actor::staff("anna");
    draft::edit(&first, &author, programme, None, &patch, "points")
        .await
        .unwrap();
    let outcome = publish::publish(&first, &author, programme, "spring", false, &mut |_| ()).await;
    let Outcome::Waiting(waiting) = outcome.unwrap() else {
        panic!("twice the points are a large effect");
    };
    assert_eq!(waiting.approvers, ["boris", "clara"]);
    let number = waiting.row.number;
    let own = approval::approve(&second, &anna, programme, number).await;
    assert!(matches!(own, Err(RuleBookError::OwnProposal)), "{own:?}");
    let (one, other) = tokio::join!(
        approval::approve(&first, &boris, programme, number),
        approval::approve(&second, &clara, programme, number),
    );
    let is_late =
        |error: &RuleBookError| matches!(error, RuleBookError::Settled(_) | RuleBookError::Stale);
    match (&one, &other) {
        (Ok(made), Err(late)) | (Err(late), Ok(made)) => {
            assert!(is_late(late), "{late}");
            assert_eq!((made.number, made.by.as_str()), (2, "anna"));
        }
        both => panic!("one of two approvals counts: {both:?}"),
    }
    let programme = programmes::one(&second, programme).await.unwrap();
    assert_eq!(programme.value.publication, 2);
}
