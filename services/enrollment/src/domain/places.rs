//! Whether a region, a school or a class may be renamed, merged or closed at a time, and whether anything may come to stand in it.

use shipei_contracts::common::v1::ErrorReason;
use shipei_rules::{
    places::PlaceKind,
    region::{RegionCode, RegionLevel},
};
use shipei_service_kit::Refusal;

use super::Time;
use crate::{error::invalid_field, store::Life};

/// A place as a decision sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlaceThen {
    /// Its code or id.
    pub(crate) code: String,
    /// What became of it.
    pub(crate) life: Life,
    /// The level of a region.
    pub(crate) level: Option<RegionLevel>,
    /// The county of a school or the region of a class at the time that is asked for; of a region itself.
    pub(crate) region_code: RegionCode,
}

/// Refuses what happens to a place, or in it, when it is no more; `field` is the request field that names it.
pub(crate) fn still_there(life: &Life, at: Time, field: &str) -> Result<(), Refusal> {
    match life.closed_at.filter(|closed_at| *closed_at <= at) {
        Some(closed_at) => Err(closed(life, closed_at, field)),
        None => Ok(()),
    }
}

/// Refuses who comes to stand in a place that is no more, or that is closed while they stand there, until `next` or for good. With one
/// that is merged meanwhile they go on.
pub(crate) fn decide_arrival(life: &Life, at: Time, next: Option<Time>, field: &str) -> Result<(), Refusal> {
    still_there(life, at, field)?;
    let closed_at = life.closed_at.filter(|_| life.merged_into.is_empty());
    match closed_at.filter(|closed_at| next.is_none_or(|next| *closed_at < next)) {
        Some(closed_at) => Err(closed(life, closed_at, field)),
        None => Ok(()),
    }
}

fn closed(life: &Life, closed_at: Time, field: &str) -> Refusal {
    let since = closed_at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true);
    let refusal = Refusal::new(ErrorReason::PlaceClosed).field(field).with("closed_at", since);
    match life.merged_into.as_str() {
        "" => refusal,
        into => refusal.with("into", into),
    }
}

/// One becomes part of another that is there and that fits: a county of a county, a school of one of its county, a class of one of
/// its region or of a region above, which are `around`. `fields` name the one and the other.
pub(crate) fn decide_merge(
    kind: PlaceKind,
    from: &PlaceThen,
    into: &PlaceThen,
    around: &[RegionCode],
    at: Time,
    (field, into_field): (&str, &str),
) -> Result<(), Refusal> {
    still_there(&from.life, at, field)?;
    if from.code == into.code {
        return Err(invalid_field(into_field, "must be another one"));
    }
    still_there(&into.life, at, into_field)?;
    let is_no_county = |place: &PlaceThen| place.level.is_some_and(|level| level != RegionLevel::County);
    match kind {
        PlaceKind::Region if is_no_county(from) => Err(invalid_field(
            field,
            "only a county is merged; of a city the counties are moved, then it is closed",
        )),
        PlaceKind::Region if is_no_county(into) => Err(invalid_field(into_field, "must be a county")),
        PlaceKind::School if from.region_code != into.region_code => {
            Err(invalid_field(into_field, "is a school of another county"))
        }
        PlaceKind::Class if !around.contains(&into.region_code) => Err(invalid_field(
            into_field,
            "is a class of a region that does not hold the region of the other",
        )),
        _ => Ok(()),
    }
}

/// What is closed must be there and empty; `occupants` says how many stand in it, and one of them.
pub(crate) fn decide_close(
    place: &PlaceThen,
    occupants: Option<(i64, String)>,
    at: Time,
    field: &str,
) -> Result<(), Refusal> {
    still_there(&place.life, at, field)?;
    if place.level == Some(RegionLevel::Province) {
        return Err(invalid_field(field, "a province is not closed"));
    }
    match occupants {
        None => Ok(()),
        Some((count, example)) => Err(Refusal::new(ErrorReason::PlaceNotEmpty)
            .field(field)
            .with("count", count.to_string())
            .with("example", example)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_timestamp(seconds, 0).unwrap()
    }

    fn place(code: &str, region: &str, closed_at: Option<i64>, merged_into: &str) -> PlaceThen {
        PlaceThen {
            code: code.to_owned(),
            life: Life {
                closed_at: closed_at.map(at),
                merged_into: merged_into.to_owned(),
                ..Life::default()
            },
            level: None,
            region_code: region.parse().unwrap(),
        }
    }

    fn found(result: Result<(), Refusal>) -> Option<(ErrorReason, String)> {
        result.err().map(|refusal| (refusal.reason, refusal.field.unwrap_or_default()))
    }

    fn closed(field: &str) -> Option<(ErrorReason, String)> {
        Some((ErrorReason::PlaceClosed, field.to_owned()))
    }

    fn invalid(field: &str) -> Option<(ErrorReason, String)> {
        Some((ErrorReason::InvalidField, field.to_owned()))
    }

    #[test]
    fn nothing_happens_to_what_is_no_more() {
        let ended = place("L1", "130302", Some(10), "L2").life;
        for (seconds, expected) in [(9, None), (10, closed("class_id")), (11, closed("class_id"))] {
            assert_eq!(found(still_there(&ended, at(seconds), "class_id")), expected, "{seconds}");
        }
        let refusal = still_there(&ended, at(10), "class_id").unwrap_err();
        assert_eq!(refusal.metadata["into"], "L2");
        assert_eq!(refusal.metadata["closed_at"], "1970-01-01T00:00:10Z");
    }

    #[test]
    fn who_comes_goes_on_with_a_merge_and_not_with_a_closing() {
        let (merged, shut) =
            (place("L1", "130302", Some(10), "L2").life, place("L1", "130302", Some(10), "").life);
        for (life, seconds, next, expected) in [
            (&merged, 9, None, None),
            (&merged, 10, None, closed("x")),
            (&shut, 9, None, closed("x")),
            (&shut, 9, Some(11), closed("x")),
            (&shut, 9, Some(10), None),
            (&shut, 10, Some(11), closed("x")),
        ] {
            let next = next.map(at);
            assert_eq!(
                found(decide_arrival(life, at(seconds), next, "x")),
                expected,
                "{life:?} {seconds} {next:?}"
            );
        }
    }

    #[test]
    fn one_becomes_part_of_another_that_fits() {
        let fields = ("from", "into");
        let around: Vec<RegionCode> = ["130302", "130300"].map(|code| code.parse().unwrap()).into();
        let class = |code, region, closed_at| place(code, region, closed_at, "");
        let county = |code, level| PlaceThen { level: Some(level), ..place(code, code, None, "") };
        for (kind, from, into, expected) in [
            (PlaceKind::Class, class("L1", "130302", None), class("L2", "130302", None), None),
            (PlaceKind::Class, class("L1", "130302", None), class("L2", "130300", None), None),
            (PlaceKind::Class, class("L1", "130302", None), class("L2", "130303", None), invalid("into")),
            (PlaceKind::Class, class("L1", "130302", None), class("L1", "130302", None), invalid("into")),
            (PlaceKind::Class, class("L1", "130302", Some(5)), class("L2", "130302", None), closed("from")),
            (PlaceKind::Class, class("L1", "130302", None), class("L2", "130302", Some(5)), closed("into")),
            (PlaceKind::Class, class("L1", "130302", Some(6)), class("L2", "130302", Some(6)), None),
            (PlaceKind::School, class("S1", "130302", None), class("S2", "130302", None), None),
            (PlaceKind::School, class("S1", "130302", None), class("S2", "130300", None), invalid("into")),
            (
                PlaceKind::Region,
                county("130302", RegionLevel::County),
                county("130303", RegionLevel::County),
                None,
            ),
            (
                PlaceKind::Region,
                county("130300", RegionLevel::City),
                county("130303", RegionLevel::County),
                invalid("from"),
            ),
            (
                PlaceKind::Region,
                county("130302", RegionLevel::County),
                county("130300", RegionLevel::City),
                invalid("into"),
            ),
        ] {
            let decided = decide_merge(kind, &from, &into, &around, at(5), fields);
            assert_eq!(found(decided), expected, "{kind:?} {} {}", from.code, into.code);
        }
    }

    #[test]
    fn only_what_is_empty_is_closed() {
        let class = place("L1", "130302", None, "");
        assert_eq!(decide_close(&class, None, at(5), "class_id"), Ok(()));
        let refusal = decide_close(&class, Some((3, "T1".to_owned())), at(5), "class_id").unwrap_err();
        assert_eq!(refusal.reason, ErrorReason::PlaceNotEmpty);
        assert_eq!((&refusal.metadata["count"][..], &refusal.metadata["example"][..]), ("3", "T1"));
        let shut = place("L1", "130302", Some(5), "");
        assert_eq!(found(decide_close(&shut, None, at(5), "class_id")), closed("class_id"));
        let province =
            PlaceThen { level: Some(RegionLevel::Province), ..place("130000", "130000", None, "") };
        assert_eq!(found(decide_close(&province, None, at(5), "code")), invalid("code"));
    }
}
