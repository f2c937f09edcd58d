//! The main job: selling, earning and redeeming through an outage.

use std::time::Duration;

use anyhow::ensure;
use kopilka_tests::{Basket, Chain, ChainPlan, Customer, Engine, Scene, Till, until};
use serde_json::Value;

const BOUND: Duration = Duration::from_secs(20);
/// What the starter rules give for joining, minor units.
const WELCOME: i64 = 25_000;

/// Redeems as soon as the hub has got the points back from the store that holds the right to them.
async fn redeem_online(till: &Till, customer: &Customer, basket: Basket) -> anyhow::Result<Value> {
    until("the hub lets a connected store redeem", BOUND, async || {
        let answer = till.ask(customer, basket).await?;
        match answer.code() {
            "points_held_elsewhere" | "offline_limit" => Ok(None),
            _ => answer.ok().map(Some),
        }
    })
    .await
}

fn amount(sale: &Value, field: &str) -> i64 {
    sale[field].as_i64().unwrap_or_default()
}

#[tokio::test]
async fn a_store_sells_and_redeems_through_an_outage() -> anyhow::Result<()> {
    Scene::run(Duration::from_secs(90), async |scene| {
        let plan = ChainPlan::small(&[Engine::Redb, Engine::Sled]);
        let chain = Chain::start(scene, plan).await?;
        let (first, second) = (&chain.nodes[0], &chain.nodes[1]);
        let anna = first.till().enrol(1).await?;
        let boris = first.till().enrol(2).await?;
        let mut sales = vec![first.till().sell(&anna, Basket::of(100_000)).await?];
        ensure!(amount(&sales[0], "earned") == 5_000, "{}", sales[0]);
        let found = chain.agreed(&[&anna, &boris], BOUND).await?;
        ensure!(found[0].spendable == WELCOME + 5_000 && found[1].spendable == WELCOME);

        let rung = |sale: &Value| sale["rung"].as_str().unwrap_or_default().to_owned();
        let by_hub =
            redeem_online(second.till(), &anna, Basket::of(20_000).redeeming(2_000)).await?;
        ensure!(rung(&by_hub) == "hub", "{by_hub}");
        sales.push(by_hub);

        second.line.cut();
        let refused = second
            .till()
            .ask(&boris, Basket::of(50_000).redeeming(1_000))
            .await?;
        ensure!(
            refused.status == 409 && refused.code() == "offline_limit",
            "{refused:?}"
        );
        let words = refused.body["detail"].as_str().unwrap_or_default();
        ensure!(
            words.contains("Нет связи") && words.contains("out of reach"),
            "{words}"
        );
        second.offline(Duration::from_secs(60)).await?;
        let earned = second.till().sell(&boris, Basket::of(200_000)).await?;
        ensure!(amount(&earned, "earned") == 10_000);
        // What the store itself credited is its own to redeem there.
        let own = second
            .till()
            .sell(&boris, Basket::of(30_000).redeeming(9_000))
            .await?;
        ensure!(
            rung(&own) == "allowance" && amount(&own, "redeemed") == 9_000,
            "{own}"
        );
        let over = second
            .till()
            .ask(&boris, Basket::of(30_000).redeeming(9_000))
            .await?;
        ensure!(over.code() == "offline_limit", "{over:?}");
        // The first store goes on with the hub meanwhile.
        let online = first.till().sell(&boris, Basket::of(10_000)).await?;

        second.line.mend();
        let found = chain.agreed(&[&anna, &boris], BOUND).await?;
        let balance = |sales: &[Value]| {
            let moved = |sale: &Value| amount(sale, "earned") - amount(sale, "redeemed");
            WELCOME + sales.iter().map(moved).sum::<i64>()
        };
        ensure!(found[0].spendable == balance(&sales), "{found:?}");
        ensure!(
            found[1].spendable == balance(&[earned, own, online]),
            "{found:?}"
        );
        ensure!(found.iter().all(|standing| standing.debt == 0));
        for customer in [&anna, &boris] {
            let operations = chain.operations(customer).await?;
            ensure!(
                operations
                    .iter()
                    .all(|operation| operation["verdict"] == "accepted")
            );
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_held_sale_survives_a_restart_and_a_late_confirmation() -> anyhow::Result<()> {
    Scene::run(Duration::from_secs(60), async |scene| {
        let mut chain = Chain::start(scene, ChainPlan::small(&[Engine::Redb])).await?;
        let node = &mut chain.nodes[0];
        let anna = node.till().enrol(1).await?;
        let basket = Basket {
            hold: true,
            ..Basket::of(50_000).redeeming(10_000)
        };
        let held = node.till().sell(&anna, basket).await?;
        let given_up = node.till().sell(&anna, basket).await?;
        ensure!(held["state"] == "held" && node.till().balance(&anna).await? == WELCOME - 20_000);
        let more = node.till().ask(&anna, basket).await?;
        // Of the welcome points 5,000 are left that no sale holds.
        ensure!(more.code() == "redemption_over_limit", "{more:?}");
        node.kill().await?;
        node.start().await?;
        ensure!(node.till().balance(&anna).await? == WELCOME - 20_000);
        node.till().decide(&given_up, "void").await?.ok()?;
        let sold = node.till().decide(&held, "confirm").await?.ok()?;
        ensure!(sold["state"] == "confirmed" && amount(&sold, "redeemed") == 10_000);
        let back = node.till().take_back(&held).await?.ok()?;
        ensure!(amount(&back, "restored") == 10_000, "{back}");
        let found = chain.agreed(&[&anna], BOUND).await?;
        ensure!(found[0].spendable == WELCOME, "{found:?}");
        Ok(())
    })
    .await
}
