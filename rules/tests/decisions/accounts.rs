//! Purchases that several accounts, coupons and gifts had to do with, and their returns.

use std::collections::BTreeMap;

use kopilka_crdt::allowance::Rung;
use kopilka_crdt::clock::Day;
use kopilka_crdt::ids::{AccountId, CashierId, PartnerId, PromotionId, TillId};
use kopilka_crdt::ledger::{Lot, Take, apply};
use kopilka_crdt::member::Member;
use kopilka_crdt::money::{Milli, Minor};
use kopilka_crdt::operation::{
    AccountTakes, Applied, Authority, Body, Counting, Credit, Promoted, Purchase, PurchaseLine,
    Purpose, ReturnedLine, Reversal, Spending,
};
use kopilka_crdt::rulebook::model::ReturnRules;
use kopilka_rules::pricing::{Wish, quote};
use kopilka_rules::reversal::{Counter, Present, Sold, reverse};

use crate::given::{POINTS, TODAY, hours, line, lot, operation, programme, sale, stamp};

/// Another account that pays and is credited.
pub const BONUS: AccountId = AccountId(2);
/// The account of a series of coupons.
pub const COUPONS: AccountId = AccountId(9);
/// All of them.
pub const ACCOUNTS: [AccountId; 3] = [POINTS, BONUS, COUPONS];
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

/// For good, from today on.
pub fn credit(account: AccountId, amount: i64) -> Credit {
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
pub struct Goods {
    /// Quantity.
    pub milli: u64,
    /// Of one unit, minor units.
    pub price: i64,
    /// Paid with points.
    pub points: i64,
    /// Paid from the other account.
    pub bonus: i64,
    /// Earned on the two.
    pub earned: (i64, i64),
}

/// A purchase of these goods: points of two lots and bonus of two lots pay, a coupon is used, points and bonus are
/// earned, a coupon is issued, a gift credited.
pub fn bought(goods: &[Goods]) -> Purchase {
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
pub fn buyer() -> Member {
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

/// Counts the purchase in its member.
pub fn sold_to(buyer: &mut Member, purchase: &Purchase) {
    let body = Body::Purchase(purchase.clone());
    apply(buyer, operation(1, 1), stamp(hours(1)), &body).expect("sound");
}

/// Takes lines back, or all that is left.
pub fn take_back(
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
