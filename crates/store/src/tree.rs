//! Which regions lie in which, and when: a row for each region and each region above it (and for itself).
//!
//! The tree says what lies in what, never the digits of a code; a region may come to lie in another one in mid-season,
//! and a fact belongs to the place of its own time, so the rows are dated. Every service has this table, filled by whoever
//! knows the tree (enrollment from its own regions, the others from enrollment's log), so that lists and the event feed
//! ask one question everywhere. To ask another one: a condition for [`crate::fetch_list!`] over `region_within`.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use crate::{StoreError, Tx, bulk_insert, execute, fetch_list, select_by_keys};

/// The most regions that one question about what lies in them gives.
pub const REGIONS_MAX: i64 = 10_000;

/// Where a region lies from an instant on, until the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lying {
    /// Since when; `None` from the beginning.
    pub from: Option<DateTime<Utc>>,
    /// The regions above it, in any order, without itself.
    pub above: Vec<String>,
}

impl Lying {
    /// Since when it lies in which regions; empty codes are none.
    pub fn under(from: Option<DateTime<Utc>>, above: impl IntoIterator<Item = String>) -> Self {
        Self { from, above: above.into_iter().filter(|code| !code.is_empty()).collect() }
    }
}

/// A region into which another one is merged, for a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taking {
    /// From when on.
    pub from: DateTime<Utc>,
    /// Until when; `None` for good.
    pub until: Option<DateTime<Utc>>,
    /// Its code.
    pub code: String,
    /// Where it lies itself, by time.
    pub lying: Vec<Lying>,
}

/// Where a region lies that is merged into others, by time: as it lay itself until the first takes it, and then in that one
/// and in what that one lies in.
pub fn merged(own: Vec<Lying>, taking: &[Taking]) -> Vec<Lying> {
    let Some(first) = taking.first() else { return own };
    let mut lying: Vec<Lying> =
        own.into_iter().filter(|entry| entry.from.is_none_or(|from| from < first.from)).collect();
    for taken in taking {
        let before = taken.lying.iter().rfind(|entry| entry.from.is_none_or(|from| from <= taken.from));
        let in_it =
            |above: &[String]| std::iter::once(taken.code.clone()).chain(above.iter().cloned()).collect();
        let above = before.map_or(&[][..], |entry| &entry.above);
        lying.push(Lying { from: Some(taken.from), above: in_it(above) });
        for entry in &taken.lying {
            let Some(from) = entry.from else { continue };
            if from > taken.from && taken.until.is_none_or(|until| from < until) {
                lying.push(Lying { from: Some(from), above: in_it(&entry.above) });
            }
        }
    }
    lying
}

/// Before every fact.
fn beginning() -> DateTime<Utc> {
    DateTime::from_timestamp(-62_135_596_800, 0).unwrap_or_default() // 0001-01-01
}

/// After every fact.
fn end() -> DateTime<Utc> {
    DateTime::from_timestamp(253_402_214_400, 0).unwrap_or(DateTime::<Utc>::MAX_UTC) // 9999-12-31
}

/// Puts a region into the tree in place of all that was said of it: `lying` by time; of entries of one instant the last counts.
pub async fn put(
    tx: &mut Tx,
    programme_id: &str,
    region_code: &str,
    lying: &[Lying],
) -> Result<(), StoreError> {
    execute!(
        tx,
        "DELETE FROM region_within WHERE programme_id = $1 AND region_code = $2",
        programme_id,
        region_code
    )?;
    let mut rows = vec![(region_code, beginning(), end())];
    for (place, entry) in lying.iter().enumerate() {
        let from = entry.from.unwrap_or_else(beginning);
        let until = lying.get(place + 1).and_then(|next| next.from).unwrap_or_else(end);
        if until <= from {
            continue;
        }
        let above: BTreeSet<&str> = entry.above.iter().map(String::as_str).collect();
        rows.extend(above.into_iter().filter(|code| *code != region_code).map(|code| (code, from, until)));
    }
    bulk_insert!(
        tx,
        "INSERT INTO region_within (programme_id, region_code, within_code, from_at, until_at)",
        rows,
        |(within_code, from, until)| (programme_id, region_code, *within_code, *from, *until)
    )?;
    Ok(())
}

/// Those of the codes that are no region of any programme.
pub async fn unknown(tx: &mut Tx, codes: &[String]) -> Result<Vec<String>, StoreError> {
    let rows = select_by_keys!(
        tx,
        (String,),
        [
            "SELECT DISTINCT region_code FROM region_within WHERE region_code = within_code AND region_code IN "
        ],
        codes,
        |code| (code.as_str())
    )?;
    let known: BTreeSet<String> = rows.into_iter().map(|(code,)| code).collect();
    Ok(codes.iter().filter(|code| !known.contains(*code)).cloned().collect())
}

/// The region and everything that lies in it as of an instant, by code; empty when there is no such region.
pub async fn within(
    tx: &mut Tx,
    programme_id: &str,
    region_code: &str,
    at: DateTime<Utc>,
) -> Result<Vec<String>, StoreError> {
    let rows = fetch_list!(
        tx,
        (String,),
        [
            "SELECT region_code FROM region_within WHERE programme_id = ",
            programme_id,
            " AND within_code = ",
            region_code,
            " AND from_at <= ",
            at,
            " AND until_at > ",
            at,
            " ORDER BY region_code LIMIT ",
            REGIONS_MAX
        ]
    )?;
    Ok(rows.into_iter().map(|(code,)| code).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    fn lies(from: Option<i64>, above: &str) -> Lying {
        Lying::under(from.map(at), above.split(' ').map(str::to_owned))
    }

    #[test]
    fn merged_region_lies_in_what_took_it_wherever_that_lies() {
        let own = || vec![lies(None, "C1 P"), lies(Some(10), "C2 P"), lies(Some(50), "C1 P")];
        assert_eq!(merged(own(), &[]), own());
        let took = |from, until: Option<i64>, code: &str, lying| Taking {
            from: at(from),
            until: until.map(at),
            code: code.to_owned(),
            lying,
        };
        let x =
            vec![lies(None, "C3 P"), lies(Some(20), "C4 P"), lies(Some(30), "C5 P"), lies(Some(40), "C6 P")];
        let found =
            merged(own(), &[took(25, Some(35), "X", x), took(35, None, "Y", vec![lies(None, "C7 P")])]);
        let expected = [
            lies(None, "C1 P"),
            lies(Some(10), "C2 P"),
            lies(Some(25), "X C4 P"),
            lies(Some(30), "X C5 P"),
            lies(Some(35), "Y C7 P"),
        ];
        assert_eq!(found, expected);
        // Of a region that has not arrived yet nothing is known but that it took the other.
        assert_eq!(merged(Vec::new(), &[took(25, None, "X", Vec::new())]), [lies(Some(25), "X")]);
    }
}
