//! A receipt while its promotions are applied: what is left of each line's price, and whose share is gone.

use kopilka_crdt::ids::PromotionId;
use kopilka_crdt::money::{AmountError, Minor, split};
use kopilka_crdt::rulebook::model::{DiscountBounds, Filter};

use super::Discount;
use super::goods::{lineage, picks};
use crate::pricing::ReceiptLine;
use crate::programme::Programme;

/// A line of the receipt.
#[derive(Debug, Clone)]
pub(crate) struct CartLine<'a> {
    /// As the till rang it up.
    pub item: &'a ReceiptLine,
    /// Its product group and those above it.
    pub lineage: Vec<&'a str>,
    /// Its price before any promotion.
    pub original: Minor,
    /// What is left of it.
    pub left: Minor,
    /// What has to be left of it.
    pub floor: Minor,
    /// Whole units; none of weighed goods.
    pub units: u32,
    /// Units that no buy-and-get promotion has used.
    pub free_units: u32,
    /// What is left of the price of those that one has used.
    pub used_left: Minor,
    /// Whether promotions may lower its price still.
    pub open: bool,
}

/// The receipt.
#[derive(Debug, Clone)]
pub(crate) struct Cart<'a> {
    pub lines: Vec<CartLine<'a>>,
    /// What promotions took off, in the order in which they did.
    pub discounts: Vec<Discount>,
    bounds: DiscountBounds,
}

impl CartLine<'_> {
    /// What `units` of those that no buy-and-get promotion has used cost now.
    pub(crate) fn free_price(&self, units: u32) -> Result<Minor, AmountError> {
        let free = self.left.minus(self.used_left)?.max(Minor::ZERO);
        free.fraction(units.into(), self.free_units.max(1).into())
    }
}

impl<'a> Cart<'a> {
    /// A checked receipt before any promotion.
    pub(crate) fn new(
        programme: &'a Programme,
        receipt: &'a [ReceiptLine],
    ) -> Result<Self, AmountError> {
        let groups = &programme.rules().groups;
        let lines = receipt.iter().map(|item| {
            let original = item.quantity.price(item.unit_price)?.minus(item.discount)?;
            let least = item.quantity.price(item.price_min.unwrap_or_default())?;
            let whole = item.quantity.0 % 1_000 == 0;
            let units = if whole {
                u32::try_from(item.quantity.0 / 1_000).map_err(|_| AmountError)?
            } else {
                0
            };
            Ok(CartLine {
                item,
                lineage: lineage(groups, &item.group),
                original,
                left: original,
                floor: least.min(original),
                units,
                free_units: units,
                used_left: Minor::ZERO,
                open: groups.get(&item.group).is_none_or(|group| group.discounts),
            })
        });
        Ok(Self {
            lines: lines.collect::<Result<_, AmountError>>()?,
            discounts: Vec::new(),
            bounds: programme.rules().bounds,
        })
    }

    /// Places of the lines that a filter picks; all when there is none.
    pub(crate) fn picked(&self, filter: Option<&Filter>) -> Vec<usize> {
        let lines = self.lines.iter().enumerate();
        lines
            .filter(|(_, line)| filter.is_none_or(|filter| picks(filter, line)))
            .map(|(place, _)| place)
            .collect()
    }

    /// What is left of the receipt's price.
    pub(crate) fn left(&self) -> Result<Minor, AmountError> {
        Minor::sum(self.lines.iter().map(|line| line.left))
    }

    fn original(&self) -> Result<Minor, AmountError> {
        Minor::sum(self.lines.iter().map(|line| line.original))
    }

    /// What a promotion has taken off so far.
    pub(crate) fn taken_by(&self, promotion: PromotionId) -> Minor {
        let shares = self
            .discounts
            .iter()
            .filter(|discount| discount.promotion == promotion);
        Minor(
            shares
                .flat_map(|discount| &discount.shares)
                .fold(0, |sum, share| sum.saturating_add(share.0)),
        )
    }

    /// Takes wanted shares off the lines, as far as the bounds and `most` allow; gives what came off in all.
    pub(crate) fn take_off(
        &mut self,
        promotion: PromotionId,
        wanted: &[Minor],
        most: Option<Minor>,
    ) -> Result<Minor, AmountError> {
        let mut shares = Vec::with_capacity(wanted.len());
        for (line, wanted) in self.lines.iter().zip(wanted) {
            let most = i64::from(self.bounds.line_permille_max);
            let most = line.original.fraction(most, 1_000)?;
            let floor = line.original.minus(most)?.max(line.floor);
            let room = if line.open {
                line.left.minus(floor)?.max(Minor::ZERO)
            } else {
                Minor::ZERO
            };
            shares.push((*wanted).min(room).max(Minor::ZERO));
        }
        let original = self.original()?;
        let floor =
            original.minus(original.fraction(self.bounds.receipt_permille_max.into(), 1_000)?)?;
        let room = self.left()?.minus(floor)?.max(Minor::ZERO);
        let sum = Minor::sum(shares.iter().copied())?;
        let allowed = most.map_or(room, |most| most.min(room)).max(Minor::ZERO);
        let given = sum.min(allowed);
        if given < sum {
            shares = split(given, &shares)?;
        }
        if given == Minor::ZERO {
            return Ok(Minor::ZERO);
        }
        for (line, share) in self.lines.iter_mut().zip(&shares) {
            let left = line.left.minus(*share)?;
            line.used_left = line.used_left.fraction(left.0, line.left.0.max(1))?;
            line.left = left;
        }
        match self
            .discounts
            .iter_mut()
            .find(|discount| discount.promotion == promotion)
        {
            Some(discount) => {
                for (sum, share) in discount.shares.iter_mut().zip(shares) {
                    *sum = sum.plus(share)?;
                }
            }
            None => self.discounts.push(Discount { promotion, shares }),
        }
        Ok(given)
    }

    /// Takes shares off units that a buy-and-get promotion uses, and keeps them from others.
    pub(crate) fn take_off_units(
        &mut self,
        promotion: PromotionId,
        wanted: &[Minor],
        used: &[u32],
        most: Option<Minor>,
    ) -> Result<Minor, AmountError> {
        let mut kept = Vec::with_capacity(used.len());
        for (line, used) in self.lines.iter().zip(used) {
            let free = line.left.minus(line.used_left)?.max(Minor::ZERO);
            kept.push(free.minus(line.free_price(*used)?)?);
        }
        let off = self.take_off(promotion, wanted, most)?;
        if off > Minor::ZERO {
            for ((line, kept), used) in self.lines.iter_mut().zip(kept).zip(used) {
                if *used > 0 {
                    line.used_left = line.left.minus(kept)?.max(Minor::ZERO);
                    line.free_units = line.free_units.saturating_sub(*used);
                }
            }
        }
        Ok(off)
    }

    /// Closes the lines that a promotion has touched to those that come later.
    pub(crate) fn close(&mut self, promotion: PromotionId) {
        let Some(discount) = self
            .discounts
            .iter()
            .find(|discount| discount.promotion == promotion)
        else {
            return;
        };
        for (line, share) in self.lines.iter_mut().zip(&discount.shares) {
            line.open &= *share == Minor::ZERO;
        }
    }
}
