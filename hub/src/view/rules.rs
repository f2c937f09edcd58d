//! The rule book, its history and its publications as they are shown.

use json_patch::Patch;
use kopilka_crdt::rulebook::document::Change;
use kopilka_rules::validation::Problem;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::time;
use crate::app::entities::PublicationEntity;
use crate::app::rulebook::draft::{Draft, author_and_note};

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
    /// What keeps it from being published.
    pub problems: Vec<RuleProblemView>,
}

impl From<Draft> for RuleBookView {
    fn from(draft: Draft) -> Self {
        Self {
            rules: draft.value,
            problems: draft
                .problems
                .into_iter()
                .map(RuleProblemView::from)
                .collect(),
        }
    }
}

/// A change of the draft.
#[derive(Debug, Serialize, ToSchema)]
pub struct RuleChangeView {
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
    /// Why.
    pub note: String,
}

impl From<&PublicationEntity> for PublicationView {
    fn from(publication: &PublicationEntity) -> Self {
        Self {
            number: publication.number,
            at: time(publication.at_ms),
            author: publication.by.clone(),
            note: publication.note.clone(),
        }
    }
}

/// What changed between two publications.
#[derive(Debug, Serialize, ToSchema)]
pub struct RuleDiffView {
    /// JSON Patch (RFC 6902) from the first to the second.
    #[schema(value_type = Vec<Object>)]
    pub patch: Patch,
}
