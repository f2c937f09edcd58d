//! Two hub processes on one PostgreSQL, and the death of one.

use std::time::Duration;

use anyhow::{Context, ensure};
use kopilka_tests::{Basket, Chain, ChainPlan, Database, Engine, Scene, until};

use crate::load::{self, Load};

const BOUND: Duration = Duration::from_secs(60);

#[tokio::test]
async fn the_death_of_one_of_two_hubs_loses_and_doubles_nothing() -> anyhow::Result<()> {
    Scene::run(Duration::from_secs(150), async |scene| {
        let plan = ChainPlan {
            database: Database::Postgres(scene.postgres().await?),
            hubs: 2,
            ..ChainPlan::small(&[Engine::Redb, Engine::Redb, Engine::Sled, Engine::Sled])
        };
        let mut chain = Chain::start(scene, plan).await?;
        let load = Load::of(chain.nodes[0].till(), 8).await?;
        let customers: Vec<_> = load.customers.iter().collect();
        chain.agreed(&customers, BOUND).await?;

        // An order given at one hub reaches the stores of the other.
        let lost = load.customers[7].number.clone();
        let number = chain.order(&lost, true).await?;
        for node in &chain.nodes {
            let what = format!("{} refuses the card", node.name);
            until(&what, Duration::from_secs(5), async || {
                let answer = node.till().show_card(&lost).await?;
                Ok((answer.code() == "card_blocked").then_some(()))
            })
            .await?;
        }
        let path = chain.path(&format!("/blocks/{number}/delivery"));
        until("the other hub knows who has the order", BOUND, async || {
            let delivered = chain.hubs[1].get(&path).await?;
            let nodes = delivered["items"].as_array().context("a list")?;
            let all = nodes.len() == 4 && nodes.iter().all(|node| node["has_it"] == true);
            Ok(all.then_some(()))
        })
        .await?;
        chain.order(&lost, false).await?;
        until(
            "the card is released in the last store",
            BOUND,
            async || {
                let answer = chain.nodes[3].till().show_card(&lost).await?;
                Ok(answer.is_success().then_some(()))
            },
        )
        .await?;

        let tills: Vec<_> = chain.nodes.iter().map(|node| node.till().clone()).collect();
        let death = async {
            load.reaches(200).await;
            chain.hubs[1].kill().await?;
            for node in [1, 3] {
                chain.nodes[node].line.lead_to(chain.hubs[0].quic);
            }
            anyhow::Ok(())
        };
        let (died, first, second, third, fourth) = tokio::join!(
            death,
            load.sell(&tills[0], 0..200, 2),
            load.sell(&tills[1], 200..400, 2),
            load.sell(&tills[2], 400..600, 2),
            load.sell(&tills[3], 600..800, 2),
        );
        died?;
        let sold = [first?, second?, third?, fourth?].concat();
        load::check_chain(&chain, &load, &sold, BOUND).await?;
        ensure!(chain.cases().await?.is_empty());
        chain.nodes[3]
            .till()
            .sell(&load.customers[0], Basket::of(1_000))
            .await?;
        chain.nodes[3].level(BOUND).await?;
        Ok(())
    })
    .await
}
