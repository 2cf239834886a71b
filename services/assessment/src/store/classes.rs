//! Reads what classes and their tutors did, in bulk.

use std::collections::BTreeSet;

use shipei_mirror::{Class, Merge, merges, placed};
use shipei_rules::{
    ids::{ClassId, PersonId, ProgrammeId, SeminarId, SubmissionId},
    vocabulary::Role,
};
use shipei_service_kit::Error;
use shipei_store::{StoreError, Tx, learned_stands, select_by_keys};

use crate::{absent::MaybeId, facts::Instant};

#[derive(sqlx::FromRow)]
struct ClassRow {
    #[sqlx(try_from = "String")]
    class_id: ClassId,
}

/// The classes that these tutors have or had, by id.
pub async fn classes_of(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    tutor_ids: &[&PersonId],
) -> Result<Vec<Class>, Error> {
    let mut class_ids: BTreeSet<ClassId> = BTreeSet::new();
    for of_table in [
        "SELECT class_id FROM mirror_class WHERE programme_id = ",
        "SELECT class_id FROM mirror_class_tutor WHERE programme_id = ",
    ] {
        let rows = select_by_keys!(
            tx,
            ClassRow,
            [of_table, programme_id.as_str(), " AND tutor_id IN "],
            tutor_ids,
            |tutor_id| (tutor_id.as_str())
        )?;
        class_ids.extend(rows.into_iter().map(|row| row.class_id));
    }
    let class_ids: Vec<&ClassId> = class_ids.iter().collect();
    shipei_mirror::classes_of(tx, programme_id, &class_ids).await
}

/// Somebody, and a class that they stood in, or posted to.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct PersonOfClass {
    /// The class.
    #[sqlx(try_from = "String")]
    pub class_id: ClassId,
    /// Who.
    #[sqlx(try_from = "String")]
    pub person_id: PersonId,
}

/// Whoever ever stood in these classes.
pub async fn people_of(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    class_ids: &[&ClassId],
) -> Result<Vec<PersonOfClass>, StoreError> {
    select_by_keys!(
        tx,
        PersonOfClass,
        [
            "SELECT class_id, person_id FROM trainee_place WHERE programme_id = ",
            programme_id.as_str(),
            " AND class_id IN "
        ],
        class_ids,
        |class_id| (class_id.as_str())
    )
}

/// The classes to whose seminars these people posted.
pub async fn classes_posted_in(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_ids: &[&PersonId],
) -> Result<Vec<PersonOfClass>, StoreError> {
    select_by_keys!(
        tx,
        PersonOfClass,
        [
            "SELECT DISTINCT s.class_id, p.person_id FROM post p JOIN seminar s ON s.programme_id = p.programme_id \
             AND s.seminar_id = p.seminar_id WHERE p.programme_id = ",
            programme_id.as_str(),
            " AND p.person_id IN "
        ],
        person_ids,
        |person_id| (person_id.as_str())
    )
}

/// A seminar with its first post since the window opened.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct SeminarRow {
    /// The seminar.
    #[sqlx(try_from = "String")]
    pub seminar_id: SeminarId,
    /// Its class.
    #[sqlx(try_from = "String")]
    pub class_id: ClassId,
    /// When it was opened.
    pub opened_at: Option<Instant>,
    /// When its summary was published.
    pub summarised_at: Option<Instant>,
    /// The first post by who stood in the class then.
    pub first_post_at: Option<Instant>,
}

/// The seminars of these classes. Posts count from `posts_from` on.
pub async fn seminars(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    class_ids: &[&ClassId],
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
                ") AS summarised_at, (SELECT p.posted_at FROM post p \
                 WHERE p.programme_id = s.programme_id AND p.seminar_id = s.seminar_id AND",
                learned_stands!("p", "assignment-grading"),
                "AND NOT EXISTS (SELECT 1 FROM mirror_member m WHERE m.programme_id = p.programme_id \
                 AND m.person_id = p.person_id AND m.as_role = 'trainee' AND m.removed) AND ",
                placed!("class_id", "p.programme_id", "p.person_id", "p.posted_at"),
                " = s.class_id AND p.posted_at >= "
            ),
            posts_from,
            concat!(
                " ORDER BY p.posted_at LIMIT 1) AS first_post_at FROM seminar s WHERE",
                learned_stands!("s", "assignment-grading"),
                "AND s.programme_id = "
            ),
            programme_id.as_str(),
            " AND s.class_id IN "
        ],
        class_ids,
        |class_id| (class_id.as_str())
    )
}

/// A bulletin of a class.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct BulletinRow {
    /// The class.
    #[sqlx(try_from = "String")]
    pub class_id: ClassId,
    /// Its number.
    pub bulletin_number: i64,
    /// When it was published.
    pub published_at: Instant,
}

/// The bulletins of these classes.
pub async fn bulletins(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    class_ids: &[&ClassId],
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
            programme_id.as_str(),
            " AND b.class_id IN "
        ],
        class_ids,
        |class_id| (class_id.as_str())
    )
}

/// A tutor who was chosen as excellent.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct ChoiceRow {
    /// Who.
    #[sqlx(try_from = "String")]
    pub tutor_id: PersonId,
    /// When first.
    pub chosen_at: Instant,
}

/// When each of these tutors was first chosen as excellent, of those who were.
pub async fn choices(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    tutor_ids: &[&PersonId],
) -> Result<Vec<ChoiceRow>, StoreError> {
    select_by_keys!(
        tx,
        ChoiceRow,
        [
            concat!(
                "SELECT c.tutor_id, MIN(c.chosen_at) AS chosen_at FROM tutor_choice c WHERE",
                learned_stands!("c", "enrollment"),
                "AND c.programme_id = "
            ),
            programme_id.as_str(),
            " AND c.tutor_id IN "
        ],
        tutor_ids,
        |tutor_id| (tutor_id.as_str()),
        " GROUP BY c.tutor_id"
    )
}

/// A submission about which a tutor answers for something at the programme's end.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct MarkingRow {
    /// The submission.
    #[sqlx(try_from = "String")]
    pub submission_id: SubmissionId,
    /// Whose it is.
    #[sqlx(try_from = "String")]
    pub person_id: PersonId,
    /// When it was submitted.
    pub submitted_at: Instant,
    /// The class whose tutor owes a mark.
    #[sqlx(try_from = "MaybeId")]
    pub owed_class_id: Option<ClassId>,
    /// The class whose week it made late.
    #[sqlx(try_from = "MaybeId")]
    pub late_class_id: Option<ClassId>,
}

/// The submissions that these classes answer for at the programme's end, each once for `owed` and once for `late`.
pub async fn stored_marking(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    class_ids: &[&ClassId],
) -> Result<Vec<MarkingRow>, StoreError> {
    let mut rows: Vec<MarkingRow> = select_by_keys!(
        tx,
        MarkingRow,
        [
            "SELECT submission_id, person_id, submitted_at, owed_class_id, late_class_id FROM submission WHERE programme_id = ",
            programme_id.as_str(),
            " AND owed_class_id IS NOT NULL AND owed_class_id IN "
        ],
        class_ids,
        |class_id| (class_id.as_str())
    )?;
    let late: Vec<MarkingRow> = select_by_keys!(
        tx,
        MarkingRow,
        [
            "SELECT submission_id, person_id, submitted_at, owed_class_id, late_class_id FROM submission WHERE programme_id = ",
            programme_id.as_str(),
            " AND late_class_id IS NOT NULL AND late_class_id IN "
        ],
        class_ids,
        |class_id| (class_id.as_str())
    )?;
    rows.extend(late);
    Ok(rows)
}

#[derive(sqlx::FromRow)]
struct PersonRow {
    #[sqlx(try_from = "String")]
    person_id: PersonId,
}

/// Everybody who ever stood in one of these classes and has submitted something, by the id that counts for them.
pub async fn submitters_of(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    class_ids: &[&ClassId],
) -> Result<Vec<PersonId>, Error> {
    let rows = select_by_keys!(
        tx,
        PersonRow,
        [
            "SELECT person_id FROM trainee_place WHERE EXISTS (SELECT 1 FROM submission \
             WHERE submission.programme_id = trainee_place.programme_id \
             AND submission.person_id = trainee_place.person_id) AND programme_id = ",
            programme_id.as_str(),
            " AND class_id IN "
        ],
        class_ids,
        |class_id| (class_id.as_str())
    )?;
    let mut people: Vec<PersonId> = rows.into_iter().map(|row| row.person_id).collect();
    let ids: Vec<&PersonId> = people.iter().collect();
    for Merge { merged_id, kept_id } in merges(tx, programme_id, Role::Trainee, &ids).await? {
        if people.contains(&merged_id) {
            people.push(kept_id);
        }
    }
    people.sort();
    people.dedup();
    Ok(people)
}
