//! Heartbeats at every edge, and the two properties of study time: no second is lost, none is counted twice.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use shipei_rules::scheme::{Category, OnlineEntry, Scheme};
use shipei_rules::study_time::{
    CourseStudy, Credit, HeartbeatOutcome, LearnerStudy, OutOfOrder, PhaseStudy, SessionStudy,
    UncreditedReason, heartbeat, main_line_complete, phase_achieved,
};

use crate::support::{at, changed, qinhuangdao};

fn course(minutes: i64) -> CourseStudy {
    CourseStudy { length_seconds: minutes * 60, credited_seconds: 0, category: Category::Public }
}

/// One learner with one course, session by session.
struct Learner {
    scheme: Scheme,
    study: LearnerStudy,
    course: CourseStudy,
}

impl Learner {
    fn new(scheme: Scheme, course: CourseStudy) -> Self {
        Self { scheme, study: LearnerStudy::default(), course }
    }

    fn beat(
        &mut self,
        session: &mut Option<SessionStudy>,
        seq: i64,
        when: DateTime<Utc>,
    ) -> Result<Credit, OutOfOrder> {
        heartbeat(&self.scheme, &mut self.study, session, &mut self.course, seq, when)
    }

    /// A season's `study.session` line: `seq` 0 at the start, one every so often, the last exactly at the end.
    fn watch(&mut self, start: &str, end: &str, every_seconds: i64) {
        let (mut when, end) = (at(start), at(end));
        let mut session = None;
        let mut seq = 0;
        loop {
            self.beat(&mut session, seq, when).unwrap();
            if when == end {
                return;
            }
            when = end.min(when + TimeDelta::seconds(every_seconds));
            seq += 1;
        }
    }
}

#[test]
fn session_inside_the_window_is_credited_to_the_second() {
    let mut learner = Learner::new(qinhuangdao(), course(90));
    learner.watch("2019-09-20T08:00:00", "2019-09-20T09:30:00", 120);
    assert_eq!(learner.course.credited_seconds, 5400);
    assert!(learner.course.is_complete());
    learner.watch("2019-09-21T08:00:00", "2019-09-21T09:30:00", 120);
    assert_eq!(learner.course.credited_seconds, 5400);
}

#[test]
fn heartbeat_of_each_kind_is_worth_what_the_law_says() {
    let mut learner = Learner::new(qinhuangdao(), course(90));
    let mut session = None;
    let opened = learner.beat(&mut session, 0, at("2019-09-20T08:00:00")).unwrap();
    assert_eq!((opened.outcome, opened.credited_seconds), (HeartbeatOutcome::Opened, 0));

    let first = learner.beat(&mut session, 5, at("2019-09-20T08:02:00")).unwrap();
    assert_eq!((first.credited_seconds, first.phases.as_slice()), (120, [0].as_slice()));
    assert!(first.uncredited.is_empty());

    let duplicate = learner.beat(&mut session, 5, at("2019-09-20T07:00:00")).unwrap();
    assert_eq!(duplicate.outcome, HeartbeatOutcome::Duplicate);
    assert_eq!(duplicate.uncredited, [(UncreditedReason::Duplicate, 0)]);

    let before = (learner.study.clone(), session.clone());
    assert_eq!(learner.beat(&mut session, 6, at("2019-09-20T08:01:59")), Err(OutOfOrder));
    assert_eq!((learner.study.clone(), session.clone()), before);

    let same_instant = learner.beat(&mut session, 7, at("2019-09-20T08:02:00")).unwrap();
    assert_eq!((same_instant.outcome, same_instant.credited_seconds), (HeartbeatOutcome::Credited, 0));

    let gap = learner.beat(&mut session, 8, at("2019-09-20T08:07:00")).unwrap();
    assert_eq!(
        (gap.credited_seconds, gap.uncredited.as_slice()),
        (120, [(UncreditedReason::Gap, 180)].as_slice())
    );

    let fraction = learner.beat(&mut session, 9, at("2019-09-20T08:07:01.999")).unwrap();
    assert_eq!(fraction.credited_seconds, 1);
}

#[test]
fn second_session_at_the_same_time_is_overlap() {
    let mut learner = Learner::new(qinhuangdao(), course(600));
    let (mut left, mut right) = (None, None);
    learner.beat(&mut left, 0, at("2019-09-20T08:00:00")).unwrap();
    learner.beat(&mut right, 0, at("2019-09-20T08:00:30")).unwrap();
    assert_eq!(learner.beat(&mut left, 1, at("2019-09-20T08:02:00")).unwrap().credited_seconds, 120);
    let overlap = learner.beat(&mut right, 1, at("2019-09-20T08:02:30")).unwrap();
    assert_eq!(overlap.credited_seconds, 30);
    assert_eq!(overlap.uncredited, [(UncreditedReason::Overlap, 90)]);
}

#[test]
fn heartbeat_at_the_edges_of_the_window_counts_by_its_own_instant() {
    for (before, when, credited) in [
        ("2019-09-14T23:57:59", "2019-09-14T23:59:59", 0),
        ("2019-09-14T23:58:00", "2019-09-15T00:00:00", 120),
        ("2019-10-30T23:57:59", "2019-10-30T23:59:59", 120),
        ("2019-10-30T23:58:00", "2019-10-31T00:00:00", 0),
    ] {
        let mut learner = Learner::new(qinhuangdao(), course(90));
        let mut session = None;
        learner.beat(&mut session, 0, at(before)).unwrap();
        let credit = learner.beat(&mut session, 1, at(when)).unwrap();
        assert_eq!(credit.credited_seconds, credited, "{when}");
        if credited == 0 {
            assert_eq!(credit.uncredited, [(UncreditedReason::OutsideWindow, 120)]);
            assert_eq!((learner.study.credited_until, learner.course.credited_seconds), (None, 0));
        }
    }
}

#[test]
fn course_is_credited_up_to_its_length_unless_the_scheme_says_otherwise() {
    let mut learner = Learner::new(qinhuangdao(), course(3));
    learner.watch("2019-09-20T08:00:00", "2019-09-20T08:10:00", 120);
    assert_eq!(learner.course.credited_seconds, 180);

    let uncapped = changed(&[("cap_course_at_duration      = true", "cap_course_at_duration = false")]);
    let mut learner = Learner::new(Scheme::parse(&uncapped).unwrap(), course(3));
    learner.watch("2019-09-20T08:00:00", "2019-09-20T08:10:00", 120);
    assert_eq!(learner.course.credited_seconds, 600);
}

#[test]
fn daily_cap_begins_anew_at_local_midnight() {
    let capped = changed(&[("daily_cap_minutes         = 0", "daily_cap_minutes = 30")]);
    let mut learner = Learner::new(Scheme::parse(&capped).unwrap(), course(600));
    learner.watch("2019-09-20T23:00:00", "2019-09-20T23:58:00", 60);
    assert_eq!(learner.course.credited_seconds, 1800);
    learner.watch("2019-09-20T23:58:00", "2019-09-21T00:02:00", 60);
    assert_eq!(learner.course.credited_seconds, 1800 + 180);
}

#[test]
fn phase_is_achieved_by_minutes_or_by_the_main_line() {
    let scheme = qinhuangdao();
    let entry = &scheme.trainee.online[0];
    assert!(!phase_achieved(entry, 11_999, false) && phase_achieved(entry, 12_000, false));
    assert!(phase_achieved(entry, 0, true));
    assert!(!main_line_complete([]));
    assert!(!main_line_complete([(60, 60), (60, 59)]) && main_line_complete([(60, 60), (60, 61)]));

    let mut phase = PhaseStudy::default();
    assert!(!phase.add(entry, 11_999, false, at("2019-09-20T08:00:00")));
    assert!(phase.add(entry, 1, false, at("2019-09-20T08:00:01")));
    assert!(!phase.add(entry, 1, true, at("2019-09-20T08:00:02")));
    assert_eq!(phase.achieved_at, Some(at("2019-09-20T08:00:01")));

    // What is given without study is achieved by none.
    let given = OnlineEntry { required_seconds: 0, ..entry.clone() };
    let mut phase = PhaseStudy::default();
    assert!(!phase.add(&given, 60, true, at("2019-09-20T08:00:00")));
    assert_eq!((given.given_at(), phase.achieved_at), (Some(at("2019-09-15T00:00:00")), None));
}

/// A heartbeat of one of three sessions: how long after the one before it in time, and in which session.
fn any_heartbeats() -> impl Strategy<Value = Vec<(i64, usize)>> {
    prop::collection::vec((0_i64..200_000, 0_usize..3), 1..80)
}

proptest! {
    #[test]
    fn heartbeats_account_for_every_second_once(
        beats in any_heartbeats(), cap_minutes in 30_i64..90, length_minutes in 1_i64..60,
    ) {
        let mut scheme = qinhuangdao();
        scheme.study.daily_cap_seconds = Some(cap_minutes * 60);
        let mut learner = Learner::new(scheme, course(length_minutes));
        let mut sessions = [const { None::<SessionStudy> }; 3];
        let start = at("2019-09-14T23:30:00");
        let mut when = start;
        let mut total = 0;
        for (seq, (milliseconds, index)) in beats.into_iter().enumerate() {
            when += TimeDelta::milliseconds(milliseconds);
            let session = &mut sessions[index];
            let previous = session.as_ref().map(|session| session.last_at);
            let credited_until = learner.study.credited_until;
            let credit = learner.beat(session, i64::try_from(seq).unwrap(), when).unwrap();

            let elapsed = previous.map_or(0, |previous| (when - previous).num_seconds());
            let uncredited: i64 = credit.uncredited.iter().map(|(_, seconds)| seconds).sum();
            prop_assert_eq!(credit.credited_seconds + uncredited, elapsed);
            prop_assert!(credit.uncredited.iter().all(|(_, seconds)| *seconds > 0));
            prop_assert_eq!(credit.phases.is_empty(), credit.credited_seconds == 0);
            if credit.credited_seconds == 0 {
                prop_assert_eq!(learner.study.credited_until, credited_until);
            }
            total += credit.credited_seconds;
            prop_assert!(total <= (when - start).num_seconds());
            prop_assert!(learner.study.day_seconds <= cap_minutes * 60);
        }
        prop_assert_eq!(learner.course.credited_seconds, total);
        prop_assert!(total <= length_minutes * 60);
    }
}
