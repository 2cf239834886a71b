-- What learning-progress keeps: the catalogue, selections, and of study one row for each session, learner, day, course
-- and phase. A heartbeat has no row of its own: a season has billions of them. Time is in whole microseconds.
--
-- Keys begin with the person or session, not with the programme: a batch asks for many ids of one programme, and
-- without statistics (a new database) Postgres would take `programme_id` for selective and read all of the programme.

-- How often a programme's catalogue changed. Read at the beginning of each batch of heartbeats, so that every process
-- learns of a new course and of one that was put right; its row is locked by whoever changes one.
CREATE TABLE catalogue (
    programme_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL
);

-- A course as it stands. `catalogue_version` is the version of the catalogue in which it last changed.
CREATE TABLE course (
    programme_id TEXT COLLATE "C" NOT NULL,
    course_id TEXT COLLATE "C" NOT NULL,
    catalogue_version BIGINT NOT NULL,
    title TEXT COLLATE "C" NOT NULL,
    category TEXT COLLATE "C" NOT NULL,
    main_line BOOLEAN NOT NULL,
    length_seconds BIGINT NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    education_stage TEXT COLLATE "C" NOT NULL,
    -- From when it is retired, if it is.
    retired_at TIMESTAMPTZ,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, course_id)
);
CREATE INDEX course_by_version ON course (programme_id, catalogue_version);

-- What was put right of a course or has changed: only that is not NULL. Number 0 is the course as it was created, kept with its
-- first change. `since_at` NULL: it had always been so. `education_stage` empty: both.
CREATE TABLE course_change (
    programme_id TEXT COLLATE "C" NOT NULL,
    course_id TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    since_at TIMESTAMPTZ,
    title TEXT COLLATE "C",
    category TEXT COLLATE "C",
    main_line BOOLEAN,
    length_seconds BIGINT,
    subject TEXT COLLATE "C",
    education_stage TEXT COLLATE "C",
    retired BOOLEAN,
    reason TEXT COLLATE "C" NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    fact_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, course_id, number)
);

-- A programme whose learners' study is read anew since a course changed, and up to whom that is done.
CREATE TABLE reading_anew (
    programme_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    done_until TEXT COLLATE "C" NOT NULL
);

-- Persons with several ids, by the one that is kept, whose phases are to be read anew from the study of all of them.
CREATE TABLE united_due (
    programme_id TEXT COLLATE "C" NOT NULL,
    person_id TEXT COLLATE "C" NOT NULL,
    -- How often that was said; what counts is that the row is there.
    times BIGINT NOT NULL,
    PRIMARY KEY (programme_id, person_id)
);

-- A trainee's choice of a course: the earliest time that is told.
CREATE TABLE selection (
    programme_id TEXT COLLATE "C" NOT NULL,
    person_id TEXT COLLATE "C" NOT NULL,
    course_id TEXT COLLATE "C" NOT NULL,
    selected_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    fact_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (person_id, programme_id, course_id, selected_at, fact_id)
);

-- A learner. Whoever changes anything of a learner's study holds this row (FOR UPDATE on Postgres). `refusals`: the last
-- heartbeat of each session that came too early (domain/refusals.rs).
CREATE TABLE learner (
    programme_id TEXT COLLATE "C" NOT NULL,
    person_id TEXT COLLATE "C" NOT NULL,
    refusals BYTEA NOT NULL,
    PRIMARY KEY (person_id, programme_id)
);
-- Whoever of a programme has studied, when everybody's study is read anew.
CREATE INDEX learner_by_programme ON learner (programme_id, person_id);

-- What was credited to a learner on a local calendar day (days since 1970-01-01): the time credited by heartbeats of that
-- day, and the instants of that day that are credited, as intervals (shipei_rules::intervals).
CREATE TABLE study_day (
    programme_id TEXT COLLATE "C" NOT NULL,
    person_id TEXT COLLATE "C" NOT NULL,
    day BIGINT NOT NULL,
    micros BIGINT NOT NULL,
    credited BYTEA NOT NULL,
    PRIMARY KEY (person_id, programme_id, day)
);

-- A learner's course. `completed_at`: when it was credited in full, by its length of then.
CREATE TABLE course_progress (
    programme_id TEXT COLLATE "C" NOT NULL,
    person_id TEXT COLLATE "C" NOT NULL,
    course_id TEXT COLLATE "C" NOT NULL,
    credited_micros BIGINT NOT NULL,
    completed_at TIMESTAMPTZ,
    -- How often its completion has changed: what events say of it is ordered by this.
    version BIGINT NOT NULL,
    PRIMARY KEY (person_id, programme_id, course_id)
);

-- A learner's phase: the time credited inside its window and the latest heartbeat that it was credited by, main-line
-- courses completed by such time, and the first moment at which it was achieved (by `minutes` or `main_line`; empty until
-- then).
CREATE TABLE phase_progress (
    programme_id TEXT COLLATE "C" NOT NULL,
    person_id TEXT COLLATE "C" NOT NULL,
    phase_index BIGINT NOT NULL,
    micros BIGINT NOT NULL,
    last_at TIMESTAMPTZ,
    main_line_complete BIGINT NOT NULL,
    achieved_at TIMESTAMPTZ,
    achieved_by TEXT COLLATE "C" NOT NULL,
    -- How often what stands of it has changed: what events say of it is ordered by this.
    version BIGINT NOT NULL,
    PRIMARY KEY (person_id, programme_id, phase_index)
);

-- A phase of a person with several ids, by the one that is kept: what phase_progress says of one id, read from the study of all of
-- them. It is used while others are merged into this id, and stays as it is otherwise.
CREATE TABLE united_phase (
    programme_id TEXT COLLATE "C" NOT NULL,
    person_id TEXT COLLATE "C" NOT NULL,
    phase_index BIGINT NOT NULL,
    micros BIGINT NOT NULL,
    last_at TIMESTAMPTZ,
    main_line_complete BIGINT NOT NULL,
    achieved_at TIMESTAMPTZ,
    achieved_by TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (person_id, programme_id, phase_index)
);

-- The time credited inside a phase's window to a course that is main-line or was, and whether that was all of its length of then.
-- Other courses need no such row.
CREATE TABLE phase_course_progress (
    programme_id TEXT COLLATE "C" NOT NULL,
    person_id TEXT COLLATE "C" NOT NULL,
    course_id TEXT COLLATE "C" NOT NULL,
    phase_index BIGINT NOT NULL,
    micros BIGINT NOT NULL,
    complete BOOLEAN NOT NULL,
    PRIMARY KEY (person_id, programme_id, course_id, phase_index)
);

-- One learner watching one course; the session's id is the learner's own, what one player calls its sessions is nothing to
-- another's. `beats`: each heartbeat after the first and its credit, in few bytes (domain/beats.rs). What was not credited
-- stands by reason: time, and how many heartbeats.
CREATE TABLE session (
    programme_id TEXT COLLATE "C" NOT NULL,
    session_id TEXT COLLATE "C" NOT NULL,
    person_id TEXT COLLATE "C" NOT NULL,
    course_id TEXT COLLATE "C" NOT NULL,
    opened_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    last_at TIMESTAMPTZ NOT NULL,
    last_seq BIGINT NOT NULL,
    credited_micros BIGINT NOT NULL,
    beats BYTEA NOT NULL,
    overlap_micros BIGINT NOT NULL,
    overlap_beats BIGINT NOT NULL,
    gap_micros BIGINT NOT NULL,
    gap_beats BIGINT NOT NULL,
    course_full_micros BIGINT NOT NULL,
    course_full_beats BIGINT NOT NULL,
    daily_cap_micros BIGINT NOT NULL,
    daily_cap_beats BIGINT NOT NULL,
    outside_window_micros BIGINT NOT NULL,
    outside_window_beats BIGINT NOT NULL,
    duplicate_beats BIGINT NOT NULL,
    -- What it had been credited until it was voided.
    voided BOOLEAN NOT NULL,
    voided_micros BIGINT NOT NULL,
    voided_beats BIGINT NOT NULL,
    PRIMARY KEY (person_id, session_id, programme_id)
);
CREATE INDEX session_by_learner ON session (person_id, programme_id, opened_at, session_id);

-- Why a session was voided, and by whom.
CREATE TABLE session_voided (
    programme_id TEXT COLLATE "C" NOT NULL,
    person_id TEXT COLLATE "C" NOT NULL,
    session_id TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    fact_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, fact_id)
);
CREATE INDEX session_voided_session ON session_voided (person_id, session_id, programme_id);

-- Time granted by hand: of each id one grant that stands, and those that were retracted. It never changes.
CREATE TABLE granted_time (
    programme_id TEXT COLLATE "C" NOT NULL,
    person_id TEXT COLLATE "C" NOT NULL,
    grant_id TEXT COLLATE "C" NOT NULL,
    course_id TEXT COLLATE "C" NOT NULL,
    granted_at TIMESTAMPTZ NOT NULL,
    seconds BIGINT NOT NULL,
    micros BIGINT NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    evidence TEXT COLLATE "C" NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    fact_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (person_id, programme_id, grant_id, fact_id)
);
