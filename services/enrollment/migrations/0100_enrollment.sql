-- What enrollment keeps: programmes and schemes, the region tree, schools, classes, people, and Annex 1 by county.
-- Every fact has `occurred_at` (when it happened; rules use this one), `recorded_at` (when the service learned of
-- it), `actor` (who told it) and, where it may be retracted, `fact_id`. Nothing here is deleted but who somebody was, when they are erased
-- (person_erasure); what changes is kept as it was before in a table of its own.

-- A programme. The lock on its row is taken by whoever must not meet another: imports, revisions, openings.
CREATE TABLE programme (
    programme_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    region_code TEXT COLLATE "C" NOT NULL,
    -- The version of the scheme in force.
    scheme_version BIGINT NOT NULL,
    occurred_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL
);

-- Every version of every scheme, word for word.
CREATE TABLE scheme_version (
    programme_id TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    scheme_toml TEXT COLLATE "C" NOT NULL,
    -- SHA-256 of scheme_toml, hexadecimal.
    digest TEXT COLLATE "C" NOT NULL,
    occurred_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, version)
);

-- The region tree of a programme.
CREATE TABLE region (
    programme_id TEXT COLLATE "C" NOT NULL,
    code TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    -- province, city or county.
    level TEXT COLLATE "C" NOT NULL,
    -- Where it lies now; empty for a province.
    parent_code TEXT COLLATE "C" NOT NULL,
    -- Where it was created, so that the same creation sent after a move is still the same.
    created_parent_code TEXT COLLATE "C" NOT NULL,
    -- Whether GB/T 2260 has this code with its first name in the programme's year.
    in_national_standard BOOLEAN NOT NULL,
    -- What it is called follows from place_change: now, when it was created, and since when it is called so; since when it is no more, and
    -- what it was merged into.
    created_name TEXT COLLATE "C" NOT NULL,
    named_at TIMESTAMPTZ,
    closed_at TIMESTAMPTZ,
    merged_into TEXT COLLATE "C" NOT NULL,
    occurred_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, code)
);
CREATE INDEX region_by_parent ON region (programme_id, parent_code, code);

-- Every move of a county to another city: what was above it before, what is from then on. What lies in what at any time
-- follows from this and the creation, and is kept in region_within.
CREATE TABLE region_move (
    programme_id TEXT COLLATE "C" NOT NULL,
    code TEXT COLLATE "C" NOT NULL,
    -- From 1, in the order of recording.
    number BIGINT NOT NULL,
    old_parent_code TEXT COLLATE "C" NOT NULL,
    new_parent_code TEXT COLLATE "C" NOT NULL,
    occurred_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, code, number)
);

-- A school of a county.
CREATE TABLE school (
    programme_id TEXT COLLATE "C" NOT NULL,
    school_code TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    -- Now, and when it was created.
    county_code TEXT COLLATE "C" NOT NULL,
    created_county_code TEXT COLLATE "C" NOT NULL,
    -- As of a region.
    created_name TEXT COLLATE "C" NOT NULL,
    named_at TIMESTAMPTZ,
    closed_at TIMESTAMPTZ,
    merged_into TEXT COLLATE "C" NOT NULL,
    occurred_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, school_code)
);
CREATE INDEX school_by_county ON school (programme_id, county_code, school_code);

-- A class of trainees and its tutor.
CREATE TABLE class (
    programme_id TEXT COLLATE "C" NOT NULL,
    class_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    -- Now, and when it was created.
    region_code TEXT COLLATE "C" NOT NULL,
    created_region_code TEXT COLLATE "C" NOT NULL,
    -- Now; who was when is in class_tutor.
    tutor_id TEXT COLLATE "C" NOT NULL,
    -- When it was created, so that the same creation sent after a replacement is still the same.
    created_tutor_id TEXT COLLATE "C" NOT NULL,
    -- As of a region.
    created_name TEXT COLLATE "C" NOT NULL,
    named_at TIMESTAMPTZ,
    closed_at TIMESTAMPTZ,
    merged_into TEXT COLLATE "C" NOT NULL,
    occurred_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, class_id)
);
CREATE INDEX class_by_tutor ON class (programme_id, tutor_id, class_id);

-- Every change of a class's tutor: who it was before, who it is from then on; empty for nobody.
CREATE TABLE class_tutor (
    programme_id TEXT COLLATE "C" NOT NULL,
    class_id TEXT COLLATE "C" NOT NULL,
    -- From 1, in the order of recording.
    number BIGINT NOT NULL,
    old_tutor_id TEXT COLLATE "C" NOT NULL,
    new_tutor_id TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    occurred_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    fact_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, class_id, number)
);
CREATE INDEX class_tutor_by_old ON class_tutor (programme_id, old_tutor_id);
CREATE INDEX class_tutor_by_new ON class_tutor (programme_id, new_tutor_id);

-- What became of a region, a school or a class (kind), from an instant on: rename (name), merge (into_code), close. What stands for what
-- ended follows from those that stand, and is kept in place_successor.
CREATE TABLE place_change (
    programme_id TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    -- From 1, in the order of recording within the kind.
    number BIGINT NOT NULL,
    code TEXT COLLATE "C" NOT NULL,
    act TEXT COLLATE "C" NOT NULL,
    -- Empty for the others, like into_code.
    name TEXT COLLATE "C" NOT NULL,
    into_code TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    occurred_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    fact_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, kind, number)
);
CREATE INDEX place_change_by_code ON place_change (programme_id, kind, code, act);

-- The end of one window moved: of each id one that stands, and those that were retracted. At most one of region, class and person stands; none is the whole programme.
CREATE TABLE extension (
    programme_id TEXT COLLATE "C" NOT NULL,
    extension_id TEXT COLLATE "C" NOT NULL,
    window_name TEXT COLLATE "C" NOT NULL,
    -- Included: 2019-11-05, which sorts as it falls.
    last_day TEXT COLLATE "C" NOT NULL,
    region_code TEXT COLLATE "C" NOT NULL,
    class_id TEXT COLLATE "C" NOT NULL,
    person_id TEXT COLLATE "C" NOT NULL,
    -- Where who has it stood when it was granted: the region, the class's, the person's county, the programme's.
    place_code TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    occurred_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    fact_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, extension_id, fact_id)
);
CREATE INDEX extension_by_person ON extension (programme_id, person_id);
CREATE INDEX extension_by_window ON extension (programme_id, window_name, region_code);

-- Somebody of a programme in one of their roles, as they stand, which follows from the roster, person_change, transfer and place_change. Name and
-- number are the person's, and so the same in all their roles. The identity number is sealed; it is found by its keyed digest. It need not be
-- one id's only: the law asks that it be right (GB 11643), and somebody may be a trainee and a tutor under two ids, too.
CREATE TABLE person (
    programme_id TEXT COLLATE "C" NOT NULL,
    person_id TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    -- What ways to write the name have in common, by which it is found.
    name_key TEXT COLLATE "C" NOT NULL,
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
    PRIMARY KEY (programme_id, person_id, role)
);
CREATE INDEX person_by_identity ON person (programme_id, identity_digest, person_id);
CREATE INDEX person_by_name ON person (programme_id, name_key, person_id);
CREATE INDEX person_by_county ON person (programme_id, county_code, role, person_id);
CREATE INDEX person_by_class ON person (programme_id, class_id, person_id);

-- The key that seals a person's identity numbers, whatever their roles; wrapped by a key of the installation, which is not in the database and
-- is known by key_id, a digest that says nothing of it. Who is erased has none any more.
CREATE TABLE person_key (
    programme_id TEXT COLLATE "C" NOT NULL,
    person_id TEXT COLLATE "C" NOT NULL,
    key_id TEXT COLLATE "C" NOT NULL,
    wrapped_key BYTEA NOT NULL,
    PRIMARY KEY (programme_id, person_id)
);

-- Who was erased, when and why (the ground is a word of a few). Their name is an empty text in all their rows, the number an empty seal with
-- a digest that no number has, and they have no key.
CREATE TABLE person_erasure (
    programme_id TEXT COLLATE "C" NOT NULL,
    person_id TEXT COLLATE "C" NOT NULL,
    ground TEXT COLLATE "C" NOT NULL,
    erased_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, person_id)
);

-- What was put right of a person, or has changed; absent columns stayed. Name and identity number are so in all their roles, the others in
-- the one that is named. Number 0, without a fact, is what the roster had, kept with the first change of a role (name and number
-- with the first one of the person), so that the same roster sent after it is still the same. An old number stays sealed and is shown to nobody.
CREATE TABLE person_change (
    programme_id TEXT COLLATE "C" NOT NULL,
    person_id TEXT COLLATE "C" NOT NULL,
    role TEXT COLLATE "C" NOT NULL,
    -- From 1, in the order of recording, over all roles of the person.
    number BIGINT NOT NULL,
    -- From when subject and stages are so; absent when they had always been so.
    since_at TIMESTAMPTZ,
    name TEXT COLLATE "C",
    sealed_identity_number BYTEA,
    identity_digest BYTEA,
    subject TEXT COLLATE "C",
    -- Empty where it stayed, or where there was none.
    education_stage TEXT COLLATE "C" NOT NULL,
    development_stage TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    occurred_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    fact_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, person_id, role, number)
);

-- What a person did or what befell them: login, pre_job, withdrawal, return, removal. Of each kind the first one that stands counts,
-- but of withdrawals and returns each that follows one of the other kind.
CREATE TABLE person_fact (
    programme_id TEXT COLLATE "C" NOT NULL,
    person_id TEXT COLLATE "C" NOT NULL,
    -- In which role; empty for log-in and training, which count in all of them.
    role TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    -- Why a trainee left or came back, why somebody was removed; private, in no event.
    reason TEXT COLLATE "C" NOT NULL,
    occurred_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    fact_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, person_id, role, kind, occurred_at, fact_id)
);

-- Two ids of one person in a role: merged_id counts for kept_id while this stands. number is from 1, in the order in which merges of
-- merged_id were recorded; of several that stand the last one counts.
CREATE TABLE person_merge (
    programme_id TEXT COLLATE "C" NOT NULL,
    merged_id TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    kept_id TEXT COLLATE "C" NOT NULL,
    role TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    occurred_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    fact_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, merged_id, number)
);
CREATE INDEX person_merge_by_kept ON person_merge (programme_id, kept_id);

-- Every move of a trainee: what it was before, what it is from then on, as moves say it: of a place that has ended its successor counts.
CREATE TABLE transfer (
    programme_id TEXT COLLATE "C" NOT NULL,
    person_id TEXT COLLATE "C" NOT NULL,
    -- From 1, in the order of recording.
    number BIGINT NOT NULL,
    old_county_code TEXT COLLATE "C" NOT NULL,
    old_school_code TEXT COLLATE "C" NOT NULL,
    old_class_id TEXT COLLATE "C" NOT NULL,
    new_county_code TEXT COLLATE "C" NOT NULL,
    new_school_code TEXT COLLATE "C" NOT NULL,
    new_class_id TEXT COLLATE "C" NOT NULL,
    occurred_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    fact_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, person_id, number)
);

-- What a county has done of Annex 1: reported, compiled, opened. Of each kind the first one that stands counts.
CREATE TABLE county_fact (
    programme_id TEXT COLLATE "C" NOT NULL,
    county_code TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    -- The counselor who reported, the lead who compiled; empty for an opening.
    person_id TEXT COLLATE "C" NOT NULL,
    occurred_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    fact_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, county_code, kind, occurred_at, fact_id)
);

-- A county's training fee on its way: of each reference one that stands, and those that were retracted.
CREATE TABLE remittance (
    programme_id TEXT COLLATE "C" NOT NULL,
    county_code TEXT COLLATE "C" NOT NULL,
    ref TEXT COLLATE "C" NOT NULL,
    -- 1/100 yuan.
    amount_fen BIGINT NOT NULL,
    occurred_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    fact_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, county_code, ref, fact_id)
);

-- What became of a remittance: confirmed, invoiced. Of each kind the first one that stands counts, of a remittance that does and
-- had been sent by then.
CREATE TABLE remittance_fact (
    programme_id TEXT COLLATE "C" NOT NULL,
    county_code TEXT COLLATE "C" NOT NULL,
    ref TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    occurred_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    fact_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, county_code, ref, kind, occurred_at, fact_id)
);

-- That a class tutor is not to be appointed again, by the keyed digest of their identity number, which is one for all programmes.
CREATE TABLE tutor_bar (
    programme_id TEXT COLLATE "C" NOT NULL,
    tutor_id TEXT COLLATE "C" NOT NULL,
    number_digest BYTEA NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    occurred_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    fact_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, tutor_id, fact_id)
);
CREATE INDEX tutor_bar_by_number ON tutor_bar (number_digest);

-- An expert's choice of an excellent tutor; the first one that stands counts.
CREATE TABLE tutor_choice (
    programme_id TEXT COLLATE "C" NOT NULL,
    tutor_id TEXT COLLATE "C" NOT NULL,
    expert_id TEXT COLLATE "C" NOT NULL,
    occurred_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    fact_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, tutor_id, expert_id, occurred_at, fact_id)
);
