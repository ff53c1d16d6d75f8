-- What belongs to no run: a text under a kind and a name, replaced as a whole and never removed.
CREATE TABLE notes (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
