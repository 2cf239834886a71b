//! The stored scores of tutors.

use std::collections::BTreeMap;

use prost::Message;
use shipei_contracts::assessment::v1::{TutorPoints, TutorScoreChanged};
use shipei_rules::ids::{ClassId, PersonId};
use shipei_service_kit::{Result, Unit};
use shipei_store::StoreError;

use super::Work;
use crate::{
    assemble::tutors::{self, Marking},
    domain::points,
    facts::{Cause, Touched},
    store::scores::{self, TutorRow},
};

/// How many tutors are loaded, scored and written at once.
const TUTORS_PER_STEP: usize = 500;

/// Scores the touched tutors and those of the touched classes.
pub(super) async fn run(unit: &mut Unit, work: &Work<'_>, touched: &Touched) -> Result<()> {
    let class_ids: Vec<&ClassId> = touched.classes.keys().collect();
    scores::lock_classes(&mut unit.tx, work.programme_id, &class_ids).await?;
    let mut causes: BTreeMap<PersonId, &Cause> = BTreeMap::new();
    for class in shipei_mirror::classes_of(&mut unit.tx, work.programme_id, &class_ids).await? {
        let Some(cause) = touched.classes.get(&class.class_id) else { continue };
        for tutor_id in class.tutors.all().flatten() {
            causes.insert(tutor_id.clone(), cause);
        }
    }
    causes.extend(touched.tutors.iter().map(|(tutor_id, cause)| (tutor_id.clone(), cause)));
    let everybody: Vec<(&PersonId, &Cause)> = causes.iter().map(|(id, cause)| (id, *cause)).collect();
    for step in everybody.chunks(TUTORS_PER_STEP) {
        run_step(unit, work, step).await?;
    }
    Ok(())
}

async fn run_step(unit: &mut Unit, work: &Work<'_>, step: &[(&PersonId, &Cause)]) -> Result<()> {
    let tutor_ids: Vec<&PersonId> = step.iter().map(|(tutor_id, _)| *tutor_id).collect();
    let stored = scores::lock_tutors(&mut unit.tx, work.programme_id, &tutor_ids).await?;
    let records =
        tutors::load(&mut unit.tx, work.programme_id, &work.windows, &tutor_ids, Marking::Stored).await?;
    let mut rows = Vec::new();
    for (tutor_id, cause) in step {
        let Some(old) = stored.get(*tutor_id) else { continue };
        let record = records.get(*tutor_id);
        // Whoever was scored and is nobody any more had been enrolled by mistake.
        if record.is_none() && old.points.is_none() {
            continue;
        }
        let points =
            record.map(|record| points::of_tutor(&record.score(&work.scheme, work.scheme.final_as_of())));
        let county_code = record.map_or(old.county_code, |record| record.county_code);
        let region_code = match record {
            Some(record) => record.region_code().to_owned(),
            None => county_code.unwrap_or(work.scheme.region).to_string(),
        };
        let row = TutorRow {
            person_id: old.person_id.clone(),
            county_code,
            points: points.as_ref().map(Message::encode_to_vec),
        };
        if row == *old {
            continue;
        }
        if row.points != old.points {
            let message = TutorScoreChanged {
                programme_id: work.programme_id.to_string(),
                person_id: old.person_id.to_string(),
                old: before(old)?,
                new: points,
            };
            unit.emit_caused(&region_code, tutor_id.as_str(), &cause.id, cause.at, &message);
        }
        rows.push(row);
    }
    scores::save_tutors(&mut unit.tx, work.programme_id, &rows).await?;
    Ok(())
}

fn before(old: &TutorRow) -> Result<Option<TutorPoints>> {
    let Some(bytes) = &old.points else { return Ok(None) };
    let points = TutorPoints::decode(bytes.as_slice())
        .map_err(|_| StoreError::corrupt_row("tutor_score", "points", &old.person_id))?;
    Ok(Some(points))
}
