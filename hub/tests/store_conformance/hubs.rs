//! Several hub processes on one database.

use ed25519_dalek::SigningKey;
use kopilka_crdt::card::{CardKind, CardNumber};
use kopilka_crdt::identifier::IdentifierKind;
use kopilka_crdt::ids::{MemberId, ProgrammeId};
use kopilka_crdt::rulebook::model::Text;
use kopilka_hub::app::Hub;
use kopilka_hub::app::action::Actor;
use kopilka_hub::app::blocks::{self, CardName};
use kopilka_hub::app::catalogue::programmes;
use kopilka_hub::app::import::{Fault, Tally, Target, Watcher, import};
use kopilka_hub::app::members::{self, bind::NewIdentifier};
use kopilka_hub::app::staff::session::{SignInError, SignedIn, sign_in};
use kopilka_hub::app::staff::{self, NewStaff, Role};
use tokio::task::JoinSet;

use crate::subject::Subject;

const PASSWORD: &str = "correct horse battery";
pub const PROGRAMME: ProgrammeId = ProgrammeId(1);
pub const PHONE: &str = "+79160000001";

/// Two processes of one hub, whose clock stands still.
pub async fn processes(subject: &Subject) -> [Hub; 2] {
    let key = SigningKey::from_bytes(&[7; 32]);
    let now_ms = || 1_790_000_000_000;
    [
        Hub::new(subject.open().await, key.clone(), now_ms),
        Hub::new(subject.open().await, key, now_ms),
    ]
}

async fn add_olga(hub: &Hub) {
    let new = NewStaff {
        login: "olga".to_owned(),
        name: "Olga".to_owned(),
        role: Role::Support,
        password: PASSWORD.to_owned(),
    };
    staff::add(hub, &Actor::command_line(), new).await.unwrap();
}

async fn attempt(hub: &Hub, password: &str) -> Result<SignedIn, SignInError> {
    sign_in(hub, "olga", password.to_owned()).await
}

pub async fn failed_sign_ins_are_counted_together(subject: &Subject) {
    let hubs = processes(subject).await;
    add_olga(&hubs[0]).await;
    let mut attempts = JoinSet::new();
    for hub in &hubs {
        for _ in 0..8 {
            let hub = hub.clone();
            attempts.spawn(async move { attempt(&hub, "wrong").await });
        }
    }
    let outcomes = attempts.join_all().await;
    let count = |is_such: fn(&SignInError) -> bool| {
        let errors = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
        errors.filter(|error| is_such(error)).count()
    };
    let looked_at = count(|error| matches!(error, SignInError::Wrong));
    let paused = count(|error| matches!(error, SignInError::Paused { .. }));
    assert_eq!((looked_at, paused), (5, 11));
    for hub in &hubs {
        let outcome = attempt(hub, PASSWORD).await;
        assert!(
            matches!(outcome, Err(SignInError::Paused { seconds: 30 })),
            "{outcome:?}"
        );
    }
}

pub async fn a_right_password_forgets_the_wrong_ones(subject: &Subject) {
    let hubs = processes(subject).await;
    add_olga(&hubs[0]).await;
    for _ in 0..2 {
        for number in 0..4 {
            let outcome = attempt(&hubs[number % 2], "wrong").await;
            assert!(matches!(outcome, Err(SignInError::Wrong)), "{outcome:?}");
        }
        attempt(&hubs[1], PASSWORD).await.unwrap();
    }
}

struct Silent;

impl Watcher for Silent {
    fn progress(&mut self, _: u64, _: &Tally) {}

    fn fault(&mut self, fault: &Fault) -> std::io::Result<()> {
        panic!("{fault:?}")
    }
}

/// A programme with one member.
pub async fn furnish(hub: &Hub) -> MemberId {
    let actor = Actor::command_line();
    let name = Text {
        ru: "Копилка".to_owned(),
        en: "Kopilka".to_owned(),
    };
    let programme = programmes::create(hub, &actor, &name).await.unwrap().id;
    assert_eq!(programme, PROGRAMME);
    let partner = programmes::create_partner(hub, &actor, PROGRAMME, "Ромашка").await;
    let target = Target {
        programme: PROGRAMME,
        partner: partner.unwrap().id,
    };
    let file = format!("given_name,phone,balance\nАнна,{PHONE},120.50\n");
    import(hub, &actor, target, file.as_bytes(), &mut Silent)
        .await
        .unwrap();
    let seen = members::find(hub, PROGRAMME, IdentifierKind::Phone, PHONE).await;
    seen.unwrap().id
}

/// A card number with a right check digit.
pub fn card(number: u32) -> String {
    let digits = (0..10).map(|check| format!("7700{number:011}{check}"));
    let mut valid = digits.filter(|digits| CardNumber::parse(digits).is_ok());
    valid.next().unwrap()
}

pub async fn a_card_that_is_blocked_while_it_finds_an_owner_is_blocked(subject: &Subject) {
    let [first, second] = processes(subject).await;
    let anna = furnish(&first).await;
    let actor = Actor::command_line();
    for number in 0..20 {
        let value = card(number);
        let wish = blocks::Wish {
            card: CardName::Number(value.clone()),
            blocked: true,
            reason: "stolen blank".to_owned(),
            idempotency_key: value.clone(),
        };
        let new = NewIdentifier {
            kind: IdentifierKind::Card,
            value: value.clone(),
            card_kind: CardKind::Standard,
            replaces: None,
        };
        let (ordered, bound) = tokio::join!(
            blocks::order(&first, &actor, PROGRAMME, &wish),
            members::bind::bind(&second, &actor, PROGRAMME, anna, &new),
        );
        ordered.unwrap();
        bound.unwrap();
        let kind = IdentifierKind::Card;
        let (_, hash) = members::hash_of(&first, PROGRAMME, kind, &value)
            .await
            .unwrap();
        let seen = members::find(&first, PROGRAMME, kind, &value)
            .await
            .unwrap();
        assert!(seen.row.member.is_blocked(hash.tag()), "{number}");
    }
}
