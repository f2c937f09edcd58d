//! Nodes that die at any moment: nothing acknowledged is lost, nothing is doubled.

use std::time::{Duration, Instant};

use kopilka_tests::{Chain, ChainPlan, Engine, Scene};

use crate::load::{self, Load};

const ROUNDS: u64 = 20;
const SALES: u64 = 200;
const AT_ONCE: u64 = 8;
const CUSTOMERS: u64 = 10;

#[tokio::test]
async fn kill_minus_nine_amid_sales_on_redb() -> anyhow::Result<()> {
    killed_amid_sales(Engine::Redb).await
}

#[tokio::test]
async fn kill_minus_nine_amid_sales_on_sled() -> anyhow::Result<()> {
    killed_amid_sales(Engine::Sled).await
}

/// In each round 200 sales are made, and the node is killed when some of them are acknowledged and others under way.
async fn killed_amid_sales(engine: Engine) -> anyhow::Result<()> {
    Scene::run(Duration::from_secs(150), async |scene| {
        let mut chain = Chain::start(scene, ChainPlan::small(&[engine])).await?;
        let load = Load::of(chain.nodes[0].till(), CUSTOMERS).await?;
        let started = Instant::now();
        let mut sold = Vec::new();
        for round in 0..ROUNDS {
            let till = chain.nodes[0].till().clone();
            let first = round * SALES;
            // Spread over the round by a step that meets every tenth of it.
            let moment = first + 10 + (round * 73) % (SALES - 20);
            let node = &mut chain.nodes[0];
            let crash = async {
                load.reaches(moment).await;
                node.kill().await?;
                node.start().await
            };
            let (crashed, made) =
                tokio::join!(crash, load.sell(&till, first..first + SALES, AT_ONCE));
            crashed?;
            sold.extend(made?);
        }
        eprintln!(
            "{engine:?}: {ROUNDS} crashes amid {} sales in {:?}",
            sold.len(),
            started.elapsed()
        );
        load::check_node(chain.nodes[0].till(), &sold).await?;
        load::check_chain(&chain, &load, &sold, Duration::from_secs(30)).await
    })
    .await
}
