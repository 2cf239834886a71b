//! What this service makes of enrollment's log beside the mirror: who turns out to teach something else has other main-line courses,
//! so that what they achieved is read anew; and so is what a person with several ids achieved, when anything changes by which the
//! study of all of them is judged.

use std::collections::{BTreeMap, BTreeSet};

use shipei_contracts::{common::v1::ErrorReason, enrollment::v1 as enrollment, event::v1::Event};
use shipei_mirror::Programmes;
use shipei_rules::{
    ids::{PersonId, ProgrammeId},
    vocabulary::Role,
};
use shipei_service_kit::{Error, Fact, Handles, Projector, Result, Unit, dispatch, handles};

use crate::catalogue::Catalogues;
use crate::store::{people::PEOPLE, united};
use crate::whole::Study;

/// Of whom what is read anew.
#[derive(Debug, Default)]
struct Anew {
    /// Programme and person: what they teach is something else.
    corrected: BTreeSet<(ProgrammeId, PersonId)>,
    /// Programme and person: ids are merged, or one of them has moved or is nobody.
    persons: BTreeMap<ProgrammeId, BTreeSet<PersonId>>,
    /// Programmes in which windows may be others.
    windows: BTreeSet<ProgrammeId>,
}

/// What is looked at beside the mirror; all of it is in the mirror's list.
const EVENTS: &[Handles<Anew>] = handles![Anew:
    enrollment::PersonCorrected => corrected,
    enrollment::PersonsMerged => merged,
    enrollment::PersonRegistered => registered,
    enrollment::PersonRemoved => removed,
    enrollment::TraineeTransferred => transferred,
    enrollment::ExtensionGranted => extension_granted,
    enrollment::RegionCreated => region_created,
    enrollment::RegionMoved => region_moved,
    enrollment::SchemeRevised => scheme_revised,
];
/// What is made of it here; the mirror has a version of its own, which counts too.
const VERSION: u32 = 2;
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
        shipei_mirror::erase(unit, events, PEOPLE).await?;
        let mut anew = Anew::default();
        dispatch::gather(EVENTS, &mut anew, events)?;
        // In the order of ids, so that two who do this never wait for each other in a circle.
        for (programme, person) in anew.corrected {
            self.teach_otherwise(unit, &programme, &person).await?;
        }
        for (programme, persons) in anew.persons {
            let ids: Vec<&PersonId> = persons.iter().collect();
            let merges = shipei_mirror::merges(&mut unit.tx, &programme, Role::Trainee, &ids).await?;
            let kept_ids: BTreeSet<PersonId> = merges.into_iter().map(|merge| merge.kept_id).collect();
            for kept_id in kept_ids {
                united::kept_is_due(&mut unit.tx, &programme, &kept_id).await?;
            }
        }
        for programme in anew.windows {
            united::all_are_due(&mut unit.tx, &programme).await?;
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
        let member = shipei_mirror::member(&mut unit.tx, programme, Role::Trainee, person).await?;
        let Some(member) = member else { return Ok(()) };
        match Study::load(&mut unit.tx, &self.programmes, &self.catalogues, programme, member).await {
            Ok(mut study) => study.read_anew(unit).await,
            Err(Error::Refused(refusal)) if refusal.reason == ErrorReason::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn corrected(into: &mut Anew, fact: enrollment::PersonCorrected, _: &Fact<'_>) -> Result<()> {
    let new = fact.new.clone().unwrap_or_default();
    if fact.role().known() != Some(Role::Trainee)
        || new.subject.is_none() && new.education_stage().known().is_none()
    {
        return Ok(());
    }
    // What can't be an id is nobody's.
    if let (Ok(programme), Ok(person)) =
        (ProgrammeId::parse(&fact.programme_id), PersonId::parse(&fact.person_id))
    {
        into.corrected.insert((programme, person));
    }
    Ok(())
}

impl Anew {
    fn person(&mut self, programme_id: &str, person_id: &str) {
        if let (Ok(programme), Ok(person)) = (ProgrammeId::parse(programme_id), PersonId::parse(person_id)) {
            self.persons.entry(programme).or_default().insert(person);
        }
    }

    fn windows(&mut self, programme_id: &str) {
        self.windows.extend(ProgrammeId::parse(programme_id));
    }
}

fn merged(into: &mut Anew, fact: enrollment::PersonsMerged, _: &Fact<'_>) -> Result<()> {
    // Of a merge that fell, the id that was kept: others may still count for it.
    into.person(&fact.programme_id, &fact.person_id);
    into.person(&fact.programme_id, &fact.merged_id);
    Ok(())
}

fn registered(into: &mut Anew, fact: enrollment::PersonRegistered, _: &Fact<'_>) -> Result<()> {
    into.person(&fact.programme_id, &fact.person_id);
    Ok(())
}

fn removed(into: &mut Anew, fact: enrollment::PersonRemoved, _: &Fact<'_>) -> Result<()> {
    into.person(&fact.programme_id, &fact.person_id);
    Ok(())
}

fn transferred(into: &mut Anew, fact: enrollment::TraineeTransferred, _: &Fact<'_>) -> Result<()> {
    into.person(&fact.programme_id, &fact.person_id);
    Ok(())
}

fn extension_granted(into: &mut Anew, fact: enrollment::ExtensionGranted, _: &Fact<'_>) -> Result<()> {
    into.windows(&fact.programme_id);
    Ok(())
}

fn region_created(into: &mut Anew, fact: enrollment::RegionCreated, _: &Fact<'_>) -> Result<()> {
    into.windows(&fact.programme_id);
    Ok(())
}

fn region_moved(into: &mut Anew, fact: enrollment::RegionMoved, _: &Fact<'_>) -> Result<()> {
    into.windows(&fact.programme_id);
    Ok(())
}

fn scheme_revised(into: &mut Anew, fact: enrollment::SchemeRevised, _: &Fact<'_>) -> Result<()> {
    into.windows(&fact.programme_id);
    Ok(())
}
