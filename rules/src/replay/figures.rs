//! What a replay counts, and when its effect is large.

use std::collections::BTreeMap;

use kopilka_crdt::ids::{OperationId, PromotionId};
use kopilka_crdt::money::{AmountError, Minor};
use kopilka_crdt::operation::ReceiptKey;
use serde::{Deserialize, Serialize};

use crate::pricing::Quote;

/// Receipts named among those that change most.
pub const LARGEST_MAX: usize = 20;
/// Receipts named among those that have no price.
pub const UNPRICED_NAMED_MAX: usize = 20;

/// The same of the version in force and of the one that may follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Both<T> {
    /// Under the version in force.
    pub before: T,
    /// Under the other.
    pub after: T,
}

/// What a receipt gives its member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Given {
    /// Taken off by promotions.
    pub discounts: Minor,
    /// Points earned, over all accounts.
    pub earned: Minor,
    /// Points redeemed, over all accounts, and paid for rewards.
    pub redeemed: Minor,
}

/// What one promotion gives over all receipts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PromotionGave {
    /// On how many of them.
    pub receipts: u64,
    /// Taken off.
    pub discounts: Minor,
    /// Points, over all accounts.
    pub points: Minor,
}

/// A receipt that changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedReceipt {
    /// Its operation.
    pub operation: OperationId,
    /// The receipt.
    pub receipt: ReceiptKey,
    /// By how much: what its discounts, points earned and points redeemed differ by, each without its sign.
    pub moved: Minor,
    /// What it gives.
    pub given: Both<Given>,
}

/// A receipt that one of the versions cannot price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnpricedReceipt {
    /// Its operation.
    pub operation: OperationId,
    /// The receipt.
    pub receipt: ReceiptKey,
    /// Why, in words; empty where there is a price.
    pub reason: Both<String>,
}

/// What a replay found. Sums are over the receipts that both versions price.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Figures {
    /// Receipts replayed.
    pub receipts: u64,
    /// Those of them that give their member something else than before.
    pub touched: u64,
    /// Those that have no price.
    pub unpriced: Both<u64>,
    /// Those of them that had one.
    pub lost: u64,
    /// What the receipts cost before promotions and points.
    pub turnover: Minor,
    /// What the receipts change by, each without its sign: what some lose does not make up for what others gain.
    pub moved: Minor,
    /// What they give.
    pub given: Both<Given>,
    /// What each promotion gives that gives anything.
    pub promotions: BTreeMap<PromotionId, Both<PromotionGave>>,
    /// The receipts that change most, those first; [`LARGEST_MAX`] at most.
    pub largest: Vec<ChangedReceipt>,
    /// The first receipts without a price; [`UNPRICED_NAMED_MAX`] at most.
    pub unpriced_named: Vec<UnpricedReceipt>,
}

/// Up to which effect a version is published without a second person's approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Thresholds {
    /// What receipts change by, in thousandths of their turnover.
    pub effect_permille: u32,
    /// Receipts touched, in thousandths of those replayed; 1,000: however many.
    pub receipts_permille: u32,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            effect_permille: 10,
            receipts_permille: 1_000,
        }
    }
}

/// What makes an effect large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Large {
    /// Discounts and points change by more than the threshold.
    Effect,
    /// More receipts are touched than the threshold allows.
    Receipts,
    /// Receipts lose their price, which no threshold allows.
    Unpriced,
}

impl Figures {
    /// By how much receipts change, in thousandths of their turnover, rounded up.
    pub fn effect_permille(&self) -> i64 {
        let moved = i128::from(self.moved.0) * 1_000;
        let turnover = i128::from(self.turnover.0.max(1));
        i64::try_from(moved.div_euclid(turnover) + i128::from(moved.rem_euclid(turnover) > 0))
            .unwrap_or(i64::MAX)
    }

    /// Why the effect needs a second person's approval; empty when it does not.
    pub fn beyond(&self, thresholds: Thresholds) -> Vec<Large> {
        let part = |amount: i128, whole: i128, permille: u32| {
            amount * 1_000 > whole * i128::from(permille)
        };
        let moved = part(
            self.moved.0.into(),
            self.turnover.0.into(),
            thresholds.effect_permille,
        );
        let touched = part(
            self.touched.into(),
            self.receipts.into(),
            thresholds.receipts_permille,
        );
        let reasons = [
            (moved, Large::Effect),
            (touched, Large::Receipts),
            (self.lost > 0, Large::Unpriced),
        ];
        let reasons = reasons.into_iter().filter(|(is_large, _)| *is_large);
        reasons.map(|(_, reason)| reason).collect()
    }
}

impl Given {
    pub(super) fn of(quote: &Quote, rung_up: Minor) -> Result<Self, AmountError> {
        let mut spent = quote.spent.iter().map(|spent| spent.amount);
        Ok(Self {
            discounts: rung_up.minus(quote.total)?,
            earned: Minor::sum(quote.earned.iter().map(|credit| credit.amount))?,
            redeemed: spent.try_fold(quote.redeemed_sum(), Minor::plus)?,
        })
    }

    pub(super) fn plus(&self, other: &Self) -> Result<Self, AmountError> {
        Ok(Self {
            discounts: self.discounts.plus(other.discounts)?,
            earned: self.earned.plus(other.earned)?,
            redeemed: self.redeemed.plus(other.redeemed)?,
        })
    }

    /// The sum of the differences, each without its sign.
    pub(super) fn distance(&self, other: &Self) -> Result<Minor, AmountError> {
        let pairs = [
            (self.discounts, other.discounts),
            (self.earned, other.earned),
            (self.redeemed, other.redeemed),
        ];
        pairs
            .into_iter()
            .try_fold(Minor::ZERO, |sum, (one, other)| {
                sum.plus(one.max(other).minus(one.min(other))?)
            })
    }
}

impl PromotionGave {
    pub(super) fn add(&mut self, off: Minor, points: Minor) -> Result<(), AmountError> {
        self.receipts += 1;
        self.discounts = self.discounts.plus(off)?;
        self.points = self.points.plus(points)?;
        Ok(())
    }
}
