//! Coupons, gift cards, tags and what was done to many members, as they are shown.

use kopilka_crdt::calendar::Date;
use kopilka_crdt::card::{Card, CardKind, CardNumber};
use kopilka_crdt::ids::{MemberId, OperationId};
use kopilka_crdt::ledger::Lot;
use kopilka_crdt::money::Minor;
use kopilka_crdt::rulebook::model::Text;
use kopilka_rules::Programme;
use serde::Serialize;
use utoipa::ToSchema;

use super::word;
use crate::app::import::Fault;
use crate::app::members::Seen;
use crate::app::resources::bulk::Count;
use crate::app::resources::is_bearers;
use crate::app::resources::people::Walked;

/// Coupons of one series with the same days.
#[derive(Debug, Serialize, ToSchema)]
pub struct CouponView {
    /// Code of the series.
    pub series: String,
    /// Its name, in Russian and English.
    pub name: TextView,
    /// How many.
    pub units: i64,
    /// First day of use.
    pub active_from: String,
    /// Last day of use; none: for ever.
    pub expires_on: Option<String>,
}

/// A text in the two languages of the system.
#[derive(Debug, Serialize, ToSchema)]
pub struct TextView {
    /// Russian.
    pub ru: String,
    /// English.
    pub en: String,
}

impl From<&Text> for TextView {
    fn from(text: &Text) -> Self {
        Self {
            ru: text.ru.clone(),
            en: text.en.clone(),
        }
    }
}

/// A gift card.
#[derive(Debug, Serialize, ToSchema)]
pub struct GiftCardView {
    /// `issued`: not sold yet; `active`; `closed`.
    pub state: String,
    /// What may be spent today, minor units of money.
    pub balance_minor: i64,
    /// Last day of the part that runs out last; none: for ever, or nothing is on it.
    pub expires_on: Option<String>,
}

/// Unused coupons that somebody holds, as their lots have them.
pub fn coupons(seen: &Seen) -> Vec<CouponView> {
    let member = &seen.row.member;
    let today = seen.moment.today();
    let mut found = Vec::new();
    for (code, series) in &seen.rules.rules().coupons {
        let lots = member.accounts.get(&series.account);
        let lots = lots.iter().flat_map(|account| account.lots.values());
        found.extend(lots.filter_map(|lot| {
            let units = left(lot)?;
            (!lot.is_expired(today)).then(|| CouponView {
                series: code.clone(),
                name: TextView::from(&series.name),
                units: units.0,
                active_from: Date(lot.active_from).to_string(),
                expires_on: lot.expires_on.map(|day| Date(day).to_string()),
            })
        }));
    }
    found
}

fn left(lot: &Lot) -> Option<Minor> {
    // Sums beyond 64 bits were refused when they were counted.
    lot.remaining().ok().filter(|left| *left > Minor::ZERO)
}

/// What is on a gift card; none for anything else.
pub fn gift_card(seen: &Seen) -> Option<GiftCardView> {
    let member = &seen.row.member;
    let card = member.cards.values().find(|card| is_gift(card))?;
    let rules = seen.rules.rules().gift_cards.as_ref()?;
    let account = member.account(rules.account);
    let today = seen.moment.today();
    let on_it = account.lots.values().filter(|lot| left(lot).is_some());
    let last = on_it
        .map(|lot| lot.expires_on)
        .max_by_key(|day| (day.is_none(), *day));
    Some(GiftCardView {
        state: word(&card.state),
        balance_minor: account.view(today).unwrap_or_default().spendable.0,
        expires_on: last.flatten().map(|day| Date(day).to_string()),
    })
}

fn is_gift(card: &Card) -> bool {
    match card.kind {
        CardKind::Gift => true,
        CardKind::Standard
        | CardKind::Employee
        | CardKind::Pensioner
        | CardKind::Virtual
        | CardKind::Coupon => false,
    }
}

/// `member`, or what a bearer's card is: `gift_card` or `coupon`.
pub fn kind(seen: &Seen) -> &'static str {
    let member = &seen.row.member;
    if member.cards.values().any(is_gift) {
        "gift_card"
    } else if is_bearers(member) {
        "coupon"
    } else {
        "member"
    }
}

/// Numbers of cards that were issued. They are told once.
#[derive(Debug, Serialize, ToSchema)]
pub struct NumbersView {
    /// The numbers.
    pub numbers: Vec<String>,
}

impl From<Vec<CardNumber>> for NumbersView {
    fn from(numbers: Vec<CardNumber>) -> Self {
        let digits = numbers.iter().map(|number| number.digits().to_owned());
        Self {
            numbers: digits.collect(),
        }
    }
}

/// A coupon that was given to a member.
#[derive(Debug, Serialize, ToSchema)]
pub struct GivenView {
    /// The hub's operation; none: the same Idempotency-Key had given it before.
    #[schema(example = "o0.1.17")]
    pub operation: Option<String>,
}

impl From<Option<OperationId>> for GivenView {
    fn from(done: Option<OperationId>) -> Self {
        Self {
            operation: done.map(|operation| operation.to_string()),
        }
    }
}

/// A tag of the rule book.
#[derive(Debug, Serialize, ToSchema)]
pub struct TagView {
    /// Its code.
    pub code: String,
    /// Its name.
    pub name: TextView,
}

/// Tags of the rules.
pub fn tags(rules: &Programme) -> Vec<TagView> {
    let known = rules.rules().tags.iter();
    known
        .map(|(code, name)| TagView {
            code: code.clone(),
            name: TextView::from(name),
        })
        .collect()
}

/// What was done to several members.
#[derive(Debug, Serialize, ToSchema)]
pub struct CountView {
    /// What it comes to.
    #[serde(flatten)]
    pub count: Count,
    /// Which of those named were not taken, counted from 1, and why.
    pub faults: Vec<Fault>,
}

/// Members with a tag.
#[derive(Debug, Serialize, ToSchema)]
pub struct TaggedView {
    /// Their identifiers; perhaps none although there are more.
    pub items: Vec<String>,
    /// Pass it as `after` to go on; none at the end.
    pub next: Option<String>,
}

impl From<Walked> for TaggedView {
    fn from(walked: Walked) -> Self {
        Self {
            items: walked.members.iter().map(MemberId::to_string).collect(),
            next: walked.next.map(|place| place.to_string()),
        }
    }
}
