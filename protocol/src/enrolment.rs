//! Enrolment codes: where the hub is, the fingerprint of its key, and a secret that works once.
//!
//! Written as `KOPILKA1-<hub address>-<base32>`; the base32 part holds 16 bytes of fingerprint, 16 of secret and
//! 2 of check sum, in Crockford's alphabet, so that a code can be read over the phone.

use std::fmt;
use std::str::FromStr;

/// A text that is not an enrolment code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// Not of the form at all.
    #[error("an enrolment code looks like KOPILKA1-hub.example:7400-XXXXXXXX…")]
    Shape,
    /// A letter was misread or is missing.
    #[error("the enrolment code's check sum is wrong: a letter was misread")]
    CheckSum,
}

/// A one-time code for a new node.
#[derive(Clone, PartialEq, Eq)]
pub struct EnrolmentCode {
    /// `host:port` of the hub's QUIC listener.
    pub hub_address: String,
    /// Fingerprint of the hub's key.
    pub fingerprint: [u8; 16],
    /// Works once.
    pub secret: [u8; 16],
}

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const PREFIX: &str = "KOPILKA1-";
const PAYLOAD_BYTES: usize = 34;

impl EnrolmentCode {
    fn check_sum(&self) -> [u8; 2] {
        let mut hasher = blake3::Hasher::new_derive_key("kopilka 2026 enrolment code");
        hasher.update(&self.fingerprint);
        hasher.update(&self.secret);
        hasher.update(self.hub_address.as_bytes());
        let hash = hasher.finalize();
        [hash.as_bytes()[0], hash.as_bytes()[1]]
    }
}

impl fmt::Display for EnrolmentCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let payload: Vec<u8> = [
            &self.fingerprint[..],
            &self.secret[..],
            &self.check_sum()[..],
        ]
        .concat();
        write!(
            f,
            "{PREFIX}{}-{}",
            self.hub_address,
            encode_base32(&payload)
        )
    }
}

impl fmt::Debug for EnrolmentCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EnrolmentCode({})", self.hub_address)
    }
}

impl FromStr for EnrolmentCode {
    type Err = CodeError;

    fn from_str(text: &str) -> Result<Self, CodeError> {
        let rest = text.trim().strip_prefix(PREFIX).ok_or(CodeError::Shape)?;
        let (hub_address, letters) = rest.rsplit_once('-').ok_or(CodeError::Shape)?;
        let payload = decode_base32(letters).ok_or(CodeError::Shape)?;
        if payload.len() != PAYLOAD_BYTES || !hub_address.contains(':') {
            return Err(CodeError::Shape);
        }
        let mut code = Self {
            hub_address: hub_address.to_owned(),
            fingerprint: [0; 16],
            secret: [0; 16],
        };
        code.fingerprint.copy_from_slice(&payload[..16]);
        code.secret.copy_from_slice(&payload[16..32]);
        if payload[32..] == code.check_sum() {
            Ok(code)
        } else {
            Err(CodeError::CheckSum)
        }
    }
}

fn encode_base32(bytes: &[u8]) -> String {
    let mut text = String::new();
    let (mut buffer, mut bits) = (0_u32, 0);
    for byte in bytes {
        buffer = (buffer << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(letter((buffer >> bits) & 31));
        }
        buffer &= (1 << bits) - 1;
    }
    if bits > 0 {
        text.push(letter((buffer << (5 - bits)) & 31));
    }
    text
}

fn letter(five_bits: u32) -> char {
    let index = usize::try_from(five_bits).expect("five bits fit usize");
    char::from(ALPHABET[index])
}

fn decode_base32(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut buffer, mut bits) = (0_u32, 0);
    for byte in text.bytes() {
        let normal = match byte.to_ascii_uppercase() {
            b'O' => b'0',
            b'I' | b'L' => b'1',
            other => other,
        };
        let value = ALPHABET.iter().position(|&letter| letter == normal)?;
        buffer = (buffer << 5) | u32::try_from(value).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((buffer >> bits) & 255).ok()?);
        }
        buffer &= (1 << bits) - 1;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn codes_survive_reading_aloud(fingerprint: [u8; 16], secret: [u8; 16]) {
            let code = EnrolmentCode { hub_address: "hub.example:7400".to_owned(), fingerprint, secret };
            let text = code.to_string();
            prop_assert_eq!(text.parse::<EnrolmentCode>(), Ok(code.clone()));
            let (head, letters) = text.rsplit_once('-').unwrap();
            let aloud = format!("{head}-{}", letters.to_lowercase().replace('0', "o").replace('1', "l"));
            prop_assert_eq!(aloud.parse::<EnrolmentCode>(), Ok(code));
        }
    }

    #[test]
    fn misread_codes_are_refused() {
        let code = EnrolmentCode {
            hub_address: "127.0.0.1:7400".to_owned(),
            fingerprint: [1; 16],
            secret: [2; 16],
        };
        let text = code.to_string();
        let other_address = text.replace("7400", "7401");
        assert_eq!(
            other_address.parse::<EnrolmentCode>(),
            Err(CodeError::CheckSum)
        );
        assert_eq!(text[..40].parse::<EnrolmentCode>(), Err(CodeError::Shape));
        assert_eq!("hello".parse::<EnrolmentCode>(), Err(CodeError::Shape));
    }
}
