//! What this service makes of enrollment's log beside the mirror: where a class turns out to have had another tutor, or a trainee another
//! class, marks are judged anew.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use shipei_contracts::{enrollment::v1 as enrollment, event::v1::Event};
use shipei_mirror::Programmes;
use shipei_rules::{
    ids::{ClassId, PersonId, ProgrammeId},
    places::PlaceKind,
};
use shipei_service_kit::{Fact, Handles, Projector, Result, Unit, dispatch, handles};

use crate::{
    handler::judge::judge_anew,
    store::{self, people::PEOPLE},
};

/// Whose marks are judged anew.
#[derive(Debug, Default)]
struct Turned {
    /// Trainees who stood elsewhere.
    people: BTreeSet<(ProgrammeId, PersonId)>,
    /// Classes that had another tutor: from when on, and who is said to have been it.
    classes: BTreeMap<(ProgrammeId, ClassId), (DateTime<Utc>, BTreeSet<PersonId>)>,
    /// Classes that were merged or closed, in which their people may have stood at any time.
    ended: BTreeSet<(ProgrammeId, ClassId)>,
}

/// What is looked at beside the mirror; all of it is in the mirror's list.
const EVENTS: &[Handles<Turned>] = handles![Turned:
    enrollment::TraineeTransferred => transferred,
    enrollment::TutorReplaced => replaced,
    enrollment::PlaceMerged => merged,
    enrollment::PlaceClosed => closed,
];
/// What is made of it here; the mirror has a version of its own, which counts too.
const VERSION: u32 = 2;
/// More than this service's versions.
const VERSIONS_MAX: u32 = 1_000;

/// Follows enrollment.
#[derive(Debug, Clone, Default)]
pub(crate) struct GradingProjector {
    programmes: Programmes,
}

#[tonic::async_trait]
impl Projector for GradingProjector {
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
        let mut turned = Turned::default();
        dispatch::gather(EVENTS, &mut turned, events)?;
        let Turned { mut people, classes, ended } = turned;
        // Before and after: who comes to stand elsewhere by it, and who does so no more when it has fallen.
        for (programme, class_id) in &ended {
            let (kind, code) = (PlaceKind::Class, class_id.as_str());
            let met = shipei_mirror::people_ever_in(&mut unit.tx, programme, kind, code).await?;
            people.extend(met.into_iter().map(|person| (programme.clone(), person)));
        }
        shipei_mirror::apply(&mut unit.tx, events).await?;
        shipei_mirror::erase(unit, events, PEOPLE).await?;
        for (programme, class_id) in &ended {
            let (kind, code) = (PlaceKind::Class, class_id.as_str());
            let met = shipei_mirror::people_ever_in(&mut unit.tx, programme, kind, code).await?;
            people.extend(met.into_iter().map(|person| (programme.clone(), person)));
        }
        for ((programme, class_id), (since, mut tutors)) in classes {
            let class = shipei_mirror::class(&mut unit.tx, &programme, &class_id).await?;
            tutors.extend(class.iter().flat_map(|class| class.tutors.all().flatten().cloned()));
            let tutors: Vec<&PersonId> = tutors.iter().collect();
            let marked = store::people_marked_by(&mut unit.tx, &programme, &tutors, since).await?;
            people.extend(marked.into_iter().map(|person| (programme.clone(), person)));
        }
        // In the order of ids, so that two who do this never wait for each other in a circle.
        for (programme, person) in people {
            judge_anew(unit, &self.programmes, &programme, &person).await?;
        }
        Ok(())
    }
}

fn transferred(into: &mut Turned, fact: enrollment::TraineeTransferred, _: &Fact<'_>) -> Result<()> {
    // What can't be an id is nobody's.
    if let (Ok(programme), Ok(person)) =
        (ProgrammeId::parse(&fact.programme_id), PersonId::parse(&fact.person_id))
    {
        into.people.insert((programme, person));
    }
    Ok(())
}

fn merged(into: &mut Turned, fact: enrollment::PlaceMerged, _: &Fact<'_>) -> Result<()> {
    class_ended(into, fact.kind(), &fact.programme_id, &fact.code);
    Ok(())
}

fn closed(into: &mut Turned, fact: enrollment::PlaceClosed, _: &Fact<'_>) -> Result<()> {
    class_ended(into, fact.kind(), &fact.programme_id, &fact.code);
    Ok(())
}

fn class_ended(into: &mut Turned, kind: enrollment::PlaceKind, programme_id: &str, code: &str) {
    if kind != enrollment::PlaceKind::Class {
        return;
    }
    if let (Ok(programme), Ok(class_id)) = (ProgrammeId::parse(programme_id), ClassId::parse(code)) {
        into.ended.insert((programme, class_id));
    }
}

fn replaced(into: &mut Turned, fact: enrollment::TutorReplaced, told: &Fact<'_>) -> Result<()> {
    let (Ok(programme), Ok(class_id)) =
        (ProgrammeId::parse(&fact.programme_id), ClassId::parse(&fact.class_id))
    else {
        return Ok(());
    };
    let (since, tutors) =
        into.classes.entry((programme, class_id)).or_insert_with(|| (told.at, BTreeSet::new()));
    *since = told.at.min(*since);
    let said = [&fact.old_tutor_id, &fact.new_tutor_id];
    tutors.extend(said.into_iter().filter_map(|tutor_id| PersonId::parse(tutor_id).ok()));
    Ok(())
}
