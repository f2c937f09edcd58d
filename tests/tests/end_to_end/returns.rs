//! Goods that come back to another store than the one that sold them.

use std::time::Duration;

use anyhow::{Context, ensure};
use kopilka_tests::{Basket, Chain, ChainPlan, Customer, Engine, Scene, Till, until};
use serde_json::{Value, json};

const BOUND: Duration = Duration::from_secs(20);
const WELCOME: i64 = 25_000;

/// What a till sees of a member's purchases, once there are so many.
async fn bought(till: &Till, customer: &Customer, count: usize) -> anyhow::Result<Vec<Value>> {
    let path = format!("/v1/members/{}/purchases", customer.member);
    until("the purchases", BOUND, async || {
        let list = till.http.get(&path).await?.ok()?;
        let items = list["items"].as_array().context("a list")?.clone();
        let all = list["other_stores"] == true && items.len() == count;
        Ok(all.then_some(items))
    })
    .await
}

fn by_operation(till: &Till, purchase: &Value) -> Value {
    json!({ "cashier": till.cashier, "operation_id": purchase["operation_id"] })
}

#[tokio::test]
async fn goods_come_back_to_another_store_without_the_receipt() -> anyhow::Result<()> {
    Scene::run(Duration::from_secs(90), async |scene| {
        let chain = Chain::start(scene, ChainPlan::small(&[Engine::Redb, Engine::Sled])).await?;
        let (first, second) = (chain.nodes[0].till(), chain.nodes[1].till());
        let anna = first.enrol(1).await?;
        chain.agreed(&[&anna], BOUND).await?;
        let sold = first
            .sell(&anna, Basket::of(100_000).redeeming(10_000))
            .await?;
        chain.nodes[0].level(BOUND).await?;
        chain.agreed(&[&anna], BOUND).await?;

        let found = bought(second, &anna, 1).await?;
        ensure!(
            found[0]["operation_id"] == sold["operation_id"],
            "{found:?}"
        );
        ensure!(found[0]["lines"][0]["left"] == "1", "{found:?}");
        let back = by_operation(second, &found[0]);
        let back = second.http.post("/v1/returns", "back", &back).await?.ok()?;
        ensure!(
            back["refund"] == 90_000 && back["restored"] == 10_000,
            "{back}"
        );
        let standings = chain.agreed(&[&anna], BOUND).await?;
        ensure!(standings[0].spendable == WELCOME, "{standings:?}");
        ensure!(
            standings[0].purchases == 0 && standings[0].counted == 0,
            "{standings:?}"
        );

        // The store that sold them hears of it from the hub.
        chain.nodes[1].level(BOUND).await?;
        let again = first.take_back(&sold).await?.refusal()?;
        ensure!(
            again == (409, "nothing_left_to_return".to_owned()),
            "{again:?}"
        );
        for operation in chain.operations(&anna).await? {
            ensure!(operation["verdict"] == "accepted", "{operation}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn goods_taken_back_twice_during_an_outage_are_a_case() -> anyhow::Result<()> {
    Scene::run(Duration::from_secs(120), async |scene| {
        let chain = Chain::start(scene, ChainPlan::small(&[Engine::Redb, Engine::Redb])).await?;
        let (first, second) = (chain.nodes[0].till(), chain.nodes[1].till());
        let anna = first.enrol(1).await?;
        let sold = first.sell(&anna, Basket::of(100_000)).await?;
        let unseen =
            json!({ "cashier": first.cashier, "receipt": { "till": "t999", "number": 1 } });
        chain.agreed(&[&anna], BOUND).await?;
        let known = bought(second, &anna, 1).await?;

        chain.nodes[0].line.cut();
        chain.nodes[0].offline(Duration::from_secs(60)).await?;
        let refused = first.http.post("/v1/returns", "unseen", &unseen).await?;
        ensure!(refused.code() == "purchase_out_of_reach", "{refused:?}");
        first.take_back(&sold).await?.ok()?;
        let back = by_operation(second, &known[0]);
        second.http.post("/v1/returns", "back", &back).await?.ok()?;
        chain.nodes[1].level(BOUND).await?;

        chain.nodes[0].line.mend();
        chain.agreed(&[&anna], BOUND).await?;
        let operations = chain.operations(&anna).await?;
        let contested = operations
            .iter()
            .filter(|operation| operation["verdict"] == "contested");
        ensure!(contested.count() == 1, "{operations:?}");
        let cases = chain.cases().await?;
        ensure!(
            cases.iter().any(|case| case["kind"] == "reversal"),
            "{cases:?}"
        );
        Ok(())
    })
    .await
}
