//! A member's operations, newest first, in pages.

use std::str::FromStr;

use kopilka_crdt::ids::{MemberId, OperationId, ProgrammeId};
use kopilka_crdt::log::decode_entry;
use kopilka_crdt::operation::Body;

use crate::app::Hub;
use crate::app::action::ActionError;
use crate::store::{OperationRow, StoreError};

/// Largest page of any list.
pub const PAGE_MAX: usize = 200;

/// Where a page of a member's history ends: opaque to callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    taken_in_ms: u64,
    operation: OperationId,
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}_{}", self.taken_in_ms, self.operation)
    }
}

impl FromStr for Cursor {
    type Err = ActionError;

    fn from_str(text: &str) -> Result<Self, ActionError> {
        let wrong = || ActionError::invalid("before", "is not a cursor of this list");
        let (ms, operation) = text.split_once('_').ok_or_else(wrong)?;
        Ok(Self {
            taken_in_ms: ms.parse().map_err(|_| wrong())?,
            operation: operation.parse().map_err(|_| wrong())?,
        })
    }
}

/// A page of a history.
#[derive(Debug)]
pub struct Page {
    /// Operations with their decoded bodies, newest first.
    pub entries: Vec<(OperationRow, Body)>,
    /// Where the next page starts; none at the end.
    pub next: Option<Cursor>,
}

/// A page of what happened to a member.
pub async fn history(
    hub: &Hub,
    programme: ProgrammeId,
    member: MemberId,
    before: Option<Cursor>,
    limit: usize,
) -> Result<Page, ActionError> {
    let before = before.map(|cursor| (cursor.taken_in_ms, cursor.operation));
    let limit = limit.clamp(1, PAGE_MAX);
    let rows = hub
        .store
        .operations_of(programme, member, before, limit)
        .await?;
    let next = rows
        .last()
        .filter(|_| rows.len() == limit)
        .map(|row| Cursor {
            taken_in_ms: row.taken_in_ms,
            operation: row.id,
        });
    let entries = rows.into_iter().map(|row| {
        let (_, body) = decode_entry(&row.bytes).map_err(|_| StoreError::Damaged("operation"))?;
        Ok((row, body))
    });
    Ok(Page {
        entries: entries.collect::<Result<_, StoreError>>()?,
        next,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back() {
        let cursor = Cursor {
            taken_in_ms: 17,
            operation: "o3.2.9".parse().unwrap(),
        };
        assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        for foreign in ["", "17", "x_o1.1.1", "17_m1"] {
            assert!(foreign.parse::<Cursor>().is_err(), "{foreign}");
        }
    }
}
