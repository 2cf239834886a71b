//! Whose windows end when: the extensions of a programme, as the rules want them (`shipei_rules::windows`), and the scheme that
//! follows for a person, a class or a county. Where no extension applies it is the programme's own scheme, not a copy.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, NaiveDate, Utc};
use shipei_rules::{
    history::History,
    ids::{ClassId, PersonId, ProgrammeId},
    places::PlaceKind,
    region::RegionCode,
    scheme::Scheme,
    windows::{self as rules, Ends, Extension, For, Span, Standing},
};
use shipei_service_kit::Result;
use shipei_store::{StoreError, Tx, bulk_insert, fetch_all, fetch_optional, learned_stands, succession};

use crate::{classes::Class, lookup::Member};

/// The most extensions of one programme that are read.
const EXTENSIONS_MAX: i64 = 100_000;
/// The most rows of the tree that are read for them.
const LYING_MAX: i64 = 100_000;
/// The most schemes that are kept of a programme.
const SCHEMES_MADE_MAX: usize = 10_000;

/// The scheme of a programme, and what of its windows ends later for some.
#[derive(Debug, Clone)]
pub struct Windows {
    /// The version of the scheme.
    pub scheme_version: i64,
    /// The scheme with the windows that apply to everybody.
    pub scheme: Arc<Scheme>,
    some: Arc<ForSome>,
}

/// What applies to some.
#[derive(Debug, Default)]
struct ForSome {
    extensions: Vec<Extension>,
    /// Of each extension, the counties in which who has it may stand.
    counties: Vec<Vec<RegionCode>>,
    /// The schemes that were made, by what ends later.
    made: Mutex<BTreeMap<Ends, Arc<Scheme>>>,
}

#[derive(sqlx::FromRow)]
struct ExtensionRow {
    extension_id: String,
    window_name: String,
    last_day: String,
    region_code: String,
    class_id: String,
    person_id: String,
    #[sqlx(try_from = "String")]
    place_code: RegionCode,
}

#[derive(sqlx::FromRow)]
struct LyingRow {
    #[sqlx(try_from = "String")]
    region_code: RegionCode,
    #[sqlx(try_from = "String")]
    within_code: RegionCode,
    from_at: DateTime<Utc>,
    until_at: DateTime<Utc>,
}

/// What lies in regions that extensions name, and when.
type Lying = BTreeMap<RegionCode, Vec<(RegionCode, Span)>>;

impl ExtensionRow {
    fn extension(self, lying: &Lying) -> Result<Extension> {
        let corrupt = |column| StoreError::corrupt_row("mirror_extension", column, &self.extension_id);
        let last = self.last_day.parse::<NaiveDate>().map_err(|_| corrupt("last_day"))?;
        let region = RegionCode::parse_optional(&self.region_code).map_err(|_| corrupt("region_code"))?;
        let class = ClassId::parse_optional(&self.class_id).map_err(|_| corrupt("class_id"))?;
        let person = PersonId::parse_optional(&self.person_id).map_err(|_| corrupt("person_id"))?;
        let to = match (region, class, person) {
            (Some(region), ..) => For::Counties(lying.get(&region).cloned().unwrap_or_default()),
            (None, Some(class), _) => For::Class(class),
            (None, None, Some(person)) => For::Person(person),
            (None, None, None) => For::Programme,
        };
        Ok(Extension { window: self.window_name, last, to })
    }
}

impl Windows {
    pub(crate) async fn load(
        tx: &mut Tx,
        programme_id: &ProgrammeId,
        (scheme_version, scheme): (i64, Arc<Scheme>),
    ) -> Result<Windows> {
        let rows = fetch_all!(
            tx,
            ExtensionRow,
            concat!(
                "SELECT e.extension_id, e.window_name, e.last_day, e.region_code, e.class_id, e.person_id, e.place_code \
                 FROM mirror_extension e WHERE e.programme_id = $1 AND",
                learned_stands!("e", "enrollment"),
                "ORDER BY e.extension_id, e.fact_id LIMIT $2"
            ),
            programme_id.as_str(),
            EXTENSIONS_MAX
        )?;
        let lying = if rows.is_empty() { Lying::new() } else { lying(tx, programme_id).await? };
        // Who had it in a county takes it along where that is merged into another.
        let merged = if rows.is_empty() { Vec::new() } else { merged(tx, programme_id).await? };
        let mut for_all = Vec::new();
        let mut some = ForSome::default();
        for row in rows {
            let place = row.place_code;
            let extension = row.extension(&lying)?;
            if extension.to == For::Programme {
                for_all.push(extension);
                continue;
            }
            let within = lying.get(&place).into_iter().flatten().map(|(county, _)| *county);
            let mut within: Vec<RegionCode> = within.collect();
            within.extend(
                merged
                    .iter()
                    .filter(|(from, _)| within.contains(from))
                    .map(|(_, into)| *into)
                    .collect::<Vec<_>>(),
            );
            some.counties.push(within);
            some.extensions.push(extension);
        }
        let ends = rules::ends_for_all(&scheme, &for_all);
        let scheme = if ends.is_empty() { scheme } else { Arc::new(scheme.extended(&ends)) };
        Ok(Windows { scheme_version, scheme, some: Arc::new(some) })
    }

    /// The scheme as it is for a member, by this id alone: what is taken or refused.
    pub fn of_member(&self, member: &Member) -> Arc<Scheme> {
        self.of_ids(member, &[&member.person_id])
    }

    /// The scheme as it is for a person, with what was granted to any of their ids: what counts.
    pub fn of_person(&self, member: &Member) -> Arc<Scheme> {
        let ids: Vec<&PersonId> = member.ids().collect();
        self.of_ids(member, &ids)
    }

    fn of_ids(&self, member: &Member, ids: &[&PersonId]) -> Arc<Scheme> {
        if self.some.extensions.is_empty() {
            return Arc::clone(&self.scheme);
        }
        let places =
            member.places.map(|place| Standing { county: place.county_code, class: place.class_id.clone() });
        self.with(rules::ends(&self.scheme, &self.some.extensions, ids, &places))
    }

    /// The scheme as it is for a class and who guides it, by the ids of that tutor.
    pub fn of_class(&self, class: &Class, tutor_ids: &[&PersonId]) -> Arc<Scheme> {
        if self.some.extensions.is_empty() {
            return Arc::clone(&self.scheme);
        }
        let standing = class
            .regions
            .map(|region| Standing { county: Some(*region), class: Some(class.class_id.clone()) });
        self.with(rules::ends(&self.scheme, &self.some.extensions, tutor_ids, &standing))
    }

    /// The scheme as it is for what a county does.
    pub fn of_county(&self, county: RegionCode) -> Arc<Scheme> {
        if self.some.extensions.is_empty() {
            return Arc::clone(&self.scheme);
        }
        let standing = Standing { county: Some(county), class: None };
        self.with(rules::ends(&self.scheme, &self.some.extensions, &[], &History::from(standing)))
    }

    /// The scheme with the latest end of each window that anybody has who may stand in a county; `None` when nobody has a later
    /// one than all.
    pub fn latest_in_county(&self, county: RegionCode) -> Option<Arc<Scheme>> {
        let of_some = self.some.extensions.iter().zip(&self.some.counties);
        let there = of_some.filter(|(_, counties)| counties.contains(&county));
        let as_of_all: Vec<Extension> =
            there.map(|(extension, _)| Extension { to: For::Programme, ..extension.clone() }).collect();
        let ends = rules::ends_for_all(&self.scheme, &as_of_all);
        (!ends.is_empty()).then(|| self.with(ends))
    }

    fn with(&self, ends: Ends) -> Arc<Scheme> {
        if ends.is_empty() {
            return Arc::clone(&self.scheme);
        }
        let mut made = self.some.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(scheme) = made.get(&ends) {
            return Arc::clone(scheme);
        }
        let scheme = Arc::new(self.scheme.extended(&ends));
        if made.len() < SCHEMES_MADE_MAX {
            made.insert(ends, Arc::clone(&scheme));
        }
        scheme
    }
}

/// Counties, and what ever stands for them.
async fn merged(tx: &mut Tx, programme_id: &ProgrammeId) -> Result<Vec<(RegionCode, RegionCode)>> {
    let mut merged = Vec::new();
    for row in succession::all(tx, programme_id.as_str(), PlaceKind::Region.as_str()).await? {
        let corrupt = || StoreError::corrupt_row("place_successor", "code", &row.code);
        let from = RegionCode::parse(&row.code).map_err(|_| corrupt())?;
        merged.push((from, RegionCode::parse(&row.successor).map_err(|_| corrupt())?));
    }
    Ok(merged)
}

/// What lies in the regions that extensions name, or in which who has them stood.
async fn lying(tx: &mut Tx, programme_id: &ProgrammeId) -> Result<Lying> {
    let rows = fetch_all!(
        tx,
        LyingRow,
        "SELECT w.region_code, w.within_code, w.from_at, w.until_at FROM region_within w WHERE w.programme_id = $1 \
         AND EXISTS (SELECT 1 FROM mirror_extension e WHERE e.programme_id = w.programme_id \
          AND (e.region_code = w.within_code OR e.place_code = w.within_code)) \
         ORDER BY w.within_code, w.region_code, w.from_at LIMIT $2",
        programme_id.as_str(),
        LYING_MAX
    )?;
    let mut lying = Lying::new();
    for row in rows {
        let span = Span { from: row.from_at, until: row.until_at };
        lying.entry(row.within_code).or_default().push((row.region_code, span));
    }
    Ok(lying)
}

/// What changes of extensions, or of the tree that says for whom they are, by programme: a sum of digests. Whoever keeps what
/// follows sees another sum and reads it anew; a number that is only counted could be had twice, when what was counted first is
/// undone with its transaction.
#[derive(Debug, Default)]
pub(crate) struct Changes(BTreeMap<String, i64>);

impl Changes {
    pub(crate) fn add(&mut self, programme_id: &str, what: &[&str]) {
        // FNV-1a, of which 40 bits are kept so that millions of them don't overflow.
        let bytes = what.iter().flat_map(|part| part.bytes().chain([0]));
        let digest = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |digest, byte| {
            (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let kept = i64::try_from(digest >> 24).unwrap_or_default();
        *self.0.entry(programme_id.to_owned()).or_default() += kept;
    }

    pub(crate) async fn save(self, tx: &mut Tx) -> Result<()> {
        let rows: Vec<(String, i64)> = self.0.into_iter().collect();
        bulk_insert!(
            tx,
            "INSERT INTO mirror_windows (programme_id, changes)",
            rows,
            |(programme_id, changes)| (programme_id, *changes),
            " ON CONFLICT (programme_id) DO UPDATE SET changes = mirror_windows.changes + excluded.changes"
        )?;
        Ok(())
    }
}

/// Whether any extension of a programme is a region's.
pub async fn extends_regions(tx: &mut Tx, programme_id: &ProgrammeId) -> Result<bool> {
    let row = fetch_optional!(
        tx,
        (String,),
        "SELECT extension_id FROM mirror_extension WHERE programme_id = $1 AND region_code <> '' LIMIT 1",
        programme_id.as_str()
    )?;
    Ok(row.is_some())
}
