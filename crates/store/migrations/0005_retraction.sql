-- Facts of this service that were wrong (src/retraction.rs). A row may be there before its fact: then the fact falls when it
-- comes. fact_type is empty for one that had not come when it was retracted.
CREATE TABLE retraction (
    programme_id TEXT COLLATE "C" NOT NULL,
    fact_id TEXT COLLATE "C" NOT NULL,
    fact_type TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    retracted_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (programme_id, fact_id)
);

CREATE INDEX retraction_by_programme ON retraction (programme_id, recorded_at, fact_id);

-- Retracted facts of the services whose logs this one follows.
CREATE TABLE learned_retraction (
    source TEXT COLLATE "C" NOT NULL,
    programme_id TEXT COLLATE "C" NOT NULL,
    fact_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (source, programme_id, fact_id)
);
