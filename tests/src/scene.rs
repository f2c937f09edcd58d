//! What surrounds a test: a folder, a bound on its time, and the logs of its processes when it fails.

use std::path::Path;
use std::time::Duration;

use anyhow::bail;
use tempfile::TempDir;
use tokio::sync::Semaphore;

use crate::postgres;

/// Chains that run at once: the machines that tests run on have two cores.
const CHAINS_MAX: usize = 2;
/// Lines of each log that are shown when a test fails.
const LOG_TAIL_LINES: usize = 40;

static CHAINS: Semaphore = Semaphore::const_new(CHAINS_MAX);

/// The surroundings of one test.
#[derive(Debug)]
pub struct Scene {
    folder: TempDir,
    databases: Vec<String>,
    passed: bool,
}

impl Scene {
    /// Runs a test, which must end within `bound`.
    ///
    /// The bound counts from when a place among the chains is free.
    pub async fn run(
        bound: Duration,
        test: impl AsyncFnOnce(&mut Self) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        crate::programs().await?;
        let _place = CHAINS.acquire().await?;
        let mut scene = Self {
            folder: tempfile::Builder::new().prefix("kopilka-").tempdir()?,
            databases: Vec::new(),
            passed: false,
        };
        let result = match tokio::time::timeout(bound, test(&mut scene)).await {
            Ok(result) => result,
            Err(_) => Err(anyhow::anyhow!("the test took more than {bound:?}")),
        };
        scene.passed = result.is_ok();
        for database in std::mem::take(&mut scene.databases) {
            postgres::drop(&database).await?;
        }
        result
    }

    /// The folder of everything that the test's processes write; gone when the test ends.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A new, empty PostgreSQL database, gone when the test ends. Gives the connection string.
    pub async fn postgres(&mut self) -> anyhow::Result<String> {
        let (name, url) = postgres::create().await?;
        self.databases.push(name);
        Ok(url)
    }

    /// All that processes of this test have logged.
    pub fn logs(&self) -> anyhow::Result<Vec<(String, String)>> {
        let mut logs = Vec::new();
        for entry in std::fs::read_dir(self.folder())? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "log") {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let text = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
                logs.push((name.into_owned(), text));
            }
        }
        if logs.is_empty() {
            bail!("no process has logged anything");
        }
        logs.sort();
        Ok(logs)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if self.passed {
            return;
        }
        for (name, text) in self.logs().unwrap_or_default() {
            let lines: Vec<_> = text.lines().collect();
            let tail = &lines[lines.len().saturating_sub(LOG_TAIL_LINES)..];
            eprintln!(
                "--- {name}, last of {} lines\n{}",
                lines.len(),
                tail.join("\n")
            );
        }
    }
}
