//! A county's score (Annex 4): rounding, stages, and the flag of scores that are not distinct.

use proptest::prelude::*;
use shipei_rules::counselor::{CountyFacts, CountyScore, Hundredths, StageFacts, score};
use shipei_rules::explanation::{ItemState, Missing, Need, ReasonCode};
use shipei_rules::scheme::EducationStage;

use crate::support::{at, qinhuangdao};

fn complete(stage: EducationStage, active: i64) -> StageFacts {
    StageFacts {
        stage,
        active,
        plan_at: Some(at("2019-07-15T00:00:00")),
        activity_at: Some(at("2019-10-01T08:00:00")),
        attendances_of_active: 4,
        scored_attendances_of_active: 4,
        results_at: Some(at("2019-12-10T23:59:59")),
    }
}

fn county(active: i64, done_by_task: [i64; 5], stages: Vec<StageFacts>) -> CountyFacts {
    CountyFacts { active, done_by_task: done_by_task.to_vec(), stages, ..CountyFacts::default() }
}

fn final_score(facts: &CountyFacts) -> CountyScore {
    let scheme = qinhuangdao();
    score(&scheme, facts, scheme.final_as_of())
}

#[test]
fn county_of_the_edges_season_has_its_scores() {
    let facts = county(36, [34, 30, 28, 34, 32], vec![complete(EducationStage::Compulsory, 36)]);
    let score = final_score(&facts);
    assert_eq!(score.registration_login.to_string(), "61.44");
    assert_eq!(score.offline.to_string(), "30.00");
    assert_eq!(score.total.to_string(), "91.44");
    assert_eq!(score.tasks[1].done, 30);
}

#[test]
fn county_without_active_trainees_has_no_score() {
    let score = final_score(&county(0, [0; 5], vec![complete(EducationStage::Compulsory, 0)]));
    assert!(!score.applicable && score.items.is_empty());
}

#[test]
fn offline_items_are_shared_by_the_stages_with_active_trainees() {
    let mut lacking = complete(EducationStage::NonCompulsory, 5);
    lacking.scored_attendances_of_active = 3;
    let both =
        final_score(&county(10, [0; 5], vec![complete(EducationStage::Compulsory, 5), lacking.clone()]));
    assert_eq!((both.items.len(), both.offline.to_string()), (8, "26.25".to_owned()));
    let missed: Vec<_> = both.items.iter().filter_map(|item| item.reason).collect();
    assert_eq!(missed, [ReasonCode::AttendanceNotScored]);
    let stages: Vec<EducationStage> = both.items.iter().map(|item| item.stage).collect();
    assert_eq!(stages, [EducationStage::Compulsory, EducationStage::NonCompulsory].repeat(4));
    lacking.active = 0;
    let one = final_score(&county(10, [0; 5], vec![complete(EducationStage::Compulsory, 10), lacking]));
    assert_eq!((one.items.len(), one.offline.to_string()), (4, "30.00".to_owned()));
}

#[test]
fn offline_items_count_inside_their_windows_to_the_second() {
    for (plan, activity, results, earned) in [
        ("2019-07-14T23:59:59", "2019-09-30T23:59:59", "2019-12-11T00:00:00", 0),
        ("2019-07-15T00:00:00", "2019-10-01T00:00:00", "2019-12-10T23:59:59", 3),
        ("2019-12-10T23:59:59", "2019-12-10T23:59:59", "2019-10-01T00:00:00", 3),
        ("2019-12-11T00:00:00", "2019-12-11T00:00:00", "2019-09-30T23:59:59", 0),
    ] {
        let stage = StageFacts {
            plan_at: Some(at(plan)),
            activity_at: Some(at(activity)),
            results_at: Some(at(results)),
            attendances_of_active: 0,
            scored_attendances_of_active: 0,
            ..complete(EducationStage::Compulsory, 1)
        };
        let score = final_score(&county(1, [0; 5], vec![stage]));
        let count = score.items.iter().filter(|item| item.state == ItemState::Earned).count();
        assert_eq!(count, earned, "{plan}");
        assert_eq!(score.items[2].reason, Some(ReasonCode::NobodyAttended));
    }
}

#[test]
fn share_is_rounded_half_up_once() {
    for (points, numerator, denominator, text) in [
        (70, 1, 3, "23.33"),
        (70, 2, 3, "46.67"),
        (1, 1, 200, "0.01"),
        (1, 1, 201, "0.00"),
        (30, 7, 8, "26.25"),
        (70, 0, 5, "0.00"),
        (70, 5, 0, "0.00"),
        (70, 158, 180, "61.44"),
    ] {
        assert_eq!(Hundredths::of_share(points, numerator, denominator).to_string(), text);
    }
    assert_eq!(Hundredths(-5).to_string(), "-0.05");
}

#[test]
fn scores_are_flagged_from_the_number_of_participants_on() {
    for (scored_participants, distinct_scores, flagged) in
        [(9, 1, false), (10, 1, true), (10, 2, false), (0, 0, false)]
    {
        let facts = CountyFacts { scored_participants, distinct_scores, ..county(10, [0; 5], Vec::new()) };
        assert_eq!(final_score(&facts).scores_not_distinct, flagged, "{scored_participants}");
    }
}

#[test]
fn task_and_item_that_are_not_complete_say_what_they_need_until_when() {
    let scheme = qinhuangdao();
    let mut stage =
        StageFacts { plan_at: None, activity_at: None, ..complete(EducationStage::Compulsory, 12) };
    stage.results_at = None;
    stage.scored_attendances_of_active = 3;
    let facts = county(12, [12, 7, 0, 0, 0], vec![stage.clone()]);
    let score_at = |facts: &CountyFacts, when: &str| score(&scheme, facts, at(when));
    let told = |missing: Option<Missing>| {
        missing.map(|missing| {
            let day = scheme.zone.day_of(missing.until).to_string();
            (missing.what, missing.have.unwrap(), missing.need, day)
        })
    };
    let tasks: Vec<_> = score_at(&facts, "2019-10-30T23:59:59")
        .tasks
        .into_iter()
        .map(|share| (share.key().to_string(), share.state, told(share.missing)))
        .collect();
    let trainees = |done, day: &str| Some((Need::Trainees, done, 12, day.to_owned()));
    assert_eq!(tasks[0], ("login".to_owned(), ItemState::Earned, None));
    assert_eq!(tasks[1], ("phase_1".to_owned(), ItemState::Pending, trainees(7, "2019-10-31")));
    assert_eq!(tasks[2], ("phase_2".to_owned(), ItemState::Pending, trainees(0, "2019-12-01")));
    assert_eq!(tasks[3], ("assignment".to_owned(), ItemState::Pending, trainees(0, "2019-12-11")));
    assert_eq!(tasks[4], ("seminar".to_owned(), ItemState::Pending, trainees(0, "2019-12-21")));
    let after = score_at(&facts, "2019-10-31T00:00:00");
    assert_eq!(after.tasks[1].state, ItemState::Missed);
    assert_eq!(after.tasks[1].explanation().en, "7 of 12 active trainees on time");
    assert_eq!(after.tasks[1].explanation().zh, "12名参训教师中7名按时完成");

    let items: Vec<_> = score_at(&facts, "2019-12-10T23:59:59")
        .items
        .into_iter()
        .map(|item| (item.key().to_string(), item.state, told(item.missing)))
        .collect();
    let one = |what| Some((what, 0, 1, "2019-12-11".to_owned()));
    let scoring = Some((Need::Scoring, 3, 4, "2019-12-11".to_owned()));
    assert_eq!(items[0], ("plan:compulsory".to_owned(), ItemState::Pending, one(Need::Plan)));
    assert_eq!(items[1], ("activity:compulsory".to_owned(), ItemState::Pending, one(Need::Activity)));
    assert_eq!(items[2], ("scoring:compulsory".to_owned(), ItemState::Pending, scoring));
    assert_eq!(items[3], ("results:compulsory".to_owned(), ItemState::Pending, one(Need::Results)));
    stage.attendances_of_active = 0;
    let nobody = county(12, [0; 5], vec![stage]);
    let item = score_at(&nobody, "2019-12-11T00:00:00").items.swap_remove(2);
    assert_eq!((item.state, item.reason), (ItemState::Missed, Some(ReasonCode::NobodyAttended)));
    assert_eq!(told(item.missing), one(Need::Attendance));
}

proptest! {
    #[test]
    fn county_score_is_in_range_and_grows_with_every_task_done(
        active in 1_i64..100_000, shares in prop::array::uniform5(0_i64..=1000), more in 0_usize..5,
    ) {
        let done = shares.map(|share| active * share / 1000);
        let before = final_score(&county(active, done, Vec::new()));
        prop_assert!((Hundredths(0)..=Hundredths(7000)).contains(&before.registration_login));
        let mut better = done;
        better[more] = (better[more] + 1).min(active);
        prop_assert!(final_score(&county(active, better, Vec::new())).total >= before.total);

        // Half up exactly: |hundredths * 5 * active - 7000 * sum| is at most half of 5 * active.
        let sum: i64 = done.iter().sum();
        let twice_the_error = 2 * (before.registration_login.0 * 5 * active - 7000 * sum);
        prop_assert!(-5 * active < twice_the_error && twice_the_error <= 5 * active);
    }
}
