//! What the hub signs for anyone to carry: block orders and publications of the rules.

use ed25519_dalek::SigningKey;
use kopilka_crdt::identifier::IdentifierHash;
use kopilka_crdt::ids::{ProgrammeId, PromotionId};
use kopilka_crdt::rulebook::Publication;
use serde::{Deserialize, Serialize};

use crate::key::{Domain, PublicKey, SignatureBytes, SignatureError, sign};

/// What an order is about.
///
/// Either kind takes the 16 bytes of a card's hash, on the wire and in stores: a node of version 1 keeps an order about a
/// promotion as one about a card that nobody has, and obeys it once its program knows better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "IdentifierHash", into = "IdentifierHash")]
pub enum Subject {
    /// A card, by the keyed hash of its number.
    Card(IdentifierHash),
    /// A promotion.
    Promotion(PromotionId),
}

/// What the 16 bytes of a promotion begin with; a card's keyed hash does with probability 2⁻⁹⁶.
const PROMOTION_PREFIX: [u8; 12] = *b"a promotion ";

impl From<IdentifierHash> for Subject {
    fn from(bytes: IdentifierHash) -> Self {
        match bytes.0.split_first_chunk() {
            Some((prefix, &[a, b, c, d])) if *prefix == PROMOTION_PREFIX => {
                Self::Promotion(PromotionId(u32::from_be_bytes([a, b, c, d])))
            }
            Some(_) | None => Self::Card(bytes),
        }
    }
}

impl From<Subject> for IdentifierHash {
    fn from(subject: Subject) -> Self {
        match subject {
            Subject::Card(hash) => hash,
            Subject::Promotion(PromotionId(number)) => {
                let mut bytes = [0; 16];
                let (prefix, rest) = bytes.split_at_mut(PROMOTION_PREFIX.len());
                prefix.copy_from_slice(&PROMOTION_PREFIX);
                rest.copy_from_slice(&number.to_be_bytes());
                Self(bytes)
            }
        }
    }
}

/// A numbered command about one card or one promotion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockOrder {
    /// The programme.
    pub programme: ProgrammeId,
    /// 1, 2, 3 … within the programme; of two orders about the same thing the larger number decides.
    pub number: u64,
    /// The card or promotion.
    pub subject: Subject,
    /// Blocked or stopped; or released.
    pub blocked: bool,
    /// When it was ordered, milliseconds since 1970.
    pub at_ms: u64,
    /// For the cashier, such as "lost".
    pub reason: String,
}

/// Longest reason, in bytes.
pub const REASON_BYTES_MAX: usize = 200;

impl BlockOrder {
    fn hash(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key("kopilka 2026 block order");
        hasher.update(&self.programme.0.to_le_bytes());
        hasher.update(&self.number.to_le_bytes());
        hasher.update(&IdentifierHash::from(self.subject).0);
        hasher.update(&[u8::from(self.blocked)]);
        hasher.update(&self.at_ms.to_le_bytes());
        hasher.update(self.reason.as_bytes());
        *hasher.finalize().as_bytes()
    }
}

/// A block order with the hub's signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedBlockOrder {
    /// The order.
    pub order: BlockOrder,
    /// The hub's.
    pub signature: SignatureBytes,
}

impl SignedBlockOrder {
    /// Signs an order.
    pub fn sign(key: &SigningKey, order: BlockOrder) -> Self {
        let signature = sign(key, Domain::Block, &order.hash());
        Self { order, signature }
    }

    /// Checks that the hub signed it.
    pub fn verify(&self, hub: &PublicKey) -> Result<(), SignatureError> {
        hub.verify(Domain::Block, &self.order.hash(), &self.signature)
    }
}

/// A publication with the hub's signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedPublication {
    /// The publication.
    pub publication: Publication,
    /// The hub's.
    pub signature: SignatureBytes,
}

impl SignedPublication {
    /// Signs a publication.
    pub fn sign(key: &SigningKey, publication: Publication) -> Self {
        let signature = sign(key, Domain::Publication, &publication.hash());
        Self {
            publication,
            signature,
        }
    }

    /// Checks that the hub signed it.
    pub fn verify(&self, hub: &PublicKey) -> Result<(), SignatureError> {
        hub.verify(
            Domain::Publication,
            &self.publication.hash(),
            &self.signature,
        )
    }
}
