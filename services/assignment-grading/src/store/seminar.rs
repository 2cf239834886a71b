//! Seminars, their posts and summaries.

use chrono::{DateTime, Utc};
use shipei_mirror::placed;
use shipei_rules::ids::{ClassId, PersonId, ProgrammeId, SeminarId, text_of};
use shipei_service_kit::{
    Reach,
    reach::{AsOf, Columns},
};
use shipei_store::{
    StoreError, Tx, execute, fetch_one, fetch_optional, fetch_page,
    list::{Equal, Listed, Unless},
    stands,
};

use super::{AfterTime, Recorded};
use crate::domain::{Post, Seminar, Summary};

/// What a seminar (`s`) belongs to: its class.
pub(super) const OF_SEMINAR: Columns = Columns {
    programme: "s.programme_id",
    region: region_of_class!("s"),
    class: "s.class_id",
    person: "s.tutor_id",
    subject: "",
    as_of: AsOf::Row("s.opened_at"),
};

#[derive(sqlx::FromRow)]
struct SeminarRow {
    #[sqlx(try_from = "String")]
    seminar_id: SeminarId,
    #[sqlx(try_from = "String")]
    class_id: ClassId,
    #[sqlx(try_from = "String")]
    tutor_id: PersonId,
    topic: String,
    opened_at: DateTime<Utc>,
    summary: String,
    summary_at: Option<DateTime<Utc>>,
    summarised_at: Option<DateTime<Utc>>,
    summary_count: i64,
    summary_fact_id: String,
    fact_id: String,
    stands: bool,
}

impl From<SeminarRow> for Seminar {
    fn from(row: SeminarRow) -> Seminar {
        Seminar {
            seminar_id: row.seminar_id,
            class_id: row.class_id,
            tutor_id: row.tutor_id,
            topic: row.topic,
            opened_at: row.opened_at,
            summary: row.summary,
            summary_at: row.summary_at,
            summarised_at: row.summarised_at,
            summary_count: row.summary_count,
            summary_fact_id: row.summary_fact_id,
            fact_id: row.fact_id,
            stands: row.stands,
        }
    }
}

/// A SELECT of [`SeminarRow`].
macro_rules! select_seminar {
    ($tail:literal) => {
        concat!(
            "SELECT s.seminar_id, s.class_id, s.tutor_id, s.topic, s.opened_at, s.summary, s.summary_at, s.summarised_at, ",
            "s.summary_count, s.summary_fact_id, s.fact_id,",
            stands!("s"),
            "AS stands FROM seminar s WHERE ",
            $tail
        )
    };
}

/// One seminar.
pub(crate) async fn seminar(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    seminar_id: &SeminarId,
) -> Result<Option<Seminar>, StoreError> {
    let sql = select_seminar!("s.programme_id = $1 AND s.seminar_id = $2");
    Ok(fetch_optional!(tx, SeminarRow, sql, programme_id.as_str(), seminar_id.as_str())?.map(Seminar::from))
}

/// One seminar, locked until the transaction ends.
pub(crate) async fn lock_seminar(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    seminar_id: &SeminarId,
) -> Result<Option<Seminar>, StoreError> {
    if !tx.is_postgres() {
        return seminar(tx, programme_id, seminar_id).await;
    }
    let sql = select_seminar!("s.programme_id = $1 AND s.seminar_id = $2 FOR UPDATE");
    Ok(fetch_optional!(tx, SeminarRow, sql, programme_id.as_str(), seminar_id.as_str())?.map(Seminar::from))
}

/// Keeps a new seminar; false when its id is taken.
pub(crate) async fn insert_seminar(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    new: &Seminar,
    recorded: &Recorded,
) -> Result<bool, StoreError> {
    let inserted = execute!(
        tx,
        "INSERT INTO seminar (programme_id, seminar_id, class_id, tutor_id, topic, opened_at, post_count, \
         summary_count, summary, summary_fact_id, recorded_at, actor, fact_id) \
         VALUES ($1, $2, $3, $4, $5, $6, 0, 0, '', '', $7, $8, $9) \
         ON CONFLICT (programme_id, seminar_id) DO NOTHING",
        programme_id.as_str(),
        new.seminar_id.as_str(),
        new.class_id.as_str(),
        new.tutor_id.as_str(),
        &new.topic,
        new.opened_at,
        recorded.at,
        &recorded.actor,
        &new.fact_id
    )?;
    Ok(inserted == 1)
}

/// Seminars by opening time, each reached by its class and where that lay then; of a class or (empty) of all.
pub(crate) async fn list_seminars(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    (class_id, with_retracted): (Option<&ClassId>, bool),
    after: &AfterTime<'_>,
    limit: i64,
) -> Result<Vec<Listed<Seminar>>, StoreError> {
    let rows = fetch_page!(
        tx,
        SeminarRow,
        "seminar" by ["opened_at", "seminar_id"],
        [
            select_seminar!("s.programme_id = "),
            programme_id.as_str(),
            " AND (s.opened_at, s.seminar_id) > (",
            after.at,
            ", ",
            after.id,
            ")",
            Equal("s.class_id", text_of(class_id)),
            "",
            Unless(with_retracted, stands!("s")),
            "",
            reach.over(OF_SEMINAR),
            " ORDER BY s.opened_at, s.seminar_id LIMIT ",
            limit
        ]
    )?;
    Ok(rows.into_iter().map(|row| row.map(Seminar::from)).collect())
}

/// Keeps a post and gives it the seminar's next number.
pub(crate) async fn insert_post(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    seminar_id: &SeminarId,
    post: Post,
    recorded: &Recorded,
) -> Result<Post, StoreError> {
    let (number,) = fetch_one!(
        tx,
        (i64,),
        "UPDATE seminar SET post_count = post_count + 1 WHERE programme_id = $1 AND seminar_id = $2 \
         RETURNING post_count",
        programme_id.as_str(),
        seminar_id.as_str()
    )?;
    execute!(
        tx,
        "INSERT INTO post (programme_id, seminar_id, number, person_id, text, characters, posted_at, recorded_at, \
         actor, fact_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        programme_id.as_str(),
        seminar_id.as_str(),
        number,
        post.person_id.as_str(),
        &post.text,
        post.characters,
        post.posted_at,
        recorded.at,
        &recorded.actor,
        &post.fact_id
    )?;
    Ok(Post { number, ..post })
}

#[derive(sqlx::FromRow)]
struct PostRow {
    number: i64,
    #[sqlx(try_from = "String")]
    person_id: PersonId,
    text: String,
    characters: i64,
    posted_at: DateTime<Utc>,
    fact_id: String,
    stands: bool,
}

/// A seminar's posts after a number, by number: each is its author's, of the class and county in which they stood then.
pub(crate) async fn list_posts(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    (seminar_id, with_retracted): (&SeminarId, bool),
    after: i64,
    limit: i64,
) -> Result<Vec<Listed<Post>>, StoreError> {
    let columns = Columns {
        programme: "p.programme_id",
        region: placed!("county_code", "p.programme_id", "p.person_id", "p.posted_at"),
        class: placed!("class_id", "p.programme_id", "p.person_id", "p.posted_at"),
        person: "p.person_id",
        subject: "",
        as_of: AsOf::Row("p.posted_at"),
    };
    let rows = fetch_page!(
        tx,
        PostRow,
        "post" by ["number"],
        [
            concat!(
                "SELECT p.number, p.person_id, p.text, p.characters, p.posted_at, p.fact_id,",
                stands!("p"),
                "AS stands FROM post p WHERE p.programme_id = "
            ),
            programme_id.as_str(),
            " AND p.seminar_id = ",
            seminar_id.as_str(),
            " AND p.number > ",
            after,
            "",
            Unless(with_retracted, stands!("p")),
            "",
            reach.over(columns),
            " ORDER BY p.number LIMIT ",
            limit
        ]
    )?;
    let post = |row: PostRow| Post {
        number: row.number,
        person_id: row.person_id,
        text: row.text,
        characters: row.characters,
        posted_at: row.posted_at,
        fact_id: row.fact_id,
        stands: row.stands,
    };
    Ok(rows.into_iter().map(|row| row.map(post)).collect())
}

/// Keeps a summary of a seminar that is locked.
pub(crate) async fn insert_summary(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    seminar_id: &SeminarId,
    summary: &Summary,
    recorded: &Recorded,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO seminar_summary (programme_id, seminar_id, number, tutor_id, summary, summarised_at, recorded_at, \
         actor, fact_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        programme_id.as_str(),
        seminar_id.as_str(),
        summary.number,
        summary.tutor_id.as_str(),
        &summary.text,
        summary.at,
        recorded.at,
        &recorded.actor,
        &summary.fact_id
    )?;
    execute!(
        tx,
        "UPDATE seminar SET summary_count = $3 WHERE programme_id = $1 AND seminar_id = $2",
        programme_id.as_str(),
        seminar_id.as_str(),
        summary.number
    )?;
    fold_summaries(tx, programme_id, seminar_id).await
}

#[derive(sqlx::FromRow)]
struct SummaryRow {
    summary: String,
    summarised_at: DateTime<Utc>,
    fact_id: String,
}

/// Keeps what the summaries of a locked seminar that stand come to: when it was first summarised, and the latest text.
pub(crate) async fn fold_summaries(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    seminar_id: &SeminarId,
) -> Result<(), StoreError> {
    let latest = fetch_optional!(
        tx,
        SummaryRow,
        concat!(
            "SELECT x.summary, x.summarised_at, x.fact_id FROM seminar_summary x \
             WHERE x.programme_id = $1 AND x.seminar_id = $2 AND ",
            stands!("x"),
            " ORDER BY x.summarised_at DESC, x.number DESC LIMIT 1"
        ),
        programme_id.as_str(),
        seminar_id.as_str()
    )?;
    let (text, at, fact_id) = match latest {
        Some(latest) => (latest.summary, Some(latest.summarised_at), latest.fact_id),
        None => (String::new(), None, String::new()),
    };
    execute!(
        tx,
        concat!(
            "UPDATE seminar SET summary = $3, summary_at = $4, summary_fact_id = $5, summarised_at = \
             (SELECT MIN(x.summarised_at) FROM seminar_summary x WHERE x.programme_id = $1 AND x.seminar_id = $2 AND ",
            stands!("x"),
            ") WHERE programme_id = $1 AND seminar_id = $2"
        ),
        programme_id.as_str(),
        seminar_id.as_str(),
        text,
        at,
        fact_id
    )?;
    Ok(())
}
