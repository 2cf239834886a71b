//! Reads facts in bulk: a handful of statements for any number of people, classes or counties, never one for each.

use std::collections::{BTreeMap, BTreeSet};

use shipei_mirror::{Class, members};
use shipei_rules::ids::{ClassId, PersonId};
use shipei_service_kit::Error;
use shipei_store::{StoreError, Tx, learned_stands, select_by_keys};

use crate::{
    domain::trainee::{FirstPost, TraineeRows},
    facts::{Attendance, Instant, Mark, OfflineScore, PhaseAchieved, Submission},
    keys,
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

/// Everything about these trainees, by person; people without any fact are there too. Posts count from `posts_from` on:
/// of each seminar the first one is enough.
pub async fn trainees(
    tx: &mut Tx,
    programme_id: &str,
    person_ids: &[&str],
    posts_from: Instant,
) -> Result<BTreeMap<String, TraineeRows>, Error> {
    let mut people: BTreeMap<String, TraineeRows> = BTreeMap::new();
    for person_id in person_ids {
        people.insert((*person_id).to_owned(), TraineeRows::default());
    }
    let keys = keys::people(person_ids)?;
    let keys: Vec<&PersonId> = keys.iter().collect();
    for member in members(tx, &keys::programme(programme_id)?, &keys).await? {
        if let Some(rows) = people.get_mut(member.person_id.as_str()) {
            rows.member = Some(member);
        }
    }
    macro_rules! gather {
        ($field:ident, $row:ty, [$($part:expr),+], $suffix:expr) => {
            let rows: Vec<$row> =
                select_by_keys!(tx, $row, [$($part),+], person_ids, |person_id| (*person_id), $suffix)?;
            for row in rows {
                if let Some(person) = people.get_mut(&row.person_id) {
                    person.$field.push(row);
                }
            }
        };
    }
    gather!(
        phases,
        PhaseAchieved,
        [
            "SELECT person_id, phase_index, achieved_at, session_id, version FROM phase_achieved WHERE programme_id = ",
            programme_id,
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
            programme_id,
            " AND s.person_id IN "
        ],
        ""
    );
    gather!(
        marks,
        Mark,
        [
            concat!(
                "SELECT m.submission_id, m.mark_number, m.person_id, m.class_id, m.tutor_id, m.grade, m.marked_at, \
                 m.fact_id FROM mark m WHERE",
                learned_stands!("m", "assignment-grading"),
                "AND m.programme_id = "
            ),
            programme_id,
            " AND m.person_id IN "
        ],
        ""
    );
    gather!(
        posts,
        FirstPost,
        [
            concat!(
                "SELECT p.person_id, p.seminar_id, MIN(p.posted_at) AS posted_at FROM post p WHERE",
                learned_stands!("p", "assignment-grading"),
                "AND NOT",
                in_fallen_seminar!(),
                "AND p.programme_id = "
            ),
            programme_id,
            " AND p.posted_at >= ",
            posts_from,
            " AND p.person_id IN "
        ],
        " GROUP BY p.person_id, p.seminar_id"
    );
    gather!(
        attendances,
        Attendance,
        [
            concat!(
                "SELECT a.person_id, a.activity_id, a.county_code, a.education_stage, MIN(a.attended_at) AS attended_at \
                 FROM attendance a WHERE",
                attendance_stands!(),
                "AND a.programme_id = "
            ),
            programme_id,
            " AND a.person_id IN "
        ],
        " GROUP BY a.person_id, a.activity_id, a.county_code, a.education_stage"
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
            programme_id,
            " AND o.person_id IN "
        ],
        ""
    );
    Ok(people)
}

/// These classes, of those that are known, by id.
pub async fn classes(tx: &mut Tx, programme_id: &str, class_ids: &[&str]) -> Result<Vec<Class>, Error> {
    let class_ids = keys::classes(class_ids)?;
    let class_ids: Vec<&ClassId> = class_ids.iter().collect();
    shipei_mirror::classes_of(tx, &keys::programme(programme_id)?, &class_ids).await
}

/// The classes that these tutors have or had, by id.
pub async fn classes_of(tx: &mut Tx, programme_id: &str, tutor_ids: &[&str]) -> Result<Vec<Class>, Error> {
    let mut class_ids: BTreeSet<String> = BTreeSet::new();
    for of_table in [
        "SELECT class_id FROM mirror_class WHERE programme_id = ",
        "SELECT class_id FROM mirror_class_tutor WHERE programme_id = ",
    ] {
        let rows: Vec<(String,)> = select_by_keys!(
            tx,
            (String,),
            [of_table, programme_id, " AND tutor_id IN "],
            tutor_ids,
            |tutor_id| (*tutor_id)
        )?;
        class_ids.extend(rows.into_iter().map(|(class_id,)| class_id));
    }
    let class_ids: Vec<&str> = class_ids.iter().map(String::as_str).collect();
    classes(tx, programme_id, &class_ids).await
}

/// Whoever ever stood in these classes.
pub async fn people_of(
    tx: &mut Tx,
    programme_id: &str,
    class_ids: &[&str],
) -> Result<Vec<(String, String)>, StoreError> {
    select_by_keys!(
        tx,
        (String, String),
        [
            "SELECT class_id, person_id FROM trainee_place WHERE programme_id = ",
            programme_id,
            " AND class_id IN "
        ],
        class_ids,
        |class_id| (*class_id)
    )
}

/// A seminar with its first post since the window opened.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct SeminarRow {
    /// The seminar.
    pub seminar_id: String,
    /// Its class.
    pub class_id: String,
    /// When it was opened.
    pub opened_at: Option<Instant>,
    /// When its summary was published.
    pub summarised_at: Option<Instant>,
    /// The first post.
    pub first_post_at: Option<Instant>,
}

/// The seminars of these classes. Posts count from `posts_from` on.
pub async fn seminars(
    tx: &mut Tx,
    programme_id: &str,
    class_ids: &[&str],
    posts_from: Instant,
) -> Result<Vec<SeminarRow>, StoreError> {
    select_by_keys!(
        tx,
        SeminarRow,
        [
            concat!(
                "SELECT s.seminar_id, s.class_id, s.opened_at, (SELECT MIN(x.summarised_at) FROM summary x \
                 WHERE x.programme_id = s.programme_id AND x.seminar_id = s.seminar_id AND",
                learned_stands!("x", "assignment-grading"),
                ") AS summarised_at, (SELECT MIN(p.posted_at) FROM post p \
                 WHERE p.programme_id = s.programme_id AND p.seminar_id = s.seminar_id AND",
                learned_stands!("p", "assignment-grading"),
                "AND p.posted_at >= "
            ),
            posts_from,
            concat!(
                ") AS first_post_at FROM seminar s WHERE",
                learned_stands!("s", "assignment-grading"),
                "AND s.programme_id = "
            ),
            programme_id,
            " AND s.class_id IN "
        ],
        class_ids,
        |class_id| (*class_id)
    )
}

/// A bulletin of a class.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct BulletinRow {
    /// The class.
    pub class_id: String,
    /// Its number.
    pub bulletin_number: i64,
    /// When it was published.
    pub published_at: Instant,
}

/// The bulletins of these classes.
pub async fn bulletins(
    tx: &mut Tx,
    programme_id: &str,
    class_ids: &[&str],
) -> Result<Vec<BulletinRow>, StoreError> {
    select_by_keys!(
        tx,
        BulletinRow,
        [
            concat!(
                "SELECT b.class_id, b.bulletin_number, b.published_at FROM bulletin b WHERE",
                learned_stands!("b", "assignment-grading"),
                "AND b.programme_id = "
            ),
            programme_id,
            " AND b.class_id IN "
        ],
        class_ids,
        |class_id| (*class_id)
    )
}

/// When each of these tutors was first chosen as excellent, of those who were.
pub async fn choices(
    tx: &mut Tx,
    programme_id: &str,
    tutor_ids: &[&str],
) -> Result<Vec<(String, Instant)>, StoreError> {
    select_by_keys!(
        tx,
        (String, Instant),
        [
            concat!(
                "SELECT c.tutor_id, MIN(c.chosen_at) FROM tutor_choice c WHERE",
                learned_stands!("c", "enrollment"),
                "AND c.programme_id = "
            ),
            programme_id,
            " AND c.tutor_id IN "
        ],
        tutor_ids,
        |tutor_id| (*tutor_id),
        " GROUP BY c.tutor_id"
    )
}

/// A submission about which a tutor answers for something at the programme's end.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct MarkingRow {
    /// The submission.
    pub submission_id: String,
    /// When it was submitted.
    pub submitted_at: Instant,
    /// The class whose tutor owes a mark.
    pub owed_class_id: Option<String>,
    /// The class whose week it made late.
    pub late_class_id: Option<String>,
}

/// The submissions that these classes answer for at the programme's end, each once for `owed` and once for `late`.
pub async fn stored_marking(
    tx: &mut Tx,
    programme_id: &str,
    class_ids: &[&str],
) -> Result<Vec<MarkingRow>, StoreError> {
    let mut rows: Vec<MarkingRow> = select_by_keys!(
        tx,
        MarkingRow,
        [
            "SELECT submission_id, submitted_at, owed_class_id, late_class_id FROM submission WHERE programme_id = ",
            programme_id,
            " AND owed_class_id IS NOT NULL AND owed_class_id IN "
        ],
        class_ids,
        |class_id| (*class_id)
    )?;
    let late: Vec<MarkingRow> = select_by_keys!(
        tx,
        MarkingRow,
        [
            "SELECT submission_id, submitted_at, owed_class_id, late_class_id FROM submission WHERE programme_id = ",
            programme_id,
            " AND late_class_id IS NOT NULL AND late_class_id IN "
        ],
        class_ids,
        |class_id| (*class_id)
    )?;
    rows.extend(late);
    Ok(rows)
}

/// Everybody who ever stood in one of these classes and has submitted something, by id.
pub async fn submitters_of(
    tx: &mut Tx,
    programme_id: &str,
    class_ids: &[&str],
) -> Result<Vec<String>, StoreError> {
    let rows: Vec<(String,)> = select_by_keys!(
        tx,
        (String,),
        [
            "SELECT person_id FROM trainee_place WHERE EXISTS (SELECT 1 FROM submission \
             WHERE submission.programme_id = trainee_place.programme_id \
             AND submission.person_id = trainee_place.person_id) AND programme_id = ",
            programme_id,
            " AND class_id IN "
        ],
        class_ids,
        |class_id| (*class_id)
    )?;
    let mut people: Vec<String> = rows.into_iter().map(|(person_id,)| person_id).collect();
    people.sort();
    people.dedup();
    Ok(people)
}

/// The first time of something that a county did, since its window opened.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct CountyTime {
    /// The county.
    pub county_code: String,
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
    programme_id: &str,
    county_codes: &[&str],
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
            programme_id,
            " AND f.county_code IN "
        ],
        county_codes,
        |county_code| (*county_code),
        " GROUP BY f.county_code, f.education_stage, f.kind"
    )
}

/// Who posted to these seminars, of those whose opening was retracted: seminar and person.
pub async fn posters_of_fallen(
    tx: &mut Tx,
    programme_id: &str,
    seminar_ids: &[&str],
) -> Result<Vec<(String, String)>, StoreError> {
    select_by_keys!(
        tx,
        (String, String),
        [
            concat!(
                "SELECT DISTINCT p.seminar_id, p.person_id FROM post p WHERE",
                in_fallen_seminar!(),
                "AND p.programme_id = "
            ),
            programme_id,
            " AND p.seminar_id IN "
        ],
        seminar_ids,
        |seminar_id| (*seminar_id)
    )
}

/// Who attended these activities, of those whose being held was retracted: activity and person.
pub async fn attendees_of_fallen(
    tx: &mut Tx,
    programme_id: &str,
    activity_ids: &[&str],
) -> Result<Vec<(String, String)>, StoreError> {
    select_by_keys!(
        tx,
        (String, String),
        [
            concat!(
                "SELECT DISTINCT a.activity_id, a.person_id FROM attendance a WHERE",
                at_fallen_activity!(),
                "AND a.programme_id = "
            ),
            programme_id,
            " AND a.activity_id IN "
        ],
        activity_ids,
        |activity_id| (*activity_id)
    )
}
