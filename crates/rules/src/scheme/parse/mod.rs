//! From TOML to a [`Scheme`], refusing what can't work: windows backwards, totals that nobody reaches, phases out of order.
//!
//! One file per annex; what belongs to several (the calendar, the limits of figures) is here. A check stands where the
//! value is read, so that the fault has its line.

mod counselor;
mod trainee;
mod tutor;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use chrono::{DateTime, Utc};

use super::error::SchemeError;
use super::reader::{self, Section, Value};
use super::{NamedWindow, POINTS_MAX, Scheme, Study};
use crate::calendar::{Window, Zone};
use crate::ids::ProgrammeId;
use crate::region::RegionCode;

/// Points that an item gives or a total asks: at least one, or it would be no item.
const POINTS: RangeInclusive<i64> = 1..=POINTS_MAX;
/// The longest gap between heartbeats: a day.
const GAP_SECONDS: RangeInclusive<i64> = 1..=86_400;
const MINUTES_PER_DAY: i64 = 1_440;
/// The windows that rules use by name, in the order in which they must begin.
const REQUIRED_WINDOWS: [&str; 4] = ["reporting", "login", "assessment", "summary"];

/// Reads and checks a scheme.
pub(super) fn scheme(text: &str) -> Result<Scheme, SchemeError> {
    let keys = ["id", "title", "region", "time_zone", "calendar", "study", "trainee", "tutor", "counselor"];
    reader::read(text, &keys, |root| {
        let id = root.required("id")?;
        let region = root.required("region")?;
        let zone = root.required("time_zone")?;
        let zone = Zone::parse(zone.text()?)
            .ok_or_else(|| zone.refuse("there is no such time zone in the IANA database"))?;
        let calendar = Calendar::read(&root.required("calendar")?, zone)?;
        let study = study(&root.required("study")?)?;
        let trainee = trainee::rules(&root.required("trainee")?, &calendar, &study)?;
        let tutor = tutor::rules(&root.required("tutor")?, &calendar)?;
        let counselor = counselor::rules(&root.required("counselor")?, &calendar, trainee.online.len())?;
        Ok(Scheme {
            id: ProgrammeId::parse(id.text()?).map_err(|error| id.refuse(error.to_string()))?,
            title: root.required("title")?.text()?.to_owned(),
            region: RegionCode::parse(region.text()?).map_err(|error| region.refuse(error.to_string()))?,
            zone,
            windows: calendar.windows,
            study,
            trainee,
            tutor,
            counselor,
        })
    })
}

fn study(value: &Value<'_>) -> Result<Study, SchemeError> {
    let section =
        value.section(&["heartbeat_max_gap_seconds", "cap_course_at_duration", "daily_cap_minutes"])?;
    let daily_cap_minutes = optional_integer(&section, "daily_cap_minutes", 0..=MINUTES_PER_DAY)?;
    Ok(Study {
        max_gap_seconds: section.required("heartbeat_max_gap_seconds")?.integer(GAP_SECONDS)?,
        cap_course_at_duration: section.required("cap_course_at_duration")?.boolean()?,
        daily_cap_seconds: (daily_cap_minutes > 0).then_some(daily_cap_minutes * 60),
    })
}

/// The number of a key, or 0 when the key is not there.
fn optional_integer(
    section: &Section<'_>,
    key: &str,
    range: RangeInclusive<i64>,
) -> Result<i64, SchemeError> {
    match section.optional(key) {
        Some(value) => value.integer(range),
        None => Ok(0),
    }
}

/// `[calendar]`, while the rest of the scheme is read against it.
struct Calendar {
    windows: BTreeMap<String, NamedWindow>,
    final_as_of: DateTime<Utc>,
}

impl Calendar {
    fn read(value: &Value<'_>, zone: Zone) -> Result<Self, SchemeError> {
        let section = value.open_section()?;
        let mut windows = BTreeMap::new();
        for (name, entry) in section.entries() {
            let window = read_window(&entry)?;
            let period = zone.period(window);
            windows.insert(name.to_owned(), NamedWindow { name: name.to_owned(), window, period });
        }
        let mut previous: Option<&NamedWindow> = None;
        for name in REQUIRED_WINDOWS {
            let Some(window) = windows.get(name) else {
                return Err(section.refuse_key(name, "is missing"));
            };
            if let Some(previous) = previous
                && window.window.first < previous.window.first
            {
                return Err(section.required(name)?.refuse(format!("begins before \"{}\"", previous.name)));
            }
            previous = Some(window);
        }
        let calendar = Self { final_as_of: windows["summary"].period.until, windows };
        for name in REQUIRED_WINDOWS {
            calendar.check_final(&section.required(name)?, &calendar.windows[name])?;
        }
        Ok(calendar)
    }

    /// The window that a value names. One that ends after the summary is refused: final scores could not count it.
    fn window(&self, value: &Value<'_>) -> Result<&NamedWindow, SchemeError> {
        let name = value.text()?;
        let window = self
            .windows
            .get(name)
            .ok_or_else(|| value.refuse(format!("there is no window \"{name}\" in [calendar]")))?;
        self.check_final(value, window)?;
        Ok(window)
    }

    fn check_final(&self, value: &Value<'_>, window: &NamedWindow) -> Result<(), SchemeError> {
        if window.period.until <= self.final_as_of {
            return Ok(());
        }
        Err(value
            .refuse(format!("the window \"{}\" ends after \"summary\", when scores are final", window.name)))
    }
}

fn read_window(value: &Value<'_>) -> Result<Window, SchemeError> {
    let days = value.list()?;
    let [first, last] = days.as_slice() else {
        return Err(
            value.refuse("must be two days, the first and the last: [\"2019-09-15\", \"2019-10-30\"]")
        );
    };
    let (first, last) = (first.day()?, last.day()?);
    Window::new(first, last).ok_or_else(|| value.refuse(format!("runs backwards: {first} is after {last}")))
}
