-- What this service keeps of enrollment, from enrollment's log. Every row may be begun by any event: events of
-- different partitions arrive in any order. Versions 50 to 99 belong to the mirror.

-- A programme and the scheme in force.
CREATE TABLE mirror_programme (
    programme_id   TEXT COLLATE "C"   NOT NULL,
    region_code    TEXT COLLATE "C"   NOT NULL,
    scheme_version BIGINT NOT NULL,
    scheme_toml    TEXT COLLATE "C"   NOT NULL,
    PRIMARY KEY (programme_id)
);

-- A region as it was created: the region above, and the province above that (empty for a province). What lies in what at
-- any time follows from this and the moves, and is kept in region_within.
CREATE TABLE mirror_region (
    programme_id  TEXT COLLATE "C" NOT NULL,
    region_code   TEXT COLLATE "C" NOT NULL,
    level         TEXT COLLATE "C" NOT NULL,
    parent_code   TEXT COLLATE "C" NOT NULL,
    province_code TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, region_code)
);

-- A county that came to lie in another region, by the number of the move, which is enrollment's.
CREATE TABLE mirror_region_move (
    programme_id  TEXT COLLATE "C" NOT NULL,
    region_code   TEXT COLLATE "C" NOT NULL,
    move_number   BIGINT NOT NULL,
    moved_at      TIMESTAMPTZ NOT NULL,
    parent_code   TEXT COLLATE "C" NOT NULL,
    province_code TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, region_code, move_number)
);

-- That a county, a school or a class was merged into another one, or that a class was closed (into_code is empty), by the number of the
-- change, which is enrollment's. What stands for what at any time follows from those that stand, and is kept in place_successor.
CREATE TABLE mirror_ending (
    programme_id  TEXT COLLATE "C" NOT NULL,
    kind          TEXT COLLATE "C" NOT NULL,
    change_number BIGINT NOT NULL,
    code          TEXT COLLATE "C" NOT NULL,
    into_code     TEXT COLLATE "C" NOT NULL,
    ended_at      TIMESTAMPTZ NOT NULL,
    fact_id       TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, kind, change_number)
);

-- A class and its first tutor; empty for nobody. The region is that of its creation.
CREATE TABLE mirror_class (
    programme_id TEXT COLLATE "C" NOT NULL,
    class_id     TEXT COLLATE "C" NOT NULL,
    region_code  TEXT COLLATE "C" NOT NULL,
    tutor_id     TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, class_id)
);
CREATE INDEX mirror_class_by_tutor ON mirror_class (programme_id, tutor_id);

-- Another tutor of a class from an instant on, by the number of the change, which is enrollment's; empty for nobody.
CREATE TABLE mirror_class_tutor (
    programme_id  TEXT COLLATE "C" NOT NULL,
    class_id      TEXT COLLATE "C" NOT NULL,
    change_number BIGINT NOT NULL,
    changed_at    TIMESTAMPTZ NOT NULL,
    tutor_id      TEXT COLLATE "C" NOT NULL,
    fact_id       TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, class_id, change_number)
);
CREATE INDEX mirror_class_tutor_by_tutor ON mirror_class_tutor (programme_id, tutor_id, class_id);

-- The end of one window moved, for a region, a class, a person or all. place_code is where who has it stood when it was granted.
CREATE TABLE mirror_extension (
    programme_id TEXT COLLATE "C" NOT NULL,
    extension_id TEXT COLLATE "C" NOT NULL,
    window_name  TEXT COLLATE "C" NOT NULL,
    last_day     TEXT COLLATE "C" NOT NULL,
    region_code  TEXT COLLATE "C" NOT NULL,
    class_id     TEXT COLLATE "C" NOT NULL,
    person_id    TEXT COLLATE "C" NOT NULL,
    place_code   TEXT COLLATE "C" NOT NULL,
    fact_id      TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, extension_id, fact_id)
);

-- A sum of digests of a programme's extensions and of the tree that says for whom they are: another sum, other windows.
CREATE TABLE mirror_windows (
    programme_id TEXT COLLATE "C" NOT NULL,
    changes      BIGINT NOT NULL,
    PRIMARY KEY (programme_id)
);

-- That learning was opened for a county, by the fact; the first one that stands counts (learned_retraction).
CREATE TABLE mirror_county (
    programme_id TEXT COLLATE "C" NOT NULL,
    county_code  TEXT COLLATE "C" NOT NULL,
    opened_at    TIMESTAMPTZ NOT NULL,
    fact_id      TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (programme_id, county_code, opened_at, fact_id)
);

-- Somebody of the programme in one of their roles (as_role). An empty role is somebody of whom only a later fact has arrived yet: nobody, so far. The place
-- is that of the registration (registered_at), which counts until the first transfer; placed_at is the time of the last transfer, 1970 for
-- none. What somebody teaches is that of the registration; changes is the largest number of mirror_teaching, which has what
-- changed. The last two columns are the first times of mirror_person_fact that stand. A log-in counts in all roles, and is kept with the
-- trainee's, where each heartbeat asks for it, also of who is none; withdrawn_at says no more than that mirror_absence has
-- something of them. Who was removed, since they had been enrolled by mistake, has an empty role while that stands.
CREATE TABLE mirror_member (
    programme_id      TEXT COLLATE "C" NOT NULL,
    person_id         TEXT COLLATE "C" NOT NULL,
    as_role           TEXT COLLATE "C" NOT NULL,
    role              TEXT COLLATE "C" NOT NULL,
    removed           BOOLEAN NOT NULL,
    county_code       TEXT COLLATE "C" NOT NULL,
    school_code       TEXT COLLATE "C" NOT NULL,
    class_id          TEXT COLLATE "C" NOT NULL,
    education_stage   TEXT COLLATE "C" NOT NULL,
    development_stage TEXT COLLATE "C" NOT NULL,
    subject           TEXT COLLATE "C" NOT NULL,
    registered_at     TIMESTAMPTZ,
    placed_at         TIMESTAMPTZ,
    changes           BIGINT,
    -- Whether mirror_merge may have something of them, on either side.
    is_merged         BOOLEAN NOT NULL,
    login_at          TIMESTAMPTZ,
    withdrawn_at      TIMESTAMPTZ,
    PRIMARY KEY (person_id, programme_id, as_role)
);

-- What somebody teaches in a role otherwise than the registration has it, by the number of the change, which is enrollment's: from
-- since_at on, or always, where that is absent. What is absent of the others stays as it was.
CREATE TABLE mirror_teaching (
    programme_id      TEXT COLLATE "C" NOT NULL,
    person_id         TEXT COLLATE "C" NOT NULL,
    as_role           TEXT COLLATE "C" NOT NULL,
    change_number     BIGINT NOT NULL,
    since_at          TIMESTAMPTZ,
    subject           TEXT COLLATE "C",
    education_stage   TEXT COLLATE "C" NOT NULL,
    development_stage TEXT COLLATE "C" NOT NULL,
    fact_id           TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (person_id, programme_id, as_role, change_number)
);

-- Two ids of one person in a role, by the fact, with the number that enrollment gave it: merged_id counts for kept_id; of several merges of an
-- id that stand the one with the largest number counts.
CREATE TABLE mirror_merge (
    programme_id TEXT COLLATE "C" NOT NULL,
    merged_id    TEXT COLLATE "C" NOT NULL,
    kept_id      TEXT COLLATE "C" NOT NULL,
    as_role      TEXT COLLATE "C" NOT NULL,
    merge_number BIGINT NOT NULL,
    fact_id      TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (merged_id, programme_id, merge_number)
);
CREATE INDEX mirror_merge_by_kept ON mirror_merge (kept_id, programme_id);

-- When somebody was away from a role: from a withdrawal to the return after it (9999 for good), of the facts that stand.
CREATE TABLE mirror_absence (
    programme_id TEXT COLLATE "C" NOT NULL,
    person_id    TEXT COLLATE "C" NOT NULL,
    as_role      TEXT COLLATE "C" NOT NULL,
    from_at      TIMESTAMPTZ NOT NULL,
    until_at     TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (person_id, programme_id, as_role, from_at)
);

-- What a member did or what befell them, by the fact: login, pre_job, withdrawal, return, removal; of the first two, which count in all
-- roles, as_role is empty.
CREATE TABLE mirror_person_fact (
    programme_id TEXT COLLATE "C" NOT NULL,
    person_id    TEXT COLLATE "C" NOT NULL,
    as_role      TEXT COLLATE "C" NOT NULL,
    kind         TEXT COLLATE "C" NOT NULL,
    happened_at  TIMESTAMPTZ NOT NULL,
    fact_id      TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (person_id, programme_id, as_role, kind, happened_at, fact_id)
);
CREATE INDEX mirror_member_by_class ON mirror_member (class_id, programme_id, person_id);
CREATE INDEX mirror_member_by_county ON mirror_member (county_code, programme_id, role, person_id);

-- A transfer, by the number of the move, which is enrollment's: where the trainee stands from then on, as it was said; of a place that
-- has ended its successor counts. A fact that is dated
-- before a transfer is answered by the place of then, whenever it arrives.
CREATE TABLE mirror_transfer (
    programme_id   TEXT COLLATE "C" NOT NULL,
    person_id      TEXT COLLATE "C" NOT NULL,
    move_number    BIGINT NOT NULL,
    transferred_at TIMESTAMPTZ NOT NULL,
    county_code    TEXT COLLATE "C" NOT NULL,
    school_code    TEXT COLLATE "C" NOT NULL,
    class_id       TEXT COLLATE "C" NOT NULL,
    fact_id        TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (person_id, programme_id, move_number)
);
CREATE INDEX mirror_transfer_by_class ON mirror_transfer (class_id, programme_id, person_id);
