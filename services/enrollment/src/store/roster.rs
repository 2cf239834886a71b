//! A roster's bulk reads and writes: what a run of rows names, whom it may meet, and the new people.

use std::collections::BTreeSet;

use shipei_rules::{
    ids::{ClassId, PersonId, ProgrammeId, SchoolCode, text_of},
    places::{PlaceKind, Successors},
    region::RegionCode,
    vocabulary::Role,
};
use shipei_store::{StoreError, Tx, bulk_insert, select_by_keys};

use super::{
    Life, Maybe, Stamp,
    person::{self, is_there},
    place::{self, When},
    region,
};
use crate::{
    domain::Place,
    roster::{
        Candidate, Enrolled, Holder, IdentityDigest, Known, Register, Tree, TreeRegion, Written, with_zeros,
    },
};

/// A candidate who is to be added, with their identity number's two forms.
#[derive(Debug)]
pub(crate) struct NewPerson<'a> {
    pub(crate) candidate: &'a Candidate,
    /// Of who has another role already, as it stands there.
    pub(crate) name: String,
    pub(crate) has_another_role: bool,
    pub(crate) sealed_identity_number: Vec<u8>,
    pub(crate) digest: IdentityDigest,
}

#[derive(Debug, sqlx::FromRow)]
struct EnrolledRow {
    #[sqlx(try_from = "String")]
    person_id: PersonId,
    identity_digest: Vec<u8>,
    name: String,
    role: String,
    education_stage: String,
    subject: String,
    development_stage: String,
    #[sqlx(try_from = "String")]
    county_code: Maybe<RegionCode>,
    #[sqlx(try_from = "String")]
    school_code: Maybe<SchoolCode>,
    #[sqlx(try_from = "String")]
    class_id: Maybe<ClassId>,
    #[sqlx(try_from = "String")]
    roster_county_code: Maybe<RegionCode>,
    #[sqlx(try_from = "String")]
    roster_school_code: Maybe<SchoolCode>,
    #[sqlx(try_from = "String")]
    roster_class_id: Maybe<ClassId>,
    // As the roster had them, name and number whatever the role; absent of whom nothing was put right.
    old_digest: Option<Vec<u8>>,
    old_name: Option<String>,
    old_education_stage: Option<String>,
    old_subject: Option<String>,
    old_development_stage: Option<String>,
    is_there: bool,
    is_erased: bool,
}

/// Who holds an identity number.
#[derive(Debug, sqlx::FromRow)]
struct HolderRow {
    #[sqlx(try_from = "String")]
    person_id: PersonId,
    identity_digest: Vec<u8>,
    name: String,
    role: String,
}

#[derive(sqlx::FromRow)]
struct SchoolOfCounty {
    #[sqlx(try_from = "String")]
    school_code: SchoolCode,
    #[sqlx(try_from = "String")]
    county_code: RegionCode,
}

#[derive(sqlx::FromRow)]
struct ClassThere {
    #[sqlx(try_from = "String")]
    class_id: ClassId,
}

/// A place that was closed or merged.
#[derive(sqlx::FromRow)]
struct EndedRow {
    code: String,
    #[sqlx(flatten)]
    life: Life,
}

/// The start of a statement that gives [`EndedRow`]s of a table by their code.
macro_rules! ended {
    ($table:literal, $code:literal) => {
        concat!(
            "SELECT code, created_name, named_at, closed_at, merged_into FROM (SELECT programme_id, ",
            $code,
            " AS code, created_name, named_at, closed_at, merged_into FROM ",
            $table,
            ") AS place WHERE programme_id = "
        )
    };
}

/// What there is of what the candidates name.
pub(crate) async fn known(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    candidates: &[Candidate],
) -> Result<Known, StoreError> {
    let mut known = Known::default();
    let schools = distinct(candidates, of_school);
    let schools: Vec<SchoolOfCounty> = select_by_keys!(
        tx,
        SchoolOfCounty,
        [
            "SELECT school_code, county_code FROM school WHERE programme_id = ",
            programme_id.as_str(),
            " AND school_code IN "
        ],
        schools,
        |code| (code.as_str())
    )?;
    known.schools.extend(schools.into_iter().map(|row| (row.school_code, row.county_code)));
    let classes = distinct(candidates, of_class);
    let classes: Vec<ClassThere> = select_by_keys!(
        tx,
        ClassThere,
        ["SELECT class_id FROM class WHERE programme_id = ", programme_id.as_str(), " AND class_id IN "],
        classes,
        |class_id| (class_id.as_str())
    )?;
    known.classes.extend(classes.into_iter().map(|row| row.class_id));
    for (kind, sql, part) in [
        (PlaceKind::Region, ended!("region", "code"), of_county as fn(&Place) -> &str),
        (PlaceKind::School, ended!("school", "school_code"), of_school),
        (PlaceKind::Class, ended!("class", "class_id"), of_class),
    ] {
        let codes = distinct(candidates, part);
        let rows: Vec<EndedRow> = select_by_keys!(
            tx,
            EndedRow,
            [sql, programme_id.as_str(), " AND closed_at IS NOT NULL AND code IN "],
            codes,
            |code| (code.as_str())
        )?;
        known.ended.extend(rows.into_iter().map(|row| ((kind, row.code), row.life)));
    }
    Ok(known)
}

fn of_county(place: &Place) -> &str {
    text_of(place.county_code.as_ref())
}

fn of_school(place: &Place) -> &str {
    text_of(place.school_code.as_ref())
}

fn of_class(place: &Place) -> &str {
    text_of(place.class_id.as_ref())
}

/// What the candidates name, and the ids that a spreadsheet may have made it of.
fn distinct(candidates: &[Candidate], part: impl Fn(&Place) -> &str) -> Vec<String> {
    let mut parts: BTreeSet<String> =
        candidates.iter().map(|candidate| part(&candidate.place).to_owned()).collect();
    let padded: Vec<String> = parts.iter().flat_map(|part| with_zeros(part)).collect();
    parts.extend(padded);
    parts.into_iter().filter(|part| !part.is_empty()).collect()
}

/// The region tree.
pub(crate) async fn tree(tx: &mut Tx, programme_id: &ProgrammeId) -> Result<Tree, StoreError> {
    let mut regions = Vec::new();
    for row in region::tree(tx, programme_id).await? {
        let level = row.level()?;
        let (parent_code, is_closed) = (row.parent_code.0, row.life.closed_at.is_some());
        regions.push(TreeRegion { code: row.code, name: row.name, level, parent_code, is_closed });
    }
    Ok(Tree::new(regions))
}

/// Adds to the register everybody who has one of the candidates' ids or identity numbers.
pub(crate) async fn add_enrolled(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    candidates: &[Candidate],
    digests: &[IdentityDigest],
    register: &mut Register,
) -> Result<(), StoreError> {
    let ids: BTreeSet<&str> = candidates.iter().map(|candidate| candidate.person_id.as_str()).collect();
    let ids: Vec<&str> = ids.into_iter().collect();
    let by_id = select_by_keys!(
        tx,
        EnrolledRow,
        [
            concat!(
                "SELECT p.person_id, p.identity_digest, p.name, p.role, p.education_stage, p.subject, p.development_stage, \
             p.county_code, p.school_code, p.class_id, p.roster_county_code, p.roster_school_code, p.roster_class_id, \
             n.identity_digest AS old_digest, n.name AS old_name, o.education_stage AS old_education_stage, \
             o.subject AS old_subject, o.development_stage AS old_development_stage, ",
                is_there!(),
                "AS is_there, EXISTS (SELECT 1 FROM person_erasure d WHERE d.programme_id = p.programme_id \
             AND d.person_id = p.person_id) AS is_erased FROM person p \
             LEFT JOIN person_change o ON o.programme_id = p.programme_id AND o.person_id = p.person_id \
             AND o.role = p.role AND o.number = 0 \
             LEFT JOIN person_change n ON n.programme_id = p.programme_id AND n.person_id = p.person_id \
             AND n.number = 0 AND n.name IS NOT NULL \
             WHERE p.programme_id = "
            ),
            programme_id.as_str(),
            " AND p.person_id IN "
        ],
        ids,
        |person_id| (*person_id)
    )?;
    let digests: BTreeSet<&[u8]> = digests.iter().map(|digest| &digest[..]).collect();
    let digests: Vec<&[u8]> = digests.into_iter().collect();
    let holders: Vec<HolderRow> = select_by_keys!(
        tx,
        HolderRow,
        [
            concat!(
                "SELECT p.person_id, p.identity_digest, p.name, p.role FROM person p WHERE",
                is_there!(),
                "AND p.programme_id = "
            ),
            programme_id.as_str(),
            " AND p.identity_digest IN "
        ],
        digests,
        |digest| (*digest)
    )?;
    for row in by_id {
        let person_id = row.person_id.clone();
        register.add(person_id, enrolled(row)?);
    }
    for HolderRow { person_id, identity_digest, name, role } in holders {
        let digest = to_digest(identity_digest, &person_id)?;
        let role = to_role(&role, &person_id)?;
        register.add_holder(digest, person_id, Holder::new(role, &name));
    }
    Ok(())
}

fn to_digest(bytes: Vec<u8>, person_id: &PersonId) -> Result<IdentityDigest, StoreError> {
    bytes.try_into().map_err(|_| StoreError::corrupt_row("person", "identity_digest", person_id))
}

fn to_role(role: &str, person_id: &PersonId) -> Result<Role, StoreError> {
    Role::parse(role).ok_or_else(|| StoreError::corrupt_row("person", "role", person_id))
}

fn enrolled(row: EnrolledRow) -> Result<Enrolled, StoreError> {
    let person_id = &row.person_id;
    let written = Written {
        digest: to_digest(row.identity_digest, person_id)?,
        name: row.name,
        education_stage: person::education_stage(&row.education_stage, person_id)?,
        subject: row.subject,
        development_stage: person::development_stage(&row.development_stage, person_id)?,
    };
    let before_corrections = match (row.old_digest, row.old_name) {
        (Some(digest), Some(name)) => {
            // Of a role of which nothing was put right, only name and number may be others.
            let mut before = Written { digest: to_digest(digest, person_id)?, name, ..written.clone() };
            if let Some(subject) = row.old_subject {
                let stage = row.old_education_stage.unwrap_or_default();
                let development = row.old_development_stage.unwrap_or_default();
                before.subject = subject;
                before.education_stage = person::education_stage(&stage, person_id)?;
                before.development_stage = person::development_stage(&development, person_id)?;
            }
            Some(before)
        }
        _ => None,
    };
    Ok(Enrolled {
        role: to_role(&row.role, person_id)?,
        is_there: row.is_there,
        is_erased: row.is_erased,
        before_corrections,
        written,
        roster_place: Place {
            county_code: row.roster_county_code.0,
            school_code: row.roster_school_code.0,
            class_id: row.roster_class_id.0,
        },
        place: Place {
            county_code: row.county_code.0,
            school_code: row.school_code.0,
            class_id: row.class_id.0,
        },
    })
}

/// Adds people in roles in which they are not there.
pub(crate) async fn insert_people(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    (people, successors): (&[NewPerson<'_>], &Successors),
    stamp: &Stamp,
) -> Result<(), StoreError> {
    let mut standing = Vec::with_capacity(people.len());
    for person in people {
        let place = place::standing(successors, &person.candidate.place, When::Last)?;
        standing.push((person, place));
    }
    bulk_insert!(
        tx,
        "INSERT INTO person (programme_id, person_id, name, name_key, sealed_identity_number, identity_digest, role, \
         education_stage, subject, development_stage, county_code, school_code, class_id, roster_county_code, \
         roster_school_code, roster_class_id, occurred_at, recorded_at, actor)",
        standing,
        |tuple, row| {
            let (person, place) = row;
            let candidate = person.candidate;
            tuple.push_bind(programme_id.as_str());
            tuple.push_bind(candidate.person_id.as_str());
            tuple.push_bind(person.name.as_str());
            tuple.push_bind(shipei_text::same_name_key(&person.name));
            tuple.push_bind(person.sealed_identity_number.as_slice());
            tuple.push_bind(&person.digest[..]);
            tuple.push_bind(candidate.role.as_str());
            tuple.push_bind(candidate.education_stage.map_or("", |stage| stage.as_str()));
            tuple.push_bind(candidate.subject.as_str());
            tuple.push_bind(candidate.development_stage.map_or("", |stage| stage.as_str()));
            // As they stand, and as the roster put them.
            for place in [place, &candidate.place] {
                tuple.push_bind(text_of(place.county_code.as_ref()));
                tuple.push_bind(text_of(place.school_code.as_ref()));
                tuple.push_bind(text_of(place.class_id.as_ref()));
            }
            tuple.push_bind(stamp.occurred_at);
            tuple.push_bind(stamp.recorded_at);
            tuple.push_bind(stamp.actor.as_str());
        }
    )?;
    Ok(())
}
