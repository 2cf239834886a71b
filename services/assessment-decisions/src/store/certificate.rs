//! Certificates, and who may get one.

use chrono::{DateTime, Utc};
use shipei_rules::{
    ids::{PersonId, ProgrammeId, text_of},
    region::RegionCode,
};
use shipei_service_kit::{
    Reach,
    reach::{AsOf, Columns},
};
use shipei_store::{
    StoreError, Tx, execute, fetch_list, fetch_one, fetch_optional, fetch_page,
    list::{Equal, Listed, Unless},
};

/// Somebody who passed.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct Passed {
    #[sqlx(try_from = "String")]
    pub(crate) person_id: PersonId,
    pub(crate) city_code: String,
    pub(crate) county_code: String,
    pub(crate) class_id: String,
    pub(crate) total: i64,
    pub(crate) leaf: Vec<u8>,
}

/// Who of a county is to get a certificate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ToIssue<'call> {
    pub(crate) version: i64,
    pub(crate) county: RegionCode,
    /// Only this one, whose certificate may have been revoked.
    pub(crate) person: Option<&'call PersonId>,
    pub(crate) after: &'call str,
    pub(crate) now: DateTime<Utc>,
}

fn columns_of_score(now: DateTime<Utc>) -> Columns {
    Columns {
        programme: "s.programme_id",
        region: "s.county_code",
        class: "s.class_id",
        person: "s.person_id",
        subject: "",
        as_of: AsOf::At(now),
    }
}

/// Those who passed by a version and are to get a certificate, by id.
pub(crate) async fn to_issue(
    tx: &mut Tx,
    reach: &Reach,
    programme: &ProgrammeId,
    asked: ToIssue<'_>,
    limit: i64,
) -> Result<Vec<Passed>, StoreError> {
    let scope = columns_of_score(asked.now);
    fetch_list!(
        tx,
        Passed,
        [
            "SELECT s.person_id, s.city_code, s.county_code, s.class_id, s.total, s.leaf FROM final_score s \
             WHERE s.passed AND s.programme_id = ",
            programme.as_str(),
            " AND s.version = ",
            asked.version,
            " AND s.county_code = ",
            asked.county.as_str(),
            " AND s.person_id > ",
            asked.after,
            "",
            Equal("s.person_id", text_of(asked.person)),
            " AND NOT EXISTS (SELECT 1 FROM certificate c WHERE c.programme_id = s.programme_id AND c.person_id = s.person_id",
            Unless(asked.person.is_none(), " c.revoked_at IS NULL "),
            ")",
            reach.over(scope),
            " ORDER BY s.person_id LIMIT ",
            limit
        ]
    )
}

/// How many of them there are.
pub(crate) async fn count_to_issue(
    tx: &mut Tx,
    programme: &ProgrammeId,
    asked: ToIssue<'_>,
) -> Result<i64, StoreError> {
    let (count,): (i64,) = fetch_one!(
        tx,
        (i64,),
        "SELECT COUNT(*) FROM final_score s WHERE s.passed AND s.programme_id = $1 AND s.version = $2 AND s.county_code = $3 \
         AND s.person_id > $4 AND NOT EXISTS (SELECT 1 FROM certificate c WHERE c.programme_id = s.programme_id \
         AND c.person_id = s.person_id)",
        programme.as_str(),
        asked.version,
        asked.county.as_str(),
        asked.after
    )?;
    Ok(count)
}

/// The next serial number of a county.
pub(crate) async fn next_serial(
    tx: &mut Tx,
    programme: &ProgrammeId,
    county: RegionCode,
) -> Result<i64, StoreError> {
    let (serial,): (i64,) = fetch_one!(
        tx,
        (i64,),
        "INSERT INTO certificate_serial (programme_id, county_code, last_serial) VALUES ($1, $2, 1) \
         ON CONFLICT (programme_id, county_code) DO UPDATE SET last_serial = certificate_serial.last_serial + 1 \
         RETURNING last_serial",
        programme.as_str(),
        county.as_str()
    )?;
    Ok(serial)
}

/// A certificate as it is kept.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct CertificateRow {
    pub(crate) county_code: String,
    pub(crate) serial: i64,
    #[sqlx(try_from = "String")]
    pub(crate) person_id: PersonId,
    pub(crate) class_id: String,
    pub(crate) version: i64,
    pub(crate) sealed_code: Vec<u8>,
    pub(crate) issued_at: DateTime<Utc>,
    pub(crate) actor: String,
    pub(crate) revoked_at: Option<DateTime<Utc>>,
    pub(crate) revoke_reason: String,
}

/// Keeps a certificate.
pub(crate) async fn insert_certificate(
    tx: &mut Tx,
    programme: &ProgrammeId,
    new: &CertificateRow,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO certificate (programme_id, county_code, serial, person_id, class_id, version, sealed_code, issued_at, \
         actor, revoke_reason, revoke_actor) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, '', '')",
        programme.as_str(),
        &new.county_code,
        new.serial,
        new.person_id.as_str(),
        &new.class_id,
        new.version,
        &new.sealed_code,
        new.issued_at,
        &new.actor
    )?;
    Ok(())
}

/// One certificate.
pub(crate) async fn certificate(
    tx: &mut Tx,
    programme: &ProgrammeId,
    county: RegionCode,
    serial: i64,
) -> Result<Option<CertificateRow>, StoreError> {
    fetch_optional!(
        tx,
        CertificateRow,
        "SELECT county_code, serial, person_id, class_id, version, sealed_code, issued_at, actor, revoked_at, revoke_reason \
         FROM certificate WHERE programme_id = $1 AND county_code = $2 AND serial = $3",
        programme.as_str(),
        county.as_str(),
        serial
    )
}

/// Revokes a certificate that holds.
pub(crate) async fn revoke_certificate(
    tx: &mut Tx,
    programme: &ProgrammeId,
    (county, serial): (RegionCode, i64),
    (reason, actor): (&str, &str),
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "UPDATE certificate SET revoked_at = $4, revoke_reason = $5, revoke_actor = $6 \
         WHERE programme_id = $1 AND county_code = $2 AND serial = $3 AND revoked_at IS NULL",
        programme.as_str(),
        county.as_str(),
        serial,
        now,
        reason,
        actor
    )?;
    Ok(())
}

/// Which certificates are asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CertificatesAsked<'call> {
    pub(crate) region: Option<RegionCode>,
    pub(crate) person: Option<&'call PersonId>,
    /// When it is asked: the tree of regions is that of then.
    pub(crate) now: DateTime<Utc>,
}

/// Certificates by county and number, each reached by the county and the class that its trainee was in when scores became final.
pub(crate) async fn list_certificates(
    tx: &mut Tx,
    reach: &Reach,
    programme: &ProgrammeId,
    asked: CertificatesAsked<'_>,
    (after_county, after_serial): (&str, i64),
    limit: i64,
) -> Result<Vec<Listed<CertificateRow>>, StoreError> {
    let columns = Columns {
        programme: "c.programme_id",
        region: "c.county_code",
        class: "c.class_id",
        person: "c.person_id",
        subject: "",
        as_of: AsOf::At(asked.now),
    };
    let region = Reach::region(text_of(asked.region.as_ref()));
    fetch_page!(
        tx,
        CertificateRow,
        "certificate" by ["county_code", "serial"],
        [
            "SELECT c.county_code, c.serial, c.person_id, c.class_id, c.version, c.sealed_code, c.issued_at, c.actor, \
             c.revoked_at, c.revoke_reason FROM certificate c WHERE c.programme_id = ",
            programme.as_str(),
            " AND (c.county_code, c.serial) > (",
            after_county,
            ", ",
            after_serial,
            ")",
            Equal("c.person_id", text_of(asked.person)),
            "",
            region.over(columns),
            "",
            reach.over(columns),
            " ORDER BY c.county_code, c.serial LIMIT ",
            limit
        ]
    )
}
