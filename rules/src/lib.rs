//! Decisions as pure functions: no clock, network, disk, entropy or async; moments are arguments.
//!
//! Entry points: [`Programme::compile`] once a publication, then [`pricing::quote`] and [`redemption::authorise`] at
//! the node, [`reversal::reverse`] for returns, [`verdict::judge`] and [`placement`] at the hub, and
//! [`validation::problems`] and [`replay`] before a rule book is published.

pub mod gift_card;
pub mod moment;
mod period;
pub mod placement;
pub mod pricing;
pub mod programme;
pub mod promotion;
pub mod redemption;
pub mod replay;
pub mod repricing;
pub mod reversal;
pub mod tier;
pub mod validation;
pub mod verdict;

pub use moment::Moment;
pub use programme::Programme;
