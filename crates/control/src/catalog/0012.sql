-- Schedules: groups, schedules, firings under way, and what clients have asked before.

CREATE TABLE schedule_group (
    id          INTEGER PRIMARY KEY,
    account     TEXT NOT NULL,
    region      TEXT NOT NULL,
    name        TEXT NOT NULL,
    created_ms  INTEGER NOT NULL,
    modified_ms INTEGER NOT NULL,
    deleting    INTEGER NOT NULL DEFAULT 0, -- 1 while its schedules are being deleted
    schedules   INTEGER NOT NULL DEFAULT 0, -- how many it has
    tags        TEXT NOT NULL,              -- JSON
    UNIQUE (account, region, name)
) STRICT;

CREATE INDEX schedule_group_deleting ON schedule_group (id) WHERE deleting = 1;

CREATE TABLE schedule (
    id          INTEGER PRIMARY KEY,
    "group"     INTEGER NOT NULL REFERENCES schedule_group (id),
    name        TEXT NOT NULL,
    settings    TEXT NOT NULL,    -- JSON: what the user configured
    enabled     INTEGER NOT NULL,
    created_ms  INTEGER NOT NULL,
    modified_ms INTEGER NOT NULL,
    anchor_ms   INTEGER NOT NULL, -- rates without a start date count from here
    seed        INTEGER NOT NULL, -- spreads firings over flexible windows
    due_ms      INTEGER,          -- when it is due next; absent where it is not, or not enabled
    fire_ms     INTEGER,          -- when that fires
    UNIQUE ("group", name)
) STRICT;

CREATE INDEX schedule_fire ON schedule (fire_ms) WHERE fire_ms IS NOT NULL;

-- What has fired and could not be handed on yet.
CREATE TABLE firing (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    account      TEXT NOT NULL,
    region       TEXT NOT NULL,
    schedule_arn TEXT NOT NULL,
    target       TEXT NOT NULL,    -- JSON, as the schedule had it when it fired
    execution_id TEXT NOT NULL,
    scheduled_ms INTEGER NOT NULL,
    fired_ms     INTEGER NOT NULL,
    attempts     INTEGER NOT NULL, -- those behind it
    retry_ms     INTEGER NOT NULL  -- when it is tried next
) STRICT;

CREATE INDEX firing_retry ON firing (retry_ms);

-- Requests that were answered, by the token that their client gave them.
CREATE TABLE client_token (
    account   TEXT NOT NULL,
    region    TEXT NOT NULL,
    operation TEXT NOT NULL,
    token     TEXT NOT NULL,
    request   TEXT NOT NULL, -- JSON
    at_ms     INTEGER NOT NULL,
    PRIMARY KEY (account, region, operation, token)
) STRICT, WITHOUT ROWID;

CREATE INDEX client_token_at ON client_token (at_ms);
