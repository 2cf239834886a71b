//! Phases of learners, each id's own, and of persons with several ids.

use chrono::{DateTime, Utc};
use shipei_rules::ids::{PersonId, ProgrammeId};
use shipei_rules::study_time::PhaseStudy;
use shipei_store::{StoreError, Tx, bulk_insert, select_by_keys};

use crate::domain::study::{AchievedBy, Phase};

/// How a phase was achieved, as its column has it.
const BY_MINUTES: &str = "minutes";
const BY_MAIN_LINE: &str = "main_line";

/// A row of `phase_progress` or `united_phase`.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct PhaseRow {
    #[sqlx(try_from = "String")]
    pub(crate) person_id: PersonId,
    pub(crate) phase_index: i64,
    micros: i64,
    last_at: Option<DateTime<Utc>>,
    main_line_complete: i64,
    achieved_at: Option<DateTime<Utc>>,
    achieved_by: String,
    version: i64,
}

impl PhaseRow {
    /// The state that the row holds.
    pub(crate) fn phase(&self) -> Result<Phase, StoreError> {
        let achieved_by = match self.achieved_by.as_str() {
            "" => None,
            BY_MINUTES => Some(AchievedBy::Minutes),
            BY_MAIN_LINE => Some(AchievedBy::MainLine),
            _ => return Err(StoreError::corrupt_row("phase_progress", "achieved_by", &self.person_id)),
        };
        Ok(Phase {
            study: PhaseStudy { micros: self.micros, last_at: self.last_at, achieved_at: self.achieved_at },
            main_line_complete: self.main_line_complete,
            achieved_by,
            version: self.version,
            changed: false,
        })
    }
}

/// A statement for the phases of learners, of a table: each id's own, or those of persons with several ids.
macro_rules! select_phases {
    ($tx:ident, $programme_id:ident, $person_ids:ident, $table:literal) => {
        select_by_keys!(
            $tx,
            PhaseRow,
            [
                concat!(
                    "SELECT person_id, phase_index, micros, last_at, main_line_complete, achieved_at, achieved_by, version FROM ",
                    $table,
                    " WHERE programme_id = "
                ),
                $programme_id.as_str(),
                " AND person_id IN "
            ],
            $person_ids,
            |person_id| (person_id.as_str())
        )
    };
}

/// All phases of these learners, each id's own.
pub(crate) async fn phases(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_ids: &[&PersonId],
) -> Result<Vec<PhaseRow>, StoreError> {
    select_phases!(tx, programme_id, person_ids, "phase_progress")
}

/// All phases of these persons with several ids.
pub(crate) async fn united_phases(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_ids: &[&PersonId],
) -> Result<Vec<PhaseRow>, StoreError> {
    select_phases!(tx, programme_id, person_ids, "united_phase")
}

/// A statement that keeps phases in a table, by (person, index).
macro_rules! insert_phases {
    ($tx:ident, $programme_id:ident, $phases:ident, $table:literal) => {
        bulk_insert!(
            $tx,
            concat!(
                "INSERT INTO ",
                $table,
                " (programme_id, person_id, phase_index, micros, last_at, main_line_complete, achieved_at, achieved_by, \
                 version)"
            ),
            $phases,
            |(person_id, index, phase)| (
                $programme_id.as_str(),
                person_id.as_str(),
                *index,
                phase.study.micros,
                phase.study.last_at,
                phase.main_line_complete,
                phase.study.achieved_at,
                match phase.achieved_by {
                    None => "",
                    Some(AchievedBy::Minutes) => BY_MINUTES,
                    Some(AchievedBy::MainLine) => BY_MAIN_LINE,
                },
                phase.version
            ),
            " ON CONFLICT (programme_id, person_id, phase_index) DO UPDATE SET micros = excluded.micros, \
             last_at = excluded.last_at, main_line_complete = excluded.main_line_complete, achieved_at = excluded.achieved_at, \
             achieved_by = excluded.achieved_by, version = excluded.version"
        )
    };
}

/// Keeps phases of learners, each id's own.
pub(crate) async fn save_phases(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    phases: &[(&PersonId, i64, &Phase)],
) -> Result<(), StoreError> {
    insert_phases!(tx, programme_id, phases, "phase_progress")?;
    Ok(())
}

/// Keeps phases of persons with several ids.
pub(crate) async fn save_united_phases(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    phases: &[(&PersonId, i64, &Phase)],
) -> Result<(), StoreError> {
    insert_phases!(tx, programme_id, phases, "united_phase")?;
    Ok(())
}
