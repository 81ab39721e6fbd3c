-- Concurrency that functions reserve.

ALTER TABLE function ADD COLUMN reserved INTEGER; -- absent where nothing is

CREATE INDEX function_reserved ON function (account, region, reserved) WHERE reserved IS NOT NULL;
