//! What tutors owe: submissions that wait for a mark.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use shipei_mirror::{counting_id, placed, tutor_of_class};
use shipei_rules::ids::{PersonId, ProgrammeId, SubmissionId, text_of};
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
    AfterTime, Among,
    submission::{SubmissionRow, submission_columns},
};

/// A FROM: submissions `s` of whoever ever stood in a class that a tutor ever had, or in one that was merged into it. CROSS JOIN makes SQLite begin with the people, who
/// are few, and not with the submissions by time (60,000 of them: 0.9 ms against 27).
struct OfTheTutorsPeople<'a> {
    programme_id: &'a ProgrammeId,
    /// The tutor's ids.
    tutor_ids: &'a [&'a PersonId],
}

fn person_texts<'a>(ids: &[&'a PersonId]) -> Vec<&'a str> {
    ids.iter().map(|id| id.as_str()).collect()
}

fn submission_texts(ids: &BTreeSet<SubmissionId>) -> Vec<&str> {
    ids.iter().map(SubmissionId::as_str).collect()
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
                Piece::<DB>::push_to(&Among(" AND tutor_id IN", person_texts(self.tutor_ids)), query);
                query.push(end);
            }
            query.push(" SELECT class_id FROM had UNION SELECT code FROM place_successor WHERE kind = 'class' AND programme_id = ");
            query.push_bind(self.programme_id.as_str());
            query.push(" AND successor IN (SELECT class_id FROM had))");
            query.push(rest);
        }
        query.push(") p CROSS JOIN submission s ");
    }
}

/// What a tutor, by all of these ids, owed a mark at `as_of`, oldest first, but for their own work: submissions of the trainees who stood at
/// `owing_as_of` in the classes that the tutor had at that time, without those that are not owed by what other ids of these trainees did.
pub(crate) async fn list_marking(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    (tutor_ids, not_owed): (&[&PersonId], &BTreeSet<SubmissionId>),
    (as_of, owing_as_of): (DateTime<Utc>, DateTime<Utc>),
    after: &AfterTime<'_>,
    limit: i64,
) -> Result<Vec<Listed<SubmissionRow>>, StoreError> {
    // A mark that is owed belongs to the class that owes it, and is its tutor's.
    let columns = Columns {
        programme: "s.programme_id",
        region: "c.region_code",
        class: "c.class_id",
        // Under the id that is kept of the tutor, if that is asked for.
        person: if tutor_ids.len() > 1 {
            counting_id!("c.programme_id", tutor_of_class!("'9999-12-31T00:00:00+00:00'"), "'class_tutor'")
        } else {
            tutor_of_class!("'9999-12-31T00:00:00+00:00'")
        },
        subject: "",
        as_of: AsOf::At(as_of),
    };
    fetch_page!(
        tx,
        SubmissionRow,
        "submission" by ["submitted_at", "submission_id"],
        [
            submission_columns!(),
            OfTheTutorsPeople { programme_id, tutor_ids },
            "JOIN mirror_member m ON m.programme_id = s.programme_id AND m.person_id = s.person_id AND m.as_role = 'trainee' \
             JOIN (SELECT ",
            owing_as_of,
            concat!(
                " AS owing) o ON TRUE JOIN mirror_class c ON c.programme_id = s.programme_id AND c.class_id = ",
                placed!("class_id", "s.programme_id", "s.person_id", "o.owing"),
                " WHERE s.person_id = p.person_id AND s.programme_id = "
            ),
            programme_id.as_str(),
            "",
            Among(concat!(" AND ", tutor_of_class!("o.owing"), " IN"), person_texts(tutor_ids)),
            " AND s.submitted_at <= ",
            as_of,
            " AND (s.first_mark_at IS NULL OR s.first_mark_at > ",
            as_of,
            ") AND (s.superseded_at IS NULL OR s.superseded_at > ",
            as_of,
            ")",
            Among(" AND s.submission_id NOT IN", submission_texts(not_owed)),
            concat!(
                " AND",
                stands!("s"),
                "AND s.disregarded_for IS NULL AND NOT EXISTS (SELECT 1 FROM mirror_absence w \
                 WHERE w.programme_id = m.programme_id AND w.person_id = m.person_id AND w.as_role = m.as_role AND w.from_at <= "
            ),
            as_of,
            " AND w.until_at > ",
            as_of,
            ") AND m.role <> ''",
            Among(" AND s.person_id NOT IN", person_texts(tutor_ids)),
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

/// Whoever ever stood in a class of the tutor (by these ids) and has submitted something, after an id, by id: what is told of the tutor
/// rests on all of them.
pub(crate) async fn people_of_tutor(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    tutor_ids: &[&PersonId],
    after: Option<&PersonId>,
    limit: i64,
) -> Result<Vec<PersonId>, StoreError> {
    let rows = fetch_list!(
        tx,
        PersonRow,
        [
            "SELECT DISTINCT s.person_id ",
            OfTheTutorsPeople { programme_id, tutor_ids },
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
