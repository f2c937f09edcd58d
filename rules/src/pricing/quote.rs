//! A priced receipt, and what a purchase keeps of it.

use std::collections::{BTreeMap, BTreeSet};

use kopilka_crdt::clock::Day;
use kopilka_crdt::ids::{AccountId, MemberId, PromotionId, StoreId};
use kopilka_crdt::money::{AmountError, Minor};
use kopilka_crdt::operation::{Applied, Credit, Promoted, PurchaseLine};
use kopilka_crdt::rulebook::model::condition::Condition;
use kopilka_crdt::rulebook::model::promotion::LimitCount;

use super::payment::Payment;
use super::receipt::ReceiptLine;
use crate::programme::Programme;
use crate::promotion::{
    CouponUse, Credited, Discount, Explained, Issued, Occasion, Outcome, Spent,
};
use crate::promotion::{counted_on_records, counting, draws_on_budget};

/// A priced receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// The lines with their shares.
    pub lines: Vec<PurchaseLine>,
    /// Before points.
    pub total: Minor,
    /// Most that the account that usually pays may pay of it, whatever the balance.
    pub redeemable: Minor,
    /// Most that this member may redeem from it today.
    pub redeemable_now: Minor,
    /// Points redeemed from it.
    pub redeemed: Minor,
    /// What other accounts may pay, and pay.
    pub payments: Vec<Payment>,
    /// Left to pay.
    pub to_pay: Minor,
    /// Points earned, one credit an account.
    pub earned: Vec<Credit>,
    /// What the tier gives for each line, in the account that purchases credit.
    pub base: (AccountId, Vec<Minor>),
    /// What promotions took off, in the order in which they did.
    pub discounts: Vec<Discount>,
    /// Points that promotions credit; they are part of `earned`.
    pub credits: Vec<Credited>,
    /// Points that rewards cost, beside those redeemed.
    pub spent: Vec<Spent>,
    /// Coupons that were used up.
    pub coupons: Vec<CouponUse>,
    /// What promotions hand out.
    pub issued: Vec<(PromotionId, Issued)>,
    /// What became of each promotion that was asked.
    pub explained: Vec<Explained>,
}

/// A budget that a receipt draws on: the store needs a right to so much of its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    /// The record, with the budget on [`AccountId::BUDGET`].
    pub record: MemberId,
    /// The promotion.
    pub promotion: PromotionId,
    /// How much: receipts, or minor units of money or points.
    pub amount: Minor,
}

impl Quote {
    /// The promotions that gave something, in order of their numbers.
    pub fn promotions(&self) -> Vec<PromotionId> {
        let gave = |one: &&Explained| matches!(one.outcome, Outcome::Gave { .. });
        let gave = self.explained.iter().filter(gave);
        gave.map(|one| one.promotion).collect()
    }

    /// Points earned over all accounts.
    pub fn earned_sum(&self) -> Minor {
        Minor(self.earned.iter().map(|credit| credit.amount.0).sum())
    }

    /// What all accounts pay.
    pub fn redeemed_sum(&self) -> Minor {
        let further = self.payments.iter().map(|payment| payment.amount.0);
        Minor(further.fold(self.redeemed.0, i64::saturating_add))
    }

    /// What each promotion gave, and whether limits of the member count it.
    pub fn applied(&self, programme: &Programme) -> Vec<Applied> {
        let given = self.explained.iter().filter_map(|one| match one.outcome {
            Outcome::Gave { off, points } => {
                let promotion = programme.rules().promotions.get(&one.promotion)?;
                Some(Applied {
                    promotion: one.promotion,
                    off,
                    points,
                    counting: counting(promotion),
                })
            }
            Outcome::Nothing(_) => None,
        });
        given.collect()
    }

    /// What a purchase keeps so that it can be priced again and given back; all but what was spent, which stands on
    /// rights that only a store can name.
    pub fn promoted(
        &self,
        programme: &Programme,
        receipt: &[ReceiptLine],
        occasion: &Occasion,
    ) -> Result<Option<Promoted>, AmountError> {
        let applied = self.applied(programme);
        let lines = || (0..).zip(receipt);
        let floors = lines().filter_map(|(index, line)| Some((index, line.price_min?)));
        let price_floors: BTreeMap<_, _> = floors.collect();
        let paid = self.payments.iter().any(|one| one.amount > Minor::ZERO);
        let picky = programme.rules().redemption.goods.is_some() && self.redeemed > Minor::ZERO;
        if applied.is_empty() && price_floors.is_empty() && !paid && !picky {
            return Ok(None);
        }
        let known = lines().filter(|(_, line)| !line.attributes.is_empty());
        let own = lines().filter(|(_, line)| line.discount > Minor::ZERO);
        let (gifts, badges) = self.handed_out();
        Ok(Some(Promoted {
            attributes: known
                .map(|(index, line)| (index, line.attributes.clone()))
                .collect(),
            till_discounts: own.map(|(index, line)| (index, line.discount)).collect(),
            price_floors,
            earned_shares: self.earned_shares()?,
            spent: Vec::new(),
            issued: self.issued_credits(programme, occasion.today)?,
            gifts,
            badges,
            codes: codes(programme, &applied, occasion),
            applied,
        }))
    }

    /// Budgets that have to be drawn on before the receipt may be sold like this.
    pub fn draws(&self, programme: &Programme) -> Vec<Draw> {
        let mut draws = Vec::new();
        for applied in self.applied(programme) {
            let promotion = programme.rules().promotions.get(&applied.promotion);
            let budget = promotion.and_then(draws_on_budget);
            draws.extend(budget.map(|limit| Draw {
                record: MemberId::of_limit(applied.promotion, None),
                promotion: applied.promotion,
                amount: match limit.count {
                    LimitCount::Uses => Minor(1),
                    LimitCount::Money => applied.off,
                    LimitCount::Points => applied.points,
                },
            }));
        }
        draws.retain(|draw| draw.amount > Minor::ZERO);
        draws
    }

    /// Records that count what the receipt used, without any right.
    pub fn counts(&self, programme: &Programme, store: StoreId) -> Vec<(MemberId, Applied)> {
        let mut counts = Vec::new();
        for applied in self.applied(programme) {
            let promotion = programme.rules().promotions.get(&applied.promotion);
            let scopes = promotion.map_or_else(Vec::new, counted_on_records);
            counts.extend(scopes.into_iter().map(|of_store| {
                let record = MemberId::of_limit(applied.promotion, of_store.then_some(store));
                (record, applied)
            }));
        }
        counts
    }

    fn handed_out(&self) -> (BTreeMap<String, u32>, BTreeSet<String>) {
        let (mut gifts, mut badges) = (BTreeMap::<String, u32>::new(), BTreeSet::new());
        for (_, issued) in &self.issued {
            match issued {
                Issued::Gift { code, count } => {
                    let sum = gifts.entry(code.clone()).or_default();
                    *sum = sum.saturating_add(*count);
                }
                Issued::Badge { code } => {
                    badges.insert(code.clone());
                }
                Issued::Goods { .. } | Issued::Coupon { .. } | Issued::Message { .. } => {}
            }
        }
        (gifts, badges)
    }

    /// Coupons issued, as units of their series' accounts.
    pub fn issued_credits(
        &self,
        programme: &Programme,
        today: Day,
    ) -> Result<Vec<Credit>, AmountError> {
        let mut units: BTreeMap<AccountId, Minor> = BTreeMap::new();
        for (_, issued) in &self.issued {
            if let Issued::Coupon { series } = issued
                && let Some(rules) = programme.rules().coupons.get(series)
            {
                let sum = units.entry(rules.account).or_default();
                *sum = sum.plus(Minor(1))?;
            }
        }
        let credits = units.into_iter();
        Ok(credits
            .map(|(account, units)| programme.credit(account, units, today))
            .collect())
    }

    /// Shares of the lines by account, when there are several.
    fn earned_shares(&self) -> Result<BTreeMap<AccountId, Vec<Minor>>, AmountError> {
        if self.earned.len() < 2 {
            return Ok(BTreeMap::new());
        }
        let mut shares = BTreeMap::from([self.base.clone()]);
        for credited in &self.credits {
            let sums = shares
                .entry(credited.account)
                .or_insert_with(|| vec![Minor::ZERO; credited.shares.len()]);
            for (sum, share) in sums.iter_mut().zip(&credited.shares) {
                *sum = sum.plus(*share)?;
            }
        }
        let credited = |account: &AccountId| self.earned.iter().any(|one| one.account == *account);
        shares.retain(|account, _| credited(account));
        Ok(shares)
    }
}

/// Codes entered that a promotion which gave something asks for.
fn codes(programme: &Programme, applied: &[Applied], occasion: &Occasion) -> Vec<String> {
    let mut asked = Vec::new();
    let promotions = &programme.rules().promotions;
    let mut conditions: Vec<_> = applied
        .iter()
        .filter_map(|one| promotions.get(&one.promotion)?.when.as_ref())
        .collect();
    while let Some(condition) = conditions.pop() {
        match condition {
            Condition::All { of } | Condition::Any { of } => conditions.extend(of),
            Condition::PromoCodes { of } => {
                asked.extend(of.iter().map(|code| code.to_uppercase()));
            }
            Condition::Not { .. }
            | Condition::Dates { .. }
            | Condition::Yearly { .. }
            | Condition::Weekdays { .. }
            | Condition::Hours { .. }
            | Condition::Stores { .. }
            | Condition::StoreGroups { .. }
            | Condition::Partners { .. }
            | Condition::Channels { .. }
            | Condition::Tiers { .. }
            | Condition::CardKinds { .. }
            | Condition::Tags { .. }
            | Condition::Birthday { .. }
            | Condition::MemberFor { .. }
            | Condition::LastPurchase { .. }
            | Condition::PurchaseNumber { .. }
            | Condition::Spent { .. }
            | Condition::Visits { .. }
            | Condition::Total { .. }
            | Condition::Goods { .. }
            | Condition::Tenders { .. }
            | Condition::Coupons { .. } => {}
        }
    }
    let entered = occasion.codes.iter();
    entered
        .filter(|code| asked.contains(&code.to_uppercase()))
        .cloned()
        .collect()
}
