//! What a durable answer costs: an engine's commit, a till's confirm, many tills at once; beside a bare disk sync.

use std::fs::File;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::ensure;
use kopilka_node::api;
use kopilka_node::app::PurchaseId;
use kopilka_node::store::{self, Batch, CACHE_BYTES_DEFAULT, Engine, EngineKind, Table};
use kopilka_shell::serve::HttpServer;
use kopilka_shell::shutdown::{self, ShutdownTrigger};

use super::echo::Apart;
use super::figures::{
    Figure, Table as Figures, grouped, median, nanos, quantile, rate, time, times, within,
};
use super::load::{self, Connection, Observed};
use super::local::{LocalNode, TOKEN};
use super::{Bench, progress};

/// Tills at once.
const TILLS: [u64; 3] = [1, 8, 64];
/// What a confirm may cost, in hundredths of a bare sync.
const CONFIRM_HUNDREDTHS: u64 = 150;
/// How many times one till's rate 64 tills must reach.
const GROUPED_TIMES: u64 = 8;
/// Members of the node.
const MEMBERS: u64 = 4_096;
const ONE_TILL: &str = "The journal's entry takes about one bare sync; the rest is the engine's unsynced commit, pricing, signing the log's \
    head and waking the till; see the row of the engine's commit for the part of journal and engine.";
const GROUPING: &str = "One sync is shared, so a group's time is the engine's work on a dozen rows a sale, pricing, encoding and waking tasks, on the \
    two processors that the load uses too. The less one till waits for the disk, the less there is to share.";

const KINDS: [(&str, EngineKind); 2] = [("redb", EngineKind::Redb), ("sled", EngineKind::Sled)];

/// Medians of one round of one engine, nanoseconds or answers in a second.
#[derive(Default)]
struct Rounds {
    bare: Vec<u64>,
    bare_tail: Vec<u64>,
    engine: Vec<u64>,
    /// One till, by surface: in process, HTTP.
    confirm: [Vec<u64>; 2],
    /// By surface, then by [`TILLS`].
    latency: [[Vec<u64>; 3]; 2],
    rate: [[Vec<u64>; 3]; 2],
}

/// A node of one engine and its HTTP server on threads of its own.
struct Rig {
    engine: Arc<dyn Engine>,
    node: Arc<LocalNode>,
    address: SocketAddr,
    sales: u64,
    _apart: Apart,
    _trigger: ShutdownTrigger,
}

/// Measures.
pub async fn measure(bench: &Bench) -> anyhow::Result<Figures> {
    let folder = bench.folder("disk")?;
    let mut rigs = Vec::new();
    for (name, kind) in KINDS {
        rigs.push(Rig::open(kind, &folder.path().join(name)).await?);
    }
    let mut log = File::create(folder.path().join("bare"))?;
    let bar = progress::bar("rounds of syncs and confirms", bench.scale.disk_rounds);
    let mut rounds = [Rounds::default(), Rounds::default()];
    for _ in 0..bench.scale.disk_rounds {
        for (rig, rounds) in rigs.iter_mut().zip(&mut rounds) {
            rig.take_turns(bench.scale.syncs, &mut log, rounds).await?;
            rig.crowd(bench.scale.syncs, rounds).await?;
        }
        bar.advance(1);
    }
    let mut figures = Vec::new();
    for ((name, _), rounds) in KINDS.iter().zip(&mut rounds) {
        figures.extend(rounds.figures(name));
    }
    Ok(Figures {
        title: "A durable answer",
        method: format!(
            "Medians of {} rounds. In a round a bare sync, an engine's commit, a confirm in process and a confirm over HTTP \
             take turns {} times, so that whatever else the disk does falls on all of them; then the tills ask at once. A \
             confirm is the second step of a sale of four lines that was authorised before: it signs the sale and answers \
             once it is synced. Tills in process call the node's app; HTTP tills keep their connections to the real server, \
             which runs on threads of its own.",
            bench.scale.disk_rounds, bench.scale.syncs
        ),
        figures,
    })
}

/// Nanoseconds to append 4 KiB and have them on the disk.
fn bare_sync(log: &mut File) -> anyhow::Result<u64> {
    let started = Instant::now();
    log.write_all(&[1; 4_096])?;
    log.sync_data()?;
    Ok(nanos(started.elapsed()))
}

impl Rig {
    async fn open(kind: EngineKind, folder: &Path) -> anyhow::Result<Self> {
        let (bare, whole) = (folder.join("engine"), folder.join("node"));
        std::fs::create_dir_all(&bare)?;
        std::fs::create_dir_all(&whole)?;
        let node = Arc::new(LocalNode::open(kind, &whole, MEMBERS).await?);
        let apart = Apart::start()?;
        let server = HttpServer::bind((Ipv4Addr::LOCALHOST, 0).into(), None).await?;
        let address = server.address();
        let (trigger, shutdown) = shutdown::channel();
        let router = api::router(node.app.clone());
        // The listener belongs to the runtime that bound it; requests run as tasks of the other one.
        apart.spawn(async move {
            if let Err(error) = server.serve(router, shutdown).await {
                progress::say(&format!("the server failed: {error}"));
            }
        });
        Ok(Self {
            engine: store::open(kind, &bare, CACHE_BYTES_DEFAULT)?,
            node,
            address,
            sales: 0,
            _apart: apart,
            _trigger: trigger,
        })
    }

    /// One till alone: everything takes turns.
    async fn take_turns(
        &mut self,
        turns: u64,
        log: &mut File,
        rounds: &mut Rounds,
    ) -> anyhow::Result<()> {
        let mut http = Connection::open(self.address).await?;
        let held = self.node.held(2, turns).await?;
        let (mut bare, mut engine, mut confirm) =
            (Vec::new(), Vec::new(), [Vec::new(), Vec::new()]);
        for (in_process, over_http) in held[0].iter().zip(&held[1]) {
            bare.push(bare_sync(log)?);
            engine.push(self.commit()?);
            let mut seen = self.node.confirm(vec![vec![*in_process]]).await?;
            confirm[0].append(&mut seen.latencies);
            let request = confirm_request(*over_http);
            let started = Instant::now();
            let (status, _) = http.ask(&request).await?;
            confirm[1].push(nanos(started.elapsed()));
            ensure!(status == 200, "a confirm was answered {status}");
        }
        rounds.bare.push(median(&mut bare));
        rounds.bare_tail.push(quantile(&mut bare, 990));
        rounds.engine.push(median(&mut engine));
        for (all, mut one) in rounds.confirm.iter_mut().zip(confirm) {
            all.push(median(&mut one));
        }
        Ok(())
    }

    /// Tills at once, as fast as they can.
    async fn crowd(&mut self, samples: u64, rounds: &mut Rounds) -> anyhow::Result<()> {
        for (place, tills) in TILLS.into_iter().enumerate() {
            // As many confirms for many tills as for one, but no fewer than ten each.
            let each = (2 * samples / tills).max(10);
            let held = self.node.held(tills, each).await?;
            let in_process = self.node.confirm(held).await?;
            let held = self.node.held(tills, each).await?;
            let over_http = self.confirm_over_http(held).await?;
            for (surface, mut seen) in [in_process, over_http].into_iter().enumerate() {
                rounds.rate[surface][place].push(rate(seen.count(), seen.elapsed));
                rounds.latency[surface][place].push(seen.quantiles().0);
            }
        }
        Ok(())
    }

    /// Nanoseconds to commit what a sale writes: five rows of some 600 bytes.
    fn commit(&mut self) -> anyhow::Result<u64> {
        self.sales += 1;
        let key = self.sales.to_be_bytes();
        let spread = self.sales.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
        let mut batch = Batch::new();
        batch.put(Table::Log, key, vec![1; 200]);
        batch.put(Table::Members, [spread[0], spread[1]], vec![2; 120]);
        batch.put(Table::Receipts, key, vec![3; 160]);
        batch.put(Table::Idempotency, spread, vec![4; 60]);
        batch.put(Table::Meta, *b"head", vec![5; 40]);
        let started = Instant::now();
        self.engine.commit(&batch)?;
        Ok(nanos(started.elapsed()))
    }

    async fn confirm_over_http(&self, held: Vec<Vec<PurchaseId>>) -> anyhow::Result<Observed> {
        let tills = u64::try_from(held.len())?;
        let each = u64::try_from(held.first().map_or(0, Vec::len))?;
        let script: load::Script = Arc::new(move |till, number| {
            let purchase = usize::try_from(till)
                .ok()
                .and_then(|till| held.get(till))
                .and_then(|held| held.get(usize::try_from(number).ok()?))
                .expect("as many sales are held as are confirmed");
            confirm_request(*purchase)
        });
        load::run(self.address, tills, each, None, &script).await
    }
}

fn confirm_request(purchase: PurchaseId) -> Vec<u8> {
    let path = format!("/v1/purchases/{purchase}/confirm");
    let key = format!("confirm-{purchase}");
    load::request("POST", &path, TOKEN, Some(&key), "{\"cashier\":\"c1\"}")
}

impl Rounds {
    fn figures(&mut self, name: &str) -> Vec<Figure> {
        let (bare, tail) = (median(&mut self.bare), median(&mut self.bare_tail));
        let limit = format!("bare sync: {}", time(bare));
        let engine = median(&mut self.engine);
        let mut figures = vec![
            Figure::new(
                format!("append of 4 KiB and fdatasync, nothing else ({name}'s turns)"),
                format!("{} (p99 {})", time(bare), time(tail)),
            ),
            Figure::new(format!("{name}: commit of one sale's rows"), time(engine))
                .limit(&limit, times(engine, bare)),
        ];
        for (surface, place) in [("in process", 0), ("over HTTP", 1)] {
            let one = median(&mut self.confirm[place]);
            let what = format!("{name}: durable confirm, one till, {surface}");
            let figure = Figure::new(what, time(one))
                .target("≤ 1.5 × a bare sync", within(one, bare, CONFIRM_HUNDREDTHS))
                .limit(&limit, times(one, bare))
                .obstacle(ONE_TILL);
            figures.push(figure);
            let one_rate = median(&mut self.rate[place][0]);
            for (till_place, tills) in TILLS.into_iter().enumerate().skip(1) {
                let many = median(&mut self.rate[place][till_place]);
                let wait = median(&mut self.latency[place][till_place]);
                let what = format!("{name}: durable confirms, {tills} tills, {surface}");
                let measured = format!("{}/s (p50 {})", grouped(many), time(wait));
                let beside = format!("one till: {}/s", grouped(one_rate));
                let figure = Figure::new(what, measured).limit(beside, times(many, one_rate));
                figures.push(if tills == 64 {
                    let met = many >= one_rate.saturating_mul(GROUPED_TIMES);
                    figure
                        .target("≥ 8 × the one-till rate", met)
                        .obstacle(GROUPING)
                } else {
                    figure
                });
            }
        }
        figures
    }
}
