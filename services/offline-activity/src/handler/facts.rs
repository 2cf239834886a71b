//! What follows when a fact of this service falls: what a plan's submissions come to, who attended since when, which score
//! counts. Activities and results are read with their standing, and nothing is kept that follows from them.

use shipei_contracts::offline::v1 as proto;
use shipei_mirror::Programmes;
use shipei_rules::{
    ids::{ActivityId, PersonId, ProgrammeId},
    region::RegionCode,
};
use shipei_service_kit::{Facts, Result, StoredFact, Unit};

use crate::store;

/// The facts of offline-activity.
#[derive(Debug, Default)]
pub(crate) struct Keeping {
    programmes: Programmes,
}

#[tonic::async_trait]
impl Facts for Keeping {
    async fn region(&self, unit: &mut Unit, programme_id: &str) -> Result<String> {
        self.programmes.region(&mut unit.tx, programme_id).await
    }

    async fn refold(&self, unit: &mut Unit, fact: &StoredFact) -> Result<()> {
        if let Some(told) = fact.message::<proto::PlanSubmitted>() {
            let programme = fact.id(&told.programme_id, ProgrammeId::parse)?;
            let county = fact.id(&told.county_code, RegionCode::parse)?;
            if let Some(stage) = told.education_stage().known() {
                store::fold_plan(&mut unit.tx, &programme, county, stage).await?;
            }
        }
        if let Some(told) = fact.message::<proto::AttendanceRecorded>() {
            let programme = fact.id(&told.programme_id, ProgrammeId::parse)?;
            let activity = fact.id(&told.activity_id, ActivityId::parse)?;
            let person = fact.id(&told.person_id, PersonId::parse)?;
            store::fold_attendance(&mut unit.tx, &programme, &activity, &person).await?;
        }
        if let Some(told) = fact.message::<proto::AttendeeScored>() {
            let programme = fact.id(&told.programme_id, ProgrammeId::parse)?;
            let activity = fact.id(&told.activity_id, ActivityId::parse)?;
            let person = fact.id(&told.person_id, PersonId::parse)?;
            store::lock_attendance(&mut unit.tx, &programme, &activity, &person).await?;
            store::fold_scores(&mut unit.tx, &programme, &activity, &person).await?;
        }
        Ok(())
    }
}
