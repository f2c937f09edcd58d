//! Staff users on the command line. Passwords come from a file or the standard input, never from the arguments.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Subcommand;

use super::Session;
use super::failure::Failure;
use crate::app::staff::{self, NewStaff, Role, StaffEdit};
use crate::view::security::StaffView;

#[derive(Subcommand)]
pub enum StaffCommand {
    /// Add a member of staff; the password is asked for, or read from the standard input
    Add {
        /// What they sign in with
        #[arg(long)]
        login: String,
        /// Their name; default: the login
        #[arg(long)]
        name: Option<String>,
        /// What they may do
        #[arg(long, value_enum)]
        role: Role,
        /// Read the password from the first line of a file
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Change a member of staff
    Edit {
        /// Their login
        #[arg(long)]
        login: String,
        /// Another role
        #[arg(long, value_enum)]
        role: Option<Role>,
        /// Whether they may sign in
        #[arg(long)]
        enabled: Option<bool>,
    },
    /// Set another password; it is asked for, or read from the standard input
    Password {
        /// Their login
        #[arg(long)]
        login: String,
        /// Read the password from the first line of a file
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// List staff
    List,
}

impl StaffCommand {
    pub async fn execute(self, session: &Session) -> Result<(), Failure> {
        let Session {
            hub, actor, output, ..
        } = session;
        match self {
            Self::Add {
                login,
                name,
                role,
                password_file,
            } => {
                let password = password(password_file.as_deref())?;
                let name = name.unwrap_or_else(|| login.clone());
                let new = NewStaff {
                    login,
                    name,
                    role,
                    password,
                };
                let added = staff::add(hub, actor, new).await?;
                output.item(&StaffView::from(&added))
            }
            Self::Edit {
                login,
                role,
                enabled,
            } => {
                let edit = StaffEdit {
                    role,
                    enabled,
                    password: None,
                };
                let edited = staff::edit(hub, actor, &login, edit).await?;
                output.item(&StaffView::from(&edited))
            }
            Self::Password {
                login,
                password_file,
            } => {
                let password = Some(password(password_file.as_deref())?);
                let edit = StaffEdit {
                    password,
                    ..StaffEdit::default()
                };
                let edited = staff::edit(hub, actor, &login, edit).await?;
                output.item(&StaffView::from(&edited))
            }
            Self::List => {
                let all = staff::all(hub).await?;
                let columns = ["login", "name", "role", "enabled"];
                output.list(all.iter().map(StaffView::from), &columns)
            }
        }
    }
}

/// A password from a file, or from the standard input.
pub fn password(file: Option<&Path>) -> Result<String, Failure> {
    let text = match file {
        Some(path) => std::fs::read_to_string(path).map_err(|source| Failure::Read {
            path: path.to_owned(),
            source,
        })?,
        None => typed().map_err(Failure::Input)?,
    };
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn typed() -> io::Result<String> {
    let input = io::stdin();
    let asked = input.is_terminal();
    if asked {
        eprint!("Password: ");
        io::stderr().flush()?;
        echo(false);
    }
    let mut line = String::new();
    let read = input.lock().read_line(&mut line);
    if asked {
        echo(true);
        eprintln!();
    }
    read.map(|_| line)
}

/// Best effort: without `stty` the password shows while it is typed, as on any terminal that cannot hide it.
fn echo(shown: bool) {
    let mode = if shown { "echo" } else { "-echo" };
    let status = Command::new("stty")
        .arg(mode)
        .stdin(Stdio::inherit())
        .status();
    if !status.is_ok_and(|status| status.success()) {
        tracing::debug!(mode, "stty could not set the terminal");
    }
}
