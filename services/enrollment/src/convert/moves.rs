//! Who moves, and where to: one, or many.

use std::collections::BTreeSet;

use shipei_contracts::{common::v1::ErrorReason, enrollment::v1 as pb};
use shipei_rules::{
    ids::{ClassId, PersonId, ProgrammeId, SchoolCode},
    region::RegionCode,
};
use shipei_service_kit::{Error, Fields, Refusal, Result, error::FieldViolation};

use super::{person, programme};
use crate::{domain::Destination, error::invalid_field};

/// Who moves, and where to.
pub(crate) fn transfer(request: &pb::TransferTraineeRequest) -> Result<(ProgrammeId, PersonId, Destination)> {
    let mut fields = Fields::new();
    let parsed = (
        programme(&mut fields, &request.programme_id),
        person(&mut fields, "person_id", &request.person_id),
        fields.optional_id("county_code", &request.county_code, RegionCode::parse),
        fields.optional_id("school_code", &request.school_code, SchoolCode::parse),
        fields.optional_id("class_id", &request.class_id, ClassId::parse),
    );
    let (programme_id, person_id, county_code, school_code, class_id) = fields.all(parsed)?;
    let destination = Destination { county_code, school_code, class_id };
    if destination == Destination::default() {
        let description = "where to: give a county, a school or a class".to_owned();
        let fields = ["county_code", "school_code", "class_id"];
        let violation =
            |field: &str| FieldViolation { field: field.to_owned(), description: description.clone() };
        return Err(Error::Invalid(fields.map(violation).to_vec()));
    }
    Ok((programme_id, person_id, destination))
}

/// Many who move: each row's trainee and destination, or why it can't be read.
pub(crate) fn transfers(
    request: &pb::TransferTraineesRequest,
) -> Result<(ProgrammeId, Option<RegionCode>, Vec<MoveRow>)> {
    let mut fields = Fields::new();
    let parsed = (
        programme(&mut fields, &request.programme_id),
        fields.optional_id("region_code", &request.region_code, RegionCode::parse),
    );
    if request.moves.is_empty() {
        fields.fault::<()>("moves", "required");
    }
    if request.moves.len() > MOVES_PER_CALL_MAX {
        fields.fault::<()>("moves", &format!("more than {MOVES_PER_CALL_MAX}"));
    }
    let (programme_id, region_code) = fields.all(parsed)?;
    let mut seen = BTreeSet::new();
    let mut rows = Vec::with_capacity(request.moves.len());
    for moved in &request.moves {
        let single = pb::TransferTraineeRequest {
            programme_id: request.programme_id.clone(),
            person_id: moved.person_id.clone(),
            county_code: moved.county_code.clone(),
            school_code: moved.school_code.clone(),
            class_id: moved.class_id.clone(),
            ..Default::default()
        };
        rows.push(match transfer(&single) {
            Ok((_, person_id, _)) if !seen.insert(person_id.clone()) => {
                Err(invalid_field("person_id", "the trainee stands in an earlier row"))
            }
            Ok((_, person_id, destination)) => Ok((person_id, destination)),
            Err(Error::Invalid(faults)) => Err(first_fault(faults)),
            Err(error) => return Err(error),
        });
    }
    Ok((programme_id, region_code, rows))
}

/// The most moves of one call.
const MOVES_PER_CALL_MAX: usize = 1_000;

/// Who moves where, or why the row can't be read.
pub(crate) type MoveRow = std::result::Result<(PersonId, Destination), Refusal>;

fn first_fault(faults: Vec<FieldViolation>) -> Refusal {
    let refusal = Refusal::new(ErrorReason::InvalidField);
    match faults.into_iter().next() {
        Some(fault) => refusal.field(fault.field).because(fault.description),
        None => refusal,
    }
}
