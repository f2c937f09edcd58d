//! An independent recount: what each member must have by simple arithmetic over what was asked of the tills and what
//! they answered. Nothing of the ledger's code is used here.

use std::collections::BTreeMap;

use super::receipts::SoldLine;
use super::till::{Sold, TakenBack};

/// Points per thousand that the three tiers of the starter rules earn.
const TIERS_PERMILLE: [i64; 3] = [50, 100, 150];
/// Points pay at most this much of a receipt, in thousandths.
const SHARE_PERMILLE_MAX: i64 = 300;

/// The books of the demo, minor units.
#[derive(Debug, Default)]
pub struct Recount {
    /// What each customer must have.
    pub balances: BTreeMap<u32, i64>,
    /// Answers whose figures do not follow from the receipt.
    pub faults: Vec<String>,
    /// Money paid.
    pub paid: i64,
    /// Money handed back.
    pub refunded: i64,
    /// Points earned by purchases.
    pub earned: i64,
    /// Points that paid.
    pub redeemed: i64,
}

impl Recount {
    /// Points that were brought in, or given for joining.
    pub fn given(&mut self, customer: u32, points: i64) {
        *self.balances.entry(customer).or_default() += points;
    }

    /// A sale, checked against its receipt.
    pub fn sold(&mut self, customer: u32, lines: &[SoldLine], sold: &Sold) {
        let total: i64 = lines
            .iter()
            .map(|line| line.quantity * line.unit_price)
            .sum();
        let paid = total - sold.redeemed;
        let in_a_tier = TIERS_PERMILLE
            .iter()
            .any(|permille| sold.earned == paid * permille / 1_000);
        let sound = sold.total == total
            && sold.to_pay == paid
            && (0..=total * SHARE_PERMILLE_MAX / 1_000).contains(&sold.redeemed)
            && in_a_tier;
        if !sound {
            self.faults.push(format!("{total}: {sold:?}"));
        }
        self.given(customer, sold.earned - sold.redeemed);
        self.paid += sold.to_pay;
        self.earned += sold.earned;
        self.redeemed += sold.redeemed;
    }

    /// Goods that came back.
    pub fn taken_back(&mut self, customer: u32, taken: TakenBack) {
        if taken.refund < 0 || taken.restored < 0 || taken.withdrawn < 0 {
            self.faults.push(format!("{taken:?}"));
        }
        self.given(customer, taken.restored - taken.withdrawn);
        self.refunded += taken.refund;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(redeemed: i64, earned: i64, faults: usize) {
        let line = SoldLine {
            sku: "A".to_owned(),
            quantity: 3,
            unit_price: 335,
        };
        let sold = Sold {
            purchase: String::new(),
            total: 1_005,
            redeemed,
            to_pay: 1_005 - redeemed,
            earned,
            rung: None,
        };
        let mut recount = Recount::default();
        recount.sold(1, &[line], &sold);
        assert_eq!(recount.faults.len(), faults, "{redeemed} {earned}");
        assert_eq!(recount.balances[&1], earned - redeemed);
    }

    #[test]
    fn answers_must_follow_from_receipts() {
        check(0, 50, 0);
        check(0, 100, 0);
        check(0, 150, 0);
        check(0, 51, 1);
        check(301, 35, 0);
        check(302, 35, 1);
    }
}
