-- Evidence that a duty of Annex 1 was done. Who bears the duty is a person in a role, a region, or with both empty the training institution.
-- Never changed: the first that stands and was not sent back counts. about has ids, with blanks between them.
CREATE TABLE evidence (
    programme_id TEXT COLLATE "C" NOT NULL,
    person_id TEXT COLLATE "C" NOT NULL,
    region_code TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    duty TEXT COLLATE "C" NOT NULL,
    -- Whose duty it is.
    role TEXT COLLATE "C" NOT NULL,
    done_text TEXT COLLATE "C" NOT NULL,
    link TEXT COLLATE "C" NOT NULL,
    file_sha256 BYTEA NOT NULL,
    about TEXT COLLATE "C" NOT NULL,
    done_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    fact_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, person_id, region_code, number)
);

CREATE INDEX evidence_by_fact ON evidence (programme_id, fact_id);

-- The last number given to evidence of a bearer. Its row is locked by the transaction that takes the next.
CREATE TABLE evidence_number (
    programme_id TEXT COLLATE "C" NOT NULL,
    person_id TEXT COLLATE "C" NOT NULL,
    region_code TEXT COLLATE "C" NOT NULL,
    last_number BIGINT NOT NULL,
    PRIMARY KEY (programme_id, person_id, region_code)
);

-- Evidence was sent back: a fact of its own, which may be retracted.
CREATE TABLE evidence_sent_back (
    programme_id TEXT COLLATE "C" NOT NULL,
    evidence_fact_id TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    sent_back_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    fact_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, evidence_fact_id, fact_id)
);
