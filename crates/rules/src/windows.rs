//! Extensions: the end of one window moved, for all or for some (scoring.md, Facts that were wrong).
//!
//! What applies to somebody is a scheme of their own: the programme's with later ends ([`Scheme::extended`]), so that every
//! rule judges them as it judges everybody. The longest that applies counts; none makes a window shorter. To let another
//! group have an extension, add it to [`For`] and to [`ends`].
//!
//! **Decided**: an extension of a county, a city or a class is that of whoever stands there at the moment that counts: who
//! joins it has it from then on, who leaves it has it until then. Who comes back has it for the time between as well, so that
//! a window has one end. An extension is not dated itself: it holds for facts of before it was granted too, and for scores as
//! of any time, as a revised scheme does.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, Utc};

use crate::calendar::{Period, Zone};
use crate::history::History;
use crate::ids::{ClassId, PersonId};
use crate::region::RegionCode;
use crate::scheme::Scheme;

/// Later ends of windows, by the window's name.
pub type Ends = BTreeMap<String, DateTime<Utc>>;

/// An extension of one window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// The name of the window in `[calendar]`.
    pub window: String,
    /// The last day, included.
    pub last: NaiveDate,
    /// For whom.
    pub to: For,
}

/// For whom an extension is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum For {
    /// Everybody of the programme.
    Programme,
    /// Everybody who stands in these counties in the spans in which those lie in the region that it was granted to.
    Counties(Vec<(RegionCode, Span)>),
    /// Everybody of a class, its tutor too.
    Class(ClassId),
    /// One person.
    Person(PersonId),
}

/// From an instant on, until another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first instant.
    pub from: DateTime<Utc>,
    /// The first instant after it.
    pub until: DateTime<Utc>,
}

/// Where somebody stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// The county.
    pub county: Option<RegionCode>,
    /// The class.
    pub class: Option<ClassId>,
}

/// The ends that are later for everybody of the programme.
pub fn ends_for_all(scheme: &Scheme, extensions: &[Extension]) -> Ends {
    let mut ends = Ends::new();
    for extension in extensions.iter().filter(|extension| extension.to == For::Programme) {
        offer(scheme, &mut ends, &extension.window, end_of(extension.last, scheme.zone));
    }
    ends
}

/// The ends that are later for somebody who stood in these places; `scheme` has those for everybody.
pub fn ends(
    scheme: &Scheme,
    extensions: &[Extension],
    ids: &[&PersonId],
    places: &History<Standing>,
) -> Ends {
    let mut ends = Ends::new();
    for extension in extensions {
        let until = end_of(extension.last, scheme.zone);
        match &extension.to {
            For::Programme => {}
            For::Person(of) if ids.contains(&of) => offer(scheme, &mut ends, &extension.window, until),
            For::Person(_) => {}
            For::Class(class) => {
                for (from, to, _) in places.spans().filter(|(.., place)| place.class.as_ref() == Some(class))
                {
                    offer_within(scheme, &mut ends, &extension.window, (from, to), until);
                }
            }
            For::Counties(counties) => {
                for (from, to, place) in places.spans() {
                    for (_, lying) in counties.iter().filter(|(county, _)| place.county == Some(*county)) {
                        let from = from.map_or(lying.from, |from| from.max(lying.from));
                        let to = to.map_or(lying.until, |to| to.min(lying.until));
                        offer_within(scheme, &mut ends, &extension.window, (Some(from), Some(to)), until);
                    }
                }
            }
        }
    }
    ends
}

/// What an extension gives to who has it in a span only.
fn offer_within(
    scheme: &Scheme,
    ends: &mut Ends,
    window: &str,
    (from, to): (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
    until: DateTime<Utc>,
) {
    let until = to.map_or(until, |to| to.min(until));
    if from.is_none_or(|from| from < until) {
        offer(scheme, ends, window, until);
    }
}

/// Keeps an end when it is later than the scheme's and the ones before.
fn offer(scheme: &Scheme, ends: &mut Ends, window: &str, until: DateTime<Utc>) {
    if scheme.period(window).is_none_or(|period| until <= period.until) {
        return;
    }
    let kept = ends.entry(window.to_owned()).or_insert(until);
    *kept = (*kept).max(until);
}

/// The first instant after a last day.
fn end_of(last: NaiveDate, zone: Zone) -> DateTime<Utc> {
    zone.start_of(last.checked_add_days(Days::new(1)).unwrap_or(last))
}

impl Scheme {
    /// The same scheme with later ends. An end that is not later is left out.
    #[must_use]
    pub fn extended(&self, ends: &Ends) -> Scheme {
        let mut scheme = self.clone();
        let later = |window: &str, until: &mut DateTime<Utc>| {
            if let Some(end) = ends.get(window) {
                *until = (*until).max(*end);
            }
        };
        let extend = |window: &str, period: &mut Period| later(window, &mut period.until);
        for named in scheme.windows.values_mut() {
            extend(&named.name, &mut named.period);
            named.window.last = named.window.last.max(named.period.days().1);
        }
        let trainee = &mut scheme.trainee;
        for entry in &mut trainee.online {
            extend(&entry.window, &mut entry.period);
        }
        extend(&trainee.assignment.window, &mut trainee.assignment.period);
        later(&trainee.assignment.review_window, &mut trainee.assignment.review_until);
        extend(&trainee.seminar.window, &mut trainee.seminar.period);
        extend(&trainee.offline.window, &mut trainee.offline.period);
        for bulletin in &mut scheme.tutor.bulletins {
            extend(&bulletin.window, &mut bulletin.period);
        }
        extend(&scheme.tutor.seminar.window, &mut scheme.tutor.seminar.period);
        extend(&scheme.counselor.offline.window, &mut scheme.counselor.offline.period);
        scheme
    }
}
