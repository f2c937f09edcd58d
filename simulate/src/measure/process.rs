//! The real `kopilka-node` as a process: started on a folder, asked how it stands, killed without warning.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;

use super::load::{self, Connection};

/// How long a node may take to do what is waited for.
const PATIENCE: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(10);

/// A running node; killed when dropped.
pub struct NodeProcess {
    child: Child,
    /// Where its tills connect.
    pub address: SocketAddr,
    log: PathBuf,
}

/// Where `kopilka-node` is: beside this program. Run by cargo, it is brought up to date first, in the same profile.
pub fn locate() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("this program does not know where it is")?;
    let folder = own.parent().context("a program lies in a folder")?;
    let program = folder.join(format!("kopilka-node{}", std::env::consts::EXE_SUFFIX));
    if let Some(cargo) = std::env::var_os("CARGO") {
        let mut build = Command::new(cargo);
        build
            // Together with this program, so that all are built with the same features and nothing is built twice.
            .args(["build", "--quiet", "--bins"])
            .args(["-p", "simulate", "-p", "kopilka-hub", "-p", "kopilka-node"])
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        let profile = folder.file_name().and_then(|name| name.to_str());
        if let Some(profile) = profile.filter(|profile| *profile != "debug") {
            build.args(["--profile", profile]);
        }
        if !build.status().context("cannot start cargo")?.success() {
            bail!("cargo could not build kopilka-node");
        }
    }
    if !program.is_file() {
        bail!(
            "{} is not there: build kopilka-node first",
            program.display()
        );
    }
    Ok(program)
}

impl NodeProcess {
    /// Starts `kopilka-node run` on a folder where a node is enrolled.
    pub fn start(program: &Path, folder: &Path) -> anyhow::Result<Self> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let log = folder.join("node.log");
        let output = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)?;
        let child = Command::new(program)
            .arg("run")
            .arg("--data-dir")
            .arg(folder)
            .arg("--http-listen")
            .arg(address.to_string())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .context("cannot start kopilka-node")?;
        Ok(Self {
            child,
            address,
            log,
        })
    }

    /// Its process number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it can serve tills.
    pub async fn ready(&mut self) -> anyhow::Result<()> {
        self.wait_for("/readyz", "", |status, _| (200..300).contains(&status))
            .await
    }

    /// Waits until its replica is whole: it has a position in the feed.
    pub async fn whole(&mut self, token: &str) -> anyhow::Result<()> {
        let has_feed = |status: u16, body: &[u8]| {
            let standing: Value = serde_json::from_slice(body).unwrap_or_default();
            status == 200
                && standing["feed"]
                    .as_array()
                    .is_some_and(|feed| !feed.is_empty())
        };
        self.wait_for("/v1/sync", token, has_feed).await
    }

    async fn wait_for(
        &mut self,
        path: &str,
        token: &str,
        done: impl Fn(u16, &[u8]) -> bool,
    ) -> anyhow::Result<()> {
        let request = load::request("GET", path, token, None, "");
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait()? {
                bail!("kopilka-node ended with {status}:\n{}", self.log_text());
            }
            if let Ok(mut connection) = Connection::open(self.address).await
                && let Ok((status, body)) = connection.ask(&request).await
                && done(status, body)
            {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
        bail!("kopilka-node did not get there:\n{}", self.log_text());
    }

    /// Everything that it has logged.
    pub fn log_text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Kills it as a power cut would: no chance to finish anything.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
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
