-- Layers. Numbers are never given twice, even when all versions are deleted: a layer's row stays.

CREATE TABLE layer (
    id        INTEGER PRIMARY KEY,
    account   TEXT NOT NULL,
    region    TEXT NOT NULL,
    name      TEXT NOT NULL,
    published INTEGER NOT NULL, -- largest number given
    UNIQUE (account, region, name)
) STRICT;

CREATE TABLE layer_version (
    layer   INTEGER NOT NULL REFERENCES layer (id),
    number  INTEGER NOT NULL,
    package TEXT NOT NULL, -- digest of the zip as it was uploaded
    draft   TEXT NOT NULL, -- digest of the image of that zip alone
    details TEXT NOT NULL, -- JSON: what the publisher said of it, and its sizes
    policy  TEXT,          -- JSON: who else may use it; absent until a permission is added
    PRIMARY KEY (layer, number)
) STRICT, WITHOUT ROWID;

-- Images with byte code, by the image that they were made of: all functions with a layer share one.
CREATE TABLE layer_image (
    draft   TEXT NOT NULL,
    runtime TEXT NOT NULL, -- that `image` holds byte code for
    image   TEXT,          -- absent where no whole byte code is to be had
    PRIMARY KEY (draft, runtime)
) STRICT, WITHOUT ROWID;
