//! Submissions and their marks.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use shipei_mirror::{placed, taught_by};
use shipei_rules::{
    ids::{ClassId, PersonId, ProgrammeId, SubmissionId, text_of},
    submission::{self as rules, MarkKind},
    vocabulary::Grade,
};
use shipei_service_kit::{
    Reach,
    reach::{AsOf, Columns},
};
use shipei_store::{
    StoreError, Tx, execute, fetch_optional, fetch_page,
    list::{Equal, Listed, Unless},
    select_by_keys, sqlx, stands,
};

use super::{AfterTime, Recorded};
use crate::domain::{Mark, Standing, StandingChange, Submission, Works};

/// What a return has in the column `grade`.
const RETURNED: &str = "";

/// What a submission (`s`) belongs to: by the trainee's place of its time.
pub(super) const OF_SUBMISSION: Columns = Columns {
    programme: "s.programme_id",
    region: placed!("county_code", "s.programme_id", "s.person_id", "s.submitted_at"),
    class: "s.class_id",
    person: "s.person_id",
    subject: taught_by!("s.programme_id", "s.person_id"),
    as_of: AsOf::Row("s.submitted_at"),
};

/// A row of `submission`; whether it can be read says its [`Submission`].
#[derive(sqlx::FromRow)]
pub(crate) struct SubmissionRow {
    #[sqlx(try_from = "String")]
    pub(crate) submission_id: SubmissionId,
    #[sqlx(try_from = "String")]
    person_id: PersonId,
    class_id: String,
    kind: String,
    pub(crate) title: String,
    pub(crate) text: String,
    pub(crate) submitted_at: DateTime<Utc>,
    superseded_at: Option<DateTime<Utc>>,
    superseded_by: Option<String>,
    disregarded_for: Option<String>,
    fact_id: String,
    stands: bool,
}

impl TryFrom<SubmissionRow> for Submission {
    type Error = StoreError;

    fn try_from(row: SubmissionRow) -> Result<Submission, StoreError> {
        let superseded = row.superseded_at.zip(row.superseded_by);
        let class_id = ClassId::parse_optional(&row.class_id)
            .map_err(|_| StoreError::corrupt_row("submission", "class_id", &row.submission_id))?;
        Ok(Submission {
            standing: standing_of(&row.submission_id, superseded, row.disregarded_for)?,
            submission_id: row.submission_id,
            person_id: row.person_id,
            class_id,
            kind: row.kind,
            title: row.title,
            text: row.text,
            submitted_at: row.submitted_at,
            fact_id: row.fact_id,
            stands: row.stands,
        })
    }
}

fn id_of(text: &str, column: &'static str, submission_id: &SubmissionId) -> Result<SubmissionId, StoreError> {
    SubmissionId::parse(text).map_err(|_| StoreError::corrupt_row("submission", column, submission_id))
}

fn standing_of(
    submission_id: &SubmissionId,
    superseded: Option<(DateTime<Utc>, String)>,
    disregarded_for: Option<String>,
) -> Result<Standing, StoreError> {
    if let Some((at, by)) = superseded {
        return Ok(Standing::Superseded { by: id_of(&by, "superseded_by", submission_id)?, at });
    }
    Ok(match disregarded_for {
        Some(graded) => Standing::Disregarded { graded: id_of(&graded, "disregarded_for", submission_id)? },
        None => Standing::Counts,
    })
}

fn kind_of(grade: &str, submission_id: &SubmissionId) -> Result<MarkKind, StoreError> {
    if grade == RETURNED {
        return Ok(MarkKind::Returned);
    }
    let grade = Grade::parse(grade).ok_or_else(|| StoreError::corrupt_row("mark", "grade", submission_id))?;
    Ok(MarkKind::Graded(grade))
}

/// The columns of [`SubmissionRow`].
macro_rules! submission_columns {
    () => {
        concat!(
            "SELECT s.submission_id, s.person_id, s.class_id, s.kind, s.title, s.text, s.submitted_at, \
             s.superseded_at, s.superseded_by, s.disregarded_for, s.fact_id,",
            stands!("s"),
            "AS stands "
        )
    };
}
pub(super) use submission_columns;

/// A SELECT of [`SubmissionRow`].
macro_rules! select_submission {
    ($tail:literal) => {
        concat!(submission_columns!(), "FROM submission s ", $tail)
    };
}

/// Locks what is decided about a trainee's work until the transaction ends.
pub(crate) async fn lock_trainee(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO trainee_work (programme_id, person_id) VALUES ($1, $2) \
         ON CONFLICT (programme_id, person_id) DO UPDATE SET person_id = excluded.person_id",
        programme_id.as_str(),
        person_id.as_str()
    )?;
    Ok(())
}

/// One submission.
pub(crate) async fn submission(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    submission_id: &SubmissionId,
) -> Result<Option<Submission>, StoreError> {
    let row = fetch_optional!(
        tx,
        SubmissionRow,
        select_submission!("WHERE s.programme_id = $1 AND s.submission_id = $2"),
        programme_id.as_str(),
        submission_id.as_str()
    )?;
    row.map(Submission::try_from).transpose()
}

#[derive(sqlx::FromRow)]
struct WorkRow {
    #[sqlx(try_from = "String")]
    person_id: PersonId,
    #[sqlx(try_from = "String")]
    submission_id: SubmissionId,
    submitted_at: DateTime<Utc>,
    number: i64,
    superseded_at: Option<DateTime<Utc>>,
    superseded_by: Option<String>,
    disregarded_for: Option<String>,
    stands: bool,
}

#[derive(sqlx::FromRow)]
struct WorkMarkRow {
    #[sqlx(try_from = "String")]
    submission_id: SubmissionId,
    number: i64,
    grade: String,
    marked_at: DateTime<Utc>,
    stands: bool,
}

/// The work of these trainees, by person; who has submitted nothing is not in the map. Texts are not read.
pub(crate) async fn works(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_ids: &[&PersonId],
) -> Result<BTreeMap<PersonId, Works>, StoreError> {
    let rows = select_by_keys!(
        tx,
        WorkRow,
        [
            concat!(
                "SELECT s.person_id, s.submission_id, s.submitted_at, s.number, s.superseded_at, s.superseded_by, \
                 s.disregarded_for,",
                stands!("s"),
                "AS stands FROM submission s WHERE s.programme_id = "
            ),
            programme_id.as_str(),
            " AND s.person_id IN "
        ],
        person_ids,
        |person_id| (person_id.as_str())
    )?;
    let submission_ids: Vec<&SubmissionId> = rows.iter().map(|row| &row.submission_id).collect();
    let mark_rows = select_by_keys!(
        tx,
        WorkMarkRow,
        [
            concat!(
                "SELECT m.submission_id, m.number, m.grade, m.marked_at, m.counts AND",
                stands!("m"),
                "AS stands FROM mark m WHERE m.programme_id = "
            ),
            programme_id.as_str(),
            " AND m.submission_id IN "
        ],
        submission_ids,
        |submission_id| (submission_id.as_str())
    )?;
    let mut marks: BTreeMap<SubmissionId, Vec<rules::Mark>> = BTreeMap::new();
    let mut last_numbers: BTreeMap<SubmissionId, i64> = BTreeMap::new();
    for row in mark_rows {
        let last = last_numbers.entry(row.submission_id.clone()).or_default();
        *last = row.number.max(*last);
        if !row.stands {
            continue;
        }
        let kind = kind_of(&row.grade, &row.submission_id)?;
        let mark = rules::Mark { at: row.marked_at, number: row.number, kind };
        marks.entry(row.submission_id).or_default().push(mark);
    }
    let mut works: BTreeMap<PersonId, Works> = BTreeMap::new();
    for row in rows {
        let superseded = row.superseded_at.zip(row.superseded_by);
        let standing = standing_of(&row.submission_id, superseded, row.disregarded_for)?;
        let own = works.entry(row.person_id).or_default();
        let last_of_marks = last_numbers.get(&row.submission_id).copied().unwrap_or_default();
        own.last_number = own.last_number.max(row.number).max(last_of_marks);
        if !row.stands {
            continue;
        }
        own.told.insert(row.submission_id.clone(), standing);
        own.submissions.push(rules::Submission {
            marks: marks.remove(&row.submission_id).unwrap_or_default(),
            id: row.submission_id,
            submitted_at: row.submitted_at,
            number: row.number,
        });
    }
    Ok(works)
}

/// The work of one trainee.
pub(crate) async fn works_of(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
) -> Result<Works, StoreError> {
    Ok(works(tx, programme_id, &[person_id]).await?.remove(person_id).unwrap_or_default())
}

/// Keeps a new submission; false when its id is taken.
pub(crate) async fn insert_submission(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    (new, number): (&Submission, i64),
    recorded: &Recorded,
) -> Result<bool, StoreError> {
    let inserted = execute!(
        tx,
        "INSERT INTO submission (programme_id, submission_id, person_id, class_id, kind, title, text, submitted_at, \
         number, recorded_at, actor, fact_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
         ON CONFLICT (programme_id, submission_id) DO NOTHING",
        programme_id.as_str(),
        new.submission_id.as_str(),
        new.person_id.as_str(),
        text_of(new.class_id.as_ref()),
        &new.kind,
        &new.title,
        &new.text,
        new.submitted_at,
        number,
        recorded.at,
        &recorded.actor,
        &new.fact_id
    )?;
    Ok(inserted == 1)
}

/// Keeps where a submission stands from now on.
pub(crate) async fn save_standing(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    change: &StandingChange,
) -> Result<(), StoreError> {
    let (superseded_at, superseded_by, disregarded_for) = match &change.standing {
        Standing::Counts => (None, None, None),
        Standing::Superseded { by, at } => (Some(*at), Some(by.as_str()), None),
        Standing::Disregarded { graded } => (None, None, Some(graded.as_str())),
    };
    execute!(
        tx,
        "UPDATE submission SET superseded_at = $3, superseded_by = $4, disregarded_for = $5 \
         WHERE programme_id = $1 AND submission_id = $2",
        programme_id.as_str(),
        change.submission_id.as_str(),
        superseded_at,
        superseded_by,
        disregarded_for
    )?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct MarkRow {
    #[sqlx(try_from = "String")]
    submission_id: SubmissionId,
    number: i64,
    grade: String,
    comment: String,
    #[sqlx(try_from = "String")]
    tutor_id: PersonId,
    marked_at: DateTime<Utc>,
    counts: bool,
    fact_id: String,
    stands: bool,
}

/// The marks of these submissions, by number; a submission without marks is not in the map, and one of which a mark can't be read
/// has that error.
pub(crate) async fn marks(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    submission_ids: &[&SubmissionId],
) -> Result<BTreeMap<SubmissionId, Result<Vec<Mark>, StoreError>>, StoreError> {
    let rows = select_by_keys!(
        tx,
        MarkRow,
        [
            concat!(
                "SELECT m.submission_id, m.number, m.grade, m.comment, m.tutor_id, m.marked_at, m.counts, m.fact_id,",
                stands!("m"),
                "AS stands FROM mark m WHERE m.programme_id = "
            ),
            programme_id.as_str(),
            " AND m.submission_id IN "
        ],
        submission_ids,
        |submission_id| (submission_id.as_str()),
        " ORDER BY m.submission_id, m.number"
    )?;
    let mut marks: BTreeMap<SubmissionId, Result<Vec<Mark>, StoreError>> = BTreeMap::new();
    for row in rows {
        let kind = kind_of(&row.grade, &row.submission_id);
        let own = marks.entry(row.submission_id).or_insert_with(|| Ok(Vec::new()));
        match (kind, &mut *own) {
            (Ok(kind), Ok(read)) => read.push(Mark {
                number: row.number,
                kind,
                comment: row.comment,
                tutor_id: row.tutor_id,
                marked_at: row.marked_at,
                counts: row.counts,
                fact_id: row.fact_id,
                stands: row.stands,
            }),
            (Err(broken), _) => *own = Err(broken),
            (Ok(_), Err(_)) => {}
        }
    }
    Ok(marks)
}

/// The marks of one submission, by number.
pub(crate) async fn marks_of(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    submission_id: &SubmissionId,
) -> Result<Vec<Mark>, StoreError> {
    let own = marks(tx, programme_id, &[submission_id]).await?.remove(submission_id);
    own.unwrap_or_else(|| Ok(Vec::new()))
}

/// Keeps a new mark, and when the submission was first marked.
pub(crate) async fn insert_mark(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    submission_id: &SubmissionId,
    mark: &Mark,
    recorded: &Recorded,
) -> Result<(), StoreError> {
    let grade = match mark.kind {
        MarkKind::Returned => RETURNED,
        MarkKind::Graded(grade) => grade.as_str(),
    };
    execute!(
        tx,
        "INSERT INTO mark (programme_id, submission_id, number, grade, comment, tutor_id, marked_at, counts, judged, \
         recorded_at, actor, fact_id) VALUES ($1, $2, $3, $4, $5, $6, $7, TRUE, 0, $8, $9, $10)",
        programme_id.as_str(),
        submission_id.as_str(),
        mark.number,
        grade,
        &mark.comment,
        mark.tutor_id.as_str(),
        mark.marked_at,
        recorded.at,
        &recorded.actor,
        &mark.fact_id
    )?;
    fold_marks(tx, programme_id, submission_id).await
}

/// Keeps when a submission was first marked, by the marks that stand and count.
pub(crate) async fn fold_marks(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    submission_id: &SubmissionId,
) -> Result<(), StoreError> {
    execute!(
        tx,
        concat!(
            "UPDATE submission SET first_mark_at = (SELECT MIN(m.marked_at) FROM mark m \
             WHERE m.programme_id = $1 AND m.submission_id = $2 AND m.counts AND ",
            stands!("m"),
            ") WHERE programme_id = $1 AND submission_id = $2"
        ),
        programme_id.as_str(),
        submission_id.as_str()
    )?;
    Ok(())
}

/// Submissions by time, of a class, a trainee, both or all (no id stands for all): each is its trainee's, of the class
/// and county in which they stood then.
pub(crate) async fn list_submissions(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    (class_id, person_id, with_retracted): (Option<&ClassId>, Option<&PersonId>, bool),
    after: &AfterTime<'_>,
    limit: i64,
) -> Result<Vec<Listed<SubmissionRow>>, StoreError> {
    fetch_page!(
        tx,
        SubmissionRow,
        "submission" by ["submitted_at", "submission_id"],
        [
            select_submission!("WHERE s.programme_id = "),
            programme_id.as_str(),
            " AND (s.submitted_at, s.submission_id) > (",
            after.at,
            ", ",
            after.id,
            ")",
            Equal("s.class_id", class_id.map_or(reach.only_class(), ClassId::as_str)),
            "",
            Equal("s.person_id", person_id.map_or(reach.only_person(), PersonId::as_str)),
            "",
            Unless(with_retracted, stands!("s")),
            "",
            reach.over(OF_SUBMISSION),
            " ORDER BY s.submitted_at, s.submission_id LIMIT ",
            limit
        ]
    )
}
