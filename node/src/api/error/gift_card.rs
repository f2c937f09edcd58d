//! What a gift card does not do, as a problem document.

use axum::http::StatusCode;
use kopilka_rules::gift_card::GiftCardRefusal;
use kopilka_rules::redemption::Refused;
use kopilka_shell::problem::Problem;

use crate::app::{GiftCardError, points};

use super::{AMOUNT_OUT_OF_RANGE, Kind};

const GIFT_CARD_UNKNOWN: Kind = Kind::new(
    StatusCode::NOT_FOUND,
    "gift_card_unknown",
    "Проверьте номер или повторите, когда появится связь. / Check the number, or try again once the hub can be reached.",
);
const NOT_A_GIFT_CARD: Kind = Kind::new(
    StatusCode::CONFLICT,
    "not_a_gift_card",
    "Identify the member by it instead.",
);
const GIFT_CARD_SOLD: Kind = Kind::new(
    StatusCode::CONFLICT,
    "gift_card_sold",
    "Sell another card, or top this one up.",
);
const PAYMENT_UNKNOWN: Kind = Kind::new(
    StatusCode::NOT_FOUND,
    "payment_unknown",
    "Refund at the store that took the payment, within the return period.",
);
const GIFT_CARDS_OFF: Kind = Kind::new(
    StatusCode::CONFLICT,
    "gift_cards_not_offered",
    "Have head office enter rules for gift cards.",
);
const LOAD_OUT_OF_RANGE: Kind = Kind::new(
    StatusCode::CONFLICT,
    "gift_card_load_out_of_range",
    "Put another amount on the card.",
);
const REFUND_TOO_LARGE: Kind = Kind::new(
    StatusCode::CONFLICT,
    "refund_too_large",
    "Refund no more than is left.",
);

pub(super) fn problem(error: &GiftCardError) -> Problem {
    match error {
        GiftCardError::Unknown { connected: true } => {
            GIFT_CARD_UNKNOWN.because("Такой подарочной карты нет. / There is no such gift card.")
        }
        GiftCardError::Unknown { connected: false } => GIFT_CARD_UNKNOWN.because(
            "Карта здесь неизвестна, и нет связи с центром. / \
             The card is not known here, and the hub is out of reach.",
        ),
        GiftCardError::NotOne => {
            NOT_A_GIFT_CARD.because("Это не подарочная карта. / This is no gift card.")
        }
        GiftCardError::Sold => {
            GIFT_CARD_SOLD.because("Карта уже продана. / The card was sold before.")
        }
        GiftCardError::UnknownPayment => PAYMENT_UNKNOWN.of(error),
        GiftCardError::Rules(refusal) => rules(refusal),
        GiftCardError::Ladder(refused) => ladder(refused),
    }
}

fn rules(refusal: &GiftCardRefusal) -> Problem {
    match refusal {
        GiftCardRefusal::NotOffered => GIFT_CARDS_OFF.of(refusal),
        GiftCardRefusal::LoadTooSmall { least } => LOAD_OUT_OF_RANGE.because(format!(
            "На карту вносится не меньше {0}. / A card is loaded with at least {0}.",
            points(*least)
        )),
        GiftCardRefusal::LoadTooLarge { room } => LOAD_OUT_OF_RANGE.because(format!(
            "На карту можно внести ещё не больше {0}. / At most {0} more may be put on the card.",
            points(*room)
        )),
        GiftCardRefusal::RefundTooLarge { left } => REFUND_TOO_LARGE.because(format!(
            "Можно вернуть не больше {0}. / At most {0} may be given back.",
            points(*left)
        )),
        GiftCardRefusal::Amount(_) => AMOUNT_OUT_OF_RANGE.of(refusal),
    }
}

fn ladder(refused: &Refused) -> Problem {
    let (code, detail) = match refused {
        Refused::Balance(most) => (
            "gift_card_balance_short",
            format!("На карте {0}. / There is {0} on the card.", points(*most)),
        ),
        Refused::HeldElsewhere(most) => (
            "gift_card_held_elsewhere",
            format!(
                "Сейчас можно списать {0}, остальное закреплено за другими магазинами. / \
                 {0} can be taken now; other stores hold the rest.",
                points(*most)
            ),
        ),
        Refused::Offline(most) => (
            "gift_card_offline_limit",
            format!(
                "Нет связи с центром: здесь можно списать {0}. / \
                 The hub is out of reach: {0} can be taken here.",
                points(*most)
            ),
        ),
        Refused::Amount(_) => return AMOUNT_OUT_OF_RANGE.of(refused),
    };
    Problem::conflict(
        code,
        detail,
        "Примите другую оплату или спишите меньше. / Take another tender, or less from the card.",
    )
}
