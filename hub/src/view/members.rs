//! Members and what happened to them as they are shown. Names and phones are masked unless the questionnaire is opened.

use std::collections::{BTreeMap, BTreeSet};

use kopilka_crdt::calendar::Date;
use kopilka_crdt::identifier::CardTag;
use kopilka_crdt::ledger::AccountView;
use kopilka_crdt::operation::{AccountTakes, Body, Credit, ProfileField};
use serde::Serialize;
use utoipa::ToSchema;

use super::resources::{self, CouponView, GiftCardView};
use super::{PageView, time, word};
use crate::app::action::ActionError;
use crate::app::import::{Fault, Tally};
use crate::app::members::Seen;
use crate::app::members::adjust::Adjusted;
use crate::app::members::history::Page;
use crate::app::members::profile::Opened;
use crate::store::{KeyState, OperationRow};

/// A member.
#[derive(Debug, Serialize, ToSchema)]
pub struct MemberView {
    /// Their identifier.
    #[schema(example = "m0000000000000")]
    pub id: String,
    /// `member`; `gift_card` or `coupon` for a card that is its bearer's.
    pub kind: &'static str,
    /// When they joined.
    pub enrolled_at: String,
    /// Given name and an initial.
    pub name: String,
    /// Phone with its middle masked.
    pub phone: String,
    /// Whether the personal data were erased.
    pub erased: bool,
    /// Code of their tier.
    pub tier: String,
    /// Its last day if nothing more is bought; none: it stays.
    #[schema(example = "2026-12-31")]
    pub tier_until: Option<String>,
    /// The tier above.
    pub next_tier: Option<NextTierView>,
    /// Purchases that count towards tiers, minor units.
    pub counted_minor: i64,
    /// Number of purchases.
    pub purchases: i32,
    /// Balances.
    pub accounts: Vec<BalanceView>,
    /// Cards.
    pub cards: Vec<CardView>,
    /// Gifts waiting, by code.
    pub gifts: BTreeMap<String, i32>,
    /// Tags that are on, by code.
    pub tags: Vec<String>,
    /// Badges awarded, by code.
    pub badges: BTreeSet<String>,
    /// Unused coupons.
    pub coupons: Vec<CouponView>,
    /// What is on it, for a gift card.
    pub gift_card: Option<GiftCardView>,
    /// Consents, by channel.
    pub consents: BTreeMap<String, bool>,
}

/// The tier above a member's.
#[derive(Debug, Serialize, ToSchema)]
pub struct NextTierView {
    /// Its code.
    #[schema(example = "platinum")]
    pub code: String,
    /// What is missing to it in the time that the rules sum over: minor units of money or points, or purchases.
    pub missing: i64,
}

/// An account of a member today.
#[derive(Debug, Serialize, ToSchema)]
pub struct BalanceView {
    /// The account.
    #[schema(example = "a1")]
    pub account: String,
    /// Its code in the rule book.
    pub code: String,
    /// May be spent today, minor units.
    pub spendable_minor: i64,
    /// Credited and not active yet.
    pub pending_minor: i64,
    /// Ran out.
    pub expired_minor: i64,
    /// Taken beyond what was there.
    pub debt_minor: i64,
    /// Rights that stores hold on it.
    pub held_by_stores_minor: i64,
}

/// A card of a member.
#[derive(Debug, Serialize, ToSchema)]
pub struct CardView {
    /// Tells a member's cards apart.
    #[schema(example = "9f86d081")]
    pub tag: String,
    /// What it is for.
    pub kind: String,
    /// Last four digits.
    pub tail: String,
    /// How far its life has gone.
    pub state: String,
    /// Whether stores refuse it.
    pub blocked: bool,
}

/// Writes a card's tag as [`CardView`] shows it.
pub fn tag_text(tag: CardTag) -> String {
    format!("{:08x}", tag.0)
}

/// Reads what [`tag_text`] wrote.
pub fn parse_tag(text: &str) -> Result<CardTag, ActionError> {
    u32::from_str_radix(text, 16)
        .map(CardTag)
        .map_err(|_| ActionError::invalid("replaces", "is not a card's tag"))
}

impl From<&Seen> for MemberView {
    fn from(seen: &Seen) -> Self {
        let member = &seen.row.member;
        let cards = member.cards.iter().map(|(tag, card)| CardView {
            tag: tag_text(*tag),
            kind: word(&card.kind),
            tail: format!("{:04}", card.tail),
            state: word(&card.state),
            blocked: member.is_blocked(*tag),
        });
        let consents = member.consents.iter();
        let standing = seen.rules.standing(member, seen.moment.today());
        Self {
            id: seen.id.to_string(),
            kind: resources::kind(seen),
            enrolled_at: time(member.enrolled.ms()),
            name: member.shown.name.clone(),
            phone: member.shown.phone.clone(),
            erased: seen.row.key == KeyState::Destroyed,
            tier: standing.tier.code.clone(),
            tier_until: standing.until.map(|day| Date(day).to_string()),
            next_tier: standing.next.map(|(tier, missing)| NextTierView {
                code: tier.code.clone(),
                missing: missing.0,
            }),
            counted_minor: member.counted.0,
            purchases: member.purchases,
            accounts: balances(seen),
            cards: cards.collect(),
            gifts: member.gifts.clone(),
            tags: member.tags_on().map(str::to_owned).collect(),
            badges: member.badges.clone(),
            coupons: resources::coupons(seen),
            gift_card: resources::gift_card(seen),
            consents: consents
                .map(|(channel, given)| (word(channel), given.value))
                .collect(),
        }
    }
}

fn balances(seen: &Seen) -> Vec<BalanceView> {
    let member = &seen.row.member;
    let known = seen.rules.rules().accounts.iter();
    known
        .map(|(id, rules)| {
            // Sums beyond 64 bits were refused when they were counted.
            let view: AccountView = member
                .account(*id)
                .view(seen.moment.today())
                .unwrap_or_default();
            BalanceView {
                account: id.to_string(),
                code: rules.code.clone(),
                spendable_minor: view.spendable.0,
                pending_minor: view.pending.0,
                expired_minor: view.expired.0,
                debt_minor: view.debt.0,
                held_by_stores_minor: member.outstanding(*id).0,
            }
        })
        .collect()
}

/// An opened questionnaire.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProfileView {
    /// Values by field.
    pub fields: BTreeMap<String, String>,
}

impl From<Opened> for ProfileView {
    fn from(opened: Opened) -> Self {
        let fields = opened.into_iter().map(|(field, value)| {
            let name = match field {
                ProfileField::Own(name) => name,
                known @ (ProfileField::GivenName
                | ProfileField::FamilyName
                | ProfileField::Phone
                | ProfileField::Email
                | ProfileField::BirthDate
                | ProfileField::Sex) => word(&known),
            };
            (name, value)
        });
        Self {
            fields: fields.collect(),
        }
    }
}

/// An adjustment that was made.
#[derive(Debug, Serialize, ToSchema)]
pub struct AdjustedView {
    /// The hub's operation.
    pub operation: String,
    /// The same Idempotency-Key had made it before.
    pub repeated: bool,
}

impl From<Adjusted> for AdjustedView {
    fn from(adjusted: Adjusted) -> Self {
        Self {
            operation: adjusted.operation.to_string(),
            repeated: adjusted.repeated,
        }
    }
}

/// An import that was made.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImportView {
    /// What it comes to.
    #[serde(flatten)]
    pub tally: Tally,
    /// Rows that were not taken, by line; 1,000 at most.
    pub faults: Vec<Fault>,
}

/// An operation in a member's history.
#[derive(Debug, Serialize, ToSchema)]
pub struct OperationView {
    /// Its identifier.
    #[schema(example = "o3.1.17")]
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// When it happened, by its node's clock.
    pub at: String,
    /// When the hub took it in.
    pub taken_in_at: String,
    /// Where; none: at head office.
    pub store: Option<String>,
    /// What the hub decided.
    pub verdict: String,
    /// Why.
    pub reason: String,
    /// Points credited, minor units, over all accounts.
    pub credited_minor: i64,
    /// Points taken, minor units; negative when they came back.
    pub taken_minor: i64,
    /// What counts towards tiers, minor units.
    pub counted_minor: i64,
    /// The till's receipt, for purchases.
    pub receipt: Option<ReceiptView>,
}

/// A receipt's name.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReceiptView {
    /// The till.
    pub till: String,
    /// Its number.
    pub number: u64,
}

/// A page of a history.
pub fn history(page: &Page) -> PageView<OperationView> {
    PageView {
        items: page
            .entries
            .iter()
            .map(|(row, body)| operation(row, body))
            .collect(),
        next: page.next.map(|cursor| cursor.to_string()),
    }
}

fn operation(row: &OperationRow, body: &Body) -> OperationView {
    let figures = Figures::of(body);
    OperationView {
        id: row.id.to_string(),
        kind: row.kind.to_owned(),
        at: time(row.stamp.ms()),
        taken_in_at: time(row.taken_in_ms),
        store: row.store.map(|store| store.to_string()),
        verdict: word(&row.verdict),
        reason: row.reason.clone(),
        credited_minor: figures.credited,
        taken_minor: figures.taken,
        counted_minor: figures.counted,
        receipt: figures.receipt,
    }
}

/// What an operation moved. Sums saturate: they are for reading only.
#[derive(Default)]
struct Figures {
    credited: i64,
    taken: i64,
    counted: i64,
    receipt: Option<ReceiptView>,
}

impl Figures {
    fn of(body: &Body) -> Self {
        match body {
            Body::Purchase(purchase) => Self {
                credited: credits(&purchase.earned),
                taken: taken(&purchase.redeemed),
                counted: purchase.counted.0,
                receipt: Some(ReceiptView {
                    till: purchase.receipt.till.to_string(),
                    number: purchase.receipt.number,
                }),
            },
            Body::Cancel(reversal) | Body::Return(reversal) => Self {
                credited: reversal
                    .withdrawn
                    .iter()
                    .map(sum)
                    .fold(0, i64::saturating_sub),
                taken: reversal
                    .restored
                    .iter()
                    .map(sum)
                    .fold(0, i64::saturating_sub),
                counted: reversal.counted.0.saturating_neg(),
                receipt: None,
            },
            Body::Adjust(adjustment) => Self {
                credited: credits(&adjustment.credits),
                taken: taken(&adjustment.taken),
                counted: adjustment.counted.0,
                receipt: None,
            },
            Body::Charge(charge) => Self {
                taken: taken(&charge.taken),
                receipt: Some(ReceiptView {
                    till: charge.receipt.till.to_string(),
                    number: charge.receipt.number,
                }),
                ..Self::default()
            },
            Body::Refund(refund) => Self {
                taken: taken(&refund.restored).saturating_neg(),
                ..Self::default()
            },
            Body::Enrol(enrolment) => Self {
                credited: credits(&enrolment.credits),
                ..Self::default()
            },
            Body::Bind(_)
            | Body::CardState(_)
            | Body::Gift(_)
            | Body::Profile(_)
            | Body::Consent(_)
            | Body::AllowanceReturn(_)
            | Body::ClockMark(_)
            | Body::IncarnationMark(_)
            | Body::Tag(_) => Self::default(),
        }
    }
}

fn credits(credits: &[Credit]) -> i64 {
    credits
        .iter()
        .fold(0, |sum, credit| sum.saturating_add(credit.amount.0))
}

fn taken(takes: &Option<AccountTakes>) -> i64 {
    takes.as_ref().map_or(0, sum)
}

fn sum(takes: &AccountTakes) -> i64 {
    takes
        .takes
        .iter()
        .fold(0, |sum, take| sum.saturating_add(take.amount.0))
}
