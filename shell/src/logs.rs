//! Structured logs on standard error.

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// Levels of libraries that say at every start what nobody asked for; what the settings say of them comes later and wins.
const QUIETER: &str = "refinery_core=warn";

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// The `log` section of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// How a line looks.
    pub format: LogFormat,
    /// A level (`error` to `trace`), or levels by module in the form of `tracing_subscriber::EnvFilter`.
    pub level: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            format: LogFormat::default(),
            level: "info".to_owned(),
        }
    }
}

/// The flags that override [`LogSettings`], to flatten into a command line.
#[derive(Debug, Clone, Default, Args)]
pub struct LogFlags {
    /// Log for people (text) or for collectors (json)
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// What to log: error, warn, info, debug, trace, or by module, as in info,quinn=warn
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log_level: Option<String>,
}

impl LogFlags {
    /// The value of the `log` section for [`crate::settings::load`]; null where a flag was not given.
    pub fn overrides(&self) -> Value {
        json!({ "format": self.log_format, "level": self.log_level })
    }
}

/// Why logging cannot start.
#[derive(Debug, Error)]
pub enum LogError {
    /// The level is not understood.
    #[error("cannot understand the log level {level:?}")]
    Level {
        /// As configured.
        level: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// Something in this process logs already.
    #[error("the process has a logger already")]
    Started(#[from] TryInitError),
}

/// Starts logging to standard error, once a process.
pub fn start(settings: &LogSettings) -> Result<(), LogError> {
    let levels = format!("{QUIETER},{}", settings.level);
    let filter = EnvFilter::try_new(&levels).map_err(|source| LogError::Level {
        level: settings.level.clone(),
        source,
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match settings.format {
        LogFormat::Text => builder.finish().try_init()?,
        LogFormat::Json => builder.json().flatten_event(true).finish().try_init()?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        log: LogFlags,
    }

    #[test]
    fn flags_override_only_what_is_given() {
        let flags = |arguments: &[&str]| CommandLine::parse_from(arguments).log.overrides();
        assert_eq!(flags(&["x"]), json!({ "format": null, "level": null }));
        assert_eq!(
            flags(&["x", "--log-format", "json"]),
            json!({ "format": "json", "level": null })
        );
        assert_eq!(
            flags(&["x", "--log-level", "debug"]),
            json!({ "format": null, "level": "debug" })
        );
    }

    #[test]
    fn a_wrong_level_is_refused_before_anything_starts() {
        let settings = LogSettings {
            level: "quinn=loud".to_owned(),
            ..LogSettings::default()
        };
        assert!(matches!(start(&settings), Err(LogError::Level { .. })));
    }
}
