//! Trainees move, one or many at once.

use shipei_contracts::{common::v1::ErrorReason, enrollment::v1 as pb};
use shipei_rules::{
    ids::{PersonId, ProgrammeId, text_of},
    region::RegionCode,
    vocabulary::Role,
};
use shipei_service_kit::{Error, Refusal, Result, Unit, status::refused_row, to_int32};
use shipei_store::Tx;

use super::{
    Handler,
    member::{held_member, person_of},
    programme_head,
};
use crate::{
    convert,
    domain::{
        Destination, Move, Place, Surroundings, Time, decide_move, destination_from, place_at, places,
        still_enrolled,
    },
    error::not_found,
    store::{
        Life, Stamp, class as classes,
        place::{self, When, standing, successors_of},
        programme::share_programme,
        region as regions, transfer as transfers,
    },
};

pub(super) async fn transfer(
    handler: Handler,
    mut unit: Unit,
    request: pb::TransferTraineeRequest,
) -> Result<(Unit, pb::TransferTraineeResponse)> {
    let (id, person_id, wanted) = convert::transfer(&request)?;
    let (id, person_id) = (&id, &person_id);
    // Nothing is merged meanwhile.
    share_programme(&mut unit.tx, id).await?;
    programme_head(&mut unit.tx, id).await?;
    if let Some((moves, moved)) = wanted_move(&mut unit, id, person_id, &wanted, None).await? {
        let fact_id = unit.new_fact_id()?;
        carry_out(&mut unit, (id, person_id), &moves, &moved, &fact_id).await?;
    }
    let person = Some(person_of(&handler, &mut unit, id, person_id, Role::Trainee).await?);
    Ok((unit, pb::TransferTraineeResponse { person }))
}

/// Each row is taken or refused by itself: a row that is refused has written nothing.
pub(super) async fn transfer_many(
    _: Handler,
    mut unit: Unit,
    request: pb::TransferTraineesRequest,
) -> Result<(Unit, pb::TransferTraineesResponse)> {
    let (id, region_code, rows) = convert::transfers(&request)?;
    let id = &id;
    share_programme(&mut unit.tx, id).await?;
    programme_head(&mut unit.tx, id).await?;
    let mut answer = pb::TransferTraineesResponse::default();
    for (place, (asked, row)) in request.moves.iter().zip(rows).enumerate() {
        let wanted = match row {
            Ok((person_id, wanted)) => {
                let found = wanted_move(&mut unit, id, &person_id, &wanted, region_code).await;
                found.map(|found| (person_id, found))
            }
            Err(refusal) => Err(refusal.into()),
        };
        match wanted {
            Ok((_, None)) => answer.unchanged += 1,
            Ok((person_id, Some((moves, moved)))) => {
                let fact_id = unit.new_fact_id_of(person_id.as_str())?;
                carry_out(&mut unit, (id, &person_id), &moves, &moved, &fact_id).await?;
                answer.moved += 1;
            }
            Err(Error::Refused(refusal)) if !request.all_or_none => {
                answer.refused.push(refused_row(place + 1, &asked.person_id, &refusal));
            }
            Err(Error::Refused(refusal)) => {
                let row = to_int32(i64::try_from(place + 1).unwrap_or(i64::MAX)).to_string();
                return Err(refusal.with("row", row).into());
            }
            Err(error) => return Err(error),
        }
    }
    Ok((unit, answer))
}

/// The moves of a trainee so far, and the one that is wanted; nothing when they stand there already. Nothing is written.
async fn wanted_move(
    unit: &mut Unit,
    id: &ProgrammeId,
    person_id: &PersonId,
    wanted: &Destination,
    region_code: Option<RegionCode>,
) -> Result<Option<(Vec<Move>, Move)>> {
    let member = held_member(&mut unit.tx, id, person_id, Role::Trainee, "person_id").await?;
    let at = unit.occurred_at;
    still_enrolled(&member, at, "person_id")?;
    let moves = transfers::moves(&mut unit.tx, id, person_id).await?;
    // What a move says is kept as it is said; where they stand by it follows from what has been merged, whenever that is told.
    let said_old = place_at(&member.roster_place, &moves, at);
    let said_new = destination_from(&said_old, wanted);
    let successors = successors_of(&mut unit.tx, id, [&said_old, &said_new]).await?;
    let old = standing(&successors, &said_old, When::At(at))?;
    let new = standing(&successors, &said_new, When::At(at))?;
    let around = surroundings(&mut unit.tx, id, &new, at).await?;
    if let Some(region) = region_code {
        let above = match old.county_code {
            Some(county) => regions::county_and_above(&mut unit.tx, id, county, at).await?,
            None => Vec::new(),
        };
        // For who speaks for a region, somebody of another one is nobody, and so is a county elsewhere.
        if !above.contains(&region) {
            return Err(not_found("person_id").into());
        }
        if !around.county_and_above.contains(&region) {
            return Err(not_found("county_code").into());
        }
    }
    decide_move(&old, &new, wanted, &around)?;
    let next = moves.iter().map(|moved| moved.at).find(|moved_at| *moved_at > at);
    still_open(&mut unit.tx, id, wanted, (at, next)).await?;
    if said_new == said_old {
        return Ok(None);
    }
    let count = transfers::moves_count(&mut unit.tx, id, person_id).await?;
    if count >= transfers::MOVES_MAX {
        let moves_max = transfers::MOVES_MAX.to_string();
        return Err(Refusal::new(ErrorReason::LimitReached).with("kept_max", moves_max).into());
    }
    Ok(Some((moves, Move { at, old: said_old, new: said_new })))
}

/// Refuses a destination that is no more by then, or in which they would stand when it is closed.
async fn still_open(
    tx: &mut Tx,
    id: &ProgrammeId,
    wanted: &Destination,
    (at, next): (Time, Option<Time>),
) -> Result<()> {
    let check = |life: Option<Life>, field: &str| match life {
        Some(life) => places::decide_arrival(&life, at, next, field),
        None => Ok(()),
    };
    if let Some(code) = wanted.county_code {
        check(regions::region(tx, id, code).await?.map(|region| region.life), "county_code")?;
    }
    if let Some(code) = &wanted.school_code {
        check(regions::school(tx, id, code).await?.map(|school| school.life), "school_code")?;
    }
    if let Some(class_id) = &wanted.class_id {
        check(classes::class(tx, id, class_id).await?.map(|class| class.life), "class_id")?;
    }
    Ok(())
}

/// Keeps a move and tells it, and puts the trainee there unless a later move is known already, or it was retracted before it came.
async fn carry_out(
    unit: &mut Unit,
    (id, person_id): (&ProgrammeId, &PersonId),
    moves: &[Move],
    moved: &Move,
    fact_id: &str,
) -> Result<()> {
    let stamp = Stamp::of(unit);
    let stands = !unit.is_retracted(id.as_str(), fact_id).await?;
    let number = transfers::moves_count(&mut unit.tx, id, person_id).await?.saturating_add(1);
    transfers::insert_move(&mut unit.tx, id, person_id, number, moved, (&stamp, fact_id)).await?;
    let successors = successors_of(&mut unit.tx, id, [&moved.new]).await?;
    if stands && moves.last().is_none_or(|last| last.at <= moved.at) {
        let place = standing(&successors, &moved.new, When::Last)?;
        transfers::put_in_place(&mut unit.tx, id, person_id, &place).await?;
    }
    let place = standing(&successors, &moved.new, When::At(moved.at))?;
    let transferred = pb::TraineeTransferred {
        programme_id: id.to_string(),
        person_id: person_id.to_string(),
        old: Some(convert::place_to(&moved.old)),
        new: Some(convert::place_to(&moved.new)),
        move_number: number,
    };
    // A trainee stands in a county, always.
    let county_code = text_of(place.county_code.as_ref());
    unit.emit_fact(fact_id, county_code, person_id.as_str(), &transferred);
    Ok(())
}

/// What there is at the destination as of the move.
async fn surroundings(tx: &mut Tx, id: &ProgrammeId, new: &Place, at: Time) -> Result<Surroundings> {
    let county_and_above = match new.county_code {
        Some(code) => regions::county_and_above(tx, id, code, at).await?,
        None => Vec::new(),
    };
    let school = match &new.school_code {
        Some(code) => regions::school(tx, id, code).await?,
        None => None,
    };
    let class = match &new.class_id {
        Some(class_id) => classes::class(tx, id, class_id).await?,
        None => None,
    };
    let school_county = match school {
        Some(school) => Some(place::region_at(tx, id, school.created_county_code, at).await?),
        None => None,
    };
    let class_region = match class {
        Some(class) => Some(place::region_at(tx, id, class.created_region_code, at).await?),
        None => None,
    };
    Ok(Surroundings { county_and_above, school_county, class_region })
}
