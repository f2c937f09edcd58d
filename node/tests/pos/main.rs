//! The node as tills see it: a real store, a real router, and a hub that answers as it is told.

#![cfg(test)]

mod answers;
mod budgets;
mod common;
mod contract;
mod coupons;
mod faults;
mod figures;
mod gift_cards;
mod identifiers;
mod members;
mod promotions;
mod redemption;
mod renewals;
mod replica;
mod returns;
mod sales;
mod sessions;
mod spending;
mod updates;
