//! Rule books, conflicts and differences in a form for people, or as JSON.

use std::fmt::Write;

use kopilka_crdt::rulebook::RuleBook;

use super::file::Format;
use crate::app::rulebook::value_of;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::view::rules::{RuleConflictView, RuleDiffView, RuleNameView};

/// A rule book; JSON for programs is on one line.
pub fn rule_book(output: &Output, rules: &RuleBook, format: Format) -> Result<(), Failure> {
    match format {
        Format::Json if output.is_json() => output.item(&value_of(rules)),
        Format::Json | Format::Yaml => output.text(&format.write(rules)),
    }
}

/// Each place with its values, `*` before the one that the draft shows.
pub fn conflicts(output: &Output, conflicts: &[RuleConflictView]) -> Result<(), Failure> {
    if output.is_json() {
        return output.item(&conflicts);
    }
    let mut text = String::new();
    for conflict in conflicts {
        line(&mut text, &place(&conflict.path, conflict.name.as_ref()));
        for candidate in &conflict.values {
            let mark = if candidate.kept { '*' } else { ' ' };
            let change = &candidate.change;
            let (value, version) = (&candidate.value, change.version);
            let (at, author, note) = (&change.at, &change.author, &change.note);
            line(
                &mut text,
                &format!("  {mark} {value}  v{version}, {at}, {author}: {note}"),
            );
        }
    }
    if conflicts.is_empty() {
        line(&mut text, "no conflicts");
    }
    output.text(&text)
}

/// Each place with what was and what is there.
pub fn diff(output: &Output, diff: &RuleDiffView) -> Result<(), Failure> {
    if output.is_json() {
        return output.item(diff);
    }
    let mut text = String::new();
    for change in &diff.changes {
        line(&mut text, &place(&change.path, change.name.as_ref()));
        for (mark, value) in [('-', &change.before), ('+', &change.after)] {
            if let Some(value) = value {
                line(&mut text, &format!("  {mark} {value}"));
            }
        }
    }
    if diff.changes.is_empty() {
        line(&mut text, "no differences");
    }
    output.text(&text)
}

fn place(path: &str, name: Option<&RuleNameView>) -> String {
    match name {
        Some(RuleNameView { ru, en }) => format!("{path}  ({ru} / {en})"),
        None => path.to_owned(),
    }
}

fn line(text: &mut String, words: &str) {
    writeln!(text, "{words}").expect("a text takes what fits into memory");
}
