//! What every source file of the house has in common.

use crate::{assert_none, is_product, matching_lines, rust_sources, texts};

/// Lines a source file may have above its test module.
const PRODUCT_LINES_MAX: usize = 600;

#[test]
fn sources_open_with_a_sentence() {
    let headless: Vec<_> = rust_sources()
        .iter()
        .filter(|(_, text)| !text.starts_with("//! "))
        .map(|(path, _)| path.display().to_string())
        .collect();
    assert_none(&headless, "a source file opens with a `//!` sentence");
}

#[test]
fn sources_are_short() {
    let mut long = Vec::new();
    for (path, text) in rust_sources() {
        let above_tests = |line: &&str| !is_product(&path) || !line.starts_with("#[cfg(test)]");
        let lines = text.lines().take_while(above_tests).count();
        if lines > PRODUCT_LINES_MAX {
            long.push(format!("{}: {lines} lines", path.display()));
        }
    }
    assert_none(
        &long,
        &format!("a file has at most {PRODUCT_LINES_MAX} lines above its tests"),
    );
}

#[test]
fn every_test_runs() {
    let ignored = matching_lines(&rust_sources(), |line| {
        line.trim_start().starts_with(concat!("#[", "ignore"))
    });
    assert_none(&ignored, "a test that does not run proves nothing");
}

#[test]
fn nothing_is_left_unfinished() {
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("X", "XX"),
    ];
    let unfinished = matching_lines(&rust_sources(), |line| {
        marks.iter().any(|mark| contains_word(line, mark))
    });
    assert_none(&unfinished, "work that is left belongs in an issue");
}

#[test]
fn no_file_names_a_path_of_one_machine() {
    let prefixes = [
        concat!("/ho", "me/"),
        concat!("/ro", "ot/"),
        concat!("/wo", "rk/"),
        concat!("/Us", "ers/"),
    ];
    let named = matching_lines(&texts(), |line| {
        prefixes
            .iter()
            .any(|prefix| names_absolute_path(line, prefix))
    });
    assert_none(&named, "a path of one machine is of no use on another");
}

fn contains_word(line: &str, word: &str) -> bool {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    line.match_indices(word).any(|(start, _)| {
        !line[..start].ends_with(is_word) && !line[start + word.len()..].starts_with(is_word)
    })
}

/// Whether `line` names a path that starts with `prefix`, and not one that only has it inside.
fn names_absolute_path(line: &str, prefix: &str) -> bool {
    let continues = |character: char| character.is_alphanumeric() || "_-.~}/*".contains(character);
    line.match_indices(prefix)
        .any(|(start, _)| !line[..start].ends_with(continues))
}
