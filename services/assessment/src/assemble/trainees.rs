//! Trainees with their facts.

use std::collections::BTreeMap;

use shipei_mirror::Windows;
use shipei_rules::ids::{PersonId, ProgrammeId};
use shipei_service_kit::Result;
use shipei_store::Tx;

use crate::{domain::trainee::TraineeRecord, store::load};

/// The registered trainees among these people, by id.
pub async fn load(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    windows: &Windows,
    person_ids: &[&PersonId],
) -> Result<BTreeMap<PersonId, TraineeRecord>> {
    let posts_from = windows.scheme.trainee.seminar.period.from;
    let mut trainees = BTreeMap::new();
    for (person_id, rows) in load::trainees(tx, programme_id, person_ids, posts_from).await? {
        if let Some(trainee) = TraineeRecord::new(rows, windows)? {
            trainees.insert(person_id, trainee);
        }
    }
    Ok(trainees)
}
