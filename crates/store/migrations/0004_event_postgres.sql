-- The log, as 0004_event_sqlite.sql has it. By the month in which events were recorded, so that old months can be dropped
-- (src/months.rs makes them ahead); what was recorded in a month that nobody has made is in the last one.
CREATE TABLE event (
    partition BIGINT NOT NULL,
    number BIGINT NOT NULL,
    type TEXT COLLATE "C" NOT NULL,
    programme TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    region TEXT COLLATE "C" NOT NULL,
    occurred_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    address TEXT COLLATE "C" NOT NULL,
    cause TEXT COLLATE "C" NOT NULL,
    trace TEXT COLLATE "C" NOT NULL,
    transaction_size BIGINT NOT NULL,
    transaction_place BIGINT NOT NULL,
    data BYTEA NOT NULL,
    fact_id TEXT COLLATE "C" NOT NULL,
    link BYTEA NOT NULL,
    PRIMARY KEY (partition, number, recorded_at)
) PARTITION BY RANGE (recorded_at);

CREATE TABLE event_other_months PARTITION OF event DEFAULT;

-- From the id of a fact to the event that told it.
CREATE INDEX event_by_fact ON event (fact_id) WHERE fact_id <> '';
