//! Look-ups in the mirror. A missing row is `None`; what a missing row means is for the caller to say.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use shipei_contracts::common::v1::ErrorReason;
use shipei_rules::{
    absence::Absences,
    history::History,
    ids::{ClassId, PersonId, ProgrammeId, SchoolCode, text_of},
    places::Successors,
    region::{RegionCode, RegionLevel},
    teaching::{Teaching, TeachingChange},
    vocabulary::{DevelopmentStage, EducationStage, Role},
};
use shipei_service_kit::{
    Reach, Refusal, Result,
    reach::{AsOf, Columns},
};
use shipei_store::{StoreError, Tx, fetch_list, fetch_optional, learned_stands, select_by_keys};

use crate::{
    absences, first_times,
    merges::{self, Merge},
    place::{Place, PlaceHistory},
    successors,
};

/// The most counties of one programme that are listed; a province has some 167.
pub const COUNTIES_MAX: i64 = 1_000;

/// Somebody of a programme in one of their roles, as enrollment knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Their id.
    pub person_id: PersonId,
    /// What they are.
    pub role: Role,
    /// Where they stood and when; only trainees are ever transferred, and places are merged.
    pub places: PlaceHistory,
    /// What they teach, and where they stand in the profession, at each time.
    pub teaching: History<Teaching>,
    /// First log-in.
    pub login_at: Option<DateTime<Utc>>,
    /// Attendance of the training before the job; of staff alone.
    pub pre_job_at: Option<DateTime<Utc>>,
    /// When they were away.
    pub absences: Absences,
    /// The id that counts instead of this one, since both are one person.
    pub counts_for: Option<PersonId>,
    /// The ids that count for this one, by id.
    pub merged: Vec<PersonId>,
}

impl Member {
    /// Their ids: this one, and those that count for it.
    pub fn ids(&self) -> impl Iterator<Item = &PersonId> {
        std::iter::once(&self.person_id).chain(&self.merged)
    }

    /// Refuses WITHDRAWN when they were away then.
    pub fn refuse_withdrawn(&self, at: DateTime<Utc>) -> Result<()> {
        if self.absences.at(at) {
            return Err(Refusal::new(ErrorReason::Withdrawn)
                .with("person_id", self.person_id.as_str())
                .into());
        }
        Ok(())
    }
}

#[derive(sqlx::FromRow)]
struct MemberRow {
    #[sqlx(try_from = "String")]
    person_id: PersonId,
    role: String,
    county_code: String,
    school_code: String,
    class_id: String,
    placed_at: Option<DateTime<Utc>>,
    changes: Option<i64>,
    is_merged: bool,
    education_stage: String,
    development_stage: String,
    subject: String,
    login_at: Option<DateTime<Utc>>,
    withdrawn_at: Option<DateTime<Utc>>,
    /// Whether any place of the programme was merged or closed.
    has_ended: bool,
}

impl MemberRow {
    /// Whether there may be transfers of theirs; `placed_at` of who never moved is that of [`crate::apply`].
    fn has_moved(&self) -> bool {
        self.placed_at.is_some_and(|placed_at| placed_at > DateTime::UNIX_EPOCH)
    }

    fn into_member(
        self,
        (transfers, successors): (Vec<(DateTime<Utc>, Place)>, &Successors),
        changes: Vec<TeachingChange>,
        absences: Absences,
    ) -> Result<Member> {
        let role = Role::parse(&self.role)
            .ok_or_else(|| StoreError::corrupt_row("mirror_member", "role", &self.person_id))?;
        let registered = place_of(
            ("mirror_member", &self.person_id),
            (&self.county_code, &self.school_code, &self.class_id),
        )?;
        let registered_teaching = Teaching {
            subject: self.subject,
            education_stage: EducationStage::parse(&self.education_stage),
            development_stage: DevelopmentStage::parse(&self.development_stage),
        };
        Ok(Member {
            person_id: self.person_id,
            role,
            places: successors::standing(successors, History::new(registered, transfers))?,
            teaching: Teaching::history(registered_teaching, changes),
            login_at: self.login_at,
            pre_job_at: None,
            absences,
            counts_for: None,
            merged: Vec::new(),
        })
    }
}

/// A place as a row of `table` has it, with empty texts for what is absent.
fn place_of(
    (table, person_id): (&'static str, &PersonId),
    (county_code, school_code, class_id): (&str, &str, &str),
) -> Result<Place> {
    let corrupt = |column| StoreError::corrupt_row(table, column, person_id);
    Ok(Place {
        county_code: RegionCode::parse_optional(county_code).map_err(|_| corrupt("county_code"))?,
        school_code: SchoolCode::parse_optional(school_code).map_err(|_| corrupt("school_code"))?,
        class_id: ClassId::parse_optional(class_id).map_err(|_| corrupt("class_id"))?,
    })
}

/// One member in a role.
pub async fn member(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    role: Role,
    person_id: &PersonId,
) -> Result<Option<Member>> {
    Ok(members(tx, programme_id, role, &[person_id]).await?.pop())
}

/// Those of the people who are members in a role, in no particular order.
pub async fn members(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    role: Role,
    person_ids: &[&PersonId],
) -> Result<Vec<Member>> {
    let rows: Vec<MemberRow> = select_by_keys!(
        tx,
        MemberRow,
        [
            "SELECT person_id, role, county_code, school_code, class_id, placed_at, changes, is_merged, education_stage, development_stage, subject, \
             login_at, withdrawn_at, EXISTS (SELECT 1 FROM place_successor g \
             WHERE g.programme_id = mirror_member.programme_id) AS has_ended FROM mirror_member WHERE role <> '' AND as_role = ",
            role.as_str(),
            " AND programme_id = ",
            programme_id.as_str(),
            " AND person_id IN "
        ],
        person_ids,
        |person_id| (person_id.as_str())
    )?;
    // Few ever move, and one statement more for each batch of heartbeats would be paid by all.
    let moved: Vec<&PersonId> = rows.iter().filter(|row| row.has_moved()).map(|row| &row.person_id).collect();
    let transfers = transfers(tx, programme_id, &moved).await?;
    let changed: Vec<&PersonId> =
        rows.iter().filter(|row| row.changes.is_some()).map(|row| &row.person_id).collect();
    let changes = teaching_changes(tx, programme_id, role, &changed).await?;
    let away: Vec<&PersonId> =
        rows.iter().filter(|row| row.withdrawn_at.is_some()).map(|row| &row.person_id).collect();
    let mut absences = absences::of_people(tx, programme_id, role, &away).await?;
    let merged: Vec<&PersonId> = rows.iter().filter(|row| row.is_merged).map(|row| &row.person_id).collect();
    let merges = merges::merges(tx, programme_id, role, &merged).await?;
    let of_merges: Vec<&PersonId> =
        merges.iter().flat_map(|merge| [&merge.merged_id, &merge.kept_id]).collect();
    let removed = merges::removed(tx, programme_id, role, &of_merges).await?;
    // As few places ever end.
    let successors = match rows.iter().any(|row| row.has_ended) {
        true => successors_of(tx, programme_id, &rows, &transfers).await?,
        false => Successors::default(),
    };
    // What counts in all roles is folded into a trainee's row alone.
    let of_staff = match role {
        Role::Trainee => BTreeMap::new(),
        _ => first_times::of_people(tx, programme_id, person_ids).await?,
    };
    let mut members = Vec::with_capacity(rows.len());
    for row in rows {
        let away = absences.remove(&row.person_id).unwrap_or_default();
        let own = transfers.get(&row.person_id).cloned().unwrap_or_default();
        let changes = changes.get(&row.person_id).cloned().unwrap_or_default();
        let mut member = row.into_member((own, &successors), changes, away)?;
        if role != Role::Trainee {
            let first = |kind: &str| of_staff.get(&(member.person_id.to_string(), kind.to_owned())).copied();
            (member.login_at, member.pre_job_at) = (first("login"), first("pre_job"));
        }
        for Merge { merged_id, kept_id } in &merges {
            // Nobody counts for who was removed, and what they did counts for nobody.
            if *merged_id == member.person_id && !removed.contains(kept_id) {
                member.counts_for = Some(kept_id.clone());
            } else if *kept_id == member.person_id && !removed.contains(merged_id) {
                member.merged.push(merged_id.clone());
            }
        }
        members.push(member);
    }
    Ok(members)
}

/// What stands for the places of these people that have ended.
async fn successors_of(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    rows: &[MemberRow],
    transfers: &BTreeMap<PersonId, Vec<(DateTime<Utc>, Place)>>,
) -> Result<Successors> {
    let mut codes: BTreeSet<&str> = BTreeSet::new();
    for row in rows {
        codes.extend([row.county_code.as_str(), row.school_code.as_str(), row.class_id.as_str()]);
    }
    for (_, place) in transfers.values().flatten() {
        codes.extend(successors::codes_of(place));
    }
    codes.remove("");
    successors::of_codes(tx, programme_id, &codes).await
}

#[derive(sqlx::FromRow)]
struct TeachingRow {
    #[sqlx(try_from = "String")]
    person_id: PersonId,
    change_number: i64,
    since_at: Option<DateTime<Utc>>,
    subject: Option<String>,
    education_stage: String,
    development_stage: String,
}

/// What these people teach in a role otherwise than their registration has it, of the changes that stand.
async fn teaching_changes(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    role: Role,
    person_ids: &[&PersonId],
) -> Result<BTreeMap<PersonId, Vec<TeachingChange>>> {
    let rows: Vec<TeachingRow> = select_by_keys!(
        tx,
        TeachingRow,
        [
            concat!(
                "SELECT c.person_id, c.change_number, c.since_at, c.subject, c.education_stage, c.development_stage \
                 FROM mirror_teaching c WHERE",
                learned_stands!("c", "enrollment"),
                "AND c.programme_id = "
            ),
            programme_id.as_str(),
            " AND c.as_role = ",
            role.as_str(),
            " AND c.person_id IN "
        ],
        person_ids,
        |person_id| (person_id.as_str())
    )?;
    let mut changes: BTreeMap<PersonId, Vec<TeachingChange>> = BTreeMap::new();
    for row in rows {
        let change = TeachingChange {
            since: row.since_at,
            number: row.change_number,
            subject: row.subject,
            education_stage: EducationStage::parse(&row.education_stage),
            development_stage: DevelopmentStage::parse(&row.development_stage),
        };
        changes.entry(row.person_id).or_default().push(change);
    }
    Ok(changes)
}

#[derive(sqlx::FromRow)]
struct TransferRow {
    #[sqlx(try_from = "String")]
    person_id: PersonId,
    move_number: i64,
    transferred_at: DateTime<Utc>,
    county_code: String,
    school_code: String,
    class_id: String,
}

/// The transfers of these people that stand, by time. Of two at one instant, the later is the one that enrollment numbered later, which
/// took both, whatever partitions of its log they stand in.
async fn transfers(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    person_ids: &[&PersonId],
) -> Result<BTreeMap<PersonId, Vec<(DateTime<Utc>, Place)>>> {
    let mut rows: Vec<TransferRow> = select_by_keys!(
        tx,
        TransferRow,
        [
            concat!(
                "SELECT t.person_id, t.move_number, t.transferred_at, t.county_code, t.school_code, t.class_id \
                 FROM mirror_transfer t WHERE",
                learned_stands!("t", "enrollment"),
                "AND t.programme_id = "
            ),
            programme_id.as_str(),
            " AND t.person_id IN "
        ],
        person_ids,
        |person_id| (person_id.as_str())
    )?;
    rows.sort_by_key(|row| (row.transferred_at, row.move_number));
    let mut transfers: BTreeMap<PersonId, Vec<(DateTime<Utc>, Place)>> = BTreeMap::new();
    for row in rows {
        let place = place_of(
            ("mirror_transfer", &row.person_id),
            (&row.county_code, &row.school_code, &row.class_id),
        )?;
        transfers.entry(row.person_id).or_default().push((row.transferred_at, place));
    }
    Ok(transfers)
}

/// When learning was opened for a county; `None` while it is closed.
pub async fn county_opened_at(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    county_code: RegionCode,
) -> Result<Option<DateTime<Utc>>> {
    Ok(counties_opened_at(tx, programme_id, &[county_code]).await?.remove(&county_code))
}

#[derive(sqlx::FromRow)]
struct CountyRow {
    #[sqlx(try_from = "String")]
    county_code: RegionCode,
    opened_at: DateTime<Utc>,
}

/// When learning was opened for each of these counties; a county that is closed is absent.
pub async fn counties_opened_at(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    county_codes: &[RegionCode],
) -> Result<BTreeMap<RegionCode, DateTime<Utc>>> {
    let rows: Vec<CountyRow> = select_by_keys!(
        tx,
        CountyRow,
        [
            concat!(
                "SELECT c.county_code, MIN(c.opened_at) AS opened_at FROM mirror_county c WHERE",
                learned_stands!("c", "enrollment"),
                "AND c.programme_id = "
            ),
            programme_id.as_str(),
            " AND c.county_code IN "
        ],
        county_codes,
        |county_code| (county_code.as_str()),
        " GROUP BY c.county_code"
    )?;
    Ok(rows.into_iter().map(|row| (row.county_code, row.opened_at)).collect())
}

/// The counties in which learning was opened, within a region by the tree as of an instant (or in any), by
/// code, at most [`COUNTIES_MAX`].
pub async fn open_counties(
    tx: &mut Tx,
    reach: &Reach,
    programme_id: &ProgrammeId,
    region_code: Option<RegionCode>,
    at: DateTime<Utc>,
) -> Result<Vec<RegionCode>> {
    let columns = Columns { region: "c.county_code", ..Columns::none("c.programme_id", AsOf::At(at)) };
    let asked = Reach::region(text_of(region_code.as_ref()));
    let rows = fetch_list!(
        tx,
        CountyRow,
        [
            concat!(
                "SELECT c.county_code, MIN(c.opened_at) AS opened_at FROM mirror_county c WHERE",
                learned_stands!("c", "enrollment"),
                "AND c.programme_id = "
            ),
            programme_id.as_str(),
            "",
            reach.over(columns),
            "",
            asked.over(columns),
            " GROUP BY c.county_code ORDER BY c.county_code LIMIT ",
            COUNTIES_MAX
        ]
    )?;
    Ok(rows.into_iter().map(|row| row.county_code).collect())
}

/// A region of the programme's tree.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Region {
    /// Its code (GB/T 2260).
    #[sqlx(try_from = "String")]
    pub region_code: RegionCode,
    /// `province`, `city` or `county`.
    pub level: String,
}

impl Region {
    /// Whether it is a county.
    pub fn is_county(&self) -> bool {
        self.level == RegionLevel::County.as_str()
    }
}

/// One region.
pub async fn region(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    region_code: RegionCode,
) -> Result<Option<Region>> {
    Ok(fetch_optional!(
        tx,
        Region,
        "SELECT region_code, level FROM mirror_region WHERE programme_id = $1 AND region_code = $2",
        programme_id.as_str(),
        region_code.as_str()
    )?)
}

/// What stands for a region at an instant: itself, or what it was merged into.
pub async fn region_at(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    region_code: RegionCode,
    at: DateTime<Utc>,
) -> Result<RegionCode> {
    let successors = successors::of_codes(tx, programme_id, &[region_code.as_str()].into()).await?;
    Ok(*successors::regions(&successors, region_code)?.at(at))
}
