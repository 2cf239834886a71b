//! Learning-progress's log: of all study, only the achieved phases are scored; how much was studied of others explains. That there
//! are courses, and that somebody selected one, are duties.

use shipei_contracts::{event::v1::Event, learning::v1 as learning};
use shipei_mirror::Programmes;
use shipei_rules::ids::{PersonId, SessionId};
use shipei_service_kit::{
    Fact, Handles, Projector, Result, Unit, convert::from_timestamp, dispatch, handles,
};

use super::{Batches, Behind, apply_batches, batch_of, cause_of, id_of, keep_duty_fact};
use crate::{facts::PhaseAchieved, store::duties};

/// The events that are scored.
const EVENTS: &[Handles<Batches>] = handles![Batches:
    learning::PhaseAchieved => achieved,
    learning::PhaseStudied => studied,
    learning::PhaseTakenBack => taken_back,
    learning::CourseCreated => course_created,
    learning::CourseSelected => course_selected,
];

/// Follows learning-progress.
#[derive(Debug, Clone, Default)]
pub struct LearningProjector {
    /// Parsed schemes.
    pub schemes: Programmes,
    /// Whether scores wait until the logs have been read.
    pub behind: Behind,
}

#[tonic::async_trait]
impl Projector for LearningProjector {
    fn source(&self) -> &'static str {
        shipei_contracts::services::LEARNING_PROGRESS
    }

    fn version(&self) -> u32 {
        5
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

fn achieved(batches: &mut Batches, fact: learning::PhaseAchieved, told: &Fact<'_>) -> Result<()> {
    let phase = PhaseAchieved {
        person_id: id_of(told, PersonId::parse(&fact.person_id))?,
        phase_index: i64::from(fact.phase_index),
        united: fact.united,
        achieved_at: Some(told.at),
        studied: None,
        session_id: id_of(told, SessionId::parse_optional(&fact.session_id))?,
        version: fact.version,
    };
    keep_newest(batches, &fact.programme_id, phase, told)
}

fn taken_back(batches: &mut Batches, fact: learning::PhaseTakenBack, told: &Fact<'_>) -> Result<()> {
    let phase = PhaseAchieved {
        person_id: id_of(told, PersonId::parse(&fact.person_id))?,
        phase_index: i64::from(fact.phase_index),
        united: fact.united,
        achieved_at: None,
        studied: None,
        session_id: None,
        version: fact.version,
    };
    keep_newest(batches, &fact.programme_id, phase, told)
}

fn studied(batches: &mut Batches, fact: learning::PhaseStudied, told: &Fact<'_>) -> Result<()> {
    let latest_at = fact.latest_time.as_ref().and_then(|at| from_timestamp(at).ok()).unwrap_or(told.at);
    let phase = PhaseAchieved {
        person_id: id_of(told, PersonId::parse(&fact.person_id))?,
        phase_index: i64::from(fact.phase_index),
        united: fact.united,
        achieved_at: None,
        // Nothing is what is told when credit was taken back, and what is never told of whoever had none: it must be the same.
        studied: Some((fact.credited_seconds.into(), latest_at)).filter(|_| fact.credited_seconds > 0),
        session_id: None,
        version: fact.version,
    };
    keep_newest(batches, &fact.programme_id, phase, told)
}

fn course_created(batches: &mut Batches, fact: learning::CourseCreated, told: &Fact<'_>) -> Result<()> {
    keep_duty_fact(batches, (&fact.programme_id, duties::COURSE), ("", ""), "", told)
}

fn course_selected(batches: &mut Batches, fact: learning::CourseSelected, told: &Fact<'_>) -> Result<()> {
    let (whose, kind) = ((fact.person_id.as_str(), ""), (fact.programme_id.as_str(), duties::SELECTED));
    keep_duty_fact(batches, kind, whose, &fact.course_id, told)
}

/// Of all that is said of a phase the highest version counts.
fn keep_newest(
    batches: &mut Batches,
    programme_id: &str,
    phase: PhaseAchieved,
    told: &Fact<'_>,
) -> Result<()> {
    let batch = batch_of(batches, programme_id, told)?;
    batch.touched.trainee(&phase.person_id, &cause_of(told));
    let key = (phase.person_id.clone(), phase.phase_index, phase.united);
    if batch.phases.get(&key).is_none_or(|kept| phase.version > kept.version) {
        batch.phases.insert(key, phase);
    }
    Ok(())
}
