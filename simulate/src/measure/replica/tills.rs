//! How fast the node's tills are served over HTTP, and how soon again after a kill while they sell.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kopilka_crdt::ids::MemberId;
use kopilka_rules::pricing::ReceiptLine;
use serde_json::{Value, json};

use super::Stage;
use crate::measure::echo::{self, Apart};
use crate::measure::figures::{Figure, grouped, nanos, rate, time, times};
use crate::measure::load::{self, Connection, Observed, Script};
use crate::measure::node::NodeProcess;
use crate::measure::people::{self, basket, card, drawn};
use crate::measure::{Bench, progress};

/// Tills at once.
const TILLS: u64 = 64;
/// How often a busy store's till asks, when not as fast as it can.
const PACE: Duration = Duration::from_millis(20);
const QUOTE_HTTP_NANOS_MAX: u64 = 2_000_000;

const HTTP: &str = "64 tills that ask again at once keep both processors busy, load and node together, so an answer waits for \
    up to 63 others; the row below shows the same tills at a pace of 50 quotes a second each.";

impl Stage {
    pub(super) async fn kill_and_reopen(
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
        tokio::time::sleep(Duration::from_secs(1)).await;
        anyhow::ensure!(!selling.is_finished(), "the node sells until it is killed");
        node.kill().await?;
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

    pub(super) async fn over_http(
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
        address: SocketAddr,
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
}

fn lines(number: u64) -> Value {
    let quantity = |milli: u64| format!("{}.{:03}", milli / 1_000, milli % 1_000);
    let line = |line: ReceiptLine| json!({ "sku": line.sku, "quantity": quantity(line.quantity.0), "unit_price": line.unit_price.0 });
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
