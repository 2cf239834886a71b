//! From enrollment's events to the mirror's rows. Every statement commutes with every other one of its kind.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use shipei_contracts::{common::v1 as common, enrollment::v1 as enrollment, event::v1::Event};
use shipei_service_kit::{Error, Projector, Result, Unit, convert::from_timestamp, follow::decode};
use shipei_store::{Tx, bulk_insert, execute};

use crate::place::Place;

/// The log that the mirror follows.
pub const SOURCE: &str = "enrollment";

/// The events that the mirror keeps something of. Another order of them is another want, for which the log is applied
/// again from its first event (`Projector::types`): since transfers are kept, theirs is the sixth.
pub const TYPES: [&str; 10] = [
    "shipei.enrollment.v1.ProgrammeCreated",
    "shipei.enrollment.v1.SchemeRevised",
    "shipei.enrollment.v1.RegionCreated",
    "shipei.enrollment.v1.ClassCreated",
    "shipei.enrollment.v1.PersonRegistered",
    "shipei.enrollment.v1.TraineeTransferred",
    "shipei.enrollment.v1.LearningOpened",
    "shipei.enrollment.v1.PersonLoggedIn",
    "shipei.enrollment.v1.PreJobTrainingAttended",
    "shipei.enrollment.v1.TraineeWithdrawn",
];

/// Follows enrollment's log into the mirror.
#[derive(Debug, Clone, Copy, Default)]
pub struct MirrorProjector;

#[tonic::async_trait]
impl Projector for MirrorProjector {
    fn source(&self) -> &'static str {
        SOURCE
    }

    fn types(&self) -> Vec<String> {
        TYPES.map(str::to_owned).to_vec()
    }

    async fn apply(&self, unit: &mut Unit, events: &[Event]) -> Result<()> {
        apply(&mut unit.tx, events).await
    }
}

/// What a batch of events says of one member; absent fields leave the row as it is.
#[derive(Debug, Clone, Default)]
struct MemberPatch {
    registered: Option<Registered>,
    /// The last transfer, or [`REGISTERED_AT`].
    placed_at: Option<DateTime<Utc>>,
    login_at: Option<DateTime<Utc>>,
    pre_job_at: Option<DateTime<Utc>>,
    withdrawn_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone)]
struct Registered {
    role: &'static str,
    place: Place,
    education_stage: &'static str,
    subject: String,
}

/// A transfer, under the place of its event in the log.
struct Transfer {
    programme_id: String,
    person_id: String,
    event: (i64, i64),
    at: DateTime<Utc>,
    new: Place,
}

/// Registration is older than any transfer, whenever it was recorded.
const REGISTERED_AT: DateTime<Utc> = DateTime::UNIX_EPOCH;

/// Applies events of enrollment's log to the mirror; types that it does not know are left out.
pub async fn apply(tx: &mut Tx, events: &[Event]) -> Result<()> {
    let mut patches: BTreeMap<(String, String), MemberPatch> = BTreeMap::new();
    let mut transfers: BTreeMap<(u32, i64), Transfer> = BTreeMap::new();
    for event in events {
        let at = event_time(event)?;
        if let Some(fact) = decode::<enrollment::PersonRegistered>(event)? {
            let registered = registered(&fact);
            let patch = patches.entry((fact.programme_id, fact.person_id)).or_default();
            patch.placed_at = patch.placed_at.max(Some(REGISTERED_AT));
            patch.registered = Some(registered);
        } else if let Some(fact) = decode::<enrollment::TraineeTransferred>(event)? {
            let key = (fact.programme_id.clone(), fact.person_id.clone());
            let patch = patches.entry(key).or_default();
            patch.placed_at = patch.placed_at.max(Some(at));
            transfers.insert((event.partition, event.number), transfer(event, at, fact));
        } else if let Some(fact) = decode::<enrollment::PersonLoggedIn>(event)? {
            keep_first(&mut patches.entry((fact.programme_id, fact.person_id)).or_default().login_at, at);
        } else if let Some(fact) = decode::<enrollment::PreJobTrainingAttended>(event)? {
            keep_first(&mut patches.entry((fact.programme_id, fact.person_id)).or_default().pre_job_at, at);
        } else if let Some(fact) = decode::<enrollment::TraineeWithdrawn>(event)? {
            keep_first(&mut patches.entry((fact.programme_id, fact.person_id)).or_default().withdrawn_at, at);
        } else {
            apply_rare(tx, event, at).await?;
        }
    }
    save_members(tx, patches.into_iter().collect()).await?;
    save_transfers(tx, transfers.into_values().collect()).await
}

/// The events that come once for a programme, a class or a county.
async fn apply_rare(tx: &mut Tx, event: &Event, at: DateTime<Utc>) -> Result<()> {
    if let Some(fact) = decode::<enrollment::ProgrammeCreated>(event)? {
        let version = fact.scheme_version;
        save_scheme(tx, &fact.programme_id, &fact.region_code, version, &fact.scheme_toml).await?;
    } else if let Some(fact) = decode::<enrollment::SchemeRevised>(event)? {
        save_scheme(tx, &fact.programme_id, &event.region_code, fact.scheme_version, &fact.scheme_toml)
            .await?;
    } else if let Some(fact) = decode::<enrollment::RegionCreated>(event)? {
        execute!(
            tx,
            "INSERT INTO mirror_region (programme_id, region_code, level, parent_code) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (programme_id, region_code) DO NOTHING",
            &fact.programme_id,
            &fact.code,
            &fact.level,
            &fact.parent_code
        )?;
    } else if let Some(fact) = decode::<enrollment::ClassCreated>(event)? {
        execute!(
            tx,
            "INSERT INTO mirror_class (programme_id, class_id, region_code, tutor_id) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (programme_id, class_id) DO NOTHING",
            &fact.programme_id,
            &fact.class_id,
            &fact.region_code,
            &fact.tutor_id
        )?;
    } else if let Some(fact) = decode::<enrollment::LearningOpened>(event)? {
        execute!(
            tx,
            "INSERT INTO mirror_county (programme_id, county_code, opened_at) VALUES ($1, $2, $3) \
             ON CONFLICT (programme_id, county_code) DO UPDATE SET opened_at = excluded.opened_at \
             WHERE excluded.opened_at < mirror_county.opened_at",
            &fact.programme_id,
            &fact.county_code,
            at
        )?;
    }
    Ok(())
}

async fn save_scheme(tx: &mut Tx, programme_id: &str, region: &str, version: i64, toml: &str) -> Result<()> {
    execute!(
        tx,
        "INSERT INTO mirror_programme (programme_id, region_code, scheme_version, scheme_toml) \
         VALUES ($1, $2, $3, $4) ON CONFLICT (programme_id) DO UPDATE SET \
         scheme_version = excluded.scheme_version, scheme_toml = excluded.scheme_toml \
         WHERE excluded.scheme_version > mirror_programme.scheme_version",
        programme_id,
        region,
        version,
        toml
    )?;
    Ok(())
}

async fn save_members(tx: &mut Tx, members: Vec<((String, String), MemberPatch)>) -> Result<()> {
    bulk_insert!(
        tx,
        "INSERT INTO mirror_member (programme_id, person_id, role, education_stage, subject, county_code, \
         school_code, class_id, placed_at, login_at, pre_job_at, withdrawn_at)",
        members,
        |tuple, member| {
            let ((programme_id, person_id), patch) = member;
            tuple.push_bind(programme_id);
            tuple.push_bind(person_id);
            let registered = patch.registered.as_ref();
            tuple.push_bind(registered.map_or("", |registered| registered.role));
            tuple.push_bind(registered.map_or("", |registered| registered.education_stage));
            tuple.push_bind(registered.map_or("", |registered| registered.subject.as_str()));
            tuple.push_bind(registered.map_or("", |registered| registered.place.county_code.as_str()));
            tuple.push_bind(registered.map_or("", |registered| registered.place.school_code.as_str()));
            tuple.push_bind(registered.map_or("", |registered| registered.place.class_id.as_str()));
            tuple.push_bind(patch.placed_at);
            tuple.push_bind(patch.login_at);
            tuple.push_bind(patch.pre_job_at);
            tuple.push_bind(patch.withdrawn_at);
        },
        MERGE
    )?;
    Ok(())
}

/// Registration fills what is empty, of transfers the last time is kept, first times are the least.
const MERGE: &str = " ON CONFLICT (programme_id, person_id) DO UPDATE SET \
    role = CASE WHEN excluded.role <> '' THEN excluded.role ELSE mirror_member.role END, \
    education_stage = CASE WHEN excluded.role <> '' THEN excluded.education_stage \
        ELSE mirror_member.education_stage END, \
    subject = CASE WHEN excluded.role <> '' THEN excluded.subject ELSE mirror_member.subject END, \
    county_code = CASE WHEN excluded.role <> '' THEN excluded.county_code ELSE mirror_member.county_code END, \
    school_code = CASE WHEN excluded.role <> '' THEN excluded.school_code ELSE mirror_member.school_code END, \
    class_id = CASE WHEN excluded.role <> '' THEN excluded.class_id ELSE mirror_member.class_id END, \
    placed_at = CASE WHEN mirror_member.placed_at IS NULL OR excluded.placed_at > mirror_member.placed_at \
        THEN excluded.placed_at ELSE mirror_member.placed_at END, \
    login_at = CASE WHEN mirror_member.login_at IS NULL OR excluded.login_at < mirror_member.login_at \
        THEN excluded.login_at ELSE mirror_member.login_at END, \
    pre_job_at = CASE WHEN mirror_member.pre_job_at IS NULL OR excluded.pre_job_at < mirror_member.pre_job_at \
        THEN excluded.pre_job_at ELSE mirror_member.pre_job_at END, \
    withdrawn_at = CASE WHEN mirror_member.withdrawn_at IS NULL \
        OR excluded.withdrawn_at < mirror_member.withdrawn_at \
        THEN excluded.withdrawn_at ELSE mirror_member.withdrawn_at END";

/// A transfer is kept once, by the place of its event.
async fn save_transfers(tx: &mut Tx, transfers: Vec<Transfer>) -> Result<()> {
    bulk_insert!(
        tx,
        "INSERT INTO mirror_transfer (programme_id, person_id, event_partition, event_number, transferred_at, \
         county_code, school_code, class_id)",
        transfers,
        |row| (
            &row.programme_id,
            &row.person_id,
            row.event.0,
            row.event.1,
            row.at,
            &row.new.county_code,
            &row.new.school_code,
            &row.new.class_id
        ),
        " ON CONFLICT (person_id, programme_id, event_partition, event_number) DO NOTHING"
    )?;
    Ok(())
}

fn event_time(event: &Event) -> Result<DateTime<Utc>> {
    let time = event.time.ok_or_else(|| Error::Internal("an event without a time".to_owned()))?;
    from_timestamp(&time)
        .map_err(|cause| Error::Internal(format!("an event with a time that cannot be: {cause}")))
}

fn registered(fact: &enrollment::PersonRegistered) -> Registered {
    let place = Place {
        county_code: fact.county_code.clone(),
        school_code: fact.school_code.clone(),
        class_id: fact.class_id.clone(),
    };
    Registered {
        role: role_word(fact.role()),
        place,
        education_stage: stage_word(fact.education_stage()),
        subject: fact.subject.clone(),
    }
}

fn transfer(event: &Event, at: DateTime<Utc>, fact: enrollment::TraineeTransferred) -> Transfer {
    let new = fact.new.unwrap_or_default();
    Transfer {
        programme_id: fact.programme_id,
        person_id: fact.person_id,
        event: (i64::from(event.partition), event.number),
        at,
        new: Place { county_code: new.county_code, school_code: new.school_code, class_id: new.class_id },
    }
}

fn keep_first(kept: &mut Option<DateTime<Utc>>, at: DateTime<Utc>) {
    if kept.is_none_or(|first| at < first) {
        *kept = Some(at);
    }
}

fn role_word(role: common::Role) -> &'static str {
    use shipei_rules::vocabulary::Role;
    match role {
        common::Role::Trainee => Role::Trainee.as_str(),
        common::Role::ClassTutor => Role::ClassTutor.as_str(),
        common::Role::CountyCounselor => Role::CountyCounselor.as_str(),
        common::Role::SubjectExpert => Role::SubjectExpert.as_str(),
        common::Role::MunicipalLead => Role::MunicipalLead.as_str(),
        common::Role::TrainingInstitution => Role::TrainingInstitution.as_str(),
        common::Role::Unspecified | common::Role::Province | common::Role::Service => "",
    }
}

fn stage_word(stage: common::EducationStage) -> &'static str {
    use shipei_rules::vocabulary::EducationStage;
    match stage {
        common::EducationStage::Compulsory => EducationStage::Compulsory.as_str(),
        common::EducationStage::NonCompulsory => EducationStage::NonCompulsory.as_str(),
        common::EducationStage::Unspecified => "",
    }
}
