//! What the hub signs for anyone to carry: block orders and publications of the rules.

use ed25519_dalek::SigningKey;
use kopilka_crdt::identifier::IdentifierHash;
use kopilka_crdt::ids::ProgrammeId;
use kopilka_crdt::rulebook::Publication;
use serde::{Deserialize, Serialize};

use crate::key::{Domain, PublicKey, SignatureBytes, SignatureError, sign};

/// A numbered command about one card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockOrder {
    /// The programme.
    pub programme: ProgrammeId,
    /// 1, 2, 3 … within the programme; of two orders about a card the larger number decides.
    pub number: u64,
    /// The card.
    pub card: IdentifierHash,
    /// Blocked, or released.
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
        hasher.update(&self.card.0);
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
