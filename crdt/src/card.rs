//! Cards: numbers with a Luhn digit, kinds, and a state that only moves forward.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Shortest and longest card number, in digits.
pub const CARD_DIGITS: std::ops::RangeInclusive<usize> = 8..=19;

/// Why a text is not a card number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CardNumberError {
    /// Something else than digits, or too few or too many of them.
    #[error("a card number has 8 to 19 digits")]
    Shape,
    /// The last digit does not fit the others: a typing or reading error.
    #[error("the card number's check digit is wrong")]
    CheckDigit,
}

/// A card number whose last digit is a Luhn check digit (ISO/IEC 7812-1).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CardNumber(String);

impl CardNumber {
    /// Reads a number; spaces and hyphens are passed over.
    pub fn parse(text: &str) -> Result<Self, CardNumberError> {
        let digits: String = text
            .chars()
            .filter(|letter| !matches!(letter, ' ' | '-'))
            .collect();
        if !CARD_DIGITS.contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit())
        {
            return Err(CardNumberError::Shape);
        }
        if !luhn_sum(digits.bytes().rev(), false).is_multiple_of(10) {
            return Err(CardNumberError::CheckDigit);
        }
        Ok(Self(digits))
    }

    /// Appends the check digit to a body of digits.
    pub fn from_body(body: &str) -> Result<Self, CardNumberError> {
        if !body.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(CardNumberError::Shape);
        }
        let check = (10 - luhn_sum(body.bytes().rev(), true) % 10) % 10;
        Self::parse(&format!("{body}{check}"))
    }

    /// All digits.
    pub fn digits(&self) -> &str {
        &self.0
    }

    /// The last four digits, as shown on receipts.
    pub fn tail(&self) -> u16 {
        self.0[self.0.len() - 4..]
            .parse()
            .expect("four digits are a number")
    }
}

impl fmt::Debug for CardNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CardNumber(…{:04})", self.tail())
    }
}

fn luhn_sum(digits_from_right: impl Iterator<Item = u8>, first_doubled: bool) -> u32 {
    let mut doubled = first_doubled;
    let mut sum = 0;
    for byte in digits_from_right {
        let digit = u32::from(byte - b'0');
        sum += match (doubled, digit) {
            (false, _) => digit,
            (true, 0..=4) => digit * 2,
            (true, _) => digit * 2 - 9,
        };
        doubled = !doubled;
    }
    sum
}

/// What a card is for; rules may treat kinds differently.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum CardKind {
    /// Any customer's card.
    #[default]
    Standard,
    /// A member of staff.
    Employee,
    /// A pensioner's card.
    Pensioner,
    /// A card that lives in a phone.
    Virtual,
    /// A gift card: whoever holds it pays with what is on it.
    Gift,
    /// A coupon: whoever holds it may use it.
    Coupon,
}

impl CardKind {
    /// Whether it is its bearer's, and no member's.
    pub fn is_bearers(self) -> bool {
        match self {
            Self::Gift | Self::Coupon => true,
            Self::Standard | Self::Employee | Self::Pensioner | Self::Virtual => false,
        }
    }
}

/// A card's state. The order is that of its life: a merge keeps the later one.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum CardState {
    /// Handed out, not yet usable.
    #[default]
    Issued,
    /// Usable.
    Active,
    /// Another card took its place.
    Replaced,
    /// Closed for good.
    Closed,
}

/// A member's card as every replica knows it. Blocks are kept apart: only the hub's block orders set them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Card {
    /// What it is for.
    pub kind: CardKind,
    /// Last four digits, to show.
    pub tail: u16,
    /// How far its life has gone.
    pub state: CardState,
}

impl Card {
    /// Merges what another operation says of the same card: kind and tail of the larger pair, the later state.
    pub fn merge(&mut self, other: &Self) {
        (self.kind, self.tail) = (self.kind, self.tail).max((other.kind, other.tail));
        self.state = self.state.max(other.state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn one_wrong_digit_is_always_seen(body in "[0-9]{7,18}", place: prop::sample::Index, shift in 1..10_u8) {
            let number = CardNumber::from_body(&body).unwrap();
            let mut digits = number.digits().as_bytes().to_vec();
            let place = place.index(digits.len());
            digits[place] = b'0' + (digits[place] - b'0' + shift) % 10;
            let wrong = String::from_utf8(digits).unwrap();
            prop_assert_eq!(CardNumber::parse(&wrong), Err(CardNumberError::CheckDigit));
        }
    }

    #[test]
    fn known_numbers() {
        assert_eq!(
            CardNumber::parse("7992 7398-713").unwrap().digits(),
            "79927398713"
        );
        assert_eq!(
            CardNumber::parse("79927398710"),
            Err(CardNumberError::CheckDigit)
        );
        assert_eq!(
            CardNumber::parse("7992739871x"),
            Err(CardNumberError::Shape)
        );
        assert_eq!(
            format!("{:?}", CardNumber::parse("79927398713").unwrap()),
            "CardNumber(…8713)"
        );
    }
}
