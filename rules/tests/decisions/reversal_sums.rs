//! Returns in any parts: together they are the purchase, account by account and lot by lot.

use std::collections::{BTreeMap, BTreeSet};

use kopilka_crdt::ids::{AccountId, LotId};
use kopilka_crdt::ledger::{Take, apply};
use kopilka_crdt::member::Member;
use kopilka_crdt::money::{Milli, Minor};
use kopilka_crdt::operation::{AccountTakes, Body, ReturnedLine, Reversal};
use kopilka_crdt::rulebook::model::{ReturnRules, Shortfall};
use kopilka_rules::reversal::kept_back;
use proptest::prelude::*;

use crate::accounts::{ACCOUNTS, Goods, bought, buyer, sold_to, take_back};
use crate::given::{POINTS, TODAY, hours, lot, operation, stamp};

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
