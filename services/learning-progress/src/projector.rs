//! What this service makes of enrollment's log beside the mirror: who turns out to teach something else has other main-line courses,
//! so that what they achieved is read anew.

use std::collections::BTreeSet;

use shipei_contracts::{common::v1::ErrorReason, enrollment::v1 as enrollment, event::v1::Event};
use shipei_mirror::Programmes;
use shipei_rules::{
    ids::{PersonId, ProgrammeId},
    vocabulary::Role,
};
use shipei_service_kit::{Error, Fact, Handles, Projector, Result, Unit, dispatch, handles};

use crate::catalogue::Catalogues;
use crate::whole::Study;

/// Programme and person.
type Corrected = BTreeSet<(ProgrammeId, PersonId)>;

/// What is looked at beside the mirror; all of it is in the mirror's list.
const EVENTS: &[Handles<Corrected>] = handles![Corrected:
    enrollment::PersonCorrected => corrected,
];
/// What is made of it here; the mirror has a version of its own, which counts too.
const VERSION: u32 = 1;
/// More than this service's versions.
const VERSIONS_MAX: u32 = 1_000;

/// Follows enrollment.
#[derive(Debug, Clone, Default)]
pub(crate) struct LearningProjector {
    programmes: Programmes,
    catalogues: Catalogues,
}

#[tonic::async_trait]
impl Projector for LearningProjector {
    fn source(&self) -> &'static str {
        shipei_mirror::SOURCE
    }

    fn version(&self) -> u32 {
        shipei_mirror::VERSION * VERSIONS_MAX + VERSION
    }

    fn types(&self) -> Vec<String> {
        shipei_mirror::types()
    }

    async fn apply(&self, unit: &mut Unit, events: &[Event]) -> Result<()> {
        shipei_mirror::apply(&mut unit.tx, events).await?;
        let mut people = Corrected::new();
        dispatch::gather(EVENTS, &mut people, events)?;
        // In the order of ids, so that two who do this never wait for each other in a circle.
        for (programme, person) in people {
            self.teach_otherwise(unit, &programme, &person).await?;
        }
        Ok(())
    }
}

impl LearningProjector {
    async fn teach_otherwise(
        &self,
        unit: &mut Unit,
        programme: &ProgrammeId,
        person: &PersonId,
    ) -> Result<()> {
        // Whoever is not known yet has not studied.
        let member = shipei_mirror::member(&mut unit.tx, programme, person).await?;
        let Some(member) = member.filter(|member| member.role == Role::Trainee) else { return Ok(()) };
        match Study::load(&mut unit.tx, &self.programmes, &self.catalogues, programme, member).await {
            Ok(mut study) => study.read_anew(unit).await,
            Err(Error::Refused(refusal)) if refusal.reason == ErrorReason::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn corrected(into: &mut Corrected, fact: enrollment::PersonCorrected, _: &Fact<'_>) -> Result<()> {
    let new = fact.new.clone().unwrap_or_default();
    if new.subject.is_none() && new.education_stage().known().is_none() {
        return Ok(());
    }
    // What can't be an id is nobody's.
    if let (Ok(programme), Ok(person)) =
        (ProgrammeId::parse(&fact.programme_id), PersonId::parse(&fact.person_id))
    {
        into.insert((programme, person));
    }
    Ok(())
}
