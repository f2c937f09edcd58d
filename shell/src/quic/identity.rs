//! A peer's ed25519 key, and the DER shapes that TLS wants it in.

use std::fmt;
use std::sync::Arc;

use ed25519_dalek::{SigningKey, VerifyingKey};
use rustls::crypto::ring::sign::any_eddsa_type;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

use super::QuicError;
use crate::hex;

/// Everything in an ed25519 SubjectPublicKeyInfo before the 32 bytes of the key (RFC 8410, section 4).
const SPKI_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
/// Everything in an ed25519 PKCS #8 version 1 document before the 32 bytes of the seed (RFC 8410, section 7).
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// An ed25519 public key: what a peer is known by. Displayed as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerKey(pub [u8; 32]);

/// What the dialer knows about the key of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedKey {
    /// The key itself.
    Exact(PeerKey),
    /// [`PeerKey::fingerprint`] of the key, as an enrolment code carries it.
    Fingerprint([u8; 16]),
}

/// The key that the peer of an established connection has proved.
pub fn peer_key(connection: &quinn::Connection) -> Result<PeerKey, QuicError> {
    connection
        .peer_identity()
        .and_then(|identity| identity.downcast::<Vec<CertificateDer<'static>>>().ok())
        .and_then(|chain| PeerKey::from_spki(chain.first()?))
        .ok_or(QuicError::NoPeerKey)
}

impl PeerKey {
    /// The first 16 bytes of the BLAKE3 hash of the key.
    pub fn fingerprint(&self) -> [u8; 16] {
        let hash = blake3::hash(&self.0);
        *hash
            .as_bytes()
            .first_chunk()
            .expect("a BLAKE3 hash has 32 bytes")
    }

    /// `None` unless it is exactly the 44 bytes of an ed25519 SubjectPublicKeyInfo whose key is a point that only the
    /// holder of one secret can sign for (a point of small order lets anyone).
    pub(super) fn from_spki(der: &[u8]) -> Option<Self> {
        let bytes: [u8; 32] = der.strip_prefix(&SPKI_PREFIX)?.try_into().ok()?;
        let point = VerifyingKey::from_bytes(&bytes).ok()?;
        (!point.is_weak()).then_some(Self(bytes))
    }

    fn to_spki(self) -> Vec<u8> {
        [SPKI_PREFIX.as_slice(), &self.0].concat()
    }
}

impl From<&SigningKey> for PeerKey {
    fn from(key: &SigningKey) -> Self {
        Self(key.verifying_key().to_bytes())
    }
}

impl From<[u8; 32]> for PeerKey {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for PeerKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for PeerKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PeerKey({self})")
    }
}

impl ExpectedKey {
    pub(super) fn admits(&self, key: PeerKey) -> bool {
        match self {
            Self::Exact(expected) => *expected == key,
            Self::Fingerprint(expected) => *expected == key.fingerprint(),
        }
    }
}

/// The raw public key that this process presents, with what signs for it.
pub(super) fn certified_key(key: &SigningKey) -> Arc<CertifiedKey> {
    let pkcs8 = [PKCS8_PREFIX.as_slice(), key.as_bytes()].concat();
    let signer = any_eddsa_type(&PrivatePkcs8KeyDer::from(pkcs8))
        .expect("the PKCS #8 prefix and a 32-byte seed make an ed25519 key");
    let spki = CertificateDer::from(PeerKey::from(key).to_spki());
    Arc::new(CertifiedKey::new(vec![spki], signer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> PeerKey {
        PeerKey::from(&SigningKey::from_bytes(&[7; 32]))
    }

    #[test]
    fn a_key_survives_its_der_form() {
        let spki = sample().to_spki();
        assert_eq!(spki.len(), 44);
        assert_eq!(PeerKey::from_spki(&spki), Some(sample()));
    }

    #[test]
    fn anything_else_is_no_key() {
        let spki = sample().to_spki();
        let with = |position: usize, byte: u8| {
            let mut bytes = spki.clone();
            bytes[position] = byte;
            bytes
        };
        let weak = PeerKey([0; 32]).to_spki();
        let cases = [
            ("empty", Vec::new()),
            ("short", spki[..43].to_vec()),
            ("long", [spki.as_slice(), &[0]].concat()),
            ("x25519, not ed25519", with(8, 0x6e)),
            ("a point of small order", weak),
        ];
        for (what, der) in cases {
            assert_eq!(PeerKey::from_spki(&der), None, "{what}");
        }
    }

    #[test]
    fn the_fingerprint_is_the_start_of_the_hash() {
        let hash = blake3::hash(&sample().0);
        assert_eq!(sample().fingerprint(), hash.as_bytes()[..16]);
    }
}
