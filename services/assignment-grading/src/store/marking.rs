//! What tutors owe: submissions that wait for a mark.

use chrono::{DateTime, Utc};
use shipei_mirror::{placed, tutor_of_class};
use shipei_rules::ids::{PersonId, ProgrammeId, text_of};
use shipei_service_kit::{
    Reach,
    reach::{AsOf, Columns},
};
use shipei_store::{
    StoreError, Tx, fetch_list, fetch_page,
    list::Listed,
    list::Piece,
    sqlx::{self, Encode, QueryBuilder, Type},
    stands,
};

use super::{
    AfterTime,
    submission::{SubmissionRow, submission_columns},
};

/// A FROM: submissions `s` of whoever ever stood in a class that a tutor ever had, or in one that was merged into it. CROSS JOIN makes SQLite begin with the people, who
/// are few, and not with the submissions by time (60,000 of them: 0.9 ms against 27).
struct OfTheTutorsPeople<'a> {
    programme_id: &'a ProgrammeId,
    tutor_id: &'a PersonId,
}

impl<DB: sqlx::Database> Piece<DB> for OfTheTutorsPeople<'_>
where
    for<'a> &'a str: Encode<'a, DB> + Type<DB>,
{
    fn push_to(&self, query: &mut QueryBuilder<DB>) {
        query.push("FROM (SELECT person_id FROM mirror_member WHERE programme_id = ");
        for rest in [" UNION SELECT person_id FROM mirror_transfer WHERE programme_id = ", ""] {
            query.push_bind(self.programme_id.as_str());
            query.push(" AND class_id IN (WITH had AS (");
            for (table, end) in [("mirror_class", " UNION "), ("mirror_class_tutor", ")")] {
                query.push("SELECT class_id FROM ").push(table).push(" WHERE programme_id = ");
                query.push_bind(self.programme_id.as_str());
                query.push(" AND tutor_id = ").push_bind(self.tutor_id.as_str()).push(end);
            }
            query.push(" SELECT class_id FROM had UNION SELECT code FROM place_successor WHERE kind = 'class' AND programme_id = ");
            query.push_bind(self.programme_id.as_str());
            query.push(" AND successor IN (SELECT class_id FROM had))");
            query.push(rest);
        }
        query.push(") p CROSS JOIN submission s ");
    }
}

/// What a tutor owed a mark at `as_of`, oldest first, but for their own work: submissions of the trainees who stood at `owing_as_of` in the classes that
/// the tutor had at that time.
pub(crate) async fn list_marking(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    tutor_id: &PersonId,
    (as_of, owing_as_of): (DateTime<Utc>, DateTime<Utc>),
    after: &AfterTime<'_>,
    limit: i64,
) -> Result<Vec<Listed<SubmissionRow>>, StoreError> {
    // A mark that is owed belongs to the class that owes it, and is its tutor's.
    let columns = Columns {
        programme: "s.programme_id",
        region: "c.region_code",
        class: "c.class_id",
        person: tutor_of_class!("'9999-12-31T00:00:00+00:00'"),
        subject: "",
        as_of: AsOf::At(as_of),
    };
    fetch_page!(
        tx,
        SubmissionRow,
        "submission" by ["submitted_at", "submission_id"],
        [
            submission_columns!(),
            OfTheTutorsPeople { programme_id, tutor_id },
            "JOIN mirror_member m ON m.programme_id = s.programme_id AND m.person_id = s.person_id AND m.as_role = 'trainee' \
             JOIN (SELECT ",
            owing_as_of,
            concat!(
                " AS owing) o ON TRUE JOIN mirror_class c ON c.programme_id = s.programme_id AND c.class_id = ",
                placed!("class_id", "s.programme_id", "s.person_id", "o.owing"),
                " WHERE s.person_id = p.person_id AND s.programme_id = "
            ),
            programme_id.as_str(),
            concat!(" AND ", tutor_of_class!("o.owing"), " = "),
            tutor_id.as_str(),
            " AND s.submitted_at <= ",
            as_of,
            " AND (s.first_mark_at IS NULL OR s.first_mark_at > ",
            as_of,
            ") AND (s.superseded_at IS NULL OR s.superseded_at > ",
            as_of,
            concat!(
                ") AND",
                stands!("s"),
                "AND s.disregarded_for IS NULL AND NOT EXISTS (SELECT 1 FROM mirror_absence w \
                 WHERE w.programme_id = m.programme_id AND w.person_id = m.person_id AND w.as_role = m.as_role AND w.from_at <= "
            ),
            as_of,
            " AND w.until_at > ",
            as_of,
            ") AND m.role <> '' AND s.person_id <> ",
            tutor_id.as_str(),
            " AND (s.submitted_at, s.submission_id) > (",
            after.at,
            ", ",
            after.id,
            ")",
            reach.over(columns),
            " ORDER BY s.submitted_at, s.submission_id LIMIT ",
            limit
        ]
    )
}

#[derive(sqlx::FromRow)]
struct PersonRow {
    #[sqlx(try_from = "String")]
    person_id: PersonId,
}

/// Whoever ever stood in a class of the tutor and has submitted something, after an id, by id: what is told of the tutor
/// rests on all of them.
pub(crate) async fn people_of_tutor(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    tutor_id: &PersonId,
    after: Option<&PersonId>,
    limit: i64,
) -> Result<Vec<PersonId>, StoreError> {
    let rows = fetch_list!(
        tx,
        PersonRow,
        [
            "SELECT DISTINCT s.person_id ",
            OfTheTutorsPeople { programme_id, tutor_id },
            "WHERE s.person_id = p.person_id AND s.programme_id = ",
            programme_id.as_str(),
            " AND s.person_id > ",
            text_of(after),
            " ORDER BY s.person_id LIMIT ",
            limit
        ]
    )?;
    Ok(rows.into_iter().map(|row| row.person_id).collect())
}
