//! Replays, proposals and what is published under them, as they are shown.

use kopilka_crdt::operation::ReceiptKey;
use kopilka_rules::replay::{
    Both, ChangedReceipt, Figures, Given, Large, PromotionGave, Thresholds, UnpricedReceipt,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::rules::PublicationView;
use super::{time, word};
use crate::app::entities::PublicationEntity;
use crate::app::rulebook::approval::Proposal;
use crate::store::ProposalOutcome;

/// What receipts give their members.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct GivenView {
    /// Taken off by promotions.
    pub discounts_minor: i64,
    /// Points earned, over all accounts.
    pub earned_minor: i64,
    /// Points redeemed.
    pub redeemed_minor: i64,
}

/// What a promotion gives over all receipts.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct PromotionGaveView {
    /// On how many of them.
    pub receipts: u64,
    /// Taken off.
    pub discounts_minor: i64,
    /// Points, over all accounts.
    pub points_minor: i64,
}

/// A promotion under the rules in force and under the others.
#[derive(Debug, Serialize, ToSchema)]
pub struct PromotionChangeView {
    /// Which.
    #[schema(example = "x7")]
    pub promotion: String,
    /// Under the rules in force.
    pub before: PromotionGaveView,
    /// Under the others.
    pub after: PromotionGaveView,
}

/// Names a receipt.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReceiptNameView {
    /// The purchase.
    #[schema(example = "o2.1.77")]
    pub operation: String,
    /// The till.
    pub till: String,
    /// Its number at the till.
    pub number: u64,
}

/// A receipt that changes.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReceiptChangeView {
    /// Which.
    #[serde(flatten)]
    pub receipt: ReceiptNameView,
    /// By how much: what discounts, points earned and points redeemed differ by, each without its sign.
    pub moved_minor: i64,
    /// Under the rules in force.
    pub before: GivenView,
    /// Under the others.
    pub after: GivenView,
}

/// A receipt that has no price under the rules in force, or under the others.
#[derive(Debug, Serialize, ToSchema)]
pub struct UnpricedView {
    /// Which.
    #[serde(flatten)]
    pub receipt: ReceiptNameView,
    /// Why not under the rules in force; empty where it has a price.
    pub before: String,
    /// Why not under the others; empty where it has a price.
    pub after: String,
}

/// The newest receipts under the rules in force and under others. Sums are over the receipts that both can price.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReplayView {
    /// Receipts replayed.
    pub receipts: u64,
    /// Those that give their member something else.
    pub touched: u64,
    /// Those that have no price any more.
    pub lost: u64,
    /// What the receipts cost before promotions and points.
    pub turnover_minor: i64,
    /// What they change by, each without its sign.
    pub moved_minor: i64,
    /// The same in thousandths of the turnover, rounded up.
    pub effect_permille: i64,
    /// What they give under the rules in force.
    pub before: GivenView,
    /// What they give under the others.
    pub after: GivenView,
    /// What each promotion gives, as far as it gives anything.
    pub promotions: Vec<PromotionChangeView>,
    /// The receipts that change most, 20 at most.
    pub largest: Vec<ReceiptChangeView>,
    /// Receipts without a price, 20 at most.
    pub unpriced: Vec<UnpricedView>,
}

/// Up to which effect a version is published without a second person.
#[derive(Debug, Serialize, ToSchema)]
pub struct ThresholdsView {
    /// What the newest 1,000 receipts change by, in thousandths of their turnover.
    pub effect_permille: u32,
    /// Receipts touched, in thousandths of those replayed; 1000: however many.
    pub receipts_permille: u32,
}

/// A publication that was just made, with its effect.
#[derive(Debug, Serialize, ToSchema)]
pub struct PublishedView {
    /// The publication.
    #[serde(flatten)]
    pub publication: PublicationView,
    /// Its effect on the newest receipts.
    pub replay: ReplayView,
}

/// A draft that waits for a second person, or did.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProposalView {
    /// Its number within the programme.
    pub proposal: u64,
    /// `waiting`, `approved`, `rejected` or `superseded`.
    pub state: &'static str,
    /// When it was made.
    pub at: String,
    /// By whom.
    pub author: String,
    /// Why.
    pub note: String,
    /// What makes its effect large: `effect`, `receipts`, `unpriced`.
    pub large: Vec<String>,
    /// Who may approve it, while it waits.
    pub approvers: Vec<String>,
    /// Number of the publication that it was compared with.
    pub base: u32,
    /// The draft's heads: hashes of its last changes.
    pub heads: Vec<String>,
    /// BLAKE3 of the rule book in canonical JSON.
    pub rules_hash: String,
    /// Who decided; none while it waits.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<String>,
    /// Why it was rejected.
    pub reason: Option<String>,
    /// The publication that it became.
    pub publication: Option<u32>,
    /// What the replay found.
    pub replay: ReplayView,
}

impl From<&Given> for GivenView {
    fn from(given: &Given) -> Self {
        Self {
            discounts_minor: given.discounts.0,
            earned_minor: given.earned.0,
            redeemed_minor: given.redeemed.0,
        }
    }
}

impl From<&PromotionGave> for PromotionGaveView {
    fn from(gave: &PromotionGave) -> Self {
        Self {
            receipts: gave.receipts,
            discounts_minor: gave.discounts.0,
            points_minor: gave.points.0,
        }
    }
}

fn name(operation: kopilka_crdt::ids::OperationId, receipt: ReceiptKey) -> ReceiptNameView {
    ReceiptNameView {
        operation: operation.to_string(),
        till: receipt.till.to_string(),
        number: receipt.number,
    }
}

impl From<&ChangedReceipt> for ReceiptChangeView {
    fn from(changed: &ChangedReceipt) -> Self {
        Self {
            receipt: name(changed.operation, changed.receipt),
            moved_minor: changed.moved.0,
            before: GivenView::from(&changed.given.before),
            after: GivenView::from(&changed.given.after),
        }
    }
}

impl From<&UnpricedReceipt> for UnpricedView {
    fn from(unpriced: &UnpricedReceipt) -> Self {
        let Both { before, after } = unpriced.reason.clone();
        Self {
            receipt: name(unpriced.operation, unpriced.receipt),
            before,
            after,
        }
    }
}

impl From<&Figures> for ReplayView {
    fn from(figures: &Figures) -> Self {
        let promotions = figures.promotions.iter();
        Self {
            receipts: figures.receipts,
            touched: figures.touched,
            lost: figures.lost,
            turnover_minor: figures.turnover.0,
            moved_minor: figures.moved.0,
            effect_permille: figures.effect_permille(),
            before: GivenView::from(&figures.given.before),
            after: GivenView::from(&figures.given.after),
            promotions: promotions
                .map(|(promotion, gave)| PromotionChangeView {
                    promotion: promotion.to_string(),
                    before: PromotionGaveView::from(&gave.before),
                    after: PromotionGaveView::from(&gave.after),
                })
                .collect(),
            largest: figures
                .largest
                .iter()
                .map(ReceiptChangeView::from)
                .collect(),
            unpriced: figures
                .unpriced_named
                .iter()
                .map(UnpricedView::from)
                .collect(),
        }
    }
}

impl From<Thresholds> for ThresholdsView {
    fn from(thresholds: Thresholds) -> Self {
        Self {
            effect_permille: thresholds.effect_permille,
            receipts_permille: thresholds.receipts_permille,
        }
    }
}

impl PublishedView {
    /// A publication with the effect that was found before.
    pub fn new(publication: &PublicationEntity, figures: &Figures) -> Self {
        Self {
            publication: PublicationView::from(publication),
            replay: ReplayView::from(figures),
        }
    }
}

impl From<&Proposal> for ProposalView {
    fn from(proposal: &Proposal) -> Self {
        let Proposal { row, proposed, .. } = proposal;
        let decision = row.decision.as_ref();
        let outcome = decision.map(|decision| &decision.outcome);
        let (reason, publication) = match outcome {
            Some(ProposalOutcome::Rejected { reason }) => (Some(reason.clone()), None),
            Some(ProposalOutcome::Approved { publication }) => (None, Some(*publication)),
            Some(ProposalOutcome::Superseded) | None => (None, None),
        };
        Self {
            proposal: row.number,
            state: outcome.map_or("waiting", ProposalOutcome::word),
            at: time(row.proposed_ms),
            author: row.author.clone(),
            note: proposed.note.clone(),
            large: proposed
                .large
                .iter()
                .map(|reason: &Large| word(reason))
                .collect(),
            approvers: proposal.approvers.clone(),
            base: proposed.base,
            heads: proposed.heads.clone(),
            rules_hash: proposed.rules_hash.clone(),
            decided_by: decision.map(|decision| decision.by.clone()),
            decided_at: decision.map(|decision| time(decision.at_ms)),
            reason,
            publication,
            replay: ReplayView::from(&proposed.figures),
        }
    }
}
