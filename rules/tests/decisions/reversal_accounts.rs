//! Returns of purchases that several accounts, coupons and gifts had to do with.

use std::collections::{BTreeMap, BTreeSet};

use kopilka_crdt::allowance::Rung;
use kopilka_crdt::clock::Day;
use kopilka_crdt::ids::{AccountId, CashierId, LotId, PartnerId, PromotionId, TillId};
use kopilka_crdt::ledger::{Lot, Take, apply};
use kopilka_crdt::member::Member;
use kopilka_crdt::money::{Milli, Minor};
use kopilka_crdt::operation::{
    AccountTakes, Applied, Authority, Body, Counting, Credit, GiftChange, Promoted, Purchase,
    PurchaseLine, Purpose, ReturnedLine, Reversal, Spending,
};
use kopilka_crdt::rulebook::model::{ReturnRules, Shortfall};
use kopilka_rules::pricing::{Wish, quote};
use kopilka_rules::reversal::{Counter, Present, Sold, kept_back, reverse};
use proptest::prelude::*;

use crate::given::{POINTS, TODAY, hours, line, lot, operation, programme, sale, stamp};

/// Another account that pays and is credited.
const BONUS: AccountId = AccountId(2);
/// The account of a series of coupons.
const COUPONS: AccountId = AccountId(9);
const ACCOUNTS: [AccountId; 3] = [POINTS, BONUS, COUPONS];
const COUNTER: Counter = Counter {
    till: TillId(2),
    cashier: CashierId(3),
};

fn take(place: u64, amount: i64) -> Take {
    Take {
        lot: lot(place),
        amount: Minor(amount),
    }
}

fn credit(account: AccountId, amount: i64) -> Credit {
    Credit {
        account,
        amount: Minor(amount),
        active_from: TODAY,
        expires_on: None,
    }
}

fn spending(purpose: Purpose, account: AccountId, takes: Vec<Take>) -> Spending {
    Spending {
        purpose,
        taken: AccountTakes { account, takes },
        authority: Authority {
            rung: Rung::Hub,
            uses: Vec::new(),
        },
    }
}

/// What one line of a random purchase has, each a share of its price in thousandths.
#[derive(Debug, Clone)]
struct Goods {
    milli: u64,
    price: i64,
    points: i64,
    bonus: i64,
    earned: (i64, i64),
}

/// A purchase of these goods: points of two lots and bonus of two lots pay, a coupon is used, points and bonus are
/// earned, a coupon is issued, a gift credited.
fn bought(goods: &[Goods]) -> Purchase {
    let bare = quote(
        &programme(),
        &Member::default(),
        &[line("", "1", 1)],
        Wish::Nothing,
        TODAY,
    );
    let mut purchase = sale(&bare.expect("a sound receipt"), 1, None);
    purchase.lines.clear();
    purchase.earned.clear();
    let (mut bonus_shares, mut earned) = (Vec::new(), (Vec::new(), Vec::new()));
    for one in goods {
        let mut line = PurchaseLine {
            sku: "1".to_owned(),
            group: String::new(),
            quantity: Milli(one.milli),
            unit_price: Minor(one.price),
            discount: Minor::ZERO,
            redeemed: Minor::ZERO,
            earned: Minor::ZERO,
        };
        let amount = line.amount().expect("sound");
        let share = |permille| amount.fraction(permille, 1_000).expect("sound");
        let (points, bonus) = (share(one.points), share(one.bonus));
        line.redeemed = points.plus(bonus).expect("sound");
        let (first, second) = (share(one.earned.0), share(one.earned.1));
        line.earned = first.plus(second).expect("sound");
        bonus_shares.push(bonus);
        earned.0.push(first);
        earned.1.push(second);
        purchase.lines.push(line);
    }
    let sum = |shares: &[Minor]| Minor::sum(shares.iter().copied()).expect("sound");
    let redeemed: Vec<Minor> = purchase.lines.iter().map(|line| line.redeemed).collect();
    let main = sum(&redeemed).0 - sum(&bonus_shares).0;
    let amounts = purchase
        .lines
        .iter()
        .map(|line| line.amount().expect("sound"));
    purchase.counted = Minor(amounts.map(|amount| amount.0).sum::<i64>() - sum(&redeemed).0);
    purchase.redeemed = Some(AccountTakes {
        account: POINTS,
        takes: vec![take(1, main / 3), take(2, main - main / 3)],
    });
    let bonus = sum(&bonus_shares).0;
    purchase.earned = vec![
        credit(POINTS, sum(&earned.0).0),
        credit(BONUS, sum(&earned.1).0),
    ];
    let coupon = Purpose::Promotion {
        promotion: PromotionId(7),
        comes_back: true,
    };
    let payment = Purpose::Payment {
        shares: bonus_shares,
    };
    let applied = |number, counting| Applied {
        promotion: PromotionId(number),
        off: Minor(5),
        points: Minor::ZERO,
        counting,
    };
    purchase.promoted = Some(Promoted {
        applied: vec![
            applied(6, Counting::ForGood),
            applied(7, Counting::UntilReturned),
            applied(8, Counting::Not),
        ],
        earned_shares: BTreeMap::from([(POINTS, earned.0), (BONUS, earned.1)]),
        spent: vec![
            spending(
                payment,
                BONUS,
                vec![take(3, bonus / 2), take(4, bonus - bonus / 2)],
            ),
            spending(coupon, COUPONS, vec![take(5, 1)]),
        ],
        issued: vec![credit(COUPONS, 1)],
        gifts: BTreeMap::from([("mug".to_owned(), 2)]),
        ..Promoted::default()
    });
    purchase
}

/// Who can pay for that: five lots, of which the second and the fourth end in three days.
fn buyer() -> Member {
    let mut buyer = Member::default();
    let lots = [
        (1, POINTS),
        (2, POINTS),
        (3, BONUS),
        (4, BONUS),
        (5, COUPONS),
    ];
    for (place, account) in lots {
        let credited = Lot {
            amount: Minor(10_000_000),
            expires_on: (place % 2 == 0).then_some(TODAY.plus(3)),
            issuer: Some(PartnerId(5)),
            ..Lot::default()
        };
        let account = buyer.accounts.entry(account).or_default();
        account.lots.insert(lot(place), credited);
    }
    buyer
}

fn sold_to(buyer: &mut Member, purchase: &Purchase) {
    let body = Body::Purchase(purchase.clone());
    apply(buyer, operation(1, 1), stamp(hours(1)), &body).expect("sound");
}

fn take_back(
    purchase: &Purchase,
    returned: &[Milli],
    lines: Option<&[ReturnedLine]>,
    (member, rules, today): (&Member, &ReturnRules, Day),
) -> Reversal {
    let sold = Sold {
        operation: operation(1, 1),
        stamp: stamp(hours(1)),
        purchase,
        returned,
    };
    let present = Present {
        member,
        rules,
        today,
    };
    reverse(&sold, lines, COUNTER, &present).expect("sound")
}

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
    apply(
        &mut buyer,
        operation(1, 2),
        stamp(hours(2)),
        &Body::Gift(handed_out),
    )
    .expect("sound");
    let whole = take_back(&purchase, &[], None, (&buyer, &rules, TODAY));
    assert_eq!(whole.recalled, []);
    assert_eq!(whole.gifts, BTreeMap::from([("mug".to_owned(), 1)]));
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

/// Sums of what came back, by account and lot.
#[derive(Debug, Default, PartialEq)]
struct CameBack {
    refund: i64,
    kept: i64,
    restored: BTreeMap<LotId, i64>,
    renewed: BTreeMap<AccountId, i64>,
    withdrawn: BTreeMap<LotId, i64>,
    uncounted: usize,
    gifts: u32,
    wholes: usize,
}

impl CameBack {
    fn add(&mut self, reversal: &Reversal) {
        self.refund += reversal.refund.0;
        self.kept += kept_back(reversal).expect("sound").0;
        let takes = |taken: &[AccountTakes]| -> Vec<Take> {
            taken.iter().flat_map(|one| one.takes.clone()).collect()
        };
        for back in takes(&reversal.restored) {
            assert!(back.amount.0 > 0);
            *self.restored.entry(back.lot).or_default() += back.amount.0;
        }
        for back in takes(&reversal.withdrawn) {
            assert!(back.amount.0 > 0);
            *self.withdrawn.entry(back.lot).or_default() += back.amount.0;
        }
        for anew in &reversal.renewed {
            assert!(anew.amount.0 > 0);
            *self.renewed.entry(anew.account).or_default() += anew.amount.0;
        }
        self.uncounted += reversal.uncounted.len();
        self.gifts += reversal.gifts.values().sum::<u32>();
        self.wholes += usize::from(reversal.whole);
    }
}

fn any_goods() -> impl Strategy<Value = Goods> {
    let shares = (0..500_i64, 0..500_i64, 0..200_i64, 0..200_i64);
    (1..4_000_u64, 0..30_000_i64, shares).prop_map(
        |(milli, price, (points, bonus, first, second))| Goods {
            milli,
            price,
            points,
            bonus,
            earned: (first, second),
        },
    )
}

/// Points of an account, whatever has run out.
fn total(member: &Member, account: AccountId) -> i64 {
    member.account(account).total().expect("sound").0
}

proptest! {
    #[test]
    fn all_parts_together_are_the_purchase(
        goods in prop::collection::vec(any_goods(), 1..6),
        parts in prop::collection::vec((any::<prop::sample::Index>(), 1..1_500_u64, 0..6_u32), 0..20),
        days in 0..8_u32,
        spends in 0..3_000_i64,
        from_refund: bool,
    ) {
        let purchase = bought(&goods);
        let rules = ReturnRules {
            restored_days_min: days,
            shortfall: if from_refund { Shortfall::FromRefund } else { Shortfall::Debt },
        };
        let mut member = buyer();
        // Little beside what the purchase takes, so that points may be short.
        for account in member.accounts.values_mut() {
            account.lots.values_mut().for_each(|lot| lot.amount = Minor(3));
        }
        let before = member.clone();
        sold_to(&mut member, &purchase);
        let earned = LotId { operation: operation(1, 1), index: 0 };
        let lots = &mut member.accounts.get_mut(&POINTS).expect("sound").lots;
        lots.get_mut(&earned).expect("sound").taken = Minor(spends);

        let mut returned = vec![Milli(0); goods.len()];
        let (mut back, mut today, mut sequence) = (CameBack::default(), TODAY, 2);
        for wanted in parts.into_iter().map(Some).chain([None]) {
            let lines = wanted.map(|(place, milli, later)| {
                let place = place.index(goods.len());
                today = today.plus(later);
                let left = goods[place].milli - returned[place].0;
                [ReturnedLine { line: u16::try_from(place).expect("sound"), quantity: Milli(milli.min(left)) }]
            });
            let nothing = lines.is_some_and(|[line]| line.quantity == Milli(0));
            let all = (0..goods.len()).all(|place| goods[place].milli == returned[place].0);
            if nothing || all {
                continue;
            }
            let asked = lines.as_ref().map(<[_; 1]>::as_slice);
            let reversal = take_back(&purchase, &returned, asked, (&member, &rules, today));
            prop_assert!(reversal.refund.0 >= 0 && reversal.refund <= reversal.counted);
            for line in &reversal.lines {
                returned[usize::from(line.line)].0 += line.quantity.0;
            }
            back.add(&reversal);
            apply(&mut member, operation(1, sequence), stamp(hours(2)), &Body::Return(reversal)).expect("sound");
            sequence += 1;
        }

        prop_assert_eq!(back.refund + back.kept, purchase.counted.0);
        prop_assert_eq!((back.wholes, back.uncounted, back.gifts), (1, 1, 2));
        let promoted = purchase.promoted.as_ref().expect("sound");
        let taken = purchase.redeemed.iter().chain(promoted.spent.iter().map(|one| &one.taken));
        let mut spent = BTreeMap::<AccountId, i64>::new();
        for one in taken {
            for take in &one.takes {
                *spent.entry(one.account).or_default() += take.amount.0;
                let back = back.restored.get(&take.lot).copied().unwrap_or_default();
                prop_assert!(back <= take.amount.0, "more than was taken from {:?}", take);
                let lasts = take.lot != lot(2) && take.lot != lot(4);
                prop_assert!(back == take.amount.0 || (days > 0 && !lasts));
            }
        }
        let lot_of = |index| LotId { operation: operation(1, 1), index };
        let withdrawn: i64 = (0..2).map(|index| back.withdrawn.get(&lot_of(index)).unwrap_or(&0)).sum();
        let earned: i64 = purchase.earned.iter().map(|credit| credit.amount.0).sum();
        prop_assert_eq!(withdrawn + back.kept, earned);
        prop_assert!(from_refund || back.kept == 0);
        let accounts: BTreeSet<_> = ACCOUNTS.into();
        prop_assert_eq!(spent.keys().copied().collect::<BTreeSet<_>>(), accounts);
        for account in ACCOUNTS {
            let given = back.renewed.get(&account).copied().unwrap_or_default();
            let restored: i64 = (1..=5)
                .filter(|place| before.account(account).lots.contains_key(&lot(*place)))
                .map(|place| back.restored.get(&lot(place)).copied().unwrap_or_default())
                .sum();
            prop_assert_eq!(given + restored, spent[&account], "{:?}", account);
        }
        // Nobody has more or less than before the purchase, but for what they spent and paid for out of the refund.
        let moved: i64 = ACCOUNTS.iter().map(|account| total(&member, *account) - total(&before, *account)).sum();
        prop_assert_eq!(moved, back.kept - spends);
        prop_assert_eq!((member.counted, member.purchases), (Minor::ZERO, 0));
    }
}
