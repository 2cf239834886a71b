//! Heartbeats at every edge, and the properties of study time: none is lost, none is counted twice, whatever order the
//! sessions arrive in.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use shipei_rules::scheme::{Category, OnlineEntry, Scheme};
use shipei_rules::study_time::{
    CourseStudy, Credit, HeartbeatOutcome, LearnerStudy, MICROS_PER_SECOND, OutOfOrder, PhaseStudy,
    SessionStudy, UncreditedReason, WholeSeconds, heartbeat, phase_achieved, whole_seconds,
};

use crate::support::{at, changed, qinhuangdao};

fn course(minutes: i64) -> CourseStudy {
    CourseStudy { length_seconds: minutes * 60, credited_micros: 0, category: Category::Public }
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

    /// Whole seconds credited to the course.
    fn seconds(&self) -> i64 {
        whole_seconds(self.course.credited_micros)
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
        self.watch_every(start, end, TimeDelta::seconds(every_seconds));
    }

    fn watch_every(&mut self, start: &str, end: &str, every: TimeDelta) {
        let (mut when, end) = (at(start), at(end));
        let mut session = None;
        let mut seq = 0;
        loop {
            self.beat(&mut session, seq, when).unwrap();
            if when == end {
                return;
            }
            when = end.min(when + every);
            seq += 1;
        }
    }
}

#[test]
fn reasons_are_read_as_they_are_shown() {
    for reason in UncreditedReason::ALL {
        assert_eq!(UncreditedReason::parse(reason.as_str()), Some(*reason));
    }
    assert_eq!(UncreditedReason::parse("LATE"), None);
}

#[test]
fn session_inside_the_window_is_credited_to_the_second() {
    let mut learner = Learner::new(qinhuangdao(), course(90));
    learner.watch("2019-09-20T08:00:00", "2019-09-20T09:30:00", 120);
    assert_eq!(learner.seconds(), 5400);
    assert!(learner.course.is_complete());
    learner.watch("2019-09-21T08:00:00", "2019-09-21T09:30:00", 120);
    assert_eq!(learner.seconds(), 5400);
}

#[test]
fn heartbeat_of_each_kind_is_worth_what_the_law_says() {
    let mut learner = Learner::new(qinhuangdao(), course(90));
    let mut session = None;
    let opened = learner.beat(&mut session, 0, at("2019-09-20T08:00:00")).unwrap();
    assert_eq!((opened.outcome, seconds(&opened)), (HeartbeatOutcome::Opened, 0));

    let first = learner.beat(&mut session, 5, at("2019-09-20T08:02:00")).unwrap();
    assert_eq!((seconds(&first), first.phases.as_slice()), (120, [0].as_slice()));
    assert!(first.uncredited.is_empty());

    let duplicate = learner.beat(&mut session, 5, at("2019-09-20T07:00:00")).unwrap();
    assert_eq!(duplicate.outcome, HeartbeatOutcome::Duplicate);
    assert_eq!(duplicate.uncredited, [(UncreditedReason::Duplicate, 0)]);

    let before = (learner.study.clone(), session);
    assert_eq!(learner.beat(&mut session, 6, at("2019-09-20T08:01:59")), Err(OutOfOrder));
    assert_eq!((learner.study.clone(), session), before);

    let same_instant = learner.beat(&mut session, 7, at("2019-09-20T08:02:00")).unwrap();
    assert_eq!((same_instant.outcome, seconds(&same_instant)), (HeartbeatOutcome::Credited, 0));

    let gap = learner.beat(&mut session, 8, at("2019-09-20T08:07:00")).unwrap();
    assert_eq!(
        (seconds(&gap), gap.uncredited.as_slice()),
        (120, [(UncreditedReason::Gap, 180_000_000)].as_slice())
    );

    let fraction = learner.beat(&mut session, 9, at("2019-09-20T08:07:01.999")).unwrap();
    assert_eq!(fraction.micros(), 1_999_000);
}

#[test]
fn second_session_at_the_same_time_is_overlap() {
    let mut learner = Learner::new(qinhuangdao(), course(600));
    let (mut left, mut right) = (None, None);
    learner.beat(&mut left, 0, at("2019-09-20T08:00:00")).unwrap();
    learner.beat(&mut right, 0, at("2019-09-20T08:00:30")).unwrap();
    assert_eq!(learner.beat(&mut left, 1, at("2019-09-20T08:02:00")).unwrap().micros(), 120_000_000);
    let overlap = learner.beat(&mut right, 1, at("2019-09-20T08:02:30")).unwrap();
    assert_eq!(seconds(&overlap), 30);
    assert_eq!(overlap.uncredited, [(UncreditedReason::Overlap, 90_000_000)]);
}

#[test]
fn session_uploaded_late_earns_what_nobody_has_earned() {
    let mut learner = Learner::new(qinhuangdao(), course(1000));
    learner.watch("2019-09-20T19:00:00", "2019-09-20T20:00:00", 60);
    learner.watch("2019-09-20T08:00:00", "2019-09-20T09:00:00", 60);
    assert_eq!(learner.seconds(), 7200);
    // Around both, and over the hole between them.
    learner.watch("2019-09-20T07:30:00", "2019-09-20T20:30:00", 120);
    assert_eq!(learner.seconds(), 13 * 3600);
}

#[test]
fn beats_of_any_distance_lose_nothing() {
    for every in
        [TimeDelta::milliseconds(30_500), TimeDelta::milliseconds(900), TimeDelta::microseconds(7_000_001)]
    {
        let mut learner = Learner::new(qinhuangdao(), course(90));
        learner.watch_every("2019-09-20T08:00:00", "2019-09-20T09:30:00", every);
        assert!(learner.course.is_complete(), "{every}");
        assert_eq!(learner.course.credited_micros, 5400 * MICROS_PER_SECOND, "{every}");
    }
}

#[test]
fn of_the_time_that_is_free_the_last_part_is_credited() {
    let mut learner = Learner::new(qinhuangdao(), course(3));
    let (mut left, mut right) = (None, None);
    learner.beat(&mut right, 0, at("2019-09-20T08:00:40")).unwrap();
    learner.beat(&mut right, 1, at("2019-09-20T08:01:00")).unwrap();
    learner.beat(&mut left, 0, at("2019-09-20T08:00:00")).unwrap();
    learner.beat(&mut left, 1, at("2019-09-20T08:02:00")).unwrap();
    assert_eq!(learner.seconds(), 120);
    // A minute is left in the course: it is the second one, and the first is another course's to earn.
    let credit = learner.beat(&mut left, 2, at("2019-09-20T08:04:00")).unwrap();
    assert_eq!(credit.uncredited, [(UncreditedReason::CourseFull, 60_000_000)]);
    let span = credit.credited[0];
    assert_eq!((credit.credited.len(), span.until - span.from), (1, 60_000_000));
    assert_eq!(span.until, at("2019-09-20T08:04:00").timestamp_micros());
    learner.course = course(3);
    learner.watch("2019-09-20T08:02:00", "2019-09-20T08:04:00", 120);
    assert_eq!(learner.seconds(), 60);
}

#[test]
fn what_is_taken_back_is_free_again() {
    let mut learner = Learner::new(qinhuangdao(), course(600));
    let mut session = None;
    learner.beat(&mut session, 0, at("2019-09-20T23:59:00")).unwrap();
    let credit = learner.beat(&mut session, 1, at("2019-09-21T00:01:00")).unwrap();
    let sums = |learner: &Learner| learner.study.days().iter().map(|day| day.micros).collect::<Vec<_>>();
    assert_eq!(sums(&learner), [0, 120_000_000]);
    for span in credit.credited {
        learner.study.take_back(span, at("2019-09-21T00:01:00"));
    }
    assert_eq!(sums(&learner), [0, 0]);
    assert!(learner.study.days().iter().all(|day| day.credited.spans().is_empty()));
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
        assert_eq!(seconds(&credit), credited, "{when}");
        if credited == 0 {
            assert_eq!(credit.uncredited, [(UncreditedReason::OutsideWindow, 120_000_000)]);
            assert!(learner.study.days().iter().all(|day| day.credited.spans().is_empty()));
            assert_eq!(learner.seconds(), 0);
        }
    }
}

#[test]
fn course_is_credited_up_to_its_length_unless_the_scheme_says_otherwise() {
    let mut learner = Learner::new(qinhuangdao(), course(3));
    learner.watch("2019-09-20T08:00:00", "2019-09-20T08:10:00", 120);
    assert_eq!(learner.seconds(), 180);

    let uncapped = changed(&[("cap_course_at_duration      = true", "cap_course_at_duration = false")]);
    let mut learner = Learner::new(Scheme::parse(&uncapped).unwrap(), course(3));
    learner.watch("2019-09-20T08:00:00", "2019-09-20T08:10:00", 120);
    assert_eq!(learner.seconds(), 600);
}

#[test]
fn daily_cap_begins_anew_at_local_midnight() {
    let capped = changed(&[("daily_cap_minutes         = 0", "daily_cap_minutes = 30")]);
    let mut learner = Learner::new(Scheme::parse(&capped).unwrap(), course(600));
    learner.watch("2019-09-20T23:00:00", "2019-09-20T23:58:00", 60);
    assert_eq!(learner.seconds(), 1800);
    learner.watch("2019-09-20T23:58:00", "2019-09-21T00:02:00", 60);
    assert_eq!(learner.seconds(), 1800 + 180);
}

#[test]
fn daily_cap_holds_in_whatever_order_the_days_arrive() {
    let capped = changed(&[("daily_cap_minutes         = 0", "daily_cap_minutes = 30")]);
    let mut learner = Learner::new(Scheme::parse(&capped).unwrap(), course(600));
    for day in ["2019-09-21", "2019-09-20", "2019-09-21", "2019-09-20"] {
        learner.watch(&format!("{day}T08:00:00"), &format!("{day}T08:50:00"), 60);
    }
    assert_eq!(learner.seconds(), 2 * 1800);
}

#[test]
fn whole_seconds_of_parts_add_up_to_those_of_the_sum() {
    let mut shown = WholeSeconds::default();
    let parts = [1_900_000, 200_000, 0, 999_999, 900_000];
    assert_eq!(parts.map(|micros| shown.next(micros)), [1, 1, 0, 1, 0]);
    assert_eq!(whole_seconds(parts.iter().sum()), 3);
}

#[test]
fn phase_is_achieved_by_minutes_or_by_the_main_line() {
    let scheme = qinhuangdao();
    let entry = &scheme.trainee.online[0];
    let required = 12_000 * MICROS_PER_SECOND;
    assert!(!phase_achieved(entry, required - 1, false) && phase_achieved(entry, required, false));
    assert!(phase_achieved(entry, 0, true));

    let mut phase = PhaseStudy::default();
    let mut add = |micros, main_line, when: &str| {
        phase.add(micros, at(when));
        (phase.look(entry, main_line, at(when)), phase.achieved_at)
    };
    assert_eq!(add(required - 1, false, "2019-09-20T08:00:00"), (false, None));
    let achieved_at = Some(at("2019-09-20T08:00:01"));
    assert_eq!(add(1, false, "2019-09-20T08:00:01"), (true, achieved_at));
    assert_eq!(add(1, true, "2019-09-20T08:00:00"), (false, achieved_at));
    assert_eq!((phase.micros, phase.last_at), (required + 1, achieved_at));

    // What is given without study is achieved by none.
    let given = OnlineEntry { required_seconds: 0, ..entry.clone() };
    let mut phase = PhaseStudy::default();
    assert!(!phase.look(&given, true, at("2019-09-20T08:00:00")));
    assert_eq!((given.given_at(), phase.achieved_at), (Some(at("2019-09-15T00:00:00")), None));
}

fn seconds(credit: &Credit) -> i64 {
    assert_eq!(credit.micros() % MICROS_PER_SECOND, 0);
    credit.micros() / MICROS_PER_SECOND
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
            let credit = learner.beat(session, i64::try_from(seq).unwrap(), when).unwrap();

            let elapsed = previous.map_or(0, |previous| (when - previous).num_microseconds().unwrap());
            let uncredited: i64 = credit.uncredited.iter().map(|(_, micros)| micros).sum();
            prop_assert_eq!(credit.micros() + uncredited, elapsed);
            prop_assert!(credit.uncredited.iter().all(|(_, micros)| *micros > 0));
            prop_assert_eq!(credit.phases.is_empty(), credit.micros() == 0);
            total += credit.micros();
            prop_assert!(total <= (when - start).num_microseconds().unwrap());
            let cap = cap_minutes * 60 * MICROS_PER_SECOND;
            prop_assert!(learner.study.days().iter().all(|day| day.micros <= cap));
            prop_assert_eq!(learner.study.days().iter().map(|day| day.credited.micros()).sum::<i64>(), total);
        }
        prop_assert_eq!(learner.course.credited_micros, total);
        prop_assert!(total <= length_minutes * 60 * MICROS_PER_SECOND);
    }

    /// Sessions of one learner on courses that are never full, in any order: the time of all of them together, counted
    /// once, is credited; and those that meet no other are credited the same in every order.
    #[test]
    fn sum_does_not_depend_on_the_order_of_sessions(
        sessions in prop::collection::vec((0_i64..20_000, 1_i64..40, 1_i64..120_000), 1..8),
        order in prop::collection::vec(any::<prop::sample::Index>(), 8),
    ) {
        let start = at("2019-09-20T22:00:00");
        let credited = |order: &[usize]| {
            let mut learner = Learner::new(qinhuangdao(), course(100_000));
            for index in order {
                let (offset, beats, every) = sessions[*index];
                let mut session = None;
                for seq in 0..beats {
                    let when = start + TimeDelta::seconds(offset) + TimeDelta::milliseconds(every * seq);
                    learner.beat(&mut session, seq, when).unwrap();
                }
            }
            let spans = learner.study.days().iter().flat_map(|day| day.credited.spans().to_vec());
            (learner.course.credited_micros, spans.collect::<BTreeSet<_>>())
        };
        let in_order: Vec<usize> = (0..sessions.len()).collect();
        let mut shuffled = in_order.clone();
        for (place, other) in order.iter().enumerate().take(sessions.len()) {
            shuffled.swap(place, other.index(sessions.len()));
        }
        prop_assert_eq!(credited(&shuffled), credited(&in_order));
    }
}
