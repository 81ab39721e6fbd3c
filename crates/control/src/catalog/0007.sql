-- Settings of functions and versions that change nothing that a node must know.

ALTER TABLE function ADD COLUMN recursive_loop TEXT NOT NULL DEFAULT 'Terminate'; -- or Allow

CREATE TABLE runtime_update (
    function            INTEGER NOT NULL,
    number              INTEGER NOT NULL,
    update_on           TEXT NOT NULL, -- Auto, FunctionUpdate or Manual
    runtime_version_arn TEXT,          -- with Manual
    PRIMARY KEY (function, number),
    FOREIGN KEY (function, number) REFERENCES version (function, number) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
