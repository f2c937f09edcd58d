//! How fast the hub takes logs in: decoded, verified, judged, durable; on each of its stores.

use std::fs::File;
use std::io::Write;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use ed25519_dalek::SigningKey;
use kopilka_hub::app::entities::NodeEntity;
use kopilka_hub::app::intake::{Arrived, Intake, Taken};
use kopilka_hub::store::StoreSettings;
use kopilka_protocol::codec;
use kopilka_protocol::limits::SEGMENTS_IN_FLIGHT_MAX;
use kopilka_protocol::message::NodeMessage;
use kopilka_shell::clock;
use tokio::sync::oneshot;

use super::chain::Chain;
use super::figures::{Figure, Table, grouped, median, nanos, rate, times};
use super::postgres::{self, Database};
use super::sales::Seller;
use super::{Bench, progress};

/// Nodes that send at once.
const NODES: u64 = 8;
/// Operations of a segment.
const SEGMENT_SALES: u64 = 256;
/// Operations that intake makes durable at once.
const SYNC_SALES: u64 = 4_096;
/// Feed partitions of the measured PostgreSQL database: the hub's default.
const PARTITIONS: u16 = 16;
const SQLITE_MIN: u64 = 20_000;
const POSTGRES_MIN: u64 = 10_000;
const SQLITE: &str = "SQLite has one writer: loading and writing some four rows for each operation takes one core, while \
    verification and judging share the other with the load.";
const POSTGRES: &str =
    "The database's own processes share the two cores with the hub and with the load.";

/// One node's frames of one round.
type Frames = Vec<Vec<u8>>;

/// Measures.
pub async fn measure(bench: &Bench) -> anyhow::Result<Table> {
    let folder = bench.folder("intake")?;
    let path = folder.path().join("hub.db");
    let sqlite = Chain::open(&StoreSettings::Sqlite { path }).await?;
    let mut figures =
        one_store(bench, folder.path(), &sqlite, "SQLite", SQLITE_MIN, SQLITE).await?;
    match Database::create().await? {
        Some(database) => {
            let settings = StoreSettings::Postgres {
                url: database.url.clone(),
                partitions: PARTITIONS,
            };
            let chain = Chain::open(&settings).await?;
            let more = one_store(
                bench,
                folder.path(),
                &chain,
                "PostgreSQL",
                POSTGRES_MIN,
                POSTGRES,
            )
            .await;
            drop(chain);
            database.drop().await?;
            figures.extend(more?.into_iter().take(1));
        }
        None => figures.push(Figure::new(
            "hub intake on PostgreSQL",
            format!("not measured: {} is not set", postgres::VARIABLE),
        )),
    }
    Ok(Table {
        title: "Intake at the hub",
        method: format!(
            "{NODES} nodes send segments of {SEGMENT_SALES} purchases of four lines by {} members; each frame is decoded, its \
             chain and signature verified, its purchases judged (priced again), stored and synced before it counts. Median \
             of {} rounds of {} operations. Making the segments is not counted.",
            grouped(bench.scale.intake_members),
            bench.scale.intake_rounds,
            grouped(bench.scale.intake_operations)
        ),
        figures,
    })
}

async fn one_store(
    bench: &Bench,
    folder: &std::path::Path,
    chain: &Chain,
    name: &str,
    least: u64,
    obstacle: &'static str,
) -> anyhow::Result<Vec<Figure>> {
    let members = bench.scale.intake_members;
    chain
        .fill(
            members,
            &progress::bar(&format!("members into {name}"), members),
        )
        .await?;
    let mut sellers = sellers(chain, members).await?;
    let intake = Intake::start(chain.hub.clone());
    let bar = progress::bar(
        &format!("rounds of intake on {name}"),
        bench.scale.intake_rounds,
    );
    let (mut rates, mut verifying, mut writing) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.scale.intake_rounds {
        let frames = frames(
            &mut sellers,
            bench.scale.intake_operations / NODES / SEGMENT_SALES,
        )?;
        let operations = count(&frames) * SEGMENT_SALES;
        verifying.push(rate(operations, verify_alone(&frames, &sellers)?));
        writing.push(rate(operations, write_alone(folder, &frames)?));
        let taken = take_in(&intake, &sellers, frames).await?;
        rates.push(rate(operations, taken));
        bar.advance(1);
    }
    let (rate, verifying, writing) = (
        median(&mut rates),
        median(&mut verifying),
        median(&mut writing),
    );
    let per_second = |rate: u64| format!("{} operations/s", grouped(rate));
    let figure = Figure::new(format!("hub intake on {name}"), per_second(rate))
        .target(format!("≥ {}/s", grouped(least)), rate >= least)
        .limit(
            format!(
                "decoding and verifying alone, one core: {}/s",
                grouped(verifying)
            ),
            times(rate, verifying),
        )
        .obstacle(obstacle);
    let bare = Figure::new(
        "the same bytes appended to a file, synced every 4,096 operations",
        per_second(writing),
    );
    Ok(vec![figure, bare])
}

async fn sellers(chain: &Chain, members: u64) -> anyhow::Result<Vec<Seller<'_>>> {
    let keys: Vec<_> = (0..NODES)
        .map(|_| SigningKey::from_bytes(&clock::random_bytes()))
        .collect();
    let nodes = chain.enrol(&keys).await?;
    let mut sellers = Vec::new();
    for (node, key) in nodes.into_iter().zip(keys) {
        sellers.push(Seller::new(chain, node, key, members).await?);
    }
    Ok(sellers)
}

fn frames(sellers: &mut [Seller<'_>], segments: u64) -> anyhow::Result<Vec<Frames>> {
    let one = |seller: &mut Seller<'_>| -> anyhow::Result<Frames> {
        (0..segments.max(1))
            .map(|_| {
                let segment = seller.segment(SEGMENT_SALES)?;
                let keys = Vec::new();
                Ok(codec::encode(&NodeMessage::Segment { segment, keys })?)
            })
            .collect()
    };
    sellers.iter_mut().map(one).collect()
}

fn count(frames: &[Frames]) -> u64 {
    frames
        .iter()
        .map(|frames| u64::try_from(frames.len()).unwrap_or(u64::MAX))
        .sum()
}

/// What the hub makes of a frame before intake.
fn arrived(frame: &[u8], node: &NodeEntity) -> anyhow::Result<Arrived> {
    match codec::decode(frame)? {
        NodeMessage::Segment { segment, keys } => Ok(Arrived {
            node: node.clone(),
            run: segment.verify(&node.key)?,
            keys,
        }),
        NodeMessage::Branch { .. } | NodeMessage::Seen(_) => bail!("only segments were made"),
    }
}

fn verify_alone(frames: &[Frames], sellers: &[Seller<'_>]) -> anyhow::Result<u64> {
    let started = Instant::now();
    for (frames, seller) in frames.iter().zip(sellers) {
        for frame in frames {
            std::hint::black_box(arrived(frame, &seller.node)?);
        }
    }
    Ok(nanos(started.elapsed()))
}

fn write_alone(folder: &std::path::Path, frames: &[Frames]) -> anyhow::Result<u64> {
    let mut file = File::create(folder.join("bare"))?;
    let together = usize::try_from(SYNC_SALES / SEGMENT_SALES)?;
    let all: Vec<_> = frames.iter().flatten().collect();
    let started = Instant::now();
    for batch in all.chunks(together) {
        for frame in batch {
            file.write_all(frame)?;
        }
        file.sync_data()?;
    }
    Ok(nanos(started.elapsed()))
}

/// Nanoseconds until everything that all nodes send is durable.
async fn take_in(
    intake: &Intake,
    sellers: &[Seller<'_>],
    frames: Vec<Frames>,
) -> anyhow::Result<u64> {
    let started = Instant::now();
    let tasks: Vec<_> = frames
        .into_iter()
        .zip(sellers)
        .map(|(frames, seller)| tokio::spawn(send(intake.clone(), seller.node.clone(), frames)))
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(nanos(started.elapsed()))
}

/// As a session does: so many segments are under way at most.
async fn send(intake: Intake, node: NodeEntity, frames: Frames) -> anyhow::Result<()> {
    let mut waiting = std::collections::VecDeque::new();
    for frame in frames {
        if waiting.len() == SEGMENTS_IN_FLIGHT_MAX {
            durable(waiting.pop_front()).await?;
        }
        waiting.push_back(intake.submit(arrived(&frame, &node)?).await);
    }
    while !waiting.is_empty() {
        durable(waiting.pop_front()).await?;
    }
    Ok(())
}

async fn durable(waiting: Option<oneshot::Receiver<Taken>>) -> anyhow::Result<()> {
    match waiting.context("something is under way")?.await? {
        Taken::Durable(_, notes) => {
            let first = notes.first().map_or("", |note| note.reason.as_str());
            ensure!(notes.is_empty(), "every sale is accepted, but: {first}");
            Ok(())
        }
        other @ (Taken::Diverged | Taken::Ended(_) | Taken::Refused(_)) => {
            bail!("not taken in: {other:?}")
        }
    }
}
