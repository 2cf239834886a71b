-- Transfers are kept by the mirror (mirror_transfer), for all services alike. What was learned of them here moves there,
-- and the first place of who moved with it, so that no score changes while enrollment's log is learned again (which
-- names the schools too). The table place_change stays for running instances of the version before, and is read no more.
INSERT INTO mirror_transfer (programme_id, person_id, event_partition, event_number, transferred_at, county_code,
    school_code, class_id)
SELECT programme_id, person_id, event_partition, event_number, changed_at, new_county_code, '', new_class_id
FROM place_change;

UPDATE mirror_member SET
    county_code = (SELECT old_county_code FROM place_change p WHERE p.programme_id = mirror_member.programme_id
        AND p.person_id = mirror_member.person_id ORDER BY changed_at, event_number, event_partition LIMIT 1),
    class_id = (SELECT old_class_id FROM place_change p WHERE p.programme_id = mirror_member.programme_id
        AND p.person_id = mirror_member.person_id ORDER BY changed_at, event_number, event_partition LIMIT 1)
WHERE EXISTS (SELECT 1 FROM place_change p WHERE p.programme_id = mirror_member.programme_id
    AND p.person_id = mirror_member.person_id);
