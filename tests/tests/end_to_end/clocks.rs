//! A node whose wall clock jumps: it keeps selling, and says that its time is not to be believed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use kopilka_tests::{Basket, Chain, ChainPlan, Engine, Scene};

const BOUND: Duration = Duration::from_secs(20);

/// The library that gives a process another time, as Debian's package `faketime` brings it.
fn library() -> anyhow::Result<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").context("there is no /usr/lib")?;
    let mut places = folders
        .filter_map(Result::ok)
        .map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"));
    let found = places.find(|place| place.is_file());
    found.context("this test needs libfaketime; run: apt-get install faketime")
}

/// Starts a node that looks for its time, as an offset such as `-3d`, in a file.
fn under_fake_time(offset: &Path) -> anyhow::Result<Vec<String>> {
    let library = library()?;
    Ok(vec![
        "env".to_owned(),
        format!("LD_PRELOAD={}", library.display()),
        format!("FAKETIME_TIMESTAMP_FILE={}", offset.display()),
        "FAKETIME_NO_CACHE=1".to_owned(),
        // Timers go on as they were; it is the wall clock that jumps.
        "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned(),
        "DONT_FAKE_MONOTONIC=1".to_owned(),
    ])
}

#[tokio::test]
async fn a_node_sells_on_while_its_clock_is_wrong() -> anyhow::Result<()> {
    Scene::run(Duration::from_secs(120), async |scene| {
        let mut chain = Chain::start(scene, ChainPlan::small(&[Engine::Redb])).await?;
        let offset = scene.folder().join("offset");
        std::fs::write(&offset, "+0\n")?;
        chain.nodes[0].wrapper = under_fake_time(&offset)?;
        chain.nodes[0].stop().await?;
        chain.nodes[0].start().await?;
        let till = chain.nodes[0].till().clone();
        let anna = till.enrol(1).await?;
        let trusted = chain.nodes[0].level(BOUND).await?["clock_trusted"].clone();
        ensure!(trusted == true, "the clock is right to begin with");
        let mut purchases = 0;
        for jump in ["-3d\n", "+40d\n"] {
            std::fs::write(&offset, jump)?;
            chain.nodes[0]
                .synced("its clock is not believed", BOUND, |status| {
                    status["clock_trusted"] == false
                })
                .await?;
            till.sell(&anna, Basket::of(10_000)).await?;
            // Offline, and through a restart that cannot compare with what was before.
            chain.nodes[0].line.cut();
            chain.nodes[0].kill().await?;
            chain.nodes[0].start().await?;
            till.sell(&anna, Basket::of(10_000)).await?;
            purchases += 2;
            std::fs::write(&offset, "+0\n")?;
            chain.nodes[0].line.mend();
            chain.nodes[0].level(BOUND).await?;
            chain.nodes[0]
                .synced("its clock is believed again", BOUND, |status| {
                    status["clock_trusted"] == true
                })
                .await?;
            let found = chain.agreed(&[&anna], BOUND).await?;
            ensure!(found[0].purchases == purchases, "after {jump}: {found:?}");
            ensure!(
                found[0].spendable == 25_000 + purchases * 500,
                "after {jump}: {found:?}"
            );
        }
        Ok(())
    })
    .await
}
