//! In which tier a member is on a day, until when, and what is missing to the next one.
//!
//! Purchases are summed over a lifetime, a rolling window or calendar periods. What came back was never bought: a return
//! takes a tier away at once, for it comes off the day of its purchase. Grace is for what time takes away.

use kopilka_crdt::clock::Day;
use kopilka_crdt::ledger::Cause;
use kopilka_crdt::member::{DaySum, History, Member};
use kopilka_crdt::money::Minor;
use kopilka_crdt::rulebook::model::{TierMeasure, TierRules, TierWindow, Tiering};

use crate::period::Periods;
use crate::programme::Programme;

/// Where a member stands among the tiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing<'a> {
    /// The tier.
    pub tier: &'a TierRules,
    /// The last day of it if nothing more is bought; none: it stays.
    pub until: Option<Day>,
    /// The tier above, with what is still to be bought for it in the window or period that runs: minor units of money or
    /// points, or a number of visits.
    pub next: Option<(&'a TierRules, Minor)>,
}

impl Programme {
    /// The tier of a member on a day.
    pub fn tier_of(&self, member: &Member, today: Day) -> &TierRules {
        self.tier(best(self.rules().tiering, member, today))
    }

    /// The tier of a member on a day, until when it holds, and how far the next one is.
    pub fn standing(&self, member: &Member, today: Day) -> Standing<'_> {
        let (tiers, tiering) = (&self.rules().tiers, self.rules().tiering);
        let tier = self.tier_of(member, today);
        let lowest = tiers.first().is_some_and(|first| first == tier);
        let above = tiers
            .iter()
            .find(|other| other.from_minor > tier.from_minor);
        let sum = running(tiering, member, today);
        Standing {
            tier,
            until: if lowest {
                None
            } else {
                last_day(tiering, member, today, tier.from_minor)
            },
            next: above.map(|above| (above, missing(above.from_minor, sum))),
        }
    }

    /// The tiers that some store may have seen the member in, lowest first, whatever it knew of their purchases and returns.
    pub fn honoured(&self, member: &Member) -> &[TierRules] {
        let tiers = &self.rules().tiers;
        let seen = seen_at_most(self.rules().tiering.measure, member);
        let reached = tiers.iter().take_while(|tier| tier.from_minor <= seen);
        &tiers[..reached.count().max(1)]
    }
}

/// Over which time purchases are summed.
enum Span {
    /// All of membership.
    Ever,
    /// The last so many days.
    Rolling(u16),
    /// The calendar's.
    Calendar(Periods),
}

impl Span {
    fn of(window: TierWindow) -> Self {
        match window {
            TierWindow::Lifetime => Self::Ever,
            TierWindow::Rolling { days } => Self::Rolling(days),
            TierWindow::Month => Self::Calendar(Periods::MONTHS),
            TierWindow::Quarter => Self::Calendar(Periods::QUARTERS),
            TierWindow::Year => Self::Calendar(Periods::YEARS),
        }
    }
}

/// The sum that decides: the largest that counts on `today`.
fn best(tiering: Tiering, member: &Member, today: Day) -> Minor {
    let (measure, history) = (tiering.measure, &member.history);
    let graced = Day(today.0.saturating_sub(tiering.grace_days.into()));
    match Span::of(tiering.window) {
        Span::Ever => ever(measure, member),
        Span::Rolling(days) => {
            let sums = rolling(measure, history, days, (graced, today), today);
            clamped(sums.map(|(_, sum)| sum).max().unwrap_or(0))
        }
        Span::Calendar(periods) => {
            let sums = that_count(periods, graced, today)
                .map(|number| sum_of(measure, history, periods.days(number), today));
            clamped(sums.max().unwrap_or(0))
        }
    }
}

/// The sum of what is bought in the window or period that runs.
fn running(tiering: Tiering, member: &Member, today: Day) -> Minor {
    let (measure, history) = (tiering.measure, &member.history);
    match Span::of(tiering.window) {
        Span::Ever => ever(measure, member),
        Span::Rolling(days) => {
            let mut sums = rolling(measure, history, days, (today, today), today);
            clamped(sums.next().map_or(0, |(_, sum)| sum))
        }
        Span::Calendar(periods) => {
            let days = periods.days(periods.number(today));
            clamped(sum_of(measure, history, days, today))
        }
    }
}

/// The last day on which the sum reaches `threshold` if nothing more is bought.
fn last_day(tiering: Tiering, member: &Member, today: Day, threshold: Minor) -> Option<Day> {
    let (measure, history) = (tiering.measure, &member.history);
    let graced = Day(today.0.saturating_sub(tiering.grace_days.into()));
    let reached = |sum: i128| sum >= threshold.0.into();
    let last = match Span::of(tiering.window) {
        Span::Ever => None,
        Span::Rolling(days) => {
            let days_seen = (graced, today.plus(days.into()));
            let sums = rolling(measure, history, days, days_seen, today);
            sums.filter(|(_, sum)| reached(*sum))
                .last()
                .map(|(day, _)| day)
        }
        Span::Calendar(periods) => that_count(periods, graced, today)
            .rev()
            .find(|number| reached(sum_of(measure, history, periods.days(*number), today)))
            .map(|number| periods.days(number + 1).1),
    };
    last.map(|day| day.plus(tiering.grace_days.into()))
}

fn measured(measure: TierMeasure, day: DaySum) -> i128 {
    match measure {
        TierMeasure::Paid => day.paid.0.into(),
        TierMeasure::Visits => day.visits.into(),
        TierMeasure::Points => day.earned.0.into(),
    }
}

/// Sums are compared with thresholds and never paid out: what is beyond 64 bits is beyond any threshold.
fn clamped(sum: i128) -> Minor {
    let end = if sum < 0 { i64::MIN } else { i64::MAX };
    Minor(i64::try_from(sum).unwrap_or(end))
}

fn missing(threshold: Minor, sum: Minor) -> Minor {
    clamped(i128::from(threshold.0) - i128::from(sum.0))
}

/// All of membership. Days are forgotten after three years, so this comes from what the member's state keeps for good: the
/// sum that counts, with what an import brought; the number of purchases; the lots of purchases, without what came back.
fn ever(measure: TierMeasure, member: &Member) -> Minor {
    match measure {
        TierMeasure::Paid => member.counted,
        TierMeasure::Visits => Minor(member.purchases.into()),
        TierMeasure::Points => {
            let left = |(amount, withdrawn): (i128, i128)| amount - withdrawn;
            clamped(earned(member).map(left).sum())
        }
    }
}

/// The largest sum that any store may have seen: it knew some of the member's operations, and perhaps not the returns.
fn seen_at_most(measure: TierMeasure, member: &Member) -> Minor {
    match measure {
        TierMeasure::Paid => Minor(member.counted.0.saturating_add(member.taken_back.0)),
        // Nothing counts the purchases that were taken back.
        TierMeasure::Visits => Minor(i64::MAX),
        TierMeasure::Points => clamped(earned(member).map(|(amount, _)| amount).sum()),
    }
}

/// Lots that purchases credited: their amounts, and what was taken back of them.
fn earned(member: &Member) -> impl Iterator<Item = (i128, i128)> + '_ {
    let lots = member.accounts.values().flat_map(|lots| lots.lots.values());
    let earned = lots.filter(|lot| lot.cause == Cause::Purchase);
    earned.map(|lot| (lot.amount.0.into(), lot.withdrawn.0.into()))
}

/// For each day of a span, the sum of the `window` days that end with it, as far as `today` has come. Each day of the history
/// enters and leaves once, so this takes as many steps as the span and the history have days together.
fn rolling(
    measure: TierMeasure,
    history: &History,
    window: u16,
    (first, last): (Day, Day),
    today: Day,
) -> impl Iterator<Item = (Day, i128)> + '_ {
    let window = u32::from(window);
    let mut entering = history
        .range(Day(first.0.saturating_sub(window)), today)
        .peekable();
    let mut leaving = entering.clone();
    let mut sum = 0_i128;
    (first.0..=last.0).map(move |day| {
        while let Some((_, bought)) = entering.next_if(|(on, _)| on.0 <= day) {
            sum += measured(measure, bought);
        }
        while let Some((_, bought)) = leaving.next_if(|(on, _)| on.plus(window).0 <= day) {
            sum -= measured(measure, bought);
        }
        (Day(day), sum)
    })
}

/// The periods that count on any day of a span: those that it touches, and the one before, for a tier reached in a period
/// is kept to the end of the next.
fn that_count(periods: Periods, first: Day, last: Day) -> impl DoubleEndedIterator<Item = i64> {
    periods.number(first) - 1..=periods.number(last)
}

fn sum_of(measure: TierMeasure, history: &History, (first, last): (Day, Day), today: Day) -> i128 {
    let days = history.range(first, last.min(today));
    days.map(|(_, day)| measured(measure, day)).sum()
}
