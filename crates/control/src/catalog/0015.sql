-- The invocation that made an event, where that is known: JSON.

ALTER TABLE event ADD COLUMN cause TEXT;
