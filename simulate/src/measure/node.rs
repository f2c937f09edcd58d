//! The real `kopilka-node` as a process: started on a folder, asked how it stands, killed without warning.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;
use tokio::process::Command;

use super::load::{self, Connection};
use crate::process::{Process, free_address};

/// How long a node may take to do what is waited for.
const PATIENCE: Duration = Duration::from_secs(180);

/// A running node; killed when dropped.
pub struct NodeProcess {
    process: Process,
    /// Where its tills connect.
    pub address: SocketAddr,
}

impl NodeProcess {
    /// Starts `kopilka-node run` on a folder where a node is enrolled.
    pub fn start(program: &Path, folder: &Path) -> anyhow::Result<Self> {
        let address = free_address()?;
        let mut command = Command::new(program);
        command.arg("run").arg("--data-dir").arg(folder);
        command.args(["--http-listen", &address.to_string()]);
        let process = Process::start("kopilka-node", command, &folder.join("node.log"))?;
        Ok(Self { process, address })
    }

    /// Its process number.
    pub fn id(&self) -> anyhow::Result<u32> {
        self.process.id().context("kopilka-node has ended")
    }

    /// Waits until it can serve tills.
    pub async fn ready(&mut self) -> anyhow::Result<()> {
        let is_ready = |status, _: &[u8]| (200..300).contains(&status);
        self.until("ready", "/readyz", "", is_ready).await
    }

    /// Waits until its replica is whole: it has a position in the feed.
    pub async fn whole(&mut self, token: &str) -> anyhow::Result<()> {
        let has_feed = |status, body: &[u8]| {
            let standing: Value = serde_json::from_slice(body).unwrap_or_default();
            let feed = standing["feed"].as_array();
            status == 200 && feed.is_some_and(|feed| !feed.is_empty())
        };
        self.until("whole", "/v1/sync", token, has_feed).await
    }

    async fn until(
        &mut self,
        what: &str,
        path: &str,
        token: &str,
        done: impl Fn(u16, &[u8]) -> bool,
    ) -> anyhow::Result<()> {
        let (address, request) = (self.address, load::request("GET", path, token, None, ""));
        let answered = async || {
            let Ok(mut connection) = Connection::open(address).await else {
                return false;
            };
            let answer = connection.ask(&request).await;
            answer.is_ok_and(|(status, body)| done(status, body))
        };
        self.process.until(what, PATIENCE, answered).await
    }

    /// Kills it as a power cut would.
    pub async fn kill(self) -> anyhow::Result<()> {
        self.process.kill().await
    }
}

/// Bytes that the files of a folder occupy on the disk, the log left out.
pub fn disk_bytes(folder: &Path) -> anyhow::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let (path, data) = entry.and_then(|entry| Ok((entry.path(), entry.metadata()?)))?;
        if data.is_dir() {
            bytes += disk_bytes(&path)?;
        } else if path.extension().is_none_or(|extension| extension != "log") {
            bytes += data.blocks() * 512;
        }
    }
    Ok(bytes)
}
