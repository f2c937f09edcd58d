//! A hub process and what head office's staff ask of it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::http::Http;
use crate::ports::free_address;
use crate::process::{Process, run_to_end};
use crate::programs::programs;

const LOGIN: &str = "anna";
const PASSWORD: &str = "correct horse battery staple";

/// Where a hub keeps its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// In its data folder.
    Sqlite,
    /// On PostgreSQL, by connection string.
    Postgres(String),
}

/// A hub process.
#[derive(Debug)]
pub struct HubServer {
    /// Unique within the test; names its log.
    pub name: String,
    /// Where staff and programs connect.
    pub address: SocketAddr,
    /// Where nodes connect.
    pub quic: SocketAddr,
    /// The hub's key, and with SQLite its data.
    pub data_dir: PathBuf,
    /// The owner's session.
    pub staff: Http,
    database: Database,
    folder: PathBuf,
    process: Option<Process>,
}

impl HubServer {
    /// A hub that does not run yet; `folder` takes its log. Hubs of one database share the data folder with the key.
    pub fn new(name: &str, database: Database, folder: &Path) -> anyhow::Result<Self> {
        let address = free_address()?;
        Ok(Self {
            name: name.to_owned(),
            address,
            quic: free_address()?,
            data_dir: folder.join("hub-data"),
            staff: Http::new(address, "")?,
            database,
            folder: folder.to_owned(),
            process: None,
        })
    }

    /// The program with this hub's settings.
    pub async fn command(&self) -> anyhow::Result<Command> {
        let mut command = Command::new(&programs().await?.hub);
        command
            .arg("--data-dir")
            .arg(&self.data_dir)
            .args(["--http-listen", &self.address.to_string()])
            .args(["--quic-listen", &self.quic.to_string()])
            .env("RUST_BACKTRACE", "1");
        match &self.database {
            Database::Sqlite => {}
            Database::Postgres(url) => {
                command
                    .args(["--store-engine", "postgres"])
                    .env("KOPILKA_HUB_POSTGRES_URL", url);
            }
        }
        Ok(command)
    }

    /// Runs a sub-command on the hub's machine; gives what it printed as JSON.
    pub async fn run(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let mut command = self.command().await?;
        let output = run_to_end(command.args(arguments).arg("--json")).await?;
        if !output.status.success() {
            bail!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        serde_json::from_str(&text).with_context(|| format!("{arguments:?} printed {text}"))
    }

    /// Adds the owner, once for a database.
    pub async fn add_owner(&self) -> anyhow::Result<()> {
        std::fs::create_dir_all(&self.data_dir)?;
        let password = self.folder.join("password");
        std::fs::write(&password, PASSWORD)?;
        let path = password.to_string_lossy();
        let owner = [
            "staff", "add", "--login", LOGIN, "--name", "Anna", "--role", "owner",
        ];
        self.run(&[&owner[..], &["--password-file", &path]].concat())
            .await?;
        Ok(())
    }

    /// Starts the hub and signs in.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        self.restart().await?;
        let body = json!({ "login": LOGIN, "password": PASSWORD });
        let session = self
            .staff
            .post("/v1/sessions", "sign-in", &body)
            .await?
            .ok()?;
        let token = session["token"].as_str().context("a session has a token")?;
        self.staff = self.staff.with_token(token);
        Ok(())
    }

    /// Starts the hub again; the session goes on.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        let mut command = self.command().await?;
        command.arg("run");
        let mut process = Process::start(&self.name, command, &self.folder)?;
        process.answers(&self.staff, "/readyz").await?;
        self.process = Some(process);
        Ok(())
    }

    /// Ends the hub as a loss of power would.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.process
            .take()
            .context("the hub does not run")?
            .kill()
            .await
    }

    /// Asks the hub to drain and end.
    pub async fn stop(&mut self) -> anyhow::Result<ExitStatus> {
        self.process
            .take()
            .context("the hub does not run")?
            .stop()
            .await
    }

    /// Reads as staff.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.staff.get(path).await?.ok()
    }

    /// Writes as staff.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let key = format!("{:x}", fresh());
        self.staff.post(path, &key, body).await?.ok()
    }
}

fn fresh() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
