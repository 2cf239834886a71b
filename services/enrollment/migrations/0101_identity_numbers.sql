-- An identity number need not be one person's only: the law asks that it be right (GB 11643), and somebody may be a
-- trainee and a tutor under two ids. The UNIQUE of 0100 stands inside the table, where SQLite can't drop it, so the
-- table is made anew on both databases.
CREATE TABLE person_of_0101 (
    programme_id TEXT COLLATE "C" NOT NULL,
    person_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    sealed_identity_number BYTEA NOT NULL,
    identity_digest BYTEA NOT NULL,
    role TEXT COLLATE "C" NOT NULL,
    -- Empty for those without.
    education_stage TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    development_stage TEXT COLLATE "C" NOT NULL,
    -- Where they stand now; empty for those without.
    county_code TEXT COLLATE "C" NOT NULL,
    school_code TEXT COLLATE "C" NOT NULL,
    class_id TEXT COLLATE "C" NOT NULL,
    -- Where the roster put them, so that the same roster sent after a transfer is still the same.
    roster_county_code TEXT COLLATE "C" NOT NULL,
    roster_school_code TEXT COLLATE "C" NOT NULL,
    roster_class_id TEXT COLLATE "C" NOT NULL,
    occurred_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, person_id)
);
INSERT INTO person_of_0101 (programme_id, person_id, name, sealed_identity_number, identity_digest, role,
    education_stage, subject, development_stage, county_code, school_code, class_id, roster_county_code,
    roster_school_code, roster_class_id, occurred_at, recorded_at, actor)
SELECT programme_id, person_id, name, sealed_identity_number, identity_digest, role,
    education_stage, subject, development_stage, county_code, school_code, class_id, roster_county_code,
    roster_school_code, roster_class_id, occurred_at, recorded_at, actor
FROM person;
DROP TABLE person;
ALTER TABLE person_of_0101 RENAME TO person;
CREATE INDEX person_by_county ON person (programme_id, county_code, role, person_id);
CREATE INDEX person_by_class ON person (programme_id, class_id, person_id);
CREATE INDEX person_by_identity ON person (programme_id, identity_digest, person_id);
