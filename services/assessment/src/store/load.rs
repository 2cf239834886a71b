//! Reads facts of trainees and counties in bulk: a handful of statements for any number of people, classes or counties, never
//! one for each.

use std::collections::{BTreeMap, BTreeSet};

use shipei_mirror::members;
use shipei_rules::{
    ids::{ActivityId, PersonId, ProgrammeId, SeminarId},
    region::RegionCode,
    vocabulary::Role,
};
use shipei_service_kit::Error;
use shipei_store::{StoreError, Tx, learned_stands, select_by_keys, successor};

use crate::{
    domain::trainee::{AttendanceRow, MarkRow, PhaseRow, PostRow, TraineeRows},
    facts::{Decision, Instant, OfflineScore, Submission},
};

/// A condition: the seminar of a post `p` was never opened, since that was retracted.
macro_rules! in_fallen_seminar {
    () => {
        concat!(
            " EXISTS (SELECT 1 FROM seminar n WHERE n.programme_id = p.programme_id AND n.seminar_id = p.seminar_id AND NOT",
            learned_stands!("n", "assignment-grading"),
            ") "
        )
    };
}

/// A condition: the activity of an attendance `a` was never held, since that was retracted.
macro_rules! at_fallen_activity {
    () => {
        concat!(
            " EXISTS (SELECT 1 FROM county_fact h WHERE h.programme_id = a.programme_id AND h.county_code = a.county_code \
             AND h.education_stage = a.education_stage AND h.kind = 'activity' AND h.reference = a.activity_id AND NOT",
            learned_stands!("h", "offline-activity"),
            ") "
        )
    };
}

/// A condition: an attendance `a` stands, and the activity that it rests on.
macro_rules! attendance_stands {
    () => {
        concat!(learned_stands!("a", "offline-activity"), "AND NOT", at_fallen_activity!())
    };
}

/// Everything about these trainees, by person, with what was recorded for the ids that count for them; people without any fact are
/// there too. Posts count from `posts_from` on.
pub async fn trainees(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_ids: &[&PersonId],
    posts_from: Instant,
) -> Result<BTreeMap<PersonId, TraineeRows>, Error> {
    let mut people: BTreeMap<PersonId, TraineeRows> = BTreeMap::new();
    for person_id in person_ids {
        people.insert((*person_id).clone(), TraineeRows::default());
    }
    // What was recorded for an id counts for the one that is kept of its person, if that is asked for.
    let mut counts_for: BTreeMap<PersonId, PersonId> = BTreeMap::new();
    for member in members(tx, programme_id, Role::Trainee, person_ids).await? {
        for merged_id in &member.merged {
            counts_for.insert(merged_id.clone(), member.person_id.clone());
        }
        if let Some(rows) = people.get_mut(&member.person_id) {
            rows.member = Some(member);
        }
    }
    let merged: Vec<&PersonId> = counts_for.keys().collect();
    for member in members(tx, programme_id, Role::Trainee, &merged).await? {
        let kept = counts_for.get(&member.person_id).and_then(|kept_id| people.get_mut(kept_id));
        if let Some(rows) = kept {
            rows.merged.push(member);
        }
    }
    let ids: BTreeSet<&PersonId> = person_ids.iter().copied().chain(merged).collect();
    let ids: Vec<&PersonId> = ids.into_iter().collect();
    macro_rules! gather {
        ($field:ident, $row:ty, [$($part:expr),+], $suffix:expr) => {
            let rows: Vec<$row> =
                select_by_keys!(tx, $row, [$($part),+], ids, |person_id| (person_id.as_str()), $suffix)?;
            for row in rows {
                if let Some(person) = people.get_mut(counts_for.get(&row.person_id).unwrap_or(&row.person_id)) {
                    person.$field.push(row);
                }
            }
        };
    }
    gather!(
        phases,
        PhaseRow,
        [
            "SELECT person_id, phase_index, united, achieved_at, studied_seconds, studied_at FROM phase_achieved \
             WHERE programme_id = ",
            programme_id.as_str(),
            " AND person_id IN "
        ],
        ""
    );
    gather!(
        submissions,
        Submission,
        [
            concat!(
                "SELECT s.submission_id, s.person_id, s.submitted_at, s.number, s.fact_id,",
                learned_stands!("s", "assignment-grading"),
                "AS stands, s.owed_class_id, s.late_class_id FROM submission s WHERE s.programme_id = "
            ),
            programme_id.as_str(),
            " AND s.person_id IN "
        ],
        ""
    );
    gather!(
        marks,
        MarkRow,
        [
            concat!(
                "SELECT m.submission_id, m.mark_number, m.person_id, m.grade, m.marked_at FROM mark m WHERE",
                learned_stands!("m", "assignment-grading"),
                "AND NOT EXISTS (SELECT 1 FROM mark_judgement j WHERE j.programme_id = m.programme_id \
                 AND j.submission_id = m.submission_id AND j.mark_number = m.mark_number AND NOT j.counts) \
                 AND m.programme_id = "
            ),
            programme_id.as_str(),
            " AND m.person_id IN "
        ],
        ""
    );
    gather!(
        posts,
        PostRow,
        [
            concat!(
                "SELECT p.person_id, p.seminar_id, c.class_id, p.posted_at FROM post p \
                 JOIN seminar c ON c.programme_id = p.programme_id AND c.seminar_id = p.seminar_id WHERE",
                learned_stands!("p", "assignment-grading"),
                "AND NOT",
                in_fallen_seminar!(),
                "AND p.programme_id = "
            ),
            programme_id.as_str(),
            " AND p.posted_at >= ",
            posts_from,
            " AND p.person_id IN "
        ],
        ""
    );
    gather!(
        attendances,
        AttendanceRow,
        [
            concat!(
                "SELECT a.person_id, a.activity_id, a.county_code, a.education_stage, a.attended_at, ",
                successor!("region", "a.programme_id", "a.county_code", "a.attended_at"),
                " AS county_then FROM attendance a WHERE",
                attendance_stands!(),
                "AND a.programme_id = "
            ),
            programme_id.as_str(),
            " AND a.person_id IN "
        ],
        ""
    );
    gather!(
        offline_scores,
        OfflineScore,
        [
            concat!(
                "SELECT o.person_id, o.activity_id, o.score_number, o.score, o.scored_at, o.fact_id FROM offline_score o \
                 WHERE EXISTS (SELECT 1 FROM attendance a WHERE a.programme_id = o.programme_id \
                 AND a.person_id = o.person_id AND a.activity_id = o.activity_id AND a.attended_at <= o.scored_at AND",
                attendance_stands!(),
                ") AND",
                learned_stands!("o", "offline-activity"),
                "AND o.programme_id = "
            ),
            programme_id.as_str(),
            " AND o.person_id IN "
        ],
        ""
    );
    gather!(
        decisions,
        Decision,
        [
            concat!(
                "SELECT d.person_id, d.number, d.item, d.points, d.kind, d.decided_at, d.expires_at, d.decided_by, \
                 d.fact_id FROM adjustment d WHERE",
                learned_stands!("d", "assessment-decisions"),
                "AND d.programme_id = "
            ),
            programme_id.as_str(),
            " AND d.person_id IN "
        ],
        ""
    );
    Ok(people)
}

/// The first time of something that a county did, since its window opened.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct CountyTime {
    /// The county.
    #[sqlx(try_from = "String")]
    pub county_code: RegionCode,
    /// The education stage's word.
    pub education_stage: String,
    /// `plan`, `activity` or `results`.
    pub kind: String,
    /// When.
    pub happened_at: Instant,
}

/// What these counties did first, by stage and kind: plans from `plans_from` on, everything else from `others_from` on.
pub async fn county_times(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    county_codes: &[RegionCode],
    plans_from: Instant,
    others_from: Instant,
) -> Result<Vec<CountyTime>, StoreError> {
    select_by_keys!(
        tx,
        CountyTime,
        [
            concat!(
                "SELECT f.county_code, f.education_stage, f.kind, MIN(f.happened_at) AS happened_at FROM county_fact f \
                 WHERE",
                learned_stands!("f", "offline-activity"),
                "AND f.happened_at >= CASE WHEN f.kind = 'plan' THEN "
            ),
            plans_from,
            " ELSE ",
            others_from,
            " END AND f.programme_id = ",
            programme_id.as_str(),
            " AND f.county_code IN "
        ],
        county_codes,
        |county_code| (county_code.as_str()),
        " GROUP BY f.county_code, f.education_stage, f.kind"
    )
}

/// Somebody who posted to a seminar.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Poster {
    /// The seminar.
    #[sqlx(try_from = "String")]
    pub seminar_id: SeminarId,
    /// Who.
    #[sqlx(try_from = "String")]
    pub person_id: PersonId,
}

/// Who posted to these seminars, of those whose opening was retracted: seminar and person.
pub async fn posters_of_fallen(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    seminar_ids: &[&SeminarId],
) -> Result<Vec<Poster>, StoreError> {
    select_by_keys!(
        tx,
        Poster,
        [
            concat!(
                "SELECT DISTINCT p.seminar_id, p.person_id FROM post p WHERE",
                in_fallen_seminar!(),
                "AND p.programme_id = "
            ),
            programme_id.as_str(),
            " AND p.seminar_id IN "
        ],
        seminar_ids,
        |seminar_id| (seminar_id.as_str())
    )
}

/// Somebody who attended an activity.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Attendee {
    /// The activity.
    #[sqlx(try_from = "String")]
    pub activity_id: ActivityId,
    /// Who.
    #[sqlx(try_from = "String")]
    pub person_id: PersonId,
}

/// Who attended these activities, of those whose being held was retracted: activity and person.
pub async fn attendees_of_fallen(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    activity_ids: &[&ActivityId],
) -> Result<Vec<Attendee>, StoreError> {
    select_by_keys!(
        tx,
        Attendee,
        [
            concat!(
                "SELECT DISTINCT a.activity_id, a.person_id FROM attendance a WHERE",
                at_fallen_activity!(),
                "AND a.programme_id = "
            ),
            programme_id.as_str(),
            " AND a.activity_id IN "
        ],
        activity_ids,
        |activity_id| (activity_id.as_str())
    )
}
