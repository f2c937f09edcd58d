//! What a member can be found by, and the keyed hash under which replicas keep it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::card::{CardNumber, CardNumberError};

/// Longest QR token or magnetic track, in bytes.
pub const TOKEN_BYTES_MAX: usize = 128;

/// The way a member shows who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentifierKind {
    /// A card number, typed or from a barcode.
    Card,
    /// A phone number in E.164.
    Phone,
    /// A token from a QR code.
    Qr,
    /// The UID of an NFC or RFID chip, in hexadecimal.
    Nfc,
    /// Track 2 of a magnetic stripe.
    Track,
}

/// Why a text cannot be an identifier of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentifierError {
    /// The card number is wrong.
    #[error(transparent)]
    Card(#[from] CardNumberError),
    /// Not `+` and 8 to 15 digits.
    #[error("a phone number is written as + and 8 to 15 digits")]
    Phone,
    /// Empty, too long, or not printable ASCII.
    #[error("a token has 8 to 128 printable characters")]
    Token,
    /// Not 4 to 10 bytes of hexadecimal.
    #[error("a chip's UID is 8 to 20 hexadecimal digits")]
    Nfc,
}

/// A checked, normalised identifier in clear. Its `Debug` shows the kind only, so that it cannot leak into logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Identifier {
    kind: IdentifierKind,
    normal: String,
}

impl Identifier {
    /// Checks and normalises: spaces, hyphens and brackets go; a phone of 11 digits that starts with 8 is Russian.
    pub fn parse(kind: IdentifierKind, text: &str) -> Result<Self, IdentifierError> {
        let normal = match kind {
            IdentifierKind::Card => CardNumber::parse(text)?.digits().to_owned(),
            IdentifierKind::Phone => normal_phone(text).ok_or(IdentifierError::Phone)?,
            IdentifierKind::Nfc => normal_nfc(text).ok_or(IdentifierError::Nfc)?,
            IdentifierKind::Qr | IdentifierKind::Track => {
                let trimmed = text.trim();
                let printable = trimmed.bytes().all(|byte| byte.is_ascii_graphic());
                if !(8..=TOKEN_BYTES_MAX).contains(&trimmed.len()) || !printable {
                    return Err(IdentifierError::Token);
                }
                trimmed.to_owned()
            }
        };
        Ok(Self { kind, normal })
    }

    /// The identifier of a card.
    pub fn card(number: &CardNumber) -> Self {
        Self {
            kind: IdentifierKind::Card,
            normal: number.digits().to_owned(),
        }
    }

    /// Its kind.
    pub fn kind(&self) -> IdentifierKind {
        self.kind
    }

    /// The normalised text in clear.
    pub fn reveal(&self) -> &str {
        &self.normal
    }

    /// The hash that replicas and logs hold in its place.
    pub fn hash(&self, key: &LookupKey) -> IdentifierHash {
        let mut hasher = blake3::Hasher::new_keyed(&key.0);
        hasher.update(&[match self.kind {
            IdentifierKind::Card => 1,
            IdentifierKind::Phone => 2,
            IdentifierKind::Qr => 3,
            IdentifierKind::Nfc => 4,
            IdentifierKind::Track => 5,
        }]);
        hasher.update(self.normal.as_bytes());
        let mut short = [0; 16];
        short.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        IdentifierHash(short)
    }
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identifier({:?})", self.kind)
    }
}

fn normal_phone(text: &str) -> Option<String> {
    let bare: String = text
        .chars()
        .filter(|letter| !matches!(letter, ' ' | '-' | '(' | ')'))
        .collect();
    let digits = match bare.strip_prefix('+') {
        Some(digits) => digits.to_owned(),
        None if bare.len() == 11 && bare.starts_with('8') => format!("7{}", &bare[1..]),
        None => return None,
    };
    let shaped = (8..=15).contains(&digits.len())
        && !digits.starts_with('0')
        && digits.bytes().all(|byte| byte.is_ascii_digit());
    shaped.then(|| format!("+{digits}"))
}

fn normal_nfc(text: &str) -> Option<String> {
    let bare: String = text
        .chars()
        .filter(|letter| !matches!(letter, ' ' | ':' | '-'))
        .collect::<String>()
        .to_ascii_lowercase();
    let shaped = (8..=20).contains(&bare.len())
        && bare.len().is_multiple_of(2)
        && bare.bytes().all(|byte| byte.is_ascii_hexdigit());
    shaped.then_some(bare)
}

/// The programme's secret for look-ups. Without it hashes cannot be tried against lists of phone numbers.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookupKey(pub [u8; 32]);

impl fmt::Debug for LookupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LookupKey(…)")
    }
}

/// 128 bits of the keyed BLAKE3 of an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IdentifierHash(pub [u8; 16]);

impl IdentifierHash {
    /// 32 bits of it: enough to tell a member's own cards apart inside an operation.
    pub fn tag(&self) -> CardTag {
        CardTag(u32::from_be_bytes([
            self.0[0], self.0[1], self.0[2], self.0[3],
        ]))
    }
}

/// Tells which of a member's cards was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CardTag(pub u32);

/// `+79161234567` as `+7 *** ***-45-67`: what a till may show.
pub fn masked_phone(phone: &str) -> String {
    let digits: Vec<char> = phone.chars().filter(char::is_ascii_digit).collect();
    match digits.as_slice() {
        [first, .., a, b, c, d] if digits.len() >= 8 => format!("+{first} *** ***-{a}{b}-{c}{d}"),
        _ => "***".to_owned(),
    }
}

/// Given name in full, family name as an initial: what a till may show.
pub fn masked_name(given: &str, family: &str) -> String {
    match family.trim().chars().next() {
        Some(initial) => format!("{} {initial}.", given.trim()),
        None => given.trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: IdentifierKind, text: &str, expected: Result<&str, IdentifierError>) {
        let read = Identifier::parse(kind, text);
        assert_eq!(
            read.as_ref()
                .map(Identifier::reveal)
                .map_err(|error| *error),
            expected,
            "{text}"
        );
    }

    #[test]
    fn identifiers_are_normalised_or_refused() {
        check(
            IdentifierKind::Phone,
            "+7 (916) 123-45-67",
            Ok("+79161234567"),
        );
        check(IdentifierKind::Phone, "8 916 123-45-67", Ok("+79161234567"));
        check(
            IdentifierKind::Phone,
            "9161234567",
            Err(IdentifierError::Phone),
        );
        check(
            IdentifierKind::Phone,
            "+0123456789",
            Err(IdentifierError::Phone),
        );
        check(IdentifierKind::Nfc, "04:A2:2B:91", Ok("04a22b91"));
        check(IdentifierKind::Nfc, "04A", Err(IdentifierError::Nfc));
        check(IdentifierKind::Qr, "short", Err(IdentifierError::Token));
        check(IdentifierKind::Card, "79927398713", Ok("79927398713"));
    }

    #[test]
    fn hashes_differ_by_key_and_kind() {
        let qr = Identifier::parse(IdentifierKind::Qr, "79927398713").unwrap();
        let card = Identifier::parse(IdentifierKind::Card, "79927398713").unwrap();
        let (one, two) = (LookupKey([1; 32]), LookupKey([2; 32]));
        assert_ne!(qr.hash(&one), card.hash(&one));
        assert_ne!(card.hash(&one), card.hash(&two));
        assert_eq!(format!("{card:?} {one:?}"), "Identifier(Card) LookupKey(…)");
    }

    #[test]
    fn masks_hide_the_middle() {
        assert_eq!(masked_phone("+79161234567"), "+7 *** ***-45-67");
        assert_eq!(masked_phone("12"), "***");
        assert_eq!(masked_name("Анна", "Кузнецова"), "Анна К.");
    }
}
