//! The rule book at head office: a draft that people edit, and the publications that stores run.

pub mod approval;
pub mod draft;
#[cfg(test)]
pub mod gallery;
pub mod kill;
pub mod publish;
pub mod replay;
mod saves;
pub mod versions;

use kopilka_crdt::rulebook::document::Conflict;
use kopilka_crdt::rulebook::model::RULE_BOOK_SCHEMA;
use kopilka_crdt::rulebook::{DocumentError, RuleBook};
use kopilka_rules::validation::Problem;
use serde_json::Value;

use crate::app::action::ActionError;
use crate::store::StoreError;

/// Why the rule book was not changed or published.
#[derive(Debug, thiserror::Error)]
pub enum RuleBookError {
    /// The action itself cannot be done.
    #[error(transparent)]
    Action(#[from] ActionError),
    /// The patch does not apply.
    #[error("{path}: {reason}")]
    Patch {
        /// JSON pointer to where it failed.
        path: String,
        /// Why.
        reason: String,
    },
    /// The patched draft would not be a rule book.
    #[error("{path}: {reason}")]
    Shape {
        /// JSON pointer to the place.
        path: String,
        /// Why.
        reason: String,
    },
    /// Together with what others changed since, the draft would not be a rule book.
    #[error(
        "with what was changed since version {base}, the draft would not be a rule book: {reason}"
    )]
    Merge {
        /// The version that the edit was made on.
        base: u32,
        /// Where and why.
        reason: String,
    },
    /// The document cannot hold this, or has no such version.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The draft or the rules in force are not those of the proposal any more.
    #[error("the draft or the rules in force have changed since the proposal was made")]
    Stale,
    /// Whoever asked for a publication cannot agree to it.
    #[error("a proposal is approved by somebody other than its author")]
    OwnProposal,
    /// The role does not allow decisions about proposals.
    #[error("your role does not decide about proposals")]
    NoApprover,
    /// The proposal does not wait any more.
    #[error("the proposal was {0} already")]
    Settled(&'static str),
    /// The draft contradicts itself and cannot be published.
    #[error("the rule book has {} problems", .0.len())]
    Problems(Vec<Problem>),
    /// People set places at the same time, and nobody has chosen yet.
    #[error("places were set to different values at the same time: {}", .0.len())]
    Conflicts(Vec<Conflict>),
    /// The latest save is damaged, and nobody has edited the one before it since.
    #[error(
        "the draft's latest save is damaged ({reason}); version {version} is the last good one"
    )]
    Recovered {
        /// What is wrong with it.
        reason: String,
        /// The version that is shown in its place.
        version: u32,
    },
    /// No save of the draft can be read.
    #[error("no save of the draft can be read: {reason}")]
    Lost {
        /// What is wrong with the latest.
        reason: String,
    },
}

impl From<StoreError> for RuleBookError {
    fn from(error: StoreError) -> Self {
        Self::Action(error.into())
    }
}

/// Reads a rule book of this schema or of an earlier one, and says where a value does not fit.
pub fn parse(value: &Value) -> Result<RuleBook, RuleBookError> {
    let mut rules: RuleBook =
        serde_path_to_error::deserialize(value).map_err(|error| RuleBookError::Shape {
            path: pointer(error.path()),
            reason: error.inner().to_string(),
        })?;
    if !(1..=RULE_BOOK_SCHEMA).contains(&rules.schema) {
        return Err(RuleBookError::Shape {
            path: "/schema".to_owned(),
            reason: format!("this program knows schemas 1 to {RULE_BOOK_SCHEMA}"),
        });
    }
    rules.schema = RULE_BOOK_SCHEMA;
    Ok(rules)
}

/// A rule book as JSON.
pub fn value_of(rules: &RuleBook) -> Value {
    serde_json::to_value(rules).expect("a rule book is plain data with string keys")
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter()
        .map(|segment| match segment {
            Segment::Seq { index } => format!("/{index}"),
            Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            Segment::Enum { variant } => format!("/{variant}"),
            Segment::Unknown => "/?".to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod schema_tests;
#[cfg(test)]
mod tests {
    use kopilka_crdt::rulebook::model::Text;

    use super::*;

    #[test]
    fn a_wrong_value_is_named_by_its_place() {
        let mut value =
            serde_json::to_value(RuleBook::starter(Text::new("Копилка", "Kopilka"))).unwrap();
        assert!(parse(&value).is_ok());
        value["tiers"][1]["earn_permille"] = "many".into();
        let Err(RuleBookError::Shape { path, .. }) = parse(&value) else {
            panic!("a text is not a number");
        };
        assert_eq!(path, "/tiers/1/earn_permille");
    }
}
