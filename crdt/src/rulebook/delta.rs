//! Deltas between the canonical texts of two publications, found along the structure of their JSON.
//!
//! A delta is a list of splices. Applying it needs no JSON and no schema: a node of any version gets the other text to
//! the byte, whose hash the hub has signed.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::publication::PUBLICATION_BYTES_MAX;

/// Most splices of a delta.
pub const SPLICES_MAX: usize = 4_096;
/// Most bytes that a delta brings; a change that needs more travels as a whole publication.
pub const DELTA_BYTES_MAX: usize = 256 * 1024;
/// Deepest nesting that is looked into; what differs below it is replaced as one.
const DEPTH_MAX: usize = 32;

/// Keeps some of the base, leaves some out, and puts a text in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Splice {
    /// Bytes of the base that stay, after the splice before.
    pub keep: u32,
    /// Bytes of the base that go, after those.
    pub drop: u32,
    /// What stands in their place.
    pub insert: String,
}

/// The way from one text to another. What follows the last splice stays.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Delta {
    /// In the order of the base.
    pub splices: Vec<Splice>,
}

/// Why a delta does not apply. The base is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeltaError {
    /// A splice reaches beyond the end of the base, or into a character.
    #[error("the delta does not fit the publication that it names")]
    Misfit,
    /// More than [`SPLICES_MAX`] splices, or a text above [`PUBLICATION_BYTES_MAX`].
    #[error("the delta makes more than a publication may hold")]
    TooLarge,
}

impl Delta {
    /// The way from `base` to `target`; none when it would need more than [`SPLICES_MAX`] or [`DELTA_BYTES_MAX`].
    ///
    /// Objects are compared by key and lists by what begins and ends them alike. Texts that are no JSON are compared
    /// as such. Time and memory grow with the length of the texts alone.
    pub fn between(base: &str, target: &str) -> Option<Self> {
        let mut finder = Finder {
            base,
            target,
            splices: Vec::new(),
            kept_from: 0,
            bytes: 0,
        };
        finder.value(&(0..base.len()), &(0..target.len()), 0)?;
        let delta = Self {
            splices: finder.splices,
        };
        (delta.apply(base).as_deref() == Ok(target)).then_some(delta)
    }

    /// The text that this makes of `base`.
    ///
    /// # Errors
    /// See [`DeltaError`].
    pub fn apply(&self, base: &str) -> Result<String, DeltaError> {
        if self.splices.len() > SPLICES_MAX {
            return Err(DeltaError::TooLarge);
        }
        let mut text = String::with_capacity(base.len().min(PUBLICATION_BYTES_MAX));
        let mut rest = base;
        for splice in &self.splices {
            let (kept, after) = split(rest, splice.keep)?;
            let (_, after) = split(after, splice.drop)?;
            extend(&mut text, kept)?;
            extend(&mut text, &splice.insert)?;
            rest = after;
        }
        extend(&mut text, rest)?;
        Ok(text)
    }
}

fn split(text: &str, at: u32) -> Result<(&str, &str), DeltaError> {
    let at = usize::try_from(at).map_err(|_| DeltaError::Misfit)?;
    text.split_at_checked(at).ok_or(DeltaError::Misfit)
}

fn extend(text: &mut String, more: &str) -> Result<(), DeltaError> {
    if more.len() > PUBLICATION_BYTES_MAX.saturating_sub(text.len()) {
        return Err(DeltaError::TooLarge);
    }
    text.push_str(more);
    Ok(())
}

/// Looks for differences, from the start of both texts to their end.
struct Finder<'a> {
    base: &'a str,
    target: &'a str,
    splices: Vec<Splice>,
    /// Where the base goes on after the last splice.
    kept_from: usize,
    bytes: usize,
}

/// Members of an object or a list, as ranges of the text that it stands in.
struct Members<'a> {
    text: &'a str,
    /// Between the brackets.
    inner: Range<usize>,
    places: Vec<Range<usize>>,
}

impl Finder<'_> {
    /// Finds what differs between two values. Nothing when it is too much.
    fn value(&mut self, base: &Range<usize>, target: &Range<usize>, depth: usize) -> Option<()> {
        let (old, new) = (&self.base[base.clone()], &self.target[target.clone()]);
        if old == new {
            return Some(());
        }
        let same_kind = old.as_bytes().first() == new.as_bytes().first();
        if same_kind
            && depth < DEPTH_MAX
            && let Some(before) = Members::of(self.base, base)
            && let Some(after) = Members::of(self.target, target)
        {
            return if old.starts_with('{') {
                self.object(&before, &after, depth)
            } else {
                self.list(&before, &after, depth)
            };
        }
        self.replace(base, target)
    }

    fn object(&mut self, before: &Members<'_>, after: &Members<'_>, depth: usize) -> Option<()> {
        let (old, new): (Vec<&str>, Vec<&str>) = (before.keys(), after.keys());
        let (was, is) = (key_set(&old), key_set(&new));
        let left = old.iter().filter(|key| is.contains(*key));
        let found = new.iter().filter(|key| was.contains(*key));
        if !left.eq(found) {
            return self.replace(&before.inner, &after.inner);
        }
        let (mut i, mut k) = (0, 0);
        loop {
            let (gone_from, new_from) = (i, k);
            while old.get(i).is_some_and(|key| !is.contains(key)) {
                i += 1;
            }
            while new.get(k).is_some_and(|key| !was.contains(key)) {
                k += 1;
            }
            self.run((before, &(gone_from..i)), (after, &(new_from..k)))?;
            let (Some(one), Some(other)) = (before.places.get(i), after.places.get(k)) else {
                return Some(());
            };
            // A key and its colon are the same on both sides.
            let label = old[i].len() + 1;
            let old_value = one.start + label..one.end;
            let new_value = other.start + label..other.end;
            self.value(&old_value, &new_value, depth + 1)?;
            (i, k) = (i + 1, k + 1);
        }
    }

    fn list(&mut self, before: &Members<'_>, after: &Members<'_>, depth: usize) -> Option<()> {
        let (was, is) = (before.places.len(), after.places.len());
        let same = |pair: &(usize, usize)| before.member(pair.0) == after.member(pair.1);
        let alike = (0..was).zip(0..is).take_while(same).count();
        let ends = (alike..was).rev().zip((alike..is).rev());
        let tail = ends.take_while(same).count();
        let (gone, new) = (alike..was - tail, alike..is - tail);
        if gone.len() != new.len() {
            return self.run((before, &gone), (after, &new));
        }
        for (i, k) in gone.zip(new) {
            self.value(&before.places[i], &after.places[k], depth + 1)?;
        }
        Some(())
    }

    /// Puts a run of members in the place of another; a comma goes or comes with them.
    fn run(
        &mut self,
        (before, gone): (&Members<'_>, &Range<usize>),
        (after, new): (&Members<'_>, &Range<usize>),
    ) -> Option<()> {
        match (gone.is_empty(), new.is_empty()) {
            (true, true) => Some(()),
            (false, false) => self.replace(&before.span(gone), &after.span(new)),
            (false, true) => self.splice(&before.with_comma(gone), ""),
            (true, false) => {
                let at = match before.places.get(gone.start) {
                    Some(next) => next.start,
                    None => before
                        .places
                        .last()
                        .map_or(before.inner.end, |last| last.end),
                };
                self.splice(&(at..at), &self.target[after.with_comma(new)])
            }
        }
    }

    /// Puts a range of the target in the place of one of the base, less what both begin and end with.
    fn replace(&mut self, base: &Range<usize>, target: &Range<usize>) -> Option<()> {
        let (old, new) = (&self.base[base.clone()], &self.target[target.clone()]);
        let pairs = old.chars().zip(new.chars());
        let head: usize = pairs
            .take_while(|(one, other)| one == other)
            .map(|(one, _)| one.len_utf8())
            .sum();
        let (old, new) = (&old[head..], &new[head..]);
        let pairs = old.chars().rev().zip(new.chars().rev());
        let tail: usize = pairs
            .take_while(|(one, other)| one == other)
            .map(|(one, _)| one.len_utf8())
            .sum();
        let new = &new[..new.len() - tail];
        self.splice(&(base.start + head..base.end - tail), new)
    }

    fn splice(&mut self, base: &Range<usize>, insert: &str) -> Option<()> {
        self.bytes += insert.len();
        if self.bytes > DELTA_BYTES_MAX || self.splices.len() == SPLICES_MAX {
            return None;
        }
        self.splices.push(Splice {
            keep: u32::try_from(base.start.checked_sub(self.kept_from)?).ok()?,
            drop: u32::try_from(base.len()).ok()?,
            insert: insert.to_owned(),
        });
        self.kept_from = base.end;
        Some(())
    }
}

impl<'a> Members<'a> {
    /// The members of the object or list that stands at `place`; none when it is neither, or not well formed.
    fn of(text: &'a str, place: &Range<usize>) -> Option<Self> {
        let bytes = &text.as_bytes()[place.clone()];
        let is_object = match bytes.first()? {
            b'{' => true,
            b'[' => false,
            _ => return None,
        };
        let inner = place.start + 1..place.end.checked_sub(1)?;
        let (mut depth, mut start) = (0_usize, 1_usize);
        let (mut in_text, mut escaped) = (false, false);
        let mut places = Vec::new();
        let mut closed_at = None;
        for (at, byte) in bytes.iter().enumerate() {
            if in_text {
                (in_text, escaped) = (*byte != b'"' || escaped, *byte == b'\\' && !escaped);
                continue;
            }
            match byte {
                b'"' => in_text = true,
                b'{' | b'[' => depth += 1,
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    if depth == 0 {
                        closed_at = Some(at);
                        break;
                    }
                }
                b',' if depth == 1 => {
                    places.push(place.start + start..place.start + at);
                    start = at + 1;
                }
                _ => {}
            }
        }
        let end = closed_at.filter(|at| at + 1 == bytes.len())?;
        if end > 1 {
            places.push(place.start + start..place.start + end);
        }
        let members = Self {
            text,
            inner,
            places,
        };
        let keyed = |place: &Range<usize>| key(&text[place.clone()]).is_some();
        (!is_object || members.places.iter().all(keyed)).then_some(members)
    }

    fn member(&self, index: usize) -> &'a str {
        &self.text[self.places[index].clone()]
    }

    /// Keys with their quotes, of an object.
    fn keys(&self) -> Vec<&'a str> {
        let members = self.places.iter().map(|place| &self.text[place.clone()]);
        members.filter_map(key).collect()
    }

    /// From the first to the last of a run that is not empty.
    fn span(&self, run: &Range<usize>) -> Range<usize> {
        self.places[run.start].start..self.places[run.end - 1].end
    }

    /// The same with the comma after it, or before it when nothing follows.
    fn with_comma(&self, run: &Range<usize>) -> Range<usize> {
        let span = self.span(run);
        match (self.places.get(run.end), run.start.checked_sub(1)) {
            (Some(next), _) => span.start..next.start,
            (None, Some(before)) => self.places[before].end..span.end,
            (None, None) => span,
        }
    }
}

fn key_set<'a>(keys: &[&'a str]) -> BTreeSet<&'a str> {
    keys.iter().copied().collect()
}

/// The key of a member, with its quotes; none when it has none.
fn key(member: &str) -> Option<&str> {
    let inside = member.strip_prefix('"')?;
    let mut escaped = false;
    for (at, byte) in inside.bytes().enumerate() {
        match byte {
            b'"' if !escaped => {
                let end = at + 2;
                return (member.as_bytes().get(end) == Some(&b':')).then(|| &member[..end]);
            }
            _ => escaped = byte == b'\\' && !escaped,
        }
    }
    None
}
