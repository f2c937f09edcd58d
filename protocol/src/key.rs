//! Keys and signatures: ed25519, strict verification, one domain separator for each kind of signed thing.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

/// A signature that does not verify, or a key that is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct SignatureError;

/// A node's or the hub's public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PublicKey(pub [u8; 32]);

/// 64 bytes of ed25519.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignatureBytes(pub [u8; 64]);

/// What a signature is about; a signature of one kind never passes for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// The head of a node's log.
    Log,
    /// A publication of the rules.
    Publication,
    /// A block order.
    Block,
    /// A page of a snapshot.
    Snapshot,
}

impl Domain {
    fn message(self, hash: &[u8; 32]) -> [u8; 56] {
        let context: &[u8; 24] = match self {
            Self::Log => b"kopilka 1 log head      ",
            Self::Publication => b"kopilka 1 publication   ",
            Self::Block => b"kopilka 1 block order   ",
            Self::Snapshot => b"kopilka 1 snapshot page ",
        };
        let mut message = [0; 56];
        message[..24].copy_from_slice(context);
        message[24..].copy_from_slice(hash);
        message
    }
}

/// Signs a 32-byte hash.
pub fn sign(key: &SigningKey, domain: Domain, hash: &[u8; 32]) -> SignatureBytes {
    SignatureBytes(key.sign(&domain.message(hash)).to_bytes())
}

impl PublicKey {
    /// The public half of a signing key.
    pub fn of(key: &SigningKey) -> Self {
        Self(key.verifying_key().to_bytes())
    }

    /// Checks a signature strictly: small-order keys and non-canonical encodings are refused.
    pub fn verify(
        &self,
        domain: Domain,
        hash: &[u8; 32],
        signature: &SignatureBytes,
    ) -> Result<(), SignatureError> {
        VerifyingKey::from_bytes(&self.0)
            .and_then(|key| {
                key.verify_strict(&domain.message(hash), &Signature::from_bytes(&signature.0))
            })
            .map_err(|_| SignatureError)
    }

    /// The first 16 bytes of its BLAKE3, as enrolment codes carry it.
    pub fn fingerprint(&self) -> [u8; 16] {
        let mut short = [0; 16];
        short.copy_from_slice(&blake3::hash(&self.0).as_bytes()[..16]);
        short
    }
}

impl Serialize for SignatureBytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (mut left, mut right) = ([0; 32], [0; 32]);
        left.copy_from_slice(&self.0[..32]);
        right.copy_from_slice(&self.0[32..]);
        (left, right).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SignatureBytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (left, right) = <([u8; 32], [u8; 32])>::deserialize(deserializer)?;
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&left);
        bytes[32..].copy_from_slice(&right);
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_hold_for_one_domain_and_key() {
        let key = SigningKey::from_bytes(&[3; 32]);
        let public = PublicKey::of(&key);
        let signature = sign(&key, Domain::Log, &[1; 32]);
        assert_eq!(public.verify(Domain::Log, &[1; 32], &signature), Ok(()));
        assert_eq!(
            public.verify(Domain::Block, &[1; 32], &signature),
            Err(SignatureError)
        );
        assert_eq!(
            public.verify(Domain::Log, &[2; 32], &signature),
            Err(SignatureError)
        );
        let other = PublicKey::of(&SigningKey::from_bytes(&[4; 32]));
        assert_eq!(
            other.verify(Domain::Log, &[1; 32], &signature),
            Err(SignatureError)
        );
        let bytes = postcard::to_stdvec(&signature).unwrap();
        assert_eq!(bytes.len(), 64);
        assert_eq!(
            postcard::from_bytes::<SignatureBytes>(&bytes),
            Ok(signature)
        );
    }
}
