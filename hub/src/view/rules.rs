//! The rule book, its history and its publications as they are shown.

use json_patch::Patch;
use kopilka_crdt::rulebook::document::{Candidate, Change, Conflict};
use kopilka_crdt::rulebook::model::Text;
use kopilka_rules::validation::Problem;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::time;
use crate::app::entities::PublicationEntity;
use crate::app::rulebook::draft::{Draft, author_and_note};
use crate::app::rulebook::versions::{NamedDifference, RuleDiff, name_above};

/// Something that keeps a draft from being published.
#[derive(Debug, Serialize, ToSchema)]
pub struct RuleProblemView {
    /// JSON pointer to the place.
    #[schema(example = "/tiers/2/from_minor")]
    pub path: String,
    /// What is wrong.
    pub text: String,
}

impl From<Problem> for RuleProblemView {
    fn from(problem: Problem) -> Self {
        Self {
            path: problem.path,
            text: problem.text,
        }
    }
}

/// The draft.
#[derive(Debug, Serialize, ToSchema)]
pub struct RuleBookView {
    /// The rule book.
    #[schema(value_type = Object)]
    pub rules: Value,
    /// How many changes made it; an edit names it as its `base`.
    pub version: u32,
    /// What keeps it from being published.
    pub problems: Vec<RuleProblemView>,
    /// Places that people set to different values at the same time; an edit of the place settles it.
    pub conflicts: Vec<RuleConflictView>,
    /// Why this is the last good save: the latest cannot be read. The next edit goes on from here.
    pub damage: Option<String>,
}

impl From<Draft> for RuleBookView {
    fn from(draft: Draft) -> Self {
        Self {
            conflicts: RuleConflictView::all(&draft),
            rules: draft.value,
            version: draft.version,
            problems: draft
                .problems
                .into_iter()
                .map(RuleProblemView::from)
                .collect(),
            damage: draft.damage,
        }
    }
}

/// A place that people set to different values at the same time.
#[derive(Debug, Serialize, ToSchema)]
pub struct RuleConflictView {
    /// JSON pointer to it.
    #[schema(example = "/promotions/7/effects/0/off/permille")]
    pub path: String,
    /// Name of the promotion, account or tier that it is in.
    pub name: Option<RuleNameView>,
    /// The values, oldest change first.
    pub values: Vec<RuleCandidateView>,
}

/// One of a conflict's values.
#[derive(Debug, Serialize, ToSchema)]
pub struct RuleCandidateView {
    /// The value.
    pub value: Value,
    /// Whether it is the one that the draft shows.
    pub kept: bool,
    /// The change that set it.
    #[serde(flatten)]
    pub change: RuleChangeView,
}

impl RuleConflictView {
    /// The conflicts of a draft.
    pub fn all(draft: &Draft) -> Vec<Self> {
        let view = |conflict: &Conflict| Self {
            path: conflict.path.clone(),
            name: name_above(&draft.value, &conflict.path).map(RuleNameView::from),
            values: conflict
                .candidates
                .iter()
                .map(RuleCandidateView::from)
                .collect(),
        };
        draft.conflicts.iter().map(view).collect()
    }
}

impl From<&Candidate> for RuleCandidateView {
    fn from(candidate: &Candidate) -> Self {
        Self {
            value: candidate.value.clone(),
            kept: candidate.kept,
            change: RuleChangeView::from(&candidate.change),
        }
    }
}

/// A change of the draft.
#[derive(Debug, Serialize, ToSchema)]
pub struct RuleChangeView {
    /// The version of the draft that it made.
    pub version: u32,
    /// When.
    pub at: String,
    /// Who.
    pub author: String,
    /// Why.
    pub note: String,
    /// Hash of the change.
    pub hash: String,
}

impl From<&Change> for RuleChangeView {
    fn from(change: &Change) -> Self {
        let (author, note) = author_and_note(&change.message);
        let seconds = u64::try_from(change.at_seconds).unwrap_or_default();
        Self {
            version: change.version,
            at: time(seconds.saturating_mul(1_000)),
            author: author.to_owned(),
            note: note.to_owned(),
            hash: change.hash.clone(),
        }
    }
}

/// A publication.
#[derive(Debug, Serialize, ToSchema)]
pub struct PublicationView {
    /// Its number within the programme.
    pub number: u32,
    /// When.
    pub at: String,
    /// By whom.
    pub author: String,
    /// The second person who agreed, when one was needed.
    pub approved_by: Option<String>,
    /// Why.
    pub note: String,
}

impl From<&PublicationEntity> for PublicationView {
    fn from(publication: &PublicationEntity) -> Self {
        Self {
            number: publication.number,
            at: time(publication.at_ms),
            author: publication.by.clone(),
            approved_by: publication.approved_by.clone(),
            note: publication.note.clone(),
        }
    }
}

/// What differs between two versions.
#[derive(Debug, Serialize, ToSchema)]
pub struct RuleDiffView {
    /// Place by place.
    pub changes: Vec<RuleDifferenceView>,
    /// JSON Patch (RFC 6902) from the first to the second.
    #[schema(value_type = Vec<Object>)]
    pub patch: Patch,
}

/// A place that differs.
#[derive(Debug, Serialize, ToSchema)]
pub struct RuleDifferenceView {
    /// JSON pointer to it.
    #[schema(example = "/promotions/7/effects/0/off/permille")]
    pub path: String,
    /// Name of the promotion, account or tier that it is in.
    pub name: Option<RuleNameView>,
    /// What the first version has there; not given when it has nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What the second version has there; not given when it has nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// A name in the two languages of the system.
#[derive(Debug, Serialize, ToSchema)]
pub struct RuleNameView {
    /// Russian.
    pub ru: String,
    /// English.
    pub en: String,
}

impl From<Text> for RuleNameView {
    fn from(Text { ru, en }: Text) -> Self {
        Self { ru, en }
    }
}

impl From<RuleDiff> for RuleDiffView {
    fn from(diff: RuleDiff) -> Self {
        let view = |change: NamedDifference| RuleDifferenceView {
            path: change.difference.path,
            name: change.name.map(RuleNameView::from),
            before: change.difference.before,
            after: change.difference.after,
        };
        Self {
            changes: diff.changes.into_iter().map(view).collect(),
            patch: diff.patch,
        }
    }
}
