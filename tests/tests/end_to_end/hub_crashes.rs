//! Hubs that die while they take batches in.

use std::time::Duration;

use anyhow::ensure;
use kopilka_tests::{Chain, ChainPlan, Database, Engine, Scene};

use crate::load::{self, Load};

const CRASHES: u64 = 5;
const SALES_A_CRASH: u64 = 300;
const CUSTOMERS: u64 = 10;
const BOUND: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_hub_on_sqlite_dies_while_it_takes_batches() -> anyhow::Result<()> {
    Scene::run(Duration::from_secs(150), async |scene| {
        dies(scene, Database::Sqlite).await
    })
    .await
}

#[tokio::test]
async fn a_hub_on_postgres_dies_while_it_takes_batches() -> anyhow::Result<()> {
    Scene::run(Duration::from_secs(150), async |scene| {
        let database = Database::Postgres(scene.postgres().await?);
        dies(scene, database).await
    })
    .await
}

/// Two stores sell without pause. Each time some hundred sales wait for the hub or are on their way, it is killed.
async fn dies(scene: &Scene, database: Database) -> anyhow::Result<()> {
    let plan = ChainPlan {
        database,
        ..ChainPlan::small(&[Engine::Redb, Engine::Sled])
    };
    let mut chain = Chain::start(scene, plan).await?;
    let load = Load::of(chain.nodes[0].till(), CUSTOMERS).await?;
    let customers: Vec<_> = load.customers.iter().collect();
    chain.agreed(&customers, BOUND).await?;
    let tills = [chain.nodes[0].till().clone(), chain.nodes[1].till().clone()];
    let half = CRASHES * SALES_A_CRASH / 2;
    let crashes = async {
        for crash in 1..=CRASHES {
            load.reaches(crash * SALES_A_CRASH - SALES_A_CRASH / 2)
                .await;
            chain.hubs[0].kill().await?;
            // Work piles up, and comes in at once with the hub's return.
            load.reaches(crash * SALES_A_CRASH - SALES_A_CRASH / 4)
                .await;
            chain.hubs[0].restart().await?;
        }
        anyhow::Ok(())
    };
    let (crashed, first, second) = tokio::join!(
        crashes,
        load.sell(&tills[0], 0..half, 4),
        load.sell(&tills[1], half..2 * half, 4),
    );
    crashed?;
    let sold = [first?, second?].concat();
    load::check_chain(&chain, &load, &sold, BOUND).await?;

    // Once more with a backlog: the hub dies as soon as it has begun to take it in.
    chain.nodes[0].line.cut();
    let backlog = load.sell(&tills[0], 10_000..11_500, 8).await?;
    let sold = [sold, backlog].concat();
    for _ in 0..3 {
        chain.nodes[0].line.mend();
        chain.nodes[0]
            .synced("the backlog begins to go up", BOUND, |status| {
                status["connected"] == true
            })
            .await?;
        chain.hubs[0].kill().await?;
        chain.hubs[0].restart().await?;
    }
    load::check_chain(&chain, &load, &sold, BOUND).await?;
    ensure!(
        chain.cases().await?.is_empty(),
        "a crash of the hub is no fork"
    );
    Ok(())
}
