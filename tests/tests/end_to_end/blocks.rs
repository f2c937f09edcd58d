//! A card is blocked in every store, also in those that are out of touch just now.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use kopilka_tests::{Basket, Chain, ChainPlan, Customer, Engine, Scene, StoreNode, until};

const BOUND: Duration = Duration::from_secs(20);

async fn refuses(node: &StoreNode, customer: &Customer) -> anyhow::Result<()> {
    let what = format!("{} refuses the card", node.name);
    until(&what, BOUND, async || {
        let shown = node.till().show_card(&customer.number).await?;
        Ok((shown.code() == "card_blocked").then_some(()))
    })
    .await?;
    let sale = node.till().ask(customer, Basket::of(1_000)).await?;
    ensure!(
        (sale.status, sale.code()) == (409, "card_blocked"),
        "{sale:?}"
    );
    Ok(())
}

/// Which nodes have the order, by the hub's account.
async fn delivered(chain: &Chain, number: u64) -> anyhow::Result<BTreeMap<String, bool>> {
    let path = chain.path(&format!("/blocks/{number}/delivery"));
    let list = chain.hub().get(&path).await?;
    let nodes = list["items"].as_array().context("a list")?;
    let entry = |node: &serde_json::Value| {
        let name = node["node"].as_str().unwrap_or_default().to_owned();
        (name, node["has_it"] == true)
    };
    Ok(nodes.iter().map(entry).collect())
}

#[tokio::test]
async fn a_blocked_card_is_refused_everywhere_until_it_is_released() -> anyhow::Result<()> {
    Scene::run(Duration::from_secs(120), async |scene| {
        let plan = ChainPlan::small(&[Engine::Redb, Engine::Sled, Engine::Redb]);
        let mut chain = Chain::start(scene, plan).await?;
        let anna = chain.nodes[0].till().enrol(1).await?;
        chain.agreed(&[&anna], BOUND).await?;
        let away = chain.nodes[2].till().sync().await?["node"].clone();
        let away = away.as_str().context("a node")?.to_owned();
        chain.nodes[2].line.cut();

        let started = Instant::now();
        let number = chain.order(&anna.number, true).await?;
        refuses(&chain.nodes[0], &anna).await?;
        refuses(&chain.nodes[1], &anna).await?;
        eprintln!(
            "refused by every connected store after {:?}",
            started.elapsed()
        );
        let status = until("the hub knows who has the order", BOUND, async || {
            let status = delivered(&chain, number).await?;
            let has = status.values().filter(|has| **has).count();
            Ok((has == 2).then_some(status))
        })
        .await?;
        ensure!(
            status.len() == 3 && status.get(&away) == Some(&false),
            "{status:?}"
        );

        // The store that is away cannot know, and serves the customer.
        let offline = chain.nodes[2]
            .till()
            .sell(&anna, Basket::of(30_000))
            .await?;
        chain.nodes[2].line.mend();
        refuses(&chain.nodes[2], &anna).await?;
        until(
            "the hub knows that the last store has it",
            BOUND,
            async || Ok((delivered(&chain, number).await?.get(&away) == Some(&true)).then_some(())),
        )
        .await?;
        let found = chain.agreed(&[&anna], BOUND).await?;
        ensure!(
            found[0].purchases == 1,
            "what was given is not taken back: {found:?}"
        );
        let verdicts = chain.nodes[2].till().sync().await?["verdicts"].clone();
        ensure!(verdicts[0]["verdict"] == "contested", "{verdicts}");
        ensure!(
            verdicts[0]["operation_id"] == offline["operation_id"],
            "{verdicts}"
        );

        // The order outlives a restart without the hub.
        chain.nodes[2].line.cut();
        chain.nodes[2].kill().await?;
        chain.nodes[2].start().await?;
        refuses(&chain.nodes[2], &anna).await?;
        chain.nodes[2].line.mend();
        chain.order(&anna.number, false).await?;
        for node in &chain.nodes {
            until("the card is released", BOUND, async || {
                let shown = node.till().show_card(&anna.number).await?;
                Ok(shown.is_success().then_some(()))
            })
            .await?;
            node.till().sell(&anna, Basket::of(1_000)).await?;
        }
        let found = chain.agreed(&[&anna], BOUND).await?;
        ensure!(found[0].purchases == 4, "{found:?}");
        Ok(())
    })
    .await
}
