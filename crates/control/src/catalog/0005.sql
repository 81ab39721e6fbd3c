-- Policies: what other accounts and services may do with a function, a version or an alias.

CREATE TABLE statement (
    id        INTEGER PRIMARY KEY,  -- grows, so that statements keep their order
    function  INTEGER NOT NULL REFERENCES function (id) ON DELETE CASCADE,
    qualifier TEXT NOT NULL,        -- version or alias; '' is the function itself
    sid       TEXT NOT NULL,
    statement TEXT NOT NULL,        -- JSON
    UNIQUE (function, qualifier, sid)
) STRICT;
