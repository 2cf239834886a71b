//! Learning-progress's log: of all study, only the achieved phases are scored.

use shipei_contracts::{event::v1::Event, learning::v1 as learning};
use shipei_mirror::Programmes;
use shipei_service_kit::{Projector, Result, Unit, decode};

use super::{Batches, apply_batches, batch_of, cause_of, event_time};
use crate::facts::PhaseAchieved;

/// Follows learning-progress.
#[derive(Debug, Clone, Default)]
pub struct LearningProjector {
    /// Parsed schemes.
    pub schemes: Programmes,
}

#[tonic::async_trait]
impl Projector for LearningProjector {
    fn source(&self) -> &'static str {
        "learning-progress"
    }

    fn types(&self) -> Vec<String> {
        vec!["shipei.learning.v1.PhaseAchieved".to_owned()]
    }

    async fn apply(&self, unit: &mut Unit, events: &[Event]) -> Result<()> {
        apply_batches(unit, &self.schemes, gather(events)?).await
    }
}

fn gather(events: &[Event]) -> Result<Batches> {
    let mut batches = Batches::new();
    for event in events {
        let at = event_time(event)?;
        let Some(fact) = decode::<learning::PhaseAchieved>(event)? else { continue };
        let batch = batch_of(&mut batches, &fact.programme_id);
        batch.touched.trainee(&fact.person_id, &cause_of(event, at));
        let phase = PhaseAchieved {
            person_id: fact.person_id,
            phase_index: i64::from(fact.phase_index),
            achieved_at: at,
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
    }
    Ok(batches)
}
