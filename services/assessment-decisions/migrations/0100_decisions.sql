-- What people decided about scores. Nothing here follows from anything else: what is lost here is lost. Every table is keyed by
-- programme first. decided_at is when it was decided, which rules read; recorded_at and actor are when the service learned of it,
-- and from whom; fact_id is the fact's id, by which it may be retracted (table retraction).

-- What an item of a trainee's score counts as. Never changed: the last one that stands counts.
CREATE TABLE adjustment (
    programme_id TEXT COLLATE "C" NOT NULL,
    person_id TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    item TEXT COLLATE "C" NOT NULL,
    points BIGINT NOT NULL,
    max_points BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    decided_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    fact_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, person_id, number)
);

-- The last number given to an adjustment of a trainee. Its row is locked by the transaction that takes the next.
CREATE TABLE adjustment_number (
    programme_id TEXT COLLATE "C" NOT NULL,
    person_id TEXT COLLATE "C" NOT NULL,
    last_number BIGINT NOT NULL,
    PRIMARY KEY (programme_id, person_id)
);
