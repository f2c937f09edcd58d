//! `measure`: what the real parts reach on this machine, each figure beside what the machine allows.

mod blocks;
mod chain;
mod disk;
mod echo;
mod figures;
mod intake;
mod load;
mod local;
mod machine;
mod node;
mod people;
mod postgres;
mod progress;
mod replica;
mod report;
mod rules;
mod sales;
mod session;
mod signatures;
mod wire;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueEnum};
use tempfile::TempDir;

use figures::Table;

/// What to measure, and where to write it.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Measure 100,000 members and smaller counts, in under a minute
    #[arg(long)]
    quick: bool,
    /// Measure these parts alone
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAME,…")]
    only: Vec<Part>,
    /// Write the tables to a Markdown file as well
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Folder on the disk to measure; default: where this program lies
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// A part of the measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Durable answers beside a bare disk sync
    Disk,
    /// A node with all members: bootstrap, memory, disk, identify and quote
    Replica,
    /// Operations per second at the hub
    Intake,
    /// Bytes of an operation
    Wire,
    /// A block order to connected nodes
    Blocks,
    /// New rules to connected nodes
    Rules,
    /// Signatures and hash chains
    Signatures,
}

const PARTS: [Part; 7] = [
    Part::Disk,
    Part::Replica,
    Part::Intake,
    Part::Wire,
    Part::Blocks,
    Part::Rules,
    Part::Signatures,
];

/// How much of everything.
struct Scale {
    disk_rounds: u64,
    syncs: u64,
    members: u64,
    rounds: u64,
    asks_each: u64,
    reads: u64,
    intake_members: u64,
    intake_operations: u64,
    intake_rounds: u64,
    connections: u64,
    orders: u64,
    publications: u64,
}

const FULL: Scale = Scale {
    disk_rounds: 5,
    syncs: 300,
    members: 1_000_000,
    rounds: 3,
    asks_each: 1_000,
    reads: 20_000,
    intake_members: 200_000,
    intake_operations: 65_536,
    intake_rounds: 5,
    connections: 1_000,
    orders: 7,
    publications: 7,
};

const QUICK: Scale = Scale {
    disk_rounds: 3,
    syncs: 60,
    members: 100_000,
    rounds: 1,
    asks_each: 300,
    reads: 4_000,
    intake_members: 20_000,
    intake_operations: 16_384,
    intake_rounds: 3,
    connections: 200,
    orders: 3,
    publications: 3,
};

/// What every part needs.
struct Bench {
    scale: Scale,
    base: PathBuf,
}

impl Bench {
    /// A folder on the measured disk, gone when it is dropped.
    fn folder(&self, name: &str) -> anyhow::Result<TempDir> {
        let prefix = format!("measure-{name}-");
        tempfile::Builder::new()
            .prefix(&prefix)
            .tempdir_in(&self.base)
            .with_context(|| format!("cannot write in {}", self.base.display()))
    }
}

/// Measures what is asked for, prints the tables, and writes them where that is asked for.
///
/// A missed target is a figure like any other; the exit code is 1 only when something could not be measured.
pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let own = std::env::current_exe().context("this program does not know where it is")?;
    let beside = own.parent().unwrap_or(Path::new(".")).to_owned();
    let bench = Bench {
        scale: if options.quick { QUICK } else { FULL },
        base: options.folder.clone().unwrap_or(beside),
    };
    let load_before = machine::load_average();
    let mut tables = Vec::new();
    for part in PARTS {
        if options.only.is_empty() || options.only.contains(&part) {
            let table = Box::pin(one(part, &bench)).await?;
            say(&report::plain(&table));
            tables.push(table);
        }
    }
    if let Some(path) = &options.write {
        let mut machine = machine::describe(&bench.base);
        machine.push(("Load average before the run", load_before));
        let text = report::markdown(&tables, &machine, options.quick);
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn one(part: Part, bench: &Bench) -> anyhow::Result<Table> {
    match part {
        Part::Disk => {
            progress::part("durable answers");
            disk::measure(bench).await
        }
        Part::Replica => {
            progress::part("a node with the whole programme");
            replica::measure(bench).await
        }
        Part::Intake => {
            progress::part("intake at the hub");
            intake::measure(bench).await
        }
        Part::Wire => {
            progress::part("bytes on the wire");
            wire::measure(bench).await
        }
        Part::Blocks => {
            progress::part("a block order to every store");
            blocks::measure(bench).await
        }
        Part::Rules => {
            progress::part("new rules to every store");
            rules::measure(bench).await
        }
        Part::Signatures => Ok(signatures::measure(bench)),
    }
}

fn say(text: &str) {
    // Nobody is left to tell when the reader has closed the pipe.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}
