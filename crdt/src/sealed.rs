//! Personal data under a key per member: destroying the key erases it everywhere, while every hash chain still verifies.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};

use crate::ids::MemberId;

/// Longest plain text that may be sealed, in bytes.
pub const PLAIN_BYTES_MAX: usize = 4_096;

/// Why sealing or opening failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// More than [`PLAIN_BYTES_MAX`].
    #[error("personal data of one entry may take 4096 bytes at most")]
    TooLong,
    /// Wrong key, wrong member, or altered bytes.
    #[error("the sealed data does not open with this member's key")]
    Forged,
}

/// A member's key. It never enters a log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberKey(pub [u8; 32]);

impl std::fmt::Debug for MemberKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MemberKey(…)")
    }
}

/// XChaCha20-Poly1305 box: 24 bytes of nonce, then cipher text and tag; the member is authenticated with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed(pub Vec<u8>);

const NONCE_BYTES: usize = 24;

impl Sealed {
    /// Seals `plain` for `member`; `nonce` is fresh entropy from the caller.
    pub fn seal(
        key: &MemberKey,
        member: MemberId,
        nonce: [u8; NONCE_BYTES],
        plain: &[u8],
    ) -> Result<Self, SealError> {
        if plain.len() > PLAIN_BYTES_MAX {
            return Err(SealError::TooLong);
        }
        let aad = member.0.to_be_bytes();
        let cipher = XChaCha20Poly1305::new(&Key::from(key.0));
        let text = cipher
            .encrypt(
                &XNonce::from(nonce),
                Payload {
                    msg: plain,
                    aad: &aad,
                },
            )
            .map_err(|_| SealError::TooLong)?;
        let mut bytes = nonce.to_vec();
        bytes.extend_from_slice(&text);
        Ok(Self(bytes))
    }

    /// Opens what [`Self::seal`] made for the same member and key.
    pub fn open(&self, key: &MemberKey, member: MemberId) -> Result<Vec<u8>, SealError> {
        let (nonce, text) = self
            .0
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or(SealError::Forged)?;
        let aad = member.0.to_be_bytes();
        XChaCha20Poly1305::new(&Key::from(key.0))
            .decrypt(
                &XNonce::from(*nonce),
                Payload {
                    msg: text,
                    aad: &aad,
                },
            )
            .map_err(|_| SealError::Forged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_with_the_same_key_and_member() {
        let key = MemberKey([7; 32]);
        let sealed = Sealed::seal(&key, MemberId(5), [9; 24], b"Anna").unwrap();
        assert_eq!(sealed.open(&key, MemberId(5)).unwrap(), b"Anna");
        assert_eq!(sealed.open(&key, MemberId(6)), Err(SealError::Forged));
        assert_eq!(
            sealed.open(&MemberKey([8; 32]), MemberId(5)),
            Err(SealError::Forged)
        );
        let mut altered = sealed;
        altered.0[30] ^= 1;
        assert_eq!(altered.open(&key, MemberId(5)), Err(SealError::Forged));
        assert_eq!(
            Sealed(vec![0; 10]).open(&key, MemberId(5)),
            Err(SealError::Forged)
        );
        let long = vec![0; PLAIN_BYTES_MAX + 1];
        assert_eq!(
            Sealed::seal(&key, MemberId(5), [9; 24], &long),
            Err(SealError::TooLong)
        );
    }
}
