-- Function URLs: HTTP addresses of functions. An id is never given twice.

CREATE TABLE url (
    id          TEXT NOT NULL PRIMARY KEY, -- first label of the host name
    function    INTEGER NOT NULL REFERENCES function (id) ON DELETE CASCADE,
    alias       TEXT NOT NULL,             -- '' is $LATEST
    auth        TEXT NOT NULL,             -- JSON, as the API has it
    mode        TEXT NOT NULL,             -- JSON, as the API has it
    cors        TEXT,                      -- JSON, as the API has it
    created_ms  INTEGER NOT NULL,
    modified_ms INTEGER NOT NULL,
    UNIQUE (function, alias)
) STRICT, WITHOUT ROWID;
