-- Published versions. Numbers are never given twice, even when versions are deleted.

ALTER TABLE function ADD COLUMN published INTEGER NOT NULL DEFAULT 0; -- largest number given

-- JSON: what `$LATEST` was when the version of the largest number was made of it.
ALTER TABLE function ADD COLUMN published_from TEXT NOT NULL DEFAULT '';
