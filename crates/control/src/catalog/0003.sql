-- Aliases: names for a version, or for two that share the invocations.

CREATE TABLE alias (
    function    INTEGER NOT NULL REFERENCES function (id) ON DELETE CASCADE,
    name        TEXT NOT NULL,
    version     INTEGER NOT NULL, -- 0 is $LATEST
    additional  INTEGER,          -- a second version, with
    weight      REAL,             -- its share of the invocations
    description TEXT NOT NULL,
    revision_id TEXT NOT NULL,    -- what the API shows
    PRIMARY KEY (function, name)
) STRICT, WITHOUT ROWID;
