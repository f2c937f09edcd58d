//! Layered configuration: defaults, then a TOML file, then the environment, then flags; later layers win.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use config::{Config, ConfigError, Environment, File, FileFormat};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error;

/// Between a section and a key in the name of an environment variable.
const NESTING: &str = "__";
/// `<PREFIX>_CONFIG` names the file itself and is no setting.
const FILE_VARIABLE: &str = "CONFIG";

/// Why there is no configuration.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// The file is missing, unreadable or not TOML.
    #[error("cannot read the configuration file {path}")]
    File {
        /// The file that was asked for.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<ConfigError>,
    },
    /// A layer has an unknown key or an impossible value; the source names the key and where it is.
    #[error("the configuration is wrong")]
    Invalid(#[source] Box<ConfigError>),
    /// The settings have a shape that TOML cannot show.
    #[error("cannot show the configuration as TOML")]
    Print(#[from] toml::ser::Error),
}

/// The settings of all layers.
///
/// - `file`: must exist if given.
/// - `env_prefix`: as in `KOPILKA_NODE`, so that `KOPILKA_NODE_LOG__LEVEL=debug` sets `level` of `[log]`. Empty
///   variables count as not given, and lists can only be set in the file or by flags.
/// - `overrides`: flags, nested as the settings are; null where a flag was not given.
///
/// `T` decides about unknown keys: with `deny_unknown_fields` they are errors that name the key.
pub fn load<T: DeserializeOwned + Serialize + Default>(
    file: Option<&Path>,
    env_prefix: &str,
    overrides: &Value,
) -> Result<T, SettingsError> {
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    load_layers(file, env_prefix, environment, overrides)
}

/// The settings as a TOML file that sets all of them. It shows secrets as they are.
pub fn print<T: Serialize>(settings: &T) -> Result<String, SettingsError> {
    Ok(toml::to_string_pretty(settings)?)
}

fn load_layers<T: DeserializeOwned + Serialize + Default>(
    file: Option<&Path>,
    env_prefix: &str,
    mut environment: HashMap<String, String>,
    overrides: &Value,
) -> Result<T, SettingsError> {
    let invalid = |error| SettingsError::Invalid(Box::new(error));
    let mut layers =
        Config::builder().add_source(Config::try_from(&T::default()).map_err(invalid)?);
    if let Some(path) = file {
        layers = layers.add_source(parsed_file(path)?);
    }
    environment.remove(&format!("{env_prefix}_{FILE_VARIABLE}"));
    layers = layers.add_source(
        Environment::with_prefix(env_prefix)
            .prefix_separator("_")
            .separator(NESTING)
            .ignore_empty(true)
            .source(Some(environment)),
    );
    if let Some(given) = without_nulls(overrides) {
        layers = layers.add_source(Config::try_from(&given).map_err(invalid)?);
    }
    layers
        .build()
        .and_then(Config::try_deserialize)
        .map_err(invalid)
}

fn parsed_file(path: &Path) -> Result<Config, SettingsError> {
    Config::builder()
        .add_source(File::from(path).format(FileFormat::Toml))
        .build()
        .map_err(|source| SettingsError::File {
            path: path.to_owned(),
            source: Box::new(source),
        })
}

/// `None` if nothing but nulls is there: a null in a layer would overwrite what the layers below say.
fn without_nulls(value: &Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Object(members) => {
            let given: serde_json::Map<_, _> = members
                .iter()
                .filter_map(|(name, member)| Some((name.clone(), without_nulls(member)?)))
                .collect();
            (!given.is_empty()).then_some(Value::Object(given))
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Some(value.clone())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::SocketAddr;

    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::logs::{LogFormat, LogSettings};

    const PREFIX: &str = "KOPILKA_TEST";

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Sample {
        listen: SocketAddr,
        hub: Option<String>,
        deadline_ms: u64,
        networks: Vec<String>,
        log: LogSettings,
    }

    impl Default for Sample {
        fn default() -> Self {
            Self {
                listen: "127.0.0.1:7070".parse().unwrap(),
                hub: None,
                deadline_ms: 300,
                networks: vec!["10.0.0.0/8".to_owned(), "127.0.0.0/8".to_owned()],
                log: LogSettings::default(),
            }
        }
    }

    fn layered(
        file: &str,
        environment: &[(&str, &str)],
        flags: &Value,
    ) -> Result<Sample, SettingsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.toml");
        fs::write(&path, file).unwrap();
        let environment = environment
            .iter()
            .map(|(name, value)| (format!("{PREFIX}_{name}"), (*value).to_owned()))
            .collect();
        load_layers(Some(&path), PREFIX, environment, flags)
    }

    /// The message with all that caused it.
    fn told(error: &dyn std::error::Error) -> String {
        match error.source() {
            Some(source) => format!("{error}: {}", told(source)),
            None => error.to_string(),
        }
    }

    #[test]
    fn later_layers_win_key_by_key() {
        let file = "deadline_ms = 1\n[log]\nlevel = 'file'";
        let variables = [("DEADLINE_MS", "2"), ("LOG__LEVEL", "environment")];
        let flags = json!({ "deadline_ms": 3, "hub": null, "log": { "level": "flag" } });
        let cases = [
            (layered("", &[], &Value::Null), 300, "info"),
            (layered(file, &[], &Value::Null), 1, "file"),
            (layered(file, &variables, &Value::Null), 2, "environment"),
            (layered(file, &variables, &flags), 3, "flag"),
            (layered("", &variables[..1], &Value::Null), 2, "info"),
        ];
        for (settings, deadline_ms, level) in cases {
            let settings = settings.unwrap();
            assert_eq!(settings.deadline_ms, deadline_ms);
            assert_eq!(settings.log.level, level);
            assert_eq!(settings.log.format, LogFormat::Text);
        }
    }

    #[test]
    fn flags_not_given_change_nothing() {
        let flags = json!({ "hub": null, "log": { "format": null, "level": null } });
        let settings = layered("hub = 'hub.example:7443'", &[], &flags).unwrap();
        assert_eq!(settings.hub.as_deref(), Some("hub.example:7443"));
        assert_eq!(settings.log, LogSettings::default());
    }

    #[test]
    fn text_of_the_environment_becomes_what_the_setting_is() {
        let variables = [
            ("LISTEN", "0.0.0.0:80"),
            ("HUB", "0123"),
            ("LOG__FORMAT", "json"),
            ("DEADLINE_MS", ""),
            ("CONFIG", "/etc/kopilka/node.toml"),
        ];
        let settings = layered("", &variables, &Value::Null).unwrap();
        assert_eq!(settings.listen, "0.0.0.0:80".parse().unwrap());
        assert_eq!(settings.hub.as_deref(), Some("0123"));
        assert_eq!(settings.log.format, LogFormat::Json);
        assert_eq!(settings.deadline_ms, 300);
    }

    #[test]
    fn a_list_replaces_the_list_below_it() {
        let settings = layered("networks = ['192.168.0.0/16']", &[], &Value::Null).unwrap();
        assert_eq!(settings.networks, ["192.168.0.0/16"]);
    }

    #[test]
    fn unknown_keys_and_impossible_values_are_named() {
        let none = &Value::Null;
        let cases = [
            (layered("lisen = 'x'", &[], none), "lisen"),
            (layered("[log]\nlevle = 'x'", &[], none), "levle"),
            (layered("", &[("LOG__COLOUR", "1")], none), "colour"),
            (layered("", &[], &json!({ "speed": 1 })), "speed"),
            (layered("deadline_ms = 'soon'", &[], none), "deadline_ms"),
        ];
        for (settings, named) in cases {
            let error = settings.unwrap_err();
            assert!(matches!(error, SettingsError::Invalid(_)));
            assert!(told(&error).contains(named), "{named}: {}", told(&error));
        }
    }

    #[test]
    fn a_missing_or_broken_file_is_named() {
        let broken = layered("listen = ", &[], &Value::Null).unwrap_err();
        assert!(told(&broken).contains("settings.toml"));
        let absent = Path::new("/nonexistent/settings.toml");
        let missing = load::<Sample>(Some(absent), PREFIX, &Value::Null).unwrap_err();
        assert!(matches!(missing, SettingsError::File { path, .. } if path == absent));
    }

    #[test]
    fn what_is_printed_loads_as_the_same_settings() {
        let settings = Sample {
            deadline_ms: 5,
            hub: Some("hub.example:7443".to_owned()),
            ..Sample::default()
        };
        let printed = print(&settings).unwrap();
        assert_eq!(layered(&printed, &[], &Value::Null).unwrap(), settings);
    }
}
