//! Statements that both engines take as they are. A value's number is its place, to SQLite by order of appearance.

use super::columns::{case_columns, log_columns, operation_columns};

/// Where a partition's feed stands.
pub(super) const HEAD: &str =
    "SELECT head FROM partition_head WHERE programme = $1 AND partition = $2";

/// Members with an allowance to be looked at.
pub(super) const DUE: &str =
    "SELECT id FROM member WHERE programme = $1 AND due_ms <= $2 ORDER BY due_ms LIMIT $3";

/// A member's operations, newest first.
pub(super) const HISTORY: &str = concat!(
    "SELECT ",
    operation_columns!(),
    " FROM operation WHERE programme = $1 AND member = $2 \
     AND (taken_in_ms, node, incarnation, sequence) < ($3, $4, $5, $6) \
     ORDER BY taken_in_ms DESC, node DESC, incarnation DESC, sequence DESC LIMIT $7"
);

/// A programme's purchases, newest first.
pub(super) const PURCHASES: &str = concat!(
    "SELECT ",
    operation_columns!(),
    " FROM operation WHERE programme = $1 AND kind = 'purchase' \
     AND (taken_in_ms, node, incarnation, sequence) < ($2, $3, $4, $5) \
     ORDER BY taken_in_ms DESC, node DESC, incarnation DESC, sequence DESC LIMIT $6"
);

/// A member's cancels and returns.
pub(super) const REVERSALS: &str = concat!(
    "SELECT ",
    operation_columns!(),
    " FROM operation WHERE programme = $1 AND member = $2 AND kind IN ('cancel', 'return') LIMIT $3"
);

/// Operations of one log, in order.
pub(super) const RUN: &str = concat!(
    "SELECT ",
    operation_columns!(),
    " FROM operation WHERE node = $1 AND incarnation = $2 AND sequence > $3 AND sequence <= $4 \
     ORDER BY sequence LIMIT $5"
);

/// A member's key, unless it was destroyed.
pub(super) const KEY: &str =
    "SELECT key FROM member_key WHERE programme = $1 AND member = $2 AND key IS NOT NULL";

/// A member's sealed fields.
pub(super) const FIELDS: &str = "SELECT field, stamp, node, incarnation, sequence, sealed FROM profile \
    WHERE programme = $1 AND member = $2 ORDER BY field";

/// Block orders after a number.
pub(super) const BLOCKS: &str = "SELECT number, card, signed FROM block_order \
    WHERE programme = $1 AND number > $2 ORDER BY number LIMIT $3";

/// The latest block order about each thing in a range, in the order of the things.
pub(super) const LATEST_BLOCKS: &str = "SELECT number, card, signed FROM block_order AS latest \
    WHERE programme = $1 AND card >= $2 AND card <= $3 AND number = (SELECT MAX(number) FROM block_order \
    WHERE programme = latest.programme AND card = latest.card) ORDER BY card LIMIT $4";

/// Cases, newest first.
pub(super) const CASES: &str = concat!(
    "SELECT ",
    case_columns!(),
    " FROM suspicion WHERE programme = $1 AND number < $2 ORDER BY number DESC LIMIT $3"
);

/// Staff actions, newest first.
pub(super) const AUDIT: &str = "SELECT number, at_ms, actor, action, subject, details FROM audit \
    WHERE number < $1 ORDER BY number DESC LIMIT $2";

/// One entity.
pub(super) const ENTITY: &str = "SELECT id, version, body FROM entity WHERE kind = $1 AND id = $2";

/// Entities in a range of identifiers.
pub(super) const ENTITIES: &str = "SELECT id, version, body FROM entity \
    WHERE kind = $1 AND id >= $2 AND id < $3 ORDER BY id";

/// Last block orders, by programme.
pub(super) const BLOCK_HEADS: &str = "SELECT scope, value FROM counter WHERE name = 'block'";

/// How often entities have changed.
pub(super) const ENTITY_HEAD: &str =
    "SELECT value FROM counter WHERE name = 'entities' AND scope = 0";

/// Every log of a node.
pub(super) const LOGS: &str = concat!("SELECT ", log_columns!(), " FROM log WHERE node = $1");

/// Where one log stands.
pub(super) const LOG: &str = concat!(
    "SELECT ",
    log_columns!(),
    " FROM log WHERE node = $1 AND incarnation = $2"
);
