//! The command line: real processes on one store, their output, exit codes, and a hub that serves meanwhile.

#![cfg(test)]

mod bench;
mod commands;
mod drafts;
mod resources;
mod serving;
