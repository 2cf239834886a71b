-- What a class does under its tutor. Every table is keyed by programme first. `.._at` columns that a rule reads are when
-- it happened; recorded_at and actor are when the service learned of it, and from whom; fact_id is the fact's id,
-- by which it may be retracted (table retraction): what is derived is of the facts that stand.

-- The row that is locked while something is decided about a trainee's work: a submission and a mark of the same trainee
-- wait for each other.
CREATE TABLE trainee_work (
    programme_id TEXT COLLATE "C" NOT NULL,
    person_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, person_id)
);

-- Practical assignments. class_id is the trainee's class at submission. number counts the trainee's submissions and marks
-- in the order of recording. Where it stands is derived from all of them (shipei_rules::submission): superseded by a
-- newer one, or disregarded because another had been graded by then, or neither. first_mark_at is the earliest of its
-- marks, which settles its marking week.
CREATE TABLE submission (
    programme_id TEXT COLLATE "C" NOT NULL,
    submission_id TEXT COLLATE "C" NOT NULL,
    person_id TEXT COLLATE "C" NOT NULL,
    class_id TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    title TEXT COLLATE "C" NOT NULL,
    text TEXT COLLATE "C" NOT NULL,
    submitted_at TIMESTAMPTZ NOT NULL,
    number BIGINT NOT NULL,
    superseded_at TIMESTAMPTZ,
    superseded_by TEXT COLLATE "C",
    disregarded_for TEXT COLLATE "C",
    first_mark_at TIMESTAMPTZ,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    fact_id TEXT COLLATE "C" NOT NULL,
    -- Whether its text was compared with those of others.
    compared BOOLEAN NOT NULL DEFAULT FALSE,
    PRIMARY KEY (programme_id, submission_id)
);
CREATE INDEX submission_to_compare ON submission (programme_id, submission_id) WHERE NOT compared;
CREATE INDEX submission_by_person ON submission (programme_id, person_id, submitted_at, submission_id);
CREATE INDEX submission_by_class ON submission (programme_id, class_id, submitted_at, submission_id);
CREATE INDEX submission_by_time ON submission (programme_id, submitted_at, submission_id);

-- Reviews and returns, numbered with the trainee's submissions; an empty grade is a return. But for whether it
-- counts it is never changed, so a corrected grade leaves what it was before.
CREATE TABLE mark (
    programme_id TEXT COLLATE "C" NOT NULL,
    submission_id TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    grade TEXT COLLATE "C" NOT NULL,
    comment TEXT COLLATE "C" NOT NULL,
    tutor_id TEXT COLLATE "C" NOT NULL,
    marked_at TIMESTAMPTZ NOT NULL,
    -- Whether who gave it was the tutor of the trainee's class of then, by what is known now, and how often that has changed.
    counts BOOLEAN NOT NULL,
    judged BIGINT NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    fact_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, submission_id, number)
);
CREATE INDEX mark_by_tutor ON mark (programme_id, tutor_id, marked_at);

-- Class seminars. summarised_at is the first summary's time, summary the text of the latest (summary_at), both of
-- those that stand in seminar_summary.
CREATE TABLE seminar (
    programme_id TEXT COLLATE "C" NOT NULL,
    seminar_id TEXT COLLATE "C" NOT NULL,
    class_id TEXT COLLATE "C" NOT NULL,
    tutor_id TEXT COLLATE "C" NOT NULL,
    topic TEXT COLLATE "C" NOT NULL,
    opened_at TIMESTAMPTZ NOT NULL,
    post_count BIGINT NOT NULL,
    summary_count BIGINT NOT NULL,
    summary TEXT COLLATE "C" NOT NULL,
    summary_fact_id TEXT COLLATE "C" NOT NULL,
    summary_at TIMESTAMPTZ,
    summarised_at TIMESTAMPTZ,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    fact_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, seminar_id)
);
CREATE INDEX seminar_by_class ON seminar (programme_id, class_id, opened_at, seminar_id);
CREATE INDEX seminar_by_time ON seminar (programme_id, opened_at, seminar_id);

-- Every summary that was published for a seminar.
CREATE TABLE seminar_summary (
    programme_id TEXT COLLATE "C" NOT NULL,
    seminar_id TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    tutor_id TEXT COLLATE "C" NOT NULL,
    summary TEXT COLLATE "C" NOT NULL,
    summarised_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    fact_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, seminar_id, number)
);

-- Accepted posts, numbered within the seminar.
CREATE TABLE post (
    programme_id TEXT COLLATE "C" NOT NULL,
    seminar_id TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    person_id TEXT COLLATE "C" NOT NULL,
    text TEXT COLLATE "C" NOT NULL,
    characters BIGINT NOT NULL,
    posted_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    fact_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, seminar_id, number)
);
-- For who asks what is kept of them.
CREATE INDEX post_by_person ON post (programme_id, person_id);

-- Class bulletins: of each number for a class one that stands, and those that were retracted.
CREATE TABLE bulletin (
    programme_id TEXT COLLATE "C" NOT NULL,
    class_id TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    tutor_id TEXT COLLATE "C" NOT NULL,
    title TEXT COLLATE "C" NOT NULL,
    text TEXT COLLATE "C" NOT NULL,
    published_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    fact_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, class_id, number, fact_id)
);

-- Near-identical work (雷同): of texts alone. Works that share a band are compared; similar_submission has each two that are alike in both
-- orders, with the hundredths that they don't share.
CREATE TABLE submission_band (
    programme_id TEXT COLLATE "C" NOT NULL,
    band BIGINT NOT NULL,
    submission_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, band, submission_id)
);
CREATE TABLE similar_submission (
    programme_id TEXT COLLATE "C" NOT NULL,
    submission_id TEXT COLLATE "C" NOT NULL,
    other_id TEXT COLLATE "C" NOT NULL,
    distance BIGINT NOT NULL,
    PRIMARY KEY (programme_id, submission_id, other_id)
);
CREATE INDEX similar_submission_by_distance ON similar_submission (programme_id, distance, submission_id, other_id);
-- How often works were compared: what was found as of a turn is kept if that is still the turn.
CREATE TABLE comparing (
    id BIGINT PRIMARY KEY,
    turn BIGINT NOT NULL
);
INSERT INTO comparing (id, turn) VALUES (1, 0);
