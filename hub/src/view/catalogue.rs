//! Programmes, partners, stores, tills, cashiers and nodes as they are shown.

use serde::Serialize;
use utoipa::ToSchema;

use super::time;
use crate::app::catalogue::tills::TillWithToken;
use crate::app::entities::{CashierEntity, Partner, Programme, StoreEntity, TillEntity, hex};
use crate::app::nodes::{IssuedCode, NodeStanding};

/// A programme.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProgrammeView {
    /// Its identifier.
    #[schema(example = "p1")]
    pub id: String,
    /// Its name.
    pub name: String,
    /// Number of the rules in force.
    pub publication: u32,
}

impl From<&Programme> for ProgrammeView {
    fn from(programme: &Programme) -> Self {
        Self {
            id: programme.id.to_string(),
            name: programme.name.clone(),
            publication: programme.publication,
        }
    }
}

/// A partner.
#[derive(Debug, Serialize, ToSchema)]
pub struct PartnerView {
    /// Its identifier.
    #[schema(example = "r1")]
    pub id: String,
    /// Its programme.
    pub programme: String,
    /// Its name.
    pub name: String,
}

impl From<&Partner> for PartnerView {
    fn from(partner: &Partner) -> Self {
        Self {
            id: partner.id.to_string(),
            programme: partner.programme.to_string(),
            name: partner.name.clone(),
        }
    }
}

/// A store.
#[derive(Debug, Serialize, ToSchema)]
pub struct StoreView {
    /// Its identifier.
    #[schema(example = "s1")]
    pub id: String,
    /// Its programme.
    pub programme: String,
    /// Its owner.
    pub partner: String,
    /// Its name.
    pub name: String,
    /// IANA time zone.
    pub time_zone: String,
    /// Store groups.
    pub groups: Vec<String>,
    /// Rises whenever the store, its tills or its cashiers change.
    pub directory_version: u64,
}

impl From<&StoreEntity> for StoreView {
    fn from(store: &StoreEntity) -> Self {
        Self {
            id: store.id.to_string(),
            programme: store.programme.to_string(),
            partner: store.partner.to_string(),
            name: store.name.clone(),
            time_zone: store.time_zone.clone(),
            groups: store.groups.clone(),
            directory_version: store.directory_version,
        }
    }
}

/// A till.
#[derive(Debug, Serialize, ToSchema)]
pub struct TillView {
    /// Its identifier.
    #[schema(example = "t1")]
    pub id: String,
    /// Its store.
    pub store: String,
    /// Its name.
    pub name: String,
    /// Whether it may work.
    pub enabled: bool,
    /// Its bearer token; only in the answer that makes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

impl From<&TillEntity> for TillView {
    fn from(till: &TillEntity) -> Self {
        Self {
            id: till.id.to_string(),
            store: till.store.to_string(),
            name: till.name.clone(),
            enabled: till.enabled,
            token: None,
        }
    }
}

impl From<TillWithToken> for TillView {
    fn from(made: TillWithToken) -> Self {
        Self {
            token: Some(made.token),
            ..Self::from(&made.till)
        }
    }
}

/// A cashier.
#[derive(Debug, Serialize, ToSchema)]
pub struct CashierView {
    /// Their identifier.
    #[schema(example = "c1")]
    pub id: String,
    /// Their store.
    pub store: String,
    /// Their name.
    pub name: String,
    /// Whether they may work.
    pub enabled: bool,
}

impl From<&CashierEntity> for CashierView {
    fn from(cashier: &CashierEntity) -> Self {
        Self {
            id: cashier.id.to_string(),
            store: cashier.store.to_string(),
            name: cashier.name.clone(),
            enabled: cashier.enabled,
        }
    }
}

/// An enrolment code, shown once.
#[derive(Debug, Serialize, ToSchema)]
pub struct NodeCodeView {
    /// To be typed in at the node; works once.
    pub code: String,
    /// Until when.
    pub expires_at: String,
}

impl From<&IssuedCode> for NodeCodeView {
    fn from(issued: &IssuedCode) -> Self {
        Self {
            code: issued.code.to_string(),
            expires_at: time(issued.expires_ms),
        }
    }
}

/// A node and where it stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct NodeView {
    /// Its identifier.
    #[schema(example = "n1")]
    pub id: String,
    /// Its store.
    pub store: String,
    /// Its public key, hexadecimal.
    pub key: String,
    /// Its present incarnation.
    pub incarnation: u32,
    /// When it enrolled.
    pub enrolled_at: String,
    /// No longer trusted.
    pub revoked: bool,
    /// Whether a session was open when it was last heard.
    pub connected: bool,
    /// When it was last heard.
    pub heard_at: Option<String>,
    /// Version of its program.
    pub program: Option<String>,
    /// Feed positions that it still lacks; none while it has no snapshot.
    pub feed_lag: Option<u64>,
    /// Number of the last block order that it has.
    pub block: u64,
    /// Number of the publication that it runs; 0: none.
    pub publication: u32,
    /// Version of its store's directory that it has; 0: none.
    pub directory: u64,
}

impl From<&NodeStanding> for NodeView {
    fn from(standing: &NodeStanding) -> Self {
        let (node, heard) = (&standing.node, standing.delivery.as_ref());
        Self {
            id: node.id.to_string(),
            store: node.store.to_string(),
            key: hex(&node.key.0),
            incarnation: node.incarnation.0,
            enrolled_at: time(node.enrolled_ms),
            revoked: node.revoked,
            connected: heard.is_some_and(|heard| heard.connected),
            heard_at: heard.map(|heard| time(heard.at_ms)),
            program: heard.map(|heard| heard.program.clone()),
            feed_lag: standing.feed_lag,
            block: heard.map_or(0, |heard| heard.seen.block),
            publication: heard.map_or(0, |heard| heard.seen.publication),
            directory: heard.map_or(0, |heard| heard.seen.directory),
        }
    }
}
