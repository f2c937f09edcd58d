//! Samples of what is limited: promotions on a receipt, records that sales draw on, and how returns give both back.

use std::collections::{BTreeMap, BTreeSet};

use kopilka_crdt::allowance::{AllowanceRef, AllowanceUse, Rung};
use kopilka_crdt::clock::Day;
use kopilka_crdt::identifier::CardTag;
use kopilka_crdt::ids::{AccountId, CashierId, MemberId, PromotionId, TillId};
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::{
    Applied, Authority, Body, Charge, Counting, Promoted, Purpose, ReceiptKey, Refund, Reversal,
    Spending, TagChange,
};

use crate::bodies::{MEMBER, credit, lot, operation, purchase, reversal, take};

const RECORD: MemberId = MemberId(0x0fed_cba9_8765_4321);

fn authority(allowance: AllowanceRef, amount: i64) -> Authority {
    Authority {
        rung: Rung::Allowance,
        uses: vec![AllowanceUse {
            allowance,
            amount: Minor(amount),
        }],
    }
}

fn applied(promotion: u32, off: i64, points: i64, counting: Counting) -> Applied {
    Applied {
        promotion: PromotionId(promotion),
        off: Minor(off),
        points: Minor(points),
        counting,
    }
}

/// What was paid from another account, a coupon that comes back and a reward that does not.
fn spent() -> Vec<Spending> {
    let purposes = [
        Purpose::Payment {
            shares: vec![Minor(60), Minor(40)],
        },
        Purpose::Promotion {
            promotion: PromotionId(12),
            comes_back: true,
        },
        Purpose::Promotion {
            promotion: PromotionId(13),
            comes_back: false,
        },
    ];
    let spending = |(sequence, purpose)| Spending {
        purpose,
        taken: take(lot(sequence, 1), 100),
        authority: authority(AllowanceRef::Earned(lot(sequence, 1)), 100),
    };
    (2..).zip(purposes).map(spending).collect()
}

fn promoted() -> Promoted {
    Promoted {
        applied: vec![
            applied(11, 5_000, 0, Counting::Not),
            applied(12, 100, 340, Counting::UntilReturned),
            applied(13, 0, 1, Counting::ForGood),
        ],
        attributes: BTreeMap::from([(
            1,
            BTreeMap::from([("brand".to_owned(), "Лось".to_owned())]),
        )]),
        till_discounts: BTreeMap::from([(0, Minor(50))]),
        price_floors: BTreeMap::from([(1, Minor(9_900))]),
        earned_shares: BTreeMap::from([
            (AccountId(1), vec![Minor(340), Minor(340)]),
            (AccountId(2), vec![Minor(0), Minor(1)]),
        ]),
        spent: spent(),
        issued: vec![credit(5, 1, Some(Day(20_747)))],
        gifts: BTreeMap::from([("mug".to_owned(), 2)]),
        badges: BTreeSet::from(["gourmet".to_owned()]),
        codes: vec!["ЛЕТО".to_owned()],
    }
}

/// A purchase with something of everything that promotions do.
pub fn promoted_purchase() -> Body {
    let mut purchase = purchase();
    purchase.promoted = Some(promoted());
    Body::Purchase(purchase)
}

/// Part of such a purchase came back after the spent points had run out.
pub fn promoted_return() -> Body {
    Body::Return(Reversal {
        restored: vec![take(lot(1, 0), 517), take(lot(2, 1), 60)],
        renewed: vec![credit(1, 517, Some(Day(21_112)))],
        recalled: vec![take(lot(9, 1), 1)],
        uncounted: vec![applied(12, 100, 340, Counting::UntilReturned)],
        gifts: BTreeMap::from([("mug".to_owned(), 1)]),
        ..reversal(false)
    })
}

/// Tags, charges and refunds, in the order of their kinds.
pub fn samples() -> Vec<(&'static str, Body)> {
    let tag = |on| {
        Body::Tag(TagChange {
            member: MEMBER,
            tag: "vip".to_owned(),
            on,
        })
    };
    let used = applied(14, 2_500, 0, Counting::Not);
    vec![
        ("tag", tag(true)),
        ("tag_taken_off", tag(false)),
        ("charge", charge(true, None)),
        ("charge_counted", charge(true, Some(used))),
        ("charge_without_right", charge(false, Some(used))),
        ("refund", refund(true, None)),
        ("refund_uncounted", refund(false, Some(used))),
    ]
}

fn charge(takes: bool, counted: Option<Applied>) -> Body {
    Body::Charge(Charge {
        member: RECORD,
        card: takes.then_some(CardTag(0x0a0b_0c0d)),
        receipt: ReceiptKey {
            till: TillId(41),
            day: Day(20_717),
            number: 1_187,
        },
        cashier: CashierId(502),
        taken: takes.then(|| take(lot(3, 0), 2_500)),
        authority: takes.then(|| authority(AllowanceRef::Granted(3), 2_500)),
        counted,
    })
}

fn refund(restores: bool, uncounted: Option<Applied>) -> Body {
    Body::Refund(Refund {
        member: RECORD,
        charge: operation(40),
        till: TillId(41),
        cashier: CashierId(502),
        day: Day(20_717),
        restored: restores.then(|| take(lot(3, 0), 2_000)),
        uncounted,
    })
}
