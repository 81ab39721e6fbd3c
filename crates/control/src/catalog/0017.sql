-- Chains that were declared: which functions call which.

CREATE TABLE chain (
    account     TEXT NOT NULL,
    region      TEXT NOT NULL,
    name        TEXT NOT NULL,
    calls       TEXT NOT NULL,    -- JSON
    modified_ms INTEGER NOT NULL,
    PRIMARY KEY (account, region, name)
) STRICT, WITHOUT ROWID;
