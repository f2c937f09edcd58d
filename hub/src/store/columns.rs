//! How rows lie in columns, for both engines: column lists, and conversions to 64-bit signed numbers, checked both ways.

use std::borrow::Cow;

use kopilka_crdt::clock::{Day, Stamp};
use kopilka_crdt::identifier::{IdentifierHash, IdentifierKind};
use kopilka_crdt::ids::{Incarnation, MemberId, NodeId, OperationId, StoreId, TillId};
use kopilka_crdt::log::{Head, Tip};
use kopilka_crdt::member::Member;
use kopilka_crdt::operation::{Body, ProfileField, ReceiptKey, Verdict};
use kopilka_crdt::sealed::{MemberKey, Sealed};

use super::StoreError;
use super::rows::{
    AuditRow, BlockRow, CaseRow, Entity, EntityKind, FeedRow, KeyState, LogRow, MemberRow,
    OperationRow, ProfileRow,
};

/// Columns that [`member_row`] reads. A key that is NULL was destroyed.
macro_rules! member_columns {
    () => {
        "member.id, position, record, identifiers, \
         CAST(COALESCE((SELECT CASE WHEN key IS NULL THEN 2 ELSE 1 END FROM member_key \
         WHERE programme = member.programme AND member = member.id), 0) AS BIGINT)"
    };
}
/// Columns that [`log_row`] reads.
macro_rules! log_columns {
    () => {
        "node, incarnation, sequence, head, stamp, frozen, seal_signature"
    };
}
/// Columns that [`operation_row`] reads.
macro_rules! operation_columns {
    () => {
        "node, incarnation, sequence, stamp, member, store, kind, bytes, head, verdict, reason, taken_in_ms"
    };
}
/// Columns that [`case_row`] reads.
macro_rules! case_columns {
    () => {
        "number, opened_ms, kind, node, member, operation_node, operation_incarnation, operation_sequence, summary, \
         evidence"
    };
}
pub(super) use {case_columns, log_columns, member_columns, operation_columns};

/// A fork, and the codes of `rules::verdict::Suspicion`.
const CASE_KINDS: [&str; 9] = [
    "fork",
    "overdraft",
    "breach",
    "mispriced",
    "blocked_card",
    "identifier_taken",
    "reversal",
    "uncountable",
    "contested",
];
const OWN_FIELD_PREFIX: &str = "own:";
const HASH_BYTES: usize = 16;

/// A row as an engine's driver gives it; columns are counted from 0.
pub(super) trait Columns {
    /// A number.
    fn number(&self, index: usize) -> Result<i64, StoreError>;
    /// A number, or NULL.
    fn number_or_null(&self, index: usize) -> Result<Option<i64>, StoreError>;
    /// A truth value.
    fn flag(&self, index: usize) -> Result<bool, StoreError>;
    /// A text.
    fn text(&self, index: usize) -> Result<String, StoreError>;
    /// Bytes.
    fn bytes(&self, index: usize) -> Result<Vec<u8>, StoreError>;
}

/// A number as a column holds it.
pub(super) fn column(value: u64, what: &'static str) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::Range(what))
}

/// Where a page starts or ends; a number that no column can hold lies beyond all rows.
pub(super) fn column_or_end(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Where a page of a member's history ends, as `taken_in_ms, node, incarnation, sequence`.
pub(super) fn history_cursor(before: Option<(u64, OperationId)>) -> (i64, i64, i64, i64) {
    match before {
        Some((taken_in_ms, id)) => (
            column_or_end(taken_in_ms),
            id.node.0.into(),
            id.incarnation.0.into(),
            column_or_end(id.sequence),
        ),
        None => (i64::MAX, 0, 0, 0),
    }
}

/// The identifiers that start with a prefix: from the first, to before the second, in order of bytes.
pub(super) fn prefix_range(prefix: &str) -> (String, String) {
    let start = text_column(prefix).into_owned();
    let end = format!("{start}{}", char::MAX);
    (start, end)
}

/// A page's limit as a column holds it.
pub(super) fn limit_column(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// A number out of a column of `table`.
pub(super) fn number<T: TryFrom<i64>>(
    row: &impl Columns,
    index: usize,
    table: &'static str,
) -> Result<T, StoreError> {
    T::try_from(row.number(index)?).map_err(|_| StoreError::Damaged(table))
}

fn number_or_null<T: TryFrom<i64>>(
    row: &impl Columns,
    index: usize,
    table: &'static str,
) -> Result<Option<T>, StoreError> {
    let value = row.number_or_null(index)?.map(T::try_from);
    value.transpose().map_err(|_| StoreError::Damaged(table))
}

/// A programme and a number of it out of two columns of `table`.
pub(super) fn programme_number(
    row: &impl Columns,
    table: &'static str,
) -> Result<(u16, u64), StoreError> {
    Ok((number(row, 0, table)?, number(row, 1, table)?))
}

/// A fixed number of bytes out of a column of `table`.
pub(super) fn array<const N: usize>(
    row: &impl Columns,
    index: usize,
    table: &'static str,
) -> Result<[u8; N], StoreError> {
    <[u8; N]>::try_from(row.bytes(index)?).map_err(|_| StoreError::Damaged(table))
}

/// A text as both engines can hold it: PostgreSQL has no NUL in texts.
pub(super) fn text_column(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// An operation's identifier out of three columns.
pub(super) fn operation_id(
    row: &impl Columns,
    first: usize,
    table: &'static str,
) -> Result<OperationId, StoreError> {
    Ok(OperationId {
        node: NodeId(number(row, first, table)?),
        incarnation: Incarnation(number(row, first + 1, table)?),
        sequence: number(row, first + 2, table)?,
    })
}

/// A member out of `member_columns`.
pub(super) fn member_row(row: &impl Columns) -> Result<(MemberId, MemberRow), StoreError> {
    const TABLE: &str = "member";
    let member = MemberRow {
        member: Member::decode(&row.bytes(2)?).map_err(|_| StoreError::Damaged(TABLE))?,
        identifiers: identifiers(row, 3)?,
        position: number(row, 1, TABLE)?,
        key: key_state(row.number(4)?).ok_or(StoreError::Damaged(TABLE))?,
    };
    Ok((MemberId(number(row, 0, TABLE)?), member))
}

fn key_state(column: i64) -> Option<KeyState> {
    Some(match column {
        0 => KeyState::Absent,
        1 => KeyState::Stored,
        2 => KeyState::Destroyed,
        _ => return None,
    })
}

/// A member for nodes, out of `id, position, record, identifiers, has_rights`.
pub(super) fn feed_row(row: &impl Columns) -> Result<(MemberId, FeedRow), StoreError> {
    const TABLE: &str = "member";
    let member = FeedRow {
        record: row.bytes(2)?,
        has_rights: row.flag(4)?,
        identifiers: identifiers(row, 3)?,
        position: number(row, 1, TABLE)?,
    };
    Ok((MemberId(number(row, 0, TABLE)?), member))
}

fn identifiers(row: &impl Columns, index: usize) -> Result<Vec<IdentifierHash>, StoreError> {
    let bytes = row.bytes(index)?;
    let (hashes, rest) = bytes.as_chunks::<HASH_BYTES>();
    if rest.is_empty() {
        Ok(hashes.iter().copied().map(IdentifierHash).collect())
    } else {
        Err(StoreError::Damaged("member"))
    }
}

/// Columns that `feed_row` reads. A member has a day to be looked at again as long as stores hold rights on them.
macro_rules! feed_columns {
    () => {
        "id, position, record, identifiers, due_ms IS NOT NULL"
    };
}
pub(super) use feed_columns;

/// A log out of `log_columns`.
pub(super) fn log_row(row: &impl Columns) -> Result<((NodeId, Incarnation), LogRow), StoreError> {
    const TABLE: &str = "log";
    let log = (
        NodeId(number(row, 0, TABLE)?),
        Incarnation(number(row, 1, TABLE)?),
    );
    let tip = Tip {
        sequence: number(row, 2, TABLE)?,
        head: Head(array(row, 3, TABLE)?),
        stamp: Stamp(number(row, 4, TABLE)?),
    };
    let row = LogRow {
        tip,
        seal_signature: row.bytes(6)?,
        frozen: row.flag(5)?,
    };
    Ok((log, row))
}

/// An operation out of `operation_columns`.
pub(super) fn operation_row(row: &impl Columns) -> Result<OperationRow, StoreError> {
    const TABLE: &str = "operation";
    Ok(OperationRow {
        id: operation_id(row, 0, TABLE)?,
        stamp: Stamp(number(row, 3, TABLE)?),
        member: number_or_null(row, 4, TABLE)?.map(MemberId),
        store: number_or_null(row, 5, TABLE)?.map(StoreId),
        kind: known_word(&Body::KINDS, &row.text(6)?).ok_or(StoreError::Damaged(TABLE))?,
        bytes: row.bytes(7)?,
        head: array(row, 8, TABLE)?,
        verdict: verdict(row.number(9)?).ok_or(StoreError::Damaged(TABLE))?,
        reason: row.text(10)?,
        taken_in_ms: number(row, 11, TABLE)?,
    })
}

/// A counted receipt out of `till, day, number, node, incarnation, sequence`.
pub(super) fn receipt_row(row: &impl Columns) -> Result<(ReceiptKey, OperationId), StoreError> {
    const TABLE: &str = "receipt";
    let key = ReceiptKey {
        till: TillId(number(row, 0, TABLE)?),
        day: Day(number(row, 1, TABLE)?),
        number: number(row, 2, TABLE)?,
    };
    Ok((key, operation_id(row, 3, TABLE)?))
}

/// An identifier out of `hash, member`.
pub(super) fn identifier_row(row: &impl Columns) -> Result<(IdentifierHash, MemberId), StoreError> {
    const TABLE: &str = "identifier";
    let hash = IdentifierHash(array(row, 0, TABLE)?);
    Ok((hash, MemberId(number(row, 1, TABLE)?)))
}

/// A member's key.
pub(super) fn key_row(row: &impl Columns) -> Result<MemberKey, StoreError> {
    Ok(MemberKey(array(row, 0, "member_key")?))
}

/// A sealed field of `member` out of `field, stamp, node, incarnation, sequence, sealed`.
pub(super) fn profile_row(row: &impl Columns, member: MemberId) -> Result<ProfileRow, StoreError> {
    const TABLE: &str = "profile";
    Ok(ProfileRow {
        member,
        field: field(&row.text(0)?).ok_or(StoreError::Damaged(TABLE))?,
        written: (Stamp(number(row, 1, TABLE)?), operation_id(row, 2, TABLE)?),
        sealed: Sealed(row.bytes(5)?),
    })
}

/// A block order out of `number, card, signed`.
pub(super) fn block_row(row: &impl Columns) -> Result<BlockRow, StoreError> {
    const TABLE: &str = "block_order";
    Ok(BlockRow {
        number: number(row, 0, TABLE)?,
        subject: IdentifierHash(array(row, 1, TABLE)?),
        signed: row.bytes(2)?,
    })
}

/// A case with its number out of `case_columns`.
pub(super) fn case_row(row: &impl Columns) -> Result<(u64, CaseRow), StoreError> {
    const TABLE: &str = "suspicion";
    let operation = match row.number_or_null(5)? {
        Some(_) => Some(operation_id(row, 5, TABLE)?),
        None => None,
    };
    let case = CaseRow {
        opened_ms: number(row, 1, TABLE)?,
        kind: known_word(&CASE_KINDS, &row.text(2)?).ok_or(StoreError::Damaged(TABLE))?,
        node: number_or_null(row, 3, TABLE)?.map(NodeId),
        member: number_or_null(row, 4, TABLE)?.map(MemberId),
        operation,
        summary: row.text(8)?,
        evidence: row.bytes(9)?,
    };
    Ok((number(row, 0, TABLE)?, case))
}

/// A staff action with its number out of `number, at_ms, actor, action, subject, details`.
pub(super) fn audit_row(row: &impl Columns) -> Result<(u64, AuditRow), StoreError> {
    const TABLE: &str = "audit";
    let audit = AuditRow {
        at_ms: number(row, 1, TABLE)?,
        actor: row.text(2)?,
        action: row.text(3)?,
        subject: row.text(4)?,
        details: row.text(5)?,
    };
    Ok((number(row, 0, TABLE)?, audit))
}

/// An entity out of `id, version, body`.
pub(super) fn entity_row(row: &impl Columns) -> Result<Entity, StoreError> {
    Ok(Entity {
        id: row.text(0)?,
        version: number(row, 1, "entity")?,
        body: row.bytes(2)?,
    })
}

fn known_word<const N: usize>(words: &[&'static str; N], text: &str) -> Option<&'static str> {
    words.iter().copied().find(|word| *word == text)
}

/// A word for an operation's kind, which will be known when it is read.
pub(super) fn operation_kind(word: &'static str) -> &'static str {
    known_word(&Body::KINDS, word).expect("operations have kinds of `Body::kind`")
}

/// A word for a case's kind, which will be known when it is read.
pub(super) fn case_kind(word: &'static str) -> &'static str {
    known_word(&CASE_KINDS, word).expect("cases have kinds that `CaseRow::kind` lists")
}

/// The number that stands for a verdict.
pub(super) fn verdict_column(verdict: Verdict) -> i64 {
    match verdict {
        Verdict::Accepted => 0,
        Verdict::Duplicate => 1,
        Verdict::Contested => 2,
        Verdict::Overdraft => 3,
        Verdict::Mispriced => 4,
        Verdict::Quarantined => 5,
    }
}

fn verdict(column: i64) -> Option<Verdict> {
    Some(match column {
        0 => Verdict::Accepted,
        1 => Verdict::Duplicate,
        2 => Verdict::Contested,
        3 => Verdict::Overdraft,
        4 => Verdict::Mispriced,
        5 => Verdict::Quarantined,
        _ => return None,
    })
}

/// The number that stands for an identifier's kind.
pub(super) fn identifier_kind_column(kind: IdentifierKind) -> i64 {
    match kind {
        IdentifierKind::Card => 1,
        IdentifierKind::Phone => 2,
        IdentifierKind::Qr => 3,
        IdentifierKind::Nfc => 4,
        IdentifierKind::Track => 5,
    }
}

/// The text that stands for a questionnaire's field.
pub(super) fn field_column(field: &ProfileField) -> Cow<'_, str> {
    Cow::Borrowed(match field {
        ProfileField::GivenName => "given_name",
        ProfileField::FamilyName => "family_name",
        ProfileField::Phone => "phone",
        ProfileField::Email => "email",
        ProfileField::BirthDate => "birth_date",
        ProfileField::Sex => "sex",
        ProfileField::Own(name) => {
            return Cow::Owned(format!("{OWN_FIELD_PREFIX}{}", text_column(name)));
        }
    })
}

fn field(column: &str) -> Option<ProfileField> {
    Some(match column {
        "given_name" => ProfileField::GivenName,
        "family_name" => ProfileField::FamilyName,
        "phone" => ProfileField::Phone,
        "email" => ProfileField::Email,
        "birth_date" => ProfileField::BirthDate,
        "sex" => ProfileField::Sex,
        own => ProfileField::Own(own.strip_prefix(OWN_FIELD_PREFIX)?.to_owned()),
    })
}

/// The text that stands for an entity's kind.
pub(super) fn entity_kind(kind: EntityKind) -> &'static str {
    match kind {
        EntityKind::Programme => "programme",
        EntityKind::Partner => "partner",
        EntityKind::Store => "store",
        EntityKind::Node => "node",
        EntityKind::Till => "till",
        EntityKind::Cashier => "cashier",
        EntityKind::Staff => "staff",
        EntityKind::Code => "code",
        EntityKind::RuleBook => "rule_book",
        EntityKind::Publication => "publication",
        EntityKind::Session => "session",
        EntityKind::Delivery => "delivery",
        EntityKind::Attempts => "attempts",
    }
}
