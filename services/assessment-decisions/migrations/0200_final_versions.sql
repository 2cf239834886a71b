-- Final versions and certificates. A version is written in parts, and never again once it is final.

CREATE TABLE final_version (
    programme_id TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    as_of TIMESTAMPTZ NOT NULL,
    scheme_version BIGINT NOT NULL,
    scores_digest TEXT COLLATE "C" NOT NULL,
    trainees BIGINT NOT NULL,
    -- How many scores are frozen, and where assessment's list goes on: empty at its beginning.
    frozen BIGINT NOT NULL,
    next_page TEXT COLLATE "C" NOT NULL,
    root BYTEA NOT NULL,
    signature BYTEA NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    begun_at TIMESTAMPTZ NOT NULL,
    -- Set once, when it is final.
    final_at TIMESTAMPTZ,
    PRIMARY KEY (programme_id, version)
);

-- A frozen score: its bytes (decisions.v1.FinalScore), their hash, and what is looked for in them.
CREATE TABLE final_score (
    programme_id TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    person_id TEXT COLLATE "C" NOT NULL,
    city_code TEXT COLLATE "C" NOT NULL,
    county_code TEXT COLLATE "C" NOT NULL,
    class_id TEXT COLLATE "C" NOT NULL,
    total BIGINT NOT NULL,
    passed BOOLEAN NOT NULL,
    score BYTEA NOT NULL,
    leaf BYTEA NOT NULL,
    PRIMARY KEY (programme_id, version, person_id)
);

CREATE INDEX final_score_in_order
    ON final_score (programme_id, version, city_code, county_code, class_id, person_id);

-- The hash of each class of a version, and which of the version's scores is its first, from 0.
CREATE TABLE final_class (
    programme_id TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    city_code TEXT COLLATE "C" NOT NULL,
    county_code TEXT COLLATE "C" NOT NULL,
    class_id TEXT COLLATE "C" NOT NULL,
    hash BYTEA NOT NULL,
    first_index BIGINT NOT NULL,
    PRIMARY KEY (programme_id, version, city_code, county_code, class_id)
);

-- A certificate. sealed_code is everything that stands on it with its signature: it has a name, so it is encrypted, and emptied when who
-- it was for is erased.
CREATE TABLE certificate (
    programme_id TEXT COLLATE "C" NOT NULL,
    county_code TEXT COLLATE "C" NOT NULL,
    serial BIGINT NOT NULL,
    person_id TEXT COLLATE "C" NOT NULL,
    class_id TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    sealed_code BYTEA NOT NULL,
    issued_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    revoked_at TIMESTAMPTZ,
    revoke_reason TEXT COLLATE "C" NOT NULL,
    revoke_actor TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, county_code, serial)
);

CREATE INDEX certificate_by_person ON certificate (programme_id, person_id);

-- A person has one certificate at most that holds.
CREATE UNIQUE INDEX certificate_that_holds ON certificate (programme_id, person_id) WHERE revoked_at IS NULL;

-- The last serial number of a county. Its row is locked by the transaction that takes the next.
CREATE TABLE certificate_serial (
    programme_id TEXT COLLATE "C" NOT NULL,
    county_code TEXT COLLATE "C" NOT NULL,
    last_serial BIGINT NOT NULL,
    PRIMARY KEY (programme_id, county_code)
);
