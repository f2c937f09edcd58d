//! Bearers' cards, budgets, members' coupons and tags over a real store, with stores that draw on them.

use std::collections::BTreeSet;

use kopilka_crdt::card::{CardNumber, CardState};
use kopilka_crdt::clock::Day;
use kopilka_crdt::identifier::IdentifierKind;
use kopilka_crdt::ids::{AccountId, CashierId, MemberId, OperationId, PartnerId, TillId};
use kopilka_crdt::ledger::Take;
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::{AccountTakes, Body, Charge, ReceiptKey, Refund, Verdict};
use kopilka_hub::app::Hub;
use kopilka_hub::app::action::{ActionError, Actor};
use kopilka_hub::app::members::{self, Seen};
use kopilka_hub::app::resources::bearers::{Goods, Order, issue_some};
use kopilka_hub::app::resources::budgets::{Matched, match_publication};
use kopilka_hub::app::resources::bulk::{Count, Errand, Noted};
use kopilka_hub::app::resources::coupons::Issuing;
use kopilka_hub::app::resources::tags::Tagging;
use kopilka_hub::app::resources::transfer::{Wish, transfer};
use kopilka_protocol::message::{Reply, ReserveRequest};

use crate::hubs::{PHONE, PROGRAMME, furnish, processes};
use crate::shop::{COUPONS, GIFTS, LIMITED, NOW_MS, Shop, publish};
use crate::subject::Subject;

const PARTNER: PartnerId = PartnerId(1);

fn actor() -> Actor {
    Actor::command_line()
}

/// A hub whose rules have coupons, gift cards, tags and a limit, and its member.
async fn furnished(subject: &Subject) -> (Hub, MemberId) {
    let [hub, _] = processes(subject).await;
    let anna = furnish(&hub).await;
    publish(&hub, 1_000).await;
    (hub, anna)
}

async fn issued(hub: &Hub, goods: Goods, key: &str) -> Vec<CardNumber> {
    let order = Order {
        programme: PROGRAMME,
        partner: PARTNER,
        goods,
        prefix: None,
        count: 3,
    };
    issue_some(hub, &actor(), &order, key).await.unwrap()
}

async fn by_number(hub: &Hub, number: &CardNumber) -> Seen {
    members::find(hub, PROGRAMME, IdentifierKind::Card, number.digits())
        .await
        .unwrap()
}

fn spendable(seen: &Seen, account: AccountId) -> i64 {
    let account = seen.row.member.account(account);
    account.view(seen.moment.today()).unwrap().spendable.0
}

fn charge(seen: &Seen, account: AccountId, amount: i64, till: u32) -> Charge {
    let account_of = seen.row.member.account(account);
    let lot = *account_of.lots.keys().next().unwrap();
    let taken = AccountTakes {
        account,
        takes: vec![Take {
            lot,
            amount: Minor(amount),
        }],
    };
    Charge {
        member: seen.id,
        card: seen.row.member.cards.keys().next().copied(),
        receipt: ReceiptKey {
            till: TillId(till),
            day: Day::from_ms(NOW_MS, 0),
            number: 1,
        },
        cashier: CashierId(1),
        taken: Some(taken),
        authority: None,
        counted: None,
    }
}

pub async fn numbers_are_told_once_and_open_their_card(subject: &Subject) {
    let (hub, _) = furnished(subject).await;
    let value = Goods::GiftCards(Some(Minor(150_000)));
    let loaded = issued(&hub, value, "one").await;
    let blank = issued(&hub, Goods::GiftCards(None), "two").await;
    let coupons = issued(&hub, Goods::Coupons("next".to_owned()), "three").await;
    let numbers: BTreeSet<_> = [&loaded[..], &blank, &coupons]
        .concat()
        .into_iter()
        .collect();
    assert_eq!(numbers.len(), 9);
    let cases = [
        (&loaded, CardState::Active, 150_000, 0),
        (&blank, CardState::Issued, 0, 0),
        (&coupons, CardState::Active, 0, 1),
    ];
    for (numbers, state, money, coupons) in cases {
        for number in numbers {
            let seen = by_number(&hub, number).await;
            let card = seen.row.member.cards.values().next().unwrap();
            assert_eq!((card.state, card.tail), (state, number.tail()));
            assert_eq!(
                (spendable(&seen, GIFTS), spendable(&seen, COUPONS)),
                (money, coupons)
            );
        }
    }
    let again = Order {
        programme: PROGRAMME,
        partner: PARTNER,
        goods: Goods::GiftCards(None),
        prefix: None,
        count: 3,
    };
    let refused = issue_some(&hub, &actor(), &again, "one").await;
    assert!(
        matches!(refused, Err(ActionError::Conflict(_))),
        "{refused:?}"
    );
    let audit = hub.store.audit(None, 9).await.unwrap();
    assert!(audit.iter().any(|(_, row)| row.action == "gift_card.issue"));
    for number in &numbers {
        let told = audit
            .iter()
            .any(|(_, row)| row.details.contains(number.digits()));
        assert!(!told, "the audit keeps no number");
    }
}

/// Two stores without a connection take one coupon: both sales count, and the second is named.
pub async fn a_coupon_used_in_two_stores_is_an_overdraft_of_the_second(subject: &Subject) {
    let (hub, _) = furnished(subject).await;
    let coupons = issued(&hub, Goods::Coupons("next".to_owned()), "key").await;
    let seen = by_number(&hub, &coupons[0]).await;
    let (mut north, mut south) = (Shop::new(&hub, 1), Shop::new(&hub, 2));
    north.write(&Body::Charge(charge(&seen, COUPONS, 1, 1)));
    south.write(&Body::Charge(charge(&seen, COUPONS, 1, 2)));
    assert_eq!(north.sync().await, []);
    let [note] = &south.sync().await[..] else {
        panic!("one verdict that is not plain acceptance");
    };
    assert_eq!(note.verdict, Verdict::Overdraft);
    let cases = hub.store.cases(PROGRAMME, None, 9).await.unwrap();
    let named: Vec<_> = cases
        .iter()
        .map(|(_, case)| (case.kind, case.node, case.member))
        .collect();
    assert_eq!(named, [("overdraft", Some(south.node.id), Some(seen.id))]);
}

/// A gift card pays on a right that the hub grants on the spot, leaves a share with the store, and gets its money back.
pub async fn a_gift_card_pays_and_is_paid_back(subject: &Subject) {
    let (hub, _) = furnished(subject).await;
    let value = Goods::GiftCards(Some(Minor(150_000)));
    let cards = issued(&hub, value, "key").await;
    let seen = by_number(&hub, &cards[0]).await;
    let mut shop = Shop::new(&hub, 1);
    let request = ReserveRequest {
        member: seen.id,
        account: GIFTS,
        amount: Minor(50_000),
        deadline_ms: 100,
    };
    let reply = hub.reserve(&shop.node, &request).await.unwrap();
    assert!(matches!(reply, Reply::Reserved(_)), "{reply:?}");
    let paid = shop.draw(seen.id, GIFTS, 50_000).await.unwrap();
    assert_eq!(shop.sync().await, []);
    let after = by_number(&hub, &cards[0]).await;
    assert_eq!(spendable(&after, GIFTS), 100_000);
    let held = after.row.member.outstanding(GIFTS);
    assert_eq!(
        held,
        Minor(50_000),
        "half of what is left may be spent offline"
    );
    let charge_id = OperationId {
        node: shop.node.id,
        incarnation: shop.node.incarnation,
        sequence: 1,
    };
    shop.write(&Body::Refund(Refund {
        member: seen.id,
        charge: charge_id,
        till: TillId(1),
        cashier: CashierId(1),
        day: Day::from_ms(NOW_MS, 0),
        restored: paid.taken,
        uncounted: None,
    }));
    assert_eq!(shop.sync().await, []);
    assert_eq!(spendable(&by_number(&hub, &cards[0]).await, GIFTS), 150_000);
}

pub async fn a_budget_follows_the_rules(subject: &Subject) {
    let (hub, _) = furnished(subject).await;
    let matched = |change, left_over| Matched {
        promotion: LIMITED,
        change: Minor(change),
        left_over: Minor(left_over),
    };
    let bring = async |most| {
        publish(&hub, most).await;
        match_publication(&hub, &actor(), PROGRAMME).await.unwrap()
    };
    assert_eq!(bring(1_000).await, [matched(1_000, 0)]);
    assert_eq!(bring(1_000).await, []);
    assert_eq!(bring(1_200).await, [matched(200, 0)]);
    let mut shop = Shop::new(&hub, 1);
    let record = MemberId::of_limit(LIMITED, None);
    assert!(shop.reserve(record, AccountId::BUDGET, 300).await);
    shop.draw(record, AccountId::BUDGET, 300).await.unwrap();
    assert_eq!(shop.sync().await, []);
    let held = members::one(&hub, PROGRAMME, record).await.unwrap();
    let held = held.row.member.outstanding(AccountId::BUDGET).0;
    assert!(held > 0, "a store that draws gets a part");
    let free = 1_200 - 300 - held;
    assert_eq!(bring(100).await, [matched(-free, 1_100 - free)]);
    assert_eq!(bring(100).await, [matched(0, 1_100 - free)]);
    let seen = members::one(&hub, PROGRAMME, record).await.unwrap();
    assert_eq!(spendable(&seen, AccountId::BUDGET), held);
}

/// For the first thousand customers: two stores draw, mostly without a connection, and never give more.
pub async fn a_limit_of_the_programme_is_never_exceeded(subject: &Subject) {
    let (hub, _) = furnished(subject).await;
    match_publication(&hub, &actor(), PROGRAMME).await.unwrap();
    let record = MemberId::of_limit(LIMITED, None);
    let mut shops = [Shop::new(&hub, 1), Shop::new(&hub, 2)];
    let mut given = 0;
    loop {
        let before = given;
        for shop in &mut shops {
            shop.reserve(record, AccountId::BUDGET, 1).await;
            while shop.draw(record, AccountId::BUDGET, 1).await.is_some() {
                given += 1;
            }
        }
        for shop in &mut shops {
            assert_eq!(shop.sync().await, []);
        }
        if given == before {
            break;
        }
    }
    assert_eq!(given, 1_000);
    let seen = members::one(&hub, PROGRAMME, record).await.unwrap();
    assert_eq!(spendable(&seen, AccountId::BUDGET), 0);
    assert_eq!(hub.store.cases(PROGRAMME, None, 9).await.unwrap(), []);
}

async fn give(hub: &Hub, to: MemberId, key: &str) -> Result<Option<OperationId>, ActionError> {
    let deed = Issuing::new(hub, PROGRAMME, "next", PARTNER, key).await?;
    let actor = actor();
    let errand = Errand::new(hub, &actor, PROGRAMME, &deed).await?;
    errand.to_one(to).await
}

pub async fn coupons_are_given_and_given_on(subject: &Subject) {
    let (hub, anna) = furnished(subject).await;
    let boris = Shop::new(&hub, 1).enrol().await;
    assert!(give(&hub, anna, "one").await.unwrap().is_some());
    assert_eq!(
        give(&hub, anna, "one").await.unwrap(),
        None,
        "once for a key"
    );
    assert!(give(&hub, anna, "two").await.unwrap().is_some());
    let refused = give(&hub, anna, "three").await;
    assert!(
        matches!(refused, Err(ActionError::Conflict(_))),
        "two at most: {refused:?}"
    );

    let wish = Wish {
        from: anna,
        to: boris,
        series: "next".to_owned(),
        idempotency_key: "key".to_owned(),
    };
    let made = transfer(&hub, &actor(), PROGRAMME, &wish).await.unwrap();
    let again = transfer(&hub, &actor(), PROGRAMME, &wish).await.unwrap();
    assert_eq!((made.repeated, again.repeated), (false, true));
    assert_eq!(made.operation, again.operation);
    let lots = async |member| {
        let seen = members::one(&hub, PROGRAMME, member).await.unwrap();
        let account = seen.row.member.account(COUPONS);
        let left = account.lots.into_values();
        let left = left.filter(|lot| lot.remaining().unwrap() > Minor::ZERO);
        left.map(|lot| (lot.active_from, lot.expires_on))
            .collect::<Vec<_>>()
    };
    let (hers, his) = (lots(anna).await, lots(boris).await);
    assert_eq!((hers.len(), hers[0].1.is_some()), (1, true));
    assert_eq!(his, hers, "with the days that it had");

    let back = Wish {
        from: boris,
        to: boris,
        ..wish.clone()
    };
    let refused = transfer(&hub, &actor(), PROGRAMME, &back).await;
    assert!(matches!(
        refused,
        Err(ActionError::Invalid { field: "to", .. })
    ));
    let fixed = Wish {
        series: "fixed".to_owned(),
        ..wish
    };
    let refused = transfer(&hub, &actor(), PROGRAMME, &fixed).await;
    assert!(
        matches!(refused, Err(ActionError::Conflict(_))),
        "{refused:?}"
    );
}

pub async fn a_list_is_tagged_line_by_line(subject: &Subject) {
    let (hub, anna) = furnished(subject).await;
    let (rules, _) = members::rules_now(&hub, PROGRAMME).await.unwrap();
    let unknown = Tagging::put(&rules, "regulars");
    assert!(matches!(
        unknown,
        Err(ActionError::Invalid { field: "tag", .. })
    ));
    let gift = issued(&hub, Goods::GiftCards(None), "key").await;
    let actor = actor();
    let visit = async |deed: &Tagging, list: &str| {
        let errand = Errand::new(&hub, &actor, PROGRAMME, deed).await.unwrap();
        let mut noted = Noted::default();
        let count = errand.to_listed(list.as_bytes(), &mut noted).await.unwrap();
        let lines: Vec<u64> = noted.0.iter().map(|fault| fault.line).collect();
        (count, lines)
    };
    let count = |changed, unchanged, faulty| Count {
        changed,
        unchanged,
        faulty,
    };
    let put = Tagging::put(&rules, "parents").unwrap();
    let list = format!(
        "\u{feff}{PHONE},Анна\nAnna\n+79160000099\n{}\n{anna}\n",
        gift[0].digits()
    );
    let (tally, lines) = visit(&put, &list).await;
    assert_eq!((tally, lines), (count(1, 1, 3), vec![2, 3, 4]));
    let seen = members::one(&hub, PROGRAMME, anna).await.unwrap();
    assert_eq!(seen.row.member.tags_on().collect::<Vec<_>>(), ["parents"]);
    assert_eq!(visit(&put, PHONE).await.0, count(0, 1, 0));
    let off = Tagging::take_off("parents");
    assert_eq!(visit(&off, PHONE).await.0, count(1, 0, 0));
    let seen = members::one(&hub, PROGRAMME, anna).await.unwrap();
    assert_eq!(seen.row.member.tags_on().count(), 0);
}
