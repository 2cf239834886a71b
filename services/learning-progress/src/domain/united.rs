//! The study of one person who has several ids: what each id was credited stands as it is, and of that counts what is not counted
//! yet, so that nobody earns a minute twice. It is a function of what the ids were credited, whatever was told first, so a merge may
//! come before study or behind it and be retracted.
//!
//! **Decided**: credit is taken in the order of its dates (of one moment: the id that is kept first, then by id); of a course counts as
//! much as its length of then, or as one id alone was credited of it, if that is more since the course was longer; of a day, as much
//! as the scheme credits anybody.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use shipei_rules::ids::{CourseId, SessionId};
use shipei_rules::intervals::Span;
use shipei_rules::scheme::Scheme;
use shipei_rules::study_time::{self, CourseStudy, LearnerStudy, MICROS_PER_SECOND};

use super::course::Course;
use super::dated::DatedCredit;
use super::study::Session;

/// What an id was credited at a moment.
#[derive(Debug, Clone)]
pub(crate) struct Studied<'a> {
    at: DateTime<Utc>,
    course: &'a Course,
    session_id: Option<&'a SessionId>,
    time: Time,
}

/// Time that was credited.
#[derive(Debug, Clone)]
enum Time {
    /// By a heartbeat: these instants.
    Spans(Vec<Span>),
    /// By hand: so many microseconds, which take no instants.
    Granted(i64),
}

impl<'a> Studied<'a> {
    /// What a session was credited, heartbeat by heartbeat.
    pub(crate) fn of_session(
        course: &'a Course,
        session_id: &'a SessionId,
        session: &'a Session,
    ) -> impl Iterator<Item = Studied<'a>> {
        session.credits().filter(|(_, spans)| !spans.is_empty()).map(move |(at, spans)| Studied {
            at,
            course,
            session_id: Some(session_id),
            time: Time::Spans(spans),
        })
    }

    /// What was granted.
    pub(crate) fn of_grant(course: &'a Course, at: DateTime<Utc>, micros: i64) -> Studied<'a> {
        Studied { at, course, session_id: None, time: Time::Granted(micros) }
    }

    fn micros(&self) -> i64 {
        match &self.time {
            Time::Spans(spans) => spans.iter().map(|span| span.micros()).sum(),
            Time::Granted(micros) => *micros,
        }
    }
}

/// What counts of the study of all ids, of which the first is the one that is kept and the others are in their order.
pub(crate) fn unite<'a>(scheme: &Scheme, of_ids: Vec<Vec<Studied<'a>>>) -> Vec<DatedCredit<'a>> {
    let most = most_of_one_id(&of_ids);
    let mut all: Vec<(usize, Studied<'a>)> = Vec::new();
    for (id, studied) in of_ids.into_iter().enumerate() {
        all.extend(studied.into_iter().map(|studied| (id, studied)));
    }
    all.sort_by(|(one_id, one), (other_id, other)| {
        let place = |id: usize, of: &Studied<'a>| (of.at, id, of.session_id, &of.course.id, of.micros());
        place(*one_id, one).cmp(&place(*other_id, other))
    });
    let mut learner = LearnerStudy::default();
    let mut courses: BTreeMap<&CourseId, CourseStudy> = BTreeMap::new();
    let mut credits = Vec::with_capacity(all.len());
    for (_, Studied { at, course, session_id, time }) in all {
        let terms = course.terms.at(at);
        let category = terms.category;
        let of = courses.entry(&course.id).or_insert(CourseStudy {
            length_seconds: 0,
            credited_micros: 0,
            category,
        });
        of.category = category;
        of.length_seconds = terms.length_seconds.max(most.get(&course.id).copied().unwrap_or_default());
        learner.ask_for(scheme, at);
        let micros = match time {
            Time::Spans(spans) => study_time::credit_again(scheme, &mut learner, of, at, &spans).micros(),
            Time::Granted(micros) => study_time::grant(scheme, &mut learner, of, at, micros).0,
        };
        if micros > 0 {
            credits.push(DatedCredit { at, micros, course, session_id });
        }
    }
    credits
}

/// Of each course the most that one id alone was credited, in seconds, rounded up.
fn most_of_one_id<'a>(of_ids: &[Vec<Studied<'a>>]) -> BTreeMap<&'a CourseId, i64> {
    let mut most: BTreeMap<&CourseId, i64> = BTreeMap::new();
    for studied in of_ids {
        let mut own: BTreeMap<&CourseId, i64> = BTreeMap::new();
        for one in studied {
            *own.entry(&one.course.id).or_default() += one.micros();
        }
        for (course_id, micros) in own {
            let seconds = micros / MICROS_PER_SECOND + i64::from(micros % MICROS_PER_SECOND > 0);
            let kept = most.entry(course_id).or_default();
            *kept = seconds.max(*kept);
        }
    }
    most
}
