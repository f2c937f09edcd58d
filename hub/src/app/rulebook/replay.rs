//! Replays: what another version of the rules would have made of the newest receipts. Nothing is changed by it.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use kopilka_crdt::clock::Day;
use kopilka_crdt::ids::{MemberId, ProgrammeId, StoreId};
use kopilka_crdt::log::decode_entry;
use kopilka_crdt::member::Member;
use kopilka_crdt::operation::{Body, Purchase, Verdict};
use kopilka_crdt::rulebook::{Publication, RuleBook};
use kopilka_rules::Programme;
use kopilka_rules::replay::{Both, Earlier, Figures, Past, Replay};
use kopilka_rules::validation::unpublishable;

use super::{RuleBookError, draft, parse};
use crate::app::action::ActionError;
use crate::app::entities::StoreEntity;
use crate::app::{Hub, kept, moment_at};
use crate::store::{OperationRow, StoreError};

/// Receipts that a replay takes unless told otherwise, and always before a publication.
pub const RECEIPTS_USUAL: usize = 1_000;
/// Most receipts of one replay.
pub const RECEIPTS_MAX: usize = 100_000;
/// Receipts that are loaded at once.
const PAGE_RECEIPTS: usize = 250;

/// What is compared with the rules in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Against {
    /// The draft.
    Draft,
    /// An earlier publication.
    Publication(u32),
}

impl std::str::FromStr for Against {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match (text, text.parse()) {
            ("draft", _) => Ok(Self::Draft),
            (_, Ok(number)) => Ok(Self::Publication(number)),
            (_, Err(_)) => Err("takes `draft` or the number of a publication"),
        }
    }
}

/// Follows a replay: called with the number of receipts done.
pub type Progress<'a> = &'a mut (dyn FnMut(u64) + Send);

/// Replays the newest receipts under the rules in force and under others.
pub async fn run(
    hub: &Hub,
    programme: ProgrammeId,
    against: Against,
    receipts: usize,
    progress: Progress<'_>,
) -> Result<Figures, RuleBookError> {
    if !(1..=RECEIPTS_MAX).contains(&receipts) {
        let reason = format!("takes 1 to {RECEIPTS_MAX}");
        return Err(ActionError::invalid("receipts", &reason).into());
    }
    let before = hub
        .current_rules(programme)
        .await?
        .ok_or_else(|| ActionError::not_found("programme", programme))?;
    let after = match against {
        Against::Draft => compiled(
            programme,
            &parse(&draft::show(hub, programme).await?.value)?,
        )?,
        Against::Publication(number) => {
            let found = hub.rules(programme, number).await?;
            let found = found.ok_or_else(|| ActionError::not_found("publication", number))?;
            Programme::clone(&found)
        }
    };
    let rules = Both {
        before: &*before,
        after: &after,
    };
    Ok(replayed(hub, rules, receipts, progress).await?)
}

/// Rules that were not published yet, made ready to decide with.
pub(super) fn compiled(
    programme: ProgrammeId,
    rules: &RuleBook,
) -> Result<Programme, RuleBookError> {
    let found = unpublishable(rules);
    if !found.is_empty() {
        return Err(RuleBookError::Problems(found));
    }
    // Number and time are a publication's; no price depends on them.
    let publication = Publication::new(programme, 0, 0, rules);
    let compiled = Programme::compile(&publication);
    Ok(compiled.map_err(|error| ActionError::invalid("rule_book", &error))?)
}

/// Replays the newest receipts that counted, page by page: what is held in memory grows with the promotions and, by a
/// few numbers each, with the members seen.
pub(super) async fn replayed(
    hub: &Hub,
    rules: Both<&Programme>,
    receipts: usize,
    progress: Progress<'_>,
) -> Result<Figures, ActionError> {
    let programme = rules.before.id();
    let places = Places::load(hub, programme).await?;
    let mut earlier = Earlier::default();
    let mut replay = Replay::new(rules.before, rules.after);
    let mut left = receipts;
    let mut before = None;
    while left > 0 {
        let limit = PAGE_RECEIPTS.min(left);
        let page = hub.store.purchases(programme, before, limit).await?;
        before = page.last().map(|row| (row.taken_in_ms, row.id));
        let is_last = page.len() < limit;
        let counted = page.into_iter().filter(is_counted);
        let purchases = counted.map(purchase).collect::<Result<Vec<_>, _>>()?;
        let mut members: Vec<MemberId> = purchases.iter().map(|(_, one)| one.member).collect();
        members.sort_unstable();
        members.dedup();
        let members = hub.store.members(programme, &members).await?;
        for (row, purchase) in &purchases {
            let stored = members.get(&purchase.member);
            let stored = stored.ok_or(StoreError::Damaged("member"))?;
            let member = earlier.before(&stored.member, purchase, row.stamp)?;
            let past = places.past(rules.before, row, purchase, &member);
            replay.receipt(&past)?;
        }
        left = left.saturating_sub(purchases.len());
        progress(replay.figures().receipts);
        if is_last {
            break;
        }
    }
    Ok(replay.figures().clone())
}

fn is_counted(row: &OperationRow) -> bool {
    match row.verdict {
        Verdict::Accepted | Verdict::Contested | Verdict::Overdraft | Verdict::Mispriced => true,
        Verdict::Duplicate | Verdict::Quarantined => false,
    }
}

fn purchase(row: OperationRow) -> Result<(OperationRow, Purchase), StoreError> {
    match decode_entry(&row.bytes) {
        Ok((_, Body::Purchase(purchase))) => Ok((row, purchase)),
        Ok(_) | Err(_) => Err(StoreError::Damaged("operation")),
    }
}

/// The stores, each with its clock.
struct Places(BTreeMap<StoreId, (StoreEntity, TimeZone)>);

impl Places {
    async fn load(hub: &Hub, programme: ProgrammeId) -> Result<Self, StoreError> {
        let stores: Vec<StoreEntity> = kept::list(&*hub.store, &format!("{programme}/")).await?;
        let with_clock = stores.into_iter().map(|store| {
            let zone = TimeZone::get(&store.time_zone).unwrap_or(TimeZone::UTC);
            (store.id, (store, zone))
        });
        Ok(Self(with_clock.collect()))
    }

    fn past<'a>(
        &self,
        rules: &Programme,
        row: &OperationRow,
        purchase: &'a Purchase,
        member: &'a Member,
    ) -> Past<'a> {
        let ms = row.stamp.ms();
        let place = row.store.and_then(|store| self.0.get(&store));
        let (store_day, minute) = wall_clock(place.map_or(&TimeZone::UTC, |(_, zone)| zone), ms);
        Past {
            id: row.id,
            purchase,
            member,
            moment: moment_at(rules, ms),
            store: row.store,
            store_groups: place.map_or_else(Vec::new, |(store, _)| store.groups.clone()),
            store_day,
            minute,
        }
    }
}

/// The day, and the minutes since midnight, on a store's wall clock.
fn wall_clock(zone: &TimeZone, ms: u64) -> (Day, u16) {
    const DAY_SECONDS: i64 = 86_400;
    let instant = i64::try_from(ms)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .unwrap_or_default();
    let offset = zone.to_offset(instant).seconds();
    let second = (instant.as_second() + i64::from(offset)).rem_euclid(DAY_SECONDS);
    let minute = u16::try_from(second / 60).expect("a day has 1,440 minutes");
    (Day::from_ms(ms, offset), minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_has_a_wall_clock() {
        let evening_utc = 1_700_000_000_000; // 2023-11-14T22:13:20Z
        let moscow = TimeZone::get("Europe/Moscow").unwrap();
        assert_eq!(
            wall_clock(&TimeZone::UTC, evening_utc),
            (Day(19_675), 1_333)
        );
        assert_eq!(wall_clock(&moscow, evening_utc), (Day(19_676), 73));
    }

    #[test]
    fn what_is_compared_has_a_name() {
        assert_eq!("draft".parse(), Ok(Against::Draft));
        assert_eq!("12".parse(), Ok(Against::Publication(12)));
        assert!("-1".parse::<Against>().is_err());
    }
}
