//! Head office: what the demo does at the hub, by its command line and over its HTTP interface.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use serde_json::{Value, json};
use tokio::process::Command;

use super::http::{Http, number, text};
use crate::process::{Process, output_of};

/// The owner that a new hub gets first.
const LOGIN: &str = "demo";
const PASSWORD: &str = "kopilka-demo-2026";

/// The hub process with a staff session.
pub struct Office {
    /// The process.
    pub process: Process,
    /// Its interface, with the session's token.
    pub http: Http,
    /// The programme.
    pub programme: String,
    partner: String,
    cli: Cli,
}

/// How the hub's command line is called.
struct Cli {
    program: PathBuf,
    data: PathBuf,
}

impl Cli {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--data-dir").arg(&self.data);
        command
    }
}

impl Office {
    /// Starts a hub with an owner, a programme under the starter rules and a partner.
    pub async fn open(
        program: &Path,
        folder: &Path,
        http_listen: SocketAddr,
        quic_listen: SocketAddr,
    ) -> anyhow::Result<Self> {
        let cli = Cli {
            program: program.to_owned(),
            data: folder.join("hub"),
        };
        std::fs::create_dir_all(&cli.data)?;
        let password = folder.join("staff-password");
        std::fs::write(&password, format!("{PASSWORD}\n"))?;
        let mut add = cli.command();
        add.args([
            "staff", "add", "--login", LOGIN, "--name", "Demo", "--role", "owner",
        ])
        .arg("--password-file")
        .arg(&password);
        output_of(&mut add).await?;

        let mut run = cli.command();
        run.args(["--http-listen", &http_listen.to_string()]).args([
            "--quic-listen",
            &quic_listen.to_string(),
            "run",
        ]);
        let mut process = Process::start_apart("kopilka-hub", run, &folder.join("hub.log"))?;
        let open = Http::new(format!("http://{http_listen}"), String::new())?;
        open.ready(&mut process).await?;
        let session = json!({ "login": LOGIN, "password": PASSWORD });
        let session = made(&open, "/v1/sessions", &session).await?;
        let http = Http::new(open.base().to_owned(), text(&session, "token")?.to_owned())?;

        let names = json!({ "name_ru": "Копилка", "name_en": "Kopilka" });
        let programme = made(&http, "/v1/programmes", &names).await?;
        let programme = text(&programme, "id")?.to_owned();
        let path = format!("/v1/programmes/{programme}/partners");
        let partner = made(&http, &path, &json!({ "name": "Own stores" })).await?;
        Ok(Self {
            process,
            http,
            partner: text(&partner, "id")?.to_owned(),
            programme,
            cli,
        })
    }

    /// Creates a store; gives its identifier.
    pub async fn store(&self, name: &str) -> anyhow::Result<String> {
        let path = format!("/v1/programmes/{}/stores", self.programme);
        let body = json!({ "partner": self.partner, "name": name, "time_zone": "Europe/Moscow" });
        identifier(&made(&self.http, &path, &body).await?)
    }

    /// Creates a till; gives its token.
    pub async fn till(&self, store: &str, name: &str) -> anyhow::Result<String> {
        let path = format!("/v1/stores/{store}/tills");
        let till = made(&self.http, &path, &json!({ "name": name })).await?;
        Ok(text(&till, "token")?.to_owned())
    }

    /// Creates a cashier; gives their number.
    pub async fn cashier(&self, store: &str, name: &str) -> anyhow::Result<String> {
        let path = format!("/v1/stores/{store}/cashiers");
        identifier(&made(&self.http, &path, &json!({ "name": name })).await?)
    }

    /// Makes a one-time code for a node that reaches the hub at `address`.
    pub async fn node_code(&self, store: &str, address: SocketAddr) -> anyhow::Result<String> {
        let mut make = self.cli.command();
        make.args(["--quic-public-address", &address.to_string(), "--json"])
            .args(["node", "code", "--store", store]);
        let answer: Value = serde_json::from_str(&output_of(&mut make).await?)?;
        Ok(text(&answer, "code")?.to_owned())
    }

    /// Brings members in from a CSV file.
    pub async fn import(&self, file: &Path) -> anyhow::Result<Value> {
        let mut import = self.cli.command();
        import
            .args(["--json", "import", "--programme", &self.programme])
            .args(["--partner", &self.partner])
            .arg(file);
        Ok(serde_json::from_str(&output_of(&mut import).await?)?)
    }

    /// What a member has at the hub, minor units: spendable and pending less debt. None when unknown.
    pub async fn balance(&self, member: &str) -> anyhow::Result<Option<i64>> {
        let path = format!("/v1/programmes/{}/members/{member}", self.programme);
        let Ok(value) = self.http.get(&path).await? else {
            return Ok(None);
        };
        let accounts = value["accounts"].as_array().context("no accounts")?;
        let sum = accounts.iter().try_fold(0, |sum, account| {
            let part = |field| number(account, field);
            anyhow::Ok(
                sum + part("spendable_minor")? + part("pending_minor")? - part("debt_minor")?,
            )
        });
        sum.map(Some)
    }

    /// Feed positions that each node still lacks, by store; none while a node has no snapshot.
    pub async fn lags(&self) -> anyhow::Result<BTreeMap<String, Option<u64>>> {
        let path = format!("/v1/programmes/{}/nodes", self.programme);
        let value = done(self.http.get(&path).await?)?;
        let nodes = value["items"].as_array().context("no nodes")?;
        nodes
            .iter()
            .map(|node| Ok((text(node, "store")?.to_owned(), node["feed_lag"].as_u64())))
            .collect()
    }

    /// Cases that were opened, in words.
    pub async fn cases(&self) -> anyhow::Result<Vec<String>> {
        let path = format!("/v1/programmes/{}/cases", self.programme);
        let value = done(self.http.get(&path).await?)?;
        let cases = value["items"].as_array().context("no cases")?;
        cases
            .iter()
            .map(|case| {
                Ok(format!(
                    "{}: {}",
                    text(case, "kind")?,
                    text(case, "summary")?
                ))
            })
            .collect()
    }

    /// Blocks a card everywhere.
    pub async fn block(&self, card_number: &str, reason: &str) -> anyhow::Result<u64> {
        let path = format!("/v1/programmes/{}/blocks", self.programme);
        let body = json!({ "number": card_number, "blocked": true, "reason": reason });
        let order = made(&self.http, &path, &body).await?;
        order["number"].as_u64().context("the order has no number")
    }

    /// How many nodes the hub knows to have a block order, and how many there are.
    pub async fn delivery(&self, order: u64) -> anyhow::Result<(usize, usize)> {
        let path = format!("/v1/programmes/{}/blocks/{order}/delivery", self.programme);
        let value = done(self.http.get(&path).await?)?;
        let nodes = value["items"].as_array().context("no nodes")?;
        let have = nodes.iter().filter(|node| node["has_it"] == json!(true));
        Ok((have.count(), nodes.len()))
    }
}

fn identifier(value: &Value) -> anyhow::Result<String> {
    Ok(text(value, "id")?.to_owned())
}

async fn made(http: &Http, path: &str, body: &Value) -> anyhow::Result<Value> {
    match http.post(path, body).await? {
        Ok(value) => Ok(value),
        Err(refusal) => bail!("{path}: {refusal}"),
    }
}

fn done(answer: super::http::Answer) -> anyhow::Result<Value> {
    answer.map_err(|refusal| anyhow!("{refusal}"))
}
