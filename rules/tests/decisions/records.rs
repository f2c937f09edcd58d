//! Verdicts about records that sales draw on, and about purchases that draw on several accounts at once.

use kopilka_crdt::allowance::{Allowance, AllowanceRef, AllowanceUse, Rung};
use kopilka_crdt::clock::Day;
use kopilka_crdt::identifier::CardTag;
use kopilka_crdt::ids::{CashierId, Incarnation, MemberId, NodeId, PartnerId, PromotionId, TillId};
use kopilka_crdt::ledger::Take;
use kopilka_crdt::member::{BlockMark, Member};
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::{
    AccountTakes, Applied, Authority, Body, Charge, Counting, Promoted, Purchase, Purpose,
    ReceiptKey, Refund, Spending, Verdict,
};
use kopilka_rules::verdict::{Context, Suspicion, judge};

use crate::given::{POINTS, TODAY, hours, lot, member, operation, stamp};

const RIGHT: AllowanceRef = AllowanceRef::Granted(1);

/// 90.00 on it, and a right of node 1 to 40.00.
fn record() -> Member {
    let mut record = member(&[(9_000, 0, None)]);
    let right = Allowance {
        account: POINTS,
        node: NodeId(1),
        incarnation: Incarnation(1),
        amount: Minor(4_000),
        used: Minor::ZERO,
        granted_on: Day::default(),
        expires_at_ms: hours(100).now_ms,
        recalled: false,
        closed: false,
    };
    record.allowances.insert(RIGHT, right);
    record
}

fn context(sequence: u64, original_known: bool) -> Context<'static> {
    Context {
        id: operation(1, sequence),
        written_under: Incarnation(1),
        stamp: stamp(hours(12)),
        day: TODAY,
        programme: None,
        counted_receipt: None,
        identifier_taken: false,
        original_known,
        over_returned: false,
    }
}

fn takes(amount: i64) -> AccountTakes {
    AccountTakes {
        account: POINTS,
        takes: vec![Take {
            lot: lot(1),
            amount: Minor(amount),
        }],
    }
}

fn authority(amount: i64) -> Authority {
    Authority {
        rung: Rung::Allowance,
        uses: vec![AllowanceUse {
            allowance: RIGHT,
            amount: Minor(amount),
        }],
    }
}

fn receipt() -> ReceiptKey {
    ReceiptKey {
        till: TillId(1),
        day: TODAY,
        number: 1,
    }
}

fn applied() -> Applied {
    Applied {
        promotion: PromotionId(4),
        off: Minor(500),
        points: Minor::ZERO,
        counting: Counting::Not,
    }
}

fn charge(amount: i64) -> Charge {
    Charge {
        member: MemberId(1),
        card: Some(CardTag(7)),
        receipt: receipt(),
        cashier: CashierId(1),
        taken: Some(takes(amount)),
        authority: Some(authority(amount)),
        counted: Some(applied()),
    }
}

fn refund(amount: Option<i64>, uncounts: bool) -> Body {
    Body::Refund(Refund {
        member: MemberId(1),
        charge: operation(1, 1),
        till: TillId(1),
        cashier: CashierId(1),
        day: TODAY,
        restored: amount.map(takes),
        uncounted: uncounts.then(applied),
    })
}

fn check(record: &mut Member, body: &Body, context: &Context<'_>, suspicions: &[Suspicion]) {
    let found = judge(record, body, context);
    assert_eq!(found.suspicions, suspicions, "{}", found.reason);
    assert!(found.counted, "{}", found.reason);
    assert_eq!(found.verdict == Verdict::Accepted, suspicions.is_empty());
}

#[test]
fn charges_stand_on_rights() {
    let charged = |amount, suspicions| {
        let body = Body::Charge(charge(amount));
        check(&mut record(), &body, &context(1, false), suspicions);
    };
    charged(4_000, &[]);
    charged(4_001, &[Suspicion::Breach]);
    charged(9_001, &[Suspicion::Breach, Suspicion::Overdraft]);
}

#[test]
fn a_blocked_gift_card_is_contested() {
    let mut record = record();
    let mark = BlockMark {
        order: 1,
        blocked: true,
        at_ms: 0,
    };
    record.blocks.insert(CardTag(7), mark);
    let body = Body::Charge(charge(100));
    check(
        &mut record,
        &body,
        &context(1, false),
        &[Suspicion::BlockedCard],
    );
}

#[test]
fn charges_are_given_back_once_and_when_they_are_known() {
    let over = [Suspicion::Reversal].as_slice();
    let mut charged = record();
    check(
        &mut charged,
        &Body::Charge(charge(3_000)),
        &context(1, false),
        &[],
    );
    let before = charged.account(POINTS);

    let body = refund(Some(2_000), false);
    check(&mut charged.clone(), &body, &context(2, false), over);
    check(&mut charged, &body, &context(2, true), &[]);
    check(
        &mut charged,
        &refund(Some(1_000), true),
        &context(3, true),
        &[],
    );
    assert_eq!(charged.account(POINTS).total(), Ok(Minor(9_000)));
    assert_eq!(before.total(), Ok(Minor(6_000)));
    assert_eq!(charged.used[&PromotionId(4)].ever.receipts, 0);

    check(
        &mut charged.clone(),
        &refund(Some(1), false),
        &context(4, true),
        over,
    );
    check(
        &mut charged.clone(),
        &refund(None, true),
        &context(4, true),
        over,
    );
    check(&mut charged, &refund(None, false), &context(4, true), &[]);
}

/// A sale that pays with points and buys a reward for points of the same account.
#[test]
fn one_right_does_not_serve_two_takings() {
    let sold = |reward: i64| Purchase {
        receipt: receipt(),
        cashier: CashierId(1),
        member: MemberId(1),
        card: None,
        publication: 1,
        lines: Vec::new(),
        tenders: Vec::new(),
        redeemed: Some(takes(3_000)),
        authority: Some(authority(3_000)),
        earned: Vec::new(),
        counted: Minor::ZERO,
        partner: PartnerId(1),
        promoted: Some(Promoted {
            spent: vec![Spending {
                purpose: Purpose::Promotion {
                    promotion: PromotionId(4),
                    comes_back: true,
                },
                taken: takes(reward),
                authority: authority(reward),
            }],
            ..Promoted::default()
        }),
    };
    // The rules that it names are not known.
    let check = |reward, suspicions: &[Suspicion]| {
        let found = judge(
            &mut record(),
            &Body::Purchase(sold(reward)),
            &context(1, false),
        );
        let suspicions: Vec<_> = [suspicions, &[Suspicion::Mispriced]].concat();
        let mut sorted = found.suspicions.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, suspicions, "{}", found.reason);
        found.reason
    };
    check(1_000, &[]);
    let reason = check(1_001, &[Suspicion::Breach]);
    assert!(
        reason.contains("took 1001 where it held a right to 1000"),
        "{reason}"
    );
    check(6_001, &[Suspicion::Overdraft, Suspicion::Breach]);
}
