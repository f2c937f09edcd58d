//! Every worked example of `rules/gallery`, priced and compared; and the laws that any receipt obeys under any promotions.

#![expect(clippy::disallowed_methods, reason = "the examples are files")]

mod compare;
mod example;
mod given;
mod kept;
mod laws;
mod random;

use std::path::{Path, PathBuf};

use kopilka_crdt::ids::ProgrammeId;
use kopilka_crdt::rulebook::model::Text;
use kopilka_crdt::rulebook::{Publication, RuleBook};
use kopilka_rules::Programme;
use serde_json::Value;

use example::Example;

/// As many files as the gallery has at least: a folder that is not found cannot pass.
const FILES_MIN: usize = 101;
/// Rows of the feature list on tiers, promotions and coupons: each has an example, or README.md says why not.
const FEATURES: [std::ops::RangeInclusive<u16>; 2] = [30..=37, 48..=74];
/// Cases of real systems, each a file of its own.
const PEER_FILES_MIN: usize = 29;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("gallery")
}

fn files() -> Vec<(String, Example)> {
    let entries = std::fs::read_dir(folder()).expect("the gallery is there");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("a folder can be read").path())
        .collect();
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "json")
    });
    paths.sort();
    let read = |path: PathBuf| {
        let name = path
            .file_name()
            .expect("a file has a name")
            .to_string_lossy()
            .into_owned();
        let text = std::fs::read_to_string(&path).expect("a file can be read");
        let example = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, example)
    };
    paths.into_iter().map(read).collect()
}

/// The starter programme under merge patches (RFC 7396).
fn programme(patches: &[&Value]) -> Result<Programme, String> {
    let starter = RuleBook::starter(Text::new("Копилка", "Kopilka"));
    let mut book = serde_json::to_value(starter).expect("a rule book is JSON");
    for patch in patches {
        merge(&mut book, patch);
    }
    let rules: RuleBook = serde_json::from_value(book).map_err(|error| error.to_string())?;
    let publication = Publication::new(ProgrammeId(1), 1, 0, &rules);
    Programme::compile(&publication).map_err(|error| format!("{error:?}"))
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let object = target.as_object_mut().expect("made one above");
    for (name, value) in fields {
        if value.is_null() {
            object.remove(name);
        } else {
            merge(object.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

#[test]
fn every_example_comes_out_as_written() {
    let mut wrong = Vec::new();
    for (name, example) in files() {
        for (place, case) in (1..).zip(&example.cases) {
            let differences = match programme(&[&example.rule_book, &case.change]) {
                Ok(programme) => compare::differences(&programme, case),
                Err(problem) => vec![problem],
            };
            let told = differences.into_iter();
            wrong.extend(told.map(|one| format!("{name}, case {place} ({}): {one}", case.note)));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn the_gallery_is_whole() {
    let files = files();
    let peers = files
        .iter()
        .filter(|(_, example)| example.source.repository.is_some());
    assert!(files.len() >= FILES_MIN, "{} files", files.len());
    assert!(peers.count() >= PEER_FILES_MIN);
    let readme = std::fs::read_to_string(folder().join("README.md")).unwrap();
    for row in FEATURES.into_iter().flatten() {
        let row = format!("F{row:03}");
        let shown = files
            .iter()
            .any(|(_, example)| example.source.features.contains(&row));
        assert!(shown || readme.contains(&row), "{row} has no example");
    }
    for (name, example) in &files {
        let Text { ru, en } = &example.about;
        assert!(!ru.is_empty() && !en.is_empty(), "{name} says what it is");
        assert!(!example.cases.is_empty(), "{name} has a case");
        assert!(example.source.is_named(), "{name} says where it is from");
        let listed = readme.contains(name.trim_end_matches(".json"));
        assert!(
            listed || example.differs.is_none(),
            "{name} differs from its source: README.md lists such files"
        );
    }
}
