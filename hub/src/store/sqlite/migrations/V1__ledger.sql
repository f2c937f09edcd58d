-- The fold of each member's operations. `identifiers`: hashes of 16 bytes, one after another.
CREATE TABLE member (
    programme INTEGER NOT NULL,
    id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    due_ms INTEGER,
    record BLOB NOT NULL,
    identifiers BLOB NOT NULL,
    PRIMARY KEY (programme, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX member_position ON member (programme, position);
CREATE INDEX member_due ON member (programme, due_ms) WHERE due_ms IS NOT NULL;

-- `key` is NULL once it was destroyed: the row stays, so that no node can bring the key back.
CREATE TABLE member_key (
    programme INTEGER NOT NULL,
    member INTEGER NOT NULL,
    key BLOB,
    PRIMARY KEY (programme, member)
) STRICT, WITHOUT ROWID;

CREATE TABLE profile (
    programme INTEGER NOT NULL,
    member INTEGER NOT NULL,
    field TEXT NOT NULL,
    stamp INTEGER NOT NULL,
    node INTEGER NOT NULL,
    incarnation INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (programme, member, field)
) STRICT, WITHOUT ROWID;

CREATE TABLE identifier (
    programme INTEGER NOT NULL,
    hash BLOB NOT NULL,
    kind INTEGER NOT NULL,
    member INTEGER NOT NULL,
    PRIMARY KEY (programme, hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE log (
    node INTEGER NOT NULL,
    incarnation INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    stamp INTEGER NOT NULL,
    head BLOB NOT NULL,
    seal_signature BLOB NOT NULL,
    frozen INTEGER NOT NULL,
    PRIMARY KEY (node, incarnation)
) STRICT, WITHOUT ROWID;

CREATE TABLE operation (
    node INTEGER NOT NULL,
    incarnation INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    programme INTEGER NOT NULL,
    stamp INTEGER NOT NULL,
    member INTEGER,
    store INTEGER,
    kind TEXT NOT NULL,
    taken_in_ms INTEGER NOT NULL,
    verdict INTEGER NOT NULL,
    reason TEXT NOT NULL,
    head BLOB NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (node, incarnation, sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX operation_member ON operation (programme, member, taken_in_ms, node, incarnation, sequence)
    WHERE member IS NOT NULL;

CREATE TABLE receipt (
    programme INTEGER NOT NULL,
    till INTEGER NOT NULL,
    day INTEGER NOT NULL,
    number INTEGER NOT NULL,
    node INTEGER NOT NULL,
    incarnation INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    PRIMARY KEY (programme, till, day, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE block_order (
    programme INTEGER NOT NULL,
    number INTEGER NOT NULL,
    card BLOB NOT NULL,
    signed BLOB NOT NULL,
    PRIMARY KEY (programme, number)
) STRICT, WITHOUT ROWID;

-- Cases; the word itself is reserved in SQL.
CREATE TABLE suspicion (
    programme INTEGER NOT NULL,
    number INTEGER NOT NULL,
    opened_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    node INTEGER,
    member INTEGER,
    operation_node INTEGER,
    operation_incarnation INTEGER,
    operation_sequence INTEGER,
    summary TEXT NOT NULL,
    evidence BLOB NOT NULL,
    PRIMARY KEY (programme, number)
) STRICT;

CREATE TABLE audit (
    number INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    details TEXT NOT NULL
) STRICT;

CREATE TABLE entity (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT;

-- The last position given in each partition of the feed.
CREATE TABLE partition_head (
    programme INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    head INTEGER NOT NULL,
    PRIMARY KEY (programme, partition)
) STRICT, WITHOUT ROWID;

-- Last numbers given. `scope` is a programme where numbers are a programme's own, otherwise 0.
CREATE TABLE counter (
    name TEXT NOT NULL,
    scope INTEGER NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (name, scope)
) STRICT, WITHOUT ROWID;
