//! A node process with its line to the hub and the tills of its store.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;
use tokio::process::Command;

use crate::http::Http;
use crate::line::Line;
use crate::ports::free_address;
use crate::process::{Process, run_to_end};
use crate::programs::programs;
use crate::till::Till;
use crate::wait::until;

/// The node's store engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// The default.
    Redb,
    /// The other one.
    Sled,
}

impl Engine {
    /// As the settings name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Redb => "redb",
            Self::Sled => "sled",
        }
    }
}

/// What a node is started by, when not directly: a program and its first arguments.
pub type Wrapper = Vec<String>;

/// A node.
#[derive(Debug)]
pub struct StoreNode {
    /// Unique within the test; names its log.
    pub name: String,
    /// Where its tills connect.
    pub address: SocketAddr,
    /// Its key and its store.
    pub data_dir: PathBuf,
    /// Its line to the hub.
    pub line: Line,
    /// The tills of its store.
    pub tills: Vec<Till>,
    /// What it is started by.
    pub wrapper: Wrapper,
    engine: Engine,
    folder: PathBuf,
    process: Option<Process>,
}

impl StoreNode {
    /// A node that is not enrolled yet; `folder` takes its log.
    pub fn new(name: &str, engine: Engine, line: Line, folder: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            name: name.to_owned(),
            address: free_address()?,
            data_dir: folder.join(name),
            line,
            tills: Vec::new(),
            wrapper: Vec::new(),
            engine,
            folder: folder.to_owned(),
            process: None,
        })
    }

    /// The program with this node's settings.
    pub async fn command(&self) -> anyhow::Result<Command> {
        let program = &programs().await?.node;
        let mut command = match self.wrapper.split_first() {
            Some((wrapper, arguments)) => {
                let mut command = Command::new(wrapper);
                command.args(arguments).arg(program);
                command
            }
            None => Command::new(program),
        };
        command
            .arg("--data-dir")
            .arg(&self.data_dir)
            .args(["--http-listen", &self.address.to_string()])
            .args(["--hub", &self.line.address.to_string()])
            .args(["--engine", self.engine.name()])
            .env("RUST_BACKTRACE", "1");
        Ok(command)
    }

    /// Enrols with a code.
    pub async fn enrol(&self, code: &str) -> anyhow::Result<()> {
        let output = run_to_end(self.command().await?.args(["enrol", code])).await?;
        if !output.status.success() {
            bail!(
                "enrolment failed: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(())
    }

    /// Starts the node and waits until its tills are served.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        self.launch().await?;
        let http = Http::new(self.address, "")?;
        let process = self.process.as_mut().context("just started")?;
        process.answers(&http, "/readyz").await
    }

    /// Starts the node.
    pub async fn launch(&mut self) -> anyhow::Result<()> {
        let mut command = self.command().await?;
        command.arg("run");
        self.process = Some(Process::start(&self.name, command, &self.folder)?);
        Ok(())
    }

    /// The running process.
    pub fn process(&mut self) -> anyhow::Result<&mut Process> {
        self.process.as_mut().context("the node does not run")
    }

    /// Ends the node as a loss of power would.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.process
            .take()
            .context("the node does not run")?
            .kill()
            .await
    }

    /// Asks the node to drain and end.
    pub async fn stop(&mut self) -> anyhow::Result<ExitStatus> {
        self.process
            .take()
            .context("the node does not run")?
            .stop()
            .await
    }

    /// The first till.
    pub fn till(&self) -> &Till {
        &self.tills[0]
    }

    /// Waits until `/v1/sync` satisfies a condition.
    pub async fn synced(
        &self,
        what: &str,
        bound: Duration,
        holds: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let what = format!("{}: {what}", self.name);
        until(&what, bound, async || {
            let status = self.till().sync().await?;
            Ok(holds(&status).then_some(status))
        })
        .await
    }

    /// Waits until the node is connected, and all that it wrote is durable at the hub.
    pub async fn level(&self, bound: Duration) -> anyhow::Result<Value> {
        self.synced("level with the hub", bound, |status| {
            status["connected"] == true && status["pending_operations"] == 0
        })
        .await
    }

    /// Waits until the node knows that its hub is gone.
    pub async fn offline(&self, bound: Duration) -> anyhow::Result<Value> {
        self.synced("offline", bound, |status| status["connected"] == false)
            .await
    }
}
