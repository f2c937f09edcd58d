//! The chain: one hub, its stores with a node, a relay and tills each, and the customers' cards.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use kopilka_crdt::card::CardNumber;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::http::Http;
use super::office::Office;
use super::receipts::{Sample, spread};
use super::recount::Recount;
use super::relay::Relay;
use super::till::Till;
use crate::process::{Process, free_address, output_of};
use crate::programs::Programs;

/// Tills of a store.
const TILLS: usize = 2;
/// Names of stores, repeated with a number when there are more of them.
const STORE_NAMES: [&str; 4] = ["Tverskaya", "Arbat", "Suzdal", "Uglich"];
/// How long replicas may take to catch up.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(45);
const POLL: Duration = Duration::from_millis(50);

/// A store.
pub struct Store {
    /// Its identifier at the hub.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its tills.
    pub tills: Vec<Arc<Till>>,
    /// Its line to the hub.
    pub relay: Relay,
}

/// The stores and who buys there.
pub struct Chain {
    /// The stores.
    pub stores: Vec<Store>,
    cards: BTreeMap<u32, String>,
    joins: BTreeMap<u32, usize>,
}

impl Chain {
    /// The number on a customer's card.
    pub fn card(&self, customer: u32) -> &str {
        self.cards.get(&customer).map_or("", String::as_str)
    }

    /// Whether a customer joins at this place of the sample.
    pub fn joins_at(&self, customer: u32, place: usize) -> bool {
        self.joins.get(&customer) == Some(&place)
    }

    /// The till at which a customer queues.
    pub fn till_of(&self, store: usize, customer: u32) -> usize {
        let tills = self.stores[store].tills.len();
        usize::try_from(customer).unwrap_or_default() % tills.max(1)
    }
}

/// The whole world. Dropping it ends every process.
pub struct World {
    /// Head office.
    pub office: Office,
    /// The stores.
    pub chain: Arc<Chain>,
    nodes: Vec<Process>,
}

impl World {
    /// Starts the hub and the nodes, and brings in everyone but those in `joins`.
    pub async fn open(
        programs: &Programs,
        folder: &Path,
        stores: usize,
        sample: &Sample,
        joins: BTreeMap<u32, usize>,
        recount: &mut Recount,
    ) -> anyhow::Result<Self> {
        let quic = free_address()?;
        let office = Office::open(&programs.hub, folder, free_address()?, quic).await?;
        let cards = sample
            .customers()
            .into_iter()
            .map(|customer| Ok((customer, card_number(customer)?)))
            .collect::<anyhow::Result<BTreeMap<_, _>>>()?;
        let file = folder.join("members.csv");
        std::fs::write(&file, members_csv(&cards, &joins, recount)?)?;
        let report = office.import(&file).await?;
        let expected = cards.len() - joins.len();
        if report["imported"].as_u64() != u64::try_from(expected).ok() {
            bail!("{expected} members were to be imported: {report}");
        }
        let mut chain = Chain {
            stores: Vec::new(),
            cards,
            joins,
        };
        let mut nodes = Vec::new();
        for place in 0..stores {
            let relay = Relay::start(quic).await?;
            let (store, node) = open_store(programs, folder, &office, relay, place).await?;
            chain.stores.push(store);
            nodes.push(node);
        }
        for (store, node) in chain.stores.iter().zip(&mut nodes) {
            store.tills[0].http.ready(node).await?;
        }
        Ok(Self {
            office,
            chain: Arc::new(chain),
            nodes,
        })
    }

    /// Waits until the hub has every operation and every node every change; gives how long it took.
    pub async fn caught_up(&self) -> anyhow::Result<Duration> {
        let started = Instant::now();
        loop {
            let behind = self.behind().await?;
            if behind.is_empty() {
                return Ok(started.elapsed());
            }
            if started.elapsed() > CATCH_UP_TIMEOUT {
                bail!(
                    "after {} s: {}",
                    CATCH_UP_TIMEOUT.as_secs(),
                    behind.join("; ")
                );
            }
            sleep(POLL).await;
        }
    }

    async fn behind(&self) -> anyhow::Result<Vec<String>> {
        let mut behind = Vec::new();
        for store in &self.chain.stores {
            let standing = store.tills[0].standing().await?;
            if !standing.connected {
                behind.push(format!("{} has no session", store.name));
            }
            if standing.pending > 0 {
                behind.push(format!(
                    "{} has {} operations to send",
                    store.name, standing.pending
                ));
            }
        }
        // Asked after the logs: what they carried is in the feed by then.
        let lags = self.office.lags().await?;
        for store in &self.chain.stores {
            match lags.get(&store.id) {
                Some(Some(0)) => {}
                Some(Some(lag)) => behind.push(format!("{} lacks {lag} positions", store.name)),
                Some(None) | None => behind.push(format!("{} has no snapshot", store.name)),
            }
        }
        Ok(behind)
    }

    /// Stops every process in order.
    pub async fn close(self) {
        for node in self.nodes {
            node.stop().await;
        }
        self.office.process.stop().await;
    }
}

async fn open_store(
    programs: &Programs,
    folder: &Path,
    office: &Office,
    relay: Relay,
    place: usize,
) -> anyhow::Result<(Store, Process)> {
    let name = match place / STORE_NAMES.len() {
        0 => STORE_NAMES[place].to_owned(),
        round => format!("{} {}", STORE_NAMES[place % STORE_NAMES.len()], round + 1),
    };
    let id = office.store(&name).await?;
    let cashier = office.cashier(&id, "Demo").await?;
    let listen = free_address()?;
    let mut tills = Vec::new();
    for till in 1..=TILLS {
        let token = office.till(&id, &format!("Till {till}")).await?;
        let http = Http::new(format!("http://{listen}"), token)?;
        tills.push(Arc::new(Till::new(http, cashier.clone())));
    }
    let data = folder.join(format!("node-{}", place + 1));
    std::fs::create_dir_all(&data)?;
    let command = || {
        let mut command = Command::new(&programs.node);
        command.arg("--data-dir").arg(&data);
        command
    };
    let code = office.node_code(&id, relay.address).await?;
    output_of(command().args(["enrol", &code])).await?;
    let mut run = command();
    run.args(["--http-listen", &listen.to_string(), "run"]);
    let log = folder.join(format!("node-{}.log", place + 1));
    let node = Process::start_apart(&format!("kopilka-node ({name})"), run, &log)?;
    let store = Store {
        id,
        name,
        tills,
        relay,
    };
    Ok((store, node))
}

/// A card number of the demo's own range.
fn card_number(customer: u32) -> anyhow::Result<String> {
    let number = CardNumber::from_body(&format!("2900{customer:08}"));
    let number = number.with_context(|| format!("no card number for customer {customer}"))?;
    Ok(number.digits().to_owned())
}

/// Everybody but newcomers, with points and purchases from an earlier system.
fn members_csv(
    cards: &BTreeMap<u32, String>,
    joins: &BTreeMap<u32, usize>,
    recount: &mut Recount,
) -> anyhow::Result<String> {
    let mut csv = String::from("card_number,given_name,phone,balance,purchase_total,consent\n");
    for (customer, card) in cards {
        if joins.contains_key(customer) {
            continue;
        }
        let drawn = spread(&format!("brings {customer}"));
        let (points, purchases) = (100 + drawn % 400, (drawn / 400) % 40_000);
        let whole = i64::try_from(points).context("a few hundred points")?;
        recount.given(*customer, whole * 100);
        writeln!(
            csv,
            "{card},Customer {customer},+79{customer:09},{points}.00,{purchases}.00,yes"
        )?;
    }
    Ok(csv)
}
