//! The moves of trainees, and where they stand.

use shipei_rules::{
    ids::{ClassId, PersonId, ProgrammeId, SchoolCode, text_of},
    region::RegionCode,
};
use shipei_store::{StoreError, Tx, bulk_insert, execute, fetch_all, fetch_one, fetch_optional, stands};

use super::{Maybe, Stamp};
use crate::domain::{Move, Place, Time};

/// The most moves of one trainee.
pub(crate) const MOVES_MAX: i64 = 1_000;

/// Where the roster put a trainee, also one who was removed.
pub(crate) async fn roster_place(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
) -> Result<Option<Place>, StoreError> {
    let row = fetch_optional!(
        tx,
        PlaceRow,
        "SELECT roster_county_code, roster_school_code, roster_class_id FROM person \
         WHERE programme_id = $1 AND person_id = $2 AND role = 'trainee'",
        programme_id.as_str(),
        person_id.as_str()
    )?;
    Ok(row.map(|row| Place {
        county_code: row.roster_county_code.0,
        school_code: row.roster_school_code.0,
        class_id: row.roster_class_id.0,
    }))
}

#[derive(sqlx::FromRow)]
struct PlaceRow {
    #[sqlx(try_from = "String")]
    roster_county_code: Maybe<RegionCode>,
    #[sqlx(try_from = "String")]
    roster_school_code: Maybe<SchoolCode>,
    #[sqlx(try_from = "String")]
    roster_class_id: Maybe<ClassId>,
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

/// Puts a trainee where they stand from now on.
pub(crate) async fn put_in_place(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_id: &PersonId,
    place: &Place,
) -> Result<(), StoreError> {
    execute!(
        tx,
        "UPDATE person SET county_code = $3, school_code = $4, class_id = $5 \
         WHERE programme_id = $1 AND person_id = $2 AND role = 'trainee'",
        programme_id.as_str(),
        person_id.as_str(),
        text_of(place.county_code.as_ref()),
        text_of(place.school_code.as_ref()),
        text_of(place.class_id.as_ref())
    )?;
    Ok(())
}
