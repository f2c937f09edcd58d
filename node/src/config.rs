//! The node's settings: defaults, then the file, then `KOPILKA_NODE_…` variables, then flags.

use std::net::SocketAddr;
use std::path::PathBuf;

use kopilka_shell::logs::LogSettings;
use kopilka_shell::serve::TlsFiles;
use serde::{Deserialize, Serialize};

use crate::store::{CACHE_BYTES_DEFAULT, EngineKind};

/// Before the names of settings in the environment.
pub const ENV_PREFIX: &str = "KOPILKA_NODE";

/// All settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodeConfig {
    /// Where the key and the store lie.
    pub data_dir: PathBuf,
    /// Where tills connect.
    pub http_listen: SocketAddr,
    /// `host:port` of the hub, in place of the address that enrolment brought.
    pub hub: Option<String>,
    /// The store's engine; it stays what it was when the node enrolled.
    pub engine: EngineKind,
    /// Memory for the store's cache, bytes.
    pub cache_bytes: u64,
    /// Serves tills over HTTPS.
    pub tls: Option<TlsFiles>,
    /// What is logged, and how.
    pub log: LogSettings,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("/var/lib/kopilka-node"),
            http_listen: SocketAddr::from(([127, 0, 0, 1], 7071)),
            hub: None,
            engine: EngineKind::default(),
            cache_bytes: CACHE_BYTES_DEFAULT,
            tls: None,
            log: LogSettings::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use kopilka_shell::settings;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_packaged_file_is_understood_and_says_the_defaults() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/node.toml");
        let config: NodeConfig =
            settings::load(Some(&file), "KOPILKA_NODE_TEST", &Value::Null).unwrap();
        assert_eq!(config, NodeConfig::default());
    }

    #[test]
    fn flags_override_and_what_is_printed_loads_again() {
        let flags = json!({ "data_dir": "/srv/node", "engine": "sled", "hub": null, "tls": null });
        let config: NodeConfig = settings::load(None, "KOPILKA_NODE_TEST", &flags).unwrap();
        assert_eq!(config.engine, EngineKind::Sled);
        assert_eq!(config.data_dir, Path::new("/srv/node"));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("node.toml");
        std::fs::write(&file, settings::print(&config).unwrap()).unwrap();
        let again: NodeConfig =
            settings::load(Some(&file), "KOPILKA_NODE_TEST", &Value::Null).unwrap();
        assert_eq!(again, config);
    }
}
