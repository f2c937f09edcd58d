//! The replicated domain of Kopilka: no clock, network, disk, entropy or async in here; time and seeds are arguments.
//!
//! A replica's state is a fold over a set of operations ([`operation::Body`]). Everything an operation changes is a counter, a
//! grow-only map, a last-writer register ordered by ([`clock::Stamp`], [`ids::OperationId`]) or a status that only
//! moves forward, so the order of arrival does not matter and a second arrival is recognised by its identifier.

pub mod allowance;
pub mod calendar;
pub mod card;
pub mod clock;
pub mod directory;
pub mod identifier;
pub mod ids;
pub mod ledger;
pub mod log;
pub mod member;
pub mod money;
pub mod operation;
pub mod rulebook;
pub mod sealed;
