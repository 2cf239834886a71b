-- What every service's database holds beside the service's own tables: the event log, the cursors of its readers,
-- and the answers already given. Versions 1 to 99 belong to the store; a service's files begin at 0100_.
-- Every TEXT column says COLLATE "C" (byte order): see src/migration.rs.

-- The last number given out in each partition, when, and the link of that event (src/chain.rs). Its row is locked by the transaction that appends; the events
-- stand in the table of 0004_event.
CREATE TABLE event_head (
    partition BIGINT NOT NULL PRIMARY KEY,
    position BIGINT NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL DEFAULT '1970-01-01T00:00:00+00:00',
    link BYTEA
);

-- What the oldest kept event of a partition follows, where older ones were dropped (src/months.rs).
CREATE TABLE event_trim (
    partition BIGINT NOT NULL PRIMARY KEY,
    number BIGINT NOT NULL,
    link BYTEA NOT NULL
);

-- How many events there are of each subject of a programme: the version of its last one.
CREATE TABLE event_subject (
    programme TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (programme, subject)
);

-- One random name for this log's life; a log restored from an older backup must get another one.
CREATE TABLE log_epoch (
    id BIGINT NOT NULL PRIMARY KEY,
    epoch TEXT COLLATE "C" NOT NULL
);

-- How far this service has read another service's log.
CREATE TABLE consumer_cursor (
    stream TEXT COLLATE "C" NOT NULL,
    shard BIGINT NOT NULL,
    token TEXT COLLATE "C" NOT NULL,
    positions BYTEA NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (stream, shard)
);

-- Answers already given, by the request id that the caller chose. shows is whose data the answer shows, programme and person with a
-- slash between them, so that it goes with them; empty for nearly all answers.
CREATE TABLE request_record (
    request_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    method TEXT COLLATE "C" NOT NULL,
    digest BYTEA NOT NULL,
    outcome BYTEA NOT NULL,
    shows TEXT COLLATE "C" NOT NULL DEFAULT '',
    recorded_at TIMESTAMPTZ NOT NULL
);

CREATE INDEX request_record_by_shown ON request_record (shows) WHERE shows <> '';

CREATE INDEX request_record_by_age ON request_record (recorded_at);

-- What each person has added in a local day, by kind of thing, counted by when it happened (src/daily_use.rs).
CREATE TABLE daily_use (
    programme_id TEXT COLLATE "C" NOT NULL,
    person_id TEXT COLLATE "C" NOT NULL,
    what TEXT COLLATE "C" NOT NULL,
    day_from TIMESTAMPTZ NOT NULL,
    things BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    PRIMARY KEY (programme_id, person_id, what, day_from)
);

-- Which regions lie in which: a row for each region above a region and for itself, from an instant on until another.
CREATE TABLE region_within (
    programme_id TEXT COLLATE "C" NOT NULL,
    region_code TEXT COLLATE "C" NOT NULL,
    within_code TEXT COLLATE "C" NOT NULL,
    from_at TIMESTAMPTZ NOT NULL,
    until_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (region_code, within_code, programme_id, from_at)
);

CREATE INDEX region_within_by_above ON region_within (programme_id, within_code, region_code);

-- What stands for what was merged or closed, from an instant on until another (absent: for good); empty for nothing.
CREATE TABLE place_successor (
    programme_id TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    code TEXT COLLATE "C" NOT NULL,
    from_at TIMESTAMPTZ NOT NULL,
    until_at TIMESTAMPTZ,
    successor TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, kind, code, from_at)
);
CREATE INDEX place_successor_by_successor ON place_successor (programme_id, kind, successor, code);

-- The 64 partitions and the audit log (src/partition.rs).
WITH RECURSIVE partitions (partition) AS (
    SELECT 0
    UNION ALL
    SELECT partition + 1 FROM partitions WHERE partition < 64
)
INSERT INTO event_head (partition, position) SELECT partition, 0 FROM partitions;
