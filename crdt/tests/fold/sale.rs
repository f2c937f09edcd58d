//! Sales, what promotions and gift cards have to do with them, and their returns.

use std::collections::{BTreeMap, BTreeSet};

use kopilka_crdt::allowance::{Allowance, AllowanceRef, AllowanceUse, Rung};
use kopilka_crdt::clock::{Day, Stamp};
use kopilka_crdt::ids::{AccountId, CashierId, LotId, OperationId, PartnerId, PromotionId, TillId};
use kopilka_crdt::ledger::Take;
use kopilka_crdt::member::Member;
use kopilka_crdt::money::{Milli, Minor};
use kopilka_crdt::operation::{
    AccountTakes, Applied, Authority, Body, Charge, Counting, Credit, Promoted, Purchase,
    PurchaseLine, Purpose, ReceiptKey, Refund, ReturnedLine, Reversal, Spending,
};
use proptest::prelude::*;

use crate::action::{MEMBER, credit};
use crate::history::{Step, Writer, Written};

/// The account that points are usually spent from.
pub const MAIN: AccountId = AccountId(1);
/// Another that pays.
pub const SECOND: AccountId = AccountId(2);
const COUPONS: AccountId = AccountId(5);
const PROMOTIONS: u32 = 3;
const COUNTINGS: [Counting; 3] = [Counting::Not, Counting::UntilReturned, Counting::ForGood];

/// What promotions and further accounts have to do with a sale.
#[derive(Debug, Clone)]
pub struct Gains {
    paid: i64,
    uses_coupon: bool,
    applied: Vec<Applied>,
    issued: usize,
    gifts: u32,
    badge: Option<u8>,
}

/// Any gains, up to three promotions with any counting.
pub fn gains() -> impl Strategy<Value = Gains> {
    let applied = (0..PROMOTIONS, 0..9_i64, 0..9_i64, 0..COUNTINGS.len()).prop_map(
        |(promotion, off, points, counting)| Applied {
            promotion: PromotionId(promotion),
            off: Minor(off),
            points: Minor(points),
            counting: COUNTINGS[counting],
        },
    );
    (
        0..9_i64,
        any::<bool>(),
        prop::collection::vec(applied, 0..4),
        0..3_usize,
        0..3_u32,
        prop::option::of(0..2_u8),
    )
        .prop_map(|(paid, uses_coupon, applied, issued, gifts, badge)| Gains {
            paid,
            uses_coupon,
            applied,
            issued,
            gifts,
            badge,
        })
}

/// Rights that a writer holds, with what is left of each.
pub fn own_rights(writer: &Writer) -> impl Iterator<Item = (AllowanceRef, &Allowance)> {
    let own = (writer.log.node(), writer.log.incarnation());
    let rights = writer.replica.member.allowances.iter();
    rights
        .filter(move |(_, right)| (right.node, right.incarnation) == own)
        .map(|(name, right)| (*name, right))
}

/// As much of `wanted` as the account has to spend.
pub fn takes(member: &Member, from: AccountId, wanted: i64, day: Day) -> Option<AccountTakes> {
    let account = member.account(from);
    let view = account.view(day).expect("small amounts do not overflow");
    let takes = account
        .plan(Minor(wanted).min(view.spendable), day)
        .expect("small amounts do not overflow")
        .expect("what is spendable can be planned");
    (!takes.is_empty()).then_some(AccountTakes {
        account: from,
        takes,
    })
}

fn sum(taken: &AccountTakes) -> i64 {
    taken.takes.iter().map(|take| take.amount.0).sum()
}

/// Names the writer's rights to what is taken, as far as they go.
fn authority(writer: &Writer, taken: &AccountTakes) -> Authority {
    let mut missing = sum(taken);
    let mut uses = Vec::new();
    for (allowance, right) in own_rights(writer) {
        let amount = right.open().0.min(missing);
        if right.account == taken.account && amount > 0 {
            missing -= amount;
            uses.push(AllowanceUse {
                allowance,
                amount: Minor(amount),
            });
        }
    }
    Authority {
        rung: Rung::Allowance,
        uses,
    }
}

fn receipt(writer: &Writer, step: &Step) -> ReceiptKey {
    ReceiptKey {
        till: TillId(1),
        day: step.business_day,
        number: writer.log.tip().sequence,
    }
}

/// One line sold.
pub fn purchase(
    writer: &Writer,
    step: &Step,
    spent: i64,
    earned: i64,
    gains: Option<&Gains>,
) -> Purchase {
    let redeemed = takes(&writer.replica.member, MAIN, spent, step.day);
    Purchase {
        receipt: receipt(writer, step),
        cashier: CashierId(1),
        member: MEMBER,
        card: None,
        publication: 1,
        lines: vec![PurchaseLine {
            sku: "tea".to_owned(),
            group: String::new(),
            quantity: Milli::ONE,
            unit_price: Minor(500),
            discount: Minor::ZERO,
            redeemed: Minor(spent),
            earned: Minor(earned),
        }],
        tenders: Vec::new(),
        authority: redeemed.as_ref().map(|taken| authority(writer, taken)),
        redeemed,
        earned: vec![credit(MAIN, earned, step.day), credit(SECOND, 1, step.day)],
        promoted: gains.map(|gains| promoted(writer, step.day, gains)),
        counted: Minor(500),
        partner: PartnerId(2),
    }
}

fn promoted(writer: &Writer, day: Day, gains: &Gains) -> Promoted {
    let spend = |account, wanted, purpose| {
        let taken = takes(&writer.replica.member, account, wanted, day)?;
        Some(Spending {
            purpose,
            authority: authority(writer, &taken),
            taken,
        })
    };
    let shares = vec![Minor(gains.paid)];
    let payment = spend(SECOND, gains.paid, Purpose::Payment { shares });
    let purpose = Purpose::Promotion {
        promotion: PromotionId(0),
        comes_back: gains.issued == 0,
    };
    let coupon = spend(COUPONS, i64::from(gains.uses_coupon), purpose);
    Promoted {
        applied: gains.applied.clone(),
        spent: payment.into_iter().chain(coupon).collect(),
        issued: vec![credit(COUPONS, 1, day); gains.issued],
        gifts: BTreeMap::from([("mug".to_owned(), gains.gifts)]),
        badges: gains
            .badge
            .map(|badge| format!("badge{badge}"))
            .into_iter()
            .collect::<BTreeSet<_>>(),
        ..Promoted::default()
    }
}

/// A gift card or a budget is drawn on.
pub fn charge(writer: &Writer, step: &Step, taken: i64, counted: Option<u32>) -> Charge {
    let taken = takes(&writer.replica.member, MAIN, taken, step.day);
    Charge {
        member: MEMBER,
        card: None,
        receipt: receipt(writer, step),
        cashier: CashierId(1),
        authority: taken.as_ref().map(|taken| authority(writer, taken)),
        taken,
        counted: counted.map(|promotion| Applied {
            promotion: PromotionId(promotion),
            off: Minor(3),
            points: Minor::ZERO,
            counting: Counting::Not,
        }),
    }
}

/// Chooses among the operations that the writer knows of.
fn choose<'a, T>(
    writer: &Writer,
    written: &'a [Written],
    place: usize,
    kind: impl Fn(&'a Body) -> Option<&'a T>,
) -> Option<(OperationId, Stamp, &'a T)> {
    let known = written
        .iter()
        .filter(|written| writer.replica.frontier.holds(written.id));
    let known: Vec<_> = known
        .filter_map(|written| Some((written.id, written.stamp, kind(&written.body)?)))
        .collect();
    known.get(place % known.len().max(1)).copied()
}

fn quarters_of(amount: Minor, quarters: i64) -> Minor {
    Minor(amount.0 * quarters / 4)
}

fn part(taken: &AccountTakes, quarters: i64) -> AccountTakes {
    let takes = taken.takes.iter().map(|take| Take {
        lot: take.lot,
        amount: quarters_of(take.amount, quarters),
    });
    AccountTakes {
        account: taken.account,
        takes: takes.collect(),
    }
}

/// Gives a charge back that the writer knows of.
pub fn refund(writer: &Writer, written: &[Written], place: usize, quarters: i64) -> Option<Body> {
    let (id, stamp, charge) = choose(writer, written, place, match_charge)?;
    let counted = charge.counted.filter(|_| quarters == 4);
    Some(Body::Refund(Refund {
        member: MEMBER,
        charge: id,
        till: TillId(4),
        cashier: CashierId(2),
        day: charge.receipt.counted_on(stamp),
        restored: charge.taken.as_ref().map(|taken| part(taken, quarters)),
        uncounted: counted,
    }))
}

fn match_charge(body: &Body) -> Option<&Charge> {
    if let Body::Charge(charge) = body {
        Some(charge)
    } else {
        None
    }
}

fn match_purchase(body: &Body) -> Option<&Purchase> {
    if let Body::Purchase(purchase) = body {
        Some(purchase)
    } else {
        None
    }
}

/// Takes quarters of a purchase back that the writer knows of. What was spent goes back into its lots, or into a new
/// one where a day is given to renew it on.
pub fn reversal(
    writer: &Writer,
    written: &[Written],
    place: usize,
    quarters: i64,
    renewed_on: Option<Day>,
) -> Option<Body> {
    let (id, stamp, purchase) = choose(writer, written, place, match_purchase)?;
    let whole = quarters == 4;
    let nothing = Promoted::default();
    let promoted = purchase.promoted.as_ref().unwrap_or(&nothing);
    let mut restored = spent_back(promoted, quarters);
    let mut renewed = Vec::new();
    if let Some(taken) = &purchase.redeemed {
        let back = part(taken, quarters);
        match renewed_on {
            Some(day) => renewed.push(credit(back.account, sum(&back), day)),
            None => restored.push(back),
        }
    }
    let counted = promoted
        .applied
        .iter()
        .filter(|applied| whole && applied.counting == Counting::UntilReturned);
    let reversal = Reversal {
        purchase: id,
        member: MEMBER,
        cashier: CashierId(2),
        till: TillId(4),
        lines: vec![ReturnedLine {
            line: 0,
            quantity: Milli::ONE,
        }],
        refund: quarters_of(Minor(500), quarters),
        counted: quarters_of(purchase.counted, quarters),
        day: purchase.receipt.counted_on(stamp),
        restored,
        renewed,
        withdrawn: credited_back(id, 0, &purchase.earned, quarters),
        recalled: credited_back(id, purchase.earned.len(), &promoted.issued, quarters),
        uncounted: counted.copied().collect(),
        gifts: promoted.gifts.clone(),
        partner: purchase.partner,
        whole,
    };
    Some(if whole {
        Body::Cancel(reversal)
    } else {
        Body::Return(reversal)
    })
}

/// What is withdrawn of lots that an operation credited, numbered from `first`.
fn credited_back(
    operation: OperationId,
    first: usize,
    credits: &[Credit],
    quarters: i64,
) -> Vec<AccountTakes> {
    let lots = (first..).zip(credits).map(|(index, credit)| AccountTakes {
        account: credit.account,
        takes: vec![Take {
            lot: LotId {
                operation,
                index: u8::try_from(index).expect("few credits"),
            },
            amount: quarters_of(credit.amount, quarters),
        }],
    });
    lots.collect()
}

/// What other accounts paid, in part; coupons that come back, with the whole receipt.
fn spent_back(promoted: &Promoted, quarters: i64) -> Vec<AccountTakes> {
    let comes_back = |spending: &&Spending| match spending.purpose {
        Purpose::Payment { .. } => true,
        Purpose::Promotion { comes_back, .. } => comes_back && quarters == 4,
    };
    let back = promoted.spent.iter().filter(comes_back);
    back.map(|spending| part(&spending.taken, quarters))
        .collect()
}
