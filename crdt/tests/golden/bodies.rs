//! Samples of every kind of operation, with every variant of what is inside them.

use std::collections::BTreeMap;

use kopilka_crdt::allowance::{Allowance, AllowanceRef, AllowanceUse, Rung};
use kopilka_crdt::card::{Card, CardKind, CardState};
use kopilka_crdt::clock::Day;
use kopilka_crdt::identifier::{CardTag, IdentifierHash, IdentifierKind};
use kopilka_crdt::ids::{
    AccountId, CashierId, Incarnation, LotId, MemberId, NodeId, OperationId, PartnerId, TillId,
};
use kopilka_crdt::ledger::{Cause, Take};
use kopilka_crdt::money::{Milli, Minor};
use kopilka_crdt::operation::{
    AccountTakes, Adjustment, AllowanceReturn, Authority, Binding, Body, CardChange, Channel,
    ClockMark, ConsentChange, Credit, Enrolment, GiftChange, IncarnationMark, ProfileChange,
    ProfileField, Purchase, PurchaseLine, ReceiptKey, ReturnedLine, Reversal, Tender, TenderKind,
};
use kopilka_crdt::sealed::Sealed;

use crate::limited;

pub const MEMBER: MemberId = MemberId(0x0123_4567_89ab_cdef);

/// A kind's place on the wire: a new kind goes to the end.
pub fn place(body: &Body) -> usize {
    match body {
        Body::Enrol(_) => 0,
        Body::Bind(_) => 1,
        Body::CardState(_) => 2,
        Body::Purchase(_) => 3,
        Body::Cancel(_) => 4,
        Body::Return(_) => 5,
        Body::Adjust(_) => 6,
        Body::Gift(_) => 7,
        Body::Profile(_) => 8,
        Body::Consent(_) => 9,
        Body::AllowanceReturn(_) => 10,
        Body::ClockMark(_) => 11,
        Body::IncarnationMark(_) => 12,
        Body::Tag(_) => 13,
        Body::Charge(_) => 14,
        Body::Refund(_) => 15,
    }
}

/// All samples, in the order of their kinds.
pub fn samples() -> Vec<(&'static str, Body)> {
    let mut samples = vec![("enrol", enrolment()), ("enrol_bare", bare_enrolment())];
    samples.extend(bindings());
    samples.extend(card_states());
    samples.extend([
        ("purchase", Body::Purchase(purchase())),
        ("purchase_bare", bare_purchase()),
        ("purchase_promoted", limited::promoted_purchase()),
        ("cancel", Body::Cancel(reversal(true))),
        ("return", Body::Return(reversal(false))),
        ("return_promoted", limited::promoted_return()),
        ("adjust", adjustment(Cause::Adjustment)),
        ("adjust_import", adjustment(Cause::Import)),
        ("adjust_welcome", adjustment(Cause::Welcome)),
        ("adjust_purchase", adjustment(Cause::Purchase)),
        ("adjust_referral", adjustment(Cause::Referral)),
        ("adjust_issued", adjustment(Cause::Issued)),
        ("adjust_loaded", adjustment(Cause::Loaded)),
        ("adjust_restored", adjustment(Cause::Restored)),
        ("adjust_budget", adjustment(Cause::Budget)),
        ("gift", gift(2)),
        ("gift_handed_out", gift(-1)),
        ("profile", profile()),
    ]);
    samples.extend(consents());
    samples.extend([
        (
            "allowance_return_granted",
            allowance_return(AllowanceRef::Granted(3)),
        ),
        (
            "allowance_return_earned",
            allowance_return(AllowanceRef::Earned(lot(1, 2))),
        ),
        (
            "clock_mark",
            Body::ClockMark(ClockMark {
                trusted: false,
                behind_ms: 700_000,
            }),
        ),
        (
            "incarnation_mark_first",
            Body::IncarnationMark(IncarnationMark { previous: None }),
        ),
        (
            "incarnation_mark",
            Body::IncarnationMark(IncarnationMark {
                previous: Some(Incarnation(1)),
            }),
        ),
    ]);
    samples.extend(limited::samples());
    samples
}

/// Rights as the hub grants them.
pub fn granted() -> [(AllowanceRef, Allowance); 2] {
    let right = Allowance {
        account: AccountId(1),
        node: NodeId(7),
        incarnation: Incarnation(2),
        amount: Minor(50_000),
        used: Minor(1_234),
        granted_on: Day(20_724),
        expires_at_ms: 1_790_604_800_000,
        recalled: false,
        closed: false,
    };
    let closed = Allowance {
        recalled: true,
        closed: true,
        ..right
    };
    [
        (AllowanceRef::Granted(2), closed),
        (AllowanceRef::Granted(3), right),
    ]
}

fn hash(first: u8) -> IdentifierHash {
    let mut bytes = [0xa0; 16];
    bytes[0] = first;
    IdentifierHash(bytes)
}

pub fn operation(sequence: u64) -> OperationId {
    OperationId {
        node: NodeId(7),
        incarnation: Incarnation(2),
        sequence,
    }
}

pub fn lot(sequence: u64, index: u8) -> LotId {
    LotId {
        operation: operation(sequence),
        index,
    }
}

pub fn take(lot: LotId, amount: i64) -> AccountTakes {
    AccountTakes {
        account: AccountId(1),
        takes: vec![Take {
            lot,
            amount: Minor(amount),
        }],
    }
}

pub fn credit(account: u16, amount: i64, expires_on: Option<Day>) -> Credit {
    Credit {
        account: AccountId(account),
        amount: Minor(amount),
        active_from: Day(20_717),
        expires_on,
    }
}

fn enrolment() -> Body {
    let card = Card {
        kind: CardKind::Employee,
        tail: 8713,
        state: CardState::Active,
    };
    let sealed = |byte| Sealed(vec![byte; 44]);
    Body::Enrol(Enrolment {
        member: MEMBER,
        identifiers: vec![
            (IdentifierKind::Phone, hash(2)),
            (IdentifierKind::Nfc, hash(4)),
        ],
        card: Some((hash(1), card)),
        profile: vec![
            (ProfileField::GivenName, sealed(1)),
            (ProfileField::FamilyName, sealed(2)),
            (ProfileField::Phone, sealed(3)),
        ],
        consents: vec![Channel::PersonalData, Channel::Sms],
        credits: vec![credit(1, 25_000, Some(Day(21_082))), credit(2, 1, None)],
        partner: PartnerId(3),
        till: Some(TillId(41)),
        cashier: Some(CashierId(502)),
        referrer: Some(MemberId(78)),
    })
}

fn bare_enrolment() -> Body {
    Body::Enrol(Enrolment {
        member: MemberId(1),
        identifiers: Vec::new(),
        card: None,
        profile: Vec::new(),
        consents: Vec::new(),
        credits: Vec::new(),
        partner: PartnerId(0),
        till: None,
        cashier: None,
        referrer: None,
    })
}

fn bindings() -> [(&'static str, Body); 7] {
    let bind = |kind, card: Option<CardKind>, replaces| {
        let card = card.map(|kind| Card {
            kind,
            tail: 42,
            state: CardState::Issued,
        });
        Body::Bind(Binding {
            member: MEMBER,
            kind,
            hash: hash(9),
            card,
            replaces,
        })
    };
    [
        (
            "bind_card",
            bind(
                IdentifierKind::Card,
                Some(CardKind::Standard),
                Some(hash(1).tag()),
            ),
        ),
        ("bind_phone", bind(IdentifierKind::Phone, None, None)),
        (
            "bind_qr",
            bind(IdentifierKind::Qr, Some(CardKind::Virtual), None),
        ),
        (
            "bind_nfc",
            bind(IdentifierKind::Nfc, Some(CardKind::Pensioner), None),
        ),
        ("bind_track", bind(IdentifierKind::Track, None, None)),
        (
            "bind_gift_card",
            bind(IdentifierKind::Card, Some(CardKind::Gift), None),
        ),
        (
            "bind_coupon",
            bind(IdentifierKind::Card, Some(CardKind::Coupon), None),
        ),
    ]
}

fn card_states() -> [(&'static str, Body); 4] {
    let change = |state| {
        Body::CardState(CardChange {
            member: MEMBER,
            card: CardTag(0x0102_0304),
            state,
        })
    };
    [
        ("card_issued", change(CardState::Issued)),
        ("card_active", change(CardState::Active)),
        ("card_replaced", change(CardState::Replaced)),
        ("card_closed", change(CardState::Closed)),
    ]
}

pub fn purchase() -> Purchase {
    let line = |sku: &str, group: &str, milli| PurchaseLine {
        sku: sku.to_owned(),
        group: group.to_owned(),
        quantity: Milli(milli),
        unit_price: Minor(19_990),
        discount: Minor(100),
        redeemed: Minor(517),
        earned: Minor(340),
    };
    let kinds = [
        TenderKind::Cash,
        TenderKind::BankCard,
        TenderKind::FastPayment,
        TenderKind::GiftCard,
        TenderKind::Other,
    ];
    let uses = [
        (AllowanceRef::Granted(3), 1_000),
        (AllowanceRef::Earned(lot(1, 0)), 34),
    ];
    Purchase {
        receipt: ReceiptKey {
            till: TillId(41),
            day: Day(20_717),
            number: 1_187,
        },
        cashier: CashierId(502),
        member: MEMBER,
        card: Some(CardTag(0x0102_0304)),
        publication: 17,
        lines: vec![line("85123A", "", 1_000), line("масло", "dairy", 345)],
        tenders: kinds
            .map(|kind| Tender {
                kind,
                amount: Minor(5_210),
            })
            .to_vec(),
        redeemed: Some(take(lot(1, 0), 1_034)),
        authority: Some(Authority {
            rung: Rung::Allowance,
            uses: uses
                .map(|(allowance, amount)| AllowanceUse {
                    allowance,
                    amount: Minor(amount),
                })
                .to_vec(),
        }),
        earned: vec![credit(1, 680, Some(Day(21_082)))],
        counted: Minor(26_050),
        partner: PartnerId(3),
        promoted: None,
    }
}

fn bare_purchase() -> Body {
    Body::Purchase(Purchase {
        receipt: ReceiptKey {
            till: TillId(0),
            day: Day(0),
            number: 0,
        },
        cashier: CashierId(0),
        member: MemberId(1),
        card: None,
        publication: 0,
        lines: Vec::new(),
        tenders: Vec::new(),
        redeemed: None,
        authority: Some(Authority {
            rung: Rung::Hub,
            uses: Vec::new(),
        }),
        earned: Vec::new(),
        counted: Minor(-1),
        partner: PartnerId(0),
        promoted: None,
    })
}

pub fn reversal(whole: bool) -> Reversal {
    Reversal {
        purchase: operation(9),
        member: MEMBER,
        cashier: CashierId(502),
        till: TillId(41),
        lines: vec![ReturnedLine {
            line: 1,
            quantity: Milli(345),
        }],
        refund: Minor(6_897),
        counted: Minor(6_897),
        day: Day(20_424),
        restored: vec![take(lot(1, 0), 517)],
        renewed: Vec::new(),
        recalled: Vec::new(),
        uncounted: Vec::new(),
        gifts: BTreeMap::new(),
        partner: PartnerId(3),
        withdrawn: vec![take(lot(9, 0), 340)],
        whole,
    }
}

fn adjustment(cause: Cause) -> Body {
    Body::Adjust(Adjustment {
        member: MEMBER,
        credits: vec![credit(1, 300, None)],
        taken: Some(take(lot(1, 0), 20)),
        authority: None,
        cause,
        reason: "спасибо за отзыв".to_owned(),
        counted: Minor(1_000_000),
        partner: PartnerId(3),
    })
}

fn gift(count: i32) -> Body {
    Body::Gift(GiftChange {
        member: MEMBER,
        code: "mug".to_owned(),
        count,
    })
}

fn profile() -> Body {
    let fields = [
        ProfileField::Email,
        ProfileField::BirthDate,
        ProfileField::Sex,
        ProfileField::Own("pet".to_owned()),
    ];
    let fields = fields.map(|field| (field, Sealed(vec![7; 41])));
    Body::Profile(ProfileChange {
        member: MEMBER,
        fields: fields.to_vec(),
    })
}

fn consents() -> [(&'static str, Body); 3] {
    let change = |channel, given| {
        Body::Consent(ConsentChange {
            member: MEMBER,
            channel,
            given,
        })
    };
    [
        ("consent_email", change(Channel::Email, true)),
        ("consent_push", change(Channel::Push, false)),
        ("consent_messenger", change(Channel::Messenger, true)),
    ]
}

fn allowance_return(allowance: AllowanceRef) -> Body {
    Body::AllowanceReturn(AllowanceReturn {
        member: MEMBER,
        allowance,
    })
}
