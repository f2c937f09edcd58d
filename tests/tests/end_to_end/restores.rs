//! Nodes that come back from an old backup.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use kopilka_tests::{Basket, Chain, ChainPlan, Engine, Scene, run_to_end};
use serde_json::Value;
use tokio::process::Command;

use crate::load::{self, Load, Sold};

const BOUND: Duration = Duration::from_secs(20);

async fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    if to.exists() {
        std::fs::remove_dir_all(to)?;
    }
    let output = run_to_end(Command::new("cp").arg("-a").arg(from).arg(to)).await?;
    ensure!(output.status.success(), "cannot copy {}", from.display());
    Ok(())
}

fn incarnation(status: &Value) -> anyhow::Result<u64> {
    status["incarnation"].as_u64().context("an incarnation")
}

/// Sells and backs the first node up, sells more that the hub gets too, and puts the backup in the node's place; the node
/// is left stopped. Gives all that was sold.
async fn sell_past_a_backup(
    chain: &mut Chain,
    backup: &Path,
    load: &Load,
    [before, after]: [(Range<u64>, u64); 2],
) -> anyhow::Result<Vec<Sold>> {
    let node = &mut chain.nodes[0];
    let till = node.till().clone();
    let mut sold = load.sell(&till, before.0, before.1).await?;
    node.level(BOUND).await?;
    node.stop().await?;
    copy(&node.data_dir, backup).await?;
    node.start().await?;
    sold.extend(load.sell(&till, after.0, after.1).await?);
    node.level(BOUND).await?;
    node.stop().await?;
    copy(backup, &node.data_dir).await?;
    Ok(sold)
}

#[tokio::test]
async fn a_restored_node_goes_on_under_the_next_incarnation() -> anyhow::Result<()> {
    Scene::run(Duration::from_secs(180), async |scene| {
        let plan = ChainPlan::small(&[Engine::Redb, Engine::Redb]);
        let mut chain = Chain::start(scene, plan).await?;
        let backup = scene.folder().join("backup");
        let load = Load::of(chain.nodes[0].till(), 3).await?;
        let till = chain.nodes[0].till().clone();
        let sales = [(0..10, 2), (10..25, 2)];
        let mut sold = sell_past_a_backup(&mut chain, &backup, &load, sales).await?;

        chain.nodes[0].start().await?;
        let status = chain.nodes[0].level(BOUND).await?;
        ensure!(incarnation(&status)? == 2, "{status}");
        load::check_chain(&chain, &load, &sold, BOUND).await?;
        sold.extend(load.sell(&till, 25..35, 2).await?);
        load::check_chain(&chain, &load, &sold, BOUND).await?;
        ensure!(
            chain.cases().await?.is_empty(),
            "a restore without new sales is no fork"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_longer_second_history_is_settled_and_shown() -> anyhow::Result<()> {
    diverged(Engine::Redb, 7).await
}

#[tokio::test]
async fn a_shorter_second_history_is_settled_and_shown() -> anyhow::Result<()> {
    diverged(Engine::Sled, 3).await
}

#[tokio::test]
async fn tills_that_sell_all_through_a_restore_lose_nothing() -> anyhow::Result<()> {
    Scene::run(Duration::from_secs(180), async |scene| {
        let plan = ChainPlan::small(&[Engine::Redb, Engine::Redb]);
        let mut chain = Chain::start(scene, plan).await?;
        let backup = scene.folder().join("backup");
        let load = Load::of(chain.nodes[0].till(), 3).await?;
        let till = chain.nodes[0].till().clone();
        let sales = [(0..6, 2), (6..11, 1)];
        let mut sold = sell_past_a_backup(&mut chain, &backup, &load, sales).await?;

        let renewed = AtomicBool::new(false);
        let selling = async {
            let mut during = Vec::new();
            let mut next = 100;
            // One round more under the new incarnation.
            let mut is_last = false;
            while !is_last {
                is_last = renewed.load(Ordering::Acquire);
                during.extend(load.sell(&till, next..next + 20, 2).await?);
                next += 20;
            }
            anyhow::Ok(during)
        };
        let node = &mut chain.nodes[0];
        let restoring = async {
            node.start().await?;
            let is_next = |status: &Value| status["incarnation"].as_u64() > Some(1);
            node.synced("under another incarnation", BOUND, is_next)
                .await?;
            renewed.store(true, Ordering::Release);
            anyhow::Ok(())
        };
        let (during, ()) = tokio::try_join!(selling, restoring)?;
        load::check_node(&till, &during).await?;
        sold.extend(during);
        load::check_chain(&chain, &load, &sold, BOUND).await?;
        let forks = chain.cases().await?;
        ensure!(forks.iter().all(|case| case["kind"] == "fork"), "{forks:?}");
        ensure!(forks.len() <= 1, "one fork, one case: {forks:?}");
        Ok(())
    })
    .await
}

/// Five sales reach the hub and are gone from the node with the restore; then others are made offline.
async fn diverged(engine: Engine, offline_sales: u64) -> anyhow::Result<()> {
    Scene::run(Duration::from_secs(180), async |scene| {
        let mut chain = Chain::start(scene, ChainPlan::small(&[engine, Engine::Redb])).await?;
        let backup = scene.folder().join("backup");
        let load = Load::of(chain.nodes[0].till(), 2).await?;
        let till = chain.nodes[0].till().clone();
        let sales = [(0..6, 2), (6..11, 1)];
        let mut sold = sell_past_a_backup(&mut chain, &backup, &load, sales).await?;

        chain.nodes[0].line.cut();
        chain.nodes[0].start().await?;
        let branch = load.sell(&till, 20..20 + offline_sales, 1).await?;
        sold.extend(branch.clone());
        chain.nodes[0].line.mend();
        let renewed = "under the next incarnation";
        let is_next = |status: &Value| status["incarnation"] == 2;
        chain.nodes[0].synced(renewed, BOUND, is_next).await?;
        load::check_chain(&chain, &load, &sold, BOUND).await?;
        let cases = chain.cases().await?;
        ensure!(cases.len() == 1 && cases[0]["kind"] == "fork", "{cases:?}");
        let evidence = cases[0]["evidence"].as_str().unwrap_or_default();
        ensure!(!evidence.is_empty(), "the fork is not proved: {}", cases[0]);

        // Again: nothing is taken over twice.
        chain.nodes[0].stop().await?;
        chain.nodes[0].start().await?;
        load::check_chain(&chain, &load, &sold, BOUND).await?;
        ensure!(chain.cases().await?.len() == 1);

        let returned = &branch[0];
        let name = serde_json::json!({ "purchase_id": returned.purchase });
        let back = till.take_back(&name).await?.ok()?;
        ensure!(back["withdrawn"] == returned.earned, "{back}");
        let buyer = load
            .customers
            .iter()
            .find(|customer| customer.member == returned.member);
        let buyer = buyer.context("one of the customers")?;
        let found = chain.agreed(&[buyer], BOUND).await?;
        let before = load::expected(buyer, &sold);
        ensure!(
            found[0].spendable == before.spendable - returned.earned,
            "{found:?}"
        );
        ensure!(
            found[0].counted == before.counted - returned.price,
            "{found:?}"
        );
        let operations = chain.operations(buyer).await?;
        ensure!(
            operations
                .iter()
                .all(|operation| operation["verdict"] == "accepted"),
            "{operations:?}"
        );
        // The node goes on as if nothing had been.
        till.sell(buyer, Basket::of(5_000)).await?;
        chain.agreed(&[buyer], BOUND).await?;
        Ok(())
    })
    .await
}
