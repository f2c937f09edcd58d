//! What head office knows of its stores, and the part of it that a node needs to serve its tills.

use serde::{Deserialize, Serialize};

use crate::identifier::LookupKey;
use crate::ids::{CashierId, PartnerId, ProgrammeId, StoreId, TillId};

/// A till and the hash of its token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Till {
    /// Its number.
    pub id: TillId,
    /// Its name, such as "Касса 2".
    pub name: String,
    /// BLAKE3 of its bearer token; the token itself is shown once, at the hub.
    pub token_hash: [u8; 32],
    /// Whether it may work.
    pub enabled: bool,
}

/// A cashier known to head office.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cashier {
    /// Number that tills send with each call.
    pub id: CashierId,
    /// Staff name, to show.
    pub name: String,
    /// Whether they may work.
    pub enabled: bool,
}

/// Everything that a node must know of its own place in the programme.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreDirectory {
    /// Rises with every change at the hub.
    pub version: u64,
    /// The programme.
    pub programme: ProgrammeId,
    /// The programme's secret for look-ups.
    pub lookup_key: LookupKey,
    /// The store.
    pub store: StoreId,
    /// Its name.
    pub store_name: String,
    /// The partner that owns it.
    pub partner: PartnerId,
    /// IANA name of its time zone.
    pub time_zone: String,
    /// Store groups that it belongs to.
    pub groups: Vec<String>,
    /// Its tills.
    pub tills: Vec<Till>,
    /// Its cashiers; when empty, any number is accepted.
    pub cashiers: Vec<Cashier>,
}
