//! Tags: segments that members are in, and what staff noted about them.

use kopilka_crdt::ids::MemberId;
use kopilka_crdt::member::Member;
use kopilka_crdt::operation::{Body, ReceiptKey, TagChange};
use kopilka_rules::Programme;
use serde_json::{Value, json};

use super::bulk::{Deed, Now};
use crate::app::action::ActionError;

/// A tag is put on members, or taken off.
#[derive(Debug, Clone)]
pub struct Tagging {
    tag: String,
    on: bool,
}

impl Tagging {
    /// Puts a tag on. Only tags of the published rule book: a misspelt one would put nobody into a segment.
    pub fn put(rules: &Programme, tag: &str) -> Result<Self, ActionError> {
        if !rules.rules().tags.contains_key(tag) {
            let reason = "is not in the published rule book; add it to tags and publish";
            return Err(ActionError::invalid("tag", reason));
        }
        Ok(Self {
            tag: tag.to_owned(),
            on: true,
        })
    }

    /// Takes a tag off, also one that the rule book has no more.
    pub fn take_off(tag: &str) -> Self {
        Self {
            tag: tag.to_owned(),
            on: false,
        }
    }
}

impl Deed for Tagging {
    fn action(&self) -> &'static str {
        if self.on { "tag.add" } else { "tag.remove" }
    }

    fn details(&self) -> Value {
        json!({ "tag": self.tag })
    }

    fn request(&self, _: MemberId) -> Option<ReceiptKey> {
        None
    }

    fn body(&self, id: MemberId, member: &Member, _: Now<'_>) -> Result<Option<Body>, ActionError> {
        let on = member.tags_on().any(|tag| tag == self.tag);
        let change = TagChange {
            member: id,
            tag: self.tag.clone(),
            on: self.on,
        };
        Ok((on != self.on).then_some(Body::Tag(change)))
    }

    fn afterwards(&self, _: MemberId, _: &mut Member, _: Now<'_>) {}
}
