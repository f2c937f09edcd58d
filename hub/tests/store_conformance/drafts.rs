//! Rule book drafts: edited through several processes at once, and read when a save is damaged.

use kopilka_hub::app::Hub;
use kopilka_hub::app::action::Actor;
use kopilka_hub::app::rulebook::draft::{self, Draft};
use kopilka_hub::app::rulebook::publish::Outcome;
use kopilka_hub::app::rulebook::{RuleBookError, parse, publish};
use kopilka_hub::store::{EntityChange, EntityKind};
use serde_json::json;
use tokio::task::JoinSet;

use crate::hubs::{PROGRAMME, furnish, processes};
use crate::subject::Subject;

const PRESENT: &str = "p1";
const LAST_GOOD: &str = "p1/last-good";
const DAMAGED: &str = "p1/damaged";

async fn edit(
    hub: &Hub,
    who: &str,
    base: Option<u32>,
    path: &str,
    value: u32,
) -> Result<Draft, RuleBookError> {
    let patch = json!([{ "op": "replace", "path": path, "value": value }]);
    let patch = serde_json::from_value(patch).unwrap();
    draft::edit(hub, &Actor::staff(who), PROGRAMME, base, &patch, "a reason").await
}

async fn publish(hub: &Hub) -> Result<u32, RuleBookError> {
    let olga = Actor::staff("olga");
    let made = publish::publish(hub, &olga, PROGRAMME, "n", false, &mut |_| ()).await;
    made.map(|outcome| match outcome {
        Outcome::Published { publication, .. } => publication.number,
        Outcome::Waiting(proposal) => panic!("nothing was sold: {proposal:?}"),
    })
}

/// Everybody starts from version 1, at both processes: what they set is there, and what two set is told.
pub async fn edits_at_two_processes_meet(subject: &Subject) {
    let hubs = processes(subject).await;
    furnish(&hubs[0]).await;
    let places = [
        "/tiers/0/earn_permille",
        "/tiers/1/earn_permille",
        "/redemption/share_permille_max",
        "/tiers/0/earn_permille",
    ];
    let mut edits = JoinSet::new();
    for ((number, path), hub) in (1..).zip(places).zip(hubs.iter().cycle()) {
        let hub = hub.clone();
        edits.spawn(async move {
            let who = format!("writer{number}");
            edit(&hub, &who, Some(1), path, 110 * number).await.unwrap();
        });
    }
    edits.join_all().await;
    for hub in &hubs {
        let draft = draft::show(hub, PROGRAMME).await.unwrap();
        assert_eq!(draft.version, 5);
        assert_eq!(draft.value["tiers"][1]["earn_permille"], 220);
        assert_eq!(draft.value["redemption"]["share_permille_max"], 330);
        assert_eq!(draft.conflicts.len(), 1, "{:?}", draft.conflicts);
        assert_eq!(draft.conflicts[0].path, "/tiers/0/earn_permille");
        let candidates = &draft.conflicts[0].candidates;
        let mut values: Vec<_> = candidates.iter().map(|one| one.value.as_i64()).collect();
        values.sort_unstable();
        assert_eq!(values, [Some(110), Some(440)]);
        assert!(matches!(
            publish(hub).await,
            Err(RuleBookError::Conflicts(_))
        ));
    }
    edit(&hubs[1], "olga", None, "/tiers/0/earn_permille", 440)
        .await
        .unwrap();
    assert_eq!(publish(&hubs[0]).await.unwrap(), 2);
}

async fn body(hub: &Hub, id: &str) -> Option<Vec<u8>> {
    let entity = hub.store.entity(EntityKind::RuleBook, id).await.unwrap();
    entity.map(|entity| entity.body)
}

/// Flips one bit in the middle of a save.
async fn spoil(hub: &Hub, id: &str) -> Vec<u8> {
    let mut spoilt = body(hub, id).await.unwrap();
    let middle = spoilt.len() / 2;
    spoilt[middle] ^= 0x10;
    let change = EntityChange {
        kind: EntityKind::RuleBook,
        id: id.to_owned(),
        body: Some(spoilt.clone()),
        expected: None,
    };
    hub.store.change_entities(&[change], None).await.unwrap();
    spoilt
}

/// A damaged save gives way to the one before it; nothing is published until somebody has edited.
pub async fn a_damaged_save_gives_way_to_the_last_good_one(subject: &Subject) {
    let [hub, other] = processes(subject).await;
    furnish(&hub).await;
    for permille in [60, 70] {
        let path = "/tiers/0/earn_permille";
        edit(&hub, "olga", None, path, permille).await.unwrap();
    }
    let spoilt = spoil(&hub, PRESENT).await;

    let draft = draft::show(&other, PROGRAMME).await.unwrap();
    assert_eq!(draft.version, 2);
    assert_eq!(draft.value["tiers"][0]["earn_permille"], 60);
    assert!(draft.damage.unwrap().contains("damaged"));
    let refused = publish(&hub).await.unwrap_err();
    assert!(
        matches!(refused, RuleBookError::Recovered { version: 2, .. }),
        "{refused:?}"
    );

    let draft = edit(&hub, "olga", None, "/tiers/0/earn_permille", 75).await;
    assert!(draft.unwrap().damage.is_some());
    let draft = draft::show(&other, PROGRAMME).await.unwrap();
    assert_eq!((draft.version, draft.damage), (3, None));
    assert_eq!(draft.value["tiers"][0]["earn_permille"], 75);
    assert_eq!(body(&hub, DAMAGED).await, Some(spoilt));
    assert_eq!(publish(&hub).await.unwrap(), 2);
}

/// With no save left, the publication that stores run is imported and edited on.
pub async fn a_lost_draft_begins_anew_from_a_rule_book(subject: &Subject) {
    let [hub, _] = processes(subject).await;
    furnish(&hub).await;
    edit(&hub, "olga", None, "/tiers/0/earn_permille", 60)
        .await
        .unwrap();
    let spoilt = spoil(&hub, PRESENT).await;
    spoil(&hub, LAST_GOOD).await;
    for outcome in [
        draft::show(&hub, PROGRAMME).await.map(drop),
        edit(&hub, "olga", None, "/tiers/0/earn_permille", 70)
            .await
            .map(drop),
        publish(&hub).await.map(drop),
    ] {
        let lost = outcome.unwrap_err();
        assert!(matches!(lost, RuleBookError::Lost { .. }), "{lost:?}");
    }
    let rules = publish::rules(&hub, PROGRAMME, 1).await.unwrap();
    let olga = Actor::staff("olga");
    let draft = draft::import(&hub, &olga, PROGRAMME, None, &rules, "from 1").await;
    assert_eq!(draft.unwrap().version, 1);
    let draft = draft::show(&hub, PROGRAMME).await.unwrap();
    assert_eq!(parse(&draft.value).unwrap(), rules);
    assert_eq!(body(&hub, DAMAGED).await, Some(spoilt));
    assert_eq!(publish(&hub).await.unwrap(), 2);
}
