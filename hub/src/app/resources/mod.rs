//! What is limited and handed out at head office: bearers' cards, members' coupons, tags, budgets of promotions.

pub mod bearers;
pub mod budgets;
pub mod bulk;
pub mod coupons;
pub mod numbers;
pub mod people;
pub mod tags;
pub mod transfer;

use std::io;

use kopilka_crdt::member::Member;
use kopilka_crdt::rulebook::model::SeriesRules;
use kopilka_rules::Programme;

use super::action::ActionError;
use super::import::Fault;

/// Why something that is done in batches stops. What was done before stays.
#[derive(Debug, thiserror::Error)]
pub enum BulkError {
    /// The action itself cannot be done.
    #[error(transparent)]
    Action(#[from] ActionError),
    /// The list cannot be read.
    #[error("cannot read the list: {0}")]
    List(#[from] csv::Error),
    /// The output or the report cannot be written.
    #[error("cannot write: {0}")]
    Write(#[source] io::Error),
}

/// Follows what is done in batches.
pub trait Watcher {
    /// How far it is: cards, bytes of the list, or members looked at.
    fn progress(&mut self, done: u64);

    /// A line was not taken.
    fn fault(&mut self, fault: &Fault) -> io::Result<()>;
}

/// Whether a record is a bearer's card and no member.
pub fn is_bearers(member: &Member) -> bool {
    member.cards.values().any(|card| card.kind.is_bearers())
}

/// A series of the rules in force.
pub fn series<'a>(rules: &'a Programme, code: &str) -> Result<&'a SeriesRules, ActionError> {
    let found = rules.rules().coupons.get(code);
    found.ok_or_else(|| ActionError::not_found("series", code))
}
