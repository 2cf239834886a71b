-- What assessment has learned from the logs of the other services, beside the mirror of enrollment. Every row may come
-- first, twice or late: a row is an immutable fact under its own key, with its fact_id, or a first time (the least counts), so
-- that any order of arrival leaves the same rows. A fact that was retracted stays: statements leave it out (learned_retraction). Deleting this database loses nothing.

-- Every county and class that a trainee ever stood in: what lists by county or class begin with.
CREATE TABLE trainee_place (
    programme_id TEXT COLLATE "C" NOT NULL,
    person_id    TEXT COLLATE "C" NOT NULL,
    county_code  TEXT COLLATE "C" NOT NULL,
    class_id     TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, person_id, county_code, class_id)
);
CREATE INDEX trainee_place_by_county ON trainee_place (programme_id, county_code, person_id);
CREATE INDEX trainee_place_by_class ON trainee_place (programme_id, class_id, person_id);

-- When a trainee achieved an entry of the scheme's online list (from 0), and by which session; no time when it was taken
-- back, or is not achieved yet; then how many seconds were studied of it by when. Of all versions the highest counts. united: by
-- the study of all ids that are one person with this one, which is kept; else of this id alone.
CREATE TABLE phase_achieved (
    programme_id TEXT COLLATE "C" NOT NULL,
    person_id    TEXT COLLATE "C" NOT NULL,
    phase_index  BIGINT NOT NULL,
    united       BOOLEAN NOT NULL,
    achieved_at  TIMESTAMPTZ,
    studied_seconds BIGINT,
    studied_at   TIMESTAMPTZ,
    session_id   TEXT COLLATE "C" NOT NULL,
    version      BIGINT NOT NULL,
    PRIMARY KEY (programme_id, person_id, phase_index, united)
);

-- A practical assignment, with its number among the trainee's submissions and marks. The last two columns are derived
-- (recompute/trainees.rs): the class whose tutor still owes a mark at the programme's end, and the class in which it made
-- its week late; both empty for nearly all rows.
CREATE TABLE submission (
    programme_id  TEXT COLLATE "C" NOT NULL,
    submission_id TEXT COLLATE "C" NOT NULL,
    person_id     TEXT COLLATE "C" NOT NULL,
    submitted_at  TIMESTAMPTZ NOT NULL,
    number        BIGINT NOT NULL,
    owed_class_id TEXT COLLATE "C",
    late_class_id TEXT COLLATE "C",
    fact_id       TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, submission_id)
);
CREATE INDEX submission_by_person ON submission (programme_id, person_id);
CREATE INDEX submission_by_owed_class ON submission (programme_id, owed_class_id) WHERE owed_class_id IS NOT NULL;
CREATE INDEX submission_by_late_class ON submission (programme_id, late_class_id) WHERE late_class_id IS NOT NULL;

-- A review (its grade) or a return (an empty grade) of a submission, by its number among the trainee's submissions and
-- marks.
CREATE TABLE mark (
    programme_id  TEXT COLLATE "C" NOT NULL,
    submission_id TEXT COLLATE "C" NOT NULL,
    mark_number   BIGINT NOT NULL,
    person_id     TEXT COLLATE "C" NOT NULL,
    class_id      TEXT COLLATE "C" NOT NULL,
    tutor_id      TEXT COLLATE "C" NOT NULL,
    grade         TEXT COLLATE "C" NOT NULL,
    marked_at     TIMESTAMPTZ NOT NULL,
    fact_id       TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, submission_id, mark_number)
);
CREATE INDEX mark_by_person ON mark (programme_id, person_id);

-- Whether a mark counts: it does unless the latest word of it (the highest version) says otherwise.
CREATE TABLE mark_judgement (
    programme_id  TEXT COLLATE "C" NOT NULL,
    submission_id TEXT COLLATE "C" NOT NULL,
    mark_number   BIGINT NOT NULL,
    counts        BOOLEAN NOT NULL,
    version       BIGINT NOT NULL,
    PRIMARY KEY (programme_id, submission_id, mark_number)
);

-- A seminar of a class; the time and the fact of its opening are empty while that has not arrived.
CREATE TABLE seminar (
    programme_id  TEXT COLLATE "C" NOT NULL,
    seminar_id    TEXT COLLATE "C" NOT NULL,
    class_id      TEXT COLLATE "C" NOT NULL,
    opened_at     TIMESTAMPTZ,
    fact_id       TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, seminar_id)
);
CREATE INDEX seminar_by_class ON seminar (programme_id, class_id);

-- A published summary of a seminar, by its number.
CREATE TABLE summary (
    programme_id   TEXT COLLATE "C" NOT NULL,
    seminar_id     TEXT COLLATE "C" NOT NULL,
    summary_number BIGINT NOT NULL,
    summarised_at  TIMESTAMPTZ NOT NULL,
    fact_id        TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, seminar_id, summary_number)
);

-- An accepted post, by its number within the seminar. It belongs to its trainee, whatever their class is now.
CREATE TABLE post (
    programme_id TEXT COLLATE "C" NOT NULL,
    seminar_id   TEXT COLLATE "C" NOT NULL,
    post_number  BIGINT NOT NULL,
    person_id    TEXT COLLATE "C" NOT NULL,
    posted_at    TIMESTAMPTZ NOT NULL,
    fact_id       TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, seminar_id, post_number)
);
CREATE INDEX post_by_time ON post (programme_id, seminar_id, posted_at);
CREATE INDEX post_by_person ON post (programme_id, person_id, seminar_id, posted_at);

-- A bulletin of a class, by its number; of one number one stands.
CREATE TABLE bulletin (
    programme_id    TEXT COLLATE "C" NOT NULL,
    class_id        TEXT COLLATE "C" NOT NULL,
    bulletin_number BIGINT NOT NULL,
    published_at    TIMESTAMPTZ NOT NULL,
    fact_id         TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, class_id, bulletin_number, fact_id)
);

-- An expert's choice of a tutor as excellent.
CREATE TABLE tutor_choice (
    programme_id TEXT COLLATE "C" NOT NULL,
    tutor_id     TEXT COLLATE "C" NOT NULL,
    expert_id    TEXT COLLATE "C" NOT NULL,
    chosen_at    TIMESTAMPTZ NOT NULL,
    fact_id      TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, tutor_id, expert_id, fact_id)
);

-- What a county did for an education stage: kind is plan, activity or results; reference is the activity's id, the
-- results' number, empty for a plan.
CREATE TABLE county_fact (
    programme_id    TEXT COLLATE "C" NOT NULL,
    county_code     TEXT COLLATE "C" NOT NULL,
    education_stage TEXT COLLATE "C" NOT NULL,
    kind            TEXT COLLATE "C" NOT NULL,
    reference       TEXT COLLATE "C" NOT NULL,
    happened_at     TIMESTAMPTZ NOT NULL,
    fact_id         TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, county_code, education_stage, kind, reference, fact_id)
);

-- A trainee at an activity of a county and stage, as it was recorded: the earliest record that stands counts.
CREATE TABLE attendance (
    programme_id    TEXT COLLATE "C" NOT NULL,
    person_id       TEXT COLLATE "C" NOT NULL,
    activity_id     TEXT COLLATE "C" NOT NULL,
    county_code     TEXT COLLATE "C" NOT NULL,
    education_stage TEXT COLLATE "C" NOT NULL,
    attended_at     TIMESTAMPTZ NOT NULL,
    fact_id         TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, person_id, activity_id, fact_id)
);
CREATE INDEX attendance_by_activity ON attendance (programme_id, activity_id, person_id);

-- A score for an attendance, by its number: corrected ones stay.
CREATE TABLE offline_score (
    programme_id TEXT COLLATE "C" NOT NULL,
    person_id    TEXT COLLATE "C" NOT NULL,
    activity_id  TEXT COLLATE "C" NOT NULL,
    score_number BIGINT NOT NULL,
    score        BIGINT NOT NULL,
    scored_at    TIMESTAMPTZ NOT NULL,
    fact_id      TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, person_id, activity_id, score_number)
);

-- What was decided about an item of a trainee's score, by its number among the trainee's decisions. points are whole; expires_at is
-- from when on the computed value counts again.
CREATE TABLE adjustment (
    programme_id TEXT COLLATE "C" NOT NULL,
    person_id    TEXT COLLATE "C" NOT NULL,
    number       BIGINT NOT NULL,
    item         TEXT COLLATE "C" NOT NULL,
    points       BIGINT NOT NULL,
    kind         TEXT COLLATE "C" NOT NULL,
    decided_at   TIMESTAMPTZ NOT NULL,
    expires_at   TIMESTAMPTZ,
    decided_by   TEXT COLLATE "C" NOT NULL,
    fact_id      TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, person_id, number)
);
CREATE INDEX adjustment_by_decision ON adjustment (programme_id, decided_at);
CREATE INDEX adjustment_by_expiry ON adjustment (programme_id, expires_at);

-- What shows that a duty of Annex 1 was done and is in no other table, by whom: a person, a region, or with both empty the training
-- institution. kind is course, selected, pre_job, roster, compiled, remitted, confirmed, invoiced, final, certificates, recommended
-- (reference: the tutor), evidence (reference: the duty's code) or sent_back (reference: the evidence's fact). source is the log it came from. What is no fact
-- that could be retracted has an empty fact_id, and of its times the least.
CREATE TABLE duty_fact (
    programme_id TEXT COLLATE "C" NOT NULL,
    kind         TEXT COLLATE "C" NOT NULL,
    person_id    TEXT COLLATE "C" NOT NULL,
    region_code  TEXT COLLATE "C" NOT NULL,
    reference    TEXT COLLATE "C" NOT NULL,
    happened_at  TIMESTAMPTZ NOT NULL,
    source       TEXT COLLATE "C" NOT NULL,
    fact_id      TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, kind, person_id, region_code, reference, fact_id)
);
-- For who asks what is kept of them.
CREATE INDEX duty_fact_by_person ON duty_fact (programme_id, person_id);
