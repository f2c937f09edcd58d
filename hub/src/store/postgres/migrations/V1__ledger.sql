-- The fold of each member's operations. `identifiers`: hashes of 16 bytes, one after another.
CREATE TABLE member (
    programme BIGINT NOT NULL,
    partition BIGINT NOT NULL,
    id BIGINT NOT NULL,
    position BIGINT NOT NULL,
    due_ms BIGINT,
    record BYTEA NOT NULL,
    identifiers BYTEA NOT NULL,
    PRIMARY KEY (programme, partition, id)
);
CREATE UNIQUE INDEX member_position ON member (programme, partition, position);
CREATE INDEX member_due ON member (programme, due_ms) WHERE due_ms IS NOT NULL;

-- `key` is NULL once it was destroyed: the row stays, so that no node can bring the key back.
CREATE TABLE member_key (
    programme BIGINT NOT NULL,
    member BIGINT NOT NULL,
    key BYTEA,
    PRIMARY KEY (programme, member)
);

CREATE TABLE profile (
    programme BIGINT NOT NULL,
    member BIGINT NOT NULL,
    field TEXT NOT NULL,
    stamp BIGINT NOT NULL,
    node BIGINT NOT NULL,
    incarnation BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    sealed BYTEA NOT NULL,
    PRIMARY KEY (programme, member, field)
);

CREATE TABLE identifier (
    programme BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    kind BIGINT NOT NULL,
    member BIGINT NOT NULL,
    PRIMARY KEY (programme, hash)
);

CREATE TABLE log (
    node BIGINT NOT NULL,
    incarnation BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    stamp BIGINT NOT NULL,
    head BYTEA NOT NULL,
    seal_signature BYTEA NOT NULL,
    frozen BOOLEAN NOT NULL,
    PRIMARY KEY (node, incarnation)
);

CREATE TABLE operation (
    node BIGINT NOT NULL,
    incarnation BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    programme BIGINT NOT NULL,
    stamp BIGINT NOT NULL,
    member BIGINT,
    store BIGINT,
    kind TEXT NOT NULL,
    taken_in_ms BIGINT NOT NULL,
    verdict BIGINT NOT NULL,
    reason TEXT NOT NULL,
    head BYTEA NOT NULL,
    bytes BYTEA NOT NULL,
    PRIMARY KEY (node, incarnation, sequence)
);
CREATE INDEX operation_member ON operation (programme, member, taken_in_ms, node, incarnation, sequence)
    WHERE member IS NOT NULL;

CREATE TABLE receipt (
    programme BIGINT NOT NULL,
    till BIGINT NOT NULL,
    day BIGINT NOT NULL,
    number BIGINT NOT NULL,
    node BIGINT NOT NULL,
    incarnation BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    PRIMARY KEY (programme, till, day, number)
);

CREATE TABLE block_order (
    programme BIGINT NOT NULL,
    number BIGINT NOT NULL,
    card BYTEA NOT NULL,
    signed BYTEA NOT NULL,
    PRIMARY KEY (programme, number)
);

-- Cases; the word itself is reserved in SQL.
CREATE TABLE suspicion (
    programme BIGINT NOT NULL,
    number BIGINT NOT NULL,
    opened_ms BIGINT NOT NULL,
    kind TEXT NOT NULL,
    node BIGINT,
    member BIGINT,
    operation_node BIGINT,
    operation_incarnation BIGINT,
    operation_sequence BIGINT,
    summary TEXT NOT NULL,
    evidence BYTEA NOT NULL,
    PRIMARY KEY (programme, number)
);

CREATE TABLE audit (
    number BIGINT PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    details TEXT NOT NULL
);

CREATE TABLE entity (
    kind TEXT NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    body BYTEA NOT NULL,
    PRIMARY KEY (kind, id)
);

-- The last position given in each partition of the feed.
CREATE TABLE partition_head (
    programme BIGINT NOT NULL,
    partition BIGINT NOT NULL,
    head BIGINT NOT NULL,
    PRIMARY KEY (programme, partition)
) WITH (fillfactor = 20);

-- Last numbers given. `scope` is a programme where numbers are a programme's own, otherwise 0.
CREATE TABLE counter (
    name TEXT NOT NULL,
    scope BIGINT NOT NULL,
    value BIGINT NOT NULL,
    PRIMARY KEY (name, scope)
) WITH (fillfactor = 20);

-- What was decided when the database was made.
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);
