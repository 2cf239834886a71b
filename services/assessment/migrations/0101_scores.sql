-- What follows from the facts as of the programme's end. A row of these tables is also the lock of whom it is about:
-- it is written before facts are read, in key order, so that of two instances the last one sees everything.

-- The lock between a new scheme (exclusive) and everything that is scored by it (shared).
CREATE TABLE programme_lock (
    programme_id TEXT COLLATE "C" NOT NULL PRIMARY KEY
);

-- The lock between the facts of a class and its becoming known.
CREATE TABLE class_lock (
    programme_id TEXT COLLATE "C" NOT NULL,
    class_id     TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, class_id)
);

-- A trainee's score (assessment.v1.TraineePoints) and its explained items (domain/stored.rs), both empty before they are
-- registered, where they stand at the end, what they add to trainee_count (domain/contribution.rs), and the time of their
-- latest fact.
CREATE TABLE trainee_score (
    programme_id   TEXT COLLATE "C" NOT NULL,
    person_id      TEXT COLLATE "C" NOT NULL,
    points         BYTEA,
    items          BYTEA,
    county_code    TEXT COLLATE "C" NOT NULL,
    class_id       TEXT COLLATE "C" NOT NULL,
    withdrawn      BOOLEAN NOT NULL,
    contribution   BYTEA NOT NULL,
    latest_fact_at TIMESTAMPTZ,
    PRIMARY KEY (programme_id, person_id)
);
-- Those whom no county's time of the latest fact speaks for.
CREATE INDEX trainee_score_nowhere ON trainee_score (programme_id, latest_fact_at) WHERE county_code = '';

-- A tutor's score (assessment.v1.TutorPoints; empty before they are registered).
CREATE TABLE tutor_score (
    programme_id TEXT COLLATE "C" NOT NULL,
    person_id    TEXT COLLATE "C" NOT NULL,
    county_code  TEXT COLLATE "C" NOT NULL,
    points       BYTEA,
    PRIMARY KEY (programme_id, person_id)
);

-- A county's score (assessment.v1.CountyPoints; empty before it has trainees) and the time of the latest fact in it.
CREATE TABLE county_score (
    programme_id   TEXT COLLATE "C" NOT NULL,
    county_code    TEXT COLLATE "C" NOT NULL,
    points         BYTEA,
    latest_fact_at TIMESTAMPTZ,
    PRIMARY KEY (programme_id, county_code)
);

-- The sum of the contributions of all trainees of a county: by dimension (0 the county as a whole, 1 class, 2 school,
-- 3 subject, 4 stage of development, 5 the county on all days together; domain/counter.rs) and part of it (the class's id and so on; empty for the county),
-- education stage (its number in the contract), counter with its detail (domain/counter.rs), and local day (since
-- 1970-01-01; 0 for what is not dated). Everybody counts once in each dimension. What is higher than a county is summed
-- when it is read, along the tree of then.
CREATE TABLE trainee_count (
    programme_id    TEXT COLLATE "C" NOT NULL,
    county_code     TEXT COLLATE "C" NOT NULL,
    dimension       BIGINT NOT NULL,
    part            TEXT COLLATE "C" NOT NULL,
    education_stage BIGINT NOT NULL,
    counter         BIGINT NOT NULL,
    detail          BIGINT NOT NULL,
    day             BIGINT NOT NULL,
    amount          BIGINT NOT NULL,
    PRIMARY KEY (programme_id, dimension, county_code, part, education_stage, counter, detail, day)
);

-- A scheme that came after facts: up to where everything of the programme has been scored anew.
CREATE TABLE rescore (
    programme_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    stage        TEXT COLLATE "C" NOT NULL,
    done_until   TEXT COLLATE "C" NOT NULL,
    cause        TEXT COLLATE "C" NOT NULL,
    caused_at    TIMESTAMPTZ NOT NULL
);

-- Whose stored score is behind the facts: a trainee (kind 0), a class, for its tutor (1), or a county (2), the last event
-- that led to it, and of a county the latest time of a fact. Filled while more is learned at once than it would
-- pay to score fact by fact.
CREATE TABLE due (
    programme_id   TEXT COLLATE "C" NOT NULL,
    kind           BIGINT NOT NULL,
    id             TEXT COLLATE "C" NOT NULL,
    cause          TEXT COLLATE "C" NOT NULL,
    caused_at      TIMESTAMPTZ NOT NULL,
    latest_fact_at TIMESTAMPTZ,
    PRIMARY KEY (programme_id, kind, id)
);
