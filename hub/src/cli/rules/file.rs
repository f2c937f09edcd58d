//! Rule books as files: JSON or YAML, by the file's ending or as asked for.

use std::io::Read;
use std::path::Path;

use clap::ValueEnum;
use kopilka_crdt::rulebook::RuleBook;
use kopilka_crdt::rulebook::publication::PUBLICATION_BYTES_MAX;
use serde_json::Value;
use serde_saphyr::UserMessageFormatter;

use crate::app::rulebook::parse;
use crate::cli::failure::Failure;

/// Most nodes of a YAML file: what the largest rule book that may be published can have.
const YAML_NODES_MAX: usize = 2_000_000;
/// Most steps of reading one: a node takes at most two.
const YAML_EVENTS_MAX: usize = 2 * YAML_NODES_MAX;

/// How a rule book is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// JSON
    Json,
    /// YAML
    Yaml,
}

impl Format {
    /// As asked for, or by the ending: `.yaml` and `.yml` are YAML, everything else JSON.
    pub fn of(path: Option<&Path>, asked: Option<Self>) -> Self {
        let ending = path.and_then(Path::extension);
        asked.unwrap_or(match ending {
            Some(end) if end.eq_ignore_ascii_case("yaml") => Self::Yaml,
            Some(end) if end.eq_ignore_ascii_case("yml") => Self::Yaml,
            Some(_) | None => Self::Json,
        })
    }

    /// The rule book that a text holds.
    pub fn read(self, text: &str) -> Result<RuleBook, Failure> {
        let value: Value = match self {
            Self::Json => serde_json::from_str(text).map_err(Failure::NoJson)?,
            Self::Yaml => {
                let budget = serde_saphyr::budget! {
                    max_nodes: YAML_NODES_MAX,
                    max_events: YAML_EVENTS_MAX,
                    max_reader_input_bytes: Some(PUBLICATION_BYTES_MAX),
                };
                let options = serde_saphyr::options! { budget: budget };
                serde_saphyr::from_str_with_options(text, options).map_err(|error| {
                    Failure::NoYaml(error.render_with_formatter(&UserMessageFormatter))
                })?
            }
        };
        Ok(parse(&value)?)
    }

    /// A rule book for people to read, its fields in the schema's order.
    pub fn write(self, rules: &RuleBook) -> String {
        const PLAIN: &str = "a rule book is plain data with string keys";
        match self {
            Self::Json => serde_json::to_string_pretty(rules).expect(PLAIN) + "\n",
            Self::Yaml => serde_saphyr::to_string(rules).expect(PLAIN),
        }
    }
}

/// The text of a file; `-` is the standard input.
pub fn read_text(path: &Path) -> Result<String, Failure> {
    if path.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(Failure::Input)?;
        return Ok(text);
    }
    std::fs::read_to_string(path).map_err(|source| Failure::Read {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use kopilka_crdt::rulebook::model::Text;

    use super::*;
    use crate::app::rulebook::gallery;

    #[test]
    fn every_book_of_the_gallery_survives_both_formats() {
        for (name, book) in gallery::books() {
            let book = parse(&book).unwrap();
            for format in [Format::Json, Format::Yaml] {
                let text = format.write(&book);
                let again = format.read(&text);
                assert_eq!(again.unwrap(), book, "{name}:\n{text}");
            }
        }
    }

    #[test]
    fn texts_that_yaml_would_take_for_something_else_stay_texts() {
        let mut book = RuleBook::starter(Text::new("no", "1e3"));
        for word in [
            "12:30",
            "2026-01-02",
            "0x1F",
            "~",
            "null",
            "# x",
            "a: b",
            " ",
            "-",
            "'",
            "\u{feff}я\n\tz ",
        ] {
            book.messages.receipt = Text::new(word, word);
            let text = Format::Yaml.write(&book);
            assert_eq!(Format::Yaml.read(&text).unwrap(), book, "{text}");
        }
    }

    #[test]
    fn endings_and_wishes_choose_the_format() {
        for (path, asked, format) in [
            (Some("rules.yaml"), None, Format::Yaml),
            (Some("rules.YML"), None, Format::Yaml),
            (Some("rules.json"), None, Format::Json),
            (Some("-"), None, Format::Json),
            (Some("rules.json"), Some(Format::Yaml), Format::Yaml),
            (None, None, Format::Json),
        ] {
            assert_eq!(Format::of(path.map(Path::new), asked), format, "{path:?}");
        }
    }

    #[test]
    fn what_is_not_yaml_is_refused_with_its_place() {
        for text in ["schema: 2\nschema: 2\n", "a: [1", "a: &x [*x]\n"] {
            let Err(Failure::NoYaml(reason)) = Format::Yaml.read(text) else {
                panic!("{text} is no YAML");
            };
            assert!(reason.contains("line "), "{reason}");
        }
    }
}
