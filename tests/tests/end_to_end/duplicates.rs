//! The same sale, told twice.

use std::time::Duration;

use anyhow::ensure;
use kopilka_tests::{Basket, Chain, ChainPlan, Engine, Scene};

const BOUND: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_receipt_posted_to_two_nodes_of_a_store_counts_once() -> anyhow::Result<()> {
    Scene::run(Duration::from_secs(60), async |scene| {
        let mut chain = Chain::start(scene, ChainPlan::small(&[Engine::Redb])).await?;
        chain.add_node(0, 0, Engine::Sled).await?.start().await?;
        chain.has_members(&chain.nodes[1]).await?;
        let (first, second) = (chain.nodes[0].till(), chain.nodes[1].till());
        let anna = first.enrol(1).await?;
        chain.agreed(&[&anna], BOUND).await?;

        let body = first.sale(&anna, 77, Basket::of(100_000));
        let counted = first.post_sale("first", &body).await?.ok()?;
        chain.nodes[0].level(BOUND).await?;
        let again = second.post_sale("second", &body).await?.ok()?;
        let found = chain.agreed(&[&anna], BOUND).await?;
        ensure!(
            found[0].purchases == 1 && found[0].counted == 100_000,
            "{found:?}"
        );
        ensure!(found[0].spendable == 30_000, "{found:?}");
        let status = second.sync().await?;
        let verdict = &status["verdicts"][0];
        ensure!(verdict["verdict"] == "duplicate", "{status}");
        ensure!(verdict["operation_id"] == again["operation_id"], "{status}");
        let words = verdict["reason"].as_str().unwrap_or_default();
        ensure!(!words.is_empty(), "a verdict has a reason");
        ensure!(
            first.sync().await?["verdicts"] == serde_json::json!([]),
            "{counted}"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_key_stands_for_one_body() -> anyhow::Result<()> {
    Scene::run(Duration::from_secs(60), async |scene| {
        let mut chain = Chain::start(scene, ChainPlan::small(&[Engine::Redb])).await?;
        let anna = chain.nodes[0].till().enrol(1).await?;
        let till = chain.nodes[0].till().clone();
        let body = till.sale(&anna, 5, Basket::of(10_000));
        let first = till.post_sale("key", &body).await?;
        let other = till.sale(&anna, 6, Basket::of(10_000));
        let refused = till.post_sale("key", &other).await?.refusal()?;
        ensure!(
            refused == (409, "idempotency_key_reused".to_owned()),
            "{refused:?}"
        );
        let refused = till.post_sale("another key", &body).await?.refusal()?;
        ensure!(
            refused == (409, "receipt_already_registered".to_owned()),
            "{refused:?}"
        );
        let refused = till.post_sale("", &other).await?.refusal()?;
        ensure!(
            refused == (400, "idempotency_key_missing".to_owned()),
            "{refused:?}"
        );
        // A retry gets the same answer, also after a restart and when the member's balance has moved on.
        till.sell(&anna, Basket::of(20_000)).await?;
        chain.nodes[0].kill().await?;
        chain.nodes[0].start().await?;
        ensure!(till.post_sale("key", &body).await? == first);
        let found = chain.agreed(&[&anna], BOUND).await?;
        ensure!(found[0].purchases == 2, "{found:?}");
        Ok(())
    })
    .await
}
