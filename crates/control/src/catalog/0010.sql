-- What is said of log groups, and streams that were made before anything was written to them.

CREATE TABLE log_group (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    retention_days INTEGER, -- absent where lines are kept as long as there is room
    class TEXT NOT NULL,
    kms_key TEXT,
    tags TEXT NOT NULL, -- a JSON object
    PRIMARY KEY (account, region, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE log_stream (
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    log_group TEXT NOT NULL,
    name TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (account, region, log_group, name)
) STRICT, WITHOUT ROWID;
