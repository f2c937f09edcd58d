//! Whom something is done to: members that a list names, or those with a tag.

use std::io::Read;

use kopilka_crdt::identifier::{Identifier, IdentifierHash, IdentifierKind, LookupKey};
use kopilka_crdt::ids::{MemberId, ProgrammeId};
use kopilka_crdt::member::Member;

use crate::app::Hub;
use crate::app::action::ActionError;
use crate::app::catalogue::programmes;
use crate::app::hub_log;
use crate::store::StoreError;

/// How lists name members, as `--help` shows it.
pub const LIST_HELP: &str = "\
The list has one member a line: a card number, a phone such as +79161234567, or a member's identifier such as m0c3k…
Of a CSV file the first column counts.";

/// Members read at once while those with a tag are looked for.
const PAGE_MEMBERS: usize = 1_000;
/// Members looked at for one page of those with a tag.
const SCAN_MEMBERS_MAX: usize = 10_000;

/// A member as a list names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// By their identifier.
    Id(MemberId),
    /// By what they show: the text may be a card number, a phone, or either.
    Shown(Vec<IdentifierHash>),
}

impl Name {
    /// Reads a name; none when it is neither of the three.
    pub fn read(text: &str, key: &LookupKey) -> Option<Self> {
        if let Ok(id) = text.parse() {
            return Some(Self::Id(id));
        }
        let kinds = [IdentifierKind::Card, IdentifierKind::Phone];
        let hashes: Vec<_> = kinds
            .into_iter()
            .filter_map(|kind| Identifier::parse(kind, text).ok())
            .map(|identifier| identifier.hash(key))
            .collect();
        (!hashes.is_empty()).then_some(Self::Shown(hashes))
    }
}

/// The secret with which names are hashed.
pub async fn lookup_key(hub: &Hub, programme: ProgrammeId) -> Result<LookupKey, ActionError> {
    Ok(programmes::one(hub, programme).await?.value.lookup_key)
}

/// Who is meant by each name; none when nobody is.
pub async fn resolve(
    hub: &Hub,
    programme: ProgrammeId,
    names: &[Name],
) -> Result<Vec<Option<MemberId>>, StoreError> {
    let hashes: Vec<IdentifierHash> = names
        .iter()
        .flat_map(|name| match name {
            Name::Id(_) => &[][..],
            Name::Shown(hashes) => hashes,
        })
        .copied()
        .collect();
    let owners = hub.store.owners(programme, &hashes).await?;
    let found = names.iter().map(|name| match name {
        Name::Id(id) => Some(*id),
        Name::Shown(hashes) => hashes.iter().find_map(|hash| owners.get(hash)).copied(),
    });
    Ok(found.collect())
}

/// The lines of a list.
pub fn reader<R: Read>(list: R) -> csv::Reader<R> {
    csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(list)
}

/// Where a walk over all members stands: before this one of this partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    partition: u16,
    after: Option<MemberId>,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.after {
            Some(after) => write!(f, "{}_{after}", self.partition),
            None => write!(f, "{}_", self.partition),
        }
    }
}

impl std::str::FromStr for Place {
    type Err = ActionError;

    fn from_str(text: &str) -> Result<Self, ActionError> {
        let wrong = || ActionError::invalid("after", "is not a cursor of this list");
        let (partition, after) = text.split_once('_').ok_or_else(wrong)?;
        let after = match after {
            "" => None,
            after => Some(after.parse().map_err(|_| wrong())?),
        };
        Ok(Self {
            partition: partition.parse().map_err(|_| wrong())?,
            after,
        })
    }
}

/// Part of a walk over all members.
#[derive(Debug)]
pub struct Walked {
    /// Those with the tag.
    pub members: Vec<MemberId>,
    /// How many were looked at.
    pub looked_at: usize,
    /// Where the walk goes on; none at the end.
    pub next: Option<Place>,
}

/// Members with a tag, from a place on: at most `limit` of them, and perhaps fewer before the end.
pub async fn tagged(
    hub: &Hub,
    programme: ProgrammeId,
    tag: &str,
    from: Place,
    limit: usize,
) -> Result<Walked, StoreError> {
    let mut place = from;
    let mut walked = Walked {
        members: Vec::new(),
        looked_at: 0,
        next: None,
    };
    let log = hub_log::name(programme);
    while place.partition < hub.store.partitions() {
        let page = hub
            .store
            .snapshot(programme, place.partition, place.after, PAGE_MEMBERS, log)
            .await?;
        let last = page.members.len() < PAGE_MEMBERS;
        for (id, row) in page.members {
            let member = Member::decode(&row.record).map_err(|_| StoreError::Damaged("member"))?;
            walked.looked_at += 1;
            place.after = Some(id);
            if member.tags_on().any(|on| on == tag) {
                walked.members.push(id);
            }
            if walked.members.len() >= limit {
                walked.next = Some(place);
                return Ok(walked);
            }
        }
        if last {
            place = Place {
                partition: place.partition.saturating_add(1),
                after: None,
            };
        }
        if walked.looked_at >= SCAN_MEMBERS_MAX && place.partition < hub.store.partitions() {
            walked.next = Some(place);
            return Ok(walked);
        }
    }
    Ok(walked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_name_members_in_three_ways() {
        let key = LookupKey([1; 32]);
        let kinds = |text: &str| match Name::read(text, &key) {
            Some(Name::Id(_)) => "id",
            Some(Name::Shown(hashes)) if hashes.len() == 2 => "card or phone",
            Some(Name::Shown(_)) => "card, or phone",
            None => "nothing",
        };
        let cases = [
            ("m0000000000001", "id"),
            ("7700 0000-0000 0016", "card, or phone"),
            ("+7 (916) 000-00-01", "card, or phone"),
            // A phone that has the check digit of a card number.
            ("89160000009", "card or phone"),
            ("7700000000000017", "nothing"),
            ("Anna", "nothing"),
            ("", "nothing"),
        ];
        for (text, expected) in cases {
            assert_eq!(kinds(text), expected, "{text}");
        }
    }

    #[test]
    fn cursors_come_back() {
        for text in ["0_", "7_m0000000000001"] {
            assert_eq!(text.parse::<Place>().unwrap().to_string(), text);
        }
        for foreign in ["", "0", "x_", "0_anna"] {
            assert!(foreign.parse::<Place>().is_err(), "{foreign}");
        }
    }
}
