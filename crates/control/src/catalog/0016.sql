-- What people are told of firings that wait, and what goes with a schedule that is deleted.

ALTER TABLE firing ADD COLUMN error TEXT; -- why the last attempt failed

CREATE INDEX firing_schedule ON firing (account, region, schedule_arn);
