//! Keeps the house in order: file headers and sizes, who imports whom, and what the pure crates may reach.

mod imports;
mod sources;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders that hold no text of ours.
const SKIPPED_FOLDERS: [&str; 5] = [".git", "target", "artifacts", "corpus", "node_modules"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests crate sits one folder below the workspace root")
}

/// All files of the repository, relative to its root, in a fixed order.
fn files() -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    let mut folders = vec![root().to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the repository can be listed") {
            let path = entry
                .expect("a folder of the repository can be listed")
                .path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            if path.is_symlink() || SKIPPED_FOLDERS.contains(&name) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(
                    path.strip_prefix(root())
                        .expect("the walk starts at the root")
                        .to_path_buf(),
                );
            }
        }
    }
    files
}

/// All files that are text, with their text.
fn texts() -> Vec<(PathBuf, String)> {
    let read = |path: PathBuf| {
        fs::read_to_string(root().join(&path))
            .ok()
            .map(|text| (path, text))
    };
    files().into_iter().filter_map(read).collect()
}

fn rust_sources() -> Vec<(PathBuf, String)> {
    let sources: Vec<_> = texts()
        .into_iter()
        .filter(|(path, _)| path.extension().is_some_and(|end| end == "rs"))
        .collect();
    assert!(
        sources.len() > imports::IMPORTS.len(),
        "the walk misses sources: only {} found",
        sources.len()
    );
    sources
}

fn is_product(path: &Path) -> bool {
    let parts: Vec<_> = path.components().map(|part| part.as_os_str()).collect();
    parts.first().is_some_and(|first| *first != "tests")
        && parts.get(1).is_some_and(|second| *second == "src")
}

fn assert_none(findings: &[String], rule: &str) {
    assert!(findings.is_empty(), "{rule}:\n  {}", findings.join("\n  "));
}

/// Lines that `matches`, as "file:line: text".
fn matching_lines(sources: &[(PathBuf, String)], matches: impl Fn(&str) -> bool) -> Vec<String> {
    let mut findings = Vec::new();
    for (path, text) in sources {
        for (index, line) in text.lines().enumerate() {
            if matches(line) {
                findings.push(format!("{}:{}: {}", path.display(), index + 1, line.trim()));
            }
        }
    }
    findings
}
