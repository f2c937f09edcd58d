//! The hub's settings: what the configuration file, the environment and the flags may say.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use kopilka_shell::logs::{LogFlags, LogSettings};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Environment variables start with it, as in `KOPILKA_HUB_HTTP_LISTEN`.
pub const ENV_PREFIX: &str = "KOPILKA_HUB";
/// Feed partitions of a new PostgreSQL database unless told otherwise.
const PARTITIONS_USUAL: u16 = 16;

/// The database engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// One hub process with a database file of its own.
    #[default]
    Sqlite,
    /// Several hub processes on one database.
    Postgres,
}

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HubSettings {
    /// Where the key and, with SQLite, the data are.
    pub data_dir: PathBuf,
    /// Staff, web shops and agents connect here.
    pub http_listen: SocketAddr,
    /// Nodes connect here, UDP.
    pub quic_listen: SocketAddr,
    /// `host:port` under which nodes reach `quic_listen`, written into enrolment codes; none: `quic_listen` itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quic_public_address: Option<String>,
    /// The engine.
    pub store: Engine,
    /// How to reach PostgreSQL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postgres_url: Option<String>,
    /// PEM file of the certificates that PostgreSQL's own may lead to, for `sslmode=verify-full` in `postgres_url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postgres_root_certificates: Option<PathBuf>,
    /// Feed partitions of a new PostgreSQL database, which cannot change later; SQLite has one.
    pub partitions: u16,
    /// Logs.
    pub log: LogSettings,
}

impl Default for HubSettings {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("/var/lib/kopilka-hub"),
            http_listen: SocketAddr::from(([127, 0, 0, 1], 7070)),
            quic_listen: SocketAddr::from(([0; 8], 7443)),
            quic_public_address: None,
            store: Engine::default(),
            postgres_url: None,
            postgres_root_certificates: None,
            partitions: PARTITIONS_USUAL,
            log: LogSettings::default(),
        }
    }
}

impl HubSettings {
    /// The file of the hub's key.
    pub fn key_file(&self) -> PathBuf {
        self.data_dir.join("hub.key")
    }

    /// The address that enrolment codes name.
    pub fn public_address(&self) -> String {
        self.quic_public_address
            .clone()
            .unwrap_or_else(|| self.quic_listen.to_string())
    }
}

/// The flags that every sub-command takes.
#[derive(Debug, Clone, Default, Args)]
pub struct SettingFlags {
    /// TOML file with settings; packages bring /etc/kopilka/hub.toml
    #[arg(long, global = true, value_name = "FILE", env = "KOPILKA_HUB_CONFIG")]
    pub config: Option<PathBuf>,
    /// Folder of the hub's key and, with SQLite, of its data
    #[arg(long, global = true, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Address for staff, web shops and agents
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub http_listen: Option<SocketAddr>,
    /// Address for store nodes, UDP
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub quic_listen: Option<SocketAddr>,
    /// host:port that enrolment codes name; default: the value of quic_listen
    #[arg(long, global = true, value_name = "HOST:PORT")]
    pub quic_public_address: Option<String>,
    /// Database engine
    #[arg(long, global = true, value_enum, value_name = "ENGINE")]
    pub store_engine: Option<Engine>,
    /// Feed partitions of a new PostgreSQL database
    #[arg(long, global = true, value_name = "NUMBER")]
    pub partitions: Option<u16>,
    /// How to log
    #[command(flatten)]
    pub log: LogFlags,
}

impl SettingFlags {
    /// The layer of flags for `kopilka_shell::settings::load`. The database's address is no flag: it may hold a password.
    pub fn overrides(&self) -> Value {
        json!({
            "data_dir": self.data_dir,
            "http_listen": self.http_listen,
            "quic_listen": self.quic_listen,
            "quic_public_address": self.quic_public_address,
            "store": self.store_engine,
            "partitions": self.partitions,
            "log": self.log.overrides(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use kopilka_shell::settings;

    use super::*;

    #[test]
    fn the_packaged_file_is_understood() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/hub.toml");
        let read: HubSettings =
            settings::load(Some(&file), "KOPILKA_HUB_TEST", &Value::Null).unwrap();
        assert_eq!(read, HubSettings::default());
    }

    #[test]
    fn printed_settings_read_back() {
        let flags = SettingFlags {
            quic_public_address: Some("hub.example:7443".to_owned()),
            partitions: Some(4),
            ..SettingFlags::default()
        };
        let settings: HubSettings =
            settings::load(None, "KOPILKA_HUB_TEST", &flags.overrides()).unwrap();
        assert_eq!(settings.public_address(), "hub.example:7443");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("printed.toml");
        std::fs::write(&file, settings::print(&settings).unwrap()).unwrap();
        let again: HubSettings =
            settings::load(Some(&file), "KOPILKA_HUB_TEST", &Value::Null).unwrap();
        assert_eq!(again, settings);
    }
}
