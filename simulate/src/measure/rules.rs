//! What one changed field of a large rule book costs on the wire, and how soon it is in force at connected nodes.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use ed25519_dalek::SigningKey;
use kopilka_crdt::ids::PromotionId;
use kopilka_crdt::rulebook::RuleBook;
use kopilka_crdt::rulebook::model::Promotion;
use kopilka_hub::store::StoreSettings;
use kopilka_node::app::App;
use kopilka_node::identity;
use kopilka_node::store::{CACHE_BYTES_DEFAULT, EngineKind};
use kopilka_protocol::codec::decode;
use kopilka_protocol::limits::FRAME_BYTES_MAX;
use kopilka_protocol::message::{Channel, FeedMessage, Seen};
use kopilka_shell::frame_io::FrameReader;
use kopilka_shell::{clock, key_file, shutdown};
use serde_json::json;
use tokio::task::JoinSet;

use super::chain::{Chain, Serving, rule_book};
use super::figures::{Figure, Table, grouped, median, megabytes, nanos, time, times};
use super::session::Session;
use super::{Bench, progress};

const PROMOTIONS: u32 = 10_000;
const NODES: usize = 4;
const UPDATE_BYTES_MAX: u64 = 1_024;
const SIGNATURE_BYTES: u64 = 64;
/// In front of each frame.
const LENGTH_BYTES: usize = 4;
const IN_FORCE_NANOS_MAX: u64 = 1_000_000_000;
/// How long something may take before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(1);
const IN_FORCE: &str = "The hub compares the publications once; each node rebuilds, checks, compiles and stores the rules, \
    and all of them share the processors here.";

/// A node in this process, with its engine on the disk.
struct Node {
    app: App,
    _shutdown: shutdown::ShutdownTrigger,
}

/// Measures.
pub async fn measure(bench: &Bench) -> anyhow::Result<Table> {
    let folder = bench.folder("rules")?;
    let path = folder.path().join("hub.db");
    let chain = Chain::open(&StoreSettings::Sqlite { path }).await?;
    let mut rules = large()?;
    let first = chain.publish(&rules, "many").await?;
    let serving = chain.serve()?;
    let mut dialling = JoinSet::new();
    let mut nodes = Vec::with_capacity(NODES);
    for number in 0..NODES {
        let folder = folder.path().join(format!("node{number}"));
        nodes.push(open(&chain, &serving, &folder, &mut dialling).await?);
    }
    in_force(&nodes, first).await?;
    let (mut taken, mut bytes) = (Vec::new(), Vec::new());
    let bar = progress::bar("publications", bench.scale.publications);
    for round in 1..=bench.scale.publications {
        change(&mut rules, round)?;
        let started = Instant::now();
        let number = chain.publish(&rules, "one field").await?;
        in_force(&nodes, number).await?;
        taken.push(nanos(started.elapsed()));
        bytes.push(update_bytes(&chain, &serving, number - 1).await?);
        bar.advance(1);
    }
    let whole = chain.hub.publication(chain.programme, first).await?;
    let whole = whole.context("it was published")?.publication;
    let compiling = Instant::now();
    kopilka_rules::Programme::compile(&whole)?;
    let compiling = nanos(compiling.elapsed());
    dialling.abort_all();
    serving.stop().await?;
    let whole = u64::try_from(whole.rules.len())?;
    Ok(table(
        median(&mut taken),
        compiling,
        median(&mut bytes),
        whole,
    ))
}

fn table(taken: u64, compiling: u64, bytes: u64, whole: u64) -> Table {
    let limit = format!("compiling them once: {}", time(compiling));
    let figures = vec![
        Figure::new(
            "one changed field, all bytes of the frame that brings it",
            format!("{} bytes", grouped(bytes)),
        )
        .target(
            "≤ 1 KB beyond the signature",
            bytes <= UPDATE_BYTES_MAX + SIGNATURE_BYTES,
        )
        .limit(
            format!("the signature: {SIGNATURE_BYTES} bytes"),
            times(bytes, SIGNATURE_BYTES),
        ),
        Figure::new("the whole rule book as canonical JSON", megabytes(whole)),
        Figure::new(
            format!("from signing until in force at the last of {NODES} nodes"),
            time(taken),
        )
        .target("≤ 1 s", taken <= IN_FORCE_NANOS_MAX)
        .limit(limit, times(taken, compiling))
        .obstacle(IN_FORCE),
    ];
    Table {
        title: "New rules to every store",
        method: format!(
            "A rule book with {} promotions in a hub on SQLite; {NODES} real nodes in this process, on disk and in session over \
             QUIC. One field of one promotion changes, the rules are signed and stored, and nodes are asked every millisecond \
             which publication they run.",
            grouped(PROMOTIONS.into())
        ),
        figures,
    }
}

/// The starter rules with many promotions.
fn large() -> anyhow::Result<RuleBook> {
    let mut rules = rule_book();
    for number in 1..=PROMOTIONS {
        rules
            .promotions
            .insert(PromotionId(number), promotion(number, 50)?);
    }
    Ok(rules)
}

fn promotion(number: u32, permille: u64) -> anyhow::Result<Promotion> {
    let target = json!({ "of": "lines", "goods": { "skus": [format!("sku-{number}")] } });
    let off = json!({ "by": "percent", "permille": permille });
    let effects = json!([{ "kind": "discount", "off": off, "target": target }]);
    let name = json!({ "ru": "Скидка", "en": "Discount" });
    let promotion = json!({ "name": name, "stage": "lines", "effects": effects });
    Ok(serde_json::from_value(promotion)?)
}

fn change(rules: &mut RuleBook, round: u64) -> anyhow::Result<()> {
    let number = PROMOTIONS / 2;
    let changed = promotion(number, 50 + round)?;
    rules.promotions.insert(PromotionId(number), changed);
    Ok(())
}

async fn open(
    chain: &Chain,
    serving: &Serving,
    folder: &Path,
    dialling: &mut JoinSet<()>,
) -> anyhow::Result<Node> {
    chain.node_folder(folder, serving.address).await?;
    let key = || key_file::load_or_create(&identity::key_path(folder));
    let engine = kopilka_node::store::open(EngineKind::Redb, folder, CACHE_BYTES_DEFAULT)?;
    let app = App::open(Arc::clone(&engine), key()?, clock::now_ms)?;
    let (trigger, shutdown) = shutdown::channel();
    let address = serving.address.to_string();
    dialling.spawn(kopilka_node::sync::run(
        app.clone(),
        key()?,
        address,
        shutdown,
    ));
    Ok(Node {
        app,
        _shutdown: trigger,
    })
}

/// Waits until all nodes run a publication.
async fn in_force(nodes: &[Node], number: u32) -> anyhow::Result<()> {
    let runs = |node: &Node| {
        let rules = node.app.in_force().rules();
        rules.is_some_and(|rules| rules.programme.number() == number)
    };
    let all = async {
        while !nodes.iter().all(runs) {
            tokio::time::sleep(POLL).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, all).await;
    waited.with_context(|| format!("publication {number} is in force everywhere"))
}

/// Bytes of the frame that brings the newest rules to a node that has those of `base`.
async fn update_bytes(chain: &Chain, serving: &Serving, base: u32) -> anyhow::Result<u64> {
    let key = SigningKey::from_bytes(&clock::random_bytes());
    let mut nodes = chain.enrol(std::slice::from_ref(&key)).await?;
    let node = nodes.pop().context("one key enrols one node")?;
    let seen = Seen {
        publication: base,
        ..Seen::default()
    };
    let hub = chain.hub.public_key();
    let session = Session::open_with(&node, &key, &hub, serving.address, seen).await?;
    loop {
        let stream = session.connection.accept_uni().await?;
        let mut frames = FrameReader::new(stream, FRAME_BYTES_MAX);
        let first = frames
            .next()
            .await?
            .context("a stream says what it carries")?;
        if decode::<Channel>(&first)? == Channel::Blocks {
            continue;
        }
        while let Some(frame) = frames.next().await? {
            match decode(&frame)? {
                FeedMessage::PublicationDelta(_) => {
                    return Ok(u64::try_from(LENGTH_BYTES + frame.len())?);
                }
                FeedMessage::Publication(_) | FeedMessage::PublicationNumber(_) => {
                    bail!("a node with the base gets what differs")
                }
                FeedMessage::Members(_) | FeedMessage::Directory(_) => {}
            }
        }
    }
}
