//! A store in a temporary folder, and processes on it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

pub struct Bench {
    folder: TempDir,
}

impl Bench {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program with a configuration file of its own and free ports.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let config = self.path("hub.toml");
        if !config.exists() {
            let text = format!(
                "data_dir = {:?}\nhttp_listen = \"127.0.0.1:0\"\nquic_listen = \"127.0.0.1:0\"\n",
                self.path("data")
            );
            std::fs::write(&config, text).unwrap();
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_kopilka-hub"));
        command
            .arg("--config")
            .arg(config)
            .args(arguments)
            .env_clear();
        command
    }

    pub fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        child.wait_with_output().unwrap()
    }

    /// The JSON that a successful command prints.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat(), "");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {told}");
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    /// What a failing command says, with its exit code.
    pub fn fails(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.run(arguments, "");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().unwrap_or(-1), told)
    }

    /// Programme p1, partner r1, store s1.
    pub fn furnish(&self) {
        self.json(&[
            "programme",
            "create",
            "--name-ru",
            "Копилка",
            "--name-en",
            "Kopilka",
        ]);
        self.json(&[
            "partner",
            "create",
            "--programme",
            "p1",
            "--name",
            "Ромашка",
        ]);
        let place = ["--name", "London", "--time-zone", "Europe/London"];
        let store = ["store", "create", "--programme", "p1", "--partner", "r1"];
        self.json(&[&store[..], &place[..]].concat());
    }
}

/// The file that the package shows.
pub fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/import-sample.csv")
}
