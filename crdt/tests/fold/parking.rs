//! A reference for accounts: points are taken one at a time, as cars that roll on to the first free place.

use kopilka_crdt::clock::Day;
use kopilka_crdt::ids::LotId;
use kopilka_crdt::ledger::{Account, AccountView};
use kopilka_crdt::money::Minor;

/// One lot as a car park: so many free places.
struct Park {
    lot: LotId,
    active_from: Day,
    last_day: Option<Day>,
    free: i64,
}

/// An account whose points were taken one at a time.
pub struct Parking {
    parks: Vec<Park>,
    debt: i64,
}

impl Parking {
    /// Each point in `arrivals` was taken from its lot, or from the first later one with a point left.
    pub fn new(account: &Account, arrivals: &[LotId]) -> Self {
        let mut parks: Vec<_> = account
            .lots
            .iter()
            .map(|(id, lot)| Park {
                lot: *id,
                active_from: lot.active_from,
                last_day: lot.expires_on,
                free: lot.amount.0 + (-lot.taken.0).max(0) + (-lot.withdrawn.0).max(0),
            })
            .collect();
        parks.sort_by_key(|park| (park.last_day.is_none(), park.last_day, park.lot));
        let mut debt = 0;
        for arrival in arrivals {
            let from = parks.iter().position(|park| park.lot == *arrival);
            let from = from.expect("points are taken from lots of the account");
            match parks[from..].iter_mut().find(|park| park.free > 0) {
                Some(park) => park.free -= 1,
                None => debt += 1,
            }
        }
        Self { parks, debt }
    }

    fn free(&self, counts: impl Fn(&Park) -> bool) -> i64 {
        let parks = self.parks.iter().filter(|park| counts(park));
        parks.map(|park| park.free).sum()
    }

    pub fn view(&self, today: Day) -> AccountView {
        let spendable = self.spendable_through(today, today);
        AccountView {
            spendable: Minor(spendable),
            pending: Minor(self.free(|park| park.active_from > today && !park.is_over(today))),
            expired: Minor(self.free(|park| park.is_over(today))),
            debt: Minor((self.debt - self.free(|park| park.is_open(today, today))).max(0)),
        }
    }

    pub fn spendable_through(&self, today: Day, until: Day) -> i64 {
        (self.free(|park| park.is_open(today, until)) - self.debt).max(0)
    }

    /// Takes one point at a time from the first lot that has one today.
    pub fn plan(mut self, amount: i64, today: Day) -> Option<Vec<(LotId, i64)>> {
        if self.spendable_through(today, today) < amount {
            return None;
        }
        let mut plan: Vec<(LotId, i64)> = Vec::new();
        for _ in 0..amount {
            let mut parks = self.parks.iter_mut();
            let park = parks.find(|park| park.is_open(today, today) && park.free > 0)?;
            park.free -= 1;
            match plan.last_mut() {
                Some((lot, taken)) if *lot == park.lot => *taken += 1,
                _ => plan.push((park.lot, 1)),
            }
        }
        Some(plan)
    }
}

impl Park {
    fn is_over(&self, day: Day) -> bool {
        self.last_day.is_some_and(|last| last < day)
    }

    fn is_open(&self, today: Day, until: Day) -> bool {
        self.active_from <= today && !self.is_over(today) && !self.is_over(until)
    }
}
