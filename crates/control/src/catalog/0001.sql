-- Functions, their versions, tags, and asynchronous events.

-- Numbers and secrets that outlive the process.
CREATE TABLE setting (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE function (
    id      INTEGER PRIMARY KEY,
    account TEXT NOT NULL,
    region  TEXT NOT NULL,
    name    TEXT NOT NULL,
    UNIQUE (account, region, name)
) STRICT;

CREATE TABLE version (
    function    INTEGER NOT NULL REFERENCES function (id) ON DELETE CASCADE,
    number      INTEGER NOT NULL, -- 0 is $LATEST
    revision    INTEGER NOT NULL, -- grows with every change, over all functions
    revision_id TEXT NOT NULL,    -- what the API shows
    settled     INTEGER NOT NULL, -- 0 while a change waits to be made ready
    package     TEXT NOT NULL,    -- digest of the zip as it was uploaded
    draft       TEXT NOT NULL,    -- digest of the image of that zip alone
    image       TEXT NOT NULL,    -- digest of the image that instances mount
    compiled    TEXT,             -- runtime that `image` holds byte code for
    settings    TEXT NOT NULL,    -- JSON: what the user configured
    lifecycle   TEXT NOT NULL,    -- JSON: states and their reasons
    serving     TEXT,             -- JSON: the spec that invocations get; absent until one is ready
    PRIMARY KEY (function, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX version_unsettled ON version (revision) WHERE settled = 0;

CREATE TABLE tag (
    function INTEGER NOT NULL REFERENCES function (id) ON DELETE CASCADE,
    name     TEXT NOT NULL,
    value    TEXT NOT NULL,
    PRIMARY KEY (function, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE event (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    request_id     TEXT NOT NULL,
    account        TEXT NOT NULL,
    region         TEXT NOT NULL,
    name           TEXT NOT NULL,
    qualifier      TEXT,
    payload        BLOB NOT NULL,
    client_context TEXT,
    trace_id       TEXT NOT NULL,
    queued_ms      INTEGER NOT NULL, -- when it was accepted
    due_ms         INTEGER NOT NULL, -- when it is tried next
    errors         INTEGER NOT NULL, -- attempts in which the function failed
    refusals       INTEGER NOT NULL  -- attempts in which it was not run, since the last that ran
) STRICT;

CREATE INDEX event_due ON event (due_ms);
