//! A member's personal data, erased at the hub.

use ed25519_dalek::SigningKey;
use kopilka_crdt::card::CardKind;
use kopilka_crdt::clock::Stamp;
use kopilka_crdt::identifier::{IdentifierHash, IdentifierKind};
use kopilka_crdt::ids::{AccountId, Incarnation, MemberId, NodeId, PartnerId, StoreId};
use kopilka_crdt::log::{Log, Tip};
use kopilka_crdt::member::Shown;
use kopilka_crdt::operation::{Binding, Body, ProfileChange, ProfileField};
use kopilka_crdt::sealed::{MemberKey, Sealed};
use kopilka_hub::app::Hub;
use kopilka_hub::app::action::{ActionError, Actor};
use kopilka_hub::app::entities::NodeEntity;
use kopilka_hub::app::intake::{Arrived, Intake, Taken};
use kopilka_hub::app::members::bind::{NewIdentifier, bind};
use kopilka_hub::app::members::erase::erase;
use kopilka_hub::app::members::{self, Seen, profile};
use kopilka_protocol::key::PublicKey;
use kopilka_protocol::segment::{Seal, Segment, Verified};

use crate::hubs::{PHONE, PROGRAMME, card, furnish, processes};
use crate::subject::Subject;

const CARD: IdentifierKind = IdentifierKind::Card;

async fn give_card(hub: &Hub, member: MemberId, number: u32) -> Result<(), ActionError> {
    let new = NewIdentifier {
        kind: CARD,
        value: card(number),
        card_kind: CardKind::Standard,
        replaces: None,
    };
    bind(hub, &Actor::command_line(), PROGRAMME, member, &new).await
}

async fn erase_of(hub: &Hub, member: MemberId) {
    erase(hub, &Actor::command_line(), PROGRAMME, member)
        .await
        .unwrap();
}

fn spendable(seen: &Seen) -> i64 {
    let account = seen.row.member.account(AccountId(1));
    account.view(seen.moment.today()).unwrap().spendable.0
}

pub async fn an_erased_member_keeps_cards_and_points(subject: &Subject) {
    let [hub, other] = processes(subject).await;
    let anna = furnish(&hub).await;
    give_card(&hub, anna, 1).await.unwrap();
    let actor = Actor::command_line();
    let opened = profile::open(&hub, &actor, PROGRAMME, anna).await.unwrap();
    assert_eq!(opened.len(), 2);
    let before = other.store.heads().await.unwrap();
    erase_of(&hub, anna).await;
    let after = other.store.heads().await.unwrap();
    assert_ne!(before.feed, after.feed, "nodes are told");

    let outcome = profile::open(&other, &actor, PROGRAMME, anna).await;
    assert!(matches!(outcome, Err(ActionError::Erased)), "{outcome:?}");
    let by_phone = members::find(&other, PROGRAMME, IdentifierKind::Phone, PHONE).await;
    assert!(matches!(by_phone, Err(ActionError::NotFound { .. })));
    let seen = members::find(&other, PROGRAMME, CARD, &card(1))
        .await
        .unwrap();
    assert_eq!((seen.id, spendable(&seen)), (anna, 12_050));
    assert_eq!(seen.row.member.shown, Shown::default());
    assert_eq!(seen.row.identifiers.len(), 1);

    erase_of(&other, anna).await;
    assert_eq!(other.store.heads().await.unwrap(), after);
    let audit = hub.store.audit(None, 99).await.unwrap();
    let erasures: Vec<_> = audit
        .iter()
        .filter(|(_, row)| row.action == "member.erase")
        .map(|(_, row)| (row.subject.as_str(), row.details.as_str()))
        .collect();
    assert_eq!(erasures, [(anna.to_string().as_str(), "{}")]);

    give_card(&hub, anna, 2).await.unwrap();
    let phone = NewIdentifier {
        kind: IdentifierKind::Phone,
        value: PHONE.to_owned(),
        card_kind: CardKind::Standard,
        replaces: None,
    };
    let outcome = bind(&hub, &actor, PROGRAMME, anna, &phone).await;
    assert!(matches!(outcome, Err(ActionError::Erased)), "{outcome:?}");
}

/// A store's log with what it noted about a member before it heard of the erasure.
fn written_before(key: &SigningKey, member: MemberId, member_key: &MemberKey) -> Verified {
    let (node, incarnation) = (NodeId(1), Incarnation(1));
    let base = Tip::genesis(node, incarnation);
    let mut log = Log::resume(node, incarnation, base, Stamp::default());
    let sealed = Sealed::seal(member_key, member, [3; 24], "Анна".as_bytes()).unwrap();
    let bodies = [
        Body::Profile(ProfileChange {
            member,
            fields: vec![(ProfileField::GivenName, sealed)],
        }),
        Body::Bind(Binding {
            member,
            kind: IdentifierKind::Qr,
            hash: IdentifierHash([5; 16]),
            card: None,
            replaces: None,
        }),
    ];
    let entries = bodies
        .iter()
        .map(|body| log.append(1_790_000_000_000, body).unwrap().bytes)
        .collect();
    let segment = Segment {
        node,
        incarnation,
        base,
        entries,
        signature: Seal::sign(key, node, incarnation, log.tip()).signature,
    };
    segment.verify(&PublicKey::of(key)).unwrap()
}

pub async fn what_a_store_wrote_before_it_knew_stays_out(subject: &Subject) {
    let [hub, _] = processes(subject).await;
    let anna = furnish(&hub).await;
    erase_of(&hub, anna).await;
    let key = SigningKey::from_bytes(&[4; 32]);
    let member_key = MemberKey([6; 32]);
    let arrived = Arrived {
        node: NodeEntity {
            id: NodeId(1),
            programme: PROGRAMME,
            store: StoreId(1),
            partner: PartnerId(1),
            key: PublicKey::of(&key),
            incarnation: Incarnation(1),
            enrolled_ms: 0,
            revoked: false,
        },
        run: written_before(&key, anna, &member_key),
        keys: vec![(anna, member_key)],
    };
    let taken = Intake::start(hub.clone())
        .submit(arrived)
        .await
        .await
        .unwrap();
    assert!(matches!(taken, Taken::Durable(..)), "{taken:?}");
    let seen = members::one(&hub, PROGRAMME, anna).await.unwrap();
    assert_eq!(seen.row.member.shown, Shown::default());
    assert_eq!(seen.row.identifiers, []);
    let profile = hub.store.profile(PROGRAMME, anna).await.unwrap();
    assert_eq!(profile, (None, vec![]));
}
