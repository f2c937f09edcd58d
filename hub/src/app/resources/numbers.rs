//! Numbers of bearers' cards: a prefix, digits that nobody can guess, and a check digit.

use std::str::FromStr;

use kopilka_crdt::card::CardNumber;
use kopilka_shell::clock;

/// Digits of a number, the check digit included.
const NUMBER_DIGITS: usize = 16;
/// Longest prefix: nine digits and more are left to chance.
pub const PREFIX_DIGITS_MAX: usize = 6;

/// What all numbers of an issue begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(String);

/// A text that is not a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a prefix has at most {PREFIX_DIGITS_MAX} digits")]
pub struct PrefixError;

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        if digits && text.len() <= PREFIX_DIGITS_MAX {
            Ok(Self(text.to_owned()))
        } else {
            Err(PrefixError)
        }
    }
}

impl Prefix {
    /// Of gift cards. ISO/IEC 7812-1 leaves numbers that begin with 9 to national use, so none is a bank card's.
    pub fn gift_cards() -> Self {
        Self("91".to_owned())
    }

    /// Of coupons.
    pub fn coupons() -> Self {
        Self("92".to_owned())
    }

    /// A number drawn from the kernel's entropy.
    pub fn draw(&self) -> CardNumber {
        let width = NUMBER_DIGITS - 1 - self.0.len();
        let choices = (0..width).fold(1_u128, |choices, _| choices * 10);
        let drawn = u128::from_le_bytes(clock::random_bytes()) % choices;
        let body = format!("{}{drawn:0width$}", self.0);
        CardNumber::from_body(&body).expect("fifteen digits and a check digit are a card number")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn numbers_begin_as_asked_and_differ() {
        for text in ["", "91", "964301"] {
            let prefix: Prefix = text.parse().unwrap();
            let drawn: BTreeSet<_> = (0..100).map(|_| prefix.draw()).collect();
            assert_eq!(drawn.len(), 100, "{text}");
            for number in &drawn {
                let digits = number.digits();
                assert!(digits.len() == 16 && digits.starts_with(text), "{digits}");
                assert!(CardNumber::parse(digits).is_ok(), "{digits}");
            }
        }
        for text in ["9643012", "9a", "-1"] {
            assert_eq!(text.parse::<Prefix>(), Err(PrefixError), "{text}");
        }
    }
}
