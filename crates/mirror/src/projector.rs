//! From enrollment's events to the mirror's rows: one line of [`EVENTS`] for each event. Every statement commutes with every
//! other one of its kind.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use shipei_contracts::{enrollment::v1 as enrollment, event::v1::Event};
use shipei_rules::places::PlaceKind;
use shipei_service_kit::{
    Error, Fact, Handles, PersonTable, Projector, Result, Unit, convert::from_timestamp, dispatch, handles,
};
use shipei_store::{Tx, bulk_insert, execute};

use crate::{
    erasures,
    first_times::{self, PersonFact, TRAINEE},
    members::{
        Change, MemberKey, MemberPatch, REGISTERED_AT, Registered, Transfer, save_members, save_teaching,
        save_transfers,
    },
    merges::{self, MergeFact},
    successors::{self, Endings, Told},
    tree,
    windows::Changes,
};

/// The log that the mirror follows.
pub const SOURCE: &str = shipei_contracts::services::ENROLLMENT;

/// What the mirror makes of the log: raise it when it keeps more (`Projector::version`).
pub const VERSION: u32 = 9;

/// What counts in all roles of a person is said of none.
const ALL_ROLES: &str = "";

/// The events that the mirror keeps something of.
const EVENTS: &[Handles<Gathered>] = handles![Gathered:
    enrollment::ProgrammeCreated => programme_created,
    enrollment::SchemeRevised => scheme_revised,
    enrollment::RegionCreated => region_created,
    enrollment::RegionMoved => region_moved,
    enrollment::PlaceMerged => place_merged,
    enrollment::PlaceClosed => place_closed,
    enrollment::ClassCreated => class_created,
    enrollment::LearningOpened => learning_opened,
    enrollment::PersonRegistered => registered,
    enrollment::TraineeTransferred => transferred,
    enrollment::PersonLoggedIn => logged_in,
    enrollment::PreJobTrainingAttended => attended,
    enrollment::TraineeWithdrawn => withdrawn,
    enrollment::TutorReplaced => tutor_replaced,
    enrollment::ExtensionGranted => extension_granted,
    enrollment::PersonCorrected => corrected,
    enrollment::TraineeReturned => returned,
    enrollment::PersonRemoved => removed,
    enrollment::PersonDeparted => departed,
    enrollment::PersonsMerged => merged,
];

/// Follows enrollment's log into the mirror.
#[derive(Debug, Clone, Copy)]
pub struct MirrorProjector {
    /// The service's own tables with rows about people, of which what is private goes when somebody is erased.
    pub people: &'static [PersonTable],
}

#[tonic::async_trait]
impl Projector for MirrorProjector {
    fn source(&self) -> &'static str {
        SOURCE
    }

    fn version(&self) -> u32 {
        VERSION
    }

    fn types(&self) -> Vec<String> {
        types()
    }

    async fn apply(&self, unit: &mut Unit, events: &[Event]) -> Result<()> {
        apply(&mut unit.tx, events).await?;
        erasures::erase(unit, events, self.people).await
    }
}

/// The types of the events that the mirror keeps something of.
pub fn types() -> Vec<String> {
    [dispatch::types(EVENTS), erasures::types()].concat()
}

/// Applies events of enrollment's log to the mirror; types that it does not know are left out.
pub async fn apply(tx: &mut Tx, events: &[Event]) -> Result<()> {
    let mut gathered = Gathered::default();
    dispatch::gather(EVENTS, &mut gathered, events)?;
    gathered.save(tx).await
}

/// Programme and the id of something in it.
type Key = (String, String);

/// Programme, the id of something in it, and a fact about that.
type FactOf = (String, String, String);

/// From when, by which fact, and who is a class's tutor.
type TutorChange = (DateTime<Utc>, String, enrollment::TutorReplaced);

/// What a batch of events says.
#[derive(Debug, Default)]
struct Gathered {
    schemes: Vec<SchemeOf>,
    regions: BTreeMap<Key, enrollment::RegionCreated>,
    region_moves: BTreeMap<(String, String, i64), (DateTime<Utc>, enrollment::RegionMoved)>,
    endings: Endings,
    classes: BTreeMap<Key, enrollment::ClassCreated>,
    tutor_changes: BTreeMap<(String, String, i64), TutorChange>,
    /// By programme, extension and fact.
    extensions: BTreeMap<FactOf, (String, enrollment::ExtensionGranted)>,
    /// By programme, county, time and fact.
    opened: BTreeSet<(String, String, DateTime<Utc>, String)>,
    members: BTreeMap<MemberKey, MemberPatch>,
    person_facts: BTreeSet<PersonFact>,
    transfers: BTreeMap<(String, String, i64), Transfer>,
    /// By programme, person, role and number.
    teaching: BTreeMap<(MemberKey, i64), Change>,
    /// By programme, the id that is merged, and number.
    merges: BTreeMap<(String, String, i64), MergeFact>,
}

/// A version of a programme's scheme.
#[derive(Debug)]
struct SchemeOf {
    programme_id: String,
    region_code: String,
    version: i64,
    toml: String,
}

impl Gathered {
    fn member(&mut self, programme_id: String, person_id: String, role: &'static str) -> &mut MemberPatch {
        self.members.entry((programme_id, person_id, role)).or_default()
    }

    /// What somebody did or what befell them in a role, or in all of them (an empty one); their row is made with it.
    fn person_fact(
        &mut self,
        (programme_id, person_id, role): MemberKey,
        kind: &'static str,
        told: &Fact<'_>,
    ) {
        let fact_id = told.event.fact_id.clone();
        let fact = PersonFact { person_id, programme_id, role, kind, at: told.at, fact_id };
        self.member(fact.programme_id.clone(), fact.person_id.clone(), fact.row_role());
        self.person_facts.insert(fact);
    }

    /// What of it changes windows, or for whom they are.
    fn changes(&self) -> Changes {
        let mut changes = Changes::default();
        for (programme_id, id, fact_id) in self.extensions.keys() {
            changes.add(programme_id, &["extension", id, fact_id]);
        }
        self.regions.keys().for_each(|(programme_id, code)| changes.add(programme_id, &["region", code]));
        for (programme_id, code, number) in self.region_moves.keys() {
            changes.add(programme_id, &["move", code, &number.to_string()]);
        }
        for (programme_id, kind, number) in self.endings.keys() {
            changes.add(programme_id, &["ending", kind, &number.to_string()]);
        }
        changes
    }

    async fn save(self, tx: &mut Tx) -> Result<()> {
        for scheme in &self.schemes {
            save_scheme(tx, scheme).await?;
        }
        // What changes the tree holds the programme's row of this, until the transaction ends: of two at once the second sees it all.
        self.changes().save(tx).await?;
        let merged = successors::save(tx, &self.endings).await?;
        save_regions(tx, &self.regions, &self.region_moves, &merged).await?;
        save_classes(tx, self.classes.values().collect()).await?;
        save_tutor_changes(tx, self.tutor_changes.values().collect()).await?;
        save_extensions(tx, &self.extensions).await?;
        save_opened(tx, self.opened.iter().collect()).await?;
        // The rows of members first: they are held until the transaction ends, and what is folded into them sees all facts.
        save_members(tx, self.members.into_iter().collect()).await?;
        first_times::save(tx, &self.person_facts).await?;
        save_teaching(tx, self.teaching.into_iter().collect()).await?;
        merges::save(tx, &self.merges).await?;
        save_transfers(tx, self.transfers.into_iter().collect()).await
    }
}

fn programme_created(into: &mut Gathered, fact: enrollment::ProgrammeCreated, _: &Fact<'_>) -> Result<()> {
    let enrollment::ProgrammeCreated { programme_id, region_code, scheme_version, scheme_toml } = fact;
    into.schemes.push(SchemeOf {
        programme_id,
        region_code,
        version: scheme_version.into(),
        toml: scheme_toml,
    });
    Ok(())
}

fn scheme_revised(into: &mut Gathered, fact: enrollment::SchemeRevised, told: &Fact<'_>) -> Result<()> {
    let enrollment::SchemeRevised { programme_id, scheme_version, scheme_toml, .. } = fact;
    let region_code = told.event.region_code.clone();
    into.schemes.push(SchemeOf {
        programme_id,
        region_code,
        version: scheme_version.into(),
        toml: scheme_toml,
    });
    Ok(())
}

fn region_created(into: &mut Gathered, fact: enrollment::RegionCreated, _: &Fact<'_>) -> Result<()> {
    into.regions.insert((fact.programme_id.clone(), fact.code.clone()), fact);
    Ok(())
}

fn region_moved(into: &mut Gathered, fact: enrollment::RegionMoved, told: &Fact<'_>) -> Result<()> {
    let key = (fact.programme_id.clone(), fact.code.clone(), fact.move_number);
    into.region_moves.insert(key, (told.at, fact));
    Ok(())
}

fn place_merged(into: &mut Gathered, fact: enrollment::PlaceMerged, told: &Fact<'_>) -> Result<()> {
    let kind = kind_of(fact.kind())?;
    let fact_id = told.event.fact_id.clone();
    let ending = Told { code: fact.code, into_code: fact.into_code, at: told.at, fact_id };
    into.endings.insert((fact.programme_id, kind.as_str(), fact.change_number), ending);
    Ok(())
}

fn place_closed(into: &mut Gathered, fact: enrollment::PlaceClosed, told: &Fact<'_>) -> Result<()> {
    // A region or a school is closed when nobody stands there; who turns out to have stood there does so still.
    if kind_of(fact.kind())? != PlaceKind::Class {
        return Ok(());
    }
    let fact_id = told.event.fact_id.clone();
    let ending = Told { code: fact.code, into_code: String::new(), at: told.at, fact_id };
    into.endings.insert((fact.programme_id, PlaceKind::Class.as_str(), fact.change_number), ending);
    Ok(())
}

fn kind_of(kind: enrollment::PlaceKind) -> Result<PlaceKind> {
    match kind {
        enrollment::PlaceKind::Region => Ok(PlaceKind::Region),
        enrollment::PlaceKind::School => Ok(PlaceKind::School),
        enrollment::PlaceKind::Class => Ok(PlaceKind::Class),
        enrollment::PlaceKind::Unspecified => {
            Err(Error::Internal("a change of a place of no kind".to_owned()))
        }
    }
}

fn class_created(into: &mut Gathered, fact: enrollment::ClassCreated, _: &Fact<'_>) -> Result<()> {
    into.classes.insert((fact.programme_id.clone(), fact.class_id.clone()), fact);
    Ok(())
}

fn tutor_replaced(into: &mut Gathered, fact: enrollment::TutorReplaced, told: &Fact<'_>) -> Result<()> {
    let key = (fact.programme_id.clone(), fact.class_id.clone(), fact.change_number);
    into.tutor_changes.insert(key, (told.at, told.event.fact_id.clone(), fact));
    Ok(())
}

fn extension_granted(into: &mut Gathered, fact: enrollment::ExtensionGranted, told: &Fact<'_>) -> Result<()> {
    let place_code = told.event.region_code.clone();
    let key = (fact.programme_id.clone(), fact.extension_id.clone(), told.event.fact_id.clone());
    into.extensions.insert(key, (place_code, fact));
    Ok(())
}

fn learning_opened(into: &mut Gathered, fact: enrollment::LearningOpened, told: &Fact<'_>) -> Result<()> {
    into.opened.insert((fact.programme_id, fact.county_code, told.at, told.event.fact_id.clone()));
    Ok(())
}

fn registered(into: &mut Gathered, fact: enrollment::PersonRegistered, told: &Fact<'_>) -> Result<()> {
    let (role, education_stage) = (fact.role().word(), fact.education_stage().word());
    let development_stage = fact.development_stage().word();
    let enrollment::PersonRegistered {
        programme_id,
        person_id,
        county_code,
        school_code,
        class_id,
        subject,
        ..
    } = fact;
    let place = enrollment::TraineePlace { county_code, school_code, class_id };
    let patch = into.member(programme_id, person_id, role);
    patch.placed_at = patch.placed_at.max(Some(REGISTERED_AT));
    let at = told.at;
    patch.registered = Some(Registered { at, place, education_stage, development_stage, subject });
    Ok(())
}

fn transferred(into: &mut Gathered, fact: enrollment::TraineeTransferred, told: &Fact<'_>) -> Result<()> {
    let fact_id = told.event.fact_id.clone();
    let transfer = Transfer { at: told.at, new: fact.new.unwrap_or_default(), fact_id };
    let patch = into.member(fact.programme_id.clone(), fact.person_id.clone(), TRAINEE);
    patch.placed_at = patch.placed_at.max(Some(told.at));
    into.transfers.insert((fact.programme_id, fact.person_id, fact.move_number), transfer);
    Ok(())
}

fn corrected(into: &mut Gathered, fact: enrollment::PersonCorrected, told: &Fact<'_>) -> Result<()> {
    let since = fact.since_time.as_ref().map(from_timestamp).transpose();
    let since = since.map_err(|fault| Error::Internal(format!("PersonCorrected.since_time: {fault}")))?;
    let role = fact.role().word();
    let patch = into.member(fact.programme_id.clone(), fact.person_id.clone(), role);
    patch.changes = patch.changes.max(Some(fact.change_number));
    let change = Change { since, new: fact.new.unwrap_or_default(), fact_id: told.event.fact_id.clone() };
    into.teaching.insert(((fact.programme_id, fact.person_id, role), fact.change_number), change);
    Ok(())
}

fn logged_in(into: &mut Gathered, fact: enrollment::PersonLoggedIn, told: &Fact<'_>) -> Result<()> {
    into.person_fact((fact.programme_id, fact.person_id, ALL_ROLES), "login", told);
    Ok(())
}

fn attended(into: &mut Gathered, fact: enrollment::PreJobTrainingAttended, told: &Fact<'_>) -> Result<()> {
    into.person_fact((fact.programme_id, fact.person_id, ALL_ROLES), "pre_job", told);
    Ok(())
}

fn returned(into: &mut Gathered, fact: enrollment::TraineeReturned, told: &Fact<'_>) -> Result<()> {
    into.person_fact((fact.programme_id, fact.person_id, TRAINEE), "return", told);
    Ok(())
}

fn departed(into: &mut Gathered, fact: enrollment::PersonDeparted, told: &Fact<'_>) -> Result<()> {
    let role = fact.role().word();
    into.person_fact((fact.programme_id, fact.person_id, role), "withdrawal", told);
    Ok(())
}

fn removed(into: &mut Gathered, fact: enrollment::PersonRemoved, told: &Fact<'_>) -> Result<()> {
    let role = fact.role().word();
    into.person_fact((fact.programme_id, fact.person_id, role), "removal", told);
    Ok(())
}

fn withdrawn(into: &mut Gathered, fact: enrollment::TraineeWithdrawn, told: &Fact<'_>) -> Result<()> {
    into.person_fact((fact.programme_id, fact.person_id, TRAINEE), "withdrawal", told);
    Ok(())
}

fn merged(into: &mut Gathered, fact: enrollment::PersonsMerged, told: &Fact<'_>) -> Result<()> {
    let role = fact.role().word();
    for person_id in [&fact.person_id, &fact.merged_id] {
        into.member(fact.programme_id.clone(), person_id.clone(), role).is_merged = true;
    }
    let merge = MergeFact { kept_id: fact.person_id, role, fact_id: told.event.fact_id.clone() };
    into.merges.insert((fact.programme_id, fact.merged_id, fact.merge_number), merge);
    Ok(())
}

async fn save_scheme(tx: &mut Tx, scheme: &SchemeOf) -> Result<()> {
    execute!(
        tx,
        "INSERT INTO mirror_programme (programme_id, region_code, scheme_version, scheme_toml) \
         VALUES ($1, $2, $3, $4) ON CONFLICT (programme_id) DO UPDATE SET \
         scheme_version = excluded.scheme_version, scheme_toml = excluded.scheme_toml \
         WHERE excluded.scheme_version > mirror_programme.scheme_version",
        &scheme.programme_id,
        &scheme.region_code,
        scheme.version,
        &scheme.toml
    )?;
    Ok(())
}

/// Regions and their moves, each kept once, and then the tree of those that are named, and of those that were merged.
async fn save_regions(
    tx: &mut Tx,
    regions: &BTreeMap<Key, enrollment::RegionCreated>,
    moves: &BTreeMap<(String, String, i64), (DateTime<Utc>, enrollment::RegionMoved)>,
    merged: &BTreeSet<Key>,
) -> Result<()> {
    let rows: Vec<_> = regions.values().collect();
    bulk_insert!(
        tx,
        "INSERT INTO mirror_region (programme_id, region_code, level, parent_code, province_code)",
        rows,
        |row| (&row.programme_id, &row.code, &row.level, &row.parent_code, &row.province_code),
        " ON CONFLICT (programme_id, region_code) DO NOTHING"
    )?;
    let rows: Vec<_> = moves.values().collect();
    bulk_insert!(
        tx,
        "INSERT INTO mirror_region_move (programme_id, region_code, move_number, moved_at, parent_code, province_code)",
        rows,
        |(at, row)| (
            &row.programme_id,
            &row.code,
            row.move_number,
            *at,
            &row.new_parent_code,
            &row.province_code
        ),
        " ON CONFLICT (programme_id, region_code, move_number) DO NOTHING"
    )?;
    let moved = moves.keys().map(|(programme_id, code, _)| (programme_id, code));
    let merged = merged.iter().map(|(programme_id, code)| (programme_id, code));
    let named: BTreeSet<(&String, &String)> =
        regions.keys().map(|(programme_id, code)| (programme_id, code)).chain(moved).chain(merged).collect();
    for (programme_id, region_code) in named {
        tree::put(tx, programme_id, region_code).await?;
    }
    Ok(())
}

async fn save_classes(tx: &mut Tx, classes: Vec<&enrollment::ClassCreated>) -> Result<()> {
    bulk_insert!(
        tx,
        "INSERT INTO mirror_class (programme_id, class_id, region_code, tutor_id)",
        classes,
        |row| (&row.programme_id, &row.class_id, &row.region_code, &row.tutor_id),
        " ON CONFLICT (programme_id, class_id) DO NOTHING"
    )?;
    Ok(())
}

/// A change of a class's tutor is kept once, by its number.
async fn save_tutor_changes(tx: &mut Tx, changes: Vec<&TutorChange>) -> Result<()> {
    bulk_insert!(
        tx,
        "INSERT INTO mirror_class_tutor (programme_id, class_id, change_number, changed_at, tutor_id, fact_id)",
        changes,
        |(at, fact_id, row)| (
            &row.programme_id,
            &row.class_id,
            row.change_number,
            *at,
            &row.new_tutor_id,
            fact_id
        ),
        " ON CONFLICT (programme_id, class_id, change_number) DO NOTHING"
    )?;
    Ok(())
}

async fn save_extensions(
    tx: &mut Tx,
    extensions: &BTreeMap<FactOf, (String, enrollment::ExtensionGranted)>,
) -> Result<()> {
    let rows: Vec<_> = extensions.iter().collect();
    bulk_insert!(
        tx,
        "INSERT INTO mirror_extension (programme_id, extension_id, window_name, last_day, region_code, class_id, \
         person_id, place_code, fact_id)",
        rows,
        |((_, _, fact_id), (place_code, row))| (
            &row.programme_id,
            &row.extension_id,
            &row.window,
            &row.new_last_day,
            &row.region_code,
            &row.class_id,
            &row.person_id,
            place_code,
            fact_id
        ),
        " ON CONFLICT (programme_id, extension_id, fact_id) DO NOTHING"
    )?;
    Ok(())
}

async fn save_opened(tx: &mut Tx, opened: Vec<&(String, String, DateTime<Utc>, String)>) -> Result<()> {
    bulk_insert!(
        tx,
        "INSERT INTO mirror_county (programme_id, county_code, opened_at, fact_id)",
        opened,
        |(programme_id, county_code, opened_at, fact_id)| (programme_id, county_code, *opened_at, fact_id),
        " ON CONFLICT (programme_id, county_code, opened_at, fact_id) DO NOTHING"
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever wants another event must raise the version, or a mirror that stands never learns the ones that were.
    #[test]
    fn version_is_of_these_events() {
        let names: Vec<String> =
            types().iter().map(|name| name.trim_start_matches("shipei.enrollment.v1.").to_owned()).collect();
        let expected = "ProgrammeCreated SchemeRevised RegionCreated RegionMoved PlaceMerged PlaceClosed ClassCreated LearningOpened \
            PersonRegistered TraineeTransferred PersonLoggedIn PreJobTrainingAttended TraineeWithdrawn \
            TutorReplaced ExtensionGranted PersonCorrected TraineeReturned PersonRemoved PersonDeparted PersonsMerged PersonErased";
        assert_eq!((VERSION, names.join(" ").as_str()), (9, expected));
    }
}
