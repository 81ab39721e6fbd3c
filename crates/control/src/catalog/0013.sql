-- Instances that are provisioned for versions and aliases.

CREATE TABLE provisioned (
    function    INTEGER NOT NULL REFERENCES function (id) ON DELETE CASCADE,
    qualifier   TEXT NOT NULL,    -- a version's number or an alias
    requested   INTEGER NOT NULL,
    modified_ms INTEGER NOT NULL, -- since 1970
    PRIMARY KEY (function, qualifier)
) STRICT, WITHOUT ROWID;
