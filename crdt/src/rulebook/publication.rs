//! Publications: signed, numbered, immutable versions of a rule book. The signature itself is checked by `protocol`.

use serde::{Deserialize, Serialize};

use crate::ids::ProgrammeId;
use crate::rulebook::model::{RULE_BOOK_SCHEMA, RuleBook};

/// Largest rule book that may be published, in bytes of JSON.
pub const PUBLICATION_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Why a publication cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublicationError {
    /// More than [`PUBLICATION_BYTES_MAX`].
    #[error("the publication is larger than 8 MiB")]
    TooLarge,
    /// The JSON is not a rule book.
    #[error("the publication is not a rule book: {0}")]
    Malformed(String),
    /// A schema that this program does not know.
    #[error("the rule book has schema {0}; this program runs schemas 1 and 2")]
    Schema(u16),
}

/// One version of the rules, as nodes run it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publication {
    /// The programme.
    pub programme: ProgrammeId,
    /// 1, 2, 3 … within the programme.
    pub number: u32,
    /// Wall time in milliseconds from which it counts.
    pub valid_from_ms: u64,
    /// The rule book, as canonical JSON.
    pub rules: String,
}

impl Publication {
    /// Writes a rule book down in canonical JSON: fields in schema order, maps by key.
    pub fn new(programme: ProgrammeId, number: u32, valid_from_ms: u64, rules: &RuleBook) -> Self {
        let rules =
            serde_json::to_string(rules).expect("a rule book is plain data with string keys");
        Self {
            programme,
            number,
            valid_from_ms,
            rules,
        }
    }

    /// Reads the rule book.
    pub fn rule_book(&self) -> Result<RuleBook, PublicationError> {
        if self.rules.len() > PUBLICATION_BYTES_MAX {
            return Err(PublicationError::TooLarge);
        }
        #[derive(Deserialize)]
        struct Schema {
            schema: u16,
        }
        let malformed = |error: serde_json::Error| PublicationError::Malformed(error.to_string());
        let Schema { schema } = serde_json::from_str(&self.rules).map_err(malformed)?;
        if !(1..=RULE_BOOK_SCHEMA).contains(&schema) {
            return Err(PublicationError::Schema(schema));
        }
        let rules: RuleBook = serde_json::from_str(&self.rules).map_err(malformed)?;
        Ok(RuleBook {
            schema: RULE_BOOK_SCHEMA,
            ..rules
        })
    }

    /// BLAKE3 over everything that is signed.
    pub fn hash(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key("kopilka 2026 publication");
        hasher.update(&self.programme.0.to_le_bytes());
        hasher.update(&self.number.to_le_bytes());
        hasher.update(&self.valid_from_ms.to_le_bytes());
        hasher.update(self.rules.as_bytes());
        *hasher.finalize().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rulebook::model::Text;

    #[test]
    fn a_rule_book_survives_publication() {
        let rules = RuleBook::starter(Text::new("Копилка", "Kopilka"));
        let publication = Publication::new(ProgrammeId(1), 1, 0, &rules);
        assert_eq!(publication.rule_book(), Ok(rules.clone()));
        assert_eq!(publication, Publication::new(ProgrammeId(1), 1, 0, &rules));
        let later = Publication {
            number: 2,
            ..publication.clone()
        };
        assert_ne!(later.hash(), publication.hash());
        let newer = Publication {
            rules: publication.rules.replace("\"schema\":2", "\"schema\":9"),
            ..publication
        };
        assert_eq!(newer.rule_book(), Err(PublicationError::Schema(9)));
    }
}
