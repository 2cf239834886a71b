//! Programmes and the versions of their schemes.

use shipei_rules::{ids::ProgrammeId, region::RegionCode};
use shipei_service_kit::{
    Reach,
    reach::{AsOf, Columns},
};
use shipei_store::{StoreError, Tx, execute, fetch_optional, fetch_page, list::Listed};

use super::Stamp;
use crate::domain::Time;

/// A programme with the scheme in force.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct ProgrammeRow {
    #[sqlx(try_from = "String")]
    pub(crate) programme_id: ProgrammeId,
    #[sqlx(try_from = "String")]
    pub(crate) region_code: RegionCode,
    pub(crate) scheme_version: i64,
    pub(crate) scheme_toml: String,
    pub(crate) digest: String,
    pub(crate) occurred_at: Time,
}

/// A programme, as most decisions need it: region and version.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct ProgrammeHead {
    #[sqlx(try_from = "String")]
    pub(crate) programme_id: ProgrammeId,
    #[sqlx(try_from = "String")]
    pub(crate) region_code: RegionCode,
    pub(crate) scheme_version: i64,
}

/// The statement that gives [`ProgrammeRow`]s, for a condition.
macro_rules! programmes_where {
    ($condition:literal) => {
        concat!(
            "SELECT p.programme_id, p.region_code, p.scheme_version, v.scheme_toml, v.digest, p.occurred_at \
             FROM programme p \
             JOIN scheme_version v ON v.programme_id = p.programme_id AND v.version = p.scheme_version WHERE ",
            $condition
        )
    };
}

pub(crate) async fn head(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
) -> Result<Option<ProgrammeHead>, StoreError> {
    fetch_optional!(
        tx,
        ProgrammeHead,
        "SELECT programme_id, region_code, scheme_version FROM programme WHERE programme_id = $1",
        programme_id.as_str()
    )
}

/// Holds the programme until the transaction ends, against others who do the same.
pub(crate) async fn lock_programme(tx: &mut Tx, programme_id: &ProgrammeId) -> Result<(), StoreError> {
    if tx.is_postgres() {
        execute!(
            tx,
            "SELECT programme_id FROM programme WHERE programme_id = $1 FOR UPDATE",
            programme_id.as_str()
        )?;
    }
    Ok(())
}

/// Keeps whoever holds the programme away until the transaction ends, and nobody else.
pub(crate) async fn share_programme(tx: &mut Tx, programme_id: &ProgrammeId) -> Result<(), StoreError> {
    if tx.is_postgres() {
        execute!(
            tx,
            "SELECT programme_id FROM programme WHERE programme_id = $1 FOR SHARE",
            programme_id.as_str()
        )?;
    }
    Ok(())
}

pub(crate) async fn programme(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
) -> Result<Option<ProgrammeRow>, StoreError> {
    fetch_optional!(tx, ProgrammeRow, programmes_where!("p.programme_id = $1"), programme_id.as_str())
}

/// The programmes after `after`, by id, of those whose region is reached now.
pub(crate) async fn programmes(
    tx: &mut Tx,
    reach: &Reach,
    now: Time,
    after: &str,
    limit: i64,
) -> Result<Vec<Listed<ProgrammeRow>>, StoreError> {
    let columns = Columns { region: "p.region_code", ..Columns::none("p.programme_id", AsOf::At(now)) };
    fetch_page!(
        tx,
        ProgrammeRow,
        "programme" by ["programme_id"],
        [
            programmes_where!("p.programme_id > "),
            after,
            "",
            reach.over(columns),
            " ORDER BY p.programme_id LIMIT ",
            limit
        ]
    )
}

pub(crate) async fn scheme_text(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    version: i64,
) -> Result<Option<String>, StoreError> {
    let row = fetch_optional!(
        tx,
        (String,),
        "SELECT scheme_toml FROM scheme_version WHERE programme_id = $1 AND version = $2",
        programme_id.as_str(),
        version
    )?;
    Ok(row.map(|(text,)| text))
}

/// Adds a programme; false when there is one of this id.
pub(crate) async fn insert_programme(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    region_code: RegionCode,
    stamp: &Stamp,
) -> Result<bool, StoreError> {
    let inserted = execute!(
        tx,
        "INSERT INTO programme (programme_id, region_code, scheme_version, occurred_at, recorded_at, actor) \
         VALUES ($1, $2, 1, $3, $4, $5) ON CONFLICT (programme_id) DO NOTHING",
        programme_id.as_str(),
        region_code.as_str(),
        stamp.occurred_at,
        stamp.recorded_at,
        stamp.actor.as_str()
    )?;
    Ok(inserted == 1)
}

pub(crate) async fn insert_scheme(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    version: i64,
    scheme_toml: &str,
    digest: &str,
    stamp: &Stamp,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO scheme_version (programme_id, version, scheme_toml, digest, occurred_at, recorded_at, actor) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        programme_id.as_str(),
        version,
        scheme_toml,
        digest,
        stamp.occurred_at,
        stamp.recorded_at,
        stamp.actor.as_str()
    )?;
    Ok(())
}

pub(crate) async fn put_in_force(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    version: i64,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "UPDATE programme SET scheme_version = $2 WHERE programme_id = $1",
        programme_id.as_str(),
        version
    )?;
    Ok(())
}
