//! Returns of purchases that several accounts, coupons and gifts had to do with.

use std::collections::BTreeMap;

use kopilka_crdt::ids::{AccountId, LotId, PromotionId};
use kopilka_crdt::ledger::apply;
use kopilka_crdt::member::Member;
use kopilka_crdt::money::{Milli, Minor};
use kopilka_crdt::operation::{
    AccountTakes, Body, Credit, GiftChange, Purchase, Purpose, ReturnedLine,
};
use kopilka_crdt::rulebook::model::{ReturnRules, Shortfall};
use kopilka_rules::pricing::{Wish, quote};
use kopilka_rules::reversal::kept_back;

use crate::accounts::{BONUS, COUPONS, Goods, bought, buyer, credit, sold_to, take_back};
use crate::given::{POINTS, TODAY, hours, line, operation, programme, sale, stamp};

fn one_of_each() -> Purchase {
    bought(&[Goods {
        milli: 2_000,
        price: 10_000,
        points: 200,
        bonus: 100,
        earned: (50, 30),
    }])
}

fn half() -> [ReturnedLine; 1] {
    [ReturnedLine {
        line: 0,
        quantity: Milli(1_000),
    }]
}

fn amounts(taken: &[AccountTakes]) -> Vec<(AccountId, Vec<i64>)> {
    let takes = |one: &AccountTakes| one.takes.iter().map(|take| take.amount.0).collect();
    taken.iter().map(|one| (one.account, takes(one))).collect()
}

#[test]
fn each_account_gets_its_own_and_the_receipts_own_comes_last() {
    let (purchase, rules) = (one_of_each(), ReturnRules::default());
    let mut buyer = buyer();
    sold_to(&mut buyer, &purchase);
    let first = take_back(&purchase, &[], Some(&half()), (&buyer, &rules, TODAY));
    let expected = [(POINTS, vec![2_000]), (BONUS, vec![1_000])];
    assert_eq!(amounts(&first.restored), expected);
    assert_eq!(
        amounts(&first.withdrawn),
        [(POINTS, vec![500]), (BONUS, vec![300])]
    );
    assert_eq!((first.refund, first.whole), (Minor(7_000), false));
    assert!(first.recalled.is_empty() && first.uncounted.is_empty() && first.gifts.is_empty());

    let last = take_back(&purchase, &[Milli(1_000)], None, (&buyer, &rules, TODAY));
    let expected = [
        (POINTS, vec![667, 1_333]),
        (BONUS, vec![1_000]),
        (COUPONS, vec![1]),
    ];
    assert_eq!(amounts(&last.restored), expected);
    assert_eq!(amounts(&last.recalled), [(COUPONS, vec![1])]);
    let uncounted: Vec<_> = last.uncounted.iter().map(|one| one.promotion).collect();
    assert_eq!(uncounted, [PromotionId(7)]);
    assert_eq!(last.gifts, BTreeMap::from([("mug".to_owned(), 2)]));
    assert!(last.whole);
}

#[test]
fn what_is_used_or_handed_out_is_not_taken_back() {
    let (purchase, rules) = (one_of_each(), ReturnRules::default());
    let mut buyer = buyer();
    sold_to(&mut buyer, &purchase);
    let issued = LotId {
        operation: operation(1, 1),
        index: 2,
    };
    let coupons = buyer.accounts.get_mut(&COUPONS).expect("sound");
    coupons.lots.get_mut(&issued).expect("sound").taken = Minor(1);
    let handed_out = GiftChange {
        member: purchase.member,
        code: "mug".to_owned(),
        count: -1,
    };
    let handed_out = Body::Gift(handed_out);
    for (sequence, waiting) in [(2, Some(("mug".to_owned(), 1))), (3, None)] {
        apply(
            &mut buyer,
            operation(1, sequence),
            stamp(hours(2)),
            &handed_out,
        )
        .expect("sound");
        let whole = take_back(&purchase, &[], None, (&buyer, &rules, TODAY));
        assert_eq!(whole.recalled, []);
        assert_eq!(whole.gifts, waiting.into_iter().collect());
    }
}

#[test]
fn a_coupon_that_does_not_come_back_stays_used() {
    let mut purchase = one_of_each();
    for spending in &mut purchase.promoted.as_mut().expect("sound").spent {
        if let Purpose::Promotion { comes_back, .. } = &mut spending.purpose {
            *comes_back = false;
        }
    }
    let rules = ReturnRules::default();
    let whole = take_back(&purchase, &[], None, (&buyer(), &rules, TODAY));
    assert!(whole.restored.iter().all(|one| one.account != COUPONS));
}

#[test]
fn points_of_lots_that_end_too_soon_are_given_anew() {
    let purchase = one_of_each();
    let mut buyer = buyer();
    sold_to(&mut buyer, &purchase);
    // Lots 2 and 4 end on the third day from today.
    for (days, today, renewed) in [
        (0, TODAY.plus(100), false),
        (4, TODAY, false),
        (5, TODAY, true),
        (3, TODAY.plus(2), true),
        (1, TODAY.plus(4), true),
        (1, TODAY.plus(3), false),
    ] {
        let rules = ReturnRules {
            restored_days_min: days,
            shortfall: Shortfall::Debt,
        };
        let whole = take_back(&purchase, &[], None, (&buyer, &rules, today));
        let restored = amounts(&whole.restored);
        if !renewed {
            assert_eq!(whole.renewed, [], "{days} {today:?}");
            assert_eq!(restored[0], (POINTS, vec![2_667, 1_333]));
            continue;
        }
        let anew = |account, amount| Credit {
            account,
            amount: Minor(amount),
            active_from: today,
            expires_on: Some(today.plus(days - 1)),
        };
        let expected = [anew(POINTS, 2_667), anew(BONUS, 1_000)];
        assert_eq!(whole.renewed, expected, "{days} {today:?}");
        let lasting = [
            (POINTS, vec![1_333]),
            (BONUS, vec![1_000]),
            (COUPONS, vec![1]),
        ];
        assert_eq!(restored, lasting);
        assert_eq!(whole.partner, purchase.partner);
    }
}

#[test]
fn a_return_is_counted_on_the_day_of_its_sale() {
    let mut purchase = one_of_each();
    let rules = ReturnRules::default();
    let given = |purchase: &Purchase| {
        let whole = take_back(purchase, &[], None, (&Member::default(), &rules, TODAY));
        whole.day
    };
    assert_eq!(given(&purchase), TODAY);
    purchase.receipt.day = TODAY.plus(500);
    assert_eq!(
        given(&purchase),
        TODAY,
        "a till that is far off is not believed"
    );
}

/// Bought without points for 100.00, by someone with nothing, and earned 5.00 of points.
fn earned_only() -> (Member, Purchase) {
    let receipt = [line("", "1", 10_000)];
    let mut buyer = Member::default();
    let quote = quote(&programme(), &buyer, &receipt, Wish::Nothing, TODAY).expect("sound");
    let purchase = sale(&quote, 1, None);
    sold_to(&mut buyer, &purchase);
    (buyer, purchase)
}

#[test]
fn what_was_spent_meanwhile_is_owed_or_kept_from_the_refund() {
    let earned = LotId {
        operation: operation(1, 1),
        index: 0,
    };
    for (shortfall, spent, kept, withdrawn) in [
        (Shortfall::Debt, 500, 0, vec![500]),
        (Shortfall::FromRefund, 0, 0, vec![500]),
        (Shortfall::FromRefund, 200, 200, vec![300]),
        (Shortfall::FromRefund, 500, 500, vec![]),
        // What is owed for other things is not this refund's.
        (Shortfall::FromRefund, 9_000, 500, vec![]),
    ] {
        let (mut buyer, purchase) = earned_only();
        let lots = &mut buyer.accounts.get_mut(&POINTS).expect("sound").lots;
        lots.get_mut(&earned).expect("sound").taken = Minor(spent);
        let rules = ReturnRules {
            restored_days_min: 0,
            shortfall,
        };
        let whole = take_back(&purchase, &[], None, (&buyer, &rules, TODAY));
        let found: Vec<i64> = amounts(&whole.withdrawn)
            .into_iter()
            .flat_map(|(_, amounts)| amounts)
            .collect();
        assert_eq!((whole.refund.0, found), (10_000 - kept, withdrawn));
        assert_eq!(whole.counted, Minor(10_000));
        assert_eq!(kept_back(&whole), Ok(Minor(kept)));
    }
}

#[test]
fn what_another_account_gets_anew_covers_nothing_here() {
    let purchase = bought(&[Goods {
        milli: 1_000,
        price: 20_000,
        points: 0,
        bonus: 100,
        earned: (50, 0),
    }]);
    let mut buyer = buyer();
    sold_to(&mut buyer, &purchase);
    let earned = LotId {
        operation: operation(1, 1),
        index: 0,
    };
    let lots = &mut buyer.accounts.get_mut(&POINTS).expect("sound").lots;
    lots.retain(|lot, _| *lot == earned);
    lots.get_mut(&earned).expect("sound").taken = Minor(1_000);
    let rules = ReturnRules {
        restored_days_min: 5,
        shortfall: Shortfall::FromRefund,
    };
    let whole = take_back(&purchase, &[], None, (&buyer, &rules, TODAY));
    let renewed = whole.renewed.iter().map(|credit| credit.account);
    assert_eq!(renewed.collect::<Vec<_>>(), [BONUS]);
    assert_eq!(kept_back(&whole), Ok(Minor(1_000)));
}

#[test]
fn no_refund_falls_below_nothing() {
    let (mut buyer, mut purchase) = earned_only();
    // A stamp card or a gift of points may be worth more than the goods.
    purchase.lines[0].earned = Minor(50_000);
    purchase.earned = vec![credit(POINTS, 50_000)];
    buyer.accounts.clear();
    let rules = ReturnRules {
        restored_days_min: 0,
        shortfall: Shortfall::FromRefund,
    };
    let whole = take_back(&purchase, &[], None, (&buyer, &rules, TODAY));
    assert_eq!(whole.refund, Minor::ZERO);
    assert_eq!(amounts(&whole.withdrawn), [(POINTS, vec![40_000])]);
}
