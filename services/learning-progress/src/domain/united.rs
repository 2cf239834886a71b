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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use shipei_rules::history::History;
    use shipei_rules::vocabulary::Category;

    use super::*;
    use crate::domain::course::Terms;

    const SCHEME: &str = include_str!("../../../../crates/rules/data/qinhuangdao-2019.toml");

    fn at(text: &str) -> DateTime<Utc> {
        format!("2019-10-{text}+08:00").parse().unwrap()
    }

    fn course(id: &str, terms: impl Into<History<Terms>>) -> Arc<Course> {
        Arc::new(Course { id: CourseId::parse(id).unwrap(), title: String::new(), terms: terms.into() })
    }

    fn terms(seconds: i64) -> Terms {
        Terms {
            category: Category::Public,
            main_line: true,
            length_seconds: seconds,
            subject: String::new(),
            education_stage: None,
            retired: false,
        }
    }

    /// A heartbeat's credit: so many seconds up to a moment.
    fn beat<'a>(course: &'a Course, until: &str, seconds: i64) -> Studied<'a> {
        let until = at(until);
        let span = Span::new(until - chrono::TimeDelta::seconds(seconds), until);
        Studied { at: until, course, session_id: None, time: Time::Spans(vec![span]) }
    }

    fn seconds(scheme: &Scheme, of_ids: &[&[Studied<'_>]]) -> Vec<i64> {
        let credits = unite(scheme, of_ids.iter().map(|studied| studied.to_vec()).collect());
        credits.iter().map(|credit| credit.micros / MICROS_PER_SECOND).collect()
    }

    /// Of instants that both were credited counts one, whichever id is kept, and of two courses that of the earlier beat.
    #[test]
    fn nobody_earns_a_minute_twice() {
        let scheme = Scheme::parse(SCHEME).unwrap();
        let (first, second) = (course("C1", terms(5_400)), course("C2", terms(5_400)));
        let one = [beat(&first, "01T10:01:00", 60), beat(&first, "01T10:02:00", 60)];
        let other = [beat(&second, "01T10:01:30", 60), beat(&second, "01T10:02:30", 60)];
        assert_eq!(seconds(&scheme, &[&one, &other]), [60, 30, 30, 30]);
        assert_eq!(seconds(&scheme, &[&other, &one]), [60, 30, 30, 30]);
        assert_eq!(seconds(&scheme, &[&one, &one]), [60, 60]);
        assert_eq!(seconds(&scheme, &[&one, &[]]), [60, 60]);
        // What is granted takes no instants.
        let granted = [Studied::of_grant(&first, at("01T10:02:00"), 90 * MICROS_PER_SECOND)];
        assert_eq!(seconds(&scheme, &[&one, &granted]), [60, 60, 90]);
    }

    /// A course counts once, in the order of dates; and what one id alone had been credited of one that became shorter stands.
    #[test]
    fn caps_hold_over_all_ids() {
        let scheme = Scheme::parse(SCHEME).unwrap();
        let short = course("C1", terms(90));
        let one = [beat(&short, "01T10:01:00", 60)];
        let other = [beat(&short, "02T10:01:00", 60)];
        assert_eq!(seconds(&scheme, &[&one, &other]), [60, 30]);
        let shorter = course("C1", History::new(terms(120), vec![(at("03T00:00:00"), terms(60))]));
        let whole = [beat(&shorter, "01T10:01:00", 60), beat(&shorter, "01T10:02:00", 60)];
        let more = [beat(&shorter, "04T10:01:00", 60)];
        assert_eq!(seconds(&scheme, &[&whole, &more]), [60, 60]);
        assert_eq!(seconds(&scheme, &[&more, &whole]), [60, 60]);
        // Outside every window of its category nothing counts, and the course keeps its length.
        let early =
            [Studied { at: "2019-09-01T10:01:00+08:00".parse().unwrap(), ..beat(&short, "01T10:01:00", 60) }];
        assert_eq!(seconds(&scheme, &[&early, &other]), [60]);
    }

    /// The day's limit is one person's.
    #[test]
    fn a_day_has_one_limit() {
        let limited = SCHEME.replace("daily_cap_minutes           = 0", "daily_cap_minutes = 2");
        let scheme = Scheme::parse(&limited).unwrap();
        assert_eq!(scheme.study.daily_cap_seconds, Some(120));
        let (first, second) = (course("C1", terms(5_400)), course("C2", terms(5_400)));
        let one = [beat(&first, "01T10:01:00", 60), beat(&first, "02T10:01:00", 60)];
        let other = [beat(&second, "01T11:01:30", 90), beat(&second, "02T09:01:30", 90)];
        assert_eq!(seconds(&scheme, &[&one, &other]), [60, 60, 90, 30]);
    }
}
