//! What another version of the rules would have made of receipts that were sold: the effect of an edit, before it counts.
//!
//! Both versions price each receipt with [`price`], the function of tills. A purchase keeps its lines as they were rung
//! up, what the till took off, what it knew of the goods, its means of payment, its store and its stamp. The rest is
//! taken like this, under both versions alike:
//! - Codes and coupons count as shown that the purchase names, or that promotions ask for which gave something on it.
//! - The member is taken back to before the purchase as far as purchases go ([`Earlier`]); returns, tags and what staff
//!   changed since are not undone. Who paid with points pays with as many of those as the rules allow, and asks for the
//!   same rewards.
//! - The store was connected, no budget was used up, and no order had stopped a promotion.

mod earlier;
mod figures;

use kopilka_crdt::clock::Day;
use kopilka_crdt::ids::{OperationId, PromotionId, StoreId};
use kopilka_crdt::member::Member;
use kopilka_crdt::money::{AmountError, Minor};
use kopilka_crdt::operation::{Purchase, Purpose};
use kopilka_crdt::rulebook::RuleBook;
use kopilka_crdt::rulebook::model::condition::Condition;

use crate::moment::Moment;
use crate::pricing::{PricingError, Quote, ReceiptLine, Wish, Wishes, price};
use crate::programme::Programme;
use crate::promotion::{Occasion, Outcome, Shopper};
use crate::repricing::{rung_up, spent};

pub use earlier::Earlier;
pub use figures::{
    Both, ChangedReceipt, Figures, Given, LARGEST_MAX, Large, PromotionGave, Thresholds,
    UNPRICED_NAMED_MAX, UnpricedReceipt,
};

/// A purchase that is stored, with what was known when it was made.
#[derive(Debug, Clone)]
pub struct Past<'a> {
    /// Its operation.
    pub id: OperationId,
    /// The purchase.
    pub purchase: &'a Purchase,
    /// The member as they stood before it.
    pub member: &'a Member,
    /// When, in the calendar of the rules in force.
    pub moment: Moment,
    /// The store; none for one that is not known.
    pub store: Option<StoreId>,
    /// Groups that the store is in.
    pub store_groups: Vec<String>,
    /// The store's own day.
    pub store_day: Day,
    /// Minutes since midnight on the store's wall clock.
    pub minute: u16,
}

/// Prices receipts under two versions, one after the other, and keeps the sums.
pub struct Replay<'a> {
    rules: Both<&'a Programme>,
    figures: Figures,
}

impl<'a> Replay<'a> {
    /// From the version in force to another.
    pub fn new(before: &'a Programme, after: &'a Programme) -> Self {
        Self {
            rules: Both { before, after },
            figures: Figures::default(),
        }
    }

    /// What was found so far.
    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    /// Takes one more receipt. An error when a sum leaves 64 bits.
    pub fn receipt(&mut self, past: &Past<'_>) -> Result<(), AmountError> {
        let (codes, coupons) = shown(self.rules.before.rules(), past.purchase);
        let occasion = Occasion {
            store_day: past.store_day,
            minute: past.minute,
            store: past.store.unwrap_or(StoreId(0)),
            store_groups: past.store_groups.clone(),
            partner: past.purchase.partner,
            tenders: past.purchase.tenders.iter().map(|one| one.kind).collect(),
            codes,
            coupons,
            ..Occasion::at(past.moment.today())
        };
        let receipt = rung_up(past.purchase);
        self.figures.receipts += 1;
        let before = again(self.rules.before, past, &occasion, &receipt);
        let after = again(self.rules.after, past, &occasion, &receipt);
        match (before, after) {
            (Ok(before), Ok(after)) => self.priced(past, &receipt, &Both { before, after }),
            (before, after) => {
                self.unpriced(
                    past,
                    Both {
                        before: before.err(),
                        after: after.err(),
                    },
                );
                Ok(())
            }
        }
    }

    fn unpriced(&mut self, past: &Past<'_>, error: Both<Option<PricingError>>) {
        let figures = &mut self.figures;
        figures.unpriced.before += u64::from(error.before.is_some());
        figures.unpriced.after += u64::from(error.after.is_some());
        figures.lost += u64::from(error.before.is_none());
        figures.touched += u64::from(error.before.is_some() != error.after.is_some());
        if figures.unpriced_named.len() < UNPRICED_NAMED_MAX {
            let words = |error: Option<PricingError>| {
                error.map_or_else(String::new, |error| error.to_string())
            };
            figures.unpriced_named.push(UnpricedReceipt {
                operation: past.id,
                receipt: past.purchase.receipt,
                reason: Both {
                    before: words(error.before),
                    after: words(error.after),
                },
            });
        }
    }

    fn priced(
        &mut self,
        past: &Past<'_>,
        receipt: &[ReceiptLine],
        quotes: &Both<Quote>,
    ) -> Result<(), AmountError> {
        let rung_up = Minor::sum(
            receipt
                .iter()
                .map(|line| line.quantity.price(line.unit_price)?.minus(line.discount))
                .collect::<Result<Vec<_>, _>>()?,
        )?;
        let given = Both {
            before: Given::of(&quotes.before, rung_up)?,
            after: Given::of(&quotes.after, rung_up)?,
        };
        let moved = given.before.distance(&given.after)?;
        let figures = &mut self.figures;
        figures.turnover = figures.turnover.plus(rung_up)?;
        figures.moved = figures.moved.plus(moved)?;
        figures.given.before = figures.given.before.plus(&given.before)?;
        figures.given.after = figures.given.after.plus(&given.after)?;
        for (promotion, off, points) in gave(&quotes.before) {
            let kept = figures.promotions.entry(promotion).or_default();
            kept.before.add(off, points)?;
        }
        for (promotion, off, points) in gave(&quotes.after) {
            let kept = figures.promotions.entry(promotion).or_default();
            kept.after.add(off, points)?;
        }
        if is_same(&quotes.before, &quotes.after) {
            return Ok(());
        }
        figures.touched += 1;
        let changed = ChangedReceipt {
            operation: past.id,
            receipt: past.purchase.receipt,
            moved,
            given,
        };
        let place = figures
            .largest
            .partition_point(|kept| kept.moved >= changed.moved);
        if place < LARGEST_MAX {
            figures.largest.insert(place, changed);
            figures.largest.truncate(LARGEST_MAX);
        }
        Ok(())
    }
}

/// The receipt under one version.
fn again(
    programme: &Programme,
    past: &Past<'_>,
    occasion: &Occasion,
    receipt: &[ReceiptLine],
) -> Result<Quote, PricingError> {
    let (purchase, member) = (past.purchase, past.member);
    let (balances, rewards) = spent(programme, purchase)?;
    let mut shopper = Shopper::of(programme, member, occasion.today)?.since(member, past.moment);
    shopper.member = Some(purchase.member);
    let card = purchase.card.and_then(|tag| member.cards.get(&tag));
    shopper.card_kind = card.map(|card| card.kind);
    // What was spent is all that there is: so no more of it is taken than was asked for.
    shopper.balances = balances;
    let occasion = Occasion {
        rewards,
        ..occasion.clone()
    };
    price(programme, &shopper, &occasion, receipt, &most(purchase))
}

/// As much as may be, from the accounts that paid.
fn most(purchase: &Purchase) -> Wishes {
    let spent = purchase.promoted.iter().flat_map(|one| &one.spent);
    let paid = spent.filter_map(|spending| match spending.purpose {
        Purpose::Payment { .. } => Some((spending.taken.account, Wish::Most)),
        Purpose::Promotion { .. } => None,
    });
    Wishes {
        points: Wish::Most,
        further: paid.collect(),
    }
}

fn gave(quote: &Quote) -> impl Iterator<Item = (PromotionId, Minor, Minor)> + '_ {
    quote.explained.iter().filter_map(|one| match one.outcome {
        Outcome::Gave { off, points } => Some((one.promotion, off, points)),
        Outcome::Nothing(_) => None,
    })
}

/// Whether two quotes give the member the same, whatever promotions it comes from.
fn is_same(one: &Quote, other: &Quote) -> bool {
    one.lines == other.lines && one.earned == other.earned && {
        let handed_out = |quote: &Quote| -> Vec<_> {
            let issued = quote.issued.iter();
            issued.map(|(_, issued)| issued.clone()).collect()
        };
        handed_out(one) == handed_out(other)
    }
}

/// Promo codes, and series of coupons, that count as shown.
fn shown(rules: &RuleBook, purchase: &Purchase) -> (Vec<String>, Vec<String>) {
    let (mut codes, mut coupons) = (Vec::new(), Vec::new());
    let Some(promoted) = &purchase.promoted else {
        return (codes, coupons);
    };
    codes.extend(promoted.codes.iter().cloned());
    let named = promoted.applied.iter().map(|one| one.promotion);
    for promotion in named.filter_map(|id| rules.promotions.get(&id)) {
        if let Some(condition) = &promotion.when {
            collect(condition, &mut codes, &mut coupons);
        }
    }
    (codes, coupons)
}

fn collect(condition: &Condition, codes: &mut Vec<String>, coupons: &mut Vec<String>) {
    match condition {
        Condition::All { of } | Condition::Any { of } => {
            for one in of {
                collect(one, codes, coupons);
            }
        }
        Condition::PromoCodes { of } => codes.extend(of.iter().cloned()),
        Condition::Coupons { of } => coupons.extend(of.iter().cloned()),
        // What a promotion forbids was not shown.
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
        | Condition::Tenders { .. } => {}
    }
}
