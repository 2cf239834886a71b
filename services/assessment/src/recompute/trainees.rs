//! The stored scores of trainees, what they add to county counts, and which marks are owed about them.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use shipei_contracts::assessment::v1::{TraineePoints, TraineeScoreChanged};
use shipei_mirror::{Merge, member, merges};
use shipei_rules::{
    ids::{ClassId, PersonId, text_of},
    region::RegionCode,
    vocabulary::Role,
};
use shipei_service_kit::{Result, Unit};
use shipei_store::StoreError;

use super::Work;
use crate::{
    assemble::trainees,
    domain::{
        contribution::{Contribution, Sums, of_trainee},
        marking, points, stored,
        trainee::TraineeRecord,
    },
    facts::{Cause, Instant, Submission, Touched},
    store::scores::{self, TraineeRow},
};

/// How many trainees are loaded, scored and written at once.
const TRAINEES_PER_STEP: usize = 1_000;

/// A trainee scored anew.
struct Scored {
    row: TraineeRow,
    /// `None` of who is nobody of the programme.
    points: Option<TraineePoints>,
    contribution: Contribution,
    /// The submissions for which other classes answer than before.
    marking: Vec<Submission>,
    /// The classes that answer, or answered, for something that changed.
    classes: Vec<ClassId>,
    /// Counties that any fact of theirs counts in, also one that does not count at the end.
    counties: Vec<RegionCode>,
}

/// Scores the touched trainees; touches their tutors and counties where it matters, and gives what is to be added to the
/// county counts.
pub(super) async fn run(unit: &mut Unit, work: &Work<'_>, touched: &mut Touched) -> Result<Sums> {
    let mut difference = Sums::default();
    let mut trainees = std::mem::take(&mut touched.trainees);
    let mut done: BTreeSet<PersonId> = BTreeSet::new();
    while !trainees.is_empty() {
        let everybody: Vec<(&PersonId, &Cause)> = trainees.iter().collect();
        let mut others = BTreeMap::new();
        for step in everybody.chunks(TRAINEES_PER_STEP) {
            run_step(unit, work, step, touched, &mut difference).await?;
            others.append(&mut others_touched(unit, work, step).await?);
        }
        done.extend(std::mem::take(&mut trainees).into_keys());
        others.retain(|kept_id, _| !done.contains(kept_id));
        trainees = others;
    }
    Ok(difference)
}

/// The ids for which these count, and those that count for none of these any more, since it is nobody. Asked for behind their locks: a
/// merge that came while the facts were written is seen by now, and one that comes later waits for them.
async fn others_touched(
    unit: &mut Unit,
    work: &Work<'_>,
    step: &[(&PersonId, &Cause)],
) -> Result<BTreeMap<PersonId, Cause>> {
    let ids: Vec<&PersonId> = step.iter().map(|(person_id, _)| *person_id).collect();
    let mut others = BTreeMap::new();
    for Merge { merged_id, kept_id } in merges(&mut unit.tx, work.programme_id, Role::Trainee, &ids).await? {
        let place_of = |id: &PersonId| step.binary_search_by_key(&id, |(person_id, _)| *person_id);
        if let Ok(place) = place_of(&merged_id) {
            others.insert(kept_id, step[place].1.clone());
        } else if let Ok(place) = place_of(&kept_id)
            && member(&mut unit.tx, work.programme_id, Role::Trainee, &kept_id).await?.is_none()
        {
            others.insert(merged_id, step[place].1.clone());
        }
    }
    Ok(others)
}

async fn run_step(
    unit: &mut Unit,
    work: &Work<'_>,
    step: &[(&PersonId, &Cause)],
    touched: &mut Touched,
    difference: &mut Sums,
) -> Result<()> {
    let person_ids: Vec<&PersonId> = step.iter().map(|(person_id, _)| *person_id).collect();
    let stored = scores::lock_trainees(&mut unit.tx, work.programme_id, &person_ids).await?;
    let records: BTreeMap<PersonId, TraineeRecord> =
        trainees::load(&mut unit.tx, work.programme_id, &work.windows, &person_ids).await?;
    let nobody: BTreeMap<&PersonId, &Cause> =
        step.iter().copied().filter(|(person_id, _)| !records.contains_key(*person_id)).collect();
    clear_marking(unit, work, &nobody, touched).await?;
    let mut rows = Vec::new();
    let mut marking_rows = Vec::new();
    for (person_id, cause) in step {
        let Some(old) = stored.get(*person_id) else { continue };
        let scored = match records.get(*person_id) {
            Some(record) => score(work, record),
            // Whoever was scored and is nobody any more had been enrolled by mistake, or counts for another id.
            None if old.points.is_some() => gone(old),
            None => continue,
        };
        for class_id in &scored.classes {
            touched.class(class_id, cause);
        }
        marking_rows.extend(scored.marking.iter().cloned());
        if scored.row == *old {
            continue;
        }
        let before = Contribution::decode(&old.contribution)
            .ok_or_else(|| StoreError::corrupt_row("trainee_score", "contribution", person_id))?;
        touch_counties(touched, &scored, &before, old.latest_fact_at, cause);
        if scored.contribution != before {
            difference.add(&scored.contribution);
            difference.subtract(&before);
        }
        if scored.row.points != old.points {
            emit(unit, work, &scored, old, cause)?;
        }
        rows.push(scored.row);
    }
    scores::save_trainees(&mut unit.tx, work.programme_id, &rows).await?;
    scores::save_marking(&mut unit.tx, work.programme_id, &marking_rows).await?;
    Ok(())
}

/// Leaves nothing owed about the work of those who have no score: they are nobody, whether they were scored themselves or another id
/// answered for them. Of who counts for another id that one answers. The classes that owed it are scored anew.
async fn clear_marking(
    unit: &mut Unit,
    work: &Work<'_>,
    nobody: &BTreeMap<&PersonId, &Cause>,
    touched: &mut Touched,
) -> Result<()> {
    let person_ids: Vec<&PersonId> = nobody.keys().copied().collect();
    let mut owed: BTreeMap<PersonId, Vec<ClassId>> = BTreeMap::new();
    for row in scores::owed_about(&mut unit.tx, work.programme_id, &person_ids).await? {
        let class_ids = [row.owed_class_id, row.late_class_id].into_iter().flatten();
        owed.entry(row.person_id).or_default().extend(class_ids);
    }
    for (person_id, class_ids) in owed {
        let member = member(&mut unit.tx, work.programme_id, Role::Trainee, &person_id).await?;
        if member.is_some_and(|member| member.counts_for.is_some()) {
            continue;
        }
        scores::clear_marking(&mut unit.tx, work.programme_id, &person_id).await?;
        for class_id in &class_ids {
            if let Some(cause) = nobody.get(&person_id) {
                touched.class(class_id, cause);
            }
        }
    }
    Ok(())
}

fn score(work: &Work<'_>, record: &TraineeRecord) -> Scored {
    let end = work.scheme.final_as_of();
    let score = shipei_rules::trainee::final_score(&record.scheme, &record.facts, end);
    let contribution = of_trainee(&record.scheme, record, &score, end);
    let points = points::of_trainee(&score);
    let place = record.places.at(end);
    let answering = marking::of_trainee(record, end);
    let mut changed = Vec::new();
    let mut classes = Vec::new();
    for submission in &record.submissions {
        let now = answering.iter().find(|found| found.submission_id == submission.submission_id);
        let (owed_now, late_now) = now.map_or((&None, &None), |now| (&now.owed_class_id, &now.late_class_id));
        if (owed_now, late_now) == (&submission.owed_class_id, &submission.late_class_id) {
            continue;
        }
        let before_and_now = [&submission.owed_class_id, &submission.late_class_id, owed_now, late_now];
        classes.extend(before_and_now.into_iter().flatten().cloned());
        changed.push(Submission {
            owed_class_id: owed_now.clone(),
            late_class_id: late_now.clone(),
            ..submission.clone()
        });
    }
    let mut counties: Vec<RegionCode> =
        record.attendances.iter().map(|attendance| attendance.county_code).collect();
    counties.extend(place.county_code);
    Scored {
        row: TraineeRow {
            person_id: record.person_id.clone(),
            points: Some(points.encode_to_vec()),
            items: Some(stored::encode(&score)),
            county_code: place.county_code,
            class_id: place.class_id.clone(),
            withdrawn: score.withdrawn,
            contribution: contribution.encode(),
            latest_fact_at: record.latest_fact_at,
        },
        points: Some(points),
        contribution,
        marking: changed,
        classes,
        counties,
    }
}

/// Nothing is left of who had been enrolled by mistake. Their classes are scored anew with the removal.
fn gone(old: &TraineeRow) -> Scored {
    let contribution = Contribution::default();
    Scored {
        row: TraineeRow {
            points: None,
            items: None,
            withdrawn: false,
            contribution: contribution.encode(),
            ..old.clone()
        },
        points: None,
        contribution,
        marking: Vec::new(),
        classes: Vec::new(),
        counties: old.county_code.into_iter().collect(),
    }
}

/// Counties whose counts change, or in which a fact is later than any before.
fn touch_counties(
    touched: &mut Touched,
    scored: &Scored,
    before: &Contribution,
    latest_before: Option<Instant>,
    cause: &Cause,
) {
    if scored.contribution == *before && scored.row.latest_fact_at == latest_before {
        return;
    }
    let latest = scored.row.latest_fact_at;
    for county_code in scored.contribution.counties().chain(before.counties()) {
        touched.county(county_code, cause, latest);
    }
    for county_code in &scored.counties {
        touched.county(*county_code, cause, latest);
    }
}

fn emit(unit: &mut Unit, work: &Work<'_>, scored: &Scored, old: &TraineeRow, cause: &Cause) -> Result<()> {
    let before = match &old.points {
        Some(bytes) => Some(
            TraineePoints::decode(bytes.as_slice())
                .map_err(|_| StoreError::corrupt_row("trainee_score", "points", &old.person_id))?,
        ),
        None => None,
    };
    let county_code = text_of(scored.row.county_code.as_ref());
    let message = TraineeScoreChanged {
        programme_id: work.programme_id.to_string(),
        person_id: old.person_id.to_string(),
        county_code: county_code.to_owned(),
        class_id: text_of(scored.row.class_id.as_ref()).to_owned(),
        old: before,
        new: scored.points.clone(),
    };
    unit.emit_caused(county_code, old.person_id.as_str(), &cause.id, cause.at, &message);
    Ok(())
}
