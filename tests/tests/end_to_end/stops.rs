//! A promotion is stopped in every store at once, also in those that are out of touch just now, and released.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use kopilka_tests::{Basket, Chain, ChainPlan, Customer, Engine, Scene, StoreNode, until};
use serde_json::{Value, json};

const BOUND: Duration = Duration::from_secs(20);
const PRICE: i64 = 20_000;

/// Publishes promotion x7: half the price of every receipt.
async fn publish(chain: &Chain) -> anyhow::Result<()> {
    let promotion = json!({
        "name": { "ru": "Половина", "en": "Half" },
        "stage": "receipt",
        "effects": [{ "kind": "discount", "off": { "by": "percent", "permille": 500 } }],
    });
    let folder = chain.hub().data_dir.with_file_name("book.json");
    let rules = ["rulebook", "export", "--programme", &chain.programme];
    let mut rules = chain.hub().run(&rules).await?;
    rules["promotions"]["7"] = promotion;
    std::fs::write(&folder, rules.to_string())?;
    let file = folder.to_string_lossy();
    let note = ["--note", "half", "--programme", &chain.programme];
    let import = ["rulebook", "import", "--file", &file];
    chain.hub().run(&[&import[..], &note].concat()).await?;
    let publish = ["rulebook", "publish"];
    chain.hub().run(&[&publish[..], &note].concat()).await?;
    Ok(())
}

/// What the store says of the promotion when it prices a receipt: the total, and the reason for nothing.
async fn quoted(node: &StoreNode, customer: &Customer) -> anyhow::Result<(i64, Value)> {
    let lines = json!([{ "sku": "85123A", "quantity": "1", "unit_price": PRICE }]);
    let body = json!({ "member_id": customer.member, "lines": lines });
    let http = &node.till().http;
    let quote = http.post("/v1/quotes", "", &body).await?.ok()?;
    let total = quote["total"].as_i64().context("a total")?;
    Ok((total, quote["promotions"][0]["reason"]["code"].clone()))
}

async fn gives(node: &StoreNode, customer: &Customer, wanted: bool) -> anyhow::Result<()> {
    let expected = if wanted {
        (PRICE / 2, Value::Null)
    } else {
        (PRICE, json!("stopped"))
    };
    let what = format!("{} has the promotion: {wanted}", node.name);
    until(&what, BOUND, async || {
        Ok((quoted(node, customer).await? == expected).then_some(()))
    })
    .await
}

/// Stops or releases the promotion on the command line.
async fn order(chain: &Chain, verb: &str) -> anyhow::Result<()> {
    let which = ["--programme", &chain.programme, "--promotion", "x7"];
    let order = ["promotion", verb, "--reason", "wrong price"];
    chain.hub().run(&[&order[..], &which].concat()).await?;
    Ok(())
}

/// How many nodes have the latest order, by the hub's account.
async fn delivered(chain: &Chain, count: usize) -> anyhow::Result<()> {
    until("the hub knows who has the order", BOUND, async || {
        let path = chain.path("/promotions/x7/delivery");
        let list = chain.hub().get(&path).await?;
        let nodes = list["items"].as_array().context("a list")?;
        let has = nodes.iter().filter(|node| node["has_it"] == true).count();
        Ok((has == count && nodes.len() == chain.nodes.len()).then_some(()))
    })
    .await
}

#[tokio::test]
async fn a_stopped_promotion_is_given_nowhere_until_it_is_released() -> anyhow::Result<()> {
    Scene::run(Duration::from_secs(120), async |scene| {
        let plan = ChainPlan::small(&[Engine::Redb, Engine::Sled]);
        let mut chain = Chain::start(scene, plan).await?;
        let anna = chain.nodes[0].till().enrol(1).await?;
        chain.agreed(&[&anna], BOUND).await?;
        publish(&chain).await?;
        for node in &chain.nodes {
            gives(node, &anna, true).await?;
        }
        chain.nodes[1].stop().await?;

        let started = Instant::now();
        order(&chain, "stop").await?;
        gives(&chain.nodes[0], &anna, false).await?;
        eprintln!("stopped after {:?}", started.elapsed());
        delivered(&chain, 1).await?;
        let sold = chain.nodes[0].till().sell(&anna, Basket::of(PRICE)).await?;
        ensure!(sold["total"] == PRICE, "{sold}");

        // A store that is out of touch cannot know, and gives what it promises.
        chain.nodes[1].line.cut();
        chain.nodes[1].start().await?;
        gives(&chain.nodes[1], &anna, true).await?;
        let offline = chain.nodes[1].till().sell(&anna, Basket::of(PRICE)).await?;
        ensure!(offline["total"] == PRICE / 2, "{offline}");
        chain.nodes[1].line.mend();
        gives(&chain.nodes[1], &anna, false).await?;
        delivered(&chain, 2).await?;
        chain.agreed(&[&anna], BOUND).await?;
        for operation in chain.operations(&anna).await? {
            ensure!(operation["verdict"] == "accepted", "{operation}");
        }

        // The order outlives a restart without the hub, and a new publication does not lift it.
        chain.nodes[1].line.cut();
        chain.nodes[1].kill().await?;
        chain.nodes[1].start().await?;
        gives(&chain.nodes[1], &anna, false).await?;
        publish(&chain).await?;
        chain.nodes[1].line.mend();
        for node in &chain.nodes {
            until("the new rules are in force", BOUND, async || {
                let status = node.till().sync().await?;
                Ok((status["publication"] == 3).then_some(()))
            })
            .await?;
            gives(node, &anna, false).await?;
        }
        order(&chain, "release").await?;
        for node in &chain.nodes {
            gives(node, &anna, true).await?;
        }
        delivered(&chain, 2).await?;
        Ok(())
    })
    .await
}
