//! What a promotion's effects do to a receipt: prices lowered, points credited, things handed out.

use kopilka_crdt::ids::PromotionId;
use kopilka_crdt::money::{AmountError, Minor};
use kopilka_crdt::rulebook::model::promotion::{Effect, Limit, LimitCount, LimitScope, Promotion};

use super::engine::{Earning, REWARDS_MAX, Run};
use super::points::Worth;
use super::sets::{BuyGet, buy_get, sets};
use super::{Credited, Issued, discount, points};

impl Run<'_> {
    /// Gives a promotion's effects once.
    pub(super) fn give(
        &mut self,
        id: PromotionId,
        promotion: &Promotion,
        earning: Option<&Earning>,
    ) -> Result<(Minor, Minor), AmountError> {
        let (mut off, mut credited) = (Minor::ZERO, Minor::ZERO);
        for effect in &promotion.effects {
            off = off.plus(self.lower(id, promotion, effect)?)?;
            if let (
                Some(earning),
                Effect::Points {
                    account,
                    how,
                    goods,
                },
            ) = (earning, effect)
            {
                let worth = Worth {
                    paid: &earning.paid,
                    earns: &earning.earns,
                    base: &earning.base,
                };
                let mut shares =
                    points::shares(&self.cart, *how, goods.as_ref(), worth, self.rules.rounding)?;
                let sum = Minor::sum(shares.iter().copied())?;
                if let Some(most) = self.room(promotion, LimitCount::Points, id) {
                    let most = most.minus(self.credited_by(id)?)?.max(Minor::ZERO);
                    if sum > most {
                        shares = kopilka_crdt::money::split(most, &shares)?;
                    }
                }
                let given = Minor::sum(shares.iter().copied())?;
                if given > Minor::ZERO {
                    credited = credited.plus(given)?;
                    let account = account.unwrap_or(earning.account);
                    self.credits.push(Credited {
                        promotion: id,
                        account,
                        shares,
                    });
                }
            }
            if let Some(issued) = self.handed_out(effect) {
                self.issued.push((id, issued));
            }
        }
        Ok((off, credited))
    }

    /// What the limits counted in `count` leave for this receipt; none when there are no such limits.
    fn room(&self, promotion: &Promotion, count: LimitCount, id: PromotionId) -> Option<Minor> {
        let limits = promotion.limits.iter().enumerate();
        let rooms = limits
            .filter(|(_, limit)| limit.count == count)
            .map(|(place, limit)| self.left_of(limit, id, place));
        rooms.min()
    }

    fn left_of(&self, limit: &Limit, id: PromotionId, place: usize) -> Minor {
        if limit.scope == LimitScope::Receipt {
            return Minor(i64::try_from(limit.most).unwrap_or(i64::MAX));
        }
        if let Some(said) = self.said(id) {
            return match limit.count {
                LimitCount::Money => said.off,
                LimitCount::Points => said.points,
                LimitCount::Uses => Minor(1),
            };
        }
        let used = self.shopper.used.get(&(id, place)).copied().unwrap_or(0);
        Minor(i64::try_from(limit.most.saturating_sub(used)).unwrap_or(i64::MAX))
    }

    /// Coupons of a series that the member holds, those of this receipt among them.
    fn held(&self, series: &str) -> u32 {
        let account = self.rules.coupons.get(series).map(|rules| rules.account);
        let before = account.and_then(|account| self.shopper.balances.get(&account));
        let of_series = |issued: &&(PromotionId, Issued)| matches!(&issued.1, Issued::Coupon { series: one } if one == series);
        let now = self.issued.iter().filter(of_series).count();
        let used = self
            .coupons
            .iter()
            .filter(|one| one.series == series)
            .count();
        let before = usize::try_from(before.copied().unwrap_or_default().0).unwrap_or(0);
        u32::try_from((before + now).saturating_sub(used)).unwrap_or(u32::MAX)
    }

    fn credited_by(&self, id: PromotionId) -> Result<Minor, AmountError> {
        let credits = self.credits.iter().filter(|one| one.promotion == id);
        Minor::sum(credits.flat_map(|one| one.shares.iter().copied()))
    }

    /// The price effects; gives what came off.
    fn lower(
        &mut self,
        id: PromotionId,
        promotion: &Promotion,
        effect: &Effect,
    ) -> Result<Minor, AmountError> {
        let rounding = self.rules.rounding;
        let (shares, used) = match effect {
            Effect::Discount { off, target, base } => (
                discount::shares(&self.cart, off, target, *base, rounding)?,
                Vec::new(),
            ),
            Effect::BuyGet {
                buy,
                buy_units,
                get,
                get_units,
                off_permille,
                pick,
                times_max,
            } => {
                let deal = BuyGet {
                    buy,
                    buy_units: *buy_units,
                    get: get.as_ref(),
                    get_units: *get_units,
                    off_permille: *off_permille,
                    pick: *pick,
                    times_max: times_max.unwrap_or(u32::MAX),
                };
                buy_get(&self.cart, deal, rounding)?
            }
            Effect::Set {
                parts,
                off,
                times_max,
            } => sets(
                &self.cart,
                parts,
                *off,
                times_max.unwrap_or(REWARDS_MAX),
                rounding,
            )?,
            Effect::Points { .. }
            | Effect::GiftGoods { .. }
            | Effect::Gift { .. }
            | Effect::IssueCoupon { .. }
            | Effect::Message { .. }
            | Effect::Badge { .. } => return Ok(Minor::ZERO),
        };
        let most = match self.room(promotion, LimitCount::Money, id) {
            Some(most) => Some(most.minus(self.cart.taken_by(id))?),
            None => None,
        };
        let off = if used.is_empty() {
            self.cart.take_off(id, &shares, most)?
        } else {
            self.cart.take_off_units(id, &shares, &used, most)?
        };
        Ok(off)
    }

    fn handed_out(&self, effect: &Effect) -> Option<Issued> {
        match effect {
            Effect::GiftGoods { sku, units, each } => {
                let times = match each {
                    Some(per) => {
                        let lines = self.cart.picked(Some(&per.goods));
                        let bought = lines.into_iter().fold(0_u32, |sum, line| {
                            sum.saturating_add(self.cart.lines[line].units)
                        });
                        bought / per.units.max(1)
                    }
                    None => 1,
                };
                let units = units.saturating_mul(times);
                (units > 0).then(|| Issued::Goods {
                    sku: sku.clone(),
                    units,
                })
            }
            Effect::Gift { code, count } => Some(Issued::Gift {
                code: code.clone(),
                count: *count,
            }),
            Effect::IssueCoupon { series } => {
                let most = self.rules.coupons.get(series)?.per_member_max;
                let room = self.is_as_said() || most.is_none_or(|most| self.held(series) < most);
                room.then(|| Issued::Coupon {
                    series: series.clone(),
                })
            }
            Effect::Message { to, text } => Some(Issued::Message {
                to: *to,
                text: text.clone(),
            }),
            Effect::Badge { code } => Some(Issued::Badge { code: code.clone() }),
            Effect::Discount { .. }
            | Effect::BuyGet { .. }
            | Effect::Set { .. }
            | Effect::Points { .. } => None,
        }
    }
}
