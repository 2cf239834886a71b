//! Offline-activity's log: what counties did, who attended, and how they were scored.

use shipei_contracts::{event::v1::Event, offline::v1 as offline};
use shipei_mirror::Programmes;
use shipei_service_kit::{Projector, Result, Unit, decode};

use super::{Batches, apply_batches, batch_of, cause_of, event_time, keep_first, stage_word};
use crate::facts::{Attendance, Batch, Cause, CountyFactKey, Instant, OfflineScore};

const TYPES: [&str; 5] = [
    "shipei.offline.v1.PlanSubmitted",
    "shipei.offline.v1.ActivityHeld",
    "shipei.offline.v1.AttendanceRecorded",
    "shipei.offline.v1.AttendeeScored",
    "shipei.offline.v1.ResultsSubmitted",
];

/// Follows offline-activity.
#[derive(Debug, Clone, Default)]
pub struct OfflineProjector {
    /// Parsed schemes.
    pub schemes: Programmes,
}

#[tonic::async_trait]
impl Projector for OfflineProjector {
    fn source(&self) -> &'static str {
        "offline-activity"
    }

    fn types(&self) -> Vec<String> {
        TYPES.map(str::to_owned).to_vec()
    }

    async fn apply(&self, unit: &mut Unit, events: &[Event]) -> Result<()> {
        apply_batches(unit, &self.schemes, gather(events)?).await
    }
}

fn gather(events: &[Event]) -> Result<Batches> {
    let mut batches = Batches::new();
    for event in events {
        let at = event_time(event)?;
        let cause = cause_of(event, at);
        if let Some(fact) = decode::<offline::PlanSubmitted>(event)? {
            let stage = stage_word(fact.education_stage());
            let batch = batch_of(&mut batches, &fact.programme_id);
            county_fact(batch, fact.county_code, stage, "plan", String::new(), at, &cause);
        } else if let Some(fact) = decode::<offline::ActivityHeld>(event)? {
            let stage = stage_word(fact.education_stage());
            let batch = batch_of(&mut batches, &fact.programme_id);
            county_fact(batch, fact.county_code, stage, "activity", fact.activity_id, at, &cause);
        } else if let Some(fact) = decode::<offline::ResultsSubmitted>(event)? {
            let stage = stage_word(fact.education_stage());
            let batch = batch_of(&mut batches, &fact.programme_id);
            county_fact(batch, fact.county_code, stage, "results", fact.number.to_string(), at, &cause);
        } else if let Some(fact) = decode::<offline::AttendanceRecorded>(event)? {
            attended(&mut batches, fact, at, &cause);
        } else if let Some(fact) = decode::<offline::AttendeeScored>(event)? {
            let batch = batch_of(&mut batches, &fact.programme_id);
            batch.touched.trainee(&fact.person_id, &cause);
            let key = (fact.person_id.clone(), fact.activity_id.clone(), fact.score_number);
            batch.offline_scores.entry(key).or_insert(OfflineScore {
                person_id: fact.person_id,
                activity_id: fact.activity_id,
                score_number: fact.score_number,
                score: fact.new,
                scored_at: at,
            });
        }
    }
    Ok(batches)
}

fn county_fact(
    batch: &mut Batch,
    county_code: String,
    education_stage: &str,
    kind: &'static str,
    reference: String,
    at: Instant,
    cause: &Cause,
) {
    batch.touched.county(&county_code, cause, Some(at));
    let key = CountyFactKey { county_code, education_stage: education_stage.to_owned(), kind, reference };
    keep_first(&mut batch.county_facts, key, at);
}

fn attended(batches: &mut Batches, fact: offline::AttendanceRecorded, at: Instant, cause: &Cause) {
    let stage = stage_word(fact.education_stage());
    let batch = batch_of(batches, &fact.programme_id);
    for person_id in fact.person_ids {
        batch.touched.trainee(&person_id, cause);
        let key = (person_id.clone(), fact.activity_id.clone());
        let kept = batch.attendances.entry(key).or_insert(Attendance {
            person_id,
            activity_id: fact.activity_id.clone(),
            county_code: fact.county_code.clone(),
            education_stage: stage.to_owned(),
            attended_at: at,
        });
        kept.attended_at = kept.attended_at.min(at);
    }
}
