//! The one place where what the app refuses becomes a problem document.

mod coupon;
mod gift_card;

use axum::http::StatusCode;
use kopilka_crdt::card::CardKind;
use kopilka_rules::pricing::PricingError;
use kopilka_rules::redemption::Refused;
use kopilka_rules::reversal::ReversalError;
use kopilka_shell::problem::Problem;

use crate::app::{AppError, REFUSALS, points};
use crate::store::StoreError;
use crate::store::writer::WriterError;

const FIX_RECEIPT: &str = "Correct the receipt and send it with a new Idempotency-Key.";
const WITHOUT_POINTS: &str =
    "Продайте без списания баллов или спишите меньше. / Sell without redeeming, or redeem less.";

/// A kind of problem: all of it but what is wrong this time.
struct Kind {
    status: StatusCode,
    code: &'static str,
    what_to_do: &'static str,
}

impl Kind {
    const fn new(status: StatusCode, code: &'static str, what_to_do: &'static str) -> Self {
        Self {
            status,
            code,
            what_to_do,
        }
    }

    fn because(&self, detail: impl Into<Box<str>>) -> Problem {
        Problem::new(self.status, self.code, detail, self.what_to_do)
    }

    /// In the words of the error.
    fn of(&self, error: &impl std::fmt::Display) -> Problem {
        self.because(sentence(error))
    }
}

const NOT_READY: Kind = Kind::new(
    StatusCode::SERVICE_UNAVAILABLE,
    "not_ready",
    "Wait until the node has reached the hub for the first time.",
);
const MEMBER_UNKNOWN: Kind = Kind::new(
    StatusCode::NOT_FOUND,
    "member_unknown",
    "Check the identifier, or enrol the person.",
);
const CARD_UNKNOWN: Kind = Kind::new(
    StatusCode::NOT_FOUND,
    "card_unknown",
    "Identify the member again.",
);
const PURCHASE_UNKNOWN: Kind = Kind::new(
    StatusCode::NOT_FOUND,
    "purchase_unknown",
    "Check the identifier or the receipt.",
);
const PURCHASE_OUT_OF_REACH: Kind = Kind::new(
    StatusCode::CONFLICT,
    "purchase_out_of_reach",
    "Оформите возврат, когда будет связь, или в магазине покупки. / Take the goods back once the hub is in reach, or in \
     the store that sold them.",
);
const HUB_OUT_OF_REACH: Kind = Kind::new(
    StatusCode::SERVICE_UNAVAILABLE,
    "hub_out_of_reach",
    "Ask for the list from its start: it then has this store's purchases. Or ask again once the hub is in reach.",
);
const CASHIER_UNKNOWN: Kind = Kind::new(
    StatusCode::FORBIDDEN,
    "cashier_unknown",
    "Have head office enter the cashier, or use another number.",
);
const IDEMPOTENCY_KEY_REUSED: Kind = Kind::new(
    StatusCode::CONFLICT,
    "idempotency_key_reused",
    "Use a new key for a new request, and the same key with the same body for a retry.",
);
const RECEIPT_REGISTERED: Kind = Kind::new(
    StatusCode::CONFLICT,
    "receipt_already_registered",
    "Ask for that purchase; a new sale needs a new receipt number.",
);
const IDENTIFIER_TAKEN: Kind = Kind::new(
    StatusCode::CONFLICT,
    "identifier_taken",
    "Identify the member by it, or use another.",
);
const NOT_CONFIRMED: Kind = Kind::new(
    StatusCode::CONFLICT,
    "purchase_not_confirmed",
    "Confirm or void it.",
);
const CONFIRMED: Kind = Kind::new(
    StatusCode::CONFLICT,
    "purchase_confirmed",
    "Cancel it, or take goods back.",
);
const VOIDED: Kind = Kind::new(
    StatusCode::CONFLICT,
    "purchase_voided",
    "Authorise the sale again.",
);
const CARD_BLOCKED: Kind = Kind::new(
    StatusCode::CONFLICT,
    "card_blocked",
    "Продайте без карты. / Sell without the card; head office can release it.",
);
const CARD_NOT_ACTIVE: Kind = Kind::new(
    StatusCode::CONFLICT,
    "card_not_active",
    "Activate the card, or use another one.",
);
const BEARERS_CARD: Kind = Kind::new(
    StatusCode::CONFLICT,
    "not_a_members_card",
    "Use it as what it is: a gift card pays, a coupon goes with the sale.",
);
const REFERRER_UNKNOWN: Kind = Kind::new(
    StatusCode::NOT_FOUND,
    "referrer_unknown",
    "Read the friend's card or phone again, or enrol the person without them.",
);
const OWN_REFERRER: Kind = Kind::new(
    StatusCode::UNPROCESSABLE_ENTITY,
    "referrer_is_member",
    "Name the friend who brought the person, or nobody.",
);
const GIFTS_SHORT: Kind = Kind::new(
    StatusCode::CONFLICT,
    "gifts_short",
    "Hand out no more than wait.",
);
const INVALID_IDENTIFIER: Kind = Kind::new(
    StatusCode::UNPROCESSABLE_ENTITY,
    "invalid_identifier",
    "Read or type it again.",
);
const CONSENT_MISSING: Kind = Kind::new(
    StatusCode::UNPROCESSABLE_ENTITY,
    "consent_missing",
    "Take the consent `personal_data` first, or leave the questionnaire out.",
);
const TOO_MANY_HOLDS: Kind = Kind::new(
    StatusCode::SERVICE_UNAVAILABLE,
    "too_many_holds",
    "Confirm or void sales that wait.",
);
const AMOUNT_OUT_OF_RANGE: Kind = Kind::new(
    StatusCode::UNPROCESSABLE_ENTITY,
    "amount_out_of_range",
    FIX_RECEIPT,
);
const TOO_LARGE: Kind = Kind::new(
    StatusCode::UNPROCESSABLE_ENTITY,
    "too_large",
    "Send less at once.",
);

impl From<AppError> for Problem {
    fn from(error: AppError) -> Self {
        let problem = problem(&error);
        metrics::counter!(REFUSALS, "code" => problem.code.to_string()).increment(1);
        problem
    }
}

fn problem(error: &AppError) -> Problem {
    match error {
        AppError::Store(error) => store(error),
        AppError::Writer(error) => writer(*error),
        AppError::Pricing(error) => pricing(error),
        AppError::Refused(error) => refused(error),
        AppError::Reversal(error) => reversal(error),
        AppError::UnknownMember => {
            MEMBER_UNKNOWN.because("Участник здесь неизвестен. / No such member is known here.")
        }
        AppError::UnknownCard => {
            CARD_UNKNOWN.because("У участника нет такой карты. / The member has no such card.")
        }
        AppError::UnknownPurchase => PURCHASE_UNKNOWN
            .because("No such purchase is known at this node, or its return period is over."),
        AppError::PurchaseOutOfReach => PURCHASE_OUT_OF_REACH.because(
            "Покупка сделана в другом магазине, а связи с центром нет. / \
             The purchase was made at another store, and the hub is out of reach.",
        ),
        AppError::HubOutOfReach => HUB_OUT_OF_REACH.of(error),
        AppError::CardBlocked { reason } => CARD_BLOCKED.because(format!(
            "Карта заблокирована: {reason} / The card is blocked: {reason}"
        )),
        AppError::ConsentMissing => CONSENT_MISSING.because(
            "Нет согласия на обработку персональных данных. / Consent to personal data is missing.",
        ),
        AppError::BearersCard(kind) => BEARERS_CARD.because(match kind {
            CardKind::Gift => "Это подарочная карта. / This is a gift card.",
            CardKind::Coupon => "Это купон. / This is a coupon.",
            CardKind::Standard | CardKind::Employee | CardKind::Pensioner | CardKind::Virtual => {
                "Это не карта участника. / This is no member's card."
            }
        }),
        AppError::GiftCard(error) => gift_card::problem(error),
        AppError::Coupon(error) => coupon::problem(error),
        AppError::UnknownReferrer => REFERRER_UNKNOWN
            .because("Пригласивший здесь неизвестен. / The friend is not known here."),
        AppError::OwnReferrer => {
            OWN_REFERRER.because("Нельзя пригласить самого себя. / Nobody brings themselves.")
        }
        AppError::NotReady => NOT_READY.of(error),
        AppError::UnknownCashier(_) => CASHIER_UNKNOWN.of(error),
        AppError::IdempotencyKeyReused => IDEMPOTENCY_KEY_REUSED.of(error),
        AppError::ReceiptRegistered(_) => RECEIPT_REGISTERED.of(error),
        AppError::IdentifierTaken => IDENTIFIER_TAKEN.of(error),
        AppError::NotConfirmed => NOT_CONFIRMED.of(error),
        AppError::AlreadyConfirmed => CONFIRMED.of(error),
        AppError::Voided => VOIDED.of(error),
        AppError::CardNotActive(_) => CARD_NOT_ACTIVE.of(error),
        AppError::GiftsShort(_) => GIFTS_SHORT.of(error),
        AppError::Identifier(_) => INVALID_IDENTIFIER.of(error),
        AppError::TooManyHolds => TOO_MANY_HOLDS.of(error),
        AppError::Amount(_) => AMOUNT_OUT_OF_RANGE.of(error),
        AppError::Entry(_) | AppError::Seal(_) => TOO_LARGE.of(error),
        AppError::Fold(_)
        | AppError::Signature(_)
        | AppError::Publication(_)
        | AppError::Transfer(_)
        | AppError::Foreign
        | AppError::OutOfOrder
        | AppError::UnreadableRecord => {
            tracing::error!(%error, "a till's request ran into it");
            Problem::internal()
        }
    }
}

fn sentence(error: &impl std::fmt::Display) -> String {
    format!("{error}.")
}

fn store(error: &StoreError) -> Problem {
    match error {
        StoreError::Full => Problem::storage_full(),
        StoreError::Corrupt(_)
        | StoreError::Locked
        | StoreError::Io(_)
        | StoreError::Version(_) => Problem::internal(),
    }
}

fn writer(error: WriterError) -> Problem {
    match error {
        WriterError::Busy => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "Too many requests wait for the disk; this one was not carried out.",
            "Send it again in a moment with the same Idempotency-Key.",
        ),
        WriterError::Stopped => Problem::unavailable(
            "stopping",
            "The node is stopping; the request may or may not have been carried out.",
            "Send it again with the same Idempotency-Key once the node is back.",
        ),
    }
}

fn pricing(error: &PricingError) -> Problem {
    match error {
        PricingError::Lines => Problem::unprocessable("lines_count", sentence(error), FIX_RECEIPT),
        PricingError::Line { .. } => {
            Problem::unprocessable("line_invalid", sentence(error), FIX_RECEIPT)
        }
        PricingError::TooManyPoints { most } => Problem::conflict(
            "redemption_over_limit",
            format!(
                "На этом чеке можно списать не больше {0} баллов. / At most {0} points may be redeemed on this receipt.",
                points(*most)
            ),
            WITHOUT_POINTS,
        ),
        PricingError::TooFewPoints { least } => Problem::conflict(
            "redemption_under_limit",
            format!(
                "За раз списывается не меньше {0} баллов. / At least {0} points are redeemed at once.",
                points(*least)
            ),
            WITHOUT_POINTS,
        ),
        PricingError::Amount(_) => {
            Problem::unprocessable("amount_out_of_range", sentence(error), FIX_RECEIPT)
        }
    }
}

fn refused(error: &Refused) -> Problem {
    let (code, detail) = match error {
        Refused::Balance(most) => (
            "balance_short",
            format!(
                "Сегодня доступно {0} баллов. / {0} points can be spent today.",
                points(*most)
            ),
        ),
        Refused::HeldElsewhere(most) => (
            "points_held_elsewhere",
            format!(
                "Сейчас можно списать {0} баллов, остальные закреплены за другими магазинами. / \
                 {0} points can be redeemed now; other stores hold the rest.",
                points(*most)
            ),
        ),
        Refused::Offline(most) => (
            "offline_limit",
            format!(
                "Нет связи с центром: здесь можно списать {0} баллов. / \
                 The hub is out of reach: {0} points can be redeemed here.",
                points(*most)
            ),
        ),
        Refused::Amount(_) => {
            return Problem::unprocessable("amount_out_of_range", sentence(error), FIX_RECEIPT);
        }
    };
    Problem::conflict(code, detail, WITHOUT_POINTS)
}

fn reversal(error: &ReversalError) -> Problem {
    let code = match error {
        ReversalError::NothingLeft => "nothing_left_to_return",
        ReversalError::NoSuchLine(_) => "line_unknown",
        ReversalError::TooMuch { .. } => "return_too_large",
        ReversalError::Amount(_) => "amount_out_of_range",
    };
    Problem::conflict(
        code,
        sentence(error),
        "Ask for the purchase to see what is left of each line.",
    )
}
