//! Versions of the rules, drafts and publications alike: what is in one, what differs between two, and going back.

use std::fmt;
use std::str::FromStr;

use json_patch::Patch;
use kopilka_crdt::ids::ProgrammeId;
use kopilka_crdt::rulebook::RuleBook;
use kopilka_crdt::rulebook::difference::{Difference, differences};
use kopilka_crdt::rulebook::model::Text;
use serde_json::{Value, json};

use super::draft::{self, Change, Draft, WHOLE};
use super::{RuleBookError, parse, publish, saves, value_of};
use crate::app::Hub;
use crate::app::action::Actor;

/// Which version of a programme's rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionName {
    /// The draft as it stands: `draft`.
    Draft,
    /// The draft after so many changes, as the history numbers them: `v12`.
    DraftVersion(u32),
    /// A publication, by its number: `3`.
    Publication(u32),
}

/// Why a text names no version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no version: say draft, v12 for a version of the draft, or 3 for a publication")]
pub struct VersionNameError(String);

impl FromStr for VersionName {
    type Err = VersionNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |digits: &str| match digits.parse() {
            Ok(number) if number > 0 => Ok(number),
            Ok(_) | Err(_) => Err(VersionNameError(text.to_owned())),
        };
        match text.strip_prefix('v') {
            _ if text == "draft" => Ok(Self::Draft),
            Some(digits) => number(digits).map(Self::DraftVersion),
            None => number(text).map(Self::Publication),
        }
    }
}

impl fmt::Display for VersionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Draft => f.write_str("draft"),
            Self::DraftVersion(version) => write!(f, "v{version}"),
            Self::Publication(number) => write!(f, "{number}"),
        }
    }
}

/// What differs between two versions.
#[derive(Debug, Clone)]
pub struct RuleDiff {
    /// Place by place.
    pub changes: Vec<NamedDifference>,
    /// JSON Patch (RFC 6902) from the first to the second.
    pub patch: Patch,
}

/// A place that differs.
#[derive(Debug, Clone)]
pub struct NamedDifference {
    /// The place and what is there.
    pub difference: Difference,
    /// Name of the promotion, account or tier that it is in.
    pub name: Option<Text>,
}

/// The rules of one version.
pub async fn rules(
    hub: &Hub,
    programme: ProgrammeId,
    version: VersionName,
) -> Result<RuleBook, RuleBookError> {
    if let VersionName::Publication(number) = version {
        return Ok(publish::rules(hub, programme, number).await?);
    }
    let mut stored = saves::load(hub, programme, b"reader").await?;
    parse(&match version {
        VersionName::DraftVersion(version) => stored.document.value_at(version)?,
        VersionName::Draft | VersionName::Publication(_) => stored.document.value()?,
    })
}

/// What differs between two versions.
pub async fn diff(
    hub: &Hub,
    programme: ProgrammeId,
    from: VersionName,
    to: VersionName,
) -> Result<RuleDiff, RuleBookError> {
    let before = value_of(&rules(hub, programme, from).await?);
    let after = value_of(&rules(hub, programme, to).await?);
    let found = differences(&before, &after).into_iter();
    let changes = found.map(|difference| NamedDifference {
        name: name_above(&after, &difference.path)
            .or_else(|| name_above(&before, &difference.path)),
        difference,
    });
    Ok(RuleDiff {
        changes: changes.collect(),
        patch: json_patch::diff(&before, &after),
    })
}

/// Sets the draft to an earlier version: a new change, in which all open conflicts are settled.
pub async fn revert(
    hub: &Hub,
    actor: &Actor,
    programme: ProgrammeId,
    to: VersionName,
    note: &str,
) -> Result<Draft, RuleBookError> {
    let value = value_of(&rules(hub, programme, to).await?);
    let note = format!("back to {to}. {note}");
    let details = json!({ "note": note, "to": to.to_string() });
    let change = Change {
        base: None,
        named: &[WHOLE.to_owned()],
        note: &note,
        action: "rulebook.revert",
        details: &details,
    };
    draft::write(hub, actor, programme, change, |_| Ok(value.clone())).await
}

/// The name that the innermost thing around a place bears; the rule book's own name says nothing.
pub fn name_above(rules: &Value, path: &str) -> Option<Text> {
    let ends = path.char_indices().skip(1).filter(|(_, c)| *c == '/');
    let mut ends: Vec<usize> = ends.map(|(at, _)| at).collect();
    ends.push(path.len());
    ends.iter().rev().find_map(|&end| {
        let name = rules.pointer(&path[..end])?.get("name")?;
        serde_json::from_value(name.clone()).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_names() {
        for (text, version) in [
            ("draft", VersionName::Draft),
            ("v12", VersionName::DraftVersion(12)),
            ("3", VersionName::Publication(3)),
        ] {
            assert_eq!(text.parse(), Ok(version));
            assert_eq!(version.to_string(), text);
        }
        for text in ["", "v", "v0", "0", "-1", "drafts", "vv1", "4294967296"] {
            assert!(text.parse::<VersionName>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_place_bears_the_name_of_what_it_is_in() {
        let text = |word: &str| json!({ "ru": word, "en": word });
        let rules = json!({
            "name": text("whole"), "currency": "RUB", "promotions": {"7": {"name": text("tuesday"), "stage": "receipt"}},
        });
        let name = |path: &str| name_above(&rules, path).map(|name| name.en);
        let tuesday = Some("tuesday".to_owned());
        assert_eq!(name("/promotions/7/stage"), tuesday);
        assert_eq!(name("/promotions/7"), tuesday);
        assert_eq!(name("/promotions/7/effects/0/off"), tuesday);
        assert_eq!(name("/promotions/8"), None);
        assert_eq!(name("/currency"), None);
    }
}
