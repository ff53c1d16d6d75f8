-- Which runs have stored a blob or refer to it. It is freed with the last of them.
CREATE TABLE blob_refs (
    digest BLOB NOT NULL,
    run_no INTEGER NOT NULL,
    PRIMARY KEY (digest, run_no)
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_refs_of ON blob_refs (run_no);
-- What was stored before this was kept count of is kept for ever: no run has the number 0.
INSERT INTO blob_refs (digest, run_no) SELECT digest, 0 FROM blobs;

-- Runs that were removed. Their rows stay, so that no number is given twice.
CREATE TABLE removed (
    run_no INTEGER PRIMARY KEY,
    run_id BLOB NOT NULL,
    pipeline TEXT NOT NULL,
    run_key TEXT NOT NULL,
    seq INTEGER NOT NULL,
    head_hash BLOB NOT NULL,
    removed_at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    note TEXT NOT NULL,
    left_id INTEGER NOT NULL, -- of the last event that was not freed yet; 0 when there is none
    is_swept INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX removed_left ON removed (run_no) WHERE is_swept = 0;
