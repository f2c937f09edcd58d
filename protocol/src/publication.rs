//! How a publication travels: whole, as a delta from one that the node has, or in pieces.
//!
//! The hub signs what the rules say and not how they travel, so each way ends with the same check.

use kopilka_crdt::ids::ProgrammeId;
use kopilka_crdt::rulebook::publication::PUBLICATION_BYTES_MAX;
use kopilka_crdt::rulebook::{Delta, DeltaError, Publication};
use serde::{Deserialize, Serialize};

use crate::key::{PublicKey, SignatureBytes, SignatureError};
use crate::limits::RULES_PIECE_BYTES_MAX;
use crate::signed::SignedPublication;

/// A signed publication without its rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicationHead {
    /// The programme.
    pub programme: ProgrammeId,
    /// 1, 2, 3 … within the programme.
    pub number: u32,
    /// Wall time in milliseconds from which it counts.
    pub valid_from_ms: u64,
    /// The hub's, over the publication with its rules.
    pub signature: SignatureBytes,
}

/// A publication as what is different from an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicationDelta {
    /// The publication.
    pub head: PublicationHead,
    /// Number of the earlier one.
    pub base: u32,
    /// From the earlier one's rules to these.
    pub rules: Delta,
}

/// What comes before the pieces of a publication's rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicationStart {
    /// The publication.
    pub head: PublicationHead,
    /// Bytes of all pieces together.
    pub rules_bytes: u32,
}

/// Why a publication did not come out of a delta or of pieces. What the node has stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// The delta starts from another publication than the one that is here.
    #[error("the delta starts from another publication")]
    Base,
    /// The delta cannot be applied.
    #[error(transparent)]
    Delta(#[from] DeltaError),
    /// What came out is not what the hub signed.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// More pieces than were announced, or more than a publication may hold.
    #[error("the publication is larger than was announced or than may be")]
    TooLarge,
    /// The pieces make no text.
    #[error("the publication's pieces make no text")]
    Malformed,
}

impl PublicationHead {
    /// What `signed` says beside its rules.
    pub fn of(signed: &SignedPublication) -> Self {
        Self {
            programme: signed.publication.programme,
            number: signed.publication.number,
            valid_from_ms: signed.publication.valid_from_ms,
            signature: signed.signature,
        }
    }

    fn with_rules(
        &self,
        rules: String,
        hub: &PublicKey,
    ) -> Result<SignedPublication, SignatureError> {
        let signed = SignedPublication {
            publication: Publication {
                programme: self.programme,
                number: self.number,
                valid_from_ms: self.valid_from_ms,
                rules,
            },
            signature: self.signature,
        };
        signed.verify(hub)?;
        Ok(signed)
    }
}

impl PublicationDelta {
    /// From `base` to `next`; none when the delta would be too large to be worth it.
    pub fn between(base: &Publication, next: &SignedPublication) -> Option<Self> {
        Some(Self {
            head: PublicationHead::of(next),
            base: base.number,
            rules: Delta::between(&base.rules, &next.publication.rules)?,
        })
    }

    /// The publication that this makes of `base`, as the hub signed it.
    ///
    /// # Errors
    /// When `base` is not the one that it starts from, or the result is not what the hub signed.
    pub fn rebuild(
        &self,
        base: &Publication,
        hub: &PublicKey,
    ) -> Result<SignedPublication, TransferError> {
        if (base.programme, base.number) != (self.head.programme, self.base) {
            return Err(TransferError::Base);
        }
        let rules = self.rules.apply(&base.rules)?;
        Ok(self.head.with_rules(rules, hub)?)
    }
}

impl SignedPublication {
    /// What to send before the pieces, and the pieces in order.
    ///
    /// # Errors
    /// When the rules are larger than a publication may be.
    pub fn pieces(&self) -> Result<(PublicationStart, impl Iterator<Item = &[u8]>), TransferError> {
        let rules = self.publication.rules.as_bytes();
        if rules.len() > PUBLICATION_BYTES_MAX {
            return Err(TransferError::TooLarge);
        }
        let start = PublicationStart {
            head: PublicationHead::of(self),
            rules_bytes: u32::try_from(rules.len()).map_err(|_| TransferError::TooLarge)?,
        };
        Ok((start, rules.chunks(RULES_PIECE_BYTES_MAX)))
    }
}

/// A publication whose pieces are coming in.
#[derive(Debug)]
pub struct Assembly {
    head: PublicationHead,
    rules_bytes: usize,
    rules: Vec<u8>,
}

impl Assembly {
    /// Begins with what comes before the pieces.
    ///
    /// # Errors
    /// When more is announced than a publication may hold.
    pub fn begin(start: PublicationStart) -> Result<Self, TransferError> {
        let rules_bytes = usize::try_from(start.rules_bytes).unwrap_or(usize::MAX);
        if rules_bytes > PUBLICATION_BYTES_MAX {
            return Err(TransferError::TooLarge);
        }
        Ok(Self {
            head: start.head,
            rules_bytes,
            rules: Vec::new(),
        })
    }

    /// Whether all pieces are here.
    pub fn is_complete(&self) -> bool {
        self.rules.len() == self.rules_bytes
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// When it is more than was announced.
    pub fn take(&mut self, piece: &[u8]) -> Result<(), TransferError> {
        if piece.is_empty() || piece.len() > self.rules_bytes - self.rules.len() {
            return Err(TransferError::TooLarge);
        }
        self.rules.extend_from_slice(piece);
        Ok(())
    }

    /// The publication, as the hub signed it.
    ///
    /// # Errors
    /// When the pieces are not what the hub signed.
    pub fn finish(self, hub: &PublicKey) -> Result<SignedPublication, TransferError> {
        let rules = String::from_utf8(self.rules).map_err(|_| TransferError::Malformed)?;
        Ok(self.head.with_rules(rules, hub)?)
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;
    use kopilka_crdt::rulebook::delta::Splice;

    use super::*;

    fn signed(number: u32, rules: &str) -> SignedPublication {
        let publication = Publication {
            programme: ProgrammeId(1),
            number,
            valid_from_ms: 7,
            rules: rules.to_owned(),
        };
        SignedPublication::sign(&SigningKey::from_bytes(&[1; 32]), publication)
    }

    fn hub() -> PublicKey {
        PublicKey::of(&SigningKey::from_bytes(&[1; 32]))
    }

    #[test]
    fn a_delta_makes_what_the_hub_signed() {
        let (one, two) = (
            signed(1, "{\"a\":1,\"b\":2}"),
            signed(2, "{\"a\":1,\"b\":3}"),
        );
        let delta = PublicationDelta::between(&one.publication, &two).unwrap();
        assert_eq!(delta.rebuild(&one.publication, &hub()), Ok(two.clone()));
        assert_eq!(
            delta.rebuild(&two.publication, &hub()),
            Err(TransferError::Base)
        );
        let other = signed(1, "{\"a\":7,\"b\":2}");
        assert_eq!(
            delta.rebuild(&other.publication, &hub()),
            Err(TransferError::Signature(SignatureError))
        );
    }

    #[test]
    fn a_lying_delta_is_not_believed() {
        let (one, two) = (
            signed(1, "{\"a\":1,\"b\":2}"),
            signed(2, "{\"a\":1,\"b\":3}"),
        );
        let honest = PublicationDelta::between(&one.publication, &two).unwrap();
        type Lie = fn(&mut PublicationDelta);
        let lies: [(Lie, TransferError); 5] = [
            (
                |delta| delta.rules.splices[0].insert = "4".to_owned(),
                TransferError::Signature(SignatureError),
            ),
            (
                |delta| delta.head.number = 3,
                TransferError::Signature(SignatureError),
            ),
            (
                |delta| delta.head.valid_from_ms = 8,
                TransferError::Signature(SignatureError),
            ),
            (
                |delta| delta.head.programme = ProgrammeId(2),
                TransferError::Base,
            ),
            (
                |delta| {
                    delta.rules.splices.push(Splice {
                        keep: 99,
                        drop: 0,
                        insert: String::new(),
                    });
                },
                TransferError::Delta(DeltaError::Misfit),
            ),
        ];
        for (lie, expected) in lies {
            let mut delta = honest.clone();
            lie(&mut delta);
            assert_eq!(delta.rebuild(&one.publication, &hub()), Err(expected));
        }
    }

    #[test]
    fn pieces_make_the_whole_and_nothing_more() {
        let rules = format!("[\"{}\"]", "я".repeat(RULES_PIECE_BYTES_MAX));
        let whole = signed(5, &rules);
        let (start, pieces) = whole.pieces().unwrap();
        let mut assembly = Assembly::begin(start.clone()).unwrap();
        let pieces: Vec<&[u8]> = pieces.collect();
        assert_eq!(pieces.len(), 3);
        for piece in &pieces {
            assert!(!assembly.is_complete());
            assembly.take(piece).unwrap();
        }
        assert!(assembly.is_complete());
        assert_eq!(assembly.take(b"x"), Err(TransferError::TooLarge));
        assert_eq!(assembly.finish(&hub()), Ok(whole.clone()));

        let mut swapped = Assembly::begin(start.clone()).unwrap();
        for piece in [pieces[1], pieces[0], pieces[2]] {
            swapped.take(piece).unwrap();
        }
        assert!(swapped.finish(&hub()).is_err());
        let vast = PublicationStart {
            rules_bytes: u32::MAX,
            ..start
        };
        assert!(matches!(
            Assembly::begin(vast),
            Err(TransferError::TooLarge)
        ));
    }
}
