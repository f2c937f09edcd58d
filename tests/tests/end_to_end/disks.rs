//! A node on a disk that runs full.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use kopilka_tests::{Basket, Chain, ChainPlan, Customer, Engine, Scene, Till, run_to_end, until};
use tokio::process::Command;

const BOUND: Duration = Duration::from_secs(30);
const DISK_MEBIBYTES: usize = 48;
/// So little that all sales together reach no higher tier, where they would earn more.
const PRICE: i64 = 100;
/// Sales after which the space that an engine had taken before must be used up.
const SALES_MAX: u64 = 5_000;

/// A file system of its own in memory, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    async fn mount(at: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(at)?;
        let mut command = Command::new("mount");
        let size = format!("size={DISK_MEBIBYTES}m");
        command.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at);
        let output = run_to_end(&mut command).await?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr).into_owned();
            bail!("this test mounts a small file system, which only root may do: {words}");
        }
        Ok(Self(at.to_owned()))
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// Takes all the space that is left.
    fn fill(&self) -> anyhow::Result<()> {
        let mut file = fs::File::create(self.filler())?;
        let chunk = [1; 4_096];
        while file.write_all(&chunk).is_ok() {}
        Ok(())
    }

    fn free(&self) -> anyhow::Result<()> {
        Ok(fs::remove_file(self.filler())?)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Nothing is left to do about a failure.
        let _ = std::process::Command::new("umount")
            .arg("-l")
            .arg(&self.0)
            .status();
    }
}

/// Sells until the disk is full; gives the acknowledged sales and the receipt that was refused.
async fn sell_until_full(
    till: &Till,
    customer: &Customer,
    first: u64,
) -> anyhow::Result<(i64, u64)> {
    let mut sold = 0;
    for receipt in first..first + SALES_MAX {
        let body = till.sale(customer, receipt, Basket::of(PRICE));
        let answer = till.post_sale(&format!("full-{receipt}"), &body).await?;
        match (answer.status, answer.code()) {
            (201, _) => sold += 1,
            (507, "storage_full") => return Ok((sold, receipt)),
            _ => bail!("receipt {receipt}: {answer:?}"),
        }
    }
    bail!("the disk took {SALES_MAX} sales after it was full");
}

#[tokio::test]
async fn a_full_disk_refuses_sales_until_space_returns_on_redb() -> anyhow::Result<()> {
    full(Engine::Redb).await
}

#[tokio::test]
async fn a_full_disk_refuses_sales_until_space_returns_on_sled() -> anyhow::Result<()> {
    full(Engine::Sled).await
}

async fn full(engine: Engine) -> anyhow::Result<()> {
    Scene::run(Duration::from_secs(120), async |scene| {
        let disk = SmallDisk::mount(&scene.folder().join("disk")).await?;
        let mut chain = Chain::start(scene, ChainPlan::small(&[engine])).await?;
        chain.nodes[0].stop().await?;
        let moved = disk.0.join("data");
        let mut copy = Command::new("cp");
        let copied = run_to_end(copy.arg("-a").arg(&chain.nodes[0].data_dir).arg(&moved)).await?;
        ensure!(copied.status.success(), "cannot move the node to its disk");
        chain.nodes[0].data_dir = moved;
        chain.nodes[0].start().await?;
        let till = chain.nodes[0].till().clone();
        let anna = till.enrol(1).await?;
        chain.agreed(&[&anna], BOUND).await?;

        disk.fill()?;
        let (mut sold, refused) = sell_until_full(&till, &anna, 100).await?;
        // What changes nothing goes on.
        ensure!(till.identify(&anna.number).await?.member == anna.member);
        ensure!(till.member(&anna).await?["purchases"] == sold);
        // It dies, and comes up on the full disk.
        chain.nodes[0].kill().await?;
        chain.nodes[0].start().await?;
        ensure!(till.member(&anna).await?["purchases"] == sold);
        let (more, _) = sell_until_full(&till, &anna, 50_000).await?;
        sold += more;

        disk.free()?;
        let body = till.sale(&anna, refused, Basket::of(PRICE));
        let answer = until("sales go on when space returns", BOUND, async || {
            let answer = till.post_sale(&format!("full-{refused}"), &body).await?;
            Ok((answer.status != 507).then_some(answer))
        })
        .await?;
        answer.ok().context("the refused sale")?;
        sold += 1;
        let found = chain.agreed(&[&anna], BOUND).await?;
        ensure!(
            found[0].purchases == sold,
            "{found:?}, not {sold} purchases"
        );
        ensure!(
            found[0].spendable == 25_000 + sold * PRICE / 20,
            "{found:?}"
        );
        chain.nodes[0].stop().await?;
        Ok(())
    })
    .await
}
