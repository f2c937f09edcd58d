//! Everything that the one writer is asked: by tills, by the hub through the sync loop, and by the clock.

use kopilka_crdt::allowance::AllowanceRef;
use kopilka_crdt::card::{Card, CardKind, CardNumber, CardState};
use kopilka_crdt::directory::StoreDirectory;
use kopilka_crdt::identifier::{CardTag, Identifier};
use kopilka_crdt::ids::{AccountId, CashierId, Incarnation, MemberId, OperationId, TillId};
use kopilka_crdt::log::Tip;
use kopilka_crdt::money::Minor;
use kopilka_crdt::operation::{Channel, ProfileField, ReceiptKey, ReturnedLine, Tender};
use kopilka_protocol::message::{FeedBatch, MemberState, Renewal, SoldPurchase, VerdictNote};
use kopilka_protocol::signed::SignedBlockOrder;
use kopilka_rules::pricing::{ReceiptLine, Wishes};
use kopilka_rules::promotion::Rewards;
use kopilka_rules::redemption::HubAnswer;

use super::coupon::ShownCoupon;
use super::gift_card::PaymentId;
use super::needs::HubAnswers;
use super::publication::Checked;
use super::records::PurchaseId;

/// Longest idempotency key, in bytes.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 128;
/// Sales of one node that may wait for confirmation.
pub const HOLDS_MAX: usize = 4_096;
/// Most tenders of one receipt.
pub const TENDERS_MAX: usize = 16;

/// A request.
#[derive(Debug)]
pub enum Request {
    /// A till writes.
    Till(Call, Box<Action>),
    /// The hub has news other than rules.
    Hub(Box<News>),
    /// The hub has a new version of the rules.
    Rules(Box<Checked>),
    /// Time has passed: voids what was held too long, forgets what was kept long enough.
    Tick,
}

/// Who calls, and how a retry is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The till, known by its token.
    pub till: TillId,
    /// The cashier, as the till says.
    pub cashier: CashierId,
    /// The till's name for this request, at most [`IDEMPOTENCY_KEY_BYTES_MAX`] bytes.
    pub key: String,
    /// BLAKE3 of the request.
    pub body: [u8; 32],
}

/// What a till writes.
#[derive(Debug, Clone)]
pub enum Action {
    /// Authorise a sale, and confirm it at once if asked.
    Authorise(Sale, HubAnswers),
    /// The receipt is printed.
    Confirm(PurchaseId),
    /// The sale does not happen.
    Void(PurchaseId),
    /// Take a confirmed sale back before the goods leave.
    Cancel(PurchaseRef),
    /// Goods come back; all that are left, when no lines are named.
    Return(PurchaseRef, Option<Vec<ReturnedLine>>, Told),
    /// A person joins.
    Enrol(NewMember),
    /// A card or other identifier is handed out.
    Bind(NewIdentifier),
    /// A card is activated or closed.
    CardState {
        /// Whose.
        member: MemberId,
        /// Which.
        card: CardTag,
        /// The state that it is to reach.
        state: CardState,
    },
    /// Points are written off.
    WriteOff(WriteOff, HubAnswer),
    /// Gifts are credited (positive) or handed out (negative).
    Gift {
        /// Whose.
        member: MemberId,
        /// Which.
        code: String,
        /// How many.
        count: i32,
    },
    /// Consent is given or withdrawn.
    Consent {
        /// Whose.
        member: MemberId,
        /// About what.
        channel: Channel,
        /// Given, or withdrawn.
        given: bool,
    },
    /// Fields of the questionnaire change.
    Profile {
        /// Whose.
        member: MemberId,
        /// New values.
        fields: Vec<(ProfileField, String)>,
    },
    /// A gift card is sold or topped up.
    LoadGiftCard(GiftCardLoad),
    /// A gift card pays.
    PayByGiftCard(GiftCardPayment, HubAnswer),
    /// A payment goes back to its gift card.
    RefundGiftCard(GiftCardRefund),
}

/// A sale, as a till asks for it.
#[derive(Debug, Clone)]
pub struct Sale {
    /// Who buys.
    pub member: MemberId,
    /// The receipt.
    pub receipt: ReceiptKey,
    /// What is bought, and what with.
    pub basket: Basket,
    /// Whether the hub answered when the sale was asked for: some promotions need it.
    pub online: bool,
    /// Whether it is confirmed at once.
    pub confirm: bool,
}

/// What a price depends on beside the member, the store and the moment.
#[derive(Debug, Clone)]
pub struct Basket {
    /// The card shown, if one was.
    pub card: Option<CardTag>,
    /// What is bought.
    pub lines: Vec<ReceiptLine>,
    /// How it is paid, points apart.
    pub tenders: Vec<Tender>,
    /// Promo codes entered.
    pub codes: Vec<String>,
    /// Coupons shown.
    pub coupons: Vec<ShownCoupon>,
    /// Rewards that the member asks for.
    pub rewards: Rewards,
    /// The points that the member wants to spend.
    pub wishes: Wishes,
}

/// Names a purchase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PurchaseRef {
    /// By the name that the authorisation gave it.
    Id(PurchaseId),
    /// By its receipt.
    Receipt(ReceiptKey),
    /// By its operation.
    Operation(OperationId),
}

/// What the hub said of a purchase.
#[derive(Debug, Clone)]
pub enum Told {
    /// Nothing: it was not asked, or did not answer.
    Nothing,
    /// It knows of none, or not yet.
    Unknown,
    /// What was sold, and what has come back of it.
    Sold(Box<SoldPurchase>),
}

/// A person who joins.
#[derive(Debug, Clone)]
pub struct NewMember {
    /// Phones, tokens, chips.
    pub identifiers: Vec<Identifier>,
    /// The first card.
    pub card: Option<(CardNumber, CardKind)>,
    /// The questionnaire.
    pub profile: Vec<(ProfileField, String)>,
    /// Consents given at once.
    pub consents: Vec<Channel>,
    /// The member who brought them.
    pub referrer: Option<MemberId>,
}

/// A card or other identifier for a member.
#[derive(Debug, Clone)]
pub struct NewIdentifier {
    /// Whose.
    pub member: MemberId,
    /// What they will be found by.
    pub identifier: Identifier,
    /// The card, when it is one.
    pub card: Option<Card>,
    /// The card that it takes the place of.
    pub replaces: Option<CardTag>,
}

/// Points written off at a till.
#[derive(Debug, Clone)]
pub struct WriteOff {
    /// Whose.
    pub member: MemberId,
    /// From where.
    pub account: AccountId,
    /// How much; positive.
    pub amount: Minor,
    /// In words.
    pub reason: String,
}

/// Money that is put on a gift card.
#[derive(Debug, Clone, Copy)]
pub struct GiftCardLoad {
    /// The card's record.
    pub record: MemberId,
    /// The card within it.
    pub card: CardTag,
    /// How much.
    pub amount: Minor,
    /// Whether the card is sold with it, and not topped up.
    pub is_sale: bool,
}

/// A payment by gift card.
#[derive(Debug, Clone, Copy)]
pub struct GiftCardPayment {
    /// The card's record.
    pub record: MemberId,
    /// The card within it.
    pub card: CardTag,
    /// What is to be paid; positive.
    pub amount: Minor,
    /// Whether less will do, if there is less.
    pub partial: bool,
    /// For which receipt.
    pub receipt: ReceiptKey,
}

/// A payment that goes back to its gift card.
#[derive(Debug, Clone, Copy)]
pub struct GiftCardRefund {
    /// The payment.
    pub payment: PaymentId,
    /// How much of it; all that is left when not given.
    pub amount: Option<Minor>,
}

/// What the hub sends.
#[derive(Debug, Clone)]
pub enum News {
    /// Members that changed.
    Feed(FeedBatch),
    /// One member as of now.
    Member(MemberState),
    /// Block orders.
    Blocks(Vec<SignedBlockOrder>),
    /// The store's directory.
    Directory(StoreDirectory),
    /// The own log is durable at the hub up to here.
    Durable {
        /// Which log.
        incarnation: Incarnation,
        /// Up to where.
        tip: Tip,
        /// What was found.
        verdicts: Vec<VerdictNote>,
    },
    /// Give rights back.
    Recall {
        /// On whose account.
        member: MemberId,
        /// Which.
        allowances: Vec<AllowanceRef>,
    },
    /// Begin a new incarnation.
    Renew {
        /// The hub's order.
        renewal: Renewal,
        /// Up to where the hub has the present log, under whatever name.
        known: Tip,
    },
    /// A snapshot begins; the feed goes on at these positions after it.
    SnapshotBegins {
        /// By partition.
        positions: Vec<u64>,
    },
    /// Believed pages of a snapshot, one after the other; they are durable together.
    SnapshotPages {
        /// Their members.
        batches: Vec<FeedBatch>,
        /// Whether their partition ends with them.
        last: bool,
    },
    /// The hub's wall time now, milliseconds since 1970.
    Time {
        /// As the hub says.
        hub_ms: u64,
    },
}
