-- Asynchronous invocations: settings per qualifier.

CREATE TABLE event_invoke (
    function  INTEGER NOT NULL REFERENCES function (id) ON DELETE CASCADE,
    qualifier TEXT NOT NULL, -- '$LATEST', a version's number or an alias
    settings  TEXT NOT NULL, -- JSON
    PRIMARY KEY (function, qualifier)
) STRICT, WITHOUT ROWID;

-- What is known of the last attempt at an event, and what outlives its function.
ALTER TABLE event ADD COLUMN error TEXT;   -- why the last attempt did not end it
ALTER TABLE event ADD COLUMN settled TEXT; -- JSON: settings, where what they belonged to is gone

-- Who may take an event is decided in memory; rows are looked for by function.
DROP INDEX event_due;
CREATE INDEX event_function ON event (account, region, name, qualifier);

-- Records and dead letters on their way to targets outside the platform.
CREATE TABLE delivery (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id TEXT NOT NULL,    -- stays the same when a message is delivered twice
    account    TEXT NOT NULL,    -- of the function that it tells of
    region     TEXT NOT NULL,
    name       TEXT NOT NULL,
    request_id TEXT NOT NULL,    -- of the event that it tells of
    kind       TEXT NOT NULL,    -- 'success', 'failure' or 'dead_letter'
    target     TEXT NOT NULL,    -- ARN
    body       BLOB NOT NULL,
    attributes TEXT,             -- JSON: of a dead letter
    queued_ms  INTEGER NOT NULL,
    due_ms     INTEGER NOT NULL,
    attempts   INTEGER NOT NULL,
    error      TEXT              -- why the last attempt failed
) STRICT;
