//! What was put right by hand: sessions voided, time granted.

use chrono::{DateTime, Utc};
use shipei_rules::ids::{CourseId, GrantId, PersonId, ProgrammeId, SessionId};
use shipei_store::{StoreError, Tx, execute, fetch_optional, select_by_keys, stands};

/// A row of `granted_time`.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct GrantRow {
    #[sqlx(try_from = "String")]
    pub(crate) person_id: PersonId,
    #[sqlx(try_from = "String")]
    pub(crate) grant_id: GrantId,
    #[sqlx(try_from = "String")]
    pub(crate) course_id: CourseId,
    pub(crate) granted_at: DateTime<Utc>,
    pub(crate) seconds: i64,
    pub(crate) micros: i64,
    pub(crate) reason: String,
    pub(crate) evidence: String,
    /// The fact.
    pub(crate) fact_id: String,
}

impl GrantRow {
    /// Whether it is the same but for its fact.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Self { fact_id: String::new(), ..self.clone() } == Self { fact_id: String::new(), ..other.clone() }
    }
}

/// All time granted to these learners, of the grants that stand.
pub(crate) async fn grants(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_ids: &[&PersonId],
) -> Result<Vec<GrantRow>, StoreError> {
    select_by_keys!(
        tx,
        GrantRow,
        [
            concat!(
                "SELECT g.person_id, g.grant_id, g.course_id, g.granted_at, g.seconds, g.micros, g.reason, g.evidence, \
                 g.fact_id FROM granted_time g WHERE",
                stands!("g"),
                "AND g.programme_id = "
            ),
            programme_id.as_str(),
            " AND g.person_id IN "
        ],
        person_ids,
        |person_id| (person_id.as_str())
    )
}

/// Keeps a grant, which is new.
pub(crate) async fn insert_grant(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    grant: &GrantRow,
    recorded_at: DateTime<Utc>,
    actor: &str,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO granted_time (programme_id, person_id, grant_id, course_id, granted_at, seconds, micros, reason, \
         evidence, recorded_at, actor, fact_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        programme_id.as_str(),
        grant.person_id.as_str(),
        grant.grant_id.as_str(),
        grant.course_id.as_str(),
        grant.granted_at,
        grant.seconds,
        grant.micros,
        grant.reason.as_str(),
        grant.evidence.as_str(),
        recorded_at,
        actor,
        grant.fact_id.as_str()
    )?;
    Ok(())
}

/// That a session was voided.
#[derive(Debug)]
pub(crate) struct Voided<'a> {
    pub(crate) person_id: &'a PersonId,
    pub(crate) session_id: &'a SessionId,
    pub(crate) reason: &'a str,
    /// The fact.
    pub(crate) fact_id: &'a str,
}

/// Keeps why a session was voided.
pub(crate) async fn insert_voided(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    voided: &Voided<'_>,
    recorded_at: DateTime<Utc>,
    actor: &str,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO session_voided (programme_id, person_id, session_id, reason, recorded_at, actor, fact_id) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        programme_id.as_str(),
        voided.person_id.as_str(),
        voided.session_id.as_str(),
        voided.reason,
        recorded_at,
        actor,
        voided.fact_id
    )?;
    Ok(())
}

/// Why a session was voided; empty when that was emptied.
pub(crate) async fn why_voided(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    fact_id: &str,
) -> Result<String, StoreError> {
    let row = fetch_optional!(
        tx,
        (String,),
        "SELECT reason FROM session_voided WHERE programme_id = $1 AND fact_id = $2",
        programme_id.as_str(),
        fact_id
    )?;
    Ok(row.map(|(reason,)| reason).unwrap_or_default())
}

/// Why time was granted, and what shows it.
pub(crate) async fn why_granted(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
    fact_id: &str,
) -> Result<(String, String), StoreError> {
    let row = fetch_optional!(
        tx,
        (String, String),
        "SELECT reason, evidence FROM granted_time WHERE person_id = $1 AND programme_id = $2 AND fact_id = $3",
        person_id.as_str(),
        programme_id.as_str(),
        fact_id
    )?;
    Ok(row.unwrap_or_default())
}

/// A fact that voided a session and stands.
#[derive(Debug, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct VoidRow {
    #[sqlx(try_from = "String")]
    pub(crate) session_id: SessionId,
    pub(crate) fact_id: String,
}

/// The facts that voided these sessions of a learner and stand.
pub(crate) async fn voids(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
    session_ids: &[&SessionId],
) -> Result<Vec<VoidRow>, StoreError> {
    let keys: Vec<_> = session_ids.iter().map(|session_id| (person_id, *session_id)).collect();
    select_by_keys!(
        tx,
        VoidRow,
        [
            concat!(
                "SELECT v.session_id, v.fact_id FROM session_voided v WHERE",
                stands!("v"),
                "AND v.programme_id = "
            ),
            programme_id.as_str(),
            " AND (v.person_id, v.session_id) IN "
        ],
        keys,
        |(person_id, session_id)| (person_id.as_str(), session_id.as_str())
    )
}
