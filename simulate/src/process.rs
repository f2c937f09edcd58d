//! Processes of the real programs: started on free ports, awaited, and gone when their owner is.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// How long a process may take to drain and stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(10);
/// Lines of a log that are shown when its process fails.
const LOG_TAIL_LINES: usize = 12;

/// A port that was free a moment ago, for TCP and UDP.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    let tcp = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    let address = tcp.local_addr()?;
    std::net::UdpSocket::bind(address).context("no free port")?;
    Ok(address)
}

/// A process that ends with this value.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program whose output is added to a file.
    pub fn start(name: &str, mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let output = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true);
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log: log.to_owned(),
        })
    }

    /// The same, but out of reach of a Ctrl-C at the terminal: its owner ends it in order.
    pub fn start_apart(name: &str, mut command: Command, log: &Path) -> anyhow::Result<Self> {
        command.process_group(0);
        Self::start(name, command, log)
    }

    /// Its number; none once it is gone.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits until a condition holds that is asked of the running process.
    pub async fn until(
        &mut self,
        what: &str,
        patience: Duration,
        holds: impl AsyncFn() -> bool,
    ) -> anyhow::Result<()> {
        let started = Instant::now();
        while started.elapsed() < patience {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}:\n{}", self.name, self.log_tail());
            }
            if holds().await {
                return Ok(());
            }
            sleep(POLL).await;
        }
        bail!(
            "{} was not {what} after {} s:\n{}",
            self.name,
            patience.as_secs(),
            self.log_tail()
        );
    }

    fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
    }

    /// Kills it as a power cut would: no chance to finish anything.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Asks the process to drain and stop; kills it when it takes too long.
    pub async fn stop(mut self) {
        if let Some(id) = self.child.id() {
            let asked = Command::new("kill")
                .args(["-TERM", &id.to_string()])
                .status()
                .await;
            let waits = asked.is_ok_and(|status| status.success());
            if waits
                && tokio::time::timeout(STOP_TIMEOUT, self.child.wait())
                    .await
                    .is_ok()
            {
                return;
            }
        }
        // It may have ended by itself.
        let _ = self.child.kill().await;
    }
}

/// Runs a command to its end and gives what it printed.
pub async fn output_of(command: &mut Command) -> anyhow::Result<String> {
    let output = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("cannot start a program")?;
    if !output.status.success() {
        bail!(
            "{:?} ended with {}:\n{}",
            command.as_std(),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
