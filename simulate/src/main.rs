//! `kopilka-simulate`: the system on one machine, for people to look at.

mod demo;

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
}

fn main() -> anyhow::Result<std::process::ExitCode> {
    let Command::Demo(options) = Arguments::parse().command;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(demo::run(options))
}
