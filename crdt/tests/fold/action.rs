//! What writers of a random history do, and the operations that come of it.

use kopilka_crdt::card::{Card, CardKind, CardState};
use kopilka_crdt::clock::Day;
use kopilka_crdt::identifier::{CardTag, IdentifierHash, IdentifierKind};
use kopilka_crdt::ids::{AccountId, MemberId, PartnerId};
use kopilka_crdt::ledger::Cause;
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::{
    Adjustment, AllowanceReturn, Binding, Body, CardChange, Channel, ClockMark, ConsentChange,
    Credit, Enrolment, GiftChange, TagChange,
};
use proptest::prelude::*;

use crate::history::{Step, Writer, Written};
use crate::sale::{
    self, Gains, MAIN, SECOND, charge, gains, own_rights, purchase, refund, reversal,
};

/// The member of all histories. As in a record of a gift card or a budget, sales draw on it too.
pub const MEMBER: MemberId = MemberId(77);
const CHANNELS: [Channel; 3] = [Channel::PersonalData, Channel::Sms, Channel::Push];
const CARD_STATES: [CardState; 4] = [
    CardState::Issued,
    CardState::Active,
    CardState::Replaced,
    CardState::Closed,
];

/// What one writer does.
#[derive(Debug, Clone)]
pub enum Action {
    /// Enrols the member, brought by one of a few others or by nobody.
    Enrol { referrer: Option<u64> },
    /// Sells, with what promotions had to do with it.
    Purchase {
        spent: i64,
        earned: i64,
        gains: Option<Gains>,
    },
    /// Takes back quarters of a purchase; `renews` what was spent, or puts it back into its lots.
    Reverse {
        place: usize,
        quarters: i64,
        renews: bool,
    },
    /// Draws on the member as on a gift card or a budget.
    Charge { taken: i64, counted: Option<u32> },
    /// Gives quarters of a charge back.
    Refund { place: usize, quarters: i64 },
    /// Credits and writes off by hand.
    Adjust { credited: i64, taken: i64 },
    /// Changes the number of gifts.
    Gift { count: i32 },
    /// Gives or withdraws consent.
    Consent { channel: usize, given: bool },
    /// Puts a tag on or takes it off.
    Tag { tag: u8, on: bool },
    /// Moves a card on.
    Card { tag: u32, state: usize },
    /// Gives a card.
    Bind { tag: u8, tail: u16, replaces: bool },
    /// Gives a right back.
    GiveBack { place: usize },
    /// Learns what another writer wrote.
    Hear { writer: usize, entries: usize },
    /// Marks its clock.
    Mark,
}

/// Any action; sales, returns and hearing of others most often.
pub fn action() -> impl Strategy<Value = Action> {
    let gains = prop::option::of(gains());
    prop_oneof![
        1 => prop::option::of(70..73_u64).prop_map(|referrer| Action::Enrol { referrer }),
        6 => (0..30_i64, 0..30_i64, gains).prop_map(|(spent, earned, gains)| Action::Purchase { spent, earned, gains }),
        3 => (0..9_usize, 1..=4_i64, any::<bool>())
            .prop_map(|(place, quarters, renews)| Action::Reverse { place, quarters, renews }),
        2 => (0..30_i64, prop::option::of(0..2_u32)).prop_map(|(taken, counted)| Action::Charge { taken, counted }),
        1 => (0..9_usize, 1..=4_i64).prop_map(|(place, quarters)| Action::Refund { place, quarters }),
        2 => (0..30_i64, 0..30_i64).prop_map(|(credited, taken)| Action::Adjust { credited, taken }),
        1 => (-2..3_i32).prop_map(|count| Action::Gift { count }),
        1 => (0..CHANNELS.len(), any::<bool>()).prop_map(|(channel, given)| Action::Consent { channel, given }),
        1 => (0..2_u8, any::<bool>()).prop_map(|(tag, on)| Action::Tag { tag, on }),
        1 => (0..3_u32, 0..CARD_STATES.len()).prop_map(|(tag, state)| Action::Card { tag, state }),
        1 => (0..3_u8, 0..3_u16, any::<bool>()).prop_map(|(tag, tail, replaces)| Action::Bind { tag, tail, replaces }),
        1 => (0..9_usize).prop_map(|place| Action::GiveBack { place }),
        4 => (0..4_usize, 0..30_usize).prop_map(|(writer, entries)| Action::Hear { writer, entries }),
        1 => Just(Action::Mark),
    ]
}

/// The operation that an action makes, if it makes one; `written` is what anybody wrote so far.
pub fn body(writer: &Writer, step: &Step, written: &[Written]) -> Option<Body> {
    let day = step.day;
    let member = MEMBER;
    Some(match &step.action {
        Action::Enrol { referrer } => Body::Enrol(enrolment(day, referrer.map(MemberId))),
        Action::Purchase {
            spent,
            earned,
            gains,
        } => Body::Purchase(purchase(writer, step, *spent, *earned, gains.as_ref())),
        Action::Reverse {
            place,
            quarters,
            renews,
        } => reversal(writer, written, *place, *quarters, renews.then_some(day))?,
        Action::Charge { taken, counted } => Body::Charge(charge(writer, step, *taken, *counted)),
        Action::Refund { place, quarters } => refund(writer, written, *place, *quarters)?,
        Action::Adjust { credited, taken } => Body::Adjust(Adjustment {
            member,
            credits: vec![credit(MAIN, *credited, day)],
            taken: sale::takes(&writer.replica.member, MAIN, *taken, day),
            authority: None,
            cause: Cause::Adjustment,
            reason: "as asked".to_owned(),
            counted: Minor(*credited),
            partner: PartnerId(3),
        }),
        Action::Gift { count } => Body::Gift(GiftChange {
            member,
            code: format!("gift{}", day.0 % 2),
            count: *count,
        }),
        Action::Consent { channel, given } => Body::Consent(ConsentChange {
            member,
            channel: CHANNELS[*channel],
            given: *given,
        }),
        Action::Tag { tag, on } => Body::Tag(TagChange {
            member,
            tag: format!("tag{tag}"),
            on: *on,
        }),
        Action::Card { tag, state } => Body::CardState(CardChange {
            member,
            card: CardTag(*tag),
            state: CARD_STATES[*state],
        }),
        Action::Bind {
            tag,
            tail,
            replaces,
        } => Body::Bind(binding(*tag, *tail, *replaces)),
        Action::GiveBack { place } => {
            let own: Vec<_> = own_rights(writer).collect();
            let (allowance, _) = own.get(place % own.len().max(1))?;
            Body::AllowanceReturn(AllowanceReturn {
                member,
                allowance: *allowance,
            })
        }
        Action::Mark => Body::ClockMark(ClockMark {
            trusted: true,
            behind_ms: 0,
        }),
        Action::Hear { .. } => return None,
    })
}

fn card_hash(tag: u8) -> IdentifierHash {
    let mut hash = [9; 16];
    hash[..4].copy_from_slice(&[0, 0, 0, tag]);
    IdentifierHash(hash)
}

/// Pending, short-lived and unlimited points, by the amount.
pub fn credit(account: AccountId, amount: i64, day: Day) -> Credit {
    Credit {
        account,
        amount: Minor(amount),
        active_from: day.plus(if amount % 4 == 0 { 3 } else { 0 }),
        expires_on: (amount % 3 != 0).then(|| day.plus(5)),
    }
}

fn enrolment(day: Day, referrer: Option<MemberId>) -> Enrolment {
    Enrolment {
        member: MEMBER,
        identifiers: Vec::new(),
        card: Some((card_hash(1), Card::default())),
        profile: Vec::new(),
        consents: vec![Channel::PersonalData],
        credits: vec![credit(MAIN, 20, day), credit(SECOND, 7, day)],
        partner: PartnerId(1),
        till: None,
        cashier: None,
        referrer,
    }
}

fn binding(tag: u8, tail: u16, replaces: bool) -> Binding {
    Binding {
        member: MEMBER,
        kind: IdentifierKind::Card,
        hash: card_hash(tag),
        card: Some(Card {
            kind: CardKind::Virtual,
            tail,
            state: CardState::Active,
        }),
        replaces: replaces.then_some(CardTag(0)),
    }
}
