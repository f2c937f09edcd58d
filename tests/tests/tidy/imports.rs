//! Who imports whom, and what the pure crates may reach.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::{assert_none, is_product, matching_lines, root, rust_sources};

/// Crates that decide and must not act: no clock, entropy, network, disk or threads.
const PURE_CRATES: [&str; 3] = ["crdt", "rules", "protocol"];

/// Every crate of the workspace with the crates of ours that it may import, tests included.
pub const IMPORTS: [(&str, &[&str]); 8] = [
    ("kopilka-crdt", &[]),
    ("kopilka-rules", &["kopilka-crdt"]),
    ("kopilka-protocol", &["kopilka-crdt"]),
    ("kopilka-shell", &[]),
    (
        "kopilka-node",
        &[
            "kopilka-crdt",
            "kopilka-rules",
            "kopilka-protocol",
            "kopilka-shell",
        ],
    ),
    (
        "kopilka-hub",
        &[
            "kopilka-crdt",
            "kopilka-rules",
            "kopilka-protocol",
            "kopilka-shell",
        ],
    ),
    (
        "simulate",
        &[
            "kopilka-crdt",
            "kopilka-rules",
            "kopilka-protocol",
            "kopilka-shell",
            "kopilka-node",
            "kopilka-hub",
        ],
    ),
    (
        "kopilka-tests",
        &[
            "kopilka-crdt",
            "kopilka-rules",
            "kopilka-protocol",
            "kopilka-shell",
            "kopilka-node",
            "kopilka-hub",
            "simulate",
        ],
    ),
];

/// What the pure crates may name as a dependency, besides crates of ours.
const PURE_DEPENDENCIES: [(&str, &[&str]); 3] = [
    (
        "kopilka-crdt",
        &[
            "automerge",
            "blake3",
            "chacha20poly1305",
            "postcard",
            "schemars",
            "serde",
            "serde_json",
            "thiserror",
        ],
    ),
    ("kopilka-rules", &["serde", "thiserror"]),
    (
        "kopilka-protocol",
        &[
            "blake3",
            "ed25519-dalek",
            "postcard",
            "serde",
            "thiserror",
            "zstd",
        ],
    ),
];

/// Crates that act on the world; none may be anywhere below a pure crate.
const ACTING_CRATES: [&str; 14] = [
    "async-std",
    "axum",
    "hyper",
    "mio",
    "quinn",
    "redb",
    "reqwest",
    "rusqlite",
    "rustls",
    "sled",
    "smol",
    "socket2",
    "tokio",
    "tokio-postgres",
];

/// Crates that draw entropy from the system.
const ENTROPY_CRATES: [&str; 4] = ["fastrand", "getrandom", "rand", "uuid"];

/// The only ways to entropy below a pure crate, as (who imports, what).
///
/// Automerge names an actor at random unless it is given one and has no feature to leave that out. The rule book
/// always gives one, and `automerge::ActorId::random` is a disallowed method in the pure crates.
const ENTROPY_EXCEPTIONS: [(&str, &str); 3] = [
    ("automerge", "getrandom"),
    ("automerge", "rand"),
    ("rand", "getrandom"),
];

/// What each pure crate's `clippy.toml` must refuse.
const REFUSED_IN_PURE_CRATES: [&str; 17] = [
    "std::time::SystemTime::now",
    "std::time::Instant::now",
    "jiff::Timestamp::now",
    "jiff::Zoned::now",
    "automerge::ActorId::random",
    "std::hash::RandomState::new",
    "std::thread::spawn",
    "std::thread::sleep",
    "std::env::var",
    "std::fs::read",
    "std::fs::read_to_string",
    "std::fs::write",
    "std::fs::File",
    "std::collections::HashMap",
    "std::collections::HashSet",
    "std::net::TcpStream",
    "std::net::UdpSocket",
];

#[test]
fn imports_run_one_way() {
    let mut wrong = Vec::new();
    for dependency in manifest_dependencies() {
        let ours = IMPORTS.iter().any(|(name, _)| *name == dependency.imported);
        let allowed = IMPORTS.iter().any(|(name, allowed)| {
            *name == dependency.importer && allowed.contains(&dependency.imported.as_str())
        });
        if ours && !allowed {
            wrong.push(format!(
                "{} imports {}",
                dependency.importer, dependency.imported
            ));
        }
    }
    assert_none(
        &wrong,
        "imports run from the shells to the pure crates, never back",
    );
}

#[test]
fn pure_crates_name_only_allowed_dependencies() {
    let mut wrong = Vec::new();
    for dependency in manifest_dependencies()
        .iter()
        .filter(|dependency| !dependency.is_dev)
    {
        let ours = IMPORTS.iter().any(|(name, _)| *name == dependency.imported);
        for (pure, allowed) in PURE_DEPENDENCIES {
            if dependency.importer == pure
                && !ours
                && !allowed.contains(&dependency.imported.as_str())
            {
                wrong.push(format!("{pure} names {}", dependency.imported));
            }
        }
    }
    assert_none(
        &wrong,
        "a pure crate names a dependency that is not on its list",
    );
}

#[test]
fn nothing_below_a_pure_crate_acts_on_the_world() {
    let mut acting = Vec::new();
    let mut entropy = Vec::new();
    for (pure, _) in PURE_DEPENDENCIES {
        for (parent, child) in tree_edges(pure) {
            if ACTING_CRATES.contains(&child.as_str()) {
                acting.push(format!("{pure}: {parent} imports {child}"));
            }
            let excepted = ENTROPY_EXCEPTIONS.contains(&(parent.as_str(), child.as_str()));
            if ENTROPY_CRATES.contains(&child.as_str()) && !excepted {
                entropy.push(format!("{pure}: {parent} imports {child}"));
            }
        }
    }
    assert_none(
        &acting,
        "network, disk and async stay out of the pure crates",
    );
    assert_none(
        &entropy,
        "entropy reaches the pure crates only by the named exceptions",
    );
}

#[test]
fn pure_crates_refuse_impure_calls() {
    let read = |pure: &str| {
        let path = root().join(pure).join("clippy.toml");
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let mut missing = Vec::new();
    for pure in PURE_CRATES {
        let text = read(pure);
        assert!(
            text == read(PURE_CRATES[0]),
            "{pure}/clippy.toml differs from the other pure crates'"
        );
        for path in REFUSED_IN_PURE_CRATES {
            if !text.contains(&format!("\"{path}\"")) {
                missing.push(format!("{pure}/clippy.toml: {path}"));
            }
        }
    }
    assert_none(&missing, "a pure crate's clippy.toml must refuse");
    let sources: Vec<_> = rust_sources()
        .into_iter()
        .filter(|(path, _)| {
            is_product(path) && PURE_CRATES.iter().any(|pure| path.starts_with(pure))
        })
        .collect();
    let excused = matching_lines(&sources, |line| line.contains("clippy::disallowed_"));
    assert_none(&excused, "no source of a pure crate excuses itself");
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .arg("--offline")
        .current_dir(root())
        .output()
        .expect("cargo runs this test, so it can be run");
    assert!(
        output.status.success(),
        "cargo {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("cargo writes UTF-8")
}

/// One dependency edge as a manifest states it.
struct Dependency {
    importer: String,
    imported: String,
    is_dev: bool,
}

fn text_of(value: &serde_json::Value, key: &str) -> String {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("cargo metadata has no {key}"))
        .to_owned()
}

fn manifest_dependencies() -> Vec<Dependency> {
    let metadata: serde_json::Value =
        serde_json::from_str(&cargo(&["metadata", "--format-version", "1", "--no-deps"]))
            .expect("cargo metadata writes JSON");
    let packages = metadata["packages"]
        .as_array()
        .expect("cargo metadata lists packages");
    let members: BTreeSet<_> = packages
        .iter()
        .map(|package| text_of(package, "name"))
        .collect();
    let expected: BTreeSet<_> = IMPORTS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(
        members, expected,
        "the import table must name every crate of the workspace"
    );
    let mut dependencies = Vec::new();
    for package in packages {
        for dependency in package["dependencies"]
            .as_array()
            .expect("a package lists dependencies")
        {
            dependencies.push(Dependency {
                importer: text_of(package, "name"),
                imported: text_of(dependency, "name"),
                is_dev: dependency["kind"] == "dev",
            });
        }
    }
    dependencies
}

/// Every edge of a pure crate's resolved tree, as (who imports, what).
fn tree_edges(package: &str) -> BTreeSet<(String, String)> {
    let tree = cargo(&[
        "tree",
        "-p",
        package,
        "-e",
        "normal",
        "--prefix",
        "depth",
        "--no-dedupe",
        "--format",
        " {p}",
    ]);
    let mut edges = BTreeSet::new();
    let mut ancestors: Vec<String> = Vec::new();
    for line in tree.lines().filter(|line| !line.is_empty()) {
        let mut words = line.split_whitespace();
        let depth: usize = words
            .next()
            .and_then(|word| word.parse().ok())
            .expect("a line starts with its depth");
        let name = words.next().expect("a line names a package").to_owned();
        ancestors.truncate(depth);
        if let Some(parent) = ancestors.last() {
            edges.insert((parent.clone(), name.clone()));
        }
        ancestors.push(name);
    }
    assert!(
        !edges.is_empty(),
        "cargo tree shows nothing below {package}"
    );
    edges
}
