-- What is said of SnapStart is one of three: of before, only whether it was refused.

UPDATE version SET settings = json_remove(
    json_set(settings, '$.snap_start', iif(settings ->> 'snap_start_refused', 'None', 'Auto')),
    '$.snap_start_refused');

UPDATE version SET serving = json_remove(
    json_set(serving, '$.snap_start', iif(serving ->> 'snap_start_refused', 'None', 'Auto')),
    '$.snap_start_refused')
WHERE serving IS NOT NULL;

UPDATE function SET published_from = json_remove(
    json_set(published_from, '$.snap_start', iif(published_from ->> 'snap_start_refused', 'None', 'Auto')),
    '$.snap_start_refused')
WHERE published_from != '';
