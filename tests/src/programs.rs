//! The two programs, brought up to date once in the profile of the test.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tokio::process::Command;
use tokio::sync::OnceCell;

/// Where the programs are.
#[derive(Debug)]
pub struct Programs {
    /// `kopilka-hub`.
    pub hub: PathBuf,
    /// `kopilka-node`.
    pub node: PathBuf,
}

static PROGRAMS: OnceCell<Programs> = OnceCell::const_new();

/// Builds the programs where they are out of date, and says where they are.
pub async fn programs() -> anyhow::Result<&'static Programs> {
    PROGRAMS.get_or_try_init(build).await
}

async fn build() -> anyhow::Result<Programs> {
    let own = std::env::current_exe().context("a test does not know where it is")?;
    // target/<profile>/deps/<test>
    let profile_folder = own
        .ancestors()
        .nth(2)
        .context("a test lies in target/<profile>/deps")?;
    let target_folder = profile_folder
        .parent()
        .context("a profile's folder lies in the target folder")?;
    let profile = profile_folder.file_name().and_then(|name| name.to_str());
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("the tests' crate lies in the workspace")?;
    let mut command = Command::new(cargo);
    command
        // What `cargo test --workspace` has built, with the same features, so that nothing is built twice.
        .args(["build", "--quiet", "--workspace", "--bins", "--tests"])
        .arg("--target-dir")
        .arg(target_folder)
        .current_dir(root)
        .kill_on_drop(true);
    match profile {
        Some("debug") | None => {}
        Some(profile) => {
            command.args(["--profile", profile]);
        }
    }
    if !command
        .status()
        .await
        .context("cannot start cargo")?
        .success()
    {
        bail!("cargo could not build kopilka-hub and kopilka-node");
    }
    let program =
        |name: &str| profile_folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    Ok(Programs {
        hub: program("kopilka-hub"),
        node: program("kopilka-node"),
    })
}
