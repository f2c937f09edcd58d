//! The store node as a library: what the `kopilka-node` program and its tests are made of.

pub mod api;
pub mod app;
pub mod config;
pub mod identity;
mod record;
pub mod store;
pub mod sync;
