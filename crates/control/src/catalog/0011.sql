-- Code signing configurations, and the functions that have one.

CREATE TABLE code_signing (
    account     TEXT NOT NULL,
    region      TEXT NOT NULL,
    id          TEXT NOT NULL, -- csc- and 17 letters and digits
    description TEXT NOT NULL,
    publishers  TEXT NOT NULL, -- JSON: ARNs of signing profile versions
    policy      TEXT NOT NULL, -- Warn or Enforce
    modified_ms INTEGER NOT NULL,
    tags        TEXT NOT NULL, -- JSON
    PRIMARY KEY (account, region, id)
) STRICT, WITHOUT ROWID;

ALTER TABLE function ADD COLUMN code_signing TEXT; -- id of one of the same account and region

CREATE INDEX function_code_signing ON function (account, region, code_signing, name)
    WHERE code_signing IS NOT NULL;
