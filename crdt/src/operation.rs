//! Operations: the closed set of facts that nodes and the hub sign. Never changed, never dropped.

mod promoted;
mod resource;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::allowance::{AllowanceRef, AllowanceUse, Rung};
use crate::card::{Card, CardState};
use crate::clock::{Day, Stamp};
use crate::identifier::{CardTag, IdentifierHash, IdentifierKind};
use crate::ids::{AccountId, CashierId, Incarnation, MemberId, OperationId, PartnerId, TillId};
use crate::ledger::{Cause, Take};
use crate::money::{Milli, Minor};
use crate::sealed::Sealed;
pub use promoted::{Applied, Counting, Promoted, Purpose, Spending};
pub use resource::{Charge, Refund};

/// Most lines of one receipt.
pub const RECEIPT_LINES_MAX: usize = 1_000;
/// Longest SKU or product group, in bytes.
pub const CODE_BYTES_MAX: usize = 64;
/// Longest reason or other free text in an operation, in bytes.
pub const TEXT_BYTES_MAX: usize = 400;

/// One fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// A person joined the programme.
    Enrol(Enrolment),
    /// A card or other identifier was given to a member, perhaps in place of another.
    Bind(Binding),
    /// A card moved on in its life.
    CardState(CardChange),
    /// Goods were sold to a member.
    Purchase(Purchase),
    /// A purchase was taken back whole, before the goods left.
    Cancel(Reversal),
    /// Goods came back.
    Return(Reversal),
    /// Staff credited or wrote off points.
    Adjust(Adjustment),
    /// A gift was credited or handed out.
    Gift(GiftChange),
    /// A field of the questionnaire changed.
    Profile(ProfileChange),
    /// Consent was given or withdrawn.
    Consent(ConsentChange),
    /// A store gave back what it had not used of an allowance.
    AllowanceReturn(AllowanceReturn),
    /// The node's clock was found wrong, or right again; also proof of life for lapsed allowances.
    ClockMark(ClockMark),
    /// A new incarnation began.
    IncarnationMark(IncarnationMark),
    /// A tag was put on a member or taken off.
    Tag(TagChange),
    /// A sale drew on a gift card, a bearer's coupon or a promotion's budget.
    Charge(Charge),
    /// Such a charge was given back.
    Refund(Refund),
}

/// Points credited together by one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credit {
    /// The account credited.
    pub account: AccountId,
    /// How much; positive.
    pub amount: Minor,
    /// First day of use.
    pub active_from: Day,
    /// Last day of use.
    pub expires_on: Option<Day>,
}

/// Takings from one account's lots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountTakes {
    /// The account.
    pub account: AccountId,
    /// The parts, by lot.
    pub takes: Vec<Take>,
}

/// A person joined the programme.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    /// The new member.
    pub member: MemberId,
    /// Phones, tokens and chips by which they can be found; cards are in `card`.
    pub identifiers: Vec<(IdentifierKind, IdentifierHash)>,
    /// The first card.
    pub card: Option<(IdentifierHash, Card)>,
    /// The questionnaire, sealed field by field.
    pub profile: Vec<(ProfileField, Sealed)>,
    /// Consents given at once.
    pub consents: Vec<Channel>,
    /// Welcome points.
    pub credits: Vec<Credit>,
    /// The partner that owes for them.
    pub partner: PartnerId,
    /// Where; none for imports at the hub.
    pub till: Option<TillId>,
    /// Who served.
    pub cashier: Option<CashierId>,
    /// The member who brought them.
    pub referrer: Option<MemberId>,
}

/// A card or other identifier was given to a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The member.
    pub member: MemberId,
    /// The identifier's kind.
    pub kind: IdentifierKind,
    /// Its hash.
    pub hash: IdentifierHash,
    /// What the card is, when it is one.
    pub card: Option<Card>,
    /// The card that it takes the place of.
    pub replaces: Option<CardTag>,
}

/// A card moved on in its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardChange {
    /// Whose.
    pub member: MemberId,
    /// Which card.
    pub card: CardTag,
    /// The state that it reached.
    pub state: CardState,
}

/// A means of payment.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum TenderKind {
    /// Notes and coins.
    Cash,
    /// A bank card.
    BankCard,
    /// The fast payment system, by QR.
    FastPayment,
    /// A gift card.
    GiftCard,
    /// Anything else.
    Other,
}

/// What was paid by one means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tender {
    /// The means.
    pub kind: TenderKind,
    /// Paid.
    pub amount: Minor,
}

/// One line of a receipt as it was sold; the shares are what returns give back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurchaseLine {
    /// The article.
    pub sku: String,
    /// Its product group; empty when the till gave none.
    pub group: String,
    /// How much of it.
    pub quantity: Milli,
    /// Price of one unit before any discount.
    pub unit_price: Minor,
    /// Discounts on the whole line.
    pub discount: Minor,
    /// Points redeemed on the whole line.
    pub redeemed: Minor,
    /// Points earned by the whole line.
    pub earned: Minor,
}

impl PurchaseLine {
    /// What the line cost before points.
    pub fn amount(&self) -> Result<Minor, crate::money::AmountError> {
        self.quantity.price(self.unit_price)?.minus(self.discount)
    }
}

/// Farthest that a till's business day may lie from the day of the operation's stamp, in days.
const BUSINESS_DAY_OFF_MAX: u32 = 2;

/// Names a receipt in the whole chain: a receipt posted to two nodes has one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReceiptKey {
    /// The till that printed it.
    pub till: TillId,
    /// The till's business day.
    pub day: Day,
    /// The number that the till gave it.
    pub number: u64,
}

impl ReceiptKey {
    /// The day that its sums are counted on: the till's business day, or that of the stamp (UTC) if the till is far off.
    pub fn counted_on(&self, stamp: Stamp) -> Day {
        let stamped = Day::from_ms(stamp.ms(), 0);
        if self.day.0.abs_diff(stamped.0) <= BUSINESS_DAY_OFF_MAX {
            self.day
        } else {
            stamped
        }
    }
}

/// Goods were sold to a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purchase {
    /// The receipt.
    pub receipt: ReceiptKey,
    /// Who served.
    pub cashier: CashierId,
    /// Who bought.
    pub member: MemberId,
    /// The card shown, if one was.
    pub card: Option<CardTag>,
    /// The publication that it was priced under.
    pub publication: u32,
    /// The lines, with their shares.
    pub lines: Vec<PurchaseLine>,
    /// How it was paid, points apart.
    pub tenders: Vec<Tender>,
    /// Points redeemed, by lot.
    pub redeemed: Option<AccountTakes>,
    /// On which rung, and under which allowances.
    pub authority: Option<Authority>,
    /// Points earned.
    pub earned: Vec<Credit>,
    /// What counts towards tiers.
    pub counted: Minor,
    /// What promotions and further accounts had to do with it; none when nothing.
    pub promoted: Option<Promoted>,
    /// The partner that owes for the points earned.
    pub partner: PartnerId,
}

/// What a redemption stood on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authority {
    /// The rung.
    pub rung: Rung,
    /// The allowances used; they add up to what was redeemed.
    pub uses: Vec<AllowanceUse>,
}

/// Part of a line that came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnedLine {
    /// 0-based index of the line in the purchase.
    pub line: u16,
    /// How much of it.
    pub quantity: Milli,
}

/// A purchase was taken back, whole or in part. The figures come from the shares stored at the sale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reversal {
    /// The purchase.
    pub purchase: OperationId,
    /// Whose.
    pub member: MemberId,
    /// Who served.
    pub cashier: CashierId,
    /// Where.
    pub till: TillId,
    /// What came back.
    pub lines: Vec<ReturnedLine>,
    /// Money handed back.
    pub refund: Minor,
    /// What no longer counts towards tiers.
    pub counted: Minor,
    /// The day that the purchase was counted on.
    pub day: Day,
    /// Spent points and coupons that go back into their lots, account by account.
    pub restored: Vec<AccountTakes>,
    /// Spent points whose lots have run out meanwhile, given back as new ones.
    pub renewed: Vec<Credit>,
    /// Earned points that are taken back.
    pub withdrawn: Vec<AccountTakes>,
    /// Coupons and the like, handed out for the receipt, that are taken back.
    pub recalled: Vec<AccountTakes>,
    /// Uses of promotions that limits no longer count.
    pub uncounted: Vec<Applied>,
    /// Gifts that are taken back, by code.
    pub gifts: BTreeMap<String, u32>,
    /// The partner that owes for what is renewed.
    pub partner: PartnerId,
    /// Nothing of the purchase is left.
    pub whole: bool,
}

/// Staff or a till credited or wrote off points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adjustment {
    /// Whose.
    pub member: MemberId,
    /// Credited.
    pub credits: Vec<Credit>,
    /// Written off.
    pub taken: Option<AccountTakes>,
    /// What the write-off stood on, when a store made it.
    pub authority: Option<Authority>,
    /// Why points were credited.
    pub cause: Cause,
    /// In words, for the history.
    pub reason: String,
    /// Brought-in purchase total (imports), counted towards tiers. On a limit's record: by how much the limit rose.
    pub counted: Minor,
    /// The partner that owes for credits.
    pub partner: PartnerId,
}

/// A gift was credited (positive) or handed out (negative).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GiftChange {
    /// Whose.
    pub member: MemberId,
    /// The gift's code in the rule book or the goods list.
    pub code: String,
    /// How many.
    pub count: i32,
}

/// A field of the questionnaire.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProfileField {
    /// First name.
    GivenName,
    /// Last name.
    FamilyName,
    /// Phone, E.164.
    Phone,
    /// E-mail address.
    Email,
    /// Date of birth, ISO 8601.
    BirthDate,
    /// Sex.
    Sex,
    /// A field of the partner's own.
    Own(String),
}

/// A field of the questionnaire changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileChange {
    /// Whose.
    pub member: MemberId,
    /// New values, sealed.
    pub fields: Vec<(ProfileField, Sealed)>,
}

/// What consent is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Processing of personal data at all (152-FZ).
    PersonalData,
    /// Messages by SMS.
    Sms,
    /// Messages by e-mail.
    Email,
    /// Push messages.
    Push,
    /// Messages through messengers.
    Messenger,
}

/// A tag was put on a member or taken off: a segment, or what staff noted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagChange {
    /// On whom.
    pub member: MemberId,
    /// Its code.
    pub tag: String,
    /// Put on, or taken off.
    pub on: bool,
}

/// Consent was given or withdrawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentChange {
    /// Whose.
    pub member: MemberId,
    /// About what.
    pub channel: Channel,
    /// Given, or withdrawn.
    pub given: bool,
}

/// A store gave back what it had not used of an allowance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllowanceReturn {
    /// Whose account it was drawn on.
    pub member: MemberId,
    /// Which one. No use of it follows in this log.
    pub allowance: AllowanceRef,
}

/// The node's clock was found wrong, or right again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockMark {
    /// Whether operations after this one carry a trusted time.
    pub trusted: bool,
    /// By how much the wall clock had jumped back behind the last stamp, in milliseconds.
    pub behind_ms: u64,
}

/// A new incarnation began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncarnationMark {
    /// The one before it, if the node knows.
    pub previous: Option<Incarnation>,
}

impl Body {
    /// The words of [`Body::kind`], in the order of the variants.
    pub const KINDS: [&'static str; 16] = [
        "enrol",
        "bind",
        "card_state",
        "purchase",
        "cancel",
        "return",
        "adjust",
        "gift",
        "profile",
        "consent",
        "allowance_return",
        "clock_mark",
        "incarnation_mark",
        "tag",
        "charge",
        "refund",
    ];

    /// The member that it is about; marks are about none.
    pub fn member(&self) -> Option<MemberId> {
        match self {
            Self::Enrol(body) => Some(body.member),
            Self::Bind(body) => Some(body.member),
            Self::CardState(body) => Some(body.member),
            Self::Purchase(body) => Some(body.member),
            Self::Cancel(body) | Self::Return(body) => Some(body.member),
            Self::Adjust(body) => Some(body.member),
            Self::Gift(body) => Some(body.member),
            Self::Profile(body) => Some(body.member),
            Self::Consent(body) => Some(body.member),
            Self::AllowanceReturn(body) => Some(body.member),
            Self::Tag(body) => Some(body.member),
            Self::Charge(body) => Some(body.member),
            Self::Refund(body) => Some(body.member),
            Self::ClockMark(_) | Self::IncarnationMark(_) => None,
        }
    }

    /// A stable word for its kind, for APIs, tables and metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Enrol(_) => "enrol",
            Self::Bind(_) => "bind",
            Self::CardState(_) => "card_state",
            Self::Purchase(_) => "purchase",
            Self::Cancel(_) => "cancel",
            Self::Return(_) => "return",
            Self::Adjust(_) => "adjust",
            Self::Gift(_) => "gift",
            Self::Profile(_) => "profile",
            Self::Consent(_) => "consent",
            Self::AllowanceReturn(_) => "allowance_return",
            Self::ClockMark(_) => "clock_mark",
            Self::IncarnationMark(_) => "incarnation_mark",
            Self::Tag(_) => "tag",
            Self::Charge(_) => "charge",
            Self::Refund(_) => "refund",
        }
    }
}

/// What the hub decided about an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Counted as it stands.
    Accepted,
    /// The same receipt was already counted; kept as evidence, not counted again.
    Duplicate,
    /// Counted, though the card was blocked when it was used.
    Contested,
    /// Counted, and it took an account below zero or went beyond its node's rights.
    Overdraft,
    /// Counted as the member was told, though the rules give something else.
    Mispriced,
    /// Kept, not counted until staff decide.
    Quarantined,
}
