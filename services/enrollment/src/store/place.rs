//! What becomes of regions, schools and classes: the changes as they were recorded, and what follows from those that stand, which is put
//! into the rows of the places, of who stands there, and of the tree whenever one comes or falls.

use std::collections::BTreeSet;

use shipei_rules::{
    ids::{ClassId, ProgrammeId, SchoolCode, text_of},
    places::{Ending, PlaceKind, Succession, Successors, successions},
    region::RegionCode,
};
use shipei_store::{
    StoreError, Tx, execute, fetch_all, fetch_one, fetch_optional, stands,
    succession::{self, SuccessorRow},
    successor,
};

use super::{Stamp, class, person::is_there, region};
use crate::domain::{Place, Time};

/// The most changes of one kind of places in one programme.
pub(crate) const PLACE_CHANGES_MAX: i64 = 100_000;

/// What becomes of a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// It is called so.
    Rename(String),
    /// It becomes part of the one of this code.
    Merge(String),
    /// It ends.
    Close,
}

impl Act {
    /// Its word in the table, the name and the code.
    fn columns(&self) -> [&str; 3] {
        match self {
            Self::Rename(name) => ["rename", name, ""],
            Self::Merge(into_code) => ["merge", "", into_code],
            Self::Close => ["close", "", ""],
        }
    }
}

/// How many changes of a kind were recorded, whether they stand or not.
pub(crate) async fn changes_count(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    kind: PlaceKind,
) -> Result<i64, StoreError> {
    let (count,) = fetch_one!(
        tx,
        (i64,),
        "SELECT COUNT(*) FROM place_change WHERE programme_id = $1 AND kind = $2",
        programme_id.as_str(),
        kind.as_str()
    )?;
    Ok(count)
}

/// Keeps a change, the `number`th that was recorded of its kind, and what follows from it.
pub(crate) async fn insert_change(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    (kind, code, number): (PlaceKind, &str, i64),
    (act, reason): (&Act, &str),
    (stamp, fact_id): (&Stamp, &str),
) -> Result<(), StoreError> {
    let [word, name, into_code] = act.columns();
    execute!(
        tx,
        "INSERT INTO place_change (programme_id, kind, number, code, act, name, into_code, reason, occurred_at, \
         recorded_at, actor, fact_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        programme_id.as_str(),
        kind.as_str(),
        number,
        code,
        word,
        name,
        into_code,
        reason,
        stamp.occurred_at,
        stamp.recorded_at,
        stamp.actor.as_str(),
        fact_id
    )?;
    settle(tx, programme_id, kind, code).await
}

/// The names of a place that stand, by time.
pub(crate) async fn names(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    kind: PlaceKind,
    code: &str,
) -> Result<Vec<(Time, String)>, StoreError> {
    fetch_all!(
        tx,
        (Time, String),
        concat!(
            "SELECT c.occurred_at, c.name FROM place_change c WHERE c.programme_id = $1 AND c.kind = $2 \
             AND c.code = $3 AND c.act = 'rename' AND",
            stands!("c"),
            "ORDER BY c.occurred_at, c.number LIMIT $4"
        ),
        programme_id.as_str(),
        kind.as_str(),
        code,
        PLACE_CHANGES_MAX
    )
}

/// Number, code, what it is merged into (empty when it is closed), and from when on.
type EndingRow = (i64, String, String, Time);

/// The endings of a kind that stand, by time.
async fn endings(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    kind: PlaceKind,
) -> Result<Vec<EndingRow>, StoreError> {
    fetch_all!(
        tx,
        EndingRow,
        concat!(
            "SELECT c.number, c.code, c.into_code, c.occurred_at FROM place_change c WHERE c.programme_id = $1 \
             AND c.kind = $2 AND c.act <> 'rename' AND",
            stands!("c"),
            "ORDER BY c.occurred_at, c.number LIMIT $3"
        ),
        programme_id.as_str(),
        kind.as_str(),
        PLACE_CHANGES_MAX
    )
}

/// Why a place was renamed, merged or closed.
pub(crate) async fn why(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    (kind, code): (PlaceKind, &str),
    fact_id: &str,
) -> Result<String, StoreError> {
    let row = fetch_optional!(
        tx,
        (String,),
        "SELECT reason FROM place_change WHERE programme_id = $1 AND kind = $2 AND code = $3 AND fact_id = $4",
        programme_id.as_str(),
        kind.as_str(),
        code,
        fact_id
    )?;
    Ok(row.map(|(reason,)| reason).unwrap_or_default())
}

/// Puts in place what follows from the changes of a kind that stand: what stands for what, where everybody and everything
/// stands now, where regions lie, and the place itself, of which something was said.
pub(crate) async fn settle(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    kind: PlaceKind,
    code: &str,
) -> Result<(), StoreError> {
    let before: BTreeSet<SuccessorRow> =
        succession::all(tx, programme_id.as_str(), kind.as_str()).await?.into_iter().collect();
    let said = endings(tx, programme_id, kind).await?;
    let after: BTreeSet<SuccessorRow> =
        successions(ending(kind, &said)).into_iter().map(|one| row_of(kind, one)).collect();
    let rows: Vec<SuccessorRow> = after.iter().cloned().collect();
    let changed: Vec<&SuccessorRow> = before.symmetric_difference(&after).collect();
    if !changed.is_empty() {
        succession::put(tx, programme_id.as_str(), kind.as_str(), &rows).await?;
    }
    let mut codes: BTreeSet<&str> = changed.iter().map(|row| row.code.as_str()).collect();
    codes.insert(code);
    for code in &codes {
        put_life(tx, programme_id, (kind, code), &rows, &said).await?;
    }
    let held_by = changed.iter().flat_map(|row| [row.code.as_str(), row.successor.as_str()]);
    for code in held_by.collect::<BTreeSet<&str>>() {
        put_people(tx, programme_id, kind, code).await?;
        if kind == PlaceKind::Region {
            region::put_schools_and_classes(tx, programme_id, code).await?;
        }
    }
    for code in changed.iter().map(|row| row.code.as_str()).collect::<BTreeSet<&str>>() {
        if kind != PlaceKind::Region {
            break;
        }
        let parsed =
            RegionCode::parse(code).map_err(|_| StoreError::corrupt_row("place_change", "code", code))?;
        if let Some(row) = region::region(tx, programme_id, parsed).await? {
            region::put_into_tree(tx, programme_id, &row).await?;
        }
    }
    Ok(())
}

/// The endings that make something else stand for a place. A school or a region is only closed when nothing stands there, and who turns
/// out to have stood there does so still; a class that is closed has nobody.
fn ending(kind: PlaceKind, said: &[EndingRow]) -> Vec<Ending> {
    let counts = |into_code: &str| kind == PlaceKind::Class || !into_code.is_empty();
    let counting = said.iter().filter(|(_, _, into_code, _)| counts(into_code));
    let to_ending = |(number, code, into_code, at): &EndingRow| Ending {
        at: *at,
        number: *number,
        code: code.clone(),
        into: Some(into_code.clone()).filter(|into_code| !into_code.is_empty()),
    };
    counting.map(to_ending).collect()
}

fn row_of(kind: PlaceKind, succession: Succession) -> SuccessorRow {
    SuccessorRow {
        kind: kind.as_str().to_owned(),
        code: succession.code,
        from_at: succession.from,
        until_at: succession.until,
        successor: succession.successor.unwrap_or_default(),
    }
}

/// Puts into a place's row its name of now and when it ended.
async fn put_life(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    (kind, code): (PlaceKind, &str),
    rows: &[SuccessorRow],
    said: &[EndingRow],
) -> Result<(), StoreError> {
    let merged_at = rows.iter().filter(|row| row.code == code).map(|row| row.from_at).min();
    let mut own = said.iter().filter(|(_, of, _, _)| of == code);
    let first = own.find(|(_, _, into_code, at)| into_code.is_empty() || Some(*at) == merged_at);
    let (closed_at, merged_into) =
        first.map_or((None, ""), |(_, _, into_code, at)| (Some(*at), into_code.as_str()));
    let name = names(tx, programme_id, kind, code).await?.pop();
    let (named_at, name) = name.map_or((None, None), |(at, name)| (Some(at), Some(name)));
    let sql = match kind {
        PlaceKind::Region => {
            "UPDATE region SET name = COALESCE($3, created_name), named_at = $4, closed_at = $5, merged_into = $6 \
             WHERE programme_id = $1 AND code = $2"
        }
        PlaceKind::School => {
            "UPDATE school SET name = COALESCE($3, created_name), named_at = $4, closed_at = $5, merged_into = $6 \
             WHERE programme_id = $1 AND school_code = $2"
        }
        PlaceKind::Class => {
            "UPDATE class SET name = COALESCE($3, created_name), named_at = $4, closed_at = $5, merged_into = $6 \
             WHERE programme_id = $1 AND class_id = $2"
        }
    };
    execute!(tx, sql, programme_id.as_str(), code, name, named_at, closed_at, merged_into)?;
    if kind == PlaceKind::Class {
        let parsed =
            ClassId::parse(code).map_err(|_| StoreError::corrupt_row("place_change", "code", code))?;
        class::put_tutor(tx, programme_id, &parsed).await?;
    }
    Ok(())
}

/// A part of the place to which the last move that stands, or the roster, puts a person now.
macro_rules! place_now {
    ($kind:literal, $new:literal, $roster:literal) => {
        successor!(
            $kind,
            "person.programme_id",
            concat!(
                "COALESCE((SELECT t.",
                $new,
                " FROM transfer t WHERE person.role = 'trainee' AND t.programme_id = person.programme_id \
                 AND t.person_id = person.person_id AND",
                stands!("t"),
                "ORDER BY t.occurred_at DESC, t.number DESC LIMIT 1), person.",
                $roster,
                ")"
            ),
            "'9999-12-31T00:00:00+00:00'"
        )
    };
}

/// The statement that puts people where they stand now, for a condition.
macro_rules! put_people_where {
    ($condition:literal) => {
        concat!(
            "UPDATE person SET county_code = ",
            place_now!("region", "new_county_code", "roster_county_code"),
            ", school_code = ",
            place_now!("school", "new_school_code", "roster_school_code"),
            ", class_id = ",
            place_now!("class", "new_class_id", "roster_class_id"),
            " WHERE programme_id = $1 AND ",
            $condition
        )
    };
}

/// Puts everybody who stands in a place by their rows where they stand now.
async fn put_people(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    kind: PlaceKind,
    code: &str,
) -> Result<(), StoreError> {
    if code.is_empty() {
        // Who stands in no class since theirs was closed. There are few: it was closed when nobody stood in it.
        execute!(
            tx,
            put_people_where!(
                "role = 'trainee' AND class_id = '' AND (roster_class_id <> '' OR EXISTS (SELECT 1 FROM transfer t \
              WHERE t.programme_id = person.programme_id AND t.person_id = person.person_id))"
            ),
            programme_id.as_str()
        )?;
        return Ok(());
    }
    let sql = match kind {
        PlaceKind::Region => put_people_where!("county_code = $2"),
        PlaceKind::School => put_people_where!("school_code = $2"),
        PlaceKind::Class => put_people_where!("class_id = $2"),
    };
    execute!(tx, sql, programme_id.as_str(), code)?;
    Ok(())
}

/// What stands for the places that have ended, of those that `places` name.
pub(crate) async fn successors_of<'a>(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    places: impl IntoIterator<Item = &'a Place>,
) -> Result<Successors, StoreError> {
    let mut codes: BTreeSet<&str> = BTreeSet::new();
    for place in places {
        codes.extend([
            text_of(place.county_code.as_ref()),
            text_of(place.school_code.as_ref()),
            text_of(place.class_id.as_ref()),
        ]);
    }
    codes.remove("");
    let mut found = Vec::new();
    for row in succession::of_codes(tx, programme_id.as_str(), &codes).await? {
        let kind = PlaceKind::parse(&row.kind);
        let kind = kind.ok_or_else(|| StoreError::corrupt_row("place_successor", "kind", &row.code))?;
        let successor = Some(row.successor).filter(|successor| !successor.is_empty());
        found.push((kind, Succession { code: row.code, from: row.from_at, until: row.until_at, successor }));
    }
    Ok(Successors::new(found))
}

/// As of when [`standing`] is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// At an instant.
    At(Time),
    /// Behind everything that is known.
    Last,
}

/// Where somebody stands whom moves or the roster put into a place.
pub(crate) fn standing(successors: &Successors, place: &Place, when: When) -> Result<Place, StoreError> {
    if successors.is_empty() {
        return Ok(place.clone());
    }
    let now = |kind, code: &str| {
        let successor = match when {
            When::At(at) => successors.at(kind, code, at),
            When::Last => successors.last(kind, code),
        };
        successor.unwrap_or_default().to_owned()
    };
    let corrupt = |code| StoreError::corrupt_row("place_successor", "successor", code);
    let county = text_of(place.county_code.as_ref());
    let school = text_of(place.school_code.as_ref());
    let class = text_of(place.class_id.as_ref());
    Ok(Place {
        county_code: RegionCode::parse_optional(&now(PlaceKind::Region, county))
            .map_err(|_| corrupt(county))?,
        school_code: SchoolCode::parse_optional(&now(PlaceKind::School, school))
            .map_err(|_| corrupt(school))?,
        class_id: ClassId::parse_optional(&now(PlaceKind::Class, class)).map_err(|_| corrupt(class))?,
    })
}

/// What stands for a region at an instant.
pub(crate) async fn region_at(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    code: RegionCode,
    at: Time,
) -> Result<RegionCode, StoreError> {
    let place = Place { county_code: Some(code), ..Place::default() };
    let successors = successors_of(tx, programme_id, [&place]).await?;
    Ok(standing(&successors, &place, When::At(at))?.county_code.unwrap_or(code))
}

/// Counts the people who stand somewhere now, or from an instant on until they are moved; who was removed or is away stands nowhere.
macro_rules! people_in {
    ($now:literal, $moved:literal) => {
        concat!(
            "SELECT COUNT(*), MIN(p.person_id) FROM person p WHERE p.programme_id = $1 AND",
            is_there!(),
            "AND NOT EXISTS (SELECT 1 FROM person_fact f WHERE f.programme_id = p.programme_id AND f.person_id = p.person_id \
             AND f.role = p.role AND f.kind = 'withdrawal' AND f.occurred_at <= $3 AND",
            stands!("f"),
            "AND NOT EXISTS (SELECT 1 FROM person_fact r WHERE r.programme_id = f.programme_id \
             AND r.person_id = f.person_id AND r.role = f.role AND r.kind = 'return' AND r.occurred_at > f.occurred_at AND",
            stands!("r"),
            ")) AND (",
            $now,
            " OR EXISTS (SELECT 1 FROM transfer t WHERE p.role = 'trainee' AND t.programme_id = p.programme_id \
             AND t.person_id = p.person_id AND t.occurred_at > $3 AND (",
            $moved,
            ") AND",
            stands!("t"),
            "))"
        )
    };
}

/// Who or what stands in a place that is to be closed: how many, and the first by id; none of nothing.
pub(crate) async fn occupants(
    tx: &mut Tx,
    programme_id: &ProgrammeId,
    (kind, code): (PlaceKind, &str),
    at: Time,
) -> Result<Option<(i64, String)>, StoreError> {
    let people = match kind {
        PlaceKind::Region => {
            people_in!("p.county_code = $2", "t.old_county_code = $2 OR t.new_county_code = $2")
        }
        PlaceKind::School => {
            people_in!("p.school_code = $2", "t.old_school_code = $2 OR t.new_school_code = $2")
        }
        PlaceKind::Class => people_in!("p.class_id = $2", "t.old_class_id = $2 OR t.new_class_id = $2"),
    };
    let (count, first) = fetch_one!(tx, (i64, Option<String>), people, programme_id.as_str(), code, at)?;
    if kind != PlaceKind::Region || count > 0 {
        return Ok(first.map(|first| (count, first)));
    }
    let (count, first) = fetch_one!(
        tx,
        (i64, Option<String>),
        "SELECT COUNT(*), MIN(x.code) FROM (SELECT school_code AS code FROM school WHERE programme_id = $1 \
         AND county_code = $2 AND (closed_at IS NULL OR closed_at > $3) UNION ALL SELECT class_id AS code FROM class \
         WHERE programme_id = $1 AND region_code = $2 AND (closed_at IS NULL OR closed_at > $3) \
         UNION ALL SELECT r.code FROM region r WHERE r.programme_id = $1 AND r.code <> $2 \
         AND (r.closed_at IS NULL OR r.closed_at > $3) AND EXISTS (SELECT 1 FROM region_within w \
         WHERE w.programme_id = r.programme_id AND w.region_code = r.code AND w.within_code = $2 AND w.until_at > $3)) AS x",
        programme_id.as_str(),
        code,
        at
    )?;
    Ok(first.map(|first| (count, first)))
}
