//! Tables and properties of heartbeats: the order of refusals, phases by minutes and by main line, and that time is
//! never earned twice, whatever order the sessions arrive in.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::TimeDelta;
use proptest::prelude::*;
use shipei_rules::ids::{CourseId, SessionId};
use shipei_rules::vocabulary::Category;

use super::*;
use crate::domain::course::{Asked, Course};
use crate::domain::dated::{DatedCredit, achievements};

const SCHEME: &str = include_str!("../../../../crates/rules/data/qinhuangdao-2019.toml");

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn eligibility() -> Eligibility {
    Eligibility {
        absences: Absences::default(),
        opened_at: Some(at("2019-09-10T00:00:00Z")).into(),
        login_at: Some(at("2019-09-11T00:00:00Z")),
        course: CourseGate { refused: None, main_line: false }.into(),
        selected_at: Some(at("2019-09-12T00:00:00Z")),
    }
}

#[test]
fn first_thing_that_stands_against_a_beat_is_the_reason() {
    let now = at("2019-09-20T00:00:00Z");
    let later = Some(now + TimeDelta::microseconds(1));
    let beat = Beat { seq: 0, at: Ok(now) };
    let mut eligibility = eligibility();
    let refusals = Refusals::default();
    let session_id = SessionId::parse("s").unwrap();
    let unknown = KnownSession { session_id: &session_id, taken: false, session: None, refusals: &refusals };
    let taken = KnownSession { taken: true, ..unknown };
    assert_eq!(admit_beat(&Ok(eligibility.clone()), unknown, &beat), Ok((0, now)));

    // From the last check to the first: each one hides those before it.
    assert_eq!(admit_beat(&Ok(eligibility.clone()), taken, &beat), Err(ErrorReason::AlreadyExists));
    eligibility.selected_at = later;
    assert_eq!(admit_beat(&Ok(eligibility.clone()), taken, &beat), Err(ErrorReason::CourseNotSelected));
    let refused = Some(ErrorReason::CourseNotApplicable);
    eligibility.course = CourseGate { refused, main_line: false }.into();
    assert_eq!(admit_beat(&Ok(eligibility.clone()), taken, &beat), Err(ErrorReason::CourseNotApplicable));
    eligibility.login_at = None;
    assert_eq!(admit_beat(&Ok(eligibility.clone()), taken, &beat), Err(ErrorReason::LearningNotOpen));
    eligibility.absences = now.into();
    assert_eq!(admit_beat(&Ok(eligibility), taken, &beat), Err(ErrorReason::Withdrawn));
    assert_eq!(admit_beat(&Err(ErrorReason::NotFound), taken, &beat), Err(ErrorReason::NotFound));
    let negative = Beat { seq: -1, at: Ok(now) };
    assert_eq!(admit_beat(&Err(ErrorReason::NotFound), taken, &negative), Err(ErrorReason::InvalidField));
    let nowhen = Beat { seq: -1, at: Err(ErrorReason::ImportRightRequired) };
    assert_eq!(
        admit_beat(&Err(ErrorReason::NotFound), taken, &nowhen),
        Err(ErrorReason::ImportRightRequired)
    );
}

#[test]
fn what_was_taken_stays_taken_and_what_was_refused_at_a_tie_stays_refused() {
    let login = at("2019-09-20T08:00:00+08:00");
    let mut studying = Studying::new(SCHEME, [0, 0], &[(Category::Public, 6000, true)]);
    let last = studying.watch(0, login + TimeDelta::seconds(60), 5);
    let session = studying.sessions[0].as_ref();
    let mut refusals = Refusals::default();
    let session_id = SessionId::parse("s").unwrap();
    let open = Eligibility {
        course: CourseGate { refused: None, main_line: true }.into(),
        login_at: Some(login),
        ..eligibility()
    };
    let ask = |eligibility: &Eligibility, refusals: &Refusals, seq, at| {
        let known = KnownSession { session_id: &session_id, taken: false, session, refusals };
        admit_beat(&Ok(eligibility.clone()), known, &Beat { seq, at: Ok(at) }).map(|_| ())
    };
    // A withdrawal that is told later, and dated earlier: a duplicate is one all the same, what is new is refused.
    let left = Eligibility { absences: login.into(), ..open.clone() };
    assert_eq!(ask(&left, &refusals, 4, last), Ok(()));
    assert_eq!(ask(&left, &refusals, 5, last), Err(ErrorReason::Withdrawn));
    assert_eq!(ask(&left, &refusals, 4, last + TimeDelta::seconds(1)), Err(ErrorReason::Withdrawn));
    // At the instant of the log-in: after it, unless it was refused before.
    assert_eq!(ask(&open, &refusals, 0, login), Ok(()));
    assert!(refusals.remember(&session_id, login, ErrorReason::LearningNotOpen));
    assert_eq!(ask(&open, &refusals, 0, login), Err(ErrorReason::LearningNotOpen));
    // Where dates decide, nothing is remembered: the log-in was told late.
    let earlier = Eligibility { login_at: Some(login - TimeDelta::microseconds(1)), ..open };
    assert_eq!(ask(&earlier, &refusals, 0, login), Ok(()));
}

#[test]
fn gate_compares_dates_not_states() {
    let now = at("2019-09-20T00:00:00Z");
    let later = Some(now + TimeDelta::microseconds(1));
    let moved = |from, to| Eligibility { opened_at: History::new(from, vec![(now, to)]), ..eligibility() };
    let cases: [(&str, Eligibility, Result<(), ErrorReason>); 10] = [
        (
            "withdrawn later",
            Eligibility { absences: later.map(Absences::from).unwrap_or_default(), ..eligibility() },
            Ok(()),
        ),
        ("withdrawn now", Eligibility { absences: now.into(), ..eligibility() }, Err(ErrorReason::Withdrawn)),
        ("opened now", Eligibility { opened_at: Some(now).into(), ..eligibility() }, Ok(())),
        (
            "opened later",
            Eligibility { opened_at: later.into(), ..eligibility() },
            Err(ErrorReason::LearningNotOpen),
        ),
        ("moved now to where it is open", moved(None, Some(now)), Ok(())),
        ("moved now to where it is closed", moved(Some(now), None), Err(ErrorReason::LearningNotOpen)),
        ("logged in now", Eligibility { login_at: Some(now), ..eligibility() }, Ok(())),
        (
            "logged in later",
            Eligibility { login_at: later, ..eligibility() },
            Err(ErrorReason::LearningNotOpen),
        ),
        (
            "main line",
            Eligibility {
                course: CourseGate { refused: None, main_line: true }.into(),
                selected_at: None,
                ..eligibility()
            },
            Ok(()),
        ),
        (
            "not selected",
            Eligibility { selected_at: None, ..eligibility() },
            Err(ErrorReason::CourseNotSelected),
        ),
    ];
    for (name, eligibility, expected) in cases {
        assert_eq!(eligibility.admit(now), expected, "{name}");
    }
    let before = now - TimeDelta::microseconds(1);
    assert_eq!(moved(Some(before), None).admit(before), Ok(()));
    assert_eq!(moved(None, Some(before)).admit(before), Err(ErrorReason::LearningNotOpen));
}

/// A learner with some courses and sessions, and everything that happened.
struct Studying {
    scheme: Scheme,
    totals: Vec<i64>,
    learner: Learner,
    courses: Vec<LearnerCourse>,
    sessions: Vec<Option<Session>>,
    facts: Vec<Fact>,
}

impl Studying {
    fn new(scheme: &str, totals: [i64; 2], courses: &[(Category, i64, bool)]) -> Self {
        let mut studying = Self {
            scheme: Scheme::parse(scheme).unwrap(),
            totals: totals.to_vec(),
            learner: Learner { phases: vec![Phase::default(); 2], ..Learner::default() },
            courses: Vec::new(),
            sessions: Vec::new(),
            facts: Vec::new(),
        };
        for (category, length_seconds, main_line) in courses {
            studying.courses.push(LearnerCourse {
                study: CourseStudy {
                    length_seconds: *length_seconds,
                    credited_micros: 0,
                    category: *category,
                },
                inside: if *main_line { vec![Inside::default(); 2] } else { Vec::new() },
                main_line: *main_line,
                completed_at: None,
                version: 0,
                changed: false,
            });
            studying.sessions.push(None);
        }
        studying
    }

    /// A beat on the session of a course.
    fn beat(&mut self, course: usize, seq: i64, at: DateTime<Utc>) -> Result<Worth, ErrorReason> {
        let state = (&mut self.learner, &mut self.courses[course], &mut self.sessions[course]);
        take_beat(&self.scheme, &self.totals, state, (seq, at), &mut self.facts)
    }

    /// Beats every 60 seconds from `from`, so many of them; gives the instant of the last.
    fn watch(&mut self, course: usize, from: DateTime<Utc>, beats: i64) -> DateTime<Utc> {
        let begin = self.sessions[course].as_ref().map_or(0, |session| session.study.last_seq + 1);
        for number in 0..beats {
            self.beat(course, begin + number, from + TimeDelta::seconds(60 * number)).unwrap();
        }
        from + TimeDelta::seconds(60 * (beats - 1))
    }

    fn achieved(&self) -> Vec<Fact> {
        let is_phase = |fact: &&Fact| matches!(fact, Fact::PhaseAchieved { .. });
        self.facts.iter().filter(is_phase).copied().collect()
    }
}

#[test]
fn phase_is_achieved_once_by_minutes_at_the_beat_that_reaches_them() {
    let mut studying = Studying::new(SCHEME, [0, 0], &[(Category::Public, 300 * 60, false)]);
    let from = at("2019-09-20T08:00:00+08:00");
    studying.watch(0, from, 200);
    assert_eq!(studying.achieved(), []);
    studying.watch(0, from + TimeDelta::seconds(200 * 60), 3);
    assert_eq!(studying.achieved(), [Fact::PhaseAchieved { phase: 0, by: AchievedBy::Minutes, version: 4 }]);
    let studied = studying.facts.iter().filter_map(|fact| match fact {
        Fact::PhaseStudied(progress) => Some((progress.seconds, progress.version)),
        _ => None,
    });
    // A step is a quarter of 200 minutes; the last of them is the achievement.
    assert_eq!(studied.collect::<Vec<_>>(), (1..4).map(|step| (step * 3_000, step)).collect::<Vec<_>>());
    assert_eq!(studying.learner.phases[0].study.achieved_at, Some(from + TimeDelta::seconds(200 * 60)));
    assert_eq!(studying.learner.phases[0].study.micros, 202 * 60 * MICROS_PER_SECOND);
    assert_eq!(studying.learner.phases[1], Phase::default());
}

#[test]
fn phase_is_achieved_by_the_last_main_line_course() {
    let courses =
        [(Category::Public, 600, true), (Category::Public, 600, true), (Category::Public, 600, false)];
    let mut studying = Studying::new(SCHEME, [2, 0], &courses);
    let then = studying.watch(0, at("2019-09-20T08:00:00+08:00"), 11);
    let then = studying.watch(2, then, 11);
    assert_eq!(studying.achieved(), []);
    let then = studying.watch(1, then, 11);
    assert_eq!(studying.achieved(), [Fact::PhaseAchieved { phase: 0, by: AchievedBy::MainLine, version: 1 }]);
    assert_eq!(studying.learner.phases[0].study.achieved_at, Some(then));
    assert_eq!(
        studying.facts.iter().filter(|fact| matches!(fact, Fact::CourseCompleted { version: 1 })).count(),
        3
    );
}

#[test]
fn main_line_that_grew_is_looked_at_anew() {
    let courses = [(Category::Public, 600, true), (Category::Public, 600, true)];
    let mut studying = Studying::new(SCHEME, [2, 0], &courses);
    let then = studying.watch(0, at("2019-09-20T08:00:00+08:00"), 11);
    studying.totals = vec![3, 0];
    let then = studying.watch(1, then, 11);
    assert_eq!(studying.achieved(), []);
    // Whatever the list becomes, the next beat inside the window sees it.
    studying.totals = vec![2, 0];
    let next = then + TimeDelta::seconds(60);
    studying.beat(1, 11, next).unwrap();
    assert_eq!(studying.achieved(), [Fact::PhaseAchieved { phase: 0, by: AchievedBy::MainLine, version: 1 }]);
    assert_eq!(studying.learner.phases[0].study.achieved_at, Some(next));
}

#[test]
fn main_line_without_courses_achieves_nothing() {
    let mut studying = Studying::new(SCHEME, [0, 0], &[(Category::Public, 600, false)]);
    studying.watch(0, at("2019-09-20T08:00:00+08:00"), 11);
    assert_eq!(studying.achieved(), []);
}

#[test]
fn category_of_two_phases_counts_for_each_whose_window_holds_the_beat() {
    let both = SCHEME.replace(
        "categories        = [\"professional\", \"it_integration\"]",
        "categories        = [\"public\", \"professional\", \"it_integration\"]",
    );
    assert_ne!(both, SCHEME);
    let mut studying = Studying::new(&both, [1, 1], &[(Category::Public, 1200, true)]);
    studying.watch(0, at("2019-10-09T08:00:00+08:00"), 11);
    let sums = |studying: &Studying| {
        studying.learner.phases.iter().map(|phase| whole_seconds(phase.study.micros)).collect()
    };
    let in_first: Vec<i64> = sums(&studying);
    assert_eq!(in_first, [600, 0]);
    studying.watch(0, at("2019-10-11T08:00:00+08:00"), 12);
    // The first beat of the second day is worth the longest gap, 120 seconds.
    let in_both: Vec<i64> = sums(&studying);
    assert_eq!(in_both, [1200, 600]);
    // Completed in the first window, and not by credit from inside the second alone.
    assert_eq!(studying.achieved(), [Fact::PhaseAchieved { phase: 0, by: AchievedBy::MainLine, version: 1 }]);
    let inside: Vec<_> = studying.courses[0].inside.iter().map(|inside| inside.micros).collect();
    assert_eq!(inside, [1200, 600].map(|seconds| seconds * MICROS_PER_SECOND));
}

#[test]
fn refused_beat_changes_nothing() {
    let mut studying = Studying::new(SCHEME, [0, 0], &[(Category::Public, 600, false)]);
    let from = at("2019-09-20T08:00:00+08:00");
    studying.watch(0, from, 3);
    let before = (
        studying.learner.clone(),
        studying.courses.clone(),
        studying.sessions.clone(),
        studying.facts.clone(),
    );
    assert_eq!(studying.beat(0, 9, from), Err(ErrorReason::OutOfOrder));
    assert_eq!((studying.learner, studying.courses, studying.sessions, studying.facts), before);
}

#[test]
fn duplicate_is_counted_and_changes_nothing_else() {
    let mut studying = Studying::new(SCHEME, [0, 0], &[(Category::Public, 600, false)]);
    let from = at("2019-09-20T08:00:00+08:00");
    studying.watch(0, from, 3);
    let learner = studying.learner.clone();
    assert_eq!(studying.beat(0, 1, from).unwrap().outcome, HeartbeatOutcome::Duplicate);
    let session = studying.sessions[0].clone().unwrap();
    assert_eq!(session.uncredited[place_of(UncreditedReason::Duplicate)], Tally { micros: 0, beats: 1 });
    assert_eq!((session.study.last_seq, session.credited_micros), (2, 120 * MICROS_PER_SECOND));
    assert_eq!(studying.learner, learner);
}

#[test]
fn places_of_reasons_are_those_of_the_list() {
    for (place, reason) in UncreditedReason::ALL.iter().enumerate() {
        assert_eq!(place_of(*reason), place);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// However somebody opens courses side by side, they earn no more than the time that passed; and every second of a
    /// session is either credited or has a reason.
    #[test]
    fn nobody_earns_more_than_wall_time(steps in prop::collection::vec((0_usize..3, 0_i64..200), 1..200)) {
        let course = (Category::Public, 1500, true);
        let mut studying = Studying::new(SCHEME, [3, 0], &[course, course, course]);
        let from = at("2019-10-30T23:00:00+08:00");
        let mut now = from;
        for (seq, (course, seconds)) in (0..).zip(&steps) {
            now += TimeDelta::seconds(*seconds);
            studying.beat(*course, seq, now).unwrap();
        }
        let mut credited = 0;
        for (course, session) in studying.courses.iter().zip(&studying.sessions) {
            let Some(session) = session else { continue };
            let uncredited: i64 = session.uncredited.iter().map(|tally| tally.micros).sum();
            let watched = (session.study.last_at - session.opened_at).num_microseconds().unwrap();
            prop_assert_eq!(session.credited_micros + uncredited, watched);
            prop_assert_eq!(session.credited_micros, course.study.credited_micros);
            prop_assert!(course.study.credited_micros <= course.study.length_micros());
            let spans = session.beats.beats(session.opened_at).flat_map(|(_, spans)| spans);
            prop_assert_eq!(spans.map(|span| span.micros()).sum::<i64>(), session.credited_micros);
            credited += session.credited_micros;
        }
        prop_assert!(credited <= (now - from).num_microseconds().unwrap());
        prop_assert_eq!(credited, studying.learner.phases[0].study.micros);
        prop_assert!(studying.achieved().len() <= 1);
    }

    /// What is read from all credit by its dates is what came out beat by beat, when the beats came in order.
    #[test]
    fn achievements_by_dates_are_those_beat_by_beat(
        steps in prop::collection::vec((0_usize..3, 1_i64..200), 1..200), required in 1_i64..8_000, totals in 0_i64..4,
    ) {
        let mut studying = Studying::new(SCHEME, [totals, 0], &[(Category::Public, 1500, true); 3]);
        studying.scheme.trainee.online[0].required_seconds = required;
        let mut now = at("2019-10-30T23:00:00+08:00");
        let (mut achieved, mut completed) = (None, Vec::new());
        for (seq, (course, seconds)) in (0..).zip(&steps) {
            now += TimeDelta::seconds(*seconds);
            studying.beat(*course, seq, now).unwrap();
            for fact in studying.facts.drain(..) {
                match fact {
                    Fact::SessionOpened | Fact::PhaseStudied(_) => {}
                    Fact::CourseCompleted { .. } => completed.push((course.to_string(), now)),
                    Fact::PhaseAchieved { by, .. } => achieved = Some((now, by)),
                }
            }
        }
        let courses: Vec<Course> = (0..3).map(|index: usize| Course {
            id: CourseId::parse(&index.to_string()).unwrap(),
            title: String::new(),
            terms: Terms {
                category: Category::Public,
                main_line: true,
                length_seconds: 1_500,
                subject: String::new(),
                education_stage: None,
                retired: false,
            }.into(),
        }).collect();
        let ids: Vec<SessionId> =
            courses.iter().map(|course| SessionId::parse(course.id.as_str()).unwrap()).collect();
        let mut credits = Vec::new();
        for ((course, session), session_id) in courses.iter().zip(&studying.sessions).zip(&ids) {
            let Some(session) = session else { continue };
            for (at, spans) in session.beats.beats(session.opened_at) {
                let micros = spans.iter().map(|span| span.micros()).sum();
                credits.push(DatedCredit { at, micros, course, session_id: Some(session_id) });
            }
        }
        credits.reverse();
        let asked = Asked { totals: Arc::from(studying.totals), ..Asked::default() }.into();
        let found = achievements(&studying.scheme, &asked, credits);
        let phase = found.phases[0].map(|reached| (reached.at, reached.by));
        prop_assert_eq!(phase, achieved);
        let courses = found.courses.iter().map(|(id, reached)| (id.to_string(), reached.at));
        prop_assert_eq!(courses.collect::<BTreeMap<_, _>>(), completed.into_iter().collect());
    }
}
