//! A store's node with the whole programme: how it gets its members, what they weigh, and how fast tills are served.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use kopilka_crdt::identifier::Identifier;
use kopilka_crdt::ids::MemberId;
use kopilka_hub::store::StoreSettings;
use kopilka_node::app::App;
use kopilka_node::identity;
use kopilka_node::store::{self, CACHE_BYTES_DEFAULT, Engine, EngineKind, Table};
use kopilka_rules::pricing::Wish;
use kopilka_shell::{clock, key_file};
use serde_json::json;

use super::chain::{Chain, Serving};
use super::echo::{self, Apart};
use super::figures::{
    Figure, Table as Figures, grouped, megabytes, nanos, quantile, rate, time, times,
};
use super::load::{self, Connection, Observed, Script};
use super::people::{self, basket, card, drawn};
use super::process::{NodeProcess, disk_bytes};
use super::{Bench, machine, progress};

/// The number of members that targets speak of.
const MEMBERS_OF_TARGETS: u64 = 1_000_000;
/// Tills at once.
const TILLS: u64 = 64;
/// How often a busy store's till asks, when not as fast as it can.
const PACE: Duration = Duration::from_millis(20);
const MEMORY_BYTES_MAX: u64 = 200_000_000;
const DISK_BYTES_MAX: u64 = 300_000_000;
const BOOTSTRAP_NANOS_MAX: u64 = 20_000_000_000;
const QUOTE_HTTP_NANOS_MAX: u64 = 2_000_000;
const QUOTE_NANOS_MAX: u64 = 50_000;
/// How long the store's size must stay the same after a bootstrap before it counts as settled.
const SETTLED: Duration = Duration::from_secs(2);

const BOOTSTRAP: &str = "Each page is read, packed and signed by the hub, then unpacked, decoded and written by the node, one \
    step after the other, and each page is synced before the next one is taken.";
const DISK: &str = "Identifiers arrive in no order, so pages of their tree are two thirds full; each member has two.";
const MEMORY: &str = "The store's cache and the allocator's reserve after the bootstrap.";
const HTTP: &str = "64 tills that ask again at once keep both processors busy, load and node together, so an answer waits for \
    up to 63 others; the row below shows the same tills at a pace of 50 quotes a second each.";
const IN_PROCESS: &str =
    "A member is read from a tree of which the cache holds a part, and decoded.";

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
    node.kill()?;
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
        let program = bench.node_program()?;
        let path = folder.join("hub.db");
        let chain = Chain::open(&StoreSettings::Sqlite { path }).await?;
        let members = bench.scale.members;
        chain
            .fill(members, &progress::bar("members into the hub", members))
            .await?;
        Ok(Self {
            serving: chain.serve()?,
            chain,
            program,
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

    fn is_whole(&self) -> bool {
        self.members == MEMBERS_OF_TARGETS
    }

    /// Targets speak of a million members: with fewer of them nothing is judged.
    fn judged(&self, figure: Figure, target: &str, met: bool, obstacle: &'static str) -> Figure {
        if self.is_whole() {
            figure.target(target, met).obstacle(obstacle)
        } else {
            figure
        }
    }

    async fn bootstrap(
        &self,
        folder: &Path,
        raw: u64,
        figures: &mut Vec<Figure>,
    ) -> anyhow::Result<(NodeProcess, u64)> {
        self.chain.node_folder(folder, self.serving.address).await?;
        progress::part("a new node fetches all members");
        let bare = bare_write(&self.folder.join("bare"), raw)?;
        let started = Instant::now();
        let mut node = NodeProcess::start(&self.program, folder)?;
        node.whole(&self.chain.token).await?;
        let whole = nanos(started.elapsed());
        let per_second = rate(self.members, whole);
        let measured = format!("{} ({} members/s)", time(whole), grouped(per_second));
        let figure = Figure::new(
            format!("new node: {} members over loopback", grouped(self.members)),
            measured,
        )
        .limit(
            format!("bare write and sync of the same bytes: {}", time(bare)),
            times(whole, bare),
        );
        figures.push(self.judged(figure, "≤ 20 s", whole <= BOOTSTRAP_NANOS_MAX, BOOTSTRAP));
        let settling = Instant::now();
        settled(folder).await?;
        let settling = nanos(settling.elapsed().saturating_sub(SETTLED));
        let (_, peak) = machine::resident(node.id()).context("the node is a process")?;
        figures.push(Figure::new(
            "until its store is compact again",
            time(settling),
        ));
        figures.push(Figure::new("peak memory meanwhile", megabytes(peak)));
        Ok((node, whole))
    }

    /// The same on another node, which is killed half-way.
    async fn cut(
        &self,
        folder: &Path,
        whole: u64,
        figures: &mut Vec<Figure>,
    ) -> anyhow::Result<()> {
        self.chain.node_folder(folder, self.serving.address).await?;
        progress::part("another node is killed half-way and goes on");
        let before = Duration::from_nanos(whole / 2);
        let node = NodeProcess::start(&self.program, folder)?;
        tokio::time::sleep(before).await;
        node.kill()?;
        let resumed = Instant::now();
        let mut node = NodeProcess::start(&self.program, folder)?;
        node.whole(&self.chain.token).await?;
        let after = nanos(resumed.elapsed());
        let sum = nanos(before) + after;
        let measured = format!("{} before, {} after", time(nanos(before)), time(after));
        let figure = Figure::new(
            "the same, killed with kill -9 half-way and started again",
            measured,
        )
        .limit(format!("without a cut: {}", time(whole)), times(sum, whole));
        // A node that began anew would take as long again.
        let resumes = sum < whole + whole / 4;
        figures.push(
            figure
                .target("goes on where it was", resumes)
                .obstacle(BOOTSTRAP),
        );
        node.kill()?;
        std::fs::remove_dir_all(folder)?;
        Ok(())
    }

    async fn kill_and_reopen(
        &self,
        node: NodeProcess,
        folder: &Path,
        figures: &mut Vec<Figure>,
    ) -> anyhow::Result<NodeProcess> {
        progress::part("kill -9 while eight tills sell");
        let (token, members) = (self.chain.token.clone(), self.members);
        let script: Script = Arc::new(move |till, number| {
            let receipt = till * 1_000_000 + number;
            let body = sale(receipt, &people::id(drawn(receipt, members)));
            let key = format!("sale-{receipt}");
            load::request("POST", "/v1/purchases", &token, Some(&key), &body)
        });
        let selling = tokio::spawn(async move {
            // It ends with the node.
            load::run(node.address, 8, 100_000, None, &script)
                .await
                .is_ok()
        });
        let address_of = node.id();
        tokio::time::sleep(Duration::from_secs(1)).await;
        anyhow::ensure!(
            !selling.is_finished(),
            "process {address_of} sells until it is killed"
        );
        node.kill()?;
        selling.abort();
        let started = Instant::now();
        let mut node = NodeProcess::start(&self.program, folder)?;
        node.ready().await?;
        figures.push(Figure::new(
            "from start to ready after kill -9 in the middle of sales",
            time(nanos(started.elapsed())),
        ));
        Ok(node)
    }

    fn weigh(
        &self,
        node: &NodeProcess,
        folder: &Path,
        raw: u64,
        figures: &mut Vec<Figure>,
    ) -> anyhow::Result<()> {
        let (memory, _) = machine::resident(node.id()).context("the node is a process")?;
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

    async fn over_http(
        &self,
        bench: &Bench,
        node: &NodeProcess,
        figures: &mut Vec<Figure>,
    ) -> anyhow::Result<()> {
        let scripts = [
            ("identify", self.identify_script()),
            ("quote", self.quote_script()),
        ];
        for (name, script) in scripts {
            let mut connection = Connection::open(node.address).await?;
            let (_, answer) = connection.ask(&script(0, 0)).await?;
            let apart = Apart::start()?;
            let echo = echo::start(&apart, answer.len()).await?;
            let each = bench.scale.asks_each;
            // A first run warms the caches of both.
            load::run(node.address, TILLS, each / 4 + 1, None, &script).await?;
            let mut bare = self.repeat(bench, echo, each, None, &script).await?;
            let mut fast = self
                .repeat(bench, node.address, each, None, &script)
                .await?;
            let mut paced = self
                .repeat(bench, node.address, each / 4 + 1, Some(PACE), &script)
                .await?;
            let (bare, fast_rate) = (bare.quantiles(), rate(fast.count(), fast.elapsed));
            let (fast, paced) = (fast.quantiles(), paced.quantiles());
            let limit = format!(
                "ready-made answers: p50 {}, p99 {}",
                time(bare.0),
                time(bare.1)
            );
            let what = format!("{name} over HTTP, 64 tills at once, each asks again at once");
            let measured = format!(
                "p50 {}, p99 {} ({}/s)",
                time(fast.0),
                time(fast.1),
                grouped(fast_rate)
            );
            let figure = Figure::new(what, measured).limit(limit, times(fast.1, bare.1));
            figures.push(if name == "quote" {
                self.judged(figure, "p99 ≤ 2 ms", fast.1 <= QUOTE_HTTP_NANOS_MAX, HTTP)
            } else {
                figure
            });
            let what = format!("{name} over HTTP, 64 tills at once, 50 a second each");
            figures.push(Figure::new(
                what,
                format!("p50 {}, p99 {}", time(paced.0), time(paced.1)),
            ));
        }
        Ok(())
    }

    /// The round with the middle p99 of several.
    async fn repeat(
        &self,
        bench: &Bench,
        address: std::net::SocketAddr,
        each: u64,
        pace: Option<Duration>,
        script: &Script,
    ) -> anyhow::Result<Observed> {
        let mut rounds = Vec::new();
        for _ in 0..bench.scale.rounds {
            let mut seen = load::run(address, TILLS, each, pace, script).await?;
            rounds.push((seen.quantiles().1, seen));
        }
        rounds.sort_by_key(|(tail, _)| *tail);
        let middle = rounds.len() / 2;
        Ok(rounds.swap_remove(middle).1)
    }

    fn identify_script(&self) -> Script {
        let (token, members) = (self.chain.token.clone(), self.members);
        Arc::new(move |till, number| {
            let card = card(drawn(till << 32 | number, members));
            let body = json!({ "kind": "card", "value": card.digits() });
            load::request("POST", "/v1/identify", &token, None, &body.to_string())
        })
    }

    fn quote_script(&self) -> Script {
        let (token, members) = (self.chain.token.clone(), self.members);
        Arc::new(move |till, number| {
            let draw = till << 32 | number;
            let member = people::id(drawn(draw, members));
            let body = json!({ "member_id": member.to_string(), "lines": lines(draw), "redeem_most": true });
            load::request("POST", "/v1/quotes", &token, None, &body.to_string())
        })
    }

    async fn in_process(
        &self,
        bench: &Bench,
        folder: &Path,
        figures: &mut Vec<Figure>,
    ) -> anyhow::Result<()> {
        progress::part("the same store, asked in process");
        let engine = store::open(EngineKind::Redb, folder, CACHE_BYTES_DEFAULT)?;
        let key = key_file::load(&identity::key_path(folder))?;
        let app = App::open(Arc::clone(&engine), key, clock::now_ms)?;
        let mut samples = [Vec::new(), Vec::new(), Vec::new()];
        for number in 0..bench.scale.reads {
            let taken = self.read_once(&app, engine.as_ref(), number).await?;
            for (samples, taken) in samples.iter_mut().zip(taken) {
                samples.push(taken);
            }
        }
        let both = |samples: &mut Vec<u64>| (quantile(samples, 500), quantile(samples, 990));
        let [raw, identify, quote] = &mut samples;
        let (raw, identify, quote) = (both(raw), both(identify), both(quote));
        let limit = format!(
            "the member's row read alone: p50 {}, p99 {}",
            time(raw.0),
            time(raw.1)
        );
        for (name, seen) in [("identify", identify), ("quote", quote)] {
            let measured = format!("p50 {}, p99 {}", time(seen.0), time(seen.1));
            let figure = Figure::new(format!("{name} in process"), measured)
                .limit(&limit, times(seen.0, raw.0));
            figures.push(if name == "quote" {
                self.judged(figure, "p99 ≤ 50 µs", seen.1 <= QUOTE_NANOS_MAX, IN_PROCESS)
            } else {
                figure
            });
        }
        tokio::task::spawn_blocking(move || app.stop()).await??;
        Ok(())
    }

    /// Nanoseconds of a bare read, an identification, and a quote, each of another member.
    async fn read_once(
        &self,
        app: &App,
        engine: &dyn Engine,
        number: u64,
    ) -> anyhow::Result<[u64; 3]> {
        let draw = |place: u64| drawn(number * 3 + place, self.members);
        let key = people::id(draw(0)).0.to_be_bytes();
        let started = Instant::now();
        let row = engine.read(Table::Members, &key)?;
        let raw = nanos(started.elapsed());
        anyhow::ensure!(row.is_some(), "the replica holds every member");
        let identifier = Identifier::card(&card(draw(1)));
        let started = Instant::now();
        let identified = app.identify(&identifier).await?;
        app.member(identified.member)?;
        let identify = nanos(started.elapsed());
        let (member, basket) = (people::id(draw(2)), basket(number));
        let started = Instant::now();
        app.check_card(member, None)?;
        app.quote(member, &basket, Wish::Most)?;
        Ok([raw, identify, nanos(started.elapsed())])
    }
}

/// Waits until the folder's size does not change any more.
async fn settled(folder: &Path) -> anyhow::Result<()> {
    let mut since = Instant::now();
    let mut bytes = disk_bytes(folder)?;
    while since.elapsed() < SETTLED {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = disk_bytes(folder)?;
        if now != bytes {
            (bytes, since) = (now, Instant::now());
        }
    }
    Ok(())
}

/// Nanoseconds to write so many bytes to a new file and sync it.
fn bare_write(path: &Path, bytes: u64) -> anyhow::Result<u64> {
    use std::io::Write;
    const BLOCK_BYTES: u64 = 1 << 20;
    let block = vec![7; usize::try_from(BLOCK_BYTES)?];
    let started = Instant::now();
    let mut file = std::fs::File::create(path)?;
    for _ in 0..bytes.div_ceil(BLOCK_BYTES) {
        file.write_all(&block)?;
    }
    file.sync_data()?;
    let taken = nanos(started.elapsed());
    std::fs::remove_file(path)?;
    Ok(taken)
}

fn lines(number: u64) -> serde_json::Value {
    let quantity = |milli: u64| format!("{}.{:03}", milli / 1_000, milli % 1_000);
    let line = |line: kopilka_rules::pricing::ReceiptLine| json!({ "sku": line.sku, "quantity": quantity(line.quantity.0), "unit_price": line.unit_price.0 });
    basket(number).into_iter().map(line).collect()
}

fn sale(receipt: u64, member: &MemberId) -> String {
    let body = json!({
        "cashier": "c1",
        "member_id": member.to_string(),
        "receipt": { "number": receipt },
        "lines": lines(receipt),
        "confirm": true,
    });
    body.to_string()
}
