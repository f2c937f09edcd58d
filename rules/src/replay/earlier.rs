//! Members as they stood before each of their purchases, while receipts are gone through from the newest on.

use std::collections::BTreeMap;

use kopilka_crdt::clock::{Day, Stamp};
use kopilka_crdt::ids::{MemberId, PromotionId};
use kopilka_crdt::member::{DaySum, Member, Usage};
use kopilka_crdt::money::{AmountError, Minor};
use kopilka_crdt::operation::{Counting, Purchase};

const DAY_MS: u64 = 86_400_000;

/// What members bought since, by member.
#[derive(Debug, Default)]
pub struct Earlier(BTreeMap<MemberId, Since>);

/// What purchases added to a member; it is to be taken off.
#[derive(Debug, Default)]
struct Since {
    counted: Minor,
    purchases: i32,
    days: BTreeMap<Day, DaySum>,
    used: BTreeMap<(PromotionId, Day), Usage>,
}

impl Earlier {
    /// The member as they stood before `purchase`, from how they stand now. Every later purchase must have been asked
    /// about before. What came back since and what staff changed is not undone.
    pub fn before(
        &mut self,
        now: &Member,
        purchase: &Purchase,
        stamp: Stamp,
    ) -> Result<Member, AmountError> {
        let since = self.0.entry(purchase.member).or_default();
        let day = purchase.receipt.counted_on(stamp);
        since.add(purchase, day)?;
        let mut member = now.clone();
        member.counted = member.counted.minus(since.counted)?.max(Minor::ZERO);
        member.purchases = member.purchases.saturating_sub(since.purchases).max(0);
        for (day, sum) in &since.days {
            member.history.add(*day, *sum)?;
        }
        for ((promotion, day), usage) in &since.used {
            let used = member.used.entry(*promotion).or_default();
            used.add(*day, *usage)?;
        }
        let bought = member.history.days().filter(|(_, sum)| sum.visits > 0);
        let last = bought
            .map(|(day, _)| day)
            .filter(|last| *last <= day)
            .last();
        // Noon: the same day in nearly every zone.
        let noon = |day: Day| Stamp::from_ms(u64::from(day.0) * DAY_MS + DAY_MS / 2);
        member.last_purchase = last.map_or(Stamp::default(), noon);
        Ok(member)
    }
}

impl Since {
    fn add(&mut self, purchase: &Purchase, day: Day) -> Result<(), AmountError> {
        self.counted = self.counted.plus(purchase.counted)?;
        self.purchases = self.purchases.saturating_add(1);
        let earned = Minor::sum(purchase.earned.iter().map(|credit| credit.amount))?;
        let sum = self.days.entry(day).or_default();
        *sum = sum.plus(DaySum {
            paid: purchase.counted.negated()?,
            earned: earned.negated()?,
            visits: -1,
        })?;
        for applied in purchase.promoted.iter().flat_map(|one| &one.applied) {
            match applied.counting {
                Counting::Not => {}
                Counting::UntilReturned | Counting::ForGood => {
                    let used = self.used.entry((applied.promotion, day)).or_default();
                    *used = used.plus(Usage::of(applied, -1)?)?;
                }
            }
        }
        Ok(())
    }
}
