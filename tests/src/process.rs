//! A process that ends with its value, and whose output goes to a file.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::process::{Child, Command};

use crate::http::Http;
use crate::wait::until;

/// How long a process may take to get ready.
const READY: Duration = Duration::from_secs(30);
/// How long a process may take to drain and end.
const STOP: Duration = Duration::from_secs(25);
/// How long a command may take.
const COMMAND: Duration = Duration::from_secs(60);

/// A running process.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    /// Standard output and error, of this and earlier processes of the name.
    pub log: PathBuf,
}

impl Process {
    /// Starts a program; its output is appended to `<name>.log` in `folder`.
    pub fn start(name: &str, mut command: Command, folder: &Path) -> anyhow::Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    /// Waits until a path of the process answers with success.
    pub async fn answers(&mut self, http: &Http, path: &str) -> anyhow::Result<()> {
        let what = format!("{} answers {path}", self.name);
        until(&what, READY, async || {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}", self.name);
            }
            let answer = http.get(path).await;
            Ok(answer.is_ok_and(|answer| answer.is_success()).then_some(()))
        })
        .await
    }

    /// Ends the process at once, as a loss of power would. Returns when it is gone.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Asks the process to drain, and gives how it ended.
    pub async fn stop(mut self) -> anyhow::Result<ExitStatus> {
        let id = self.child.id().context("the process ended before")?;
        let asked = Command::new("kill")
            .args(["-TERM", &id.to_string()])
            .status();
        if !asked.await?.success() {
            bail!("{} could not be asked to stop", self.name);
        }
        let ended = tokio::time::timeout(STOP, self.child.wait()).await;
        Ok(ended.with_context(|| format!("{} did not stop", self.name))??)
    }

    /// Waits until the process ends by itself.
    pub async fn ended(&mut self) -> anyhow::Result<ExitStatus> {
        let ended = tokio::time::timeout(STOP, self.child.wait()).await;
        Ok(ended.with_context(|| format!("{} did not end", self.name))??)
    }
}

/// Runs a command to its end, whatever that is.
pub async fn run_to_end(command: &mut Command) -> anyhow::Result<Output> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(COMMAND, output).await;
    let shown = format!("{:?}", command.as_std());
    output
        .with_context(|| format!("{shown} did not end"))?
        .with_context(|| format!("cannot start {shown}"))
}
