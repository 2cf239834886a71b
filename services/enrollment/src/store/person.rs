//! People as they stand, what befell them, and the moves of trainees.

use shipei_rules::{
    ids::{ClassId, PersonId, ProgrammeId, SchoolCode, text_of},
    region::RegionCode,
    vocabulary::{DevelopmentStage, EducationStage, Role},
};
use shipei_service_kit::{
    Reach,
    reach::{AsOf, Columns},
};
use shipei_store::{
    StoreError, Tx, bulk_insert, execute, fetch_all, fetch_list, fetch_one, fetch_optional, list::Equal,
    stands,
};

use super::{Maybe, Stamp, region, things::taught_by};
use crate::domain::{Member, Move, Place, Time};

/// The most moves of one trainee.
pub(crate) const MOVES_MAX: i64 = 1_000;

/// What happens to a person and counts once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PersonFact {
    Login,
    PreJob,
    Withdrawal,
}

impl PersonFact {
    fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::PreJob => "pre_job",
            Self::Withdrawal => "withdrawal",
        }
    }
}

/// A person as they stand.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct PersonRow {
    #[sqlx(try_from = "String")]
    pub(crate) person_id: PersonId,
    pub(crate) name: String,
    pub(crate) sealed_identity_number: Vec<u8>,
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
}

impl PersonRow {
    pub(crate) fn role(&self) -> Result<Role, StoreError> {
        Role::parse(&self.role).ok_or_else(|| StoreError::corrupt_row("person", "role", &self.person_id))
    }

    pub(crate) fn education_stage(&self) -> Result<Option<EducationStage>, StoreError> {
        education_stage(&self.education_stage, &self.person_id)
    }

    pub(crate) fn development_stage(&self) -> Result<Option<DevelopmentStage>, StoreError> {
        development_stage(&self.development_stage, &self.person_id)
    }

    pub(crate) fn member(&self) -> Result<Member, StoreError> {
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
            withdrawn_at: self.withdrawn_at,
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

/// The statement that gives [`PersonRow`]s, for a condition.
macro_rules! people_where {
    ($condition:literal) => {
        concat!(
            "SELECT p.person_id, p.name, p.sealed_identity_number, p.role, p.education_stage, p.subject, \
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
            first_fact!("occurred_at", "withdrawal"),
            " AS withdrawn_at, ",
            first_fact!("fact_id", "withdrawal"),
            " AS withdrawn_fact_id FROM person p WHERE ",
            $condition
        )
    };
}

pub(crate) async fn person(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
) -> Result<Option<PersonRow>, StoreError> {
    fetch_optional!(
        tx,
        PersonRow,
        people_where!("p.programme_id = $1 AND p.person_id = $2"),
        programme_id.as_str(),
        person_id.as_str()
    )
}

/// What decisions need to know of a person.
pub(crate) async fn member(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
) -> Result<Option<Member>, StoreError> {
    person(tx, programme_id, person_id).await?.map(|row| row.member()).transpose()
}

/// Holds a person until the transaction ends, so that leaving, moving and logging in don't pass each other.
pub(crate) async fn lock_person(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
) -> Result<(), StoreError> {
    if tx.is_postgres() {
        execute!(
            tx,
            "SELECT person_id FROM person WHERE programme_id = $1 AND person_id = $2 FOR UPDATE",
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

/// People by id, of those reached now. They are found by class, else by a county, else in the order of ids: a region that
/// is more than a county is asked of each row, so that a page costs what it holds.
pub(crate) async fn people(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    filter: PeopleFilter<'_>,
    now: Time,
    after: &str,
    limit: i64,
) -> Result<Vec<PersonRow>, StoreError> {
    let columns = Columns {
        programme: "p.programme_id",
        region: "p.county_code",
        class: "p.class_id",
        person: "p.person_id",
        subject: taught_by!("p.programme_id", "p.person_id"),
        as_of: AsOf::At(now),
    };
    let asked = Reach::region(text_of(filter.region_code.as_ref()));
    let county_code = region::county_among(tx, reach, programme_id, filter.region_code).await?;
    fetch_list!(
        tx,
        PersonRow,
        [
            people_where!("p.programme_id = "),
            programme_id.as_str(),
            " AND p.person_id > ",
            after,
            "",
            Equal("p.class_id", filter.class_id.map_or(reach.only_class(), ClassId::as_str)),
            "",
            Equal("p.county_code", text_of(county_code.as_ref())),
            "",
            Equal("p.role", filter.role.map_or("", Role::as_str)),
            "",
            asked.over(columns),
            "",
            reach.over(columns),
            " ORDER BY p.person_id LIMIT ",
            limit
        ]
    )
}

/// Notes a fact; the first one of its kind that stands counts.
pub(crate) async fn note(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
    fact: PersonFact,
    reason: &str,
    (stamp, fact_id): (&Stamp, &str),
) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO person_fact (programme_id, person_id, kind, reason, occurred_at, recorded_at, actor, fact_id) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        programme_id.as_str(),
        person_id.as_str(),
        fact.as_str(),
        reason,
        stamp.occurred_at,
        stamp.recorded_at,
        stamp.actor.as_str(),
        fact_id
    )?;
    Ok(())
}

#[derive(Debug, sqlx::FromRow)]
struct MoveRow {
    occurred_at: Time,
    #[sqlx(try_from = "String")]
    old_county_code: Maybe<RegionCode>,
    #[sqlx(try_from = "String")]
    old_school_code: Maybe<SchoolCode>,
    #[sqlx(try_from = "String")]
    old_class_id: Maybe<ClassId>,
    #[sqlx(try_from = "String")]
    new_county_code: Maybe<RegionCode>,
    #[sqlx(try_from = "String")]
    new_school_code: Maybe<SchoolCode>,
    #[sqlx(try_from = "String")]
    new_class_id: Maybe<ClassId>,
}

/// The moves of a trainee that stand, in the order of their times.
pub(crate) async fn moves(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
) -> Result<Vec<Move>, StoreError> {
    let rows = fetch_all!(
        tx,
        MoveRow,
        concat!(
            "SELECT t.occurred_at, t.old_county_code, t.old_school_code, t.old_class_id, t.new_county_code, \
             t.new_school_code, t.new_class_id FROM transfer t WHERE t.programme_id = $1 AND t.person_id = $2 AND",
            stands!("t"),
            "ORDER BY t.occurred_at, t.number LIMIT $3"
        ),
        programme_id.as_str(),
        person_id.as_str(),
        MOVES_MAX
    )?;
    let mut moves = Vec::with_capacity(rows.len());
    for row in rows {
        moves.push(Move {
            at: row.occurred_at,
            old: Place {
                county_code: row.old_county_code.0,
                school_code: row.old_school_code.0,
                class_id: row.old_class_id.0,
            },
            new: Place {
                county_code: row.new_county_code.0,
                school_code: row.new_school_code.0,
                class_id: row.new_class_id.0,
            },
        });
    }
    Ok(moves)
}

/// How many moves of a trainee were recorded, whether they stand or not.
pub(crate) async fn moves_count(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
) -> Result<i64, StoreError> {
    let (count,) = fetch_one!(
        tx,
        (i64,),
        "SELECT COUNT(*) FROM transfer WHERE programme_id = $1 AND person_id = $2",
        programme_id.as_str(),
        person_id.as_str()
    )?;
    Ok(count)
}

/// Keeps a move, the `number`th that was recorded of this trainee.
pub(crate) async fn insert_move(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
    number: i64,
    moved: &Move,
    (stamp, fact_id): (&Stamp, &str),
) -> Result<(), StoreError> {
    let rows = [moved];
    bulk_insert!(
        tx,
        "INSERT INTO transfer (programme_id, person_id, number, old_county_code, old_school_code, old_class_id, \
         new_county_code, new_school_code, new_class_id, occurred_at, recorded_at, actor, fact_id)",
        rows,
        |moved| (
            programme_id.as_str(),
            person_id.as_str(),
            number,
            text_of(moved.old.county_code.as_ref()),
            text_of(moved.old.school_code.as_ref()),
            text_of(moved.old.class_id.as_ref()),
            text_of(moved.new.county_code.as_ref()),
            text_of(moved.new.school_code.as_ref()),
            text_of(moved.new.class_id.as_ref()),
            moved.at,
            stamp.recorded_at,
            stamp.actor.as_str(),
            fact_id
        )
    )?;
    Ok(())
}

/// Puts somebody where they stand from now on.
pub(crate) async fn put_in_place(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
    place: &Place,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "UPDATE person SET county_code = $3, school_code = $4, class_id = $5 \
         WHERE programme_id = $1 AND person_id = $2",
        programme_id.as_str(),
        person_id.as_str(),
        text_of(place.county_code.as_ref()),
        text_of(place.school_code.as_ref()),
        text_of(place.class_id.as_ref())
    )?;
    Ok(())
}
