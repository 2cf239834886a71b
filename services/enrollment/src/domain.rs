//! What may happen to people, classes and counties: pure decisions over the state and the time of the fact. No SQL,
//! no gRPC, no clock. Why dated: an operation that is sent again, or late, must get the answer that it would have got
//! at its own time, so every check compares `at` with the times of earlier facts. A new decision is a function here
//! with its table of cases below; rows of a roster are judged in `roster.rs`.

mod content;
mod erase;
mod merge;
pub(crate) mod places;

use chrono::{DateTime, Utc};
pub(crate) use content::{Content, ContentChange, decide_role};
pub(crate) use erase::{decide_retention, roles_due};
pub(crate) use merge::{Merge, decide_common_roles, decide_merge};
use shipei_contracts::common::v1::ErrorReason;
use shipei_rules::{
    absence::Absences,
    calendar::{Period, Position},
    ids::{ClassId, PersonId, SchoolCode},
    region::{RegionCode, RegionLevel},
    scheme::Scheme,
    vocabulary::Role,
};
use shipei_service_kit::Refusal;

use crate::error::{invalid_field, not_found, withdrawn};

/// An instant.
pub(crate) type Time = DateTime<Utc>;

/// Where somebody stands; absent parts are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// The county; a municipal lead's is the city.
    pub(crate) county_code: Option<RegionCode>,
    /// The school.
    pub(crate) school_code: Option<SchoolCode>,
    /// The class.
    pub(crate) class_id: Option<ClassId>,
}

/// What decisions need to know of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// Their id.
    pub(crate) person_id: PersonId,
    /// What they are.
    pub(crate) role: Role,
    /// Where they stand now.
    pub(crate) place: Place,
    /// Where the roster put them.
    pub(crate) roster_place: Place,
    /// When they were away.
    pub(crate) absences: Absences,
}

/// One move of a trainee.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Move {
    /// When.
    pub(crate) at: Time,
    /// From where.
    pub(crate) old: Place,
    /// To where.
    pub(crate) new: Place,
}

/// Refuses what happened to somebody while they were away, or what they did then; `field` is the request field that names them.
pub(crate) fn still_enrolled(member: &Member, at: Time, field: &str) -> Result<(), Refusal> {
    if member.absences.at(at) { Err(withdrawn(field)) } else { Ok(()) }
}

/// Only who was away comes back.
pub(crate) fn decide_return(member: &Member, at: Time) -> Result<(), Refusal> {
    if member.absences.before(at) {
        return Ok(());
    }
    Err(Refusal::new(ErrorReason::NotWithdrawn).field("person_id"))
}

/// Refuses what happened outside a window.
pub(crate) fn inside(window: &str, period: Period, at: Time) -> Result<(), Refusal> {
    match period.position(at) {
        Position::Inside => Ok(()),
        Position::Before => Err(outside(ErrorReason::WindowNotOpen, window, period)),
        Position::After => Err(outside(ErrorReason::WindowClosed, window, period)),
    }
}

fn outside(reason: ErrorReason, window: &str, period: Period) -> Refusal {
    let (first_day, last_day) = period.days();
    Refusal::new(reason)
        .with("window", window)
        .with("first_day", first_day.to_string())
        .with("last_day", last_day.to_string())
}

/// Anybody may log in from the login window's first day on; later is late, not refused (Annex 1).
pub(crate) fn decide_login(member: &Member, scheme: &Scheme, at: Time) -> Result<(), Refusal> {
    still_enrolled(member, at, "person_id")?;
    if scheme.login().position(at) == Position::Before {
        return Err(outside(ErrorReason::WindowNotOpen, "login", scheme.login()));
    }
    Ok(())
}

/// A roster is reported by a counselor of the county, inside the reporting window (Annex 1).
pub(crate) fn decide_report(
    counselor: &Member,
    county: RegionCode,
    scheme: &Scheme,
    at: Time,
) -> Result<(), Refusal> {
    still_enrolled(counselor, at, "counselor_id")?;
    if counselor.place.county_code != Some(county) {
        return Err(Refusal::new(ErrorReason::NotCountyCounselor).field("counselor_id"));
    }
    inside("reporting", scheme.reporting(), at)
}

/// Learning is opened for a county that had reported and whose money was there.
pub(crate) fn decide_opening(
    reported: Option<Time>,
    remitted: Option<Time>,
    at: Time,
) -> Result<(), Refusal> {
    if !by_then(reported, at) {
        return Err(Refusal::new(ErrorReason::NotReported).field("county_code"));
    }
    if !by_then(remitted, at) {
        return Err(Refusal::new(ErrorReason::NotRemitted).field("county_code"));
    }
    Ok(())
}

/// An invoice is issued of money that was there.
pub(crate) fn decide_invoice(confirmed: Option<Time>, at: Time) -> Result<(), Refusal> {
    if by_then(confirmed, at) {
        return Ok(());
    }
    Err(Refusal::new(ErrorReason::NotRemitted).field("ref"))
}

/// Whether something had happened by an instant.
pub(crate) fn by_then(happened: Option<Time>, at: Time) -> bool {
    happened.is_some_and(|happened| happened <= at)
}

/// The region above a new region must be there: a city's is a province, a county's is a city, or a province for the
/// counties that GB/T 2260 puts directly under one (Hebei's 139001, 139002); a province has none.
pub(crate) fn decide_region(
    level: RegionLevel,
    parent: Option<RegionLevel>,
    parent_given: bool,
) -> Result<(), Refusal> {
    if level == RegionLevel::Province {
        return match parent_given {
            true => Err(invalid_field("parent_code", "a province has no region above")),
            false => Ok(()),
        };
    }
    if !parent_given {
        let cause = "required: a city lies in a province, a county in a city or directly in a province";
        return Err(invalid_field("parent_code", cause));
    }
    match (level, parent) {
        (_, None) => Err(not_found("parent_code")),
        (_, Some(RegionLevel::Province)) | (RegionLevel::County, Some(RegionLevel::City)) => Ok(()),
        _ => Err(invalid_field("parent_code", "must be of a level above")),
    }
}

/// Only a county comes to lie elsewhere: in a city, or directly in a province.
pub(crate) fn decide_region_move(level: RegionLevel, parent: Option<RegionLevel>) -> Result<(), Refusal> {
    if level != RegionLevel::County {
        return Err(invalid_field("code", "only a county can come to lie in another region"));
    }
    decide_region(level, parent, true)
}

/// Where a trainee stood at an instant. `moves` are in the order of their times.
pub(crate) fn place_at(roster_place: &Place, moves: &[Move], at: Time) -> Place {
    let last = moves.iter().rev().find(|moved| moved.at <= at);
    last.map_or_else(|| roster_place.clone(), |moved| moved.new.clone())
}

/// What a move asks for; absent parts stay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Destination {
    /// The new county.
    pub(crate) county_code: Option<RegionCode>,
    /// The new school.
    pub(crate) school_code: Option<SchoolCode>,
    /// The new class.
    pub(crate) class_id: Option<ClassId>,
}

/// What there is at the destination.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Surroundings {
    /// The new county and the regions above it; empty when there is no such county.
    pub(crate) county_and_above: Vec<RegionCode>,
    /// The county of the new school; none when there is no such school.
    pub(crate) school_county: Option<RegionCode>,
    /// The region of the new class; none when there is no such class.
    pub(crate) class_region: Option<RegionCode>,
}

/// The place that a move leads to, its parts not looked at yet.
pub(crate) fn destination_from(old: &Place, wanted: &Destination) -> Place {
    Place {
        county_code: wanted.county_code.or(old.county_code),
        school_code: wanted.school_code.as_ref().or(old.school_code.as_ref()).cloned(),
        class_id: wanted.class_id.as_ref().or(old.class_id.as_ref()).cloned(),
    }
}

/// A trainee moves to a county, school and class that are there and fit each other: the school is the county's, the
/// class is of the county or of a region that holds it. What stays as the roster had it is not asked again.
pub(crate) fn decide_move(
    old: &Place,
    new: &Place,
    wanted: &Destination,
    around: &Surroundings,
) -> Result<(), Refusal> {
    let county_changes = old.county_code != new.county_code;
    if around.county_and_above.is_empty() {
        return Err(not_found("county_code"));
    }
    if wanted.school_code.is_some() && around.school_county != new.county_code {
        return Err(not_found("school_code"));
    }
    if wanted.school_code.is_none() && county_changes && new.school_code.is_some() {
        return Err(invalid_field("school_code", "required: the school so far is not of the new county"));
    }
    if new.class_id.is_none() || (wanted.class_id.is_none() && !county_changes) {
        return Ok(());
    }
    let Some(region) = &around.class_region else { return Err(not_found("class_id")) };
    if !around.county_and_above.contains(region) {
        return Err(invalid_field("class_id", "the class is of a region that does not hold the county"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEME: &str = include_str!("../../../crates/rules/data/qinhuangdao-2019.toml");

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }

    fn place(county: &str, school: &str, class: &str) -> Place {
        Place {
            county_code: RegionCode::parse_optional(county).unwrap(),
            school_code: SchoolCode::parse_optional(school).unwrap(),
            class_id: ClassId::parse_optional(class).unwrap(),
        }
    }

    fn member(role: Role, withdrawn_at: Option<&str>) -> Member {
        Member {
            person_id: PersonId::parse("P1").unwrap(),
            role,
            place: place("130302", "", ""),
            roster_place: place("130302", "", ""),
            absences: withdrawn_at.map(at).map(Absences::from).unwrap_or_default(),
        }
    }

    fn reason<T: std::fmt::Debug>(result: Result<T, Refusal>) -> Option<ErrorReason> {
        result.err().map(|refusal| refusal.reason)
    }

    #[test]
    fn login_is_refused_before_its_window_and_after_leaving() {
        let scheme = Scheme::parse(SCHEME).unwrap();
        let left = Some("2019-09-20T00:00:00+08:00");
        for (time, left, expected) in [
            ("2019-09-10T23:59:59+08:00", None, Some(ErrorReason::WindowNotOpen)),
            ("2019-09-11T00:00:00+08:00", None, None),
            ("2019-12-31T00:00:00+08:00", None, None),
            ("2019-09-19T23:59:59+08:00", left, None),
            ("2019-09-20T00:00:00+08:00", left, Some(ErrorReason::Withdrawn)),
        ] {
            let member = member(Role::Trainee, left);
            assert_eq!(reason(decide_login(&member, &scheme, at(time))), expected, "{time}");
        }
    }

    #[test]
    fn who_was_away_comes_back_and_nobody_else() {
        let left = "2019-10-01T00:00:00Z";
        let mut away = member(Role::Trainee, Some(left));
        for (time, expected) in [
            ("2019-09-30T23:59:59Z", Some(ErrorReason::NotWithdrawn)),
            (left, Some(ErrorReason::NotWithdrawn)),
            ("2019-10-01T00:00:01Z", None),
        ] {
            assert_eq!(reason(decide_return(&away, at(time))), expected, "{time}");
        }
        assert_eq!(
            reason(decide_return(&member(Role::Trainee, None), at(left))),
            Some(ErrorReason::NotWithdrawn)
        );
        away.absences = Absences::of([at(left)], [at("2019-11-01T00:00:00Z")]);
        assert_eq!(
            reason(still_enrolled(&away, at("2019-10-31T23:59:59Z"), "x")),
            Some(ErrorReason::Withdrawn)
        );
        assert_eq!(reason(still_enrolled(&away, at("2019-11-01T00:00:00Z"), "x")), None);
    }

    #[test]
    fn roster_is_reported_by_its_counselor_inside_the_window() {
        let scheme = Scheme::parse(SCHEME).unwrap();
        let counselor = member(Role::CountyCounselor, None);
        for (county, time, expected) in [
            ("130302", "2019-07-14T23:59:59+08:00", Some(ErrorReason::WindowNotOpen)),
            ("130302", "2019-07-15T00:00:00+08:00", None),
            ("130302", "2019-09-10T23:59:59+08:00", None),
            ("130302", "2019-09-11T00:00:00+08:00", Some(ErrorReason::WindowClosed)),
            ("130303", "2019-07-15T00:00:00+08:00", Some(ErrorReason::NotCountyCounselor)),
        ] {
            assert_eq!(
                reason(decide_report(&counselor, county.parse().unwrap(), &scheme, at(time))),
                expected,
                "{county} {time}"
            );
        }
    }

    #[test]
    fn opening_needs_a_report_then_money_by_then() {
        let (early, late) = (at("2019-09-01T00:00:00Z"), at("2019-09-02T00:00:00Z"));
        for (reported, remitted, time, expected) in [
            (None, Some(early), late, Some(ErrorReason::NotReported)),
            (Some(late), Some(early), early, Some(ErrorReason::NotReported)),
            (Some(early), None, late, Some(ErrorReason::NotRemitted)),
            (Some(early), Some(late), early, Some(ErrorReason::NotRemitted)),
            (Some(late), Some(late), late, None),
        ] {
            assert_eq!(reason(decide_opening(reported, remitted, time)), expected);
        }
        assert_eq!(reason(decide_invoice(None, late)), Some(ErrorReason::NotRemitted));
        assert_eq!(reason(decide_invoice(Some(late), early)), Some(ErrorReason::NotRemitted));
        assert_eq!(reason(decide_invoice(Some(early), early)), None);
    }

    #[test]
    fn region_lies_below_its_parent() {
        use RegionLevel::{City, County, Province};
        for (level, parent, given, expected) in [
            (Province, None, false, None),
            (Province, Some(Province), true, Some(ErrorReason::InvalidField)),
            (City, Some(Province), true, None),
            (City, None, false, Some(ErrorReason::InvalidField)),
            (City, None, true, Some(ErrorReason::NotFound)),
            (City, Some(City), true, Some(ErrorReason::InvalidField)),
            (County, Some(City), true, None),
            (County, Some(Province), true, None),
            (County, Some(County), true, Some(ErrorReason::InvalidField)),
            (County, None, true, Some(ErrorReason::NotFound)),
            (County, None, false, Some(ErrorReason::InvalidField)),
        ] {
            assert_eq!(reason(decide_region(level, parent, given)), expected, "{level:?} {parent:?}");
        }
    }

    #[test]
    fn place_is_that_of_the_time() {
        let (first, second, third) =
            (place("130302", "", "A"), place("130302", "", "B"), place("130303", "", "C"));
        let moves = [
            Move { at: at("2019-10-01T00:00:00Z"), old: first.clone(), new: second.clone() },
            Move { at: at("2019-11-01T00:00:00Z"), old: second.clone(), new: third.clone() },
        ];
        assert_eq!(place_at(&first, &moves, at("2019-09-30T00:00:00Z")), first);
        assert_eq!(place_at(&first, &moves, at("2019-10-01T00:00:00Z")), second);
        assert_eq!(place_at(&first, &moves, at("2020-01-01T00:00:00Z")), third);
        assert_eq!(place_at(&first, &[], at("2020-01-01T00:00:00Z")), first);
    }

    #[test]
    fn destination_must_be_there_and_fit() {
        let old = place("130302", "S2", "L1");
        let around = |school: &str, class: &str| Surroundings {
            county_and_above: ["130303", "130300", "130000"].map(|code| code.parse().unwrap()).to_vec(),
            school_county: RegionCode::parse_optional(school).unwrap(),
            class_region: RegionCode::parse_optional(class).unwrap(),
        };
        let wanted = |school: Option<&str>, class: Option<&str>| Destination {
            county_code: Some("130303".parse().unwrap()),
            school_code: school.map(|code| code.parse().unwrap()),
            class_id: class.map(|id| id.parse().unwrap()),
        };
        for (wanted, around, expected) in [
            (wanted(Some("S3"), None), around("130303", "130300"), None),
            (wanted(Some("S3"), Some("L9")), around("130303", "130303"), None),
            (wanted(Some("S3"), None), Surroundings::default(), Some(("county_code", ErrorReason::NotFound))),
            (
                wanted(None, None),
                around("130302", "130300"),
                Some(("school_code", ErrorReason::InvalidField)),
            ),
            (
                wanted(Some("S2"), None),
                around("130302", "130300"),
                Some(("school_code", ErrorReason::NotFound)),
            ),
            (wanted(Some("S9"), None), around("", "130300"), Some(("school_code", ErrorReason::NotFound))),
            (wanted(Some("S3"), Some("L9")), around("130303", ""), Some(("class_id", ErrorReason::NotFound))),
            (
                wanted(Some("S3"), None),
                around("130303", "130302"),
                Some(("class_id", ErrorReason::InvalidField)),
            ),
        ] {
            let new = destination_from(&old, &wanted);
            let refusal = decide_move(&old, &new, &wanted, &around).err();
            let found = refusal.as_ref().map(|refusal| (refusal.field.as_deref().unwrap(), refusal.reason));
            assert_eq!(found, expected);
        }
        // A new class alone: the school, which nobody has listed, stays.
        let class_only = Destination { class_id: Some("L9".parse().unwrap()), ..Destination::default() };
        let new = destination_from(&old, &class_only);
        assert_eq!(decide_move(&old, &new, &class_only, &around("", "130300")), Ok(()));
    }
}
