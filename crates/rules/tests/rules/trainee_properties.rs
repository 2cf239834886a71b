//! Properties of a trainee's score over generated facts.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use shipei_rules::absence::Absences;
use shipei_rules::explanation::ItemState;
use shipei_rules::ids::{ActivityId, SeminarId, SubmissionId};
use shipei_rules::scheme::Grade;
use shipei_rules::submission::{Mark, MarkKind, Submission};
use shipei_rules::trainee::{OfflineScore, SeminarPost, TraineeFacts, restated, score};

use crate::support::{at, qinhuangdao};

pub(crate) fn instant() -> impl Strategy<Value = DateTime<Utc>> {
    (0_i64..190 * 8).prop_map(|eighths| at("2019-07-01T00:00:00") + TimeDelta::hours(eighths * 3))
}

/// One of the instants at which items change: uniform ones would almost never pass.
fn fitting(from: &'static str, days: i64) -> impl Strategy<Value = DateTime<Utc>> {
    prop_oneof![4 => (0..days * 24).prop_map(move |hours| at(from) + TimeDelta::hours(hours)), 1 => instant()]
}

fn mark() -> impl Strategy<Value = (DateTime<Utc>, MarkKind)> {
    let kind = prop::sample::select(vec![
        MarkKind::Returned,
        MarkKind::Graded(Grade::Fail),
        MarkKind::Graded(Grade::Pass),
        MarkKind::Graded(Grade::Excellent),
    ]);
    (fitting("2019-11-01T00:00:00", 50), kind)
}

fn any_submission() -> impl Strategy<Value = Submission> {
    let marks = prop::collection::vec(mark(), 0..3);
    (fitting("2019-11-01T00:00:00", 40), marks).prop_map(|(submitted_at, marks)| Submission {
        id: SubmissionId::parse("A").unwrap(),
        submitted_at,
        number: 0,
        marks: marks.into_iter().map(|(at, kind)| Mark { at, number: 0, kind }).collect(),
    })
}

/// The submissions of one trainee, each thing with its own id and number.
pub(crate) fn submissions(most: usize) -> impl Strategy<Value = Vec<Submission>> {
    prop::collection::vec(any_submission(), 0..=most).prop_map(|mut submissions| {
        let mut numbers = 1..;
        for (index, submission) in submissions.iter_mut().enumerate() {
            submission.id = SubmissionId::parse(&format!("A{index}")).unwrap();
            submission.number = numbers.next().unwrap();
            submission.marks.iter_mut().for_each(|mark| mark.number = numbers.next().unwrap());
        }
        submissions
    })
}

pub(crate) fn any_facts() -> impl Strategy<Value = TraineeFacts> {
    (
        prop::option::weighted(0.8, fitting("2019-09-15T00:00:00", 46)),
        prop::option::weighted(0.8, fitting("2019-10-10T00:00:00", 52)),
        submissions(2),
        prop::collection::vec(fitting("2019-11-20T00:00:00", 31), 0..3),
        prop::collection::vec((0_u32..3, 0_i64..12, fitting("2019-10-01T00:00:00", 71)), 0..5),
    )
        .prop_map(|(phase_1, phase_2, submissions, posts, scores)| TraineeFacts {
            login_at: None,
            absences: Absences::default(),
            phases: vec![phase_1, phase_2],
            studied: Vec::new(),
            submissions,
            seminar_posts: posts
                .into_iter()
                .map(|at| SeminarPost { seminar: SeminarId::parse("N1").unwrap(), at })
                .collect(),
            adjustments: Vec::new(),
            offline_scores: scores
                .into_iter()
                .enumerate()
                .map(|(index, (activity, score, at))| OfflineScore {
                    activity: ActivityId::parse(&format!("O{activity}")).unwrap(),
                    score,
                    at,
                    sequence: i64::try_from(index).unwrap(),
                })
                .collect(),
        })
}

fn reversed(facts: &TraineeFacts) -> TraineeFacts {
    let mut facts = facts.clone();
    facts.submissions.reverse();
    facts.submissions.iter_mut().for_each(|submission| submission.marks.reverse());
    facts.seminar_posts.reverse();
    facts.offline_scores.reverse();
    facts
}

proptest! {
    #[test]
    fn total_is_the_sum_of_items_within_their_ranges(facts in any_facts(), as_of in instant()) {
        let score = score(&qinhuangdao(), &facts, as_of);
        prop_assert_eq!(score.items.len(), 5);
        for item in &score.items {
            prop_assert!((0..=item.max_points).contains(&item.points));
            prop_assert_eq!(item.state == ItemState::Missed, item.reason.is_some());
            prop_assert!(item.is_earned() || item.points == 0);
            prop_assert_eq!(item.is_earned(), item.missing.is_none());
            let is_over = item.missing.is_some_and(|missing| as_of >= missing.until);
            prop_assert_eq!(item.state == ItemState::Missed, is_over);
        }
        prop_assert_eq!(score.total, score.items.iter().map(|item| item.points).sum::<i64>());
        prop_assert!((0..=100).contains(&score.total));
    }

    #[test]
    fn order_of_facts_does_not_matter(facts in any_facts(), as_of in instant()) {
        let scheme = qinhuangdao();
        prop_assert_eq!(score(&scheme, &facts, as_of), score(&scheme, &reversed(&facts), as_of));
    }

    #[test]
    fn final_score_has_nothing_pending_and_never_changes_after(facts in any_facts(), days in 0_i64..100) {
        let scheme = qinhuangdao();
        let end = scheme.final_as_of();
        let last = score(&scheme, &facts, end);
        prop_assert!(last.items.iter().all(|item| item.state != ItemState::Pending));
        prop_assert_eq!(last, score(&scheme, &facts, end + TimeDelta::days(days)));
    }

    #[test]
    fn passing_in_qinhuangdao_is_both_phases_an_assignment_and_a_seminar(facts in any_facts()) {
        let scheme = qinhuangdao();
        // Offline points add to the total, but nobody passes by them without the rest: 10 + 40 + 0 + 10 + 10 = 70.
        let score = score(&scheme, &facts, scheme.final_as_of());
        let earned = |key: &str| score.item(key.parse().unwrap()).is_some_and(|item| item.is_earned());
        let complete = earned("phase_1") && earned("phase_2") && earned("assignment") && earned("seminar");
        prop_assert_eq!(score.passed, complete);
    }

    #[test]
    fn earlier_achievement_never_lowers_a_score(facts in any_facts(), index in 0_usize..2, days in 0_i64..40) {
        let scheme = qinhuangdao();
        let before = score(&scheme, &facts, scheme.final_as_of());
        let mut better = facts.clone();
        let window = scheme.trainee.online[index].period;
        let achieved = facts.phases[index].unwrap_or(window.until - TimeDelta::seconds(1));
        better.phases[index] = Some((achieved - TimeDelta::days(days)).max(window.from));
        let after = score(&scheme, &better, scheme.final_as_of());
        prop_assert!(after.total >= before.total);
        prop_assert!(after.passed >= before.passed);
    }

    #[test]
    fn items_restated_are_those_of_any_time_after_the_last_fact(facts in any_facts(), days in 0_i64..100) {
        let scheme = qinhuangdao();
        let marks = facts.submissions.iter().flat_map(|submission| &submission.marks).map(|mark| mark.at);
        let last = facts.phases.iter().flatten().copied()
            .chain(facts.submissions.iter().map(|submission| submission.submitted_at))
            .chain(marks)
            .chain(facts.seminar_posts.iter().map(|post| post.at))
            .chain(facts.offline_scores.iter().map(|score| score.at))
            .max()
            .unwrap_or(at("2019-07-01T00:00:00"));
        let end = scheme.final_as_of();
        prop_assume!(last <= end);
        let as_of = last + TimeDelta::days(days);
        let stored = score(&scheme, &facts, end).items;
        prop_assert_eq!(restated(&scheme, stored, as_of), score(&scheme, &facts, as_of));
    }

    #[test]
    fn another_post_never_lowers_a_score(facts in any_facts(), at in instant(), as_of in instant()) {
        let scheme = qinhuangdao();
        let mut more = facts.clone();
        more.seminar_posts.push(SeminarPost { seminar: SeminarId::parse("N2").unwrap(), at });
        prop_assert!(score(&scheme, &more, as_of).total >= score(&scheme, &facts, as_of).total);
    }
}
