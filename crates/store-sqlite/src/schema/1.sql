-- Runs, as they were started. Nothing here changes later.
CREATE TABLE runs (
    run_no INTEGER PRIMARY KEY,
    run_id BLOB NOT NULL UNIQUE,
    pipeline TEXT NOT NULL,
    run_key TEXT NOT NULL,
    plan_hash BLOB NOT NULL,
    labels TEXT NOT NULL, -- JSON: [[label, value], …]
    parent BLOB, -- run_id of the run that it is an item of
    started_at INTEGER NOT NULL, -- as all times: microseconds since 1970-01-01T00:00:00Z
    UNIQUE (pipeline, run_key)
) STRICT;
CREATE INDEX runs_by_pipeline ON runs (pipeline);
CREATE INDEX runs_by_parent ON runs (parent);

-- The head of each journal. Every append changes its row, so that the key is the only index.
CREATE TABLE heads (
    run_no INTEGER PRIMARY KEY,
    seq INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    head_id INTEGER NOT NULL, -- of the last event; 0 when there is none
    head_hash BLOB NOT NULL,
    claims_without_progress INTEGER NOT NULL
) STRICT;

-- Events, appended at the tail and found by walking prev_id from a head, so that an append touches no index.
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    run_no INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    prev_id INTEGER NOT NULL,
    header BLOB NOT NULL,
    payload BLOB -- NULL when it was redacted
) STRICT;

-- What lists show; made anew from the journals by a rebuild.
CREATE TABLE listings (
    run_no INTEGER PRIMARY KEY,
    status INTEGER NOT NULL,
    note TEXT NOT NULL,
    outcome TEXT, -- JSON
    changed_at INTEGER NOT NULL
) STRICT;
CREATE INDEX listings_open ON listings (status) WHERE status <> 7; -- 7: settled

CREATE TABLE labels (
    label TEXT NOT NULL,
    value TEXT NOT NULL,
    run_no INTEGER NOT NULL,
    PRIMARY KEY (label, value, run_no)
) STRICT, WITHOUT ROWID;

-- Who drives a run, and when somebody has to.
CREATE TABLE driving (
    run_no INTEGER PRIMARY KEY,
    owner INTEGER, -- workers.no
    wake_at INTEGER,
    ready_at INTEGER, -- since when it waits for anybody; counts only without an owner
    waiting INTEGER NOT NULL DEFAULT 0 -- entries in its inbox that were not consumed
) STRICT;
CREATE INDEX driving_due ON driving (wake_at) WHERE owner IS NULL AND wake_at IS NOT NULL;
CREATE INDEX driving_ready ON driving (ready_at) WHERE owner IS NULL AND ready_at IS NOT NULL;
CREATE INDEX driving_owned ON driving (owner) WHERE owner IS NOT NULL;

CREATE TABLE workers (
    no INTEGER PRIMARY KEY,
    worker TEXT NOT NULL,
    alive_at INTEGER NOT NULL,
    deadline INTEGER NOT NULL,
    ended INTEGER NOT NULL DEFAULT 0 -- 1: a run of it was taken over, 2: its death is proven
) STRICT;
CREATE UNIQUE INDEX workers_alive ON workers (worker) WHERE ended = 0;

CREATE TABLE inbox (
    id INTEGER PRIMARY KEY,
    run_no INTEGER NOT NULL,
    dedupe_id TEXT NOT NULL,
    actor TEXT NOT NULL,
    message TEXT NOT NULL, -- JSON; empty once it was consumed, for it is in the journal then
    received_at INTEGER NOT NULL,
    consumed INTEGER NOT NULL DEFAULT 0,
    recalls INTEGER NOT NULL DEFAULT 0, -- 1: its run is to read it though it is over
    sent INTEGER NOT NULL DEFAULT 0, -- 1: by another run or the store, which lifts no quarantine
    UNIQUE (run_no, dedupe_id)
) STRICT;
CREATE INDEX inbox_waiting ON inbox (run_no) WHERE consumed = 0;

CREATE TABLE locks (
    lock TEXT PRIMARY KEY,
    holder INTEGER, -- run_no
    since INTEGER, -- when it was granted
    fence INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX locks_held ON locks (holder) WHERE holder IS NOT NULL;

CREATE TABLE lock_queue (
    id INTEGER PRIMARY KEY,
    lock TEXT NOT NULL,
    run_no INTEGER NOT NULL,
    asked INTEGER NOT NULL, -- seq of the event with which the run asked
    since INTEGER NOT NULL,
    UNIQUE (lock, run_no)
) STRICT;
CREATE INDEX lock_queue_of ON lock_queue (run_no);

CREATE TABLE blobs (
    digest BLOB PRIMARY KEY,
    text TEXT NOT NULL
) STRICT;

CREATE TABLE step_logs (
    line INTEGER PRIMARY KEY,
    run_no INTEGER NOT NULL,
    step TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    at INTEGER NOT NULL,
    text TEXT NOT NULL
) STRICT;
CREATE INDEX step_logs_of ON step_logs (run_no, step);

CREATE TABLE log_rooms (
    run_no INTEGER NOT NULL,
    step TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    head INTEGER NOT NULL,
    tail INTEGER NOT NULL,
    head_end INTEGER NOT NULL,
    gap INTEGER NOT NULL,
    PRIMARY KEY (run_no, step, attempt)
) STRICT, WITHOUT ROWID;

-- The last progress of each step.
CREATE TABLE live (
    run_no INTEGER NOT NULL,
    step TEXT NOT NULL,
    percent INTEGER NOT NULL,
    message TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (run_no, step)
) STRICT, WITHOUT ROWID;

-- For people: every journal, event by event.
CREATE VIEW journal AS
WITH RECURSIVE walk (id) AS (
    SELECT head_id FROM heads WHERE head_id <> 0
    UNION ALL
    SELECT events.prev_id FROM walk JOIN events ON events.id = walk.id WHERE events.prev_id <> 0
)
SELECT lower(hex(runs.run_id)) AS run_id, pipeline, run_key, events.seq AS seq, header, CAST(payload AS TEXT) AS payload
FROM walk
JOIN events ON events.id = walk.id
JOIN runs ON runs.run_no = events.run_no;
