//! Enrollment's log: who there is, where, and what they did before learning began. The mirror keeps most of it.

use shipei_contracts::{common::v1::Role, enrollment::v1 as enrollment, event::v1::Event};
use shipei_mirror::Programmes;
use shipei_rules::{
    ids::{ClassId, PersonId, ProgrammeId},
    places::PlaceKind,
    region::RegionCode,
};
use shipei_service_kit::{Fact, Handles, Projector, Result, Unit, dispatch, handles};
use shipei_store::Tx;

use super::{Batches, Behind, apply_batches, batch_of, cause_of, id_of, keep_duty_fact, keep_first};
use crate::{
    facts::Batch,
    store::{duties, scores},
};

/// What is scored of it.
const EVENTS: &[Handles<Batches>] = handles![Batches:
    enrollment::ProgrammeCreated => programme_created,
    enrollment::SchemeRevised => scheme_revised,
    enrollment::ClassCreated => class_created,
    enrollment::PersonRegistered => registered,
    enrollment::TraineeTransferred => transferred,
    enrollment::PersonLoggedIn => logged_in,
    enrollment::PreJobTrainingAttended => attended,
    enrollment::TraineeWithdrawn => withdrawn,
    enrollment::PersonCorrected => corrected,
    enrollment::TraineeReturned => returned,
    enrollment::PersonRemoved => removed,
    enrollment::PersonsMerged => merged,
    enrollment::TutorChosen => chosen,
    enrollment::TutorReplaced => tutor_replaced,
    enrollment::ExtensionGranted => extension_granted,
    enrollment::RegionCreated => region_created,
    enrollment::RegionMoved => region_moved,
    enrollment::PlaceMerged => place_merged,
    enrollment::PlaceClosed => place_closed,
    enrollment::RosterReported => reported,
    enrollment::RosterCompiled => compiled,
    enrollment::RemittanceSent => remitted,
    enrollment::RemittanceConfirmed => confirmed,
    enrollment::InvoiceIssued => invoiced,
];
/// What is made of it here; the mirror has a version of its own, which counts too.
const VERSION: u32 = 7;
/// More than this service's versions.
const VERSIONS_MAX: u32 = 1_000;

/// Follows enrollment.
#[derive(Debug, Clone, Default)]
pub struct EnrollmentProjector {
    /// Parsed schemes.
    pub schemes: Programmes,
    /// Whether scores wait until the logs have been read.
    pub behind: Behind,
}

#[tonic::async_trait]
impl Projector for EnrollmentProjector {
    fn source(&self) -> &'static str {
        shipei_mirror::SOURCE
    }

    fn version(&self) -> u32 {
        shipei_mirror::VERSION * VERSIONS_MAX + VERSION
    }

    fn types(&self) -> Vec<String> {
        let mut types = shipei_mirror::types();
        types.append(&mut dispatch::types(EVENTS));
        types.sort();
        types.dedup();
        types
    }

    async fn apply(&self, unit: &mut Unit, events: &[Event]) -> Result<()> {
        let mut batches = Batches::new();
        dispatch::gather(EVENTS, &mut batches, events)?;
        // Before the mirror takes the scheme, everybody who scores by the old one must be done.
        for (programme_id, batch) in &batches {
            if batch.scheme.is_some() || batch.changes_windows {
                scores::lock_programme(&mut unit.tx, programme_id, true).await?;
            }
        }
        // Before and after: who comes to stand elsewhere by it, and who does so no more when it has fallen.
        for (programme_id, batch) in &mut batches {
            resettle(&mut unit.tx, programme_id, batch).await?;
        }
        shipei_mirror::apply(&mut unit.tx, events).await?;
        for (programme_id, batch) in &mut batches {
            resettle(&mut unit.tx, programme_id, batch).await?;
        }
        // Where regions have extensions, another tree gives them to others.
        for (programme_id, batch) in &mut batches {
            let Some(cause) = batch.tree.take() else { continue };
            if shipei_mirror::extends_regions(&mut unit.tx, programme_id).await? {
                batch.scheme.get_or_insert(cause);
            }
        }
        apply_batches(unit, &self.schemes, &self.behind, events, batches).await
    }
}

fn programme_created(
    batches: &mut Batches,
    fact: enrollment::ProgrammeCreated,
    told: &Fact<'_>,
) -> Result<()> {
    batch_of(batches, &fact.programme_id, told)?.scheme = Some(cause_of(told));
    Ok(())
}

fn scheme_revised(batches: &mut Batches, fact: enrollment::SchemeRevised, told: &Fact<'_>) -> Result<()> {
    batch_of(batches, &fact.programme_id, told)?.scheme = Some(cause_of(told));
    Ok(())
}

fn class_created(batches: &mut Batches, fact: enrollment::ClassCreated, told: &Fact<'_>) -> Result<()> {
    let (batch, cause) = (batch_of(batches, &fact.programme_id, told)?, cause_of(told));
    if let Some(tutor_id) = id_of(told, PersonId::parse_optional(&fact.tutor_id))? {
        batch.touched.tutor(&tutor_id, &cause);
    }
    batch.touched.class(&id_of(told, ClassId::parse(&fact.class_id))?, &cause);
    Ok(())
}

fn tutor_replaced(batches: &mut Batches, fact: enrollment::TutorReplaced, told: &Fact<'_>) -> Result<()> {
    let (batch, cause) = (batch_of(batches, &fact.programme_id, told)?, cause_of(told));
    batch.touched.class(&id_of(told, ClassId::parse(&fact.class_id))?, &cause);
    for tutor_id in [&fact.old_tutor_id, &fact.new_tutor_id] {
        if let Some(tutor_id) = id_of(told, PersonId::parse_optional(tutor_id))? {
            batch.touched.tutor(&tutor_id, &cause);
        }
    }
    Ok(())
}

/// One person or class has other windows, or a region or everybody.
fn extension_granted(
    batches: &mut Batches,
    fact: enrollment::ExtensionGranted,
    told: &Fact<'_>,
) -> Result<()> {
    let (batch, cause) = (batch_of(batches, &fact.programme_id, told)?, cause_of(told));
    batch.changes_windows = true;
    let class_id = id_of(told, ClassId::parse_optional(&fact.class_id))?;
    let person_id = id_of(told, PersonId::parse_optional(&fact.person_id))?;
    if let Some(class_id) = class_id {
        batch.touched.class(&class_id, &cause);
        batch.classes_extended.insert(class_id, cause);
    } else if let Some(person_id) = person_id {
        batch.touched.trainee(&person_id, &cause);
        batch.touched.tutor(&person_id, &cause);
    } else {
        batch.scheme = Some(cause);
    }
    Ok(())
}

fn region_created(batches: &mut Batches, fact: enrollment::RegionCreated, told: &Fact<'_>) -> Result<()> {
    tree_changed(batch_of(batches, &fact.programme_id, told)?, told);
    Ok(())
}

fn region_moved(batches: &mut Batches, fact: enrollment::RegionMoved, told: &Fact<'_>) -> Result<()> {
    tree_changed(batch_of(batches, &fact.programme_id, told)?, told);
    Ok(())
}

fn place_merged(batches: &mut Batches, fact: enrollment::PlaceMerged, told: &Fact<'_>) -> Result<()> {
    let batch = batch_of(batches, &fact.programme_id, told)?;
    match fact.kind() {
        enrollment::PlaceKind::Region => {
            tree_changed(batch, told);
            for code in [&fact.code, &fact.into_code] {
                let county_code = id_of(told, RegionCode::parse(code))?;
                batch.touched.county(county_code, &cause_of(told), Some(told.at));
            }
            ended(batch, PlaceKind::Region, fact.code, told);
        }
        enrollment::PlaceKind::School => ended(batch, PlaceKind::School, fact.code, told),
        enrollment::PlaceKind::Class => {
            for class_id in [&fact.code, &fact.into_code] {
                batch.touched.class(&id_of(told, ClassId::parse(class_id))?, &cause_of(told));
            }
            ended(batch, PlaceKind::Class, fact.code, told);
        }
        enrollment::PlaceKind::Unspecified => {}
    }
    Ok(())
}

fn place_closed(batches: &mut Batches, fact: enrollment::PlaceClosed, told: &Fact<'_>) -> Result<()> {
    // Nothing stands in a region or a school that is closed.
    if fact.kind() == enrollment::PlaceKind::Class {
        let batch = batch_of(batches, &fact.programme_id, told)?;
        batch.touched.class(&id_of(told, ClassId::parse(&fact.code))?, &cause_of(told));
        ended(batch, PlaceKind::Class, fact.code, told);
    }
    Ok(())
}

/// Nobody may score by where people stood before.
fn ended(batch: &mut Batch, kind: PlaceKind, code: String, told: &Fact<'_>) {
    batch.changes_windows = true;
    batch.endings.insert((kind, code), cause_of(told));
}

/// Adds to the batch whoever stood in what has ended.
async fn resettle(tx: &mut Tx, programme_id: &ProgrammeId, batch: &mut Batch) -> Result<()> {
    for ((kind, code), cause) in &batch.endings {
        let people = shipei_mirror::people_ever_in(tx, programme_id, *kind, code).await?;
        batch.resettled.extend(people.into_iter().map(|person_id| (person_id, cause.clone())));
    }
    Ok(())
}

fn tree_changed(batch: &mut Batch, told: &Fact<'_>) {
    batch.changes_windows = true;
    batch.tree = Some(cause_of(told));
}

fn registered(batches: &mut Batches, fact: enrollment::PersonRegistered, told: &Fact<'_>) -> Result<()> {
    let (batch, cause) = (batch_of(batches, &fact.programme_id, told)?, cause_of(told));
    let person_id = id_of(told, PersonId::parse(&fact.person_id))?;
    match fact.role() {
        Role::Trainee => {
            batch.touched.author(&person_id, &cause);
            let county_code = id_of(told, RegionCode::parse_optional(&fact.county_code))?;
            let class_id = id_of(told, ClassId::parse_optional(&fact.class_id))?;
            batch.places.insert((person_id, county_code, class_id));
        }
        Role::ClassTutor => batch.touched.tutor(&person_id, &cause),
        _ => {}
    }
    Ok(())
}

fn transferred(batches: &mut Batches, fact: enrollment::TraineeTransferred, told: &Fact<'_>) -> Result<()> {
    let (batch, cause) = (batch_of(batches, &fact.programme_id, told)?, cause_of(told));
    let (old, new) = (fact.old.unwrap_or_default(), fact.new.unwrap_or_default());
    let person_id = id_of(told, PersonId::parse(&fact.person_id))?;
    batch.touched.author(&person_id, &cause);
    for place in [&old, &new] {
        let county_code = id_of(told, RegionCode::parse_optional(&place.county_code))?;
        let class_id = id_of(told, ClassId::parse_optional(&place.class_id))?;
        if let Some(county_code) = county_code {
            batch.touched.county(county_code, &cause, Some(told.at));
        }
        batch.places.insert((person_id.clone(), county_code, class_id));
    }
    Ok(())
}

fn logged_in(batches: &mut Batches, fact: enrollment::PersonLoggedIn, told: &Fact<'_>) -> Result<()> {
    let person_id = id_of(told, PersonId::parse(&fact.person_id))?;
    batch_of(batches, &fact.programme_id, told)?.touched.trainee(&person_id, &cause_of(told));
    Ok(())
}

fn attended(batches: &mut Batches, fact: enrollment::PreJobTrainingAttended, told: &Fact<'_>) -> Result<()> {
    let person_id = id_of(told, PersonId::parse(&fact.person_id))?;
    keep_duty_fact(batches, (&fact.programme_id, duties::PRE_JOB), (&fact.person_id, ""), "", told)?;
    batch_of(batches, &fact.programme_id, told)?.touched.tutor(&person_id, &cause_of(told));
    Ok(())
}

fn withdrawn(batches: &mut Batches, fact: enrollment::TraineeWithdrawn, told: &Fact<'_>) -> Result<()> {
    let person_id = id_of(told, PersonId::parse(&fact.person_id))?;
    batch_of(batches, &fact.programme_id, told)?.touched.trainee(&person_id, &cause_of(told));
    Ok(())
}

fn corrected(batches: &mut Batches, fact: enrollment::PersonCorrected, told: &Fact<'_>) -> Result<()> {
    let person_id = id_of(told, PersonId::parse(&fact.person_id))?;
    batch_of(batches, &fact.programme_id, told)?.touched.trainee(&person_id, &cause_of(told));
    Ok(())
}

fn returned(batches: &mut Batches, fact: enrollment::TraineeReturned, told: &Fact<'_>) -> Result<()> {
    let person_id = id_of(told, PersonId::parse(&fact.person_id))?;
    batch_of(batches, &fact.programme_id, told)?.touched.trainee(&person_id, &cause_of(told));
    Ok(())
}

fn removed(batches: &mut Batches, fact: enrollment::PersonRemoved, told: &Fact<'_>) -> Result<()> {
    let (batch, cause) = (batch_of(batches, &fact.programme_id, told)?, cause_of(told));
    let person_id = id_of(told, PersonId::parse(&fact.person_id))?;
    match fact.role() {
        Role::Trainee => {
            batch.touched.author(&person_id, &cause);
            batch.removed.insert(person_id, cause);
        }
        Role::ClassTutor => batch.touched.tutor(&person_id, &cause),
        _ => {}
    }
    Ok(())
}

fn merged(batches: &mut Batches, fact: enrollment::PersonsMerged, told: &Fact<'_>) -> Result<()> {
    let (batch, cause) = (batch_of(batches, &fact.programme_id, told)?, cause_of(told));
    for person_id in [&fact.person_id, &fact.merged_id] {
        let person_id = id_of(told, PersonId::parse(person_id))?;
        match fact.role() {
            Role::Trainee => batch.touched.trainee(&person_id, &cause),
            Role::ClassTutor => batch.touched.tutor(&person_id, &cause),
            // Of the others nothing is stored: their records are made when they are read.
            _ => {}
        }
    }
    Ok(())
}

fn chosen(batches: &mut Batches, fact: enrollment::TutorChosen, told: &Fact<'_>) -> Result<()> {
    let batch = batch_of(batches, &fact.programme_id, told)?;
    let tutor_id = id_of(told, PersonId::parse(&fact.tutor_id))?;
    let expert_id = id_of(told, PersonId::parse(&fact.expert_id))?;
    batch.touched.tutor(&tutor_id, &cause_of(told));
    let key = (tutor_id, expert_id, told.event.fact_id.clone());
    keep_first(&mut batch.choices, key, told.at);
    Ok(())
}

fn reported(batches: &mut Batches, fact: enrollment::RosterReported, told: &Fact<'_>) -> Result<()> {
    keep_duty_fact(batches, (&fact.programme_id, duties::ROSTER), ("", &fact.county_code), "", told)
}

fn compiled(batches: &mut Batches, fact: enrollment::RosterCompiled, told: &Fact<'_>) -> Result<()> {
    keep_duty_fact(batches, (&fact.programme_id, duties::COMPILED), ("", &fact.city_code), "", told)
}

fn remitted(batches: &mut Batches, fact: enrollment::RemittanceSent, told: &Fact<'_>) -> Result<()> {
    keep_duty_fact(
        batches,
        (&fact.programme_id, duties::REMITTED),
        ("", &fact.county_code),
        &fact.r#ref,
        told,
    )
}

fn confirmed(batches: &mut Batches, fact: enrollment::RemittanceConfirmed, told: &Fact<'_>) -> Result<()> {
    keep_duty_fact(
        batches,
        (&fact.programme_id, duties::CONFIRMED),
        ("", &fact.county_code),
        &fact.r#ref,
        told,
    )
}

fn invoiced(batches: &mut Batches, fact: enrollment::InvoiceIssued, told: &Fact<'_>) -> Result<()> {
    keep_duty_fact(
        batches,
        (&fact.programme_id, duties::INVOICED),
        ("", &fact.county_code),
        &fact.r#ref,
        told,
    )
}
