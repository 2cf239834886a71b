//! What a learner achieved, and when, read from all credit by its dates: for a learner whose study arrives in another order
//! than it happened. In order, heartbeat by heartbeat, the same comes out of `study::take_beat`, without history.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use shipei_rules::history::History;
use shipei_rules::ids::{CourseId, SessionId};
use shipei_rules::scheme::{OnlineEntry, Scheme};
use shipei_rules::study_time::{MICROS_PER_SECOND, phase_achieved};

use super::course::{Asked, Course, Teaches};
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
    /// For each online entry: how many main-line courses that apply are complete in the end.
    pub(crate) main_line_complete: Vec<i64>,
    /// By course: credited in full.
    pub(crate) courses: HashMap<&'a CourseId, Reached<'a, ()>>,
}

/// What a learner has been credited for an online entry, up to a moment.
#[derive(Default)]
struct Sum<'a> {
    micros: i64,
    main_line_micros: HashMap<&'a CourseId, i64>,
    main_line_complete: Vec<&'a Course>,
}

impl Sum<'_> {
    /// How many main-line courses that apply are complete.
    fn complete(&self, asked: &Asked) -> i64 {
        let applies = |course: &&&Course| course.applies_to(Teaches::from(&asked.teaching));
        i64::try_from(self.main_line_complete.iter().filter(applies).count()).unwrap_or(i64::MAX)
    }

    /// Whether the entry of this index is achieved by what was credited so far, and how.
    fn achieved(&self, entry: &OnlineEntry, index: usize, asked: &Asked) -> Option<AchievedBy> {
        let total = asked.totals.get(index).copied().unwrap_or_default();
        let main_line = total > 0 && self.complete(asked) >= total;
        let achieved = entry.given_at().is_none() && phase_achieved(entry, self.micros, main_line);
        achieved.then(|| achieved_by(entry, self.micros))
    }
}

/// Reads all credit of a learner. `main_line` says what the main line asks of them at each time; where that changes, it may be
/// done by then.
pub(crate) fn achievements<'a>(
    scheme: &Scheme,
    main_line: &History<Asked>,
    mut credits: Vec<DatedCredit<'a>>,
) -> Achievements<'a> {
    credits.sort_unstable_by_key(|credit| (credit.at, credit.session_id));
    let entries = &scheme.trainee.online;
    let mut phases = vec![None; entries.len()];
    let mut courses = HashMap::new();
    let mut sums: Vec<Sum<'_>> = entries.iter().map(|_| Sum::default()).collect();
    let mut course_sums: HashMap<&CourseId, i64> = HashMap::new();
    let mut turns = main_line.spans().filter_map(|(from, ..)| from).peekable();
    let look_at_turn = |turn: DateTime<Utc>, sums: &[Sum<'_>], phases: &mut [Option<_>]| {
        for (index, (entry, sum)) in entries.iter().zip(sums).enumerate() {
            if phases[index].is_none() && entry.period.contains(turn) {
                let by = sum.achieved(entry, index, main_line.at(turn));
                phases[index] = by.map(|by| Reached { at: turn, session_id: None, by });
            }
        }
    };
    for DatedCredit { at, micros, course, session_id } in credits {
        while let Some(turn) = turns.next_if(|turn| *turn < at) {
            look_at_turn(turn, &sums, &mut phases);
        }
        let length = course.length_seconds() * MICROS_PER_SECOND;
        if completes(course_sums.entry(&course.id).or_default(), micros, length) {
            courses.insert(&course.id, Reached { at, session_id, by: () });
        }
        for (index, (entry, sum)) in entries.iter().zip(&mut sums).enumerate() {
            if !entry.period.contains(at) || !entry.categories.contains(&course.category) {
                continue;
            }
            sum.micros += micros;
            if course.main_line
                && completes(sum.main_line_micros.entry(&course.id).or_default(), micros, length)
            {
                sum.main_line_complete.push(course);
            }
            if phases[index].is_none() {
                let by = sum.achieved(entry, index, main_line.at(at));
                phases[index] = by.map(|by| Reached { at, session_id, by });
            }
        }
    }
    turns.for_each(|turn| look_at_turn(turn, &sums, &mut phases));
    let in_the_end = main_line.all().last().unwrap_or(main_line.first());
    let main_line_complete = sums.iter().map(|sum| sum.complete(in_the_end)).collect();
    Achievements { phases, main_line_complete, courses }
}

#[cfg(test)]
mod tests {
    use shipei_rules::{
        teaching::Teaching,
        vocabulary::{Category, EducationStage},
    };

    use super::*;

    const SCHEME: &str = include_str!("../../../../crates/rules/data/qinhuangdao-2019.toml");

    fn at(text: &str) -> DateTime<Utc> {
        format!("2019-{text}+08:00").parse().unwrap()
    }

    fn course(id: &str, subject: &str) -> Course {
        Course {
            id: CourseId::parse(id).unwrap(),
            title: String::new(),
            category: Category::Public,
            main_line: true,
            minutes: 10,
            subject: subject.to_owned(),
            education_stage: None,
        }
    }

    #[test]
    fn main_line_is_that_of_who_teaches_what_at_each_time() {
        let scheme = Scheme::parse(SCHEME).unwrap();
        let (chinese, maths) = (course("C1", "语文"), course("C2", "数学"));
        let entries = &scheme.trainee.online;
        let asked = |subject: &str, stage| {
            let teaching =
                Teaching { subject: subject.to_owned(), education_stage: stage, ..Teaching::default() };
            Asked::of(&teaching, entries, [&chinese, &maths].into_iter())
        };
        let (studied, turned, later) = (at("10-11T00:00:00"), at("10-20T00:00:00"), at("10-25T00:00:00"));
        let credit =
            |course, at| DatedCredit { at, micros: 600 * MICROS_PER_SECOND, course, session_id: None };
        let compulsory = Some(EducationStage::Compulsory);
        for (teaching, credits, expected, complete) in [
            // Who teaches another subject has done it when they come to teach this one.
            (
                History::new(asked("数学", None), vec![(turned, asked("语文", compulsory))]),
                vec![credit(&chinese, studied)],
                Some(turned),
                1,
            ),
            (History::from(asked("语文", None)), vec![credit(&chinese, studied)], Some(studied), 1),
            (History::from(asked("数学", None)), vec![credit(&chinese, studied)], None, 0),
            // What was achieved stays achieved.
            (
                History::new(asked("语文", None), vec![(turned, asked("数学", None))]),
                vec![credit(&chinese, studied)],
                Some(studied),
                0,
            ),
            (
                History::new(asked("英语", None), vec![(turned, asked("数学", None))]),
                vec![credit(&chinese, studied), credit(&maths, later)],
                Some(later),
                1,
            ),
        ] {
            let found = achievements(&scheme, &teaching, credits);
            assert_eq!(found.phases[0].map(|reached| reached.at), expected, "{teaching:?}");
            assert_eq!(found.main_line_complete[0], complete, "{teaching:?}");
        }
    }
}
