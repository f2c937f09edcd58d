//! How a command fails: what people are told, and the exit code.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use kopilka_shell::exit::Exit;
use kopilka_shell::key_file::KeyFileError;
use kopilka_shell::logs::LogError;
use kopilka_shell::quic::QuicError;
use kopilka_shell::serve::ServeError;
use kopilka_shell::settings::SettingsError;
use kopilka_shell::telemetry::TelemetryError;

use crate::app::action::ActionError;
use crate::app::import::ImportError;
use crate::app::resources::BulkError;
use crate::app::rulebook::RuleBookError;
use crate::app::staff::session::SignInError;
use crate::store::StoreError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("cannot start the runtime")]
    Runtime(#[source] io::Error),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("store = \"postgres\" needs postgres_url, best set as KOPILKA_HUB_POSTGRES_URL")]
    NoPostgresUrl,
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error(transparent)]
    Key(#[from] KeyFileError),
    #[error("cannot make the folder {path}")]
    Folder { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Action(#[from] ActionError),
    #[error(transparent)]
    RuleBook(#[from] RuleBookError),
    #[error(transparent)]
    SignIn(#[from] SignInError),
    #[error(transparent)]
    Import(#[from] ImportError),
    #[error(transparent)]
    Bulk(#[from] BulkError),
    #[error("cannot read {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {path}")]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot read the standard input")]
    Input(#[source] io::Error),
    #[error("cannot print")]
    Print(#[source] io::Error),
    #[error("the patch is not a JSON Patch (RFC 6902)")]
    Patch(#[source] serde_json::Error),
    #[error("the file is not JSON")]
    NoJson(#[source] serde_json::Error),
    #[error("the file is not YAML: {0}")]
    NoYaml(String),
    #[error("cannot follow signals")]
    Signals(#[source] io::Error),
    #[error(transparent)]
    Http(#[from] ServeError),
    #[error(transparent)]
    Quic(#[from] QuicError),
    #[error("the QUIC listener has no address")]
    QuicAddress(#[source] io::Error),
}

impl Failure {
    /// Says on standard error what went wrong and why.
    pub fn tell(&self) {
        eprintln!("kopilka-hub: {self}");
        if let Self::RuleBook(RuleBookError::Problems(problems)) = self {
            for problem in problems {
                eprintln!("  {}: {}", problem.path, problem.text);
            }
        }
        if let Self::RuleBook(RuleBookError::Conflicts(conflicts)) = self {
            for conflict in conflicts {
                eprintln!("  {}", conflict.path);
            }
            eprintln!(
                "  settle each by an edit of the place (rulebook conflicts shows the values), or publish with \
                 --despite-conflicts"
            );
        }
        let mut cause = self.source();
        while let Some(error) = cause {
            eprintln!("  because: {error}");
            cause = error.source();
        }
    }

    /// The exit code for it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Settings(_)
            | Self::NoPostgresUrl
            | Self::Log(_)
            | Self::Key(_)
            | Self::Folder { .. } => Exit::Configuration,
            Self::Store(error) => of_store(error),
            Self::Action(ActionError::Store(error)) => of_store(error),
            Self::Http(ServeError::Bind { source, .. })
            | Self::Quic(QuicError::Socket { source, .. })
                if source.kind() == io::ErrorKind::AddrInUse =>
            {
                Exit::AddressInUse
            }
            Self::Http(ServeError::Pem { .. } | ServeError::Tls(_)) => Exit::Configuration,
            Self::Runtime(_)
            | Self::Telemetry(_)
            | Self::Action(_)
            | Self::RuleBook(_)
            | Self::SignIn(_)
            | Self::Import(_)
            | Self::Bulk(_)
            | Self::Read { .. }
            | Self::Write { .. }
            | Self::Input(_)
            | Self::Print(_)
            | Self::Patch(_)
            | Self::NoJson(_)
            | Self::NoYaml(_)
            | Self::Signals(_)
            | Self::Http(_)
            | Self::Quic(_)
            | Self::QuicAddress(_) => Exit::Failure,
        }
    }
}

fn of_store(error: &StoreError) -> Exit {
    match error {
        StoreError::Tls(_) => Exit::Configuration,
        StoreError::Unavailable(_)
        | StoreError::Damaged(_)
        | StoreError::Version
        | StoreError::Partitions { .. } => Exit::StoreUnavailable,
        StoreError::Full
        | StoreError::Contended
        | StoreError::Exists(_)
        | StoreError::Refused(_)
        | StoreError::TooLarge
        | StoreError::Range(_) => Exit::Failure,
    }
}
