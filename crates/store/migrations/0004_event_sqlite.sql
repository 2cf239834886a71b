-- The log. Numbers are dense within a partition and are given in commit order, and recorded_at never goes back there.
-- What one unit of work emitted has one transaction_size, and places from 1 to it.
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
    PRIMARY KEY (partition, number)
);

-- From the id of a fact to the event that told it.
CREATE INDEX event_by_fact ON event (fact_id) WHERE fact_id <> '';
