//! The real programs: found or built, started on free ports, awaited, and gone when the demo is.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use super::http::Http;
use super::screen::Screen;

/// How long a process may take to get ready.
const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a process may take to drain and stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);
/// Lines of a log that are shown when its process fails.
const LOG_TAIL_LINES: usize = 12;

/// The two programs.
#[derive(Debug, Clone)]
pub struct Programs {
    /// `kopilka-hub`.
    pub hub: PathBuf,
    /// `kopilka-node`.
    pub node: PathBuf,
}

impl Programs {
    /// Finds the programs beside this one. Started by `cargo run`, it has cargo bring them up to date first, in the
    /// profile that it was built in itself.
    pub async fn locate(screen: &Screen) -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("this program does not know where it is")?;
        let folder = own.parent().context("a program lies in a folder")?;
        let beside = |name: &str| folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
        let programs = Self {
            hub: beside("kopilka-hub"),
            node: beside("kopilka-node"),
        };
        if let Some(cargo) = std::env::var_os("CARGO") {
            screen.say(
                "Собираю kopilka-hub и kopilka-node, если они устарели (cargo build).",
                "Building kopilka-hub and kopilka-node where they are out of date (cargo build).",
            );
            build(&cargo, folder.file_name().and_then(OsStr::to_str)).await?;
        }
        for program in [&programs.hub, &programs.node] {
            if !program.is_file() {
                bail!(
                    "{} is not there; build it with `cargo build --release -p kopilka-hub -p kopilka-node`",
                    program.display()
                );
            }
        }
        Ok(programs)
    }
}

/// Has cargo build both programs, in a profile that is named as its folder is.
async fn build(cargo: &OsStr, profile_folder: Option<&str>) -> anyhow::Result<()> {
    let mut build = Command::new(cargo);
    build
        // Together with this program, so that all are built with the same features and nothing is built twice.
        .args(["build", "--quiet", "--bins"])
        .args(["-p", "simulate", "-p", "kopilka-hub", "-p", "kopilka-node"])
        .current_dir(workspace())
        .kill_on_drop(true);
    match profile_folder {
        Some("debug") | None => {}
        Some(profile) => {
            build.args(["--profile", profile]);
        }
    }
    // What cargo told this program about itself would look like a change to build scripts.
    for (name, _) in std::env::vars_os() {
        let told = name.to_string_lossy();
        if told.starts_with("CARGO_PKG_") || told.starts_with("CARGO_MANIFEST_") {
            build.env_remove(&name);
        }
    }
    let status = build.status().await.context("cannot start cargo")?;
    if !status.success() {
        bail!("cargo could not build kopilka-hub and kopilka-node");
    }
    Ok(())
}

/// The folder of the workspace that this program was built from.
pub fn workspace() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

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
    /// Starts a program whose output goes to a file.
    pub fn start(name: &str, mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let output = std::fs::File::create(log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            // A Ctrl-C at the terminal is for the demo, which then ends its processes in order.
            .process_group(0)
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

    /// Waits until `/readyz` says yes.
    pub async fn ready(&mut self, http: &Http) -> anyhow::Result<()> {
        let started = Instant::now();
        while started.elapsed() < READY_TIMEOUT {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}:\n{}", self.name, self.log_tail());
            }
            if http.is_ready().await {
                return Ok(());
            }
            sleep(POLL).await;
        }
        bail!(
            "{} was not ready after {} s:\n{}",
            self.name,
            READY_TIMEOUT.as_secs(),
            self.log_tail()
        );
    }

    fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
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
