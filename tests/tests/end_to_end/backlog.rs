//! A week's work of a store that was cut off, and what is left of it on its disk afterwards.

use std::time::{Duration, Instant};

use anyhow::ensure;
use kopilka_node::store::{self, CACHE_BYTES_DEFAULT, EngineKind, Table};
use kopilka_tests::{Chain, ChainPlan, Engine, Scene, StoreNode};

use crate::load::{self, Load};

const SALES: u64 = 5_000;
const CUSTOMERS: u64 = 50;
const AT_ONCE: u64 = 16;
/// Far more than one exchange with the hub leaves behind, and far less than the backlog.
const LEFT_MAX: usize = 64;

/// Rows that a stopped node keeps of its own log, and of operations that wait for the hub.
fn left(node: &StoreNode) -> anyhow::Result<(usize, usize)> {
    let engine = store::open(EngineKind::Redb, &node.data_dir, CACHE_BYTES_DEFAULT)?;
    let rows = |table| Ok::<_, anyhow::Error>(engine.scan(table, &[], None, 100_000)?.len());
    Ok((rows(Table::Log)?, rows(Table::Pending)?))
}

#[tokio::test]
async fn a_weeks_backlog_is_delivered_and_forgotten() -> anyhow::Result<()> {
    Scene::run(Duration::from_secs(180), async |scene| {
        let plan = ChainPlan {
            tills: 4,
            ..ChainPlan::small(&[Engine::Redb, Engine::Sled])
        };
        let mut chain = Chain::start(scene, plan).await?;
        let load = Load::of(chain.nodes[0].till(), CUSTOMERS).await?;
        chain.nodes[0].level(Duration::from_secs(20)).await?;
        chain.nodes[0].line.cut();
        let started = Instant::now();
        let quarter = SALES / 4;
        let tills = chain.nodes[0].tills.clone();
        let shift = |number: u64| {
            let till = tills[usize::try_from(number).unwrap_or_default()].clone();
            let receipts = number * quarter..(number + 1) * quarter;
            let load = &load;
            async move { load.sell(&till, receipts, AT_ONCE / 4).await }
        };
        let (first, second, third, fourth) = tokio::join!(shift(0), shift(1), shift(2), shift(3));
        let sold = [first?, second?, third?, fourth?].concat();
        let worked = started.elapsed();
        let status = chain.nodes[0].till().sync().await?;
        ensure!(
            status["pending_operations"].as_u64() >= Some(SALES),
            "{status}"
        );
        // The line comes back as a bad one.
        let line = &chain.nodes[0].line;
        line.lose(20);
        line.delay(Duration::from_millis(10));
        let sent_before = line.up_bytes();
        line.mend();
        let started = Instant::now();
        load::check_chain(&chain, &load, &sold, Duration::from_secs(60)).await?;
        let everywhere = started.elapsed();
        let sent = chain.nodes[0].line.up_bytes() - sent_before;
        eprintln!(
            "{SALES} sales in {worked:?}; {everywhere:?} and {sent} bytes after the line was mended they were everywhere"
        );
        // Still answering for purchases of the return period.
        load::check_node(&tills[0], &sold[..50]).await?;
        chain.nodes[0].stop().await?;
        let (log, pending) = left(&chain.nodes[0])?;
        ensure!(
            log <= LEFT_MAX && pending <= LEFT_MAX,
            "{log} log entries, {pending} pending"
        );
        Ok(())
    })
    .await
}
