//! Properties over generated schemes: whatever a city writes that can be computed gives scores that are sums of their
//! items, with nothing below 0, no order that matters and nothing that panics.

use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use shipei_rules::absence::Absences;
use shipei_rules::counselor::{self, CountyFacts, StageFacts};
use shipei_rules::explanation::{ItemKey, ItemState};
use shipei_rules::history::History;
use shipei_rules::ids::{ClassId, SubmissionId};
use shipei_rules::marking::{Elsewhere, TraineeWork, answering};
use shipei_rules::scheme::{EducationStage, Scheme};
use shipei_rules::submission::{Mark, MarkKind, Submission};
use shipei_rules::trainee::{self, TraineeFacts};
use shipei_rules::tutor::{self, ClassFacts, MarkingWork, TutorFacts};

use crate::support::{at, changed};
use crate::trainee_properties::{any_facts, instant};

const WINDOWS: [&str; 5] = ["preparation", "phase_1", "phase_2", "phase_4", "summary"];

/// 0 often, small figures, now and then the largest.
fn figure() -> impl Strategy<Value = i64> {
    prop_oneof![2 => Just(0_i64), 6 => 0_i64..120, 1 => Just(shipei_rules::scheme::FIGURE_MAX)]
}

fn window() -> impl Strategy<Value = &'static str> {
    prop::sample::select(WINDOWS.to_vec())
}

/// Phases in any order of windows, perhaps the same twice, perhaps none; `requires_previous` anywhere.
fn phases() -> impl Strategy<Value = String> {
    prop::collection::vec((window(), figure(), figure(), any::<bool>()), 0..4).prop_map(|entries| {
        let mut text = String::new();
        for (window, minutes, points, requires_previous) in entries {
            let _ = write!(
                text,
                "[[trainee.online]]\nwindow = \"{window}\"\ncategories = [\"public\"]\nminutes = {minutes}\n\
                 points = {points}\nrequires_previous = {requires_previous}\n\n"
            );
        }
        text
    })
}

fn bulletins() -> impl Strategy<Value = String> {
    prop::collection::vec((window(), figure()), 0..3).prop_map(|bulletins| {
        let mut text = String::new();
        for (number, (window, points)) in bulletins.into_iter().enumerate() {
            let _ = write!(
                text,
                "[[tutor.bulletin]]\nnumber = {number}\nwindow = \"{window}\"\npoints = {points}\n\n"
            );
        }
        text
    })
}

/// The model scheme without its phases, bulletins and the tasks that name phases.
fn bare() -> String {
    let text = changed(&[("\"phase_1\", \"phase_2\", \"assignment\"", "\"assignment\"")]);
    let cut = |text: String, from: &str, until: &str| {
        let (start, end) = (text.find(from).unwrap(), text.find(until).unwrap());
        format!("{}{}", &text[..start], &text[end..])
    };
    let text = cut(text, "[[trainee.online]]", "[trainee.assignment]");
    cut(text, "[[tutor.bulletin]]", "[tutor.seminar]")
}

/// Any scheme that can be computed.
pub(crate) fn odd_scheme() -> impl Strategy<Value = Scheme> {
    let windows = (window(), window(), window());
    let figures = prop::array::uniform12(figure());
    (phases(), bulletins(), windows, figures, any::<bool>(), 0_i64..3000).prop_map(
        |(phases, bulletins, (submit, review, seminar), figures, seminar_required, grace)| {
            let [pass, excellent, good, fail, post, characters, low, more, qualify, marking, weeks, distinct] =
                figures;
            let text = bare()
                .replace("pass_total = 80", &format!("pass_total = {pass}"))
                .replace("seminar_required = true", &format!("seminar_required = {seminar_required}"))
                .replace("window = \"phase_3\"", &format!("window = \"{submit}\""))
                .replace("review_until = \"phase_4\"", &format!("review_until = \"{review}\""))
                .replace("excellent = 30, pass = 20, fail = 0", &format!("excellent = {excellent}, pass = {good}, fail = {fail}"))
                .replace("window = \"phase_4\"\npoints = 10", &format!("window = \"{seminar}\"\npoints = {post}"))
                .replace("min_characters = 300", &format!("min_characters = {characters}"))
                .replace("min_score = 1\nmax_score = 10", &format!("min_score = {low}\nmax_score = {}", low.max(more)))
                .replace("min_distinct_scores = 2", &format!("min_distinct_scores = {distinct}"))
                .replace("qualify_total = 100", &format!("qualify_total = {qualify}"))
                .replace("points = 60", &format!("points = {marking}"))
                .replace("disqualify_at = 3, grace_hours = 0", &format!("disqualify_at = {weeks}, grace_hours = {grace}"))
                .replace("[trainee.assignment]", &format!("{phases}[trainee.assignment]"))
                .replace("[tutor.seminar]", &format!("{bulletins}[tutor.seminar]"));
            Scheme::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
        },
    )
}

fn facts_of_tutor(
    scheme: &Scheme,
    submissions: Vec<(DateTime<Utc>, Option<i64>)>,
    classes: usize,
    as_of: DateTime<Utc>,
) -> TutorFacts {
    let class = |index| ClassFacts {
        scheme: None,
        held: true.into(),
        class_id: ClassId::parse(&format!("L{index}")).unwrap(),
        bulletins: vec![(0, at("2019-10-11T00:00:00")), (1, at("2019-11-21T00:00:00"))],
        seminars: Vec::new(),
    };
    let places = History::from("L0");
    let mut marking = Vec::new();
    for (index, (submitted_at, hours)) in (0_i64..).zip(submissions) {
        let mark =
            |hours| Mark { at: submitted_at + TimeDelta::hours(hours), number: 1, kind: MarkKind::Returned };
        let submissions = [Submission {
            id: SubmissionId::parse(&format!("A{index}")).unwrap(),
            submitted_at,
            number: 0,
            marks: hours.map(mark).into_iter().collect(),
        }];
        let work = TraineeWork {
            submissions: &submissions,
            places: &places,
            absences: &Absences::default(),
            elsewhere: &Elsewhere::new(),
        };
        marking.extend(answering(scheme, &work, as_of).into_iter().map(|one| MarkingWork {
            id: one.submission.id.clone(),
            submitted_at,
            is_owed: one.owed_in.is_some(),
            late_week: one.late.map(|(week, _)| week.index),
        }));
    }
    TutorFacts {
        prejob_attended_at: Some(at("2019-08-20T09:00:00")),
        classes: (0..classes).map(class).collect(),
        marking,
        ..TutorFacts::default()
    }
}

proptest! {
    #[test]
    fn trainee_of_any_scheme_has_the_sum_of_items_within_their_ranges(
        scheme in odd_scheme(), facts in any_facts(), as_of in instant(),
    ) {
        let score = trainee::score(&scheme, &facts, as_of);
        prop_assert_eq!(score.items.len(), scheme.trainee.online.len() + 3);
        for item in &score.items {
            prop_assert!((0..=item.max_points).contains(&item.points), "{item:?}");
            prop_assert_eq!(item.state == ItemState::Missed, item.reason.is_some());
            // What a failed assignment gives it gives although the item is missed.
            prop_assert!(item.is_earned() || item.points == 0 || item.key == ItemKey::Assignment);
        }
        let total: i64 = score.items.iter().map(|item| item.points).sum();
        prop_assert_eq!(score.total, total);
        let seminar = score.item(ItemKey::Seminar).unwrap().is_earned() || !scheme.trainee.seminar_required;
        prop_assert_eq!(score.passed, total >= scheme.trainee.pass_total && seminar);
    }

    #[test]
    fn first_entry_has_no_previous_one(scheme in odd_scheme(), facts in any_facts()) {
        let mut free = scheme.clone();
        if let Some(entry) = free.trainee.online.first_mut() {
            entry.requires_previous = false;
        }
        let end = scheme.final_as_of();
        prop_assert_eq!(trainee::score(&scheme, &facts, end), trainee::score(&free, &facts, end));
    }

    #[test]
    fn phase_of_no_minutes_is_given_to_everybody_from_its_first_moment_on(scheme in odd_scheme()) {
        let nothing = TraineeFacts::default();
        for (index, entry) in scheme.trainee.online.iter().enumerate() {
            let Some(given_at) = entry.given_at() else { continue };
            let before = trainee::score(&scheme, &nothing, given_at - TimeDelta::microseconds(1));
            prop_assert_eq!(before.items[index].state, ItemState::Pending);
            if !entry.requires_previous || index == 0 {
                let from_then_on = trainee::score(&scheme, &nothing, given_at);
                prop_assert_eq!(from_then_on.items[index].at, Some(given_at));
            }
        }
    }

    #[test]
    fn tutor_of_any_scheme_has_the_sum_of_items(
        scheme in odd_scheme(), as_of in instant(), classes in 0_usize..3,
        submissions in prop::collection::vec((instant(), prop::option::of(0_i64..400)), 0..6),
    ) {
        let score = tutor::score(&scheme, &facts_of_tutor(&scheme, submissions, classes, as_of), as_of);
        let total: i64 = score.items.iter().map(|item| item.points).sum();
        prop_assert_eq!((score.items.len(), score.total), (scheme.tutor.bulletins.len() + 2, total));
        prop_assert!(score.items.iter().all(|item| (0..=item.max_points).contains(&item.points)));
        prop_assert_eq!(score.qualified, total >= scheme.tutor.qualify_total);
        prop_assert_eq!(score.disqualified, score.late_weeks >= scheme.tutor.marking.late_week.disqualify_at);
    }

    #[test]
    fn county_of_any_scheme_has_shares_within_their_points(
        scheme in odd_scheme(), lists in (0_usize..4, 0_usize..5, 0_usize..3),
        points in (figure(), figure()), active in 1_i64..1000, done in 0_i64..1000, as_of in instant(),
    ) {
        let mut scheme = scheme;
        let rules = &mut scheme.counselor;
        rules.registration_login.tasks.truncate(lists.0);
        rules.offline.items.truncate(lists.1);
        rules.offline.stages.truncate(lists.2);
        (rules.registration_login.points, rules.offline.points) = points;
        let stage = StageFacts {
            stage: EducationStage::Compulsory, active, plan_at: Some(at("2019-08-01T00:00:00")),
            activity_at: Some(at("2019-10-02T00:00:00")), attendances_of_active: 1,
            scored_attendances_of_active: 1, results_at: None,
        };
        let facts = CountyFacts { active, done_by_task: vec![done; 3], stages: vec![stage], ..CountyFacts::default() };
        let score = counselor::score(&scheme, &facts, as_of);
        prop_assert!((0..=100 * points.0).contains(&score.registration_login.0));
        prop_assert!((0..=100 * points.1).contains(&score.offline.0));
        prop_assert!(lists.0 > 0 || score.registration_login.0 == 0);
        prop_assert!(lists.1 * lists.2 > 0 || score.offline.0 == 0);
    }
}
