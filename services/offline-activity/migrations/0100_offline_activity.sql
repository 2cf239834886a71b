-- What each county does offline, for each education stage. Every table is keyed by programme first. `.._at` columns that
-- a rule reads are when it happened; recorded_at and actor are when the service learned of it, and from whom; fact_id is
-- the fact's id, by which it may be retracted (table retraction): what is derived is of the facts that stand.

-- A county's plan: submitted_at, counselor_id and fact_id are of the first submission that stands, title is the latest one's
-- (title_at, title_fact_id). The times are empty when none stands.
CREATE TABLE plan (
    programme_id TEXT COLLATE "C" NOT NULL,
    county_code TEXT COLLATE "C" NOT NULL,
    education_stage TEXT COLLATE "C" NOT NULL,
    title TEXT COLLATE "C" NOT NULL,
    title_at TIMESTAMPTZ,
    title_fact_id TEXT COLLATE "C" NOT NULL,
    counselor_id TEXT COLLATE "C" NOT NULL,
    submitted_at TIMESTAMPTZ,
    fact_id TEXT COLLATE "C" NOT NULL,
    version_count BIGINT NOT NULL,
    PRIMARY KEY (programme_id, county_code, education_stage)
);

-- Every submission of a plan, so that a replaced title is not lost.
CREATE TABLE plan_version (
    programme_id TEXT COLLATE "C" NOT NULL,
    county_code TEXT COLLATE "C" NOT NULL,
    education_stage TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    title TEXT COLLATE "C" NOT NULL,
    counselor_id TEXT COLLATE "C" NOT NULL,
    submitted_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    fact_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, county_code, education_stage, number)
);

-- Activities that counties held. Its row is locked while attendance is recorded.
CREATE TABLE activity (
    programme_id TEXT COLLATE "C" NOT NULL,
    activity_id TEXT COLLATE "C" NOT NULL,
    county_code TEXT COLLATE "C" NOT NULL,
    education_stage TEXT COLLATE "C" NOT NULL,
    theme TEXT COLLATE "C" NOT NULL,
    counselor_id TEXT COLLATE "C" NOT NULL,
    held_at TIMESTAMPTZ NOT NULL,
    attended_count BIGINT NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    fact_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, activity_id)
);
CREATE INDEX activity_by_county ON activity (programme_id, county_code, held_at, activity_id);
CREATE INDEX activity_by_time ON activity (programme_id, held_at, activity_id);

-- Who attended: attended_at and fact_id are of the first record that stands (attended_at is empty when none does); score,
-- scored_at and score_fact_id are those of the score that counts, the latest one that stands and was given to who attended.
CREATE TABLE attendance (
    programme_id TEXT COLLATE "C" NOT NULL,
    activity_id TEXT COLLATE "C" NOT NULL,
    person_id TEXT COLLATE "C" NOT NULL,
    attended_at TIMESTAMPTZ,
    fact_id TEXT COLLATE "C" NOT NULL,
    score BIGINT,
    scored_at TIMESTAMPTZ,
    score_fact_id TEXT COLLATE "C" NOT NULL,
    score_count BIGINT NOT NULL,
    PRIMARY KEY (programme_id, activity_id, person_id)
);
-- For who asks what is kept of them.
CREATE INDEX attendance_by_person ON attendance (programme_id, person_id);

-- Every record that somebody attended. Never changed.
CREATE TABLE attendance_record (
    programme_id TEXT COLLATE "C" NOT NULL,
    activity_id TEXT COLLATE "C" NOT NULL,
    person_id TEXT COLLATE "C" NOT NULL,
    fact_id TEXT COLLATE "C" NOT NULL,
    counselor_id TEXT COLLATE "C" NOT NULL,
    attended_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, activity_id, person_id, fact_id)
);

-- Every score that was given, numbered within the attendance. Never changed.
CREATE TABLE attendance_score (
    programme_id TEXT COLLATE "C" NOT NULL,
    activity_id TEXT COLLATE "C" NOT NULL,
    person_id TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    score BIGINT NOT NULL,
    counselor_id TEXT COLLATE "C" NOT NULL,
    scored_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    fact_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, activity_id, person_id, number)
);

-- The last number given to results of a county and stage. Its row is locked by the transaction that takes the next.
CREATE TABLE results_number (
    programme_id TEXT COLLATE "C" NOT NULL,
    county_code TEXT COLLATE "C" NOT NULL,
    education_stage TEXT COLLATE "C" NOT NULL,
    last_number BIGINT NOT NULL,
    PRIMARY KEY (programme_id, county_code, education_stage)
);

-- The results of each county, its library (地方资源库).
CREATE TABLE results (
    programme_id TEXT COLLATE "C" NOT NULL,
    county_code TEXT COLLATE "C" NOT NULL,
    education_stage TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    title TEXT COLLATE "C" NOT NULL,
    counselor_id TEXT COLLATE "C" NOT NULL,
    submitted_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    fact_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, county_code, education_stage, number)
);
