-- A session's id is its learner's own: what one player calls its sessions is nothing to another's. A primary key can't be
-- changed on SQLite, so the table is made anew, under its own name that its constraints are called by.
CREATE TABLE session_before AS SELECT * FROM session;
DROP TABLE session;
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
    credited_seconds BIGINT NOT NULL,
    overlap_seconds BIGINT NOT NULL,
    overlap_beats BIGINT NOT NULL,
    gap_seconds BIGINT NOT NULL,
    gap_beats BIGINT NOT NULL,
    course_full_seconds BIGINT NOT NULL,
    course_full_beats BIGINT NOT NULL,
    daily_cap_seconds BIGINT NOT NULL,
    daily_cap_beats BIGINT NOT NULL,
    outside_window_seconds BIGINT NOT NULL,
    outside_window_beats BIGINT NOT NULL,
    duplicate_beats BIGINT NOT NULL,
    PRIMARY KEY (person_id, session_id, programme_id)
);
INSERT INTO session SELECT * FROM session_before;
DROP TABLE session_before;
CREATE INDEX session_by_learner ON session (person_id, programme_id, opened_at, session_id);
