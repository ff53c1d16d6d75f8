-- Heads of settled runs that somebody has signed.
CREATE TABLE signed_heads (
    run_no INTEGER PRIMARY KEY,
    seq INTEGER NOT NULL,
    head_hash BLOB NOT NULL,
    key_id BLOB NOT NULL,
    signature BLOB NOT NULL
) STRICT;

-- Anchors, each over the heads that moved since the one before it. Only ever appended to.
CREATE TABLE anchors (
    no INTEGER PRIMARY KEY,
    anchor BLOB NOT NULL,
    leaves BLOB NOT NULL,
    key_id BLOB NOT NULL,
    signature BLOB NOT NULL
) STRICT;

-- The last event whose run is in an anchor: events are appended at the tail, so that what moved is what came behind it.
CREATE TABLE anchoring (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    event INTEGER NOT NULL,
    freed INTEGER NOT NULL -- how often last events were freed, whose numbers are given again
) STRICT;
INSERT INTO anchoring (id, event, freed) VALUES (1, 0, 0);

ALTER TABLE removed ADD COLUMN is_anchored INTEGER NOT NULL DEFAULT 0;
CREATE INDEX removed_unanchored ON removed (run_no) WHERE is_anchored = 0;
