//! Why a coupon is not taken, as a problem document.

use axum::http::StatusCode;
use kopilka_rules::redemption::Refused;
use kopilka_shell::problem::Problem;

use crate::app::CouponError;

use super::{AMOUNT_OUT_OF_RANGE, Kind};

const COUPON_UNKNOWN: Kind = Kind::new(
    StatusCode::NOT_FOUND,
    "coupon_unknown",
    "Проверьте купон или продайте без него. / Check the coupon, or sell without it.",
);
const COUPON_SPENT: Kind = Kind::new(
    StatusCode::CONFLICT,
    "coupon_spent",
    "Продайте без этого купона. / Sell without this coupon.",
);
const COUPON_OUT_OF_REACH: Kind = Kind::new(
    StatusCode::CONFLICT,
    "coupon_out_of_reach",
    "Продайте без этого купона: он останется у покупателя. / Sell without this coupon: the customer keeps it.",
);

pub(super) fn problem(error: &CouponError) -> Problem {
    match error {
        CouponError::Unknown { connected: true } => {
            COUPON_UNKNOWN.because("Такого купона нет. / There is no such coupon.")
        }
        CouponError::Unknown { connected: false } => COUPON_UNKNOWN.because(
            "Купон здесь неизвестен, и нет связи с центром. / \
             The coupon is not known here, and the hub is out of reach.",
        ),
        CouponError::Spent { series } => COUPON_SPENT.because(format!(
            "Купон «{series}» сегодня не действует или уже использован. / \
             The coupon {series} is used up, or is not valid today."
        )),
        CouponError::Ladder(Refused::Balance(_)) => {
            COUPON_SPENT.because("Купон уже использован. / The coupon is used up.")
        }
        CouponError::Ladder(Refused::HeldElsewhere(_)) => COUPON_OUT_OF_REACH
            .because("Купон закреплён за другим магазином. / Another store holds the coupon."),
        CouponError::Ladder(Refused::Offline(_)) => COUPON_OUT_OF_REACH.because(
            "Нет связи с центром, и этот магазин не может погасить купон. / \
             The hub is out of reach, and this store may not take the coupon.",
        ),
        CouponError::Ladder(refused @ Refused::Amount(_)) => AMOUNT_OUT_OF_RANGE.of(refused),
    }
}
