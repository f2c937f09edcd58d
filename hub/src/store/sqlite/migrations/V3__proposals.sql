-- The newest receipts of a programme are what an edit of its rules is tried on.
CREATE INDEX operation_purchase ON operation (programme, taken_in_ms, node, incarnation, sequence)
    WHERE kind = 'purchase';

-- Publications that wait for a second person. `outcome` is NULL while one waits.
CREATE TABLE proposal (
    programme INTEGER NOT NULL,
    number INTEGER NOT NULL,
    author TEXT NOT NULL,
    proposed_ms INTEGER NOT NULL,
    body BLOB NOT NULL,
    outcome TEXT CHECK (outcome IN ('approved', 'rejected', 'superseded')),
    decided_by TEXT,
    decided_ms INTEGER,
    reason TEXT,
    publication INTEGER,
    PRIMARY KEY (programme, number),
    CHECK ((outcome IS NULL) = (decided_by IS NULL) AND (outcome IS NULL) = (decided_ms IS NULL)),
    -- Two people: whoever asked cannot be the one who agrees.
    CHECK (outcome IS NULL OR outcome <> 'approved' OR (decided_by <> author AND publication IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX proposal_waiting ON proposal (programme) WHERE outcome IS NULL;
