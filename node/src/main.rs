//! `kopilka-node`: serves one store's tills, enrols, and says how it stands.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use kopilka_node::app::{App, OpenError};
use kopilka_node::config::{ENV_PREFIX, NodeConfig};
use kopilka_node::identity::{self, EnrolError};
use kopilka_node::store::{self, Engine, EngineKind};
use kopilka_node::{api, sync};
use kopilka_protocol::enrolment::EnrolmentCode;
use kopilka_shell::exit::{EXIT_CODES_HELP, Exit};
use kopilka_shell::logs::{self, LogFlags};
use kopilka_shell::serve::{HttpServer, ServeError};
use kopilka_shell::shutdown::{self, Shutdown};
use kopilka_shell::telemetry::Telemetry;
use kopilka_shell::{clock, key_file, settings};
use serde_json::json;

/// How often time acts: holds lapse, rows that were kept long enough go.
const TICK: Duration = Duration::from_secs(1);
/// How many ticks apart samples of histograms are folded into their buckets; they take memory until then.
const TICKS_BETWEEN_FOLDS: u64 = 60;
/// The till's token for `status`. It is no setting, so it does not begin as settings do.
const TOKEN_VARIABLE: &str = "KOPILKA_TILL_TOKEN";
/// How long `status` waits for the node.
const STATUS_TIMEOUT: Duration = Duration::from_secs(5);

/// A store's node of the Kopilka loyalty system.
#[derive(Parser)]
#[command(name = "kopilka-node", version, after_help = EXIT_CODES_HELP)]
struct CommandLine {
    #[command(flatten)]
    settings: SettingFlags,
    #[command(subcommand)]
    command: Command,
}

/// Where settings come from, and those that flags override.
#[derive(Args)]
struct SettingFlags {
    /// Configuration file (TOML)
    #[arg(long, global = true, env = "KOPILKA_NODE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of the key and the store
    #[arg(long, global = true, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Address for tills, such as 127.0.0.1:7071
    #[arg(long, global = true, value_name = "ADDRESS")]
    http_listen: Option<std::net::SocketAddr>,
    /// host:port of the hub, in place of the one that enrolment brought
    #[arg(long, global = true, value_name = "ADDRESS")]
    hub: Option<String>,
    /// Engine of the store
    #[arg(long, global = true, value_enum)]
    engine: Option<EngineKind>,
    #[command(flatten)]
    log: LogFlags,
    /// Print all settings as a configuration file, and leave
    #[arg(long, global = true)]
    print_config: bool,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the store's tills
    Run,
    /// Make this node a store's, with a one-time code from the hub
    Enrol {
        /// As head office gave it: KOPILKA1-…
        code: EnrolmentCode,
    },
    /// Ask the running node how it stands
    Status {
        /// Of any till of the store
        #[arg(long, env = TOKEN_VARIABLE, hide_env_values = true)]
        token: String,
    },
}

/// Why the process ends, and with which code.
struct Failure {
    exit: Exit,
    error: anyhow::Error,
}

/// Gives a result the exit code of its failure.
trait ExitWith<T> {
    fn exit_with(self, exit: Exit) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> ExitWith<T> for Result<T, E> {
    fn exit_with(self, exit: Exit) -> Result<T, Failure> {
        self.map_err(|error| Failure {
            exit,
            error: error.into(),
        })
    }
}

#[tokio::main]
async fn main() -> Exit {
    let command_line = CommandLine::parse();
    match start(command_line).await {
        Ok(()) => Exit::Success,
        Err(Failure { exit, error }) => {
            tracing::error!("{error:#}");
            if !tracing::event_enabled!(tracing::Level::ERROR) {
                say_error(&format!("kopilka-node: {error:#}"));
            }
            exit
        }
    }
}

async fn start(command_line: CommandLine) -> Result<(), Failure> {
    let flags = &command_line.settings;
    let overrides = json!({
        "data_dir": flags.data_dir,
        "http_listen": flags.http_listen,
        "hub": flags.hub,
        "engine": flags.engine,
        "log": flags.log.overrides(),
    });
    let config: NodeConfig = settings::load(flags.config.as_deref(), ENV_PREFIX, &overrides)
        .exit_with(Exit::Configuration)?;
    if flags.print_config {
        let text = settings::print(&config).exit_with(Exit::Configuration)?;
        say(&text);
        return Ok(());
    }
    logs::start(&config.log).exit_with(Exit::Configuration)?;
    match command_line.command {
        Command::Run => run(config).await,
        Command::Enrol { code } => enrol(&config, &code, flags.json).await,
        Command::Status { token } => status(&config, &token, flags.json).await,
    }
}

async fn run(config: NodeConfig) -> Result<(), Failure> {
    let telemetry = Telemetry::start().exit_with(Exit::Failure)?;
    let shutdown = shutdown::on_signals().exit_with(Exit::Failure)?;
    let engine = open_store(&config)?;
    let enrolled_with = identity::hub_address(engine.as_ref()).exit_with(Exit::StoreUnavailable)?;
    let Some(enrolled_with) = enrolled_with else {
        return Err(OpenError::NotEnrolled).exit_with(Exit::KeyRefused);
    };
    let key = key_file::load(&identity::key_path(&config.data_dir)).exit_with(Exit::KeyRefused)?;
    let app = App::open(engine, key.clone(), clock::now_ms).map_err(open_failure)?;
    let server = HttpServer::bind(config.http_listen, config.tls.as_ref())
        .await
        .map_err(serve_failure)?;
    let address = config.hub.unwrap_or(enrolled_with);
    tracing::info!(http = %server.address(), hub = %address, node = %app.identity().node, "serving");
    let syncing = tokio::spawn(sync::run(app.clone(), key, address, shutdown.clone()));
    let ticking = tokio::spawn(tick(app.clone(), telemetry.clone(), shutdown.clone()));
    let router = api::router(app.clone()).merge(api::metrics(&telemetry, app.clone()));
    let served = server.serve(router, shutdown).await;
    // Whatever ended the server, the log's last operations are on the disk before the process goes.
    let stopped = tokio::task::spawn_blocking(move || app.stop()).await;
    served.map_err(serve_failure)?;
    syncing.await.exit_with(Exit::Failure)?;
    ticking.await.exit_with(Exit::Failure)?;
    stopped.exit_with(Exit::Failure)?.exit_with(Exit::Failure)
}

async fn tick(app: App, telemetry: Telemetry, shutdown: Shutdown) {
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for ticks in 1_u64.. {
        tokio::select! {
            _ = interval.tick() => {}
            () = shutdown.requested() => return,
        }
        if ticks.is_multiple_of(TICKS_BETWEEN_FOLDS) {
            drop(telemetry.render());
        }
        if let Err(error) = app.tick().await {
            tracing::warn!(%error, "upkeep failed");
        }
    }
}

async fn enrol(config: &NodeConfig, code: &EnrolmentCode, as_json: bool) -> Result<(), Failure> {
    let engine = open_store(config)?;
    let identity = identity::enrol(code, &config.data_dir, engine.as_ref())
        .await
        .map_err(|error| {
            let exit = match &error {
                EnrolError::Refused(_) => Exit::KeyRefused,
                EnrolError::KeyFile(_) => Exit::Configuration,
                EnrolError::Store(_) => Exit::StoreUnavailable,
                EnrolError::AlreadyEnrolled(_)
                | EnrolError::Address { .. }
                | EnrolError::Quic(_)
                | EnrolError::Connection(_)
                | EnrolError::Frame(_)
                | EnrolError::Codec(_)
                | EnrolError::Unexpected
                | EnrolError::Timeout => Exit::Failure,
            };
            let error = error.into();
            Failure { exit, error }
        })?;
    let (node, store) = (identity.node.to_string(), identity.store.to_string());
    if as_json {
        say(&json!({ "node": node, "store": store }).to_string());
    } else {
        say(&format!(
            "Enrolled as node {node} of store {store}. Now run `kopilka-node run`."
        ));
    }
    Ok(())
}

async fn status(config: &NodeConfig, token: &str, as_json: bool) -> Result<(), Failure> {
    let scheme = if config.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let url = format!("{scheme}://{}/v1/sync", config.http_listen);
    let client = reqwest::Client::builder()
        .timeout(STATUS_TIMEOUT)
        .build()
        .exit_with(Exit::Failure)?;
    let asked = async {
        let answer = client.get(&url).bearer_auth(token).send().await?;
        answer.error_for_status()?.json::<serde_json::Value>().await
    };
    let status = asked
        .await
        .with_context(|| format!("the node does not say how it stands at {url}"))
        .exit_with(Exit::Failure)?;
    if as_json {
        say(&status.to_string());
        return Ok(());
    }
    if let Some(members) = status.as_object() {
        for (name, value) in members {
            say(&format!("{name}: {value}"));
        }
    }
    Ok(())
}

fn open_store(config: &NodeConfig) -> Result<std::sync::Arc<dyn Engine>, Failure> {
    std::fs::create_dir_all(&config.data_dir)
        .with_context(|| format!("cannot create {}", config.data_dir.display()))
        .exit_with(Exit::StoreUnavailable)?;
    store::open(config.engine, &config.data_dir, config.cache_bytes)
        .with_context(|| format!("cannot open the store in {}", config.data_dir.display()))
        .exit_with(Exit::StoreUnavailable)
}

fn open_failure(error: OpenError) -> Failure {
    let exit = match &error {
        OpenError::NotEnrolled => Exit::KeyRefused,
        OpenError::State(_) | OpenError::Store(_) => Exit::StoreUnavailable,
        OpenError::Writer(_) => Exit::Failure,
    };
    let error = error.into();
    Failure { exit, error }
}

fn serve_failure(error: ServeError) -> Failure {
    let exit = match &error {
        ServeError::Bind { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse => {
            Exit::AddressInUse
        }
        ServeError::Pem { .. } | ServeError::Tls(_) => Exit::Configuration,
        ServeError::Bind { .. } | ServeError::Failed(_) => Exit::Failure,
    };
    let error = error.into();
    Failure { exit, error }
}

/// Answers go to standard output; a reader that has gone away is no failure.
fn say(text: &str) {
    use std::io::Write as _;
    let _gone = writeln!(std::io::stdout(), "{}", text.trim_end());
}

fn say_error(text: &str) {
    use std::io::Write as _;
    let _gone = writeln!(std::io::stderr(), "{text}");
}
