//! From TOML to a [`Scheme`], refusing what can't be computed and nothing else: a window backwards, a window, zone,
//! category, task or item that is not there, a value of another type, a number below 0, a duplicate that contradicts, a
//! missing key, and a key that no rule uses (a misspelt one would silently change who passes).
//!
//! Whether a figure is wise is the city's matter: nothing here asks whether a total can be reached, whether phases stand
//! in the order of their windows, or whether 0 points are worth giving. To refuse a scheme is to refuse a whole season.
//!
//! One file per annex; what belongs to several (the calendar, the limits of figures) is here. A check stands where the
//! value is read, so that the fault has its line.

mod counselor;
mod trainee;
mod tutor;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::error::SchemeError;
use super::reader::{self, Section, Value};
use super::{FIGURE_MAX, HonourRules, NamedWindow, Retention, Scheme, Study};
use crate::calendar::{Window, Zone};
use crate::explanation::{Clause, Text};
use crate::ids::ProgrammeId;
use crate::region::RegionCode;

/// Any figure: points, totals, minutes, counts.
const FIGURE: RangeInclusive<i64> = 0..=FIGURE_MAX;
/// The most time that one heartbeat may stand for, seconds: a day.
const MAX_GAP_SECONDS: i64 = 86_400;
/// Within how many days of the end of assessment reports are due, where a scheme does not say ("一周内").
const REPORT_DAYS: i64 = 7;
/// The most of them: a year.
const REPORT_DAYS_MAX: i64 = 366;
/// A share.
const PERCENT: RangeInclusive<i64> = 0..=100;
/// The windows that rules use by name.
const REQUIRED_WINDOWS: [&str; 4] = ["reporting", "login", "assessment", "summary"];

/// Reads and checks a scheme.
pub(super) fn scheme(text: &str) -> Result<Scheme, SchemeError> {
    let keys = [
        "id",
        "title",
        "region",
        "time_zone",
        "calendar",
        "study",
        "trainee",
        "tutor",
        "counselor",
        "duties",
        "honours",
        "retention",
    ];
    reader::read(text, &keys, |root| {
        let id = root.required("id")?;
        let region = root.required("region")?;
        let zone = root.required("time_zone")?;
        let zone = Zone::parse(zone.text()?)
            .ok_or_else(|| zone.refuse("there is no such time zone in the IANA database"))?;
        let calendar = Calendar::read(&root.required("calendar")?, zone)?;
        let study = study(&root.required("study")?)?;
        let trainee = trainee::rules(&root.required("trainee")?, &calendar)?;
        let tutor = tutor::rules(&root.required("tutor")?, &calendar)?;
        let counselor = counselor::rules(&root.required("counselor")?, &calendar, trainee.online.len())?;
        Ok(Scheme {
            id: ProgrammeId::parse(id.text()?).map_err(|error| id.refuse(error.to_string()))?,
            title: root.required("title")?.any_text()?.to_owned(),
            region: RegionCode::parse(region.text()?).map_err(|error| region.refuse(error.to_string()))?,
            zone,
            windows: calendar.windows,
            study,
            trainee,
            tutor,
            counselor,
            report_days: report_days(root)?,
            honours: honours(root)?,
            retention: Retention::read(root)?,
        })
    })
}

fn study(value: &Value<'_>) -> Result<Study, SchemeError> {
    let section =
        value.section(&["heartbeat_max_gap_seconds", "cap_course_at_duration", "daily_cap_minutes"])?;
    let daily_cap_minutes = optional_figure(&section, "daily_cap_minutes")?;
    Ok(Study {
        max_gap_seconds: section.required("heartbeat_max_gap_seconds")?.integer(0..=MAX_GAP_SECONDS)?,
        cap_course_at_duration: section.required("cap_course_at_duration")?.boolean()?,
        daily_cap_seconds: (daily_cap_minutes > 0).then_some(daily_cap_minutes * 60),
    })
}

/// `[duties]`, which a scheme may leave out: then it is as the notice has it.
fn report_days(root: &Section<'_>) -> Result<i64, SchemeError> {
    let Some(value) = root.optional("duties") else { return Ok(REPORT_DAYS) };
    value.section(&["report_days"])?.required("report_days")?.integer(0..=REPORT_DAYS_MAX)
}

/// `[honours]`, of which everything may be left out.
fn honours(root: &Section<'_>) -> Result<HonourRules, SchemeError> {
    let Some(value) = root.optional("honours") else { return Ok(HonourRules::default()) };
    let section = value.section(&["trainee_total", "trainees_percent", "tutors_percent"])?;
    let figure = |key: &str, range| section.optional(key).map(|value| value.integer(range)).transpose();
    Ok(HonourRules {
        trainee_total: figure("trainee_total", FIGURE)?,
        trainees_percent: figure("trainees_percent", PERCENT)?,
        tutors_percent: figure("tutors_percent", PERCENT)?,
    })
}

/// The number of a key, or 0 when the key is not there.
fn optional_figure(section: &Section<'_>, key: &str) -> Result<i64, SchemeError> {
    section.optional(key).map_or(Ok(0), |value| value.integer(FIGURE))
}

/// The most characters of a clause: each item of each score says it.
const CLAUSE_CHARACTERS_MAX: usize = 200;

fn clause_text(value: &Value<'_>) -> Result<String, SchemeError> {
    let text = value.text()?;
    if text.chars().count() > CLAUSE_CHARACTERS_MAX {
        return Err(value.refuse(format!("must not have more than {CLAUSE_CHARACTERS_MAX} characters")));
    }
    Ok(text.into())
}

/// The clause of a section, as another city words it: `clause = { zh = "附件2", en = "Annex 2" }`. Without one, the section's
/// own place in the scheme is what an item follows.
fn clause(section: &Section<'_>) -> Result<Clause, SchemeError> {
    let Some(value) = section.optional("clause") else {
        let path = section.path();
        return Ok(Arc::new(Text::new(format!("考核方案 {path}"), format!("scheme, {path}"))));
    };
    let texts = value.section(&["zh", "en"])?;
    Ok(Arc::new(Text::new(clause_text(&texts.required("zh")?)?, clause_text(&texts.required("en")?)?)))
}

/// The most windows of a calendar.
const WINDOWS_MAX: usize = 256;

/// `[calendar]`, while the rest of the scheme is read against it.
struct Calendar {
    windows: BTreeMap<String, NamedWindow>,
}

impl Calendar {
    fn read(value: &Value<'_>, zone: Zone) -> Result<Self, SchemeError> {
        let section = value.open_section()?;
        let entries = section.entries();
        if entries.len() > WINDOWS_MAX {
            return Err(value.refuse(format!("must not have more than {WINDOWS_MAX} windows")));
        }
        let mut windows = BTreeMap::new();
        for (name, entry) in entries {
            let window = read_window(&entry)?;
            let period = zone.period(window);
            windows.insert(name.to_owned(), NamedWindow { name: name.to_owned(), window, period });
        }
        for name in REQUIRED_WINDOWS {
            section.required(name)?;
        }
        Ok(Self { windows })
    }

    /// The window that a value names. It may end after the summary: what is not decided by then is `PENDING` for good.
    fn window(&self, value: &Value<'_>) -> Result<&NamedWindow, SchemeError> {
        let name = value.text()?;
        self.windows
            .get(name)
            .ok_or_else(|| value.refuse(format!("there is no window \"{name}\" in [calendar]")))
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
