-- Where trainees moved, and when: a fact that is dated before a transfer is answered by the place of then, whenever it
-- arrives. From now on mirror_member names the place of the registration, which counts until the first transfer, and no
-- longer the latest one; placed_at is the time of the last transfer, 1970 for none.

-- A transfer, under the place of its event in enrollment's log: where the trainee stands from then on.
CREATE TABLE mirror_transfer (
    programme_id    TEXT COLLATE "C" NOT NULL,
    person_id       TEXT COLLATE "C" NOT NULL,
    event_partition BIGINT NOT NULL,
    event_number    BIGINT NOT NULL,
    transferred_at  TIMESTAMPTZ NOT NULL,
    county_code     TEXT COLLATE "C" NOT NULL,
    school_code     TEXT COLLATE "C" NOT NULL,
    class_id        TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (person_id, programme_id, event_partition, event_number)
);
CREATE INDEX mirror_transfer_by_class ON mirror_transfer (class_id, programme_id, person_id);

-- The last transfers of before, as from no event: the log is learned again from its first event (projector.rs, TYPES),
-- and who moved must not stand in the place of their registration until their transfers have come too.
INSERT INTO mirror_transfer (programme_id, person_id, event_partition, event_number, transferred_at, county_code,
    school_code, class_id)
SELECT programme_id, person_id, -1, -1, placed_at, county_code, school_code, class_id
FROM mirror_member WHERE placed_at > '1970-01-02';
