//! Identifiers: compact integers on the wire and on disk, opaque prefixed strings in JSON.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A string that is not an identifier of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a {kind} identifier")]
pub struct IdError {
    /// The kind that was expected, such as `member`.
    pub kind: &'static str,
}

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident, $int:ty, $prefix:literal, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub $int);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix($prefix)
                    .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
                    .and_then(|digits| digits.parse().ok())
                    .map(Self)
                    .ok_or(IdError { kind: $kind })
            }
        }
    };
}

number_id!(
    /// One loyalty programme; nothing crosses between programmes.
    ProgrammeId, u16, "p", "programme"
);
number_id!(
    /// A legal entity that owns stores and issues points.
    PartnerId, u32, "r", "partner"
);
number_id!(
    /// A store, physical or online.
    StoreId, u32, "s", "store"
);
number_id!(
    /// A store's node.
    NodeId, u32, "n", "node"
);
number_id!(
    /// A till of one store.
    TillId, u32, "t", "till"
);
number_id!(
    /// A cashier, as numbered by head office.
    CashierId, u32, "c", "cashier"
);
number_id!(
    /// An account kind of the programme (points, cashback, stamps …).
    AccountId, u16, "a", "account"
);
number_id!(
    /// A promotion of the programme.
    PromotionId, u32, "x", "promotion"
);

impl AccountId {
    /// The account on the record of a promotion's limit that holds what is left of it; no rule book may name it.
    pub const BUDGET: Self = Self(u16::MAX);
}

impl NodeId {
    /// The hub, where it makes operations of its own.
    pub const HUB: Self = Self(0);
}

/// A node's life between identity resets: a restored or forked node goes on under the next number.
///
/// Numbers from [`Incarnation::ADOPTED_FIRST`] on are given by the hub to the second branch of a fork.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Incarnation(pub u32);

impl Incarnation {
    /// The first number that the hub gives to adopted branches of forked logs.
    pub const ADOPTED_FIRST: u32 = 0x8000_0000;

    /// Whether the hub made this incarnation out of a fork's second branch.
    pub fn is_adopted(self) -> bool {
        self.0 >= Self::ADOPTED_FIRST
    }
}

/// A member: 63 random bits, so that nodes may enrol members offline without asking anyone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemberId(pub u64);

const MEMBER_ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const MEMBER_DIGITS: usize = 13;

impl MemberId {
    /// Makes an identifier from 16 bytes of entropy that the caller brings.
    pub fn from_seed(seed: [u8; 16]) -> Self {
        Self::first_63_bits(blake3::derive_key("kopilka 2026 member identifier", &seed))
    }

    /// The record of what a promotion's limit has left: of the whole programme, or of one store.
    pub fn of_limit(promotion: PromotionId, store: Option<StoreId>) -> Self {
        let mut seed = [0; 16];
        seed[..4].copy_from_slice(&promotion.0.to_be_bytes());
        if let Some(store) = store {
            seed[4] = 1;
            seed[5..9].copy_from_slice(&store.0.to_be_bytes());
        }
        Self::first_63_bits(blake3::derive_key("kopilka 2026 limit record", &seed))
    }

    fn first_63_bits(hash: [u8; 32]) -> Self {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&hash[..8]);
        // 63 bits: SQL integers are signed.
        Self(u64::from_be_bytes(bytes) >> 1)
    }

    /// The partition of the feed that carries this member; `partitions` is at least 1.
    pub fn partition(self, partitions: u16) -> u16 {
        let remainder = self.0 % u64::from(partitions.max(1));
        u16::try_from(remainder).expect("a remainder of a u16 fits u16")
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [b'0'; MEMBER_DIGITS];
        let mut rest = self.0;
        for slot in digits.iter_mut().rev() {
            let index = usize::try_from(rest & 31).expect("five bits fit usize");
            *slot = MEMBER_ALPHABET[index];
            rest >>= 5;
        }
        write!(f, "m{}", digits.map(char::from).iter().collect::<String>())
    }
}

impl FromStr for MemberId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        const ERROR: IdError = IdError { kind: "member" };
        let digits = text.strip_prefix('m').ok_or(ERROR)?;
        if digits.len() != MEMBER_DIGITS {
            return Err(ERROR);
        }
        let mut value: u64 = 0;
        for byte in digits.bytes() {
            let digit = MEMBER_ALPHABET
                .iter()
                .position(|&letter| letter == byte)
                .ok_or(ERROR)?;
            let digit = u64::try_from(digit).expect("an index below 32 fits u64");
            value = value
                .checked_mul(32)
                .and_then(|high| high.checked_add(digit))
                .ok_or(ERROR)?;
        }
        Ok(Self(value))
    }
}

/// One operation: its place in the log of one node's incarnation. Sequences start at 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OperationId {
    /// The node that made it; node 0 is the hub.
    pub node: NodeId,
    /// The node's incarnation.
    pub incarnation: Incarnation,
    /// 1-based place in that incarnation's log.
    pub sequence: u64,
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "o{}.{}.{}",
            self.node.0, self.incarnation.0, self.sequence
        )
    }
}

impl FromStr for OperationId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        const ERROR: IdError = IdError { kind: "operation" };
        let mut parts = text.strip_prefix('o').ok_or(ERROR)?.split('.');
        let mut number = || {
            parts
                .next()
                .and_then(|part| part.parse::<u64>().ok())
                .ok_or(ERROR)
        };
        let node = u32::try_from(number()?).map_err(|_| ERROR)?;
        let incarnation = u32::try_from(number()?).map_err(|_| ERROR)?;
        let sequence = number()?;
        if parts.next().is_some() {
            return Err(ERROR);
        }
        Ok(Self {
            node: NodeId(node),
            incarnation: Incarnation(incarnation),
            sequence,
        })
    }
}

/// A lot: the operation that credited it and the place among that operation's credits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LotId {
    /// The crediting operation.
    pub operation: OperationId,
    /// 0-based index among its credits.
    pub index: u8,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn member_text_round_trips(value: u64) {
            let id = MemberId(value);
            prop_assert_eq!(id.to_string().parse::<MemberId>(), Ok(id));
        }

        #[test]
        fn operation_text_round_trips(node: u32, incarnation: u32, sequence: u64) {
            let id = OperationId { node: NodeId(node), incarnation: Incarnation(incarnation), sequence };
            prop_assert_eq!(id.to_string().parse::<OperationId>(), Ok(id));
        }
    }

    #[test]
    fn foreign_texts_are_refused() {
        for text in [
            "",
            "m",
            "mzzzzzzzzzzzzzz",
            "muuuuuuuuuuuuu",
            "mzzzzzzzzzzzzz",
            "s1",
        ] {
            assert!(text.parse::<MemberId>().is_err(), "{text}");
        }
        for text in ["", "s", "s-1", "s+1", "n1", "s4294967296"] {
            assert!(text.parse::<StoreId>().is_err(), "{text}");
        }
        assert!("o1.2".parse::<OperationId>().is_err());
        assert!("o1.2.3.4".parse::<OperationId>().is_err());
    }
}
