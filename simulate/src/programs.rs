//! The real programs: found beside this one, or built.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tokio::process::Command;

/// The two programs.
#[derive(Debug, Clone)]
pub struct Programs {
    /// `kopilka-hub`.
    pub hub: PathBuf,
    /// `kopilka-node`.
    pub node: PathBuf,
}

impl Programs {
    /// Finds the programs beside this one. Started by `cargo run`, it announces that it builds, and has cargo bring them
    /// up to date first, in the profile that it was built in itself.
    pub async fn locate(announce: impl FnOnce()) -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("this program does not know where it is")?;
        let folder = own.parent().context("a program lies in a folder")?;
        let beside = |name: &str| folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
        let programs = Self {
            hub: beside("kopilka-hub"),
            node: beside("kopilka-node"),
        };
        if let Some(cargo) = std::env::var_os("CARGO") {
            announce();
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
