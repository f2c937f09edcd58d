//! The rule book: the programme's rules as a document that head office edits, and the publications that nodes run.

pub mod delta;
pub mod difference;
pub mod document;
pub mod model;
pub mod publication;
pub mod schema;

pub use delta::{Delta, DeltaError};
pub use document::{Document, DocumentError};
pub use model::RuleBook;
pub use publication::{Publication, PublicationError};
