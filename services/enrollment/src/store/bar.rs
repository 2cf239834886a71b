//! Class tutors who are not to be appointed again. A bar is kept in the programme that decided it, and found from any other by the keyed
//! digest of the identity number.

use std::collections::HashMap;

use shipei_rules::{
    ids::{PersonId, ProgrammeId, text_of},
    region::RegionCode,
};
use shipei_service_kit::{
    Reach,
    reach::{AsOf, Columns},
};
use shipei_store::{
    StoreError, Tx, execute, fetch_optional, fetch_page, list::Listed, select_by_keys, stands,
};

use super::Stamp;
use crate::{domain::Time, roster::IdentityDigest};

#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct BarRow {
    #[sqlx(try_from = "String")]
    pub(crate) tutor_id: PersonId,
    pub(crate) reason: String,
    pub(crate) occurred_at: Time,
    pub(crate) actor: String,
    pub(crate) fact_id: String,
}

/// By which programme somebody is barred, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Barred {
    pub(crate) programme_id: ProgrammeId,
    pub(crate) since: Time,
}

#[derive(sqlx::FromRow)]
struct BarredRow {
    number_digest: Vec<u8>,
    #[sqlx(try_from = "String")]
    programme_id: ProgrammeId,
    occurred_at: Time,
}

/// Notes that a tutor is barred.
pub(crate) async fn insert(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    (tutor_id, digest): (&PersonId, &IdentityDigest),
    reason: &str,
    (stamp, fact_id): (&Stamp, &str),
) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO tutor_bar (programme_id, tutor_id, number_digest, reason, occurred_at, recorded_at, actor, fact_id) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        programme_id.as_str(),
        tutor_id.as_str(),
        &digest[..],
        reason,
        stamp.occurred_at,
        stamp.recorded_at,
        stamp.actor.as_str(),
        fact_id
    )?;
    Ok(())
}

/// A bar, whether it stands or not.
pub(crate) async fn by_fact(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    tutor_id: &PersonId,
    fact_id: &str,
) -> Result<Option<BarRow>, StoreError> {
    fetch_optional!(
        tx,
        BarRow,
        "SELECT b.tutor_id, b.reason, b.occurred_at, b.actor, b.fact_id FROM tutor_bar b \
         WHERE b.programme_id = $1 AND b.tutor_id = $2 AND b.fact_id = $3",
        programme_id.as_str(),
        tutor_id.as_str(),
        fact_id
    )
}

/// Who of those with these identity numbers is barred by then, by a programme that is not this one. Of several bars the first.
pub(crate) async fn barred(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    digests: &[IdentityDigest],
    at: Time,
) -> Result<HashMap<IdentityDigest, Barred>, StoreError> {
    let rows: Vec<BarredRow> = select_by_keys!(
        tx,
        BarredRow,
        [
            concat!(
                "SELECT b.number_digest, b.programme_id, b.occurred_at FROM tutor_bar b WHERE",
                stands!("b"),
                "AND b.programme_id <> "
            ),
            programme_id.as_str(),
            " AND b.occurred_at <= ",
            at,
            " AND b.number_digest IN "
        ],
        digests,
        |digest| (&digest[..])
    )?;
    let mut barred: HashMap<IdentityDigest, Barred> = HashMap::new();
    for BarredRow { number_digest, programme_id, occurred_at } in rows {
        let digest: IdentityDigest = number_digest
            .try_into()
            .map_err(|_| StoreError::corrupt_row("tutor_bar", "number_digest", &programme_id))?;
        let first = barred
            .get(&digest)
            .is_none_or(|first| (occurred_at, &programme_id) < (first.since, &first.programme_id));
        if first {
            barred.insert(digest, Barred { programme_id, since: occurred_at });
        }
    }
    Ok(barred)
}

/// Bars that stand, by tutor, then fact, each reached by where the tutor's county lay then; an absent region is any.
pub(crate) async fn bars(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    region_code: Option<RegionCode>,
    (after_tutor, after_fact): (&str, &str),
    limit: i64,
) -> Result<Vec<Listed<BarRow>>, StoreError> {
    let columns = Columns {
        region: "p.county_code",
        person: "b.tutor_id",
        ..Columns::none("b.programme_id", AsOf::Row("b.occurred_at"))
    };
    let region = Reach::region(text_of(region_code.as_ref()));
    fetch_page!(
        tx,
        BarRow,
        "tutor_bar" by ["tutor_id", "fact_id"],
        [
            concat!(
                "SELECT b.tutor_id, b.reason, b.occurred_at, b.actor, b.fact_id FROM tutor_bar b \
                 JOIN person p ON p.programme_id = b.programme_id AND p.person_id = b.tutor_id AND p.role = 'class_tutor' WHERE",
                stands!("b"),
                "AND b.programme_id = "
            ),
            programme_id.as_str(),
            " AND (b.tutor_id, b.fact_id) > (",
            after_tutor,
            ", ",
            after_fact,
            ")",
            region.over(columns),
            "",
            reach.over(columns),
            " ORDER BY b.tutor_id, b.fact_id LIMIT ",
            limit
        ]
    )
}
