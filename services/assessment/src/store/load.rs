//! Reads facts in bulk: a handful of statements for any number of people, classes or counties, never one for each.

use std::collections::BTreeMap;

use shipei_mirror::members;
use shipei_rules::ids::PersonId;
use shipei_service_kit::Error;
use shipei_store::{StoreError, Tx, select_by_keys};

use crate::{
    domain::trainee::{FirstPost, TraineeRows},
    facts::{Attendance, Instant, Mark, OfflineScore, PhaseAchieved, Submission},
    keys,
};

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
            "SELECT submission_id, person_id, submitted_at, number, owed_class_id, late_class_id \
             FROM submission WHERE programme_id = ",
            programme_id,
            " AND person_id IN "
        ],
        ""
    );
    gather!(
        marks,
        Mark,
        [
            "SELECT submission_id, mark_number, person_id, class_id, tutor_id, grade, marked_at FROM mark \
             WHERE programme_id = ",
            programme_id,
            " AND person_id IN "
        ],
        ""
    );
    gather!(
        posts,
        FirstPost,
        [
            "SELECT person_id, seminar_id, MIN(posted_at) AS posted_at FROM post WHERE programme_id = ",
            programme_id,
            " AND posted_at >= ",
            posts_from,
            " AND person_id IN "
        ],
        " GROUP BY person_id, seminar_id"
    );
    gather!(
        attendances,
        Attendance,
        [
            "SELECT person_id, activity_id, county_code, education_stage, attended_at FROM attendance \
             WHERE programme_id = ",
            programme_id,
            " AND person_id IN "
        ],
        ""
    );
    gather!(
        offline_scores,
        OfflineScore,
        [
            "SELECT person_id, activity_id, score_number, score, scored_at FROM offline_score WHERE programme_id = ",
            programme_id,
            " AND person_id IN "
        ],
        ""
    );
    Ok(people)
}

/// A class with its tutor.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct TutorClass {
    /// The class.
    pub class_id: String,
    /// Its tutor.
    pub tutor_id: String,
    /// Its region.
    pub region_code: String,
}

/// The tutors of these classes, of those that are known.
pub async fn tutors_of(
    tx: &mut Tx,
    programme_id: &str,
    class_ids: &[&str],
) -> Result<Vec<TutorClass>, StoreError> {
    select_by_keys!(
        tx,
        TutorClass,
        [
            "SELECT class_id, tutor_id, region_code FROM mirror_class WHERE programme_id = ",
            programme_id,
            " AND class_id IN "
        ],
        class_ids,
        |class_id| (*class_id)
    )
}

/// The classes of these tutors.
pub async fn classes_of(
    tx: &mut Tx,
    programme_id: &str,
    tutor_ids: &[&str],
) -> Result<Vec<TutorClass>, StoreError> {
    select_by_keys!(
        tx,
        TutorClass,
        [
            "SELECT class_id, tutor_id, region_code FROM mirror_class WHERE programme_id = ",
            programme_id,
            " AND tutor_id IN "
        ],
        tutor_ids,
        |tutor_id| (*tutor_id)
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
            "SELECT seminar_id, class_id, opened_at, summarised_at, (SELECT MIN(posted_at) FROM post \
             WHERE post.programme_id = seminar.programme_id AND post.seminar_id = seminar.seminar_id \
             AND posted_at >= ",
            posts_from,
            ") AS first_post_at FROM seminar WHERE programme_id = ",
            programme_id,
            " AND class_id IN "
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
            "SELECT class_id, bulletin_number, published_at FROM bulletin WHERE programme_id = ",
            programme_id,
            " AND class_id IN "
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
            "SELECT tutor_id, MIN(chosen_at) FROM tutor_choice WHERE programme_id = ",
            programme_id,
            " AND tutor_id IN "
        ],
        tutor_ids,
        |tutor_id| (*tutor_id),
        " GROUP BY tutor_id"
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
            "SELECT county_code, education_stage, kind, MIN(happened_at) AS happened_at FROM county_fact \
             WHERE happened_at >= CASE WHEN kind = 'plan' THEN ",
            plans_from,
            " ELSE ",
            others_from,
            " END AND programme_id = ",
            programme_id,
            " AND county_code IN "
        ],
        county_codes,
        |county_code| (*county_code),
        " GROUP BY county_code, education_stage, kind"
    )
}
