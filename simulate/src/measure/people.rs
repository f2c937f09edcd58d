//! Made-up members, their cards and what they buy: number n is the same person on every machine.

use kopilka_crdt::card::{Card, CardKind, CardNumber, CardState};
use kopilka_crdt::clock::{Day, Stamp};
use kopilka_crdt::identifier::{
    Identifier, IdentifierHash, IdentifierKind, LookupKey, masked_name, masked_phone,
};
use kopilka_crdt::ids::{AccountId, Incarnation, LotId, MemberId, NodeId, OperationId, PartnerId};
use kopilka_crdt::ledger::{Account, Cause, Lot};
use kopilka_crdt::member::{Member, Shown};
use kopilka_crdt::money::{Milli, Minor};
use kopilka_rules::pricing::ReceiptLine;

/// Accounts of each member, one lot in each.
pub const ACCOUNTS: u16 = 3;
/// Days for which the lots still live.
const LOT_DAYS: u32 = 200;
/// Articles that the shops sell; each has one price.
const ARTICLES: u64 = 4_000;
/// Pieces of a line at most, as in the sample of real receipts beside the tests.
const PIECES_MAX: u64 = 12;
/// Prices, minor units: from the first, so many different ones.
const PRICES: (i64, u64) = (100, 900);
/// Lines of each receipt.
const LINES: u64 = 4;

/// A member with what they are found by.
pub struct Person {
    /// Who.
    pub id: MemberId,
    /// Their card and their phone.
    pub identifiers: [(IdentifierKind, IdentifierHash); 2],
    /// Their state.
    pub member: Member,
}

/// The member's identifier.
pub fn id(number: u64) -> MemberId {
    MemberId::from_seed(u128::from(number).to_le_bytes())
}

/// The number on the member's card.
pub fn card(number: u64) -> CardNumber {
    CardNumber::from_body(&format!("2200{number:011}"))
        .expect("15 digits are the body of a card number")
}

fn phone(number: u64) -> Identifier {
    Identifier::parse(IdentifierKind::Phone, &format!("+79{number:09}"))
        .expect("a plus and eleven digits are a phone number")
}

/// The whole of a member who has been one for a while.
pub fn person(number: u64, lookup: &LookupKey, today: Day) -> Person {
    let (card, phone) = (card(number), phone(number));
    let card_hash = Identifier::card(&card).hash(lookup);
    let shown = Card {
        kind: CardKind::Standard,
        tail: card.tail(),
        state: CardState::Active,
    };
    let mut member = Member {
        enrolled: Stamp::from_ms(1_700_000_000_000 + number),
        shown: Shown {
            name: masked_name("Анна", "Кузнецова"),
            phone: masked_phone(phone.reveal()),
            birthday: None,
        },
        counted: Minor(100_000 + varied(number, 300_000)),
        purchases: 7,
        last_purchase: Stamp::from_ms(1_720_000_000_000 + number),
        ..Member::default()
    };
    member.cards.insert(card_hash.tag(), shown);
    for place in 1..=ACCOUNTS {
        member
            .accounts
            .insert(AccountId(place), account(number, place, today));
    }
    Person {
        id: id(number),
        identifiers: [
            (IdentifierKind::Card, card_hash),
            (IdentifierKind::Phone, phone.hash(lookup)),
        ],
        member,
    }
}

fn account(number: u64, place: u16, today: Day) -> Account {
    let operation = OperationId {
        node: NodeId::HUB,
        incarnation: Incarnation(1),
        sequence: number * u64::from(ACCOUNTS) + u64::from(place),
    };
    let lot = Lot {
        amount: Minor(25_000 + varied(number, 10_000)),
        active_from: Day(today.0.saturating_sub(LOT_DAYS)),
        expires_on: Some(today.plus(LOT_DAYS)),
        issuer: Some(PartnerId(1)),
        cause: Cause::Import,
        ..Lot::default()
    };
    let mut account = Account::default();
    account.lots.insert(
        LotId {
            operation,
            index: 0,
        },
        lot,
    );
    account
}

/// The four lines of a receipt.
pub fn basket(number: u64) -> Vec<ReceiptLine> {
    let line = |place: u64| {
        let seed = number * LINES + place;
        // Some articles are sold more often than others.
        let article = drawn(seed, ARTICLES).min(drawn(!seed, ARTICLES));
        let letter = char::from(b'A' + u8::try_from(article % 6).expect("below 6"));
        ReceiptLine {
            sku: format!("{}{letter}", 20_000 + article * 17),
            group: String::new(),
            quantity: Milli(1_000 * (1 + drawn(seed ^ article, PIECES_MAX))),
            unit_price: Minor(PRICES.0 + varied(article, PRICES.1)),
            discount: Minor::ZERO,
            price_min: None,
            attributes: std::collections::BTreeMap::new(),
        }
    };
    (0..LINES).map(line).collect()
}

/// A number that looks drawn at random below `bound`, the same each time (SplitMix64).
pub fn drawn(seed: u64, bound: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) % bound.max(1)
}

fn varied(number: u64, bound: u64) -> i64 {
    i64::try_from(drawn(number, bound)).expect("a small bound")
}
