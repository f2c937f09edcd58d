//! Verdicts of the hub: what is counted, under which name, and what security staff are shown.

use kopilka_crdt::allowance::{Allowance, AllowanceRef};
use kopilka_crdt::clock::Day;
use kopilka_crdt::identifier::{CardTag, IdentifierHash, IdentifierKind};
use kopilka_crdt::ids::{AccountId, CashierId, Incarnation, MemberId, NodeId, TillId};
use kopilka_crdt::member::{BlockMark, Member};
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::{Binding, Body, Purchase, Reversal, Verdict};
use kopilka_rules::Programme;
use kopilka_rules::pricing::{Wish, quote};
use kopilka_rules::redemption::{Asking, HubAnswer, authorise};
use kopilka_rules::reversal::{Counter, Present, Sold, reverse};
use kopilka_rules::verdict::{Context, Judgement, Suspicion, judge};

use crate::given::{
    POINTS, TODAY, hours, line, member, no_rights, operation, programme, sale, stamp,
};

/// 90.00 points, and a right of node 1 to 40.00 of them.
fn buyer() -> Member {
    let mut buyer = member(&[(9_000, 0, None)]);
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
    buyer.allowances.insert(AllowanceRef::Granted(1), right);
    buyer
}

/// An honest sale of 200.00 on which 30.00 are redeemed.
fn honest(programme: &Programme, buyer: &Member) -> Purchase {
    let amount = Minor(3_000);
    let receipt = [line("", "1", 20_000)];
    let quote =
        quote(programme, buyer, &receipt, Wish::Exactly(amount), TODAY).expect("a sound receipt");
    let asking = Asking {
        node: NodeId(1),
        incarnation: Incarnation(1),
        account: POINTS,
        amount,
        held_rights: &no_rights(),
        held_takes: &[],
        margin_ms: 0,
    };
    let authorised = authorise(buyer, &asking, HubAnswer::Unreachable, hours(12)).expect("a right");
    sale(&quote, 1, Some(authorised))
}

fn context(programme: &Programme) -> Context<'_> {
    Context {
        id: operation(1, 5),
        written_under: Incarnation(1),
        stamp: stamp(hours(12)),
        day: TODAY,
        programme: Some(programme),
        counted_receipt: None,
        identifier_taken: false,
        original_known: true,
        over_returned: false,
    }
}

/// Judges an honest sale after spoiling it, its member or what is known around it.
fn check(
    spoil: impl FnOnce(&mut Purchase, &mut Member, &mut Context<'_>),
    verdict: Verdict,
    suspicions: &[Suspicion],
) -> (Member, Judgement) {
    let programme = programme();
    let mut buyer = buyer();
    let mut purchase = honest(&programme, &buyer);
    let mut context = context(&programme);
    spoil(&mut purchase, &mut buyer, &mut context);
    let before = buyer.clone();
    let judgement = judge(&mut buyer, &Body::Purchase(purchase), &context);
    assert_eq!(
        (judgement.verdict, judgement.suspicions.as_slice()),
        (verdict, suspicions),
        "{}",
        judgement.reason
    );
    assert_eq!(judgement.reason.is_empty(), verdict == Verdict::Accepted);
    assert_eq!(
        judgement.counted,
        buyer != before,
        "what is not counted changes nothing"
    );
    (buyer, judgement)
}

#[test]
fn an_honest_sale_is_accepted() {
    let (buyer, _) = check(|_, _, _| (), Verdict::Accepted, &[]);
    assert_eq!(
        buyer.account(POINTS).view(TODAY).unwrap().spendable,
        Minor(9_000 - 3_000 + 850)
    );
    assert_eq!(
        buyer.allowances[&AllowanceRef::Granted(1)].open(),
        Minor(1_000)
    );
    assert_eq!((buyer.counted, buyer.purchases), (Minor(17_000), 1));
}

#[test]
fn one_receipt_counts_once() {
    let first = operation(2, 9);
    let (_, judgement) = check(
        |_, _, context| context.counted_receipt = Some(first),
        Verdict::Duplicate,
        &[],
    );
    assert!(!judgement.counted);
    assert!(judgement.reason.contains(&first.to_string()));
}

#[test]
fn a_blocked_card_is_contested_and_counted() {
    let block = |at_hours: u64, blocked: bool| {
        move |purchase: &mut Purchase, member: &mut Member, _: &mut Context<'_>| {
            purchase.card = Some(CardTag(7));
            let mark = BlockMark {
                order: 3,
                blocked,
                at_ms: hours(at_hours).now_ms,
            };
            member.blocks.insert(CardTag(7), mark);
        }
    };
    for (at_hours, word) in [(11, "after"), (13, "before")] {
        let (_, judgement) = check(
            block(at_hours, true),
            Verdict::Contested,
            &[Suspicion::BlockedCard],
        );
        assert!(
            judgement.counted && judgement.reason.contains(word),
            "{}",
            judgement.reason
        );
    }
    check(block(11, false), Verdict::Accepted, &[]);
}

#[test]
fn points_taken_without_a_right_are_a_breach() {
    let breach: &[Suspicion] = &[Suspicion::Breach];
    check(
        |purchase, _, _| purchase.authority = None,
        Verdict::Overdraft,
        breach,
    );
    check(
        |_, member, _| {
            member.allowances.clear();
        },
        Verdict::Overdraft,
        breach,
    );
    check(
        |_, _, context| context.id = operation(2, 5),
        Verdict::Overdraft,
        breach,
    );
    check(
        |_, _, context| {
            (context.id.incarnation, context.written_under) = (Incarnation(2), Incarnation(2))
        },
        Verdict::Overdraft,
        breach,
    );
    check(
        |purchase, _, _| purchase.authority.as_mut().unwrap().uses[0].amount = Minor(2_999),
        Verdict::Overdraft,
        breach,
    );
    let closed = |_: &mut Purchase, member: &mut Member, _: &mut Context<'_>| {
        member
            .allowances
            .values_mut()
            .for_each(|right| right.closed = true);
    };
    check(closed, Verdict::Overdraft, breach);
    let (_, judgement) = check(
        |_, member, _| {
            member
                .allowances
                .values_mut()
                .for_each(|right| right.used = Minor(1_001))
        },
        Verdict::Overdraft,
        breach,
    );
    assert!(
        judgement
            .reason
            .contains("n1 took 3000 where it held a right to 2999"),
        "{}",
        judgement.reason
    );
}

#[test]
fn an_account_below_zero_is_named_with_the_amount() {
    let (buyer, judgement) = check(
        |_, member, _| {
            member
                .accounts
                .get_mut(&POINTS)
                .unwrap()
                .lots
                .values_mut()
                .for_each(|lot| lot.taken = Minor(8_000))
        },
        Verdict::Overdraft,
        &[Suspicion::Overdraft],
    );
    // The points that the sale itself earned cover a part of the 20.00.
    assert_eq!(
        buyer.account(POINTS).view(TODAY).unwrap().debt,
        Minor(2_000 - 850)
    );
    assert!(
        judgement.reason.contains("1150 below zero"),
        "{}",
        judgement.reason
    );
}

#[test]
fn what_the_rules_do_not_give_is_mispriced_and_counted() {
    let mispriced: &[Suspicion] = &[Suspicion::Mispriced];
    let (buyer, _) = check(
        |purchase, _, _| purchase.earned[0].amount = Minor(99_000),
        Verdict::Mispriced,
        mispriced,
    );
    assert_eq!(
        buyer.account(POINTS).view(TODAY).unwrap().spendable,
        Minor(6_000 + 99_000)
    );
    check(
        |purchase, _, _| purchase.earned[0].account = AccountId(2),
        Verdict::Mispriced,
        mispriced,
    );
    check(
        |purchase, _, _| purchase.earned[0].expires_on = None,
        Verdict::Mispriced,
        mispriced,
    );
    check(
        |purchase, _, _| purchase.earned.clear(),
        Verdict::Mispriced,
        mispriced,
    );
    check(
        |purchase, _, _| purchase.counted = Minor(20_000),
        Verdict::Mispriced,
        mispriced,
    );
    check(
        |purchase, _, _| purchase.lines[0].earned = Minor(1),
        Verdict::Mispriced,
        mispriced,
    );
    check(
        |purchase, _, _| purchase.lines[0].unit_price = Minor(5_000),
        Verdict::Mispriced,
        mispriced,
    );
    check(
        |purchase, _, _| purchase.lines.clear(),
        Verdict::Mispriced,
        mispriced,
    );
    check(
        |_, _, context| context.programme = None,
        Verdict::Mispriced,
        mispriced,
    );
}

#[test]
fn a_tier_that_the_node_did_not_know_of_yet_is_honoured() {
    check(
        |_, member, _| member.counted = Minor(5_000_000),
        Verdict::Accepted,
        &[],
    );
    check(
        |_, _, context| context.day = TODAY.plus(1),
        Verdict::Accepted,
        &[],
    );
    check(
        |_, _, context| context.day = TODAY.plus(2),
        Verdict::Mispriced,
        &[Suspicion::Mispriced],
    );
    let programme = programme();
    let mut gold = buyer();
    gold.counted = Minor(1_000_001);
    let purchase = honest(&programme, &gold);
    let judgement = judge(
        &mut buyer(),
        &Body::Purchase(purchase),
        &context(&programme),
    );
    assert_eq!(
        judgement.verdict,
        Verdict::Mispriced,
        "a tier above the member's is not honoured"
    );
    let mut demoted = buyer();
    demoted.taken_back = Minor(1_000_001);
    let judgement = judge(
        &mut demoted,
        &Body::Purchase(honest(&programme, &gold)),
        &context(&programme),
    );
    assert_eq!(
        judgement.verdict,
        Verdict::Accepted,
        "a tier that a return elsewhere took away is honoured"
    );
}

#[test]
fn the_gravest_finding_names_the_verdict() {
    let (_, judgement) = check(
        |purchase, _, _| {
            purchase.authority = None;
            purchase.counted = Minor(1);
        },
        Verdict::Mispriced,
        &[Suspicion::Breach, Suspicion::Mispriced],
    );
    assert_eq!(judgement.reason.matches("; ").count(), 1);
}

#[test]
fn what_cannot_be_computed_is_kept_aside() {
    let (_, judgement) = check(
        |_, member, _| member.counted = Minor(i64::MAX),
        Verdict::Quarantined,
        &[Suspicion::Uncountable],
    );
    assert!(!judgement.counted);
}

#[test]
fn goods_come_back_once_and_from_a_known_sale() {
    let programme = programme();
    let mut buyer = buyer();
    let purchase = honest(&programme, &buyer);
    let at = context(&programme);
    judge(&mut buyer, &Body::Purchase(purchase.clone()), &at);
    let counter = Counter {
        till: TillId(1),
        cashier: CashierId(1),
    };
    let sold = Sold {
        operation: at.id,
        stamp: at.stamp,
        purchase: &purchase,
        returned: &[],
    };
    let present = Present {
        member: &buyer,
        rules: &programme.rules().returns,
        today: TODAY,
    };
    let whole = reverse(&sold, None, counter, &present).unwrap();
    let later = |sequence, original_known| Context {
        id: operation(2, sequence),
        original_known,
        ..at
    };

    let mut unknown = buyer.clone();
    let found = judge(&mut unknown, &Body::Return(whole.clone()), &later(1, false));
    assert_eq!(
        (found.verdict, found.suspicions.as_slice()),
        (Verdict::Contested, [Suspicion::Reversal].as_slice())
    );
    assert!(found.counted);

    let first = judge(&mut buyer, &Body::Return(whole.clone()), &later(1, true));
    assert_eq!(first.verdict, Verdict::Accepted, "{}", first.reason);
    let second = judge(&mut buyer, &Body::Return(whole.clone()), &later(2, true));
    assert_eq!(
        (second.verdict, second.suspicions.as_slice()),
        (Verdict::Contested, [Suspicion::Reversal].as_slice())
    );
    assert!(second.counted && second.reason.contains("more came back"));
    // Where no points tell, the lines do.
    let nothing = Reversal {
        restored: Vec::new(),
        withdrawn: Vec::new(),
        ..whole
    };
    for (over_returned, verdict) in [(false, Verdict::Accepted), (true, Verdict::Contested)] {
        let around = Context {
            over_returned,
            ..later(3, true)
        };
        let found = judge(&mut buyer.clone(), &Body::Return(nothing.clone()), &around);
        assert_eq!(found.verdict, verdict, "{}", found.reason);
    }
}

#[test]
fn an_identifier_of_somebody_else_is_contested() {
    let programme = programme();
    let binding = Binding {
        member: MemberId(1),
        kind: IdentifierKind::Phone,
        hash: IdentifierHash([9; 16]),
        card: None,
        replaces: None,
    };
    for (taken, verdict) in [(true, Verdict::Contested), (false, Verdict::Accepted)] {
        let around = Context {
            identifier_taken: taken,
            ..context(&programme)
        };
        let found = judge(&mut buyer(), &Body::Bind(binding.clone()), &around);
        assert_eq!(found.verdict, verdict);
    }
}
