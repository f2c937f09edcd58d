//! `kopilka-simulate`: the system on one machine, for people to look at.

mod demo;
mod measure;
mod process;
mod programs;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Kopilka on one machine.
#[derive(Debug, Parser)]
#[command(name = "kopilka-simulate", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a hub and store nodes as real processes, replays real receipts, cuts stores off and blocks a card
    ///
    /// Exit codes: 0 all checks passed, 1 a check failed or the demo could not run, 2 wrong arguments.
    Demo(demo::Options),
    /// Measures what the real parts reach on this machine, each figure beside what the machine allows
    Measure(measure::Options),
}

fn main() -> ExitCode {
    let command = Arguments::parse().command;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let ended = runtime
        .map_err(anyhow::Error::from)
        .and_then(|runtime| match command {
            Command::Demo(options) => runtime.block_on(demo::run(options)),
            Command::Measure(options) => runtime.block_on(measure::run(options)),
        });
    ended.unwrap_or_else(|error| {
        eprintln!("kopilka-simulate: {error:#}");
        ExitCode::FAILURE
    })
}
