//! Offline-activity's log: what counties did, who attended, and how they were scored.

use shipei_contracts::{event::v1::Event, offline::v1 as offline};
use shipei_mirror::Programmes;
use shipei_rules::{
    ids::{ActivityId, PersonId},
    region::RegionCode,
};
use shipei_service_kit::{Fact, Handles, Projector, Result, Unit, dispatch, handles};

use super::{Batches, Behind, apply_batches, batch_of, cause_of, id_of, keep_first};
use crate::facts::{Attendance, Batch, CountyFactKey, OfflineScore};

/// The events that are scored.
const EVENTS: &[Handles<Batches>] = handles![Batches:
    offline::PlanSubmitted => planned,
    offline::ActivityHeld => held,
    offline::AttendanceRecorded => attended,
    offline::AttendeeScored => scored,
    offline::ResultsSubmitted => results,
];

/// Follows offline-activity.
#[derive(Debug, Clone, Default)]
pub struct OfflineProjector {
    /// Parsed schemes.
    pub schemes: Programmes,
    /// Whether scores wait until the logs have been read.
    pub behind: Behind,
}

#[tonic::async_trait]
impl Projector for OfflineProjector {
    fn source(&self) -> &'static str {
        shipei_contracts::services::OFFLINE_ACTIVITY
    }

    fn version(&self) -> u32 {
        2
    }

    fn types(&self) -> Vec<String> {
        dispatch::types(EVENTS)
    }

    async fn apply(&self, unit: &mut Unit, events: &[Event]) -> Result<()> {
        let mut batches = Batches::new();
        dispatch::gather(EVENTS, &mut batches, events)?;
        apply_batches(unit, &self.schemes, &self.behind, events, batches).await
    }
}

fn planned(batches: &mut Batches, fact: offline::PlanSubmitted, told: &Fact<'_>) -> Result<()> {
    let stage = fact.education_stage().word();
    let batch = batch_of(batches, &fact.programme_id, told)?;
    let county_code = id_of(told, RegionCode::parse(&fact.county_code))?;
    county_fact(batch, county_code, stage, "plan", String::new(), told);
    Ok(())
}

fn held(batches: &mut Batches, fact: offline::ActivityHeld, told: &Fact<'_>) -> Result<()> {
    let stage = fact.education_stage().word();
    let batch = batch_of(batches, &fact.programme_id, told)?;
    let county_code = id_of(told, RegionCode::parse(&fact.county_code))?;
    county_fact(batch, county_code, stage, "activity", fact.activity_id, told);
    Ok(())
}

fn results(batches: &mut Batches, fact: offline::ResultsSubmitted, told: &Fact<'_>) -> Result<()> {
    let stage = fact.education_stage().word();
    let batch = batch_of(batches, &fact.programme_id, told)?;
    let county_code = id_of(told, RegionCode::parse(&fact.county_code))?;
    county_fact(batch, county_code, stage, "results", fact.number.to_string(), told);
    Ok(())
}

fn scored(batches: &mut Batches, fact: offline::AttendeeScored, told: &Fact<'_>) -> Result<()> {
    let batch = batch_of(batches, &fact.programme_id, told)?;
    let person_id = id_of(told, PersonId::parse(&fact.person_id))?;
    let activity_id = id_of(told, ActivityId::parse(&fact.activity_id))?;
    batch.touched.trainee(&person_id, &cause_of(told));
    let key = (person_id.clone(), activity_id.clone(), i64::from(fact.score_number));
    batch.offline_scores.entry(key).or_insert(OfflineScore {
        person_id,
        activity_id,
        score_number: fact.score_number.into(),
        score: fact.new.into(),
        scored_at: told.at,
        fact_id: told.event.fact_id.clone(),
    });
    Ok(())
}

fn county_fact(
    batch: &mut Batch,
    county_code: RegionCode,
    education_stage: &str,
    kind: &'static str,
    reference: String,
    told: &Fact<'_>,
) {
    batch.touched.county(county_code, &cause_of(told), Some(told.at));
    let (education_stage, fact_id) = (education_stage.to_owned(), told.event.fact_id.clone());
    let key = CountyFactKey { county_code, education_stage, kind, reference, fact_id };
    keep_first(&mut batch.county_facts, key, told.at);
}

fn attended(batches: &mut Batches, fact: offline::AttendanceRecorded, told: &Fact<'_>) -> Result<()> {
    let stage = fact.education_stage().word();
    let batch = batch_of(batches, &fact.programme_id, told)?;
    let person_id = id_of(told, PersonId::parse(&fact.person_id))?;
    let activity_id = id_of(told, ActivityId::parse(&fact.activity_id))?;
    batch.touched.trainee(&person_id, &cause_of(told));
    let key = (person_id.clone(), activity_id.clone(), told.event.fact_id.clone());
    batch.attendances.entry(key).or_insert(Attendance {
        person_id,
        activity_id,
        county_code: id_of(told, RegionCode::parse(&fact.county_code))?,
        education_stage: stage.to_owned(),
        attended_at: told.at,
    });
    Ok(())
}
