//! A trainee's score at every edge that Annex 2 names.

use shipei_rules::explanation::{ItemKey, ItemState, Missing, Need};
use shipei_rules::ids::{ActivityId, SeminarId};
use shipei_rules::scheme::{Grade, Scheme, Task};
use shipei_rules::submission::Submission;
use shipei_rules::trainee::{
    OfflineScore, SeminarPost, TraineeFacts, TraineeScore, done_on_time_at, passed_at, score,
};

use crate::support::{at, changed, qinhuangdao, reasons, submission};

const PASS: Option<Grade> = Some(Grade::Pass);
const FAIL: Option<Grade> = Some(Grade::Fail);
const EXCELLENT: Option<Grade> = Some(Grade::Excellent);

fn post(when: &str) -> SeminarPost {
    SeminarPost { seminar: SeminarId::parse("N1").unwrap(), at: at(when) }
}

fn offline(activity: &str, points: i64, when: &str, sequence: i64) -> OfflineScore {
    OfflineScore { activity: ActivityId::parse(activity).unwrap(), score: points, at: at(when), sequence }
}

/// A trainee who does everything on time and passes with 80.
fn diligent() -> TraineeFacts {
    TraineeFacts {
        login_at: Some(at("2019-09-12T09:00:00")),
        phases: vec![Some(at("2019-09-20T10:00:00")), Some(at("2019-10-20T10:00:00"))],
        submissions: vec![submission("A1", "2019-11-04T10:00:00", &[("2019-11-05T10:00:00", PASS)])],
        seminar_posts: vec![post("2019-11-25T10:00:00")],
        ..TraineeFacts::default()
    }
}

fn final_score(facts: &TraineeFacts) -> TraineeScore {
    let scheme = qinhuangdao();
    score(&scheme, facts, scheme.final_as_of())
}

fn points(score: &TraineeScore) -> Vec<i64> {
    score.items.iter().map(|item| item.points).collect()
}

#[test]
fn trainee_who_does_everything_passes_with_evidence() {
    let score = final_score(&diligent());
    assert_eq!((points(&score), score.total, score.passed), (vec![10, 40, 20, 10, 0], 80, true));
    assert_eq!(reasons(&score.items), "");
    let assignment = score.item(ItemKey::Assignment).unwrap();
    assert_eq!(assignment.evidence.as_deref(), Some("A1"));
    assert_eq!(assignment.at, Some(at("2019-11-05T10:00:00")));
    assert_eq!(score.item(ItemKey::Offline).unwrap().state, ItemState::Missed);
    assert!(
        score.items.iter().all(|item| item.clause.en.contains("Annex 2") && item.clause.zh.contains("附件2"))
    );
}

#[test]
fn trainee_who_does_nothing_misses_every_item_for_its_reason() {
    let score = final_score(&TraineeFacts::default());
    assert_eq!((score.total, score.passed), (0, false));
    assert_eq!(
        reasons(&score.items),
        "phase_1:NOT_ACHIEVED_IN_WINDOW phase_2:NOT_ACHIEVED_IN_WINDOW assignment:NOT_SUBMITTED seminar:NOT_ATTENDED"
    );
    assert!(score.items.iter().all(|item| item.reason.is_some()));
}

#[test]
fn trainee_without_seminar_fails_however_many_points() {
    let mut facts = diligent();
    facts.seminar_posts.clear();
    facts.submissions = vec![submission("A1", "2019-11-04T10:00:00", &[("2019-11-05T10:00:00", EXCELLENT)])];
    facts.offline_scores = vec![offline("O1", 10, "2019-10-04T10:00:00", 0)];
    let score = final_score(&facts);
    assert_eq!((score.total, score.passed), (90, false));
    let lenient =
        Scheme::parse(&changed(&[("seminar_required = true", "seminar_required = false")])).unwrap();
    assert!(shipei_rules::trainee::score(&lenient, &facts, lenient.final_as_of()).passed);
}

#[test]
fn phase_two_without_phase_one_earns_nothing_once_phase_one_is_over() {
    let mut facts = diligent();
    facts.phases = vec![None, Some(at("2019-10-20T10:00:00"))];
    let scheme = qinhuangdao();
    let pending = score(&scheme, &facts, at("2019-10-30T23:59:59"));
    assert_eq!((pending.items[1].state, pending.items[1].points), (ItemState::Pending, 0));
    let missed = score(&scheme, &facts, at("2019-10-31T00:00:00"));
    assert_eq!(reasons(&missed.items), "phase_1:NOT_ACHIEVED_IN_WINDOW phase_2:PREVIOUS_PHASE_MISSED");
    facts.phases = vec![Some(at("2019-10-31T00:00:00")), Some(at("2019-10-20T10:00:00"))];
    assert_eq!(points(&final_score(&facts))[..2], [0, 0]);
}

#[test]
fn third_phase_looks_at_the_achievement_of_the_second_only() {
    let third = "[[trainee.online]]\nwindow = \"phase_3\"\ncategories = [\"public\"]\nminutes = 10\npoints = 5\nrequires_previous = true\n\n[trainee.assignment]";
    let scheme = Scheme::parse(&changed(&[("[trainee.assignment]", third)])).unwrap();
    let mut facts = diligent();
    facts.phases = vec![None, Some(at("2019-10-20T10:00:00")), Some(at("2019-11-20T10:00:00"))];
    let score = score(&scheme, &facts, scheme.final_as_of());
    assert_eq!(points(&score)[..3], [0, 0, 5]);
}

fn assignment_of(submissions: Vec<Submission>) -> (i64, String) {
    let score = final_score(&TraineeFacts { submissions, ..diligent() });
    (score.items[2].points, reasons(&score.items))
}

#[test]
fn assignment_is_judged_by_the_last_mark_of_the_newest_submission() {
    let first = |marks: &[(&str, Option<Grade>)]| submission("A1", "2019-11-04T10:00:00", marks);
    let second = |marks: &[(&str, Option<Grade>)]| submission("A2", "2019-11-06T10:00:00", marks);
    let cases = [
        (vec![first(&[("2019-11-05T10:00:00", PASS), ("2019-11-06T09:00:00", EXCELLENT)])], 30, ""),
        (
            vec![first(&[("2019-11-05T10:00:00", EXCELLENT), ("2019-11-06T09:00:00", FAIL)])],
            0,
            "assignment:GRADED_FAIL",
        ),
        (vec![first(&[("2019-11-05T10:00:00", None)])], 0, "assignment:RETURNED"),
        (vec![first(&[("2019-11-05T10:00:00", None), ("2019-11-05T10:00:00", PASS)])], 20, ""),
        (vec![first(&[("2019-11-05T10:00:00", FAIL)]), second(&[("2019-11-07T10:00:00", PASS)])], 20, ""),
        (vec![first(&[("2019-11-05T10:00:00", FAIL)]), second(&[])], 0, "assignment:NOT_REVIEWED"),
        (vec![first(&[("2019-12-20T23:59:59", PASS)])], 20, ""),
        (vec![first(&[("2019-12-21T00:00:00", PASS)])], 0, "assignment:NOT_REVIEWED"),
        (
            vec![submission("A1", "2019-12-11T00:00:00", &[("2019-12-12T00:00:00", PASS)])],
            0,
            "assignment:NOT_SUBMITTED",
        ),
        (vec![submission("A1", "2019-12-10T23:59:59", &[("2019-12-12T00:00:00", PASS)])], 20, ""),
    ];
    for (submissions, points, reasons) in cases {
        assert_eq!(assignment_of(submissions.clone()), (points, reasons.to_owned()), "{submissions:?}");
        let reversed = submissions.into_iter().rev().collect();
        assert_eq!(assignment_of(reversed), (points, reasons.to_owned()));
    }
}

#[test]
fn assignment_is_pending_while_it_can_still_be_made_good() {
    let scheme = qinhuangdao();
    let mut facts = diligent();
    facts.submissions = vec![submission("A1", "2019-11-04T10:00:00", &[("2019-11-05T10:00:00", FAIL)])];
    for (when, state) in
        [("2019-12-20T23:59:59", ItemState::Pending), ("2019-12-21T00:00:00", ItemState::Missed)]
    {
        assert_eq!(score(&scheme, &facts, at(when)).items[2].state, state);
    }
    facts.submissions.clear();
    for (when, state) in
        [("2019-12-10T23:59:59", ItemState::Pending), ("2019-12-11T00:00:00", ItemState::Missed)]
    {
        assert_eq!(score(&scheme, &facts, at(when)).items[2].state, state);
    }
}

#[test]
fn seminar_counts_inside_its_window_to_the_second() {
    for (when, points) in [
        ("2019-11-19T23:59:59", 0),
        ("2019-11-20T00:00:00", 10),
        ("2019-12-20T23:59:59", 10),
        ("2019-12-21T00:00:00", 0),
    ] {
        let score = final_score(&TraineeFacts { seminar_posts: vec![post(when), post(when)], ..diligent() });
        assert_eq!((score.items[3].points, score.passed), (points, points == 10), "{when}");
    }
}

#[test]
fn offline_is_the_best_activity_by_its_last_score() {
    let facts = TraineeFacts {
        offline_scores: vec![
            offline("O1", 9, "2019-10-04T10:00:00", 0),
            offline("O1", 7, "2019-10-05T10:00:00", 1),
            offline("O2", 6, "2019-10-06T10:00:00", 0),
            offline("O3", 11, "2019-10-06T10:00:00", 0),
            offline("O3", 10, "2019-12-11T00:00:00", 0),
            offline("O4", 8, "2019-10-06T10:00:00", 0),
            offline("O4", 2, "2019-10-06T10:00:00", 1),
        ],
        ..diligent()
    };
    let score = final_score(&facts);
    assert_eq!((score.items[4].points, score.items[4].evidence.as_deref()), (7, Some("O1")));
}

#[test]
fn facts_after_as_of_do_not_count() {
    let scheme = qinhuangdao();
    let early = score(&scheme, &diligent(), at("2019-09-20T09:59:59"));
    assert!(early.items.iter().all(|item| item.state == ItemState::Pending && item.reason.is_none()));
    let exactly = score(&scheme, &diligent(), at("2019-09-20T10:00:00"));
    assert_eq!(exactly.total, 10);
}

#[test]
fn withdrawn_trainee_has_no_score_from_that_moment_on() {
    let scheme = qinhuangdao();
    let facts = TraineeFacts { absences: at("2019-12-01T10:00:00").into(), ..diligent() };
    assert!(!score(&scheme, &facts, at("2019-12-01T09:59:59")).withdrawn);
    let withdrawn = score(&scheme, &facts, at("2019-12-01T10:00:00"));
    assert!(withdrawn.withdrawn && withdrawn.items.is_empty() && !withdrawn.passed);
    assert_eq!(tasks(&scheme, &facts), [false; 5]);
}

/// Which of login, phase_1, phase_2, assignment and seminar were done on time.
fn tasks(scheme: &Scheme, facts: &TraineeFacts) -> Vec<bool> {
    let end = scheme.final_as_of();
    let score = score(scheme, facts, end);
    let tasks = scheme.counselor.registration_login.tasks.iter();
    tasks.map(|task| done_on_time_at(scheme, facts, &score, end, *task).is_some()).collect()
}

#[test]
fn tasks_of_the_county_are_done_when_on_time() {
    let scheme = qinhuangdao();
    assert_eq!(tasks(&scheme, &diligent()), [true; 5]);
    assert_eq!(tasks(&scheme, &TraineeFacts::default()), [false; 5]);
    for (login, done) in [
        ("2019-09-10T23:59:59", false),
        ("2019-09-11T00:00:00", true),
        ("2019-09-14T23:59:59", true),
        ("2019-09-15T00:00:00", false),
    ] {
        let facts = TraineeFacts { login_at: Some(at(login)), ..diligent() };
        assert_eq!(tasks(&scheme, &facts)[0], done, "{login}");
    }
    let unmarked =
        TraineeFacts { submissions: vec![submission("A1", "2019-11-04T10:00:00", &[])], ..diligent() };
    assert!(tasks(&scheme, &unmarked)[3]);
    let at_once = at("2019-11-04T10:00:00");
    let then = score(&scheme, &unmarked, at_once);
    let submitted_at = |as_of| done_on_time_at(&scheme, &unmarked, &then, as_of, Task::Assignment);
    assert_eq!(submitted_at(at_once), Some(at_once));
    assert_eq!(submitted_at(at("2019-11-04T09:59:59")), None);
    let missed = TraineeFacts { phases: vec![None, Some(at("2019-10-20T10:00:00"))], ..diligent() };
    assert_eq!(tasks(&scheme, &missed), [true, false, false, true, true]);
}

#[test]
fn trainee_has_passed_from_the_moment_on_that_brings_what_was_still_missing() {
    let scheme = qinhuangdao();
    let passed = |facts: &TraineeFacts| passed_at(&scheme, &final_score(facts));
    assert_eq!(passed(&diligent()), Some(at("2019-11-25T10:00:00")));
    let mut excellent = diligent();
    excellent.submissions =
        vec![submission("A1", "2019-11-04T10:00:00", &[("2019-11-05T10:00:00", EXCELLENT)])];
    excellent.seminar_posts = vec![post("2019-11-24T10:00:00")];
    excellent.offline_scores = vec![offline("O1", 10, "2019-10-04T10:00:00", 0)];
    // Enough points on 5 November, and the seminar later.
    assert_eq!(passed(&excellent), Some(at("2019-11-24T10:00:00")));
    assert_eq!(passed(&TraineeFacts::default()), None);
}

#[test]
fn item_that_is_not_earned_says_what_it_needs_until_when() {
    let scheme = qinhuangdao();
    // What, how much there is, how much is needed, and the last day.
    type Told = (Need, Option<i64>, i64, String);
    let missing = |facts: &TraineeFacts, when: &str| -> Vec<Option<Told>> {
        let items = score(&scheme, facts, at(when)).items;
        let told = |missing: Missing| {
            (missing.what, missing.have, missing.need, scheme.zone.day_of(missing.until).to_string())
        };
        items.into_iter().map(|item| item.missing.map(told)).collect()
    };
    let one = |what, until: &str| Some((what, Some(0), 1, until.to_owned()));
    let study = |need, until: &str| Some((Need::Study, None, need, until.to_owned()));
    assert_eq!(
        missing(&TraineeFacts::default(), "2019-09-11T00:00:00"),
        [
            study(12_000, "2019-10-31"),
            study(60_000, "2019-12-01"),
            one(Need::Submission, "2019-12-11"),
            Some((Need::Post, Some(0), 300, "2019-12-21".to_owned())),
            one(Need::OfflineScore, "2019-12-11"),
        ]
    );
    let late = TraineeFacts { phases: vec![None, Some(at("2019-10-20T10:00:00"))], ..diligent() };
    assert_eq!(missing(&late, "2019-10-21T00:00:00")[1], one(Need::PreviousPhase, "2019-10-31"));
    for (marks, what) in [
        (vec![], Some(Need::Review)),
        (vec![("2019-11-05T10:00:00", None)], Some(Need::Revision)),
        (vec![("2019-11-05T10:00:00", FAIL)], Some(Need::BetterGrade)),
        (vec![("2019-11-05T10:00:00", PASS)], None),
    ] {
        let facts =
            TraineeFacts { submissions: vec![submission("A1", "2019-11-04T10:00:00", &marks)], ..diligent() };
        let expected = what.and_then(|what| one(what, "2019-12-21"));
        assert_eq!(missing(&facts, "2019-12-31T00:00:00")[2], expected, "{marks:?}");
    }
}

#[test]
fn best_grade_of_a_scheme_is_the_most_that_an_assignment_gives() {
    let text = changed(&[("excellent = 30, pass = 20, fail = 0", "excellent = 5, pass = 20, fail = 7")]);
    let scheme = Scheme::parse(&text).unwrap();
    assert_eq!(scheme.trainee.assignment.points.most(), 20);
    for (grade, points, state) in
        [(EXCELLENT, 5, ItemState::Earned), (PASS, 20, ItemState::Earned), (FAIL, 7, ItemState::Missed)]
    {
        let marked = submission("A1", "2019-11-04T10:00:00", &[("2019-11-05T10:00:00", grade)]);
        let facts = TraineeFacts { submissions: vec![marked], ..diligent() };
        let item = score(&scheme, &facts, scheme.final_as_of()).items.swap_remove(2);
        assert_eq!((item.points, item.max_points, item.state), (points, 20, state));
    }
}
