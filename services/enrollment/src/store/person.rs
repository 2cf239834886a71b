//! People as they stand, what befell them, and the moves of trainees.

use shipei_rules::vocabulary::{DevelopmentStage, EducationStage, Role};
use shipei_service_kit::{
    Reach,
    reach::{AsOf, Columns},
};
use shipei_store::{
    StoreError, Tx, bulk_insert, execute, fetch_all, fetch_list, fetch_one, fetch_optional, list::Equal,
    stands,
};

use super::{Stamp, region};
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
    pub(crate) person_id: String,
    pub(crate) name: String,
    pub(crate) sealed_identity_number: Vec<u8>,
    pub(crate) role: String,
    pub(crate) education_stage: String,
    pub(crate) subject: String,
    pub(crate) development_stage: String,
    pub(crate) county_code: String,
    pub(crate) school_code: String,
    pub(crate) class_id: String,
    pub(crate) roster_county_code: String,
    pub(crate) roster_school_code: String,
    pub(crate) roster_class_id: String,
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
            place: place(&self.county_code, &self.school_code, &self.class_id),
            roster_place: place(&self.roster_county_code, &self.roster_school_code, &self.roster_class_id),
            withdrawn_at: self.withdrawn_at,
        })
    }
}

/// The education stage of a row; empty is none.
pub(crate) fn education_stage(word: &str, person_id: &str) -> Result<Option<EducationStage>, StoreError> {
    match EducationStage::parse(word) {
        None if !word.is_empty() => Err(StoreError::corrupt_row("person", "education_stage", person_id)),
        stage => Ok(stage),
    }
}

/// The development stage of a row; empty is none.
pub(crate) fn development_stage(word: &str, person_id: &str) -> Result<Option<DevelopmentStage>, StoreError> {
    match DevelopmentStage::parse(word) {
        None if !word.is_empty() => Err(StoreError::corrupt_row("person", "development_stage", person_id)),
        stage => Ok(stage),
    }
}

pub(crate) fn place(county_code: &str, school_code: &str, class_id: &str) -> Place {
    Place {
        county_code: county_code.to_owned(),
        school_code: school_code.to_owned(),
        class_id: class_id.to_owned(),
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
    programme_id: &str,
    person_id: &str,
) -> Result<Option<PersonRow>, StoreError> {
    fetch_optional!(
        tx,
        PersonRow,
        people_where!("p.programme_id = $1 AND p.person_id = $2"),
        programme_id,
        person_id
    )
}

/// What decisions need to know of a person.
pub(crate) async fn member(
    tx: &mut Tx,
    programme_id: &str,
    person_id: &str,
) -> Result<Option<Member>, StoreError> {
    person(tx, programme_id, person_id).await?.map(|row| row.member()).transpose()
}

/// Holds a person until the transaction ends, so that leaving, moving and logging in don't pass each other.
pub(crate) async fn lock_person(tx: &mut Tx, programme_id: &str, person_id: &str) -> Result<(), StoreError> {
    if tx.is_postgres() {
        execute!(
            tx,
            "SELECT person_id FROM person WHERE programme_id = $1 AND person_id = $2 FOR UPDATE",
            programme_id,
            person_id
        )?;
    }
    Ok(())
}

/// Which people a list wants; empty parts are any.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PeopleFilter<'a> {
    pub(crate) role: &'a str,
    pub(crate) region_code: &'a str,
    pub(crate) class_id: &'a str,
}

/// People by id, of those reached now. They are found by class, else by a county, else in the order of ids: a region that
/// is more than a county is asked of each row, so that a page costs what it holds.
pub(crate) async fn people(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &str,
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
        as_of: AsOf::At(now),
    };
    let asked = Reach::region(filter.region_code);
    let county_code =
        region::county_among(tx, programme_id, [filter.region_code, reach.only_region()]).await?;
    fetch_list!(
        tx,
        PersonRow,
        [
            people_where!("p.programme_id = "),
            programme_id,
            " AND p.person_id > ",
            after,
            "",
            Equal("p.class_id", filter.class_id),
            "",
            Equal("p.county_code", &county_code),
            "",
            Equal("p.role", filter.role),
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
    programme_id: &str,
    person_id: &str,
    fact: PersonFact,
    reason: &str,
    (stamp, fact_id): (&Stamp, &str),
) -> Result<(), StoreError> {
    execute!(
        tx,
        "INSERT INTO person_fact (programme_id, person_id, kind, reason, occurred_at, recorded_at, actor, fact_id) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        programme_id,
        person_id,
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
    old_county_code: String,
    old_school_code: String,
    old_class_id: String,
    new_county_code: String,
    new_school_code: String,
    new_class_id: String,
}

/// The moves of a trainee that stand, in the order of their times.
pub(crate) async fn moves(tx: &mut Tx, programme_id: &str, person_id: &str) -> Result<Vec<Move>, StoreError> {
    let rows = fetch_all!(
        tx,
        MoveRow,
        concat!(
            "SELECT t.occurred_at, t.old_county_code, t.old_school_code, t.old_class_id, t.new_county_code, \
             t.new_school_code, t.new_class_id FROM transfer t WHERE t.programme_id = $1 AND t.person_id = $2 AND",
            stands!("t"),
            "ORDER BY t.occurred_at, t.number LIMIT $3"
        ),
        programme_id,
        person_id,
        MOVES_MAX
    )?;
    let mut moves = Vec::with_capacity(rows.len());
    for row in rows {
        moves.push(Move {
            at: row.occurred_at,
            old: place(&row.old_county_code, &row.old_school_code, &row.old_class_id),
            new: place(&row.new_county_code, &row.new_school_code, &row.new_class_id),
        });
    }
    Ok(moves)
}

/// How many moves of a trainee were recorded, whether they stand or not.
pub(crate) async fn moves_count(tx: &mut Tx, programme_id: &str, person_id: &str) -> Result<i64, StoreError> {
    let (count,) = fetch_one!(
        tx,
        (i64,),
        "SELECT COUNT(*) FROM transfer WHERE programme_id = $1 AND person_id = $2",
        programme_id,
        person_id
    )?;
    Ok(count)
}

/// Keeps a move, the `number`th that was recorded of this trainee.
pub(crate) async fn insert_move(
    tx: &mut Tx,
    programme_id: &str,
    person_id: &str,
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
            programme_id,
            person_id,
            number,
            moved.old.county_code.as_str(),
            moved.old.school_code.as_str(),
            moved.old.class_id.as_str(),
            moved.new.county_code.as_str(),
            moved.new.school_code.as_str(),
            moved.new.class_id.as_str(),
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
    programme_id: &str,
    person_id: &str,
    place: &Place,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "UPDATE person SET county_code = $3, school_code = $4, class_id = $5 \
         WHERE programme_id = $1 AND person_id = $2",
        programme_id,
        person_id,
        place.county_code.as_str(),
        place.school_code.as_str(),
        place.class_id.as_str()
    )?;
    Ok(())
}
