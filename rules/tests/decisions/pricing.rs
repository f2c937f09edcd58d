//! Prices, shares and points: the starter programme's figures, limits of a wish, and sums over random receipts.

use kopilka_crdt::money::{Milli, Minor};
use kopilka_crdt::operation::{CODE_BYTES_MAX, RECEIPT_LINES_MAX};
use kopilka_rules::Programme;
use kopilka_rules::pricing::{ATTRIBUTES_MAX, LineProblem, PricingError, ReceiptLine, Wish, quote};
use proptest::prelude::*;

use crate::given::{TODAY, line, member, programme, programme_with};

fn earned(counted: i64, receipt: &[ReceiptLine]) -> i64 {
    let mut buyer = member(&[]);
    buyer.counted = Minor(counted);
    let quote = quote(&programme(), &buyer, receipt, Wish::Nothing, TODAY);
    quote.expect("a sound receipt").earned_sum().0
}

#[test]
fn tiers_begin_a_kopeck_above_their_threshold() {
    for (counted, points) in [
        (0, 500),
        (1_000_000, 500),
        (1_000_001, 1_000),
        (3_000_000, 1_000),
        (3_000_001, 1_500),
        (-5, 500),
    ] {
        let found = earned(counted, &[line("", "1", 10_000)]);
        assert_eq!(found, points, "earned on 100.00 after {counted}");
    }
}

#[test]
fn points_are_rounded_down_once_a_receipt() {
    for (receipt, points) in [
        (vec![line("", "1", 19)], 0),
        (vec![line("", "1", 20)], 1),
        (vec![line("", "1", 19), line("", "1", 19)], 1),
        (vec![line("", "0.345", 19_990)], 344),
        (vec![line("tobacco", "1", 10_000)], 0),
        (
            vec![line("tobacco", "1", 10_000), line("dairy", "2", 5_000)],
            500,
        ),
    ] {
        assert_eq!(earned(0, &receipt), points, "{receipt:?}");
    }
}

#[test]
fn a_credit_lives_by_its_account() {
    let programme = programme_with(|rules| {
        let account = rules.accounts.values_mut().next().unwrap();
        (account.active_after_days, account.expires_after_days) = (14, Some(30));
    });
    let quote = quote(
        &programme,
        &member(&[]),
        &[line("", "1", 10_000)],
        Wish::Nothing,
        TODAY,
    )
    .unwrap();
    let [credit] = quote.earned.as_slice() else {
        panic!("one account earns")
    };
    assert_eq!(
        (credit.active_from, credit.expires_on),
        (TODAY.plus(14), Some(TODAY.plus(43)))
    );
    assert_eq!(programme.welcome(TODAY)[0].amount, Minor(25_000));
}

/// Redeems on a receipt of 100.00 open and 50.00 of tobacco.
fn redeem(programme: &Programme, points: i64, wish: Wish) -> Result<(i64, i64), PricingError> {
    let receipt = [line("", "1", 10_000), line("tobacco", "1", 5_000)];
    let quote = quote(
        programme,
        &member(&[(points, 0, None)]),
        &receipt,
        wish,
        TODAY,
    )?;
    assert_eq!(quote.to_pay, Minor(15_000 - quote.redeemed.0));
    assert_eq!(
        quote.lines[1].redeemed,
        Minor::ZERO,
        "tobacco is not paid by points"
    );
    Ok((quote.redeemed.0, quote.earned_sum().0))
}

#[test]
fn wishes_meet_the_share_the_balance_and_the_step() {
    let starter = programme();
    let stepped = programme_with(|rules| {
        rules.redemption.step_minor = 100;
        rules.redemption.amount_min_minor = Minor(500);
    });
    let exactly = |amount| Wish::Exactly(Minor(amount));
    let too_many = |most| Err(PricingError::TooManyPoints { most: Minor(most) });
    let too_few = |least| {
        Err(PricingError::TooFewPoints {
            least: Minor(least),
        })
    };
    for (programme, points, wish, expected) in [
        (&starter, 9_000, Wish::Nothing, Ok((0, 500))),
        (&starter, 9_000, exactly(0), Ok((0, 500))),
        (&starter, 9_000, Wish::Most, Ok((3_000, 350))),
        (&starter, 9_000, exactly(3_000), Ok((3_000, 350))),
        (&starter, 9_000, exactly(3_001), too_many(3_000)),
        (&starter, 9_000, exactly(-1), too_few(1)),
        (&starter, 777, Wish::Most, Ok((777, 461))),
        (&starter, 777, exactly(778), too_many(777)),
        (&starter, 0, Wish::Most, Ok((0, 500))),
        (&stepped, 777, Wish::Most, Ok((700, 465))),
        (&stepped, 777, exactly(701), too_many(700)),
        (&stepped, 499, Wish::Most, Ok((0, 500))),
        (&stepped, 9_000, exactly(499), too_few(500)),
        (&stepped, 9_000, exactly(500), Ok((500, 475))),
    ] {
        assert_eq!(
            redeem(programme, points, wish),
            expected,
            "{points} points, {wish:?}"
        );
    }
}

#[test]
fn expired_and_pending_points_pay_nothing() {
    let buyer = member(&[(9_000, 1, None), (9_000, 0, Some(0)), (50, 0, None)]);
    let receipt = [line("", "1", 10_000)];
    let today = quote(&programme(), &buyer, &receipt, Wish::Most, TODAY).unwrap();
    assert_eq!(
        (today.redeemable, today.redeemed),
        (Minor(3_000), Minor(3_000))
    );
    let buyer = member(&[(9_000, 2, None), (9_000, 0, Some(0)), (50, 0, None)]);
    let tomorrow = quote(&programme(), &buyer, &receipt, Wish::Most, TODAY.plus(1)).unwrap();
    assert_eq!(
        (tomorrow.redeemable, tomorrow.redeemed),
        (Minor(3_000), Minor(50))
    );
}

#[test]
fn a_redeemed_receipt_may_be_set_to_earn_nothing() {
    let programme = programme_with(|rules| rules.earning.with_redemption = false);
    assert_eq!(redeem(&programme, 1_000, Wish::Most), Ok((1_000, 0)));
    assert_eq!(redeem(&programme, 1_000, Wish::Nothing), Ok((0, 500)));
}

fn attribute(line: &mut ReceiptLine, name: usize, value: usize) {
    line.attributes.insert("n".repeat(name), "v".repeat(value));
}

#[test]
fn malformed_receipts_are_refused_by_line() {
    let good = line("", "1", 100);
    let spoilt = |spoil: fn(&mut ReceiptLine)| {
        let mut line = good.clone();
        spoil(&mut line);
        line
    };
    for (bad, problem) in [
        (
            spoilt(|line| line.quantity = Milli(0)),
            LineProblem::Quantity,
        ),
        (
            spoilt(|line| line.unit_price = Minor(-1)),
            LineProblem::Price,
        ),
        (
            spoilt(|line| line.discount = Minor(-1)),
            LineProblem::Discount,
        ),
        (
            spoilt(|line| line.discount = Minor(101)),
            LineProblem::Discount,
        ),
        (spoilt(|line| line.sku.clear()), LineProblem::Code),
        (
            spoilt(|line| line.sku = "x".repeat(CODE_BYTES_MAX + 1)),
            LineProblem::Code,
        ),
        (
            spoilt(|line| line.group = "x".repeat(CODE_BYTES_MAX + 1)),
            LineProblem::Code,
        ),
        (
            spoilt(|line| line.price_min = Some(Minor(-1))),
            LineProblem::PriceMin,
        ),
        (
            spoilt(|line| attribute(line, 1, CODE_BYTES_MAX + 1)),
            LineProblem::Code,
        ),
        (
            spoilt(|line| attribute(line, CODE_BYTES_MAX + 1, 1)),
            LineProblem::Code,
        ),
        (
            spoilt(|line| {
                line.attributes = (0..=ATTRIBUTES_MAX)
                    .map(|n| (n.to_string(), String::new()))
                    .collect();
            }),
            LineProblem::Code,
        ),
    ] {
        let receipt = [good.clone(), bad];
        let found = quote(&programme(), &member(&[]), &receipt, Wish::Nothing, TODAY);
        assert_eq!(found, Err(PricingError::Line { line: 1, problem }));
    }
    let priced =
        |lines: Vec<ReceiptLine>| quote(&programme(), &member(&[]), &lines, Wish::Nothing, TODAY);
    assert_eq!(priced(Vec::new()), Err(PricingError::Lines));
    assert!(priced(vec![good.clone(); RECEIPT_LINES_MAX]).is_ok());
    assert_eq!(
        priced(vec![good.clone(); RECEIPT_LINES_MAX + 1]),
        Err(PricingError::Lines)
    );
    let dear = line("", "2", i64::MAX / 2);
    assert!(matches!(
        priced(vec![dear.clone(), dear]),
        Err(PricingError::Amount(_))
    ));
}

fn any_line() -> impl Strategy<Value = ReceiptLine> {
    let group = prop::sample::select(vec!["", "dairy", "tobacco", "gift_card"]);
    (group, 1..5_000_u64, 0..500_000_i64, 0..=1_000_i64).prop_map(|(group, milli, price, part)| {
        let mut line = line(group, "1", price);
        line.quantity = Milli(milli);
        let amount = line
            .quantity
            .price(line.unit_price)
            .expect("a small product");
        line.discount = amount.fraction(part, 1_000).expect("a part of it");
        line
    })
}

proptest! {
    #[test]
    fn parts_add_up(
        receipt in prop::collection::vec(any_line(), 1..30),
        points in 0..2_000_000_i64,
        counted in 0..4_000_000_i64,
    ) {
        let programme = programme();
        let mut buyer = member(&[(points, 0, None)]);
        buyer.counted = Minor(counted);
        let quote = quote(&programme, &buyer, &receipt, Wish::Most, TODAY).unwrap();
        let sum = |part: fn(&kopilka_crdt::operation::PurchaseLine) -> i64| quote.lines.iter().map(part).sum::<i64>();
        prop_assert_eq!(sum(|line| line.amount().unwrap().0), quote.total.0);
        prop_assert_eq!(sum(|line| line.redeemed.0), quote.redeemed.0);
        prop_assert_eq!(sum(|line| line.earned.0), quote.earned_sum().0);
        prop_assert_eq!(quote.to_pay.0 + quote.redeemed.0, quote.total.0);
        prop_assert!(quote.redeemed.0 <= points.min(quote.redeemable.0));
        let open: i64 = quote.lines.iter().filter(|line| programme.group(&line.group).redeems)
            .map(|line| line.amount().unwrap().0).sum();
        prop_assert_eq!(quote.redeemable.0, open * 3 / 10);
        for line in &quote.lines {
            prop_assert!((0..=line.amount().unwrap().0).contains(&line.redeemed.0));
            prop_assert!(line.earned.0 >= 0);
            if !programme.group(&line.group).earns {
                prop_assert_eq!((line.redeemed, line.earned), (Minor::ZERO, Minor::ZERO));
            }
        }
        let permille = i64::from(programme.tier(Minor(counted)).earn_permille);
        prop_assert_eq!(quote.earned_sum().0, (open - quote.redeemed.0) * permille / 1_000);
    }
}
