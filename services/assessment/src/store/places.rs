//! Every county and class in which trainees ever stood, which lists begin with, where places have ended: of whom they concern it is
//! made anew from all that is known of them, since what stands for a place may be told before or after who stands there.

use std::collections::BTreeSet;

use shipei_mirror::members;
use shipei_rules::{
    ids::{PersonId, ProgrammeId, text_of},
    vocabulary::Role,
};
use shipei_service_kit::Result;
use shipei_store::{Tx, bulk_insert, execute, fetch_optional};

use crate::facts::Batch;

/// How many people are looked at at once.
const PEOPLE_PER_STEP: usize = 1_000;

/// Puts the places of whom a batch places or resettles.
///
/// # Errors
/// What the database does, and rows that can't be.
pub async fn settle(tx: &mut Tx, programme_id: &ProgrammeId, batch: &Batch) -> Result<()> {
    let mut people: BTreeSet<&PersonId> = batch.resettled.keys().collect();
    if !batch.places.is_empty() && has_endings(tx, programme_id).await? {
        people.extend(batch.places.iter().map(|(person_id, ..)| person_id));
    }
    let people: Vec<&PersonId> = people.into_iter().collect();
    for step in people.chunks(PEOPLE_PER_STEP) {
        let mut rows = Vec::new();
        for member in members(tx, programme_id, Role::Trainee, step).await? {
            execute!(
                tx,
                "DELETE FROM trainee_place WHERE programme_id = $1 AND person_id = $2",
                programme_id.as_str(),
                member.person_id.as_str()
            )?;
            let places: BTreeSet<(String, String)> = member
                .places
                .all()
                .map(|place| (place.county_text().to_owned(), text_of(place.class_id.as_ref()).to_owned()))
                .collect();
            rows.extend(places.into_iter().map(|(county, class)| (member.person_id.clone(), county, class)));
        }
        bulk_insert!(
            tx,
            "INSERT INTO trainee_place (programme_id, person_id, county_code, class_id)",
            rows,
            |(person_id, county_code, class_id)| (
                programme_id.as_str(),
                person_id.as_str(),
                county_code.as_str(),
                class_id.as_str()
            ),
            " ON CONFLICT (programme_id, person_id, county_code, class_id) DO NOTHING"
        )?;
    }
    Ok(())
}

/// Whether any place of the programme has ended.
async fn has_endings(tx: &mut Tx, programme_id: &ProgrammeId) -> Result<bool> {
    let row: Option<(String,)> = fetch_optional!(
        tx,
        (String,),
        "SELECT code FROM place_successor WHERE programme_id = $1 LIMIT 1",
        programme_id.as_str()
    )?;
    Ok(row.is_some())
}
