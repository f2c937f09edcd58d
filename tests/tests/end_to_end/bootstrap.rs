//! A new node in a chain that has many members.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, ensure};
use kopilka_tests::{Basket, Chain, ChainPlan, Engine, Scene, card_number, until};

const MEMBERS: u64 = 20_000;
const BOUND: Duration = Duration::from_secs(60);

/// A file as an earlier system would export it: member n has n hundredths of a point.
fn export() -> anyhow::Result<String> {
    let mut file = "card_number,balance,consent\n".to_owned();
    for serial in 1..=MEMBERS {
        writeln!(
            file,
            "{},{}.{:02},no",
            card_number(serial),
            serial / 100,
            serial % 100
        )?;
    }
    Ok(file)
}

#[tokio::test]
async fn a_cut_snapshot_goes_on_where_it_stopped() -> anyhow::Result<()> {
    Scene::run(Duration::from_secs(180), async |scene| {
        let mut chain = Chain::start(scene, ChainPlan::small(&[Engine::Redb])).await?;
        let path = scene.folder().join("members.csv");
        std::fs::write(&path, export()?)?;
        let file = path.to_string_lossy().into_owned();
        let target = ["--programme", &chain.programme, "--partner", &chain.partner];
        let tally = chain
            .hub()
            .run(&[&["import"], &target[..], &[&file]].concat())
            .await?;
        ensure!(tally["imported"] == MEMBERS, "{tally}");
        let first = &chain.nodes[0];
        until(
            "a node that was there has the last member",
            BOUND,
            async || {
                let shown = first.till().show_card(&card_number(MEMBERS)).await?;
                Ok(shown.is_success().then_some(()))
            },
        )
        .await?;

        // How much a whole snapshot is.
        chain.add_store(1).await?;
        let whole = chain.add_node(1, 0, Engine::Redb).await?;
        whole.start().await?;
        chain.has_members(&chain.nodes[1]).await?;
        let whole_bytes = chain.nodes[1].line.down_bytes();

        // The same over a slow line that is cut amid it.
        chain.add_store(1).await?;
        let slow = chain.add_node(2, 0, Engine::Sled).await?;
        slow.line.pace_down(whole_bytes / 4);
        slow.start().await?;
        until("most of the snapshot has come", BOUND, async || {
            Ok((slow.line.down_bytes() > whole_bytes * 85 / 100).then_some(()))
        })
        .await?;
        slow.line.cut();
        let before_cut = slow.line.down_bytes();
        slow.kill().await?;
        let feed = |status: &serde_json::Value| status["feed"].as_array().map(Vec::len);
        slow.line.pace_down(0);
        slow.start().await?;
        ensure!(
            feed(&slow.till().sync().await?) == Some(0),
            "the snapshot was whole already"
        );
        // Sales go on meanwhile; their states come with the tail.
        let known = chain.nodes[0]
            .till()
            .identify(&card_number(MEMBERS / 2))
            .await?;
        chain.nodes[0]
            .till()
            .sell(&known, Basket::of(100_000))
            .await?;
        chain.nodes[2].line.mend();
        chain.has_members(&chain.nodes[2]).await?;
        let after_cut = chain.nodes[2].line.down_bytes() - before_cut;
        eprintln!(
            "whole snapshot {whole_bytes} bytes; {before_cut} before the cut, {after_cut} after it"
        );
        ensure!(
            after_cut < whole_bytes * 8 / 10,
            "{after_cut} bytes of {whole_bytes} came again"
        );

        for serial in [1, 2, 777, MEMBERS / 2, MEMBERS - 1, MEMBERS] {
            let number = card_number(serial);
            let customer = chain.nodes[2].till().identify(&number).await?;
            let found = chain.agreed(&[&customer], BOUND).await?;
            let imported = i64::try_from(serial)?;
            let sold = if customer.member == known.member {
                5_000
            } else {
                0
            };
            ensure!(found[0].spendable == imported + sold, "{serial}: {found:?}");
        }
        let counted = chain.nodes[2].till().sync().await?;
        counted["feed"][0].as_u64().context("a position")?;
        Ok(())
    })
    .await
}
