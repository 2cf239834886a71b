//! What a learner achieved, and when, read from all credit by its dates: for a learner whose study arrives in another order
//! than it happened. In order, heartbeat by heartbeat, the same comes out of `study::take_beat`, without history.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use shipei_rules::history::History;
use shipei_rules::ids::{CourseId, SessionId};
use shipei_rules::scheme::{OnlineEntry, Scheme};
use shipei_rules::study_time::{MICROS_PER_SECOND, phase_achieved};

use super::course::{Asked, Course, Teaches, Terms};
use super::study::{AchievedBy, Inside, Session, achieved_by};

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
        let beats = course
            .into_iter()
            .flat_map(move |course| session.credits().map(move |(at, spans)| (course, at, spans)));
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
    /// For each online entry: what it comes to in the end.
    pub(crate) sums: Vec<PhaseSum>,
    /// By course: credited in full.
    pub(crate) courses: HashMap<&'a CourseId, Reached<'a, ()>>,
    /// By course that is main-line or was, and entry: what is credited inside the window.
    pub(crate) inside: HashMap<(&'a CourseId, usize), Inside>,
}

/// What a learner has been credited for an online entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PhaseSum {
    pub(crate) micros: i64,
    /// The latest credit.
    pub(crate) last_at: Option<DateTime<Utc>>,
    /// How many main-line courses that are asked are complete.
    pub(crate) main_line_complete: i64,
}

/// What a learner has been credited for an online entry, up to a moment.
#[derive(Default)]
struct Sum<'a> {
    micros: i64,
    last_at: Option<DateTime<Utc>>,
    /// By course that is main-line at some time.
    inside: HashMap<&'a CourseId, (&'a Course, Inside)>,
}

impl Sum<'_> {
    /// How many main-line courses that the entry asks for are complete, each as `terms` has it.
    fn complete(&self, entry: &OnlineEntry, asked: &Asked, terms: impl Fn(&Course) -> &Terms) -> i64 {
        let teaches = Teaches::from(&asked.teaching);
        let complete = self
            .inside
            .values()
            .filter(|(course, inside)| inside.complete && terms(course).is_asked(&entry.categories, teaches));
        i64::try_from(complete.count()).unwrap_or(i64::MAX)
    }

    /// Whether the entry of this index is achieved at `at` by what was credited so far, and how.
    fn achieved(
        &self,
        (index, entry): (usize, &OnlineEntry),
        asked: &History<Asked>,
        at: DateTime<Utc>,
    ) -> Option<AchievedBy> {
        let asked = asked.at(at);
        let total = asked.totals.get(index).copied().unwrap_or_default();
        let main_line = total > 0 && self.complete(entry, asked, |course| course.terms.at(at)) >= total;
        let achieved = entry.given_at().is_none() && phase_achieved(entry, self.micros, main_line);
        achieved.then(|| achieved_by(entry, self.micros))
    }
}

/// A learner's study as far as it has been read.
struct Reading<'a, 'scheme> {
    entries: &'scheme [OnlineEntry],
    asked: &'scheme History<Asked>,
    sums: Vec<Sum<'a>>,
    /// All credit of each course.
    whole: HashMap<&'a CourseId, (&'a Course, Inside)>,
    phases: Vec<Option<Reached<'a, AchievedBy>>>,
    courses: HashMap<&'a CourseId, Reached<'a, ()>>,
}

impl<'a> Reading<'a, '_> {
    /// Adds credit.
    fn add(&mut self, DatedCredit { at, micros, course, session_id }: DatedCredit<'a>) {
        let terms = course.terms.at(at);
        let length = terms.length_seconds * MICROS_PER_SECOND;
        let whole = &mut self.whole.entry(&course.id).or_insert((course, Inside::default())).1;
        whole.micros += micros;
        if whole.look(length) {
            self.courses.insert(&course.id, Reached { at, session_id, by: () });
        }
        let is_main_line = course.is_ever_main_line();
        for (index, (entry, sum)) in self.entries.iter().zip(&mut self.sums).enumerate() {
            if !entry.period.contains(at) || !entry.categories.contains(&terms.category) {
                continue;
            }
            sum.micros += micros;
            sum.last_at = sum.last_at.max(Some(at));
            if is_main_line {
                let inside = &mut sum.inside.entry(&course.id).or_insert((course, Inside::default())).1;
                inside.micros += micros;
                inside.look(length);
            }
            if self.phases[index].is_none() {
                let by = sum.achieved((index, entry), self.asked, at);
                self.phases[index] = by.map(|by| Reached { at, session_id, by });
            }
        }
    }

    /// Looks at what a turn changed: a course that is shorter from then on may be complete, and a main line that asks for other
    /// courses done.
    fn turn(&mut self, at: DateTime<Utc>) {
        let length = |course: &Course| course.terms.at(at).length_seconds * MICROS_PER_SECOND;
        for (course_id, (course, whole)) in &mut self.whole {
            if whole.look(length(course)) {
                self.courses.insert(course_id, Reached { at, session_id: None, by: () });
            }
        }
        for (index, (entry, sum)) in self.entries.iter().zip(&mut self.sums).enumerate() {
            for (course, inside) in sum.inside.values_mut() {
                if entry.period.contains(at) {
                    inside.look(length(course));
                }
            }
            if self.phases[index].is_none() && entry.period.contains(at) {
                let by = sum.achieved((index, entry), self.asked, at);
                self.phases[index] = by.map(|by| Reached { at, session_id: None, by });
            }
        }
    }
}

/// Reads all credit of a learner. `asked` says what the main line asks of them at each time; where that changes, or a course, it may
/// be done by then. A course is complete by its length of the time of credit, and stays so.
pub(crate) fn achievements<'a>(
    scheme: &Scheme,
    asked: &History<Asked>,
    mut credits: Vec<DatedCredit<'a>>,
) -> Achievements<'a> {
    credits.sort_unstable_by_key(|credit| (credit.at, credit.session_id));
    let entries = &scheme.trainee.online;
    let mut turns: Vec<_> = asked.turns().collect();
    turns.extend(credits.iter().flat_map(|credit| credit.course.terms.turns()));
    turns.sort_unstable();
    turns.dedup();
    let mut turns = turns.into_iter().peekable();
    let mut reading = Reading {
        entries,
        asked,
        sums: entries.iter().map(|_| Sum::default()).collect(),
        whole: HashMap::new(),
        phases: vec![None; entries.len()],
        courses: HashMap::new(),
    };
    for credit in credits {
        // Credit of the moment of a turn is looked at as of behind it.
        while let Some(turn) = turns.next_if(|turn| *turn <= credit.at) {
            reading.turn(turn);
        }
        reading.add(credit);
    }
    turns.for_each(|turn| reading.turn(turn));
    let in_the_end = asked.last();
    let mut found =
        Achievements { phases: reading.phases, courses: reading.courses, ..Achievements::default() };
    for (index, (entry, sum)) in entries.iter().zip(reading.sums).enumerate() {
        let main_line_complete = sum.complete(entry, in_the_end, |course| course.terms.last());
        found.sums.push(PhaseSum { micros: sum.micros, last_at: sum.last_at, main_line_complete });
        let inside = sum.inside.into_iter().map(|(course_id, (_, inside))| ((course_id, index), inside));
        found.inside.extend(inside);
    }
    found
}

#[cfg(test)]
mod tests {
    use shipei_rules::{
        teaching::Teaching,
        vocabulary::{Category, EducationStage},
    };

    use super::*;
    use crate::domain::course::MainLine;

    const SCHEME: &str = include_str!("../../../../crates/rules/data/qinhuangdao-2019.toml");

    fn at(text: &str) -> DateTime<Utc> {
        format!("2019-{text}+08:00").parse().unwrap()
    }

    fn terms(subject: &str) -> Terms {
        Terms {
            category: Category::Public,
            main_line: true,
            length_seconds: 600,
            subject: subject.to_owned(),
            education_stage: None,
            retired: false,
        }
    }

    fn course(id: &str, terms: impl Into<History<Terms>>) -> Arc<Course> {
        Arc::new(Course { id: CourseId::parse(id).unwrap(), title: String::new(), terms: terms.into() })
    }

    /// What courses ask of who teaches this at each time.
    fn asked(scheme: &Scheme, courses: &[&Arc<Course>], teaching: &History<Teaching>) -> History<Asked> {
        let main_line = MainLine::of(courses.iter().map(|course| Arc::clone(course)));
        let phases: Vec<_> = scheme.trainee.online.iter().map(|entry| entry.categories.as_slice()).collect();
        main_line.asked(teaching, |teaching| main_line.totals(&phases, teaching.into()))
    }

    #[test]
    fn main_line_is_that_of_who_teaches_what_at_each_time() {
        let scheme = Scheme::parse(SCHEME).unwrap();
        let (chinese, maths) = (course("C1", terms("语文")), course("C2", terms("数学")));
        let teaches = |subject: &str, stage| Teaching {
            subject: subject.to_owned(),
            education_stage: stage,
            ..Teaching::default()
        };
        let (studied, turned, later) = (at("10-11T00:00:00"), at("10-20T00:00:00"), at("10-25T00:00:00"));
        let compulsory = Some(EducationStage::Compulsory);
        for (teaching, credits, expected, complete) in [
            // Who teaches another subject has done it when they come to teach this one.
            (
                History::new(teaches("数学", None), vec![(turned, teaches("语文", compulsory))]),
                vec![credit(&chinese, studied, 600)],
                Some(turned),
                1,
            ),
            (History::from(teaches("语文", None)), vec![credit(&chinese, studied, 600)], Some(studied), 1),
            (History::from(teaches("数学", None)), vec![credit(&chinese, studied, 600)], None, 0),
            // What was achieved stays achieved.
            (
                History::new(teaches("语文", None), vec![(turned, teaches("数学", None))]),
                vec![credit(&chinese, studied, 600)],
                Some(studied),
                0,
            ),
            (
                History::new(teaches("英语", None), vec![(turned, teaches("数学", None))]),
                vec![credit(&chinese, studied, 600), credit(&maths, later, 600)],
                Some(later),
                1,
            ),
        ] {
            let found = achievements(&scheme, &asked(&scheme, &[&chinese, &maths], &teaching), credits);
            assert_eq!(found.phases[0].map(|reached| reached.at), expected, "{teaching:?}");
            assert_eq!(found.sums[0].main_line_complete, complete, "{teaching:?}");
        }
    }

    fn credit(course: &Arc<Course>, at: DateTime<Utc>, seconds: i64) -> DatedCredit<'_> {
        DatedCredit { at, micros: seconds * MICROS_PER_SECOND, course, session_id: None }
    }

    /// A course is complete by its length of the time of credit; what is retired is asked of nobody any more; and a category counts
    /// as that of then.
    #[test]
    fn courses_are_what_they_are_at_each_time() {
        let scheme = Scheme::parse(SCHEME).unwrap();
        let (studied, turned, later) = (at("10-11T00:00:00"), at("10-20T00:00:00"), at("10-25T00:00:00"));
        let changed = |terms: Terms, change: fn(&mut Terms)| {
            let mut after = terms.clone();
            change(&mut after);
            History::new(terms, vec![(turned, after)])
        };
        let teaching = History::from(Teaching { subject: "语文".to_owned(), ..Teaching::default() });
        let longer = course("C1", changed(terms(""), |terms| terms.length_seconds = 900));
        let shorter = course("C1", changed(terms(""), |terms| terms.length_seconds = 300));
        let retired = course("C2", changed(terms(""), |terms| terms.retired = true));
        let elsewhere = course("C1", changed(terms(""), |terms| terms.category = Category::Professional));
        let joined =
            course("C2", changed(Terms { main_line: false, ..terms("") }, |terms| terms.main_line = true));
        let plain = course("C1", terms(""));
        // Courses, credit, and: when C1 was complete, the phase achieved; seconds of the phase, how many are complete in the end.
        for (name, courses, credits, expected) in [
            (
                "longer, done before",
                vec![&longer],
                vec![(&longer, studied, 600)],
                (Some(studied), Some(studied), 600, 1),
            ),
            (
                "longer, begun before",
                vec![&longer],
                vec![(&longer, studied, 599), (&longer, later, 300)],
                (None, None, 899, 0),
            ),
            ("shorter", vec![&shorter], vec![(&shorter, studied, 400)], (Some(turned), Some(turned), 400, 1)),
            (
                "one is retired",
                vec![&plain, &retired],
                vec![(&plain, studied, 600)],
                (Some(studied), Some(turned), 600, 1),
            ),
            (
                "one joins",
                vec![&plain, &joined],
                vec![(&plain, studied, 600)],
                (Some(studied), Some(studied), 600, 1),
            ),
            (
                "one joins before",
                vec![&plain, &joined],
                vec![(&joined, studied, 600), (&plain, later, 600)],
                (Some(later), Some(later), 1_200, 2),
            ),
            (
                "another category",
                vec![&elsewhere],
                vec![(&elsewhere, studied, 500), (&elsewhere, later, 100)],
                (Some(later), None, 500, 0),
            ),
        ] {
            let credits =
                credits.into_iter().map(|(course, at, seconds)| credit(course, at, seconds)).collect();
            let found = achievements(&scheme, &asked(&scheme, &courses, &teaching), credits);
            let complete = found.courses.get(&CourseId::parse("C1").unwrap()).map(|reached| reached.at);
            let phase = found.phases[0].map(|reached| reached.at);
            let PhaseSum { micros, main_line_complete, .. } = found.sums[0];
            assert_eq!((complete, phase, micros / MICROS_PER_SECOND, main_line_complete), expected, "{name}");
        }
    }
}
