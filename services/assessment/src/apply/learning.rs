//! Learning-progress's log: of all study, only the achieved phases are scored.

use shipei_contracts::{event::v1::Event, learning::v1 as learning};
use shipei_mirror::Programmes;
use shipei_service_kit::{Fact, Handles, Projector, Result, Unit, dispatch, handles};

use super::{Batches, apply_batches, batch_of, cause_of};
use crate::facts::PhaseAchieved;

/// The events that are scored.
const EVENTS: &[Handles<Batches>] = handles![Batches: learning::PhaseAchieved => achieved];

/// Follows learning-progress.
#[derive(Debug, Clone, Default)]
pub struct LearningProjector {
    /// Parsed schemes.
    pub schemes: Programmes,
}

#[tonic::async_trait]
impl Projector for LearningProjector {
    fn source(&self) -> &'static str {
        shipei_contracts::services::LEARNING_PROGRESS
    }

    fn version(&self) -> u32 {
        1
    }

    fn types(&self) -> Vec<String> {
        dispatch::types(EVENTS)
    }

    async fn apply(&self, unit: &mut Unit, events: &[Event]) -> Result<()> {
        let mut batches = Batches::new();
        dispatch::gather(EVENTS, &mut batches, events)?;
        apply_batches(unit, &self.schemes, batches).await
    }
}

fn achieved(batches: &mut Batches, fact: learning::PhaseAchieved, told: &Fact<'_>) -> Result<()> {
    let batch = batch_of(batches, &fact.programme_id);
    batch.touched.trainee(&fact.person_id, &cause_of(told));
    let phase = PhaseAchieved {
        person_id: fact.person_id,
        phase_index: i64::from(fact.phase_index),
        achieved_at: told.at,
        session_id: fact.session_id,
    };
    let key = (phase.person_id.clone(), phase.phase_index);
    let is_first = batch
        .phases
        .get(&key)
        .is_none_or(|kept| (phase.achieved_at, &phase.session_id) < (kept.achieved_at, &kept.session_id));
    if is_first {
        batch.phases.insert(key, phase);
    }
    Ok(())
}
