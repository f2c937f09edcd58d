//! Returns: whatever the order and size of the parts, they add up to the shares of the sale.

use std::collections::BTreeMap;

use kopilka_crdt::allowance::Rung;
use kopilka_crdt::ids::{CashierId, LotId, TillId};
use kopilka_crdt::ledger::{Take, apply};
use kopilka_crdt::member::Member;
use kopilka_crdt::money::{Milli, Minor};
use kopilka_crdt::operation::{AccountTakes, Authority, Body, Purchase, ReturnedLine, Reversal};
use kopilka_crdt::rulebook::model::ReturnRules;
use kopilka_rules::pricing::{ReceiptLine, Wish, quote};
use kopilka_rules::redemption::Authorised;
use kopilka_rules::reversal::{Counter, Present, ReversalError, Sold, reverse};
use proptest::prelude::*;

use crate::given::{POINTS, TODAY, hours, line, lot, member, operation, programme, sale, stamp};

const COUNTER: Counter = Counter {
    till: TillId(2),
    cashier: CashierId(3),
};

/// A sale to someone with lots of these sizes who spends what they can.
fn sold(receipt: &[ReceiptLine], lots: &[i64]) -> Purchase {
    let lots: Vec<_> = (0..)
        .zip(lots)
        .map(|(place, amount)| (*amount, 0, Some(place)))
        .collect();
    let buyer = member(&lots);
    let quote = quote(&programme(), &buyer, receipt, Wish::Most, TODAY).expect("a sound receipt");
    let takes = buyer
        .account(POINTS)
        .plan(quote.redeemed, TODAY)
        .expect("small sums")
        .expect("enough");
    let authorised = Authorised {
        takes: AccountTakes {
            account: POINTS,
            takes,
        },
        authority: Authority {
            rung: Rung::Hub,
            uses: Vec::new(),
        },
    };
    sale(
        &quote,
        1,
        (quote.redeemed > Minor::ZERO).then_some(authorised),
    )
}

fn back(line: u16, quantity: &str) -> ReturnedLine {
    ReturnedLine {
        line,
        quantity: Milli::parse(quantity).expect("a decimal"),
    }
}

fn take_back(
    purchase: &Purchase,
    returned: &[Milli],
    wanted: Option<&[ReturnedLine]>,
) -> Result<Reversal, ReversalError> {
    let sold = Sold {
        operation: operation(1, 1),
        stamp: stamp(hours(1)),
        purchase,
        returned,
    };
    let present = Present {
        member: &Member::default(),
        rules: &ReturnRules::default(),
        today: TODAY,
    };
    reverse(&sold, wanted, COUNTER, &present)
}

#[test]
fn a_whole_return_gives_back_the_sale() {
    let receipt = [line("", "2", 10_000), line("tobacco", "1", 5_000)];
    let purchase = sold(&receipt, &[1_000, 9_000]);
    let whole = take_back(&purchase, &[], None).unwrap();
    assert_eq!(
        (whole.refund, whole.counted, whole.whole),
        (Minor(19_000), Minor(19_000), true)
    );
    let restored = whole.restored[0].clone();
    let takes = [
        Take {
            lot: lot(2),
            amount: Minor(5_000),
        },
        Take {
            lot: lot(1),
            amount: Minor(1_000),
        },
    ];
    assert_eq!(restored.takes, takes);
    let withdrawn: Vec<_> = whole
        .withdrawn
        .iter()
        .flat_map(|takes| &takes.takes)
        .map(|take| take.amount)
        .collect();
    assert_eq!(withdrawn, [Minor(700)]);
}

#[test]
fn spent_points_go_back_into_the_last_taken_lot_first() {
    let purchase = sold(&[line("", "2", 10_000)], &[1_000, 9_000]);
    let half = take_back(&purchase, &[], Some(&[back(0, "1")])).unwrap();
    assert_eq!(
        half.restored[0].takes,
        [Take {
            lot: lot(2),
            amount: Minor(3_000)
        }]
    );
    assert_eq!((half.refund, half.whole), (Minor(7_000), false));
    let rest = take_back(&purchase, &[Milli(1_000)], None).unwrap();
    let takes = [
        Take {
            lot: lot(2),
            amount: Minor(2_000),
        },
        Take {
            lot: lot(1),
            amount: Minor(1_000),
        },
    ];
    assert_eq!(rest.restored[0].takes, takes);
    assert!(rest.whole);
}

#[test]
fn what_cannot_come_back_is_refused() {
    let purchase = sold(&[line("", "2", 10_000), line("", "0.5", 10_000)], &[]);
    let none: &[Milli] = &[];
    let too_much = |line, left: &str| {
        Err(ReversalError::TooMuch {
            line,
            left: Milli::parse(left).unwrap(),
        })
    };
    for (returned, wanted, expected) in [
        (none, vec![back(0, "3")], too_much(0, "2")),
        (none, vec![back(0, "0")], too_much(0, "2")),
        (
            none,
            vec![back(1, "0.3"), back(1, "0.3")],
            too_much(1, "0.5"),
        ),
        (&[Milli(2_000)], vec![back(0, "0.001")], too_much(0, "0")),
        (none, vec![back(2, "1")], Err(ReversalError::NoSuchLine(2))),
        (none, vec![], Err(ReversalError::NothingLeft)),
    ] {
        assert_eq!(
            take_back(&purchase, returned, Some(&wanted)),
            expected,
            "{wanted:?}"
        );
    }
    let all = [Milli(2_000), Milli(500)];
    assert_eq!(
        take_back(&purchase, &all, None),
        Err(ReversalError::NothingLeft)
    );
}

#[test]
fn a_crumb_that_brings_a_point_back_costs_nobody_money() {
    let purchase = sold(&[line("", "1", 10)], &[100]);
    let first = take_back(&purchase, &[], Some(&[back(0, "0.3")])).unwrap();
    let crumb = take_back(&purchase, &[Milli(300)], Some(&[back(0, "0.034")])).unwrap();
    assert_eq!((first.refund, first.restored), (Minor(2), Vec::new()));
    assert_eq!((crumb.refund, !crumb.restored.is_empty()), (Minor(0), true));
}

/// What a sequence of returns gave back.
#[derive(Debug, Default, PartialEq, Eq)]
struct GivenBack {
    refund: i64,
    counted: i64,
    restored: BTreeMap<LotId, i64>,
    withdrawn: BTreeMap<LotId, i64>,
    wholes: usize,
}

impl GivenBack {
    fn add(&mut self, reversal: &Reversal) {
        self.refund += reversal.refund.0;
        self.counted += reversal.counted.0;
        for take in reversal.restored.iter().flat_map(|takes| &takes.takes) {
            *self.restored.entry(take.lot).or_default() += take.amount.0;
        }
        for take in reversal.withdrawn.iter().flat_map(|takes| &takes.takes) {
            *self.withdrawn.entry(take.lot).or_default() += take.amount.0;
        }
        self.wholes += usize::from(reversal.whole);
    }

    fn all_of(purchase: &Purchase) -> Self {
        let taken = purchase.redeemed.iter().flat_map(|takes| &takes.takes);
        let credits = (0..).zip(&purchase.earned);
        Self {
            refund: purchase.counted.0,
            counted: purchase.counted.0,
            restored: taken.map(|take| (take.lot, take.amount.0)).collect(),
            withdrawn: credits
                .map(|(index, credit)| {
                    (
                        LotId {
                            operation: operation(1, 1),
                            index,
                        },
                        credit.amount.0,
                    )
                })
                .collect(),
            wholes: 1,
        }
    }
}

fn any_sale() -> impl Strategy<Value = (Vec<(u64, i64)>, Vec<i64>)> {
    let lines = prop::collection::vec((1..4_000_u64, 1..30_000_i64), 1..8);
    (lines, prop::collection::vec(1..5_000_i64, 0..5))
}

proptest! {
    #[test]
    fn parts_add_up_whatever_their_order(
        (lines, lots) in any_sale(),
        parts in prop::collection::vec((any::<prop::sample::Index>(), 1..1_500_u64), 0..25),
    ) {
        let receipt: Vec<_> = lines.iter().map(|&(milli, price)| {
            let mut line = line("", "1", price);
            line.quantity = Milli(milli);
            line
        }).collect();
        let purchase = sold(&receipt, &lots);
        let mut buyer = member(&(0..).zip(&lots).map(|(place, amount)| (*amount, 0, Some(place))).collect::<Vec<_>>());
        let before = buyer.clone();
        apply(&mut buyer, operation(1, 1), stamp(hours(1)), &Body::Purchase(purchase.clone())).unwrap();

        let mut returned = vec![Milli(0); receipt.len()];
        let mut given = GivenBack::default();
        let mut sequence = 2;
        for wanted in parts.into_iter().map(Some).chain([None]) {
            let lines = wanted.map(|(place, milli)| {
                let place = place.index(receipt.len());
                let left = receipt[place].quantity.0 - returned[place].0;
                [ReturnedLine { line: u16::try_from(place).unwrap(), quantity: Milli(milli.min(left)) }]
            });
            if lines.is_some_and(|[line]| line.quantity == Milli(0)) {
                continue;
            }
            let reversal = match take_back(&purchase, &returned, lines.as_ref().map(<[_; 1]>::as_slice)) {
                Ok(reversal) => reversal,
                Err(error) => {
                    prop_assert_eq!((error, lines), (ReversalError::NothingLeft, None));
                    continue;
                }
            };
            prop_assert!(reversal.refund.0 >= 0, "nobody pays for bringing goods back: {:?}", reversal);
            for line in &reversal.lines {
                returned[usize::from(line.line)].0 += line.quantity.0;
            }
            given.add(&reversal);
            apply(&mut buyer, operation(1, sequence), stamp(hours(2)), &Body::Return(reversal)).unwrap();
            sequence += 1;
        }
        prop_assert_eq!(given, GivenBack::all_of(&purchase));
        let left = |member: &kopilka_crdt::member::Member| member.account(POINTS).total().unwrap();
        prop_assert_eq!(left(&buyer), left(&before));
        prop_assert_eq!((buyer.counted, buyer.purchases), (Minor::ZERO, 0));
    }
}
