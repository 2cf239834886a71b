//! All SQL of this service, by what it keeps: plans and results of counties, activities and who attended. No rules.
//! A statement stands once, in the words of both databases. To add a column: a new migration, its field in the row.

mod activity;
mod county;
pub(crate) mod people;
#[cfg(test)]
mod reach_tests;
pub(crate) mod things;

use std::fmt::Display;

use chrono::{DateTime, Utc};
use shipei_rules::vocabulary::EducationStage;
use shipei_store::StoreError;

pub(crate) use activity::{
    AttendanceFact, ScoreFact, activity, attendances_recorded, fold_attendance, fold_scores, insert_activity,
    insert_score, keep_attendances, list_activities, list_attendances, lock_activity, lock_attendance,
};
pub(crate) use county::{fold_plan, insert_plan, insert_results, list_plans, list_results};

/// Who told the service, and when: kept with every fact.
#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    pub(crate) at: DateTime<Utc>,
    pub(crate) actor: String,
}

fn stage_of(word: &str, table: &'static str, key: impl Display) -> Result<EducationStage, StoreError> {
    EducationStage::parse(word).ok_or_else(|| StoreError::corrupt_row(table, "education_stage", key))
}
