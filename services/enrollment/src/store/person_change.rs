//! What was put right of people, or has changed, and what follows from it in their rows.

use shipei_rules::{
    ids::{PersonId, ProgrammeId},
    teaching::{Teaching, TeachingChange},
    vocabulary::{DevelopmentStage, EducationStage, Role},
};
use shipei_store::{StoreError, Tx, execute, fetch_all, fetch_one, stands};

use super::{
    Stamp,
    person::{self, is_there},
};
use crate::domain::{Content, ContentChange, Time};

/// The most changes of one person.
pub(crate) const CHANGES_MAX: i64 = 1_000;
/// The most others with one identity number that are looked at.
const HOLDERS_MAX: i64 = 100;

#[derive(sqlx::FromRow)]
struct ChangeRow {
    role: String,
    number: i64,
    since_at: Option<Time>,
    name: Option<String>,
    sealed_identity_number: Option<Vec<u8>>,
    identity_digest: Option<Vec<u8>>,
    subject: Option<String>,
    education_stage: String,
    development_stage: String,
}

impl ChangeRow {
    fn change(self, person_id: &PersonId) -> Result<ContentChange, StoreError> {
        let role = Role::parse(&self.role);
        let role = role.ok_or_else(|| StoreError::corrupt_row("person_change", "role", person_id))?;
        Ok(ContentChange {
            role,
            teaching: TeachingChange {
                since: self.since_at,
                number: self.number,
                subject: self.subject,
                education_stage: person::education_stage(&self.education_stage, person_id)?,
                development_stage: person::development_stage(&self.development_stage, person_id)?,
            },
            name: self.name,
            identity_number: self.sealed_identity_number.zip(self.identity_digest),
        })
    }
}

/// The changes of a person in all their roles that stand, by number; the first are what the roster had. None of whom nothing was
/// ever put right.
pub(crate) async fn changes(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
) -> Result<Vec<ContentChange>, StoreError> {
    let rows = fetch_all!(
        tx,
        ChangeRow,
        concat!(
            "SELECT c.role, c.number, c.since_at, c.name, c.sealed_identity_number, c.identity_digest, c.subject, \
             c.education_stage, c.development_stage FROM person_change c \
             WHERE c.programme_id = $1 AND c.person_id = $2 AND",
            stands!("c"),
            "ORDER BY c.number, c.role LIMIT $3"
        ),
        programme_id.as_str(),
        person_id.as_str(),
        CHANGES_MAX
    )?;
    rows.into_iter().map(|row| row.change(person_id)).collect()
}

/// The number of the next change of a person, whatever became of those before.
pub(crate) async fn next_number(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
) -> Result<i64, StoreError> {
    let (last,) = fetch_one!(
        tx,
        (i64,),
        "SELECT COALESCE(MAX(number), 0) FROM person_change WHERE programme_id = $1 AND person_id = $2",
        programme_id.as_str(),
        person_id.as_str()
    )?;
    Ok(last.saturating_add(1))
}

/// Keeps a change.
pub(crate) async fn insert_change(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
    change: &ContentChange,
    reason: &str,
    (stamp, fact_id): (&Stamp, &str),
) -> Result<(), StoreError> {
    let ContentChange { role, teaching, name, identity_number } = change;
    let (sealed, digest) = identity_number.as_ref().map(|(sealed, digest)| (sealed, digest)).unzip();
    execute!(
        tx,
        "INSERT INTO person_change (programme_id, person_id, role, number, since_at, name, sealed_identity_number, \
         identity_digest, subject, education_stage, development_stage, reason, occurred_at, recorded_at, actor, fact_id) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
        programme_id.as_str(),
        person_id.as_str(),
        role.as_str(),
        teaching.number,
        teaching.since,
        name.as_deref(),
        sealed.map(Vec::as_slice),
        digest.map(Vec::as_slice),
        teaching.subject.as_deref(),
        teaching.education_stage.map_or("", EducationStage::as_str),
        teaching.development_stage.map_or("", DevelopmentStage::as_str),
        reason,
        stamp.occurred_at,
        stamp.recorded_at,
        stamp.actor.as_str(),
        fact_id
    )?;
    Ok(())
}

/// Puts into a person's rows the name and the number that stand.
pub(crate) async fn put_identity(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
    content: &Content,
) -> Result<(), StoreError> {
    let (sealed, digest) = &content.identity_number;
    execute!(
        tx,
        "UPDATE person SET name = $3, name_key = $4, sealed_identity_number = $5, identity_digest = $6 \
         WHERE programme_id = $1 AND person_id = $2",
        programme_id.as_str(),
        person_id.as_str(),
        content.name.as_str(),
        shipei_text::same_name_key(&content.name).as_str(),
        sealed.as_slice(),
        digest.as_slice()
    )?;
    Ok(())
}

/// Puts into a person's row of a role what stands of what they teach.
pub(crate) async fn put_teaching(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
    role: Role,
    content: &Content,
) -> Result<(), StoreError> {
    let now = content.teaching.all().last().unwrap_or(content.teaching.first());
    let Teaching { subject, education_stage, development_stage } = now;
    execute!(
        tx,
        "UPDATE person SET subject = $4, education_stage = $5, development_stage = $6 \
         WHERE programme_id = $1 AND person_id = $2 AND role = $3",
        programme_id.as_str(),
        person_id.as_str(),
        role.as_str(),
        subject.as_str(),
        education_stage.map_or("", EducationStage::as_str),
        development_stage.map_or("", DevelopmentStage::as_str)
    )?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct SameRow {
    #[sqlx(try_from = "String")]
    person_id: PersonId,
}

/// Somebody else who has this number, this name and a role of this person's: the same person twice.
pub(crate) async fn same_person(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
    (digest, name): (&[u8], &str),
) -> Result<Option<PersonId>, StoreError> {
    let rows = fetch_all!(
        tx,
        SameRow,
        concat!(
            "SELECT p.person_id FROM person p WHERE p.programme_id = $1 AND p.identity_digest = $2 AND p.person_id <> $3 \
             AND p.name_key = $4 AND",
            is_there!(),
            "AND p.role IN (SELECT p.role FROM person p WHERE p.programme_id = $1 AND p.person_id = $3 AND",
            is_there!(),
            ") ORDER BY p.person_id LIMIT $5"
        ),
        programme_id.as_str(),
        digest,
        person_id.as_str(),
        shipei_text::same_name_key(name).as_str(),
        HOLDERS_MAX
    )?;
    Ok(rows.into_iter().next().map(|row| row.person_id))
}
