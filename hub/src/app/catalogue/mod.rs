//! What head office sets up: programmes, partners, stores, tills, cashiers.

pub mod cashiers;
pub mod programmes;
pub mod stores;
pub mod tills;
