//! The admin interface over a real store: sessions, roles, catalogue, rules, members, blocks, audit.

#![cfg(test)]

mod catalogue;
mod contract;
mod drafts;
mod house;
mod import;
mod members;
mod promotions;
mod publications;
mod resources;
mod rules;
#[path = "../shared/sales.rs"]
mod sales;
mod sessions;
