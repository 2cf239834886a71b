//! Enrollment's log: who there is, where, and what they did before learning began. The mirror keeps most of it.

use shipei_contracts::{common::v1::Role, enrollment::v1 as enrollment, event::v1::Event};
use shipei_mirror::Programmes;
use shipei_service_kit::{Projector, Result, Unit, decode};

use super::{Batches, apply_batches, batch_of, cause_of, event_time, keep_first};
use crate::store::scores;

/// The event that only assessment follows, beside the mirror's.
const TUTOR_CHOSEN: &str = "shipei.enrollment.v1.TutorChosen";

/// Follows enrollment.
#[derive(Debug, Clone, Default)]
pub struct EnrollmentProjector {
    /// Parsed schemes.
    pub schemes: Programmes,
}

#[tonic::async_trait]
impl Projector for EnrollmentProjector {
    fn source(&self) -> &'static str {
        shipei_mirror::SOURCE
    }

    fn types(&self) -> Vec<String> {
        shipei_mirror::TYPES.iter().copied().chain([TUTOR_CHOSEN]).map(str::to_owned).collect()
    }

    async fn apply(&self, unit: &mut Unit, events: &[Event]) -> Result<()> {
        let batches = gather(events)?;
        // Before the mirror takes the scheme, everybody who scores by the old one must be done.
        for (programme_id, batch) in &batches {
            if batch.scheme.is_some() {
                scores::lock_programme(&mut unit.tx, programme_id, true).await?;
            }
        }
        shipei_mirror::apply(&mut unit.tx, events).await?;
        apply_batches(unit, &self.schemes, batches).await
    }
}

fn gather(events: &[Event]) -> Result<Batches> {
    let mut batches = Batches::new();
    for event in events {
        let at = event_time(event)?;
        let cause = cause_of(event, at);
        if let Some(fact) = decode::<enrollment::PersonRegistered>(event)? {
            let batch = batch_of(&mut batches, &fact.programme_id);
            match fact.role() {
                Role::Trainee => {
                    batch.touched.trainee(&fact.person_id, &cause);
                    batch.places.insert((fact.person_id, fact.county_code, fact.class_id));
                }
                Role::ClassTutor => batch.touched.tutor(&fact.person_id, &cause),
                _ => {}
            }
        } else if let Some(fact) = decode::<enrollment::PersonLoggedIn>(event)? {
            batch_of(&mut batches, &fact.programme_id).touched.trainee(&fact.person_id, &cause);
        } else if let Some(fact) = decode::<enrollment::TraineeWithdrawn>(event)? {
            batch_of(&mut batches, &fact.programme_id).touched.trainee(&fact.person_id, &cause);
        } else if let Some(fact) = decode::<enrollment::PreJobTrainingAttended>(event)? {
            batch_of(&mut batches, &fact.programme_id).touched.tutor(&fact.person_id, &cause);
        } else if let Some(fact) = decode::<enrollment::TraineeTransferred>(event)? {
            transferred(&mut batches, event, fact)?;
        } else if let Some(fact) = decode::<enrollment::ClassCreated>(event)? {
            let batch = batch_of(&mut batches, &fact.programme_id);
            if !fact.tutor_id.is_empty() {
                batch.touched.tutor(&fact.tutor_id, &cause);
            }
            batch.touched.class(&fact.class_id, &cause);
        } else if let Some(fact) = decode::<enrollment::TutorChosen>(event)? {
            let batch = batch_of(&mut batches, &fact.programme_id);
            batch.touched.tutor(&fact.tutor_id, &cause);
            keep_first(&mut batch.choices, (fact.tutor_id, fact.expert_id), at);
        } else if let Some(fact) = decode::<enrollment::ProgrammeCreated>(event)? {
            batch_of(&mut batches, &fact.programme_id).scheme = Some(cause);
        } else if let Some(fact) = decode::<enrollment::SchemeRevised>(event)? {
            batch_of(&mut batches, &fact.programme_id).scheme = Some(cause);
        }
    }
    Ok(batches)
}

fn transferred(batches: &mut Batches, event: &Event, fact: enrollment::TraineeTransferred) -> Result<()> {
    let at = event_time(event)?;
    let cause = cause_of(event, at);
    let batch = batch_of(batches, &fact.programme_id);
    let (old, new) = (fact.old.unwrap_or_default(), fact.new.unwrap_or_default());
    batch.touched.trainee(&fact.person_id, &cause);
    for place in [&old, &new] {
        batch.touched.county(&place.county_code, &cause, Some(at));
        batch.places.insert((fact.person_id.clone(), place.county_code.clone(), place.class_id.clone()));
    }
    Ok(())
}
