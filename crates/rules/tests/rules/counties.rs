//! A county's score (Annex 4): rounding, stages, and the flag of scores that are not distinct.

use proptest::prelude::*;
use shipei_rules::counselor::{
    CountyFacts, CountyScore, Hundredths, StageFacts, distinct_scores, score, scores_not_distinct,
};
use shipei_rules::explanation::{ItemState, ReasonCode};
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
    let scheme = qinhuangdao();
    for (participants, distinct, flagged) in [(9, 1, false), (10, 1, true), (10, 2, false), (0, 0, false)] {
        assert_eq!(scores_not_distinct(&scheme, participants, distinct), flagged);
    }
    assert_eq!(distinct_scores([7, 7, 8]), 2);
    let facts = CountyFacts { scored_participants: 10, distinct_scores: 1, ..county(10, [0; 5], Vec::new()) };
    assert!(final_score(&facts).scores_not_distinct);
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
