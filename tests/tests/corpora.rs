//! Replays the corpora of the fuzz targets, so that what fuzzing found once is tried by every run of the tests.

// By path and not as a crate: the fuzz targets are a workspace of their own, and Cargo allows none inside a member.
#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use std::fs;
use std::path::Path;

#[test]
fn every_corpus_is_replayed() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let listed = fs::read_dir(&corpora).unwrap();
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
        for entry in fs::read_dir(corpora.join(name)).unwrap() {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            target(&fs::read(path).unwrap());
            inputs += 1;
        }
        assert!(inputs > 0, "the corpus of {name} is empty");
    }
}
