//! The ledger: lots of points, accounts made of lots, and the fold that turns operations into member state.

pub mod account;
pub mod fold;
pub mod lot;

pub use account::{Account, AccountView, Take};
pub use fold::{FoldError, apply};
pub use lot::{Cause, Lot};
