//! What a learner achieved, and when, read from all credit by its dates: for a learner whose study arrives in another order
//! than it happened. In order, heartbeat by heartbeat, the same comes out of `study::take_beat`, without history.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use shipei_rules::ids::{CourseId, SessionId};
use shipei_rules::scheme::Scheme;
use shipei_rules::study_time::{MICROS_PER_SECOND, phase_achieved};

use super::course::Course;
use super::study::{AchievedBy, Session, achieved_by, completes};

/// The credit of one heartbeat.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DatedCredit<'a> {
    pub(crate) at: DateTime<Utc>,
    pub(crate) micros: i64,
    pub(crate) course: &'a Course,
    pub(crate) session_id: Option<&'a SessionId>,
}

impl<'a> DatedCredit<'a> {
    /// The credit of a grant; no session has it.
    pub(crate) fn of_grant(
        course: Option<&'a Arc<Course>>,
        at: DateTime<Utc>,
        micros: i64,
    ) -> Option<DatedCredit<'a>> {
        let course = course.filter(|_| micros > 0)?;
        Some(DatedCredit { at, micros, course, session_id: None })
    }

    /// All credit of a session.
    pub(crate) fn of_session(
        course: Option<&'a Arc<Course>>,
        session_id: &'a SessionId,
        session: &'a Session,
    ) -> impl Iterator<Item = DatedCredit<'a>> {
        let beats = course.into_iter().flat_map(move |course| {
            session.beats.beats(session.opened_at).map(move |(at, spans)| (course, at, spans))
        });
        beats.filter_map(move |(course, at, spans)| {
            let micros: i64 = spans.iter().map(|span| span.micros()).sum();
            (micros > 0).then_some(DatedCredit { at, micros, course, session_id: Some(session_id) })
        })
    }
}

/// Something that was reached, and in which session, if in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reached<'a, By> {
    pub(crate) at: DateTime<Utc>,
    pub(crate) session_id: Option<&'a SessionId>,
    pub(crate) by: By,
}

/// When a learner reached what.
#[derive(Debug, Default)]
pub(crate) struct Achievements<'a> {
    /// For each online entry of the scheme.
    pub(crate) phases: Vec<Option<Reached<'a, AchievedBy>>>,
    /// By course: credited in full.
    pub(crate) courses: HashMap<&'a CourseId, Reached<'a, ()>>,
}

/// Reads all credit of a learner. `main_line_totals` says for each online entry how many main-line courses apply to them.
pub(crate) fn achievements<'a>(
    scheme: &Scheme,
    main_line_totals: &[i64],
    mut credits: Vec<DatedCredit<'a>>,
) -> Achievements<'a> {
    credits.sort_unstable_by_key(|credit| (credit.at, credit.session_id));
    let entries = &scheme.trainee.online;
    let mut found = Achievements { phases: vec![None; entries.len()], courses: HashMap::new() };
    let mut phase_sums = vec![(0_i64, 0_i64); entries.len()];
    let mut course_sums: HashMap<&CourseId, i64> = HashMap::new();
    let mut main_line_sums: HashMap<(usize, &CourseId), i64> = HashMap::new();
    for DatedCredit { at, micros, course, session_id } in credits {
        let length = course.length_seconds() * MICROS_PER_SECOND;
        if completes(course_sums.entry(&course.id).or_default(), micros, length) {
            found.courses.insert(&course.id, Reached { at, session_id, by: () });
        }
        for (index, entry) in entries.iter().enumerate() {
            if !entry.period.contains(at) || !entry.categories.contains(&course.category) {
                continue;
            }
            let (sum, complete) = &mut phase_sums[index];
            *sum += micros;
            if course.main_line {
                let inside = main_line_sums.entry((index, &course.id)).or_default();
                *complete += i64::from(completes(inside, micros, length));
            }
            let total = main_line_totals.get(index).copied().unwrap_or_default();
            let main_line = total > 0 && *complete >= total;
            let given = entry.given_at().is_some();
            if !given && found.phases[index].is_none() && phase_achieved(entry, *sum, main_line) {
                let by = achieved_by(entry, *sum);
                found.phases[index] = Some(Reached { at, session_id, by });
            }
        }
    }
    found
}
