//! Whether stored scores, which know every decision that was ever taken, hold as of another time as far as decisions go.

use std::collections::BTreeSet;

use shipei_rules::{
    ids::{PersonId, ProgrammeId, text_of},
    region::RegionCode,
};
use shipei_store::{StoreError, Tx, fetch_all, fetch_optional};

use crate::{absent::MaybeId, facts::Instant};

/// As of when stored scores are, and as of when they are wanted.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// The programme's end.
    pub end: Instant,
    /// The time that is asked for.
    pub as_of: Instant,
}

/// A condition: a decision `a` (retracted or not) counts otherwise at the time asked for (`$2`) than in stored scores: it was taken
/// later, or expires between that time and the programme's end, whichever is the first (`$3`, `$4`).
macro_rules! unsettled {
    () => {
        "a.programme_id = $1 AND (a.decided_at > $2 OR (a.expires_at > $3 AND a.expires_at <= $4))"
    };
}

/// A condition: a decision `a` is about an id that counts, or counted, for the one of an expression.
macro_rules! about_another_id_of {
    ($person:literal) => {
        concat!(
            "EXISTS (SELECT 1 FROM mirror_merge g WHERE g.programme_id = a.programme_id AND g.merged_id = a.person_id AND g.as_role = 'trainee' \
             AND g.kept_id = ",
            $person,
            ")"
        )
    };
}

/// Whether any decision about a person (or about anybody) counts otherwise as of the time asked for than in stored scores.
pub async fn is_unsettled(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_id: Option<&PersonId>,
    span: Span,
) -> Result<bool, StoreError> {
    let row: Option<(i64,)> = fetch_optional!(
        tx,
        (i64,),
        concat!(
            "SELECT a.number FROM adjustment a WHERE ",
            unsettled!(),
            " AND ($5 = '' OR a.person_id = $5 OR ",
            about_another_id_of!("$5"),
            ") LIMIT 1"
        ),
        programme_id.as_str(),
        span.as_of,
        span.as_of.min(span.end),
        span.as_of.max(span.end),
        text_of(person_id)
    )?;
    Ok(row.is_some())
}

#[derive(sqlx::FromRow)]
struct CountyCode {
    #[sqlx(try_from = "MaybeId")]
    county_code: Option<RegionCode>,
}

/// The counties in which anybody ever stood of whom that is so.
pub async fn unsettled_counties(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    span: Span,
) -> Result<BTreeSet<RegionCode>, StoreError> {
    let rows = fetch_all!(
        tx,
        CountyCode,
        concat!(
            "SELECT DISTINCT p.county_code FROM adjustment a JOIN trainee_place p ON p.programme_id = a.programme_id \
             AND (p.person_id = a.person_id OR ",
            about_another_id_of!("p.person_id"),
            ") WHERE ",
            unsettled!()
        ),
        programme_id.as_str(),
        span.as_of,
        span.as_of.min(span.end),
        span.as_of.max(span.end)
    )?;
    Ok(rows.into_iter().filter_map(|row| row.county_code).collect())
}
