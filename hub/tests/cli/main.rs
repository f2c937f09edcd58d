//! The command line: real processes on one store, their output, exit codes, and a hub that serves meanwhile.

#![cfg(test)]

mod bench;
mod commands;
mod drafts;
mod publishing;
mod resources;
#[path = "../shared/sales.rs"]
mod sales;
mod serving;
