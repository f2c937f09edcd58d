//! A store's node with the whole programme: how it gets its members, what they weigh, and how fast tills are served.

mod bootstrap;
mod in_process;
mod tills;

use std::path::{Path, PathBuf};

use anyhow::Context;
use kopilka_hub::store::StoreSettings;

use super::chain::{Chain, Serving};
use super::figures::{Figure, Table as Figures, grouped, megabytes, times};
use super::node::{NodeProcess, disk_bytes};
use super::{Bench, machine, people, progress};
use crate::programs::Programs;

/// The number of members that targets speak of.
const MEMBERS_OF_TARGETS: u64 = 1_000_000;
const MEMORY_BYTES_MAX: u64 = 200_000_000;
const DISK_BYTES_MAX: u64 = 300_000_000;

const DISK: &str = "Identifiers arrive in no order, so pages of their tree are two thirds full; each member has two.";
const MEMORY: &str = "The store's cache and the allocator's reserve after the bootstrap.";

/// The whole part: a hub with members, and the nodes that fetch them.
struct Stage {
    chain: Chain,
    serving: Serving,
    program: PathBuf,
    folder: PathBuf,
    members: u64,
}

/// Measures.
pub async fn measure(bench: &Bench) -> anyhow::Result<Figures> {
    let folder = bench.folder("replica")?;
    let stage = Stage::open(bench, folder.path()).await?;
    let mut figures = Vec::new();
    let node_folder = folder.path().join("whole");
    let raw = stage.raw_bytes().await?;
    let (node, whole) = stage.bootstrap(&node_folder, raw, &mut figures).await?;
    stage
        .cut(&folder.path().join("cut"), whole, &mut figures)
        .await?;
    let node = stage
        .kill_and_reopen(node, &node_folder, &mut figures)
        .await?;
    stage.over_http(bench, &node, &mut figures).await?;
    stage.weigh(&node, &node_folder, raw, &mut figures)?;
    node.kill().await?;
    stage.in_process(bench, &node_folder, &mut figures).await?;
    stage.serving.stop().await?;
    Ok(Figures {
        title: "A node with the whole programme",
        method: format!(
            "{} members with {} accounts of one lot each, a card and a phone, in a hub on SQLite; a real `kopilka-node` process \
             with the default engine and cache fetches them over loopback QUIC. Tills are kept HTTP connections of another \
             process on the same processors; receipts have four lines.",
            grouped(stage.members),
            people::ACCOUNTS
        ),
        figures,
    })
}

impl Stage {
    async fn open(bench: &Bench, folder: &Path) -> anyhow::Result<Self> {
        let programs = Programs::locate(|| progress::part("building what is out of date")).await?;
        let path = folder.join("hub.db");
        let chain = Chain::open(&StoreSettings::Sqlite { path }).await?;
        let members = bench.scale.members;
        chain
            .fill(members, &progress::bar("members into the hub", members))
            .await?;
        Ok(Self {
            serving: chain.serve()?,
            chain,
            program: programs.node,
            folder: folder.to_owned(),
            members,
        })
    }

    /// Bytes of all records and identifiers, without any structure around them.
    async fn raw_bytes(&self) -> anyhow::Result<u64> {
        let today = self.chain.today().await?;
        let sample = 1_000.min(self.members);
        let bytes: usize = (0..sample)
            .map(|number| {
                let person = people::person(number, &self.chain.lookup, today);
                // The record under 8 bytes of key, and 8 bytes of member under 16 of each identifier.
                8 + person.member.encode().len() + person.identifiers.len() * 24
            })
            .sum();
        Ok(u64::try_from(bytes)? * self.members / sample)
    }

    /// Targets speak of a million members: with fewer of them nothing is judged.
    fn judged(&self, figure: Figure, target: &str, met: bool, obstacle: &'static str) -> Figure {
        if self.members == MEMBERS_OF_TARGETS {
            figure.target(target, met).obstacle(obstacle)
        } else {
            figure
        }
    }

    fn weigh(
        &self,
        node: &NodeProcess,
        folder: &Path,
        raw: u64,
        figures: &mut Vec<Figure>,
    ) -> anyhow::Result<()> {
        let (memory, _) = machine::resident(node.id()?).context("the node is a process")?;
        let disk = disk_bytes(folder)?;
        let limit = format!("records and identifiers alone: {}", megabytes(raw));
        let figure = Figure::new(
            "resident memory after a fresh start and the load above",
            megabytes(memory),
        )
        .limit(&limit, times(memory, raw));
        figures.push(self.judged(figure, "≤ 200 MB", memory <= MEMORY_BYTES_MAX, MEMORY));
        let figure = Figure::new("disk", megabytes(disk)).limit(&limit, times(disk, raw));
        figures.push(self.judged(figure, "≤ 300 MB", disk <= DISK_BYTES_MAX, DISK));
        Ok(())
    }
}
