//! Staff, block orders, cases and the audit as they are shown.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{PageView, time};
use crate::app::blocks::{Delivered, Ordered};
use crate::app::entities::hex;
use crate::app::staff::session::SignedIn;
use crate::app::staff::{Role, StaffEntity};
use crate::store::{AuditRow, CaseRow};
use kopilka_protocol::signed::{BlockOrder, Subject};

/// A member of staff.
#[derive(Debug, Serialize, ToSchema)]
pub struct StaffView {
    /// What they sign in with.
    pub login: String,
    /// Their name.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Whether they may sign in.
    pub enabled: bool,
}

impl From<&StaffEntity> for StaffView {
    fn from(staff: &StaffEntity) -> Self {
        Self {
            login: staff.login.clone(),
            name: staff.name.clone(),
            role: staff.role,
            enabled: staff.enabled,
        }
    }
}

/// A session that begins.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionView {
    /// Bearer token for everything else.
    pub token: String,
    /// Until when.
    pub expires_at: String,
    /// Who.
    pub staff: StaffView,
}

impl From<&SignedIn> for SessionView {
    fn from(signed_in: &SignedIn) -> Self {
        Self {
            token: signed_in.token.clone(),
            expires_at: time(signed_in.expires_ms),
            staff: StaffView::from(&signed_in.staff),
        }
    }
}

/// A block order.
#[derive(Debug, Serialize, ToSchema)]
pub struct BlockView {
    /// Its number within the programme.
    pub number: u64,
    /// Keyed hash of the card's number; none when it is about a promotion.
    pub card: Option<String>,
    /// The promotion; none when it is about a card.
    #[schema(example = "x12")]
    pub promotion: Option<String>,
    /// Blocked or stopped; or released.
    pub blocked: bool,
    /// When.
    pub at: String,
    /// Why, for the cashier.
    pub reason: String,
}

impl From<&BlockOrder> for BlockView {
    fn from(order: &BlockOrder) -> Self {
        let (card, promotion) = match order.subject {
            Subject::Card(card) => (Some(hex(&card.0)), None),
            Subject::Promotion(promotion) => (None, Some(promotion.to_string())),
        };
        Self {
            number: order.number,
            card,
            promotion,
            blocked: order.blocked,
            at: time(order.at_ms),
            reason: order.reason.clone(),
        }
    }
}

/// A block order that was given.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderedView {
    /// The order.
    #[serde(flatten)]
    pub order: BlockView,
    /// Whose card it is, when it is anybody's.
    pub member: Option<String>,
    /// The same Idempotency-Key had given it before.
    pub repeated: bool,
}

impl From<&Ordered> for OrderedView {
    fn from(ordered: &Ordered) -> Self {
        Self {
            order: BlockView::from(&ordered.order),
            member: ordered.member.map(|member| member.to_string()),
            repeated: ordered.repeated,
        }
    }
}

/// A node and whether it has a block order.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeliveredView {
    /// The node.
    pub node: String,
    /// Its store.
    pub store: String,
    /// It refuses the card, or gives the promotion no more; with a release, it does again.
    pub has_it: bool,
    /// Whether a session was open when it was last heard.
    pub connected: bool,
    /// When it was last heard.
    pub heard_at: Option<String>,
}

impl From<&Delivered> for DeliveredView {
    fn from(delivered: &Delivered) -> Self {
        let (node, heard) = (
            &delivered.standing.node,
            delivered.standing.delivery.as_ref(),
        );
        Self {
            node: node.id.to_string(),
            store: node.store.to_string(),
            has_it: delivered.has_it,
            connected: heard.is_some_and(|heard| heard.connected),
            heard_at: heard.map(|heard| time(heard.at_ms)),
        }
    }
}

/// A case.
#[derive(Debug, Serialize, ToSchema)]
pub struct CaseView {
    /// Its number.
    pub number: u64,
    /// When it was opened.
    pub opened_at: String,
    /// A stable word.
    #[schema(example = "fork")]
    pub kind: String,
    /// The node concerned.
    pub node: Option<String>,
    /// The member concerned.
    pub member: Option<String>,
    /// The operation concerned.
    pub operation: Option<String>,
    /// In words.
    pub summary: String,
    /// Signed bytes, hexadecimal; empty when there are none.
    pub evidence: String,
}

impl From<&(u64, CaseRow)> for CaseView {
    fn from((number, case): &(u64, CaseRow)) -> Self {
        Self {
            number: *number,
            opened_at: time(case.opened_ms),
            kind: case.kind.to_owned(),
            node: case.node.map(|node| node.to_string()),
            member: case.member.map(|member| member.to_string()),
            operation: case.operation.map(|operation| operation.to_string()),
            summary: case.summary.clone(),
            evidence: hex(&case.evidence),
        }
    }
}

/// A staff action.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditView {
    /// Its number.
    pub number: u64,
    /// When.
    pub at: String,
    /// Who.
    pub actor: String,
    /// A stable word.
    #[schema(example = "card.block")]
    pub action: String,
    /// On what.
    pub subject: String,
    /// Details.
    #[schema(value_type = Object)]
    pub details: Value,
}

impl From<&(u64, AuditRow)> for AuditView {
    fn from((number, row): &(u64, AuditRow)) -> Self {
        Self {
            number: *number,
            at: time(row.at_ms),
            actor: row.actor.clone(),
            action: row.action.clone(),
            subject: row.subject.clone(),
            details: serde_json::from_str(&row.details).unwrap_or_default(),
        }
    }
}

/// A page of numbered rows, newest first; a full page may have another after it.
pub fn numbered<R, V: for<'a> From<&'a (u64, R)>>(rows: &[(u64, R)], limit: usize) -> PageView<V> {
    let last = rows.last().filter(|_| rows.len() == limit);
    PageView {
        items: rows.iter().map(V::from).collect(),
        next: last.map(|(number, _)| number.to_string()),
    }
}
