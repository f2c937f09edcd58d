//! The rule book as an Automerge document: a draft that several people edit, with its history.
//!
//! A *version* is the document after its first so many changes: version 3 is what three changes made. An edit names the
//! version that its writer saw. Where others changed other places meanwhile, both edits hold; where they set the same
//! place, Automerge keeps one value and [`Document::conflicts`] tells of both; what would fall silently is refused.
//!
//! Automerge had bugs that damaged saved documents as late as 2026-07, so a save is verified by loading it again
//! before anyone keeps it, and callers keep the last good one.

mod conflict;
mod tree;

use std::collections::BTreeSet;

use automerge::{AutoCommit, ChangeHash, ROOT};
use serde_json::Value;

pub use conflict::{Candidate, Conflict};

use super::difference::differences;

/// Largest saved document, in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Why a document cannot be read or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// Automerge refused.
    #[error("the rule book document is damaged: {0}")]
    Damaged(String),
    /// A fraction, or a value that JSON patch cannot place here.
    #[error("{0}: rule books hold whole numbers, texts, booleans, lists and maps")]
    Unsupported(String),
    /// Larger than [`DOCUMENT_BYTES_MAX`] or nested too deeply.
    #[error("the rule book document is too large")]
    TooLarge,
    /// No such version.
    #[error("the draft has versions 1 to {latest}, and no version {version}")]
    Version {
        /// As it was asked for.
        version: u32,
        /// The present one.
        latest: u32,
    },
    /// One edit removes or replaces what the other changed inside.
    #[error("{path}: was changed since version {base}, and both changes cannot hold")]
    Overlap {
        /// JSON pointer to the place.
        path: String,
        /// The version that the edit was made on.
        base: u32,
    },
}

impl From<automerge::AutomergeError> for DocumentError {
    fn from(error: automerge::AutomergeError) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// One entry of a document's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The version that it made.
    pub version: u32,
    /// Hash of the change, hexadecimal.
    pub hash: String,
    /// Seconds since 1970.
    pub at_seconds: i64,
    /// Who and why.
    pub message: String,
}

/// What somebody makes of the document.
#[derive(Debug, Clone, Copy)]
pub struct Edit<'a> {
    /// The version that they saw.
    pub base: u32,
    /// What its content is to become.
    pub value: &'a Value,
    /// JSON pointers to the places that they set on purpose: conflicts there and below are settled by this edit.
    pub named: &'a [String],
    /// Seconds since 1970.
    pub at_seconds: i64,
    /// Who and why.
    pub message: &'a str,
}

/// A rule book draft.
pub struct Document {
    automerge: AutoCommit,
}

impl Document {
    /// A new document that holds `value`, written by `actor`.
    pub fn create(
        value: &Value,
        actor: &[u8],
        at_seconds: i64,
        message: &str,
    ) -> Result<Self, DocumentError> {
        let mut automerge = AutoCommit::new();
        automerge.set_actor(actor.into());
        let mut document = Self { automerge };
        document.write(value, &[], at_seconds, message)?;
        Ok(document)
    }

    /// Reads a saved document; later changes are `actor`'s.
    pub fn load(bytes: &[u8], actor: &[u8]) -> Result<Self, DocumentError> {
        if bytes.len() > DOCUMENT_BYTES_MAX {
            return Err(DocumentError::TooLarge);
        }
        let mut automerge = AutoCommit::load(bytes)?;
        automerge.set_actor(actor.into());
        Ok(Self { automerge })
    }

    /// Saves, and makes sure that the save reads back to the same content and history.
    pub fn save(&mut self) -> Result<Vec<u8>, DocumentError> {
        let bytes = self.automerge.save();
        let mut again = Self::load(&bytes, b"verify")?;
        if again.value()? != self.value()? || again.history() != self.history() {
            return Err(DocumentError::Damaged(
                "a saved copy reads back differently".to_owned(),
            ));
        }
        Ok(bytes)
    }

    /// The content as JSON.
    pub fn value(&self) -> Result<Value, DocumentError> {
        tree::read_root(&self.automerge)
    }

    /// The content that a version had.
    pub fn value_at(&mut self, version: u32) -> Result<Value, DocumentError> {
        let heads = self.heads_at(version)?;
        self.automerge.isolate(&heads);
        let value = self.value();
        self.automerge.integrate();
        value
    }

    /// The present version.
    pub fn version(&mut self) -> u32 {
        count(self.automerge.get_changes_meta(&[]).len())
    }

    /// Takes in an edit of the present or of an earlier version.
    pub fn edit(&mut self, edit: Edit<'_>) -> Result<(), DocumentError> {
        let Edit {
            base,
            value,
            named,
            at_seconds,
            message,
        } = edit;
        if base == self.version() {
            return self.write(value, named, at_seconds, message);
        }
        let seen = self.value_at(base)?;
        let (mine, theirs) = (
            differences(&seen, value),
            differences(&seen, &self.value()?),
        );
        if let Some(path) = conflict::overlap(&mine, &theirs) {
            return Err(DocumentError::Overlap { path, base });
        }
        let heads = self.heads_at(base)?;
        self.automerge.isolate(&heads);
        let written = self.write(value, named, at_seconds, message);
        self.automerge.integrate();
        written
    }

    /// Places that people set at the same time, not knowing of each other, and that nobody has set since.
    pub fn conflicts(&mut self) -> Result<Vec<Conflict>, DocumentError> {
        let history = self.history();
        conflict::all(&self.automerge, &history)
    }

    /// Hashes of the changes that no other change follows, hexadecimal: they name this very state of the document.
    pub fn heads(&mut self) -> Vec<String> {
        let heads = self.automerge.get_heads();
        let mut named: Vec<String> = heads.iter().map(ToString::to_string).collect();
        named.sort_unstable();
        named
    }

    /// All changes, oldest first.
    pub fn history(&mut self) -> Vec<Change> {
        let changes = self.automerge.get_changes_meta(&[]);
        changes
            .iter()
            .enumerate()
            .map(|(index, change)| Change {
                version: count(index + 1),
                hash: change.hash.to_string(),
                at_seconds: change.timestamp,
                message: change.message.as_deref().unwrap_or_default().to_owned(),
            })
            .collect()
    }

    /// Turns the content into `value`, touching only what differs.
    fn write(
        &mut self,
        value: &Value,
        named: &[String],
        at_seconds: i64,
        message: &str,
    ) -> Result<(), DocumentError> {
        let Value::Object(target) = value else {
            return Err(DocumentError::Unsupported("/".to_owned()));
        };
        let written = tree::write_map(&mut self.automerge, &ROOT, target, 0)
            .and_then(|()| conflict::settle(&mut self.automerge, value, named));
        if written.is_err() {
            self.automerge.rollback();
            return written;
        }
        let options = automerge::transaction::CommitOptions::default()
            .with_message(message)
            .with_time(at_seconds);
        self.automerge.commit_with(options);
        Ok(())
    }

    /// What no other change of a version builds on.
    fn heads_at(&mut self, version: u32) -> Result<Vec<ChangeHash>, DocumentError> {
        let changes = self.automerge.get_changes_meta(&[]);
        let latest = count(changes.len());
        let wanted = usize::try_from(version).unwrap_or(usize::MAX);
        if wanted == 0 || wanted > changes.len() {
            return Err(DocumentError::Version { version, latest });
        }
        let mut heads = BTreeSet::new();
        for change in changes.iter().take(wanted) {
            for earlier in &change.deps {
                heads.remove(earlier);
            }
            heads.insert(change.hash);
        }
        Ok(heads.into_iter().collect())
    }
}

fn count(changes: usize) -> u32 {
    u32::try_from(changes).expect("16 MiB hold fewer changes than 2³²")
}

#[cfg(test)]
mod tests;
