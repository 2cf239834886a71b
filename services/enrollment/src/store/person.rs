//! People as they stand in each of their roles, and what befell them.

use shipei_rules::{
    absence::Absences,
    ids::{ClassId, PersonId, ProgrammeId, SchoolCode, text_of},
    region::RegionCode,
    vocabulary::{DevelopmentStage, EducationStage, Role},
};
use shipei_service_kit::{
    Reach,
    reach::{AsOf, Columns},
};
use shipei_store::{
    StoreError, Tx,
    crypto::WrappedKey,
    execute, fetch_all, fetch_list, fetch_optional, fetch_page,
    list::{Equal, Listed},
    stands,
};

use super::{
    Maybe,
    person_fact::PersonFact,
    region,
    things::{taught_by, tutors},
};
use crate::domain::{Member, Place, Time};

/// The most withdrawals and returns of one trainee that are looked at.
const TURNS_MAX: i64 = 10_000;
/// More than there are roles.
const ROLES_MAX: i64 = 10;

/// A person as they stand in one of their roles.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct PersonRow {
    #[sqlx(try_from = "String")]
    pub(crate) person_id: PersonId,
    pub(crate) name: String,
    pub(crate) sealed_identity_number: Vec<u8>,
    pub(crate) identity_digest: Vec<u8>,
    pub(crate) role: String,
    pub(crate) education_stage: String,
    pub(crate) subject: String,
    pub(crate) development_stage: String,
    #[sqlx(try_from = "String")]
    pub(crate) county_code: Maybe<RegionCode>,
    #[sqlx(try_from = "String")]
    pub(crate) school_code: Maybe<SchoolCode>,
    #[sqlx(try_from = "String")]
    pub(crate) class_id: Maybe<ClassId>,
    #[sqlx(try_from = "String")]
    pub(crate) roster_county_code: Maybe<RegionCode>,
    #[sqlx(try_from = "String")]
    pub(crate) roster_school_code: Maybe<SchoolCode>,
    #[sqlx(try_from = "String")]
    pub(crate) roster_class_id: Maybe<ClassId>,
    pub(crate) login_at: Option<Time>,
    pub(crate) login_fact_id: Option<String>,
    pub(crate) pre_job_at: Option<Time>,
    pub(crate) pre_job_fact_id: Option<String>,
    pub(crate) withdrawn_at: Option<Time>,
    pub(crate) withdrawn_fact_id: Option<String>,
    pub(crate) counts_for_id: Option<String>,
    pub(crate) merge_fact_id: Option<String>,
    pub(crate) erased_at: Option<Time>,
    pub(crate) key_id: Option<String>,
    pub(crate) wrapped_key: Option<Vec<u8>>,
}

impl PersonRow {
    pub(crate) fn role(&self) -> Result<Role, StoreError> {
        Role::parse(&self.role).ok_or_else(|| StoreError::corrupt_row("person", "role", &self.person_id))
    }

    /// Their key.
    pub(crate) fn wrapped_key(&self) -> Option<WrappedKey> {
        let key_id = self.key_id.clone()?;
        Some(WrappedKey { key_id, bytes: self.wrapped_key.clone()? })
    }

    pub(crate) fn education_stage(&self) -> Result<Option<EducationStage>, StoreError> {
        education_stage(&self.education_stage, &self.person_id)
    }

    pub(crate) fn development_stage(&self) -> Result<Option<DevelopmentStage>, StoreError> {
        development_stage(&self.development_stage, &self.person_id)
    }

    fn member(&self, absences: Absences) -> Result<Member, StoreError> {
        Ok(Member {
            person_id: self.person_id.clone(),
            role: self.role()?,
            place: Place {
                county_code: self.county_code.0,
                school_code: self.school_code.0.clone(),
                class_id: self.class_id.0.clone(),
            },
            roster_place: Place {
                county_code: self.roster_county_code.0,
                school_code: self.roster_school_code.0.clone(),
                class_id: self.roster_class_id.0.clone(),
            },
            absences,
        })
    }
}

/// The education stage of a row; empty is none.
pub(crate) fn education_stage(
    word: &str,
    person_id: &PersonId,
) -> Result<Option<EducationStage>, StoreError> {
    match EducationStage::parse(word) {
        None if !word.is_empty() => Err(StoreError::corrupt_row("person", "education_stage", person_id)),
        stage => Ok(stage),
    }
}

/// The development stage of a row; empty is none.
pub(crate) fn development_stage(
    word: &str,
    person_id: &PersonId,
) -> Result<Option<DevelopmentStage>, StoreError> {
    match DevelopmentStage::parse(word) {
        None if !word.is_empty() => Err(StoreError::corrupt_row("person", "development_stage", person_id)),
        stage => Ok(stage),
    }
}

/// A column of the first fact of a kind that stands, of a person `p`.
macro_rules! first_fact {
    ($column:literal, $kind:literal) => {
        concat!(
            "(SELECT f.",
            $column,
            " FROM person_fact f WHERE f.programme_id = p.programme_id AND f.person_id = p.person_id AND f.kind = '",
            $kind,
            "' AND",
            stands!("f"),
            "ORDER BY f.occurred_at, f.fact_id LIMIT 1)"
        )
    };
}

/// A column of the withdrawal of a person `p` who is away: the first one that stands since they last came back.
macro_rules! withdrawal {
    ($column:literal) => {
        concat!(
            "(SELECT f.",
            $column,
            " FROM person_fact f WHERE f.programme_id = p.programme_id AND f.person_id = p.person_id \
             AND f.role = p.role AND f.kind = 'withdrawal' AND",
            stands!("f"),
            "AND NOT EXISTS (SELECT 1 FROM person_fact r WHERE r.programme_id = f.programme_id AND r.person_id = f.person_id \
             AND r.role = f.role AND r.kind = 'return' AND r.occurred_at > f.occurred_at AND",
            stands!("r"),
            ") ORDER BY f.occurred_at, f.fact_id LIMIT 1)"
        )
    };
}

/// A column of the merge that stands by which a person `p` counts in that role for another id, which is there.
macro_rules! merge {
    ($column:literal) => {
        concat!(
            "(SELECT g.",
            $column,
            " FROM person_merge g WHERE g.programme_id = p.programme_id AND g.merged_id = p.person_id AND g.role = p.role AND",
            stands!("g"),
            "AND NOT EXISTS (SELECT 1 FROM person_fact x WHERE x.programme_id = g.programme_id \
             AND x.person_id = g.kept_id AND x.role = g.role AND x.kind = 'removal' AND",
            stands!("x"),
            ") ORDER BY g.number DESC LIMIT 1)"
        )
    };
}

/// A condition: nobody has removed a person `p` as enrolled by mistake in that role.
macro_rules! is_there {
    () => {
        concat!(
            " NOT EXISTS (SELECT 1 FROM person_fact x WHERE x.programme_id = p.programme_id \
             AND x.person_id = p.person_id AND x.role = p.role AND x.kind = 'removal' AND",
            shipei_store::stands!("x"),
            ") "
        )
    };
}
pub(crate) use is_there;

/// A condition: a person `p` counts in that role for no other id, since both are one person.
macro_rules! counts_for_itself {
    () => {
        concat!(
            " NOT EXISTS (SELECT 1 FROM person_merge g WHERE g.programme_id = p.programme_id AND g.merged_id = p.person_id \
             AND g.role = p.role AND",
            shipei_store::stands!("g"),
            "AND NOT EXISTS (SELECT 1 FROM person_fact k WHERE k.programme_id = g.programme_id \
             AND k.person_id = g.kept_id AND k.role = g.role AND k.kind = 'removal' AND",
            shipei_store::stands!("k"),
            ")) "
        )
    };
}
pub(crate) use counts_for_itself;

/// The statement that gives [`PersonRow`]s, for a condition. Who was removed is nobody.
macro_rules! people_where {
    ($condition:literal) => {
        concat!(
            "SELECT p.person_id, p.name, p.sealed_identity_number, p.identity_digest, p.role, p.education_stage, p.subject, \
             p.development_stage, p.county_code, p.school_code, p.class_id, p.roster_county_code, \
             p.roster_school_code, p.roster_class_id, ",
            first_fact!("occurred_at", "login"),
            " AS login_at, ",
            first_fact!("fact_id", "login"),
            " AS login_fact_id, ",
            first_fact!("occurred_at", "pre_job"),
            " AS pre_job_at, ",
            first_fact!("fact_id", "pre_job"),
            " AS pre_job_fact_id, ",
            withdrawal!("occurred_at"),
            " AS withdrawn_at, ",
            withdrawal!("fact_id"),
            " AS withdrawn_fact_id, ",
            merge!("kept_id"),
            " AS counts_for_id, ",
            merge!("fact_id"),
            " AS merge_fact_id, d.erased_at, k.key_id, k.wrapped_key FROM person p LEFT JOIN person_key k \
             ON k.programme_id = p.programme_id AND k.person_id = p.person_id LEFT JOIN person_erasure d \
             ON d.programme_id = p.programme_id AND d.person_id = p.person_id WHERE",
            is_there!(),
            "AND ",
            $condition
        )
    };
}

/// Somebody in one of their roles.
pub(crate) async fn person(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
    role: Role,
) -> Result<Option<PersonRow>, StoreError> {
    fetch_optional!(
        tx,
        PersonRow,
        people_where!("p.programme_id = $1 AND p.person_id = $2 AND p.role = $3"),
        programme_id.as_str(),
        person_id.as_str(),
        role.as_str()
    )
}

/// Somebody in each of their roles that is reached now, a trainee first; a tutor is reached where their classes are, too.
pub(crate) async fn in_each_role(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
    now: Time,
) -> Result<Vec<PersonRow>, StoreError> {
    let mut rows = fetch_list!(
        tx,
        PersonRow,
        [
            people_where!("p.programme_id = "),
            programme_id.as_str(),
            " AND p.person_id = ",
            person_id.as_str(),
            "",
            reach.over(of_person(now)),
            " ORDER BY p.role LIMIT ",
            ROLES_MAX
        ]
    )?;
    // Who reaches everything has them already.
    let may_lack_tutor =
        *reach != Reach::Everything && rows.iter().all(|row| row.role != Role::ClassTutor.as_str());
    if may_lack_tutor && tutors(tx, reach, (programme_id.as_str(), person_id.as_str()), now, 1).await? {
        rows.extend(person(tx, programme_id, person_id, Role::ClassTutor).await?);
    }
    rows.sort_by_key(|row| Role::ALL.iter().position(|role| role.as_str() == row.role));
    Ok(rows)
}

/// What decisions need to know of a person in one of their roles.
pub(crate) async fn member(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
    role: Role,
) -> Result<Option<Member>, StoreError> {
    let Some(row) = person(tx, programme_id, person_id, role).await? else { return Ok(None) };
    member_of(tx, programme_id, &row).await.map(Some)
}

/// The same, of a row.
pub(crate) async fn member_of(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    row: &PersonRow,
) -> Result<Member, StoreError> {
    let absences = absences(tx, programme_id, &row.person_id, row.role()?).await?;
    row.member(absences)
}

/// When somebody was away from a role, of the withdrawals and returns that stand.
async fn absences(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
    role: Role,
) -> Result<Absences, StoreError> {
    let turns: Vec<(String, Time)> = fetch_all!(
        tx,
        (String, Time),
        concat!(
            "SELECT f.kind, f.occurred_at FROM person_fact f WHERE f.programme_id = $1 AND f.person_id = $2 \
             AND f.role = $3 AND f.kind IN ('withdrawal', 'return') AND",
            stands!("f"),
            "ORDER BY f.occurred_at LIMIT $4"
        ),
        programme_id.as_str(),
        person_id.as_str(),
        role.as_str(),
        TURNS_MAX
    )?;
    let of = |fact: PersonFact| -> Vec<Time> {
        turns.iter().filter(|(kind, _)| kind == fact.as_str()).map(|(_, at)| *at).collect()
    };
    Ok(Absences::of(of(PersonFact::Withdrawal), of(PersonFact::Return)))
}

/// Holds a person in all their roles until the transaction ends, so that leaving, moving and logging in don't pass each other.
pub(crate) async fn lock_person(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
) -> Result<(), StoreError> {
    if tx.is_postgres() {
        execute!(
            tx,
            "SELECT role FROM person WHERE programme_id = $1 AND person_id = $2 ORDER BY role FOR UPDATE",
            programme_id.as_str(),
            person_id.as_str()
        )?;
    }
    Ok(())
}

/// Which people a list wants; absent parts are any.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PeopleFilter<'a> {
    pub(crate) role: Option<Role>,
    pub(crate) region_code: Option<RegionCode>,
    pub(crate) class_id: Option<&'a ClassId>,
}

/// What a person (`p`) belongs to now in that role.
pub(super) fn of_person(now: Time) -> Columns {
    Columns {
        programme: "p.programme_id",
        region: "p.county_code",
        class: "p.class_id",
        person: "p.person_id",
        subject: taught_by!("p.programme_id", "p.person_id", "p.role"),
        as_of: AsOf::At(now),
    }
}

/// People by id and role, of those reached now. They are found by class, else by a county, else in the order of ids: a region that
/// is more than a county is asked of each row, so that a page costs what it holds.
pub(crate) async fn people(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    filter: PeopleFilter<'_>,
    now: Time,
    (after, after_role): (&str, &str),
    limit: i64,
) -> Result<Vec<Listed<PersonRow>>, StoreError> {
    let columns = of_person(now);
    let asked = Reach::region(text_of(filter.region_code.as_ref()));
    let county_code = region::county_among(tx, reach, programme_id, filter.region_code).await?;
    fetch_page!(
        tx,
        PersonRow,
        "person" by ["person_id", "role"],
        [
            people_where!("p.programme_id = "),
            programme_id.as_str(),
            " AND (p.person_id, p.role) > (",
            after,
            ", ",
            after_role,
            ")",
            Equal("p.class_id", filter.class_id.map_or(reach.only_class(), ClassId::as_str)),
            "",
            Equal("p.county_code", text_of(county_code.as_ref())),
            "",
            Equal("p.role", filter.role.map_or("", Role::as_str)),
            "",
            asked.over(columns),
            "",
            reach.over(columns),
            " ORDER BY p.person_id, p.role LIMIT ",
            limit
        ]
    )
}

/// Whom a search is for.
#[derive(Debug)]
pub(crate) enum Sought {
    /// Who has the identity number of this digest.
    Number([u8; 32]),
    /// Who is called so, by what ways to write the name have in common.
    Name(String),
}

/// The people who are sought, by id, of those reached now; an absent region is any.
pub(crate) async fn found(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    (sought, region_code): (&Sought, Option<RegionCode>),
    now: Time,
    limit: i64,
) -> Result<Vec<PersonRow>, StoreError> {
    let asked = Reach::region(text_of(region_code.as_ref()));
    let columns = of_person(now);
    match sought {
        Sought::Number(digest) => fetch_list!(
            tx,
            PersonRow,
            [
                people_where!("p.programme_id = "),
                programme_id.as_str(),
                " AND p.identity_digest = ",
                digest[..],
                "",
                asked.over(columns),
                "",
                reach.over(columns),
                " ORDER BY p.person_id, p.role LIMIT ",
                limit
            ]
        ),
        Sought::Name(key) => fetch_list!(
            tx,
            PersonRow,
            [
                people_where!("p.programme_id = "),
                programme_id.as_str(),
                " AND p.name_key = ",
                key.as_str(),
                "",
                asked.over(columns),
                "",
                reach.over(columns),
                " ORDER BY p.person_id, p.role LIMIT ",
                limit
            ]
        ),
    }
}
