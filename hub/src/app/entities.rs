//! What head office keeps: programmes, partners, stores, nodes, tills, cashiers, staff. Stored as JSON entities.

use kopilka_crdt::identifier::LookupKey;
use kopilka_crdt::ids::{CashierId, Incarnation, NodeId, PartnerId, ProgrammeId, StoreId, TillId};
use kopilka_protocol::key::PublicKey;
use kopilka_protocol::message::Seen;
use kopilka_rules::replay::Thresholds;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::store::{EntityKind, StoreError};

/// Something kept as an entity.
pub trait Kept: Serialize + DeserializeOwned {
    /// Its kind.
    const KIND: EntityKind;

    /// Its identifier within the kind. Those of a programme start with its text form and a slash.
    fn key(&self) -> String;

    /// Bytes to store.
    fn to_body(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an entity is plain data with string keys")
    }

    /// Reads stored bytes.
    fn from_body(body: &[u8]) -> Result<Self, StoreError> {
        serde_json::from_slice(body).map_err(|_| StoreError::Damaged("entity"))
    }
}

/// A programme.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Programme {
    /// Its number.
    pub id: ProgrammeId,
    /// Its name.
    pub name: String,
    /// The secret for look-ups.
    pub lookup_key: LookupKey,
    /// Number of its last publication; 0: none.
    pub publication: u32,
    /// Up to which effect a publication needs no second person.
    #[serde(default)]
    pub approval: Thresholds,
}

/// A legal entity that owns stores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partner {
    /// Its number.
    pub id: PartnerId,
    /// The programme.
    pub programme: ProgrammeId,
    /// Its name.
    pub name: String,
}

/// A store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreEntity {
    /// Its number.
    pub id: StoreId,
    /// The programme.
    pub programme: ProgrammeId,
    /// Its owner.
    pub partner: PartnerId,
    /// Its name.
    pub name: String,
    /// IANA time zone.
    pub time_zone: String,
    /// Store groups.
    pub groups: Vec<String>,
    /// Rises whenever the store, its tills or its cashiers change.
    pub directory_version: u64,
}

/// A till.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TillEntity {
    /// Its number.
    pub id: TillId,
    /// Its store.
    pub store: StoreId,
    /// Its name.
    pub name: String,
    /// BLAKE3 of its token.
    pub token_hash: [u8; 32],
    /// Whether it may work.
    pub enabled: bool,
}

/// A cashier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CashierEntity {
    /// Their number.
    pub id: CashierId,
    /// Their store.
    pub store: StoreId,
    /// Staff name.
    pub name: String,
    /// Whether they may work.
    pub enabled: bool,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeEntity {
    /// Its number.
    pub id: NodeId,
    /// The programme.
    pub programme: ProgrammeId,
    /// Its store.
    pub store: StoreId,
    /// The store's owner, who owes for points earned there.
    pub partner: PartnerId,
    /// Its key.
    pub key: PublicKey,
    /// The incarnation that it may write under.
    pub incarnation: Incarnation,
    /// When it enrolled, milliseconds since 1970.
    pub enrolled_ms: u64,
    /// No longer trusted.
    pub revoked: bool,
}

/// An enrolment code that was not used yet, kept under the BLAKE3 of its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeEntity {
    /// Hexadecimal BLAKE3 of the secret.
    pub secret_hash: String,
    /// The programme.
    pub programme: ProgrammeId,
    /// The store that the node will serve.
    pub store: StoreId,
    /// Until when it works, milliseconds since 1970.
    pub expires_ms: u64,
}

/// A publication, as nodes get it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicationEntity {
    /// The programme.
    pub programme: ProgrammeId,
    /// Its number.
    pub number: u32,
    /// `SignedPublication`, postcard, hexadecimal.
    pub signed: String,
    /// Who published it.
    pub by: String,
    /// The second person who agreed, when one was needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// When, milliseconds since 1970.
    pub at_ms: u64,
    /// In words.
    pub note: String,
}

/// What a node has on its disk, and when it was last heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryEntity {
    /// The node.
    pub node: NodeId,
    /// What it has.
    pub seen: Seen,
    /// When it said so, milliseconds since 1970.
    pub at_ms: u64,
    /// Version of its program.
    pub program: String,
    /// Version of the wire protocol that it speaks.
    #[serde(default = "first_protocol")]
    pub protocol: u16,
    /// Whether a session was open then.
    pub connected: bool,
}

/// What nodes spoke before their version was noted.
fn first_protocol() -> u16 {
    1
}

macro_rules! kept {
    ($type:ty, $kind:ident, $self:ident => $key:expr) => {
        impl Kept for $type {
            const KIND: EntityKind = EntityKind::$kind;

            fn key(&$self) -> String {
                $key
            }
        }
    };
}

kept!(Programme, Programme, self => self.id.to_string());
kept!(Partner, Partner, self => format!("{}/{}", self.programme, self.id));
kept!(StoreEntity, Store, self => format!("{}/{}", self.programme, self.id));
kept!(TillEntity, Till, self => format!("{}/{}", self.store, self.id));
kept!(CashierEntity, Cashier, self => format!("{}/{}", self.store, self.id));
// Nodes are looked up by key at every connection.
kept!(NodeEntity, Node, self => node_key(&self.key));
kept!(CodeEntity, Code, self => self.secret_hash.clone());
kept!(PublicationEntity, Publication, self => format!("{}/{:010}", self.programme, self.number));
kept!(DeliveryEntity, Delivery, self => self.node.to_string());

/// The entity key of a node: its public key in hexadecimal.
pub fn node_key(key: &PublicKey) -> String {
    hex(&key.0)
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads hexadecimal.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let nibble = |digit: u8| {
        char::from(digit)
            .to_digit(16)
            .and_then(|value| u8::try_from(value).ok())
    };
    digits
        .chunks(2)
        .map(|pair| Some(nibble(pair[0])? << 4 | nibble(pair[1])?))
        .collect()
}
