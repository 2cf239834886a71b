//! The stored scores of tutors.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use shipei_contracts::assessment::v1::{TutorPoints, TutorScoreChanged};
use shipei_mirror::{Merge, merges};
use shipei_rules::{
    ids::{ClassId, PersonId},
    vocabulary::Role,
};
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
    let mut done: BTreeSet<PersonId> = BTreeSet::new();
    while !causes.is_empty() {
        let everybody: Vec<(&PersonId, &Cause)> = causes.iter().map(|(id, cause)| (id, *cause)).collect();
        let mut others = BTreeMap::new();
        for step in everybody.chunks(TUTORS_PER_STEP) {
            run_step(unit, work, step).await?;
            others.append(&mut others_touched(unit, work, step).await?);
        }
        done.extend(std::mem::take(&mut causes).into_keys());
        others.retain(|tutor_id, _| !done.contains(tutor_id));
        causes = others;
    }
    Ok(())
}

/// The ids for which these count, and those that count for these: of a tutor with several ids each score rests on all of them. Asked
/// for behind their locks: a merge that came while the facts were written is seen by now, and one that comes later waits for them.
async fn others_touched<'work>(
    unit: &mut Unit,
    work: &Work<'_>,
    step: &[(&PersonId, &'work Cause)],
) -> Result<BTreeMap<PersonId, &'work Cause>> {
    let ids: Vec<&PersonId> = step.iter().map(|(tutor_id, _)| *tutor_id).collect();
    let cause_of = |id: &PersonId| step.iter().find(|(tutor_id, _)| *tutor_id == id).map(|(_, cause)| *cause);
    let mut others = BTreeMap::new();
    for Merge { merged_id, kept_id } in
        merges(&mut unit.tx, work.programme_id, Role::ClassTutor, &ids).await?
    {
        if let Some(cause) = cause_of(&merged_id).or(cause_of(&kept_id)) {
            others.insert(merged_id, cause);
            others.insert(kept_id, cause);
        }
    }
    Ok(others)
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
        // Whoever was scored and is nobody any more had been enrolled by mistake, or counts for another id.
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
