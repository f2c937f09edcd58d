//! Runs promotions over a receipt, stage by stage.

use std::collections::BTreeMap;

use kopilka_crdt::ids::{AccountId, PromotionId};
use kopilka_crdt::money::{AmountError, Minor};
use kopilka_crdt::operation::Applied;
use kopilka_crdt::rulebook::RuleBook;
use kopilka_crdt::rulebook::model::promotion::{Choice, OfflinePolicy, Promotion, Stage};

use super::cart::Cart;
use super::condition::{Question, check};
use super::coupon::{CouponUse, stands_on};
use super::experiment::takes_part;
use super::explanation::{Explained, Outcome, Why};
use super::facts::{Occasion, Shopper};
use super::{Credited, Issued, Spent};

/// How often a reward is given on one receipt when nothing else bounds it.
pub(super) const REWARDS_MAX: u32 = 10_000;

/// What earning needs to know once everything is priced and points are redeemed.
#[derive(Debug, Clone)]
pub(crate) struct Earning {
    /// The account that purchases credit.
    pub account: AccountId,
    /// Paid in money for each line; zero where goods do not earn.
    pub paid: Vec<Minor>,
    /// Whether each line's goods earn.
    pub earns: Vec<bool>,
    /// What the tier gives for each line.
    pub base: Vec<Minor>,
}

/// A receipt's promotions on their way through the stages.
pub(crate) struct Run<'a> {
    pub(super) rules: &'a RuleBook,
    pub(crate) shopper: &'a Shopper,
    pub(crate) occasion: &'a Occasion,
    candidates: Vec<PromotionId>,
    /// The store's word is taken for what only it can know: these promotions gave so much.
    as_said: Option<BTreeMap<PromotionId, Applied>>,
    pub(crate) cart: Cart<'a>,
    pub(crate) credits: Vec<Credited>,
    pub(crate) issued: Vec<(PromotionId, Issued)>,
    pub(crate) spent: Vec<Spent>,
    pub(crate) coupons: Vec<CouponUse>,
    unused_coupons: Vec<String>,
    /// Points redeemed beside rewards, by account.
    pub(crate) paid: BTreeMap<AccountId, Minor>,
    explained: BTreeMap<PromotionId, Outcome>,
    /// By group, the promotion that applied.
    chosen: BTreeMap<&'a str, PromotionId>,
}

impl<'a> Run<'a> {
    pub(crate) fn new(
        rules: &'a RuleBook,
        cart: Cart<'a>,
        shopper: &'a Shopper,
        occasion: &'a Occasion,
        candidates: Vec<PromotionId>,
    ) -> Self {
        Self {
            rules,
            shopper,
            occasion,
            candidates,
            as_said: None,
            cart,
            credits: Vec::new(),
            issued: Vec::new(),
            spent: Vec::new(),
            coupons: Vec::new(),
            unused_coupons: occasion.coupons.clone(),
            paid: BTreeMap::new(),
            explained: BTreeMap::new(),
            chosen: BTreeMap::new(),
        }
    }

    /// Takes the store's word for what it alone can know: who stood there, when, what was shown, and how much of a limit
    /// was left.
    pub(crate) fn trusting(mut self, given: &[Applied]) -> Self {
        self.as_said = Some(given.iter().map(|one| (one.promotion, *one)).collect());
        self
    }

    /// Whether the store's word is taken for what only it can know.
    pub(super) fn is_as_said(&self) -> bool {
        self.as_said.is_some()
    }

    /// What the store says that a promotion gave.
    pub(super) fn said(&self, id: PromotionId) -> Option<&Applied> {
        self.as_said.as_ref()?.get(&id)
    }

    /// What became of each candidate, in order of their numbers.
    pub(crate) fn explained(&self) -> Vec<Explained> {
        let outcomes = self.explained.iter();
        outcomes
            .map(|(promotion, outcome)| Explained {
                promotion: *promotion,
                outcome: *outcome,
            })
            .collect()
    }

    /// Applies the promotions of the stages that lower prices.
    pub(crate) fn discounts(&mut self) -> Result<(), AmountError> {
        for stage in [Stage::Lines, Stage::Receipt, Stage::Coupons] {
            self.stage(stage, None)?;
        }
        Ok(())
    }

    /// What rewards cost: those given, and those asked for of the stages to come, so that redemption leaves points for them.
    pub(crate) fn rewards(&self) -> Result<Vec<Spent>, AmountError> {
        let mut spent = self.spent.clone();
        let asked = |id: &&PromotionId| self.occasion.rewards.contains_key(id);
        for id in self.candidates.iter().filter(asked) {
            let Some(promotion) = self.rules.promotions.get(id) else {
                continue;
            };
            let Some(price) = promotion.price else {
                continue;
            };
            if self.explained.contains_key(id) {
                continue;
            }
            if let Ok(times) = self.times(*id, promotion)? {
                spent.push(Spent {
                    promotion: *id,
                    account: price.account.unwrap_or(self.rules.redemption.account),
                    amount: price.minor.fraction(times.into(), 1)?,
                });
            }
        }
        Ok(spent)
    }

    /// Applies those that credit points and hand out things.
    pub(crate) fn earning(&mut self, earning: &Earning) -> Result<(), AmountError> {
        for stage in [Stage::Earning, Stage::Issue] {
            self.stage(stage, Some(earning))?;
        }
        Ok(())
    }

    fn stage(&mut self, stage: Stage, earning: Option<&Earning>) -> Result<(), AmountError> {
        let rules = self.rules;
        for id in self.candidates.clone() {
            let Some(promotion) = rules
                .promotions
                .get(&id)
                .filter(|promotion| promotion.stage == stage)
            else {
                continue;
            };
            if self.explained.contains_key(&id) {
                continue;
            }
            match promotion.group.as_deref() {
                Some(group) if rules.choices.get(group) == Some(&Choice::Best) => {
                    self.best(group, stage, earning)?
                }
                Some(_) | None => self.one(id, promotion, earning)?,
            }
        }
        Ok(())
    }

    /// Applies the promotion of a group that takes most off at this point, and none of the others.
    fn best(
        &mut self,
        group: &'a str,
        stage: Stage,
        earning: Option<&Earning>,
    ) -> Result<(), AmountError> {
        let mut best: Option<(Minor, PromotionId)> = None;
        let rules = self.rules;
        let members: Vec<_> = self
            .candidates
            .iter()
            .copied()
            .filter(|id| {
                rules.promotions.get(id).is_some_and(|promotion| {
                    promotion.stage == stage && promotion.group.as_deref() == Some(group)
                })
            })
            .collect();
        for id in &members {
            let Some(promotion) = rules.promotions.get(id) else {
                continue;
            };
            let mut trial = self.trial();
            trial.one(*id, promotion, earning)?;
            match trial.explained.get(id) {
                Some(Outcome::Gave { off, points }) => {
                    let worth = off.plus(*points)?;
                    if best.is_none_or(|(most, _)| worth > most) {
                        best = Some((worth, *id));
                    }
                }
                Some(nothing @ Outcome::Nothing(_)) => {
                    self.explained.insert(*id, *nothing);
                }
                None => {}
            }
        }
        let Some((_, winner)) = best else {
            return Ok(());
        };
        if let Some(promotion) = rules.promotions.get(&winner) {
            self.one(winner, promotion, earning)?;
        }
        for id in members {
            self.explained
                .entry(id)
                .or_insert(Outcome::Nothing(Why::Group(winner)));
        }
        Ok(())
    }

    fn trial(&self) -> Run<'a> {
        Run {
            rules: self.rules,
            shopper: self.shopper,
            occasion: self.occasion,
            candidates: Vec::new(),
            as_said: self.as_said.clone(),
            cart: self.cart.clone(),
            credits: Vec::new(),
            issued: Vec::new(),
            spent: self.spent.clone(),
            coupons: Vec::new(),
            unused_coupons: self.unused_coupons.clone(),
            paid: self.paid.clone(),
            explained: BTreeMap::new(),
            chosen: self.chosen.clone(),
        }
    }

    fn one(
        &mut self,
        id: PromotionId,
        promotion: &'a Promotion,
        earning: Option<&Earning>,
    ) -> Result<(), AmountError> {
        let times = match self.times(id, promotion)? {
            Ok(times) => times,
            Err(why) => {
                self.explained.insert(id, Outcome::Nothing(why));
                return Ok(());
            }
        };
        let mut given = 0_u32;
        let (mut off, mut credited) = (Minor::ZERO, Minor::ZERO);
        for _ in 0..times {
            let before = self.issued.len();
            let (more_off, more_points) = self.give(id, promotion, earning)?;
            if more_off == Minor::ZERO && more_points == Minor::ZERO && self.issued.len() == before
            {
                break;
            }
            off = off.plus(more_off)?;
            credited = credited.plus(more_points)?;
            given += 1;
        }
        if given == 0 {
            self.explained.insert(id, Outcome::Nothing(Why::Empty));
            return Ok(());
        }
        if let Some(price) = promotion.price {
            let account = price.account.unwrap_or(self.rules.redemption.account);
            let amount = price.minor.fraction(given.into(), 1)?;
            self.spent.push(Spent {
                promotion: id,
                account,
                amount,
            });
        }
        self.use_coupons(id, promotion)?;
        if promotion.last {
            self.cart.close(id);
        }
        if let Some(group) = promotion.group.as_deref() {
            self.chosen.insert(group, id);
        }
        self.explained.insert(
            id,
            Outcome::Gave {
                off,
                points: credited,
            },
        );
        Ok(())
    }

    /// How often a promotion is to be given; or the first reason why not at all.
    fn times(
        &self,
        id: PromotionId,
        promotion: &Promotion,
    ) -> Result<Result<u32, Why>, AmountError> {
        if let Some(why) = self.occasion.left_out.get(&id) {
            return Ok(Err(*why));
        }
        if let Some(condition) = &promotion.when
            && let Err(why) = check(condition, self.question(promotion))?
        {
            return Ok(Err(why));
        }
        if self.as_said.is_some() {
            let asked = self.occasion.rewards.get(&id).copied().flatten();
            return Ok(Ok(asked.unwrap_or(1).min(REWARDS_MAX)));
        }
        if !self.occasion.online && promotion.offline == OfflinePolicy::Online {
            return Ok(Err(Why::Offline));
        }
        if let Some(winner) = promotion
            .group
            .as_deref()
            .and_then(|group| self.chosen.get(group))
        {
            return Ok(Err(Why::Group(*winner)));
        }
        if promotion
            .share
            .as_ref()
            .is_some_and(|share| !takes_part(share, self.shopper.member))
        {
            return Ok(Err(Why::Control));
        }
        for (place, limit) in promotion.limits.iter().enumerate() {
            let used = self.shopper.used.get(&(id, place)).copied().unwrap_or(0);
            if used >= limit.most {
                return Ok(Err(Why::Limit));
            }
        }
        self.affordable(id, promotion)
    }

    fn question(&self, promotion: &Promotion) -> Question<'_> {
        let anybody = promotion.offline == OfflinePolicy::AnyCardholder;
        Question {
            cart: &self.cart,
            shopper: self.shopper,
            occasion: self.occasion,
            coupons: &self.unused_coupons,
            any_cardholder: !self.occasion.online && anybody,
            negated: false,
            as_said: self.as_said.is_some(),
        }
    }

    /// Uses up the coupons that a promotion which gave something stands on.
    fn use_coupons(&mut self, id: PromotionId, promotion: &Promotion) -> Result<(), AmountError> {
        let Some(condition) = &promotion.when else {
            return Ok(());
        };
        if self.unused_coupons.is_empty() {
            return Ok(());
        }
        let mut unused = self.unused_coupons.clone();
        for series in stands_on(condition, self.question(promotion), &mut unused)? {
            if let Some(rules) = self.rules.coupons.get(&series) {
                self.coupons.push(CouponUse {
                    promotion: id,
                    account: rules.account,
                    series,
                });
            }
        }
        self.unused_coupons = unused;
        Ok(())
    }

    fn affordable(
        &self,
        id: PromotionId,
        promotion: &Promotion,
    ) -> Result<Result<u32, Why>, AmountError> {
        let Some(price) = promotion.price else {
            return Ok(Ok(1));
        };
        let Some(asked) = self.occasion.rewards.get(&id) else {
            return Ok(Err(Why::NotAsked));
        };
        let account = price.account.unwrap_or(self.rules.redemption.account);
        let rewards = self.spent.iter().filter(|spent| spent.account == account);
        let mut spent = Minor::sum(rewards.map(|spent| spent.amount))?;
        if let Some(paid) = self.paid.get(&account) {
            spent = spent.plus(*paid)?;
        }
        let balance = self
            .shopper
            .balances
            .get(&account)
            .copied()
            .unwrap_or_default()
            .minus(spent)?;
        let most = price.times_max.unwrap_or(REWARDS_MAX);
        let wanted = asked.unwrap_or(REWARDS_MAX).min(most);
        let have = if price.minor > Minor::ZERO {
            balance.0.max(0) / price.minor.0
        } else {
            i64::from(wanted)
        };
        let have = u32::try_from(have).unwrap_or(u32::MAX);
        if have == 0 || asked.is_some_and(|asked| asked.min(most) > have) {
            let short = price
                .minor
                .fraction(asked.unwrap_or(1).min(most).into(), 1)?
                .minus(balance)?;
            return Ok(Err(Why::PointsShort(short)));
        }
        Ok(Ok(wanted.min(have)))
    }
}
