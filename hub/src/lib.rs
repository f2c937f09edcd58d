//! The hub as a library: the process in `main.rs` and the tests drive the same parts.

pub mod api;
pub mod app;
pub mod cli;
pub mod config;
pub mod store;
pub mod sync;
pub mod view;
