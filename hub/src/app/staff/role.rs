//! Roles, and the one table that says what each may do.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a member of staff is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Role {
    /// Everything, staff included.
    Owner,
    /// Runs the programme: catalogue, nodes, rules, members.
    HeadOffice,
    /// Edits and publishes the rules.
    Marketer,
    /// Blocks cards, revokes nodes, reads cases and the audit.
    Security,
    /// Serves members by telephone.
    Support,
    /// Reads everything but personal data, changes nothing.
    Auditor,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 6] = [
        Self::Owner,
        Self::HeadOffice,
        Self::Marketer,
        Self::Security,
        Self::Support,
        Self::Auditor,
    ];
}

/// A kind of action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// Own session.
    Own,
    /// Read programmes, partners, stores, tills, cashiers and nodes.
    ReadCatalogue,
    /// Change them; enrolment codes and till tokens.
    WriteCatalogue,
    /// Revoke a node.
    RevokeNode,
    /// Read the rule book.
    ReadRules,
    /// Edit, publish and roll back the rule book.
    WriteRules,
    /// Stop and release promotions in stores.
    StopPromotion,
    /// Agree to publications of large effect, or turn them down.
    ApproveRules,
    /// Say which effect is large.
    SetApproval,
    /// Look up members; names and phones masked.
    ReadMembers,
    /// Open a member's questionnaire.
    OpenProfile,
    /// Credit or write off points, bind cards, import.
    WriteMembers,
    /// Put tags on members and take them off.
    WriteTags,
    /// Issue coupons to many, also to whoever holds their number.
    IssueCoupons,
    /// Issue gift cards.
    IssueGiftCards,
    /// Erase a member's personal data, which nothing brings back.
    EraseProfile,
    /// Block and release cards.
    Block,
    /// Read cases.
    ReadCases,
    /// Read the audit.
    ReadAudit,
    /// Manage staff.
    Staff,
}

impl Permission {
    /// Who may.
    pub fn roles(self) -> &'static [Role] {
        use Role::{Auditor, HeadOffice, Marketer, Owner, Security, Support};
        match self {
            Self::Own | Self::ReadCatalogue => &Role::ALL,
            Self::WriteCatalogue => &[Owner, HeadOffice],
            Self::RevokeNode => &[Owner, HeadOffice, Security],
            Self::ReadRules => &[Owner, HeadOffice, Marketer, Security, Auditor],
            Self::WriteRules => &[Owner, HeadOffice, Marketer],
            Self::StopPromotion => &[Owner, HeadOffice, Marketer, Security],
            Self::ApproveRules => &[Owner, HeadOffice],
            Self::SetApproval => &[Owner],
            Self::ReadMembers => &[Owner, HeadOffice, Security, Support, Auditor],
            Self::OpenProfile => &[Owner, HeadOffice, Support],
            Self::WriteMembers => &[Owner, HeadOffice, Support],
            Self::WriteTags => &[Owner, HeadOffice, Marketer, Support],
            Self::IssueCoupons => &[Owner, HeadOffice, Marketer],
            Self::IssueGiftCards => &[Owner, HeadOffice],
            Self::EraseProfile => &[Owner, HeadOffice],
            Self::Block => &[Owner, HeadOffice, Security, Support],
            Self::ReadCases => &[Owner, HeadOffice, Security, Auditor],
            Self::ReadAudit => &[Owner, Security, Auditor],
            Self::Staff => &[Owner],
        }
    }

    /// Whether a role may.
    pub fn allows(self, role: Role) -> bool {
        self.roles().contains(&role)
    }
}
