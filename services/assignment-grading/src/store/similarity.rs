//! Near-identical work (雷同) and comments that are given again and again.
//!
//! Every work is compared once, with all that were compared before it; what is kept is of texts alone. Which works count, whose they are and
//! who may see them is asked for when a list is read.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use shipei_mirror::counting_id;
use shipei_rules::{
    ids::{ClassId, PersonId, ProgrammeId, SubmissionId, text_of},
    region::RegionCode,
};
use shipei_service_kit::Reach;
use shipei_store::{
    StoreError, Tx, bulk_insert, execute, fetch_all, fetch_list, fetch_one, fetch_optional, fetch_page,
    list::{Equal, Listed},
    select_by_keys, sqlx, stands,
};

use super::{Among, submission::OF_SUBMISSION};
use crate::domain::similarity::BANDS;

/// A work to be compared.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct Work {
    #[sqlx(try_from = "String")]
    pub(crate) programme_id: ProgrammeId,
    #[sqlx(try_from = "String")]
    pub(crate) submission_id: SubmissionId,
    #[sqlx(try_from = "String")]
    pub(crate) person_id: PersonId,
    pub(crate) text: String,
}

/// How often works were compared: works that two instances compared at once would miss each other.
pub(crate) async fn turn(tx: &mut Tx) -> Result<i64, StoreError> {
    let (turn,) = fetch_one!(tx, (i64,), "SELECT turn FROM comparing WHERE id = 1")?;
    Ok(turn)
}

/// Takes the turn to keep what was found as of a turn; false when another instance has had it since.
pub(crate) async fn take_turn(tx: &mut Tx, turn: i64) -> Result<bool, StoreError> {
    let taken = execute!(tx, "UPDATE comparing SET turn = turn + 1 WHERE id = 1 AND turn = $1", turn)?;
    Ok(taken == 1)
}

/// The next works that were never compared.
pub(crate) async fn next_works(tx: &mut Tx, limit: i64) -> Result<Vec<Work>, StoreError> {
    fetch_all!(
        tx,
        Work,
        "SELECT programme_id, submission_id, person_id, text FROM submission WHERE NOT compared \
         ORDER BY programme_id, submission_id LIMIT $1",
        limit
    )
}

/// Notes that a work was compared.
pub(crate) async fn note_compared(tx: &mut Tx, work: &Work) -> Result<(), StoreError> {
    execute!(
        tx,
        "UPDATE submission SET compared = TRUE WHERE programme_id = $1 AND submission_id = $2",
        work.programme_id.as_str(),
        work.submission_id.as_str()
    )?;
    Ok(())
}

/// Keeps the bands of a work.
pub(crate) async fn insert_bands(tx: &mut Tx, work: &Work, bands: &[i64; BANDS]) -> Result<(), StoreError> {
    bulk_insert!(
        tx,
        "INSERT INTO submission_band (programme_id, band, submission_id)",
        bands,
        |band| (work.programme_id.as_str(), *band, work.submission_id.as_str()),
        " ON CONFLICT (programme_id, band, submission_id) DO NOTHING"
    )?;
    Ok(())
}

/// Works of others that share a band with this one, `limit` at most of each band.
pub(crate) async fn candidates(
    tx: &mut Tx,
    work: &Work,
    bands: &[i64; BANDS],
    limit: i64,
) -> Result<Vec<SubmissionId>, StoreError> {
    let mut found = BTreeSet::new();
    for band in bands {
        let rows = fetch_all!(
            tx,
            (String,),
            "SELECT submission_id FROM submission_band WHERE programme_id = $1 AND band = $2 AND submission_id <> $3 \
             ORDER BY submission_id LIMIT $4",
            work.programme_id.as_str(),
            *band,
            work.submission_id.as_str(),
            limit
        )?;
        found.extend(rows.into_iter().map(|(submission_id,)| submission_id));
    }
    let parse = |id: String| {
        SubmissionId::parse(&id).map_err(|_| StoreError::corrupt_row("submission_band", "submission_id", id))
    };
    found.into_iter().map(parse).collect()
}

/// These works.
pub(crate) async fn works_by_id(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    submission_ids: &[SubmissionId],
) -> Result<Vec<Work>, StoreError> {
    select_by_keys!(
        tx,
        Work,
        [
            "SELECT programme_id, submission_id, person_id, text FROM submission WHERE programme_id = ",
            programme_id.as_str(),
            " AND submission_id IN "
        ],
        submission_ids,
        |submission_id| (submission_id.as_str())
    )
}

/// Keeps that two works are alike, for each of them.
pub(crate) async fn insert_similar(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    (one, other): (&SubmissionId, &SubmissionId),
    percent: i64,
) -> Result<(), StoreError> {
    let rows = [(one, other), (other, one)];
    bulk_insert!(
        tx,
        "INSERT INTO similar_submission (programme_id, submission_id, other_id, distance)",
        rows,
        |(submission_id, other_id)| (
            programme_id.as_str(),
            submission_id.as_str(),
            other_id.as_str(),
            100 - percent
        ),
        " ON CONFLICT (programme_id, submission_id, other_id) DO NOTHING"
    )?;
    Ok(())
}

/// A work that counts, and another one that it is like.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct SimilarRow {
    /// Hundredths that they don't share.
    pub(crate) distance: i64,
    pub(crate) submission_id: String,
    pub(crate) person_id: String,
    pub(crate) class_id: String,
    pub(crate) title: String,
    pub(crate) submitted_at: DateTime<Utc>,
    #[sqlx(try_from = "String")]
    pub(crate) other_id: SubmissionId,
    pub(crate) other_person_id: String,
    pub(crate) other_class_id: String,
    pub(crate) other_title: String,
    pub(crate) other_submitted_at: DateTime<Utc>,
}

/// Which works a list is of.
#[derive(Debug, Clone)]
pub(crate) struct Sought {
    pub(crate) programme: ProgrammeId,
    pub(crate) class: Option<ClassId>,
    pub(crate) region: Option<RegionCode>,
    /// The least likeness, or number of times.
    pub(crate) least: i64,
}

/// Where a page of such works begins: distance and ids.
#[derive(Debug, Clone)]
pub(crate) struct AfterSimilar<'page> {
    pub(crate) distance: i64,
    pub(crate) submission_id: &'page str,
    pub(crate) other_id: &'page str,
}

/// Works within reach that count, with what of somebody else's they are like, the most alike first.
pub(crate) async fn list_similar(
    tx: &mut Tx,
    reach: &Reach,
    sought: &Sought,
    after: &AfterSimilar<'_>,
    limit: i64,
) -> Result<Vec<Listed<SimilarRow>>, StoreError> {
    let asked = Reach::region(text_of(sought.region.as_ref()));
    fetch_page!(
        tx,
        SimilarRow,
        "similar_submission" by ["distance", "submission_id", "other_id"],
        [
            "SELECT l.distance, s.submission_id, s.person_id, s.class_id, s.title, s.submitted_at, l.other_id, \
             o.person_id AS other_person_id, o.class_id AS other_class_id, o.title AS other_title, \
             o.submitted_at AS other_submitted_at FROM similar_submission l \
             JOIN submission s ON s.programme_id = l.programme_id AND s.submission_id = l.submission_id \
             JOIN submission o ON o.programme_id = l.programme_id AND o.submission_id = l.other_id \
             WHERE l.programme_id = ",
            sought.programme.as_str(),
            " AND l.distance <= ",
            100 - sought.least,
            " AND (l.distance, l.submission_id, l.other_id) > (",
            after.distance,
            ", ",
            after.submission_id,
            ", ",
            after.other_id,
            concat!(
                ") AND s.superseded_at IS NULL AND",
                stands!("s"),
                "AND",
                stands!("o"),
                "AND ",
                counting_id!("s.programme_id", "s.person_id", "'trainee'"),
                " <> ",
                counting_id!("o.programme_id", "o.person_id", "'trainee'")
            ),
            Equal("s.class_id", sought.class.as_ref().map_or(reach.only_class(), ClassId::as_str)),
            "",
            reach.over(OF_SUBMISSION),
            "",
            asked.over(OF_SUBMISSION),
            " ORDER BY l.distance, l.submission_id, l.other_id LIMIT ",
            limit
        ]
    )
}

/// How alike two works were found to be, in hundredths; `None` when they were not.
pub(crate) async fn similar(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    (submission_id, other_id): (&SubmissionId, &SubmissionId),
) -> Result<Option<i64>, StoreError> {
    let row = fetch_optional!(
        tx,
        (i64,),
        "SELECT distance FROM similar_submission WHERE programme_id = $1 AND submission_id = $2 AND other_id = $3",
        programme_id.as_str(),
        submission_id.as_str(),
        other_id.as_str()
    )?;
    Ok(row.map(|(distance,)| 100 - distance))
}

/// Those of these works that are within reach.
pub(crate) async fn reached(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    submission_ids: &[&SubmissionId],
) -> Result<BTreeSet<String>, StoreError> {
    if submission_ids.is_empty() {
        return Ok(BTreeSet::new());
    }
    let rows = fetch_list!(
        tx,
        (String,),
        [
            "SELECT s.submission_id FROM submission s WHERE s.programme_id = ",
            programme_id.as_str(),
            "",
            Among(" AND s.submission_id IN", submission_ids.iter().map(|id| id.as_str()).collect()),
            "",
            reach.over(OF_SUBMISSION),
            " LIMIT ",
            i64::try_from(submission_ids.len()).unwrap_or(i64::MAX)
        ]
    )?;
    Ok(rows.into_iter().map(|(submission_id,)| submission_id).collect())
}

/// A comment that a tutor gave to several works.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct RepeatedRow {
    pub(crate) tutor_id: String,
    pub(crate) comment: String,
    /// How often.
    pub(crate) times: i64,
    /// When first and last.
    pub(crate) first_marked_at: DateTime<Utc>,
    pub(crate) last_marked_at: DateTime<Utc>,
}

/// Comments that a tutor gave to several works within reach, by tutor.
pub(crate) async fn list_repeated(
    tx: &mut Tx,
    reach: &Reach,
    sought: &Sought,
    (after_tutor, after_first): (&str, &str),
    limit: i64,
) -> Result<Vec<Listed<RepeatedRow>>, StoreError> {
    let asked = Reach::region(text_of(sought.region.as_ref()));
    fetch_page!(
        tx,
        RepeatedRow,
        "mark" by ["tutor_id", "first_id"],
        [
            // By the first of the works the list goes on.
            concat!(
                "SELECT r.tutor_id, r.comment, r.times, r.first_id, r.first_marked_at, r.last_marked_at FROM \
                 (SELECT k.tutor_id, k.comment, COUNT(DISTINCT k.submission_id) AS times, MIN(k.submission_id) AS first_id, \
                 MIN(k.marked_at) AS first_marked_at, MAX(k.marked_at) AS last_marked_at FROM mark k \
                 JOIN submission s ON s.programme_id = k.programme_id AND s.submission_id = k.submission_id \
                 WHERE k.counts AND",
                stands!("k"),
                "AND k.programme_id = "
            ),
            sought.programme.as_str(),
            "",
            Equal("s.class_id", sought.class.as_ref().map_or(reach.only_class(), ClassId::as_str)),
            "",
            reach.over(OF_SUBMISSION),
            "",
            asked.over(OF_SUBMISSION),
            " GROUP BY k.tutor_id, k.comment) r WHERE r.times >= ",
            sought.least,
            " AND (r.tutor_id, r.first_id) > (",
            after_tutor,
            ", ",
            after_first,
            ") ORDER BY r.tutor_id, r.first_id LIMIT ",
            limit
        ]
    )
}
