//! How a new node gets all members, at one go and with a kill in between.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::Stage;
use crate::measure::figures::{Figure, grouped, megabytes, nanos, rate, time, times};
use crate::measure::node::{NodeProcess, disk_bytes};
use crate::measure::{machine, progress};

const BOOTSTRAP_NANOS_MAX: u64 = 20_000_000_000;
/// How long the store's size must stay the same after a bootstrap before it counts as settled.
const SETTLED: Duration = Duration::from_secs(2);

const BOOTSTRAP: &str = "Each page is read, packed and signed by the hub, then unpacked, decoded and written by the node, one \
    step after the other, and each page is synced before the next one is taken.";

impl Stage {
    pub(super) async fn bootstrap(
        &self,
        folder: &Path,
        raw: u64,
        figures: &mut Vec<Figure>,
    ) -> anyhow::Result<(NodeProcess, u64)> {
        self.chain.node_folder(folder, self.serving.address).await?;
        progress::part("a new node fetches all members");
        let bare = bare_write(&self.folder.join("bare"), raw)?;
        let started = Instant::now();
        let mut node = NodeProcess::start(&self.program, folder)?;
        node.whole(&self.chain.token).await?;
        let whole = nanos(started.elapsed());
        let per_second = rate(self.members, whole);
        let measured = format!("{} ({} members/s)", time(whole), grouped(per_second));
        let figure = Figure::new(
            format!("new node: {} members over loopback", grouped(self.members)),
            measured,
        )
        .limit(
            format!("bare write and sync of the same bytes: {}", time(bare)),
            times(whole, bare),
        );
        figures.push(self.judged(figure, "≤ 20 s", whole <= BOOTSTRAP_NANOS_MAX, BOOTSTRAP));
        let settling = Instant::now();
        settled(folder).await?;
        let settling = nanos(settling.elapsed().saturating_sub(SETTLED));
        let (_, peak) = machine::resident(node.id()?).context("the node is a process")?;
        figures.push(Figure::new(
            "until its store is compact again",
            time(settling),
        ));
        figures.push(Figure::new("peak memory meanwhile", megabytes(peak)));
        Ok((node, whole))
    }

    /// The same on another node, which is killed half-way.
    pub(super) async fn cut(
        &self,
        folder: &Path,
        whole: u64,
        figures: &mut Vec<Figure>,
    ) -> anyhow::Result<()> {
        self.chain.node_folder(folder, self.serving.address).await?;
        progress::part("another node is killed half-way and goes on");
        let before = Duration::from_nanos(whole / 2);
        let node = NodeProcess::start(&self.program, folder)?;
        tokio::time::sleep(before).await;
        node.kill().await?;
        let resumed = Instant::now();
        let mut node = NodeProcess::start(&self.program, folder)?;
        node.whole(&self.chain.token).await?;
        let after = nanos(resumed.elapsed());
        let sum = nanos(before) + after;
        let measured = format!("{} before, {} after", time(nanos(before)), time(after));
        let figure = Figure::new(
            "the same, killed with kill -9 half-way and started again",
            measured,
        )
        .limit(format!("without a cut: {}", time(whole)), times(sum, whole));
        // A node that began anew would take as long again.
        let resumes = sum < whole + whole / 4;
        figures.push(
            figure
                .target("goes on where it was", resumes)
                .obstacle(BOOTSTRAP),
        );
        node.kill().await?;
        std::fs::remove_dir_all(folder)?;
        Ok(())
    }
}

/// Waits until the folder's size does not change any more.
async fn settled(folder: &Path) -> anyhow::Result<()> {
    let mut since = Instant::now();
    let mut bytes = disk_bytes(folder)?;
    while since.elapsed() < SETTLED {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = disk_bytes(folder)?;
        if now != bytes {
            (bytes, since) = (now, Instant::now());
        }
    }
    Ok(())
}

/// Nanoseconds to write so many bytes to a new file and sync it.
fn bare_write(path: &Path, bytes: u64) -> anyhow::Result<u64> {
    use std::io::Write;
    const BLOCK_BYTES: u64 = 1 << 20;
    let block = vec![7; usize::try_from(BLOCK_BYTES)?];
    let started = Instant::now();
    let mut file = std::fs::File::create(path)?;
    for _ in 0..bytes.div_ceil(BLOCK_BYTES) {
        file.write_all(&block)?;
    }
    file.sync_data()?;
    let taken = nanos(started.elapsed());
    std::fs::remove_file(path)?;
    Ok(taken)
}
