//! The one place where what the app refuses becomes a problem document.

use axum::http::StatusCode;
use kopilka_rules::pricing::PricingError;
use kopilka_rules::redemption::Refused;
use kopilka_rules::reversal::ReversalError;
use kopilka_shell::problem::Problem;

use crate::app::{AppError, points};
use crate::store::StoreError;
use crate::store::writer::WriterError;

const FIX_RECEIPT: &str = "Correct the receipt and send it with a new Idempotency-Key.";
const WITHOUT_POINTS: &str =
    "Продайте без списания баллов или спишите меньше. / Sell without redeeming, or redeem less.";

impl From<AppError> for Problem {
    fn from(error: AppError) -> Self {
        match error {
            AppError::Store(error) => store(&error),
            AppError::Writer(error) => writer(error),
            AppError::NotReady => Self::unavailable(
                "not_ready",
                sentence(&error),
                "Wait until the node has reached the hub for the first time.",
            ),
            AppError::UnknownMember => Self::not_found(
                "member_unknown",
                "Участник здесь неизвестен. / No such member is known here.",
                "Check the identifier, or enrol the person.",
            ),
            AppError::UnknownCard => Self::not_found(
                "card_unknown",
                "У участника нет такой карты. / The member has no such card.",
                "Identify the member again.",
            ),
            AppError::UnknownPurchase => Self::not_found(
                "purchase_unknown",
                "No such purchase is known at this node, or its return period is over.",
                "Check the identifier or the receipt.",
            ),
            AppError::UnknownCashier(_) => Self::forbidden(
                "cashier_unknown",
                sentence(&error),
                "Have head office enter the cashier, or use another number.",
            ),
            AppError::Pricing(error) => pricing(&error),
            AppError::Refused(error) => refused(&error),
            AppError::Reversal(error) => reversal(&error),
            AppError::IdempotencyKeyReused => Self::conflict(
                "idempotency_key_reused",
                sentence(&error),
                "Use a new key for a new request, and the same key with the same body for a retry.",
            ),
            AppError::ReceiptRegistered(_) => Self::conflict(
                "receipt_already_registered",
                sentence(&error),
                "Ask for that purchase; a new sale needs a new receipt number.",
            ),
            AppError::IdentifierTaken => Self::conflict(
                "identifier_taken",
                sentence(&error),
                "Identify the member by it, or use another.",
            ),
            AppError::NotConfirmed => Self::conflict(
                "purchase_not_confirmed",
                sentence(&error),
                "Confirm or void it.",
            ),
            AppError::AlreadyConfirmed => Self::conflict(
                "purchase_confirmed",
                sentence(&error),
                "Cancel it, or take goods back.",
            ),
            AppError::Voided => Self::conflict(
                "purchase_voided",
                sentence(&error),
                "Authorise the sale again.",
            ),
            AppError::CardBlocked { reason } => Self::conflict(
                "card_blocked",
                format!("Карта заблокирована: {reason} / The card is blocked: {reason}"),
                "Продайте без карты. / Sell without the card; head office can release it.",
            ),
            AppError::CardNotActive(_) => Self::conflict(
                "card_not_active",
                sentence(&error),
                "Activate the card, or use another one.",
            ),
            AppError::GiftsShort(_) => Self::conflict(
                "gifts_short",
                sentence(&error),
                "Hand out no more than wait.",
            ),
            AppError::Identifier(_) => Self::unprocessable(
                "invalid_identifier",
                sentence(&error),
                "Read or type it again.",
            ),
            AppError::ConsentMissing => Self::unprocessable(
                "consent_missing",
                "Нет согласия на обработку персональных данных. / Consent to personal data is missing.",
                "Take the consent `personal_data` first, or leave the questionnaire out.",
            ),
            AppError::TooManyHolds => Self::unavailable(
                "too_many_holds",
                sentence(&error),
                "Confirm or void sales that wait.",
            ),
            AppError::Amount(_) => {
                Self::unprocessable("amount_out_of_range", sentence(&error), FIX_RECEIPT)
            }
            AppError::Entry(_) | AppError::Seal(_) => {
                Self::unprocessable("too_large", sentence(&error), "Send less at once.")
            }
            AppError::Fold(_)
            | AppError::Signature(_)
            | AppError::Publication(_)
            | AppError::Foreign
            | AppError::OutOfOrder
            | AppError::UnreadableRecord => {
                tracing::error!(%error, "a till's request ran into it");
                Self::internal()
            }
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
