//! Replays the corpora of the fuzz targets, so that what fuzzing found once is tried by every run of the tests.

// By path and not as a crate: the fuzz targets are a workspace of their own, and Cargo allows none inside a member.
#[path = "../../fuzz/src/lib.rs"]
mod fuzz;
mod requests;
mod seeds;

use std::fs;
use std::path::{Path, PathBuf};

fn corpora() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

/// `KOPILKA_REFRESH=1 cargo test -p kopilka-tests --test corpora` writes the seeds anew.
#[test]
fn corpora_begin_with_the_seeds() {
    for (target, name, bytes) in seeds::all() {
        let path = corpora().join(target).join(name);
        if std::env::var_os("KOPILKA_REFRESH").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &bytes).unwrap();
        }
        let stored = fs::read(&path).unwrap_or_default();
        let path = path.display();
        assert!(
            stored == bytes,
            "{path} differs from what it is made of; see this test's documentation"
        );
    }
}

#[test]
fn every_corpus_is_replayed() {
    let listed = fs::read_dir(corpora()).unwrap();
    let mut folders: Vec<_> = listed
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    folders.sort_unstable();
    let mut names: Vec<_> = fuzz::TARGETS.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    assert_eq!(
        folders, names,
        "each target has a corpus, each corpus a target"
    );
    for (name, target) in fuzz::TARGETS {
        let mut inputs = 0;
        for entry in fs::read_dir(corpora().join(name)).unwrap() {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            target(&fs::read(path).unwrap());
            inputs += 1;
        }
        assert!(inputs > 0, "the corpus of {name} is empty");
    }
}
