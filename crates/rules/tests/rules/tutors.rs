//! A tutor's score at every edge that Annex 3 names, then its properties.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use shipei_rules::absence::Absences;
use shipei_rules::explanation::{ItemState, Need, ReasonCode};
use shipei_rules::history::History;
use shipei_rules::ids::{ClassId, SeminarId, SubmissionId};
use shipei_rules::marking::{Elsewhere, TraineeWork, answering};
use shipei_rules::scheme::{Grade, Scheme};
use shipei_rules::tutor::{ClassFacts, MarkingWork, SeminarFacts, TutorFacts, TutorFlag, TutorScore, score};

use crate::support::{at, changed, qinhuangdao, submission};

/// A submission of a trainee who never moves, for the tutor of their class, as of the end.
fn answered(
    scheme: &Scheme,
    id: &str,
    when: &str,
    marked: Option<&str>,
    as_of: DateTime<Utc>,
) -> Vec<MarkingWork> {
    let marks: Vec<(&str, Option<Grade>)> =
        marked.map(|marked| (marked, Some(Grade::Fail))).into_iter().collect();
    let submissions = [submission(id, when, &marks)];
    let work = TraineeWork {
        submissions: &submissions,
        places: &History::from("L1"),
        absences: &Absences::default(),
        elsewhere: &Elsewhere::new(),
    };
    let mut found = Vec::new();
    for one in answering(scheme, &work, as_of) {
        found.push(MarkingWork {
            id: one.submission.id.clone(),
            submitted_at: one.submission.submitted_at,
            is_owed: one.owed_in.is_some(),
            late_week: one.late.map(|(week, _)| week.index),
        });
    }
    found
}

fn submitted(id: &str, when: &str, marked: Option<&str>) -> Vec<MarkingWork> {
    let scheme = qinhuangdao();
    answered(&scheme, id, when, marked, scheme.final_as_of())
}

fn class(id: &str) -> ClassFacts {
    ClassFacts {
        scheme: None,
        held: true.into(),
        class_id: ClassId::parse(id).unwrap(),
        bulletins: vec![
            (1, at("2019-10-30T23:59:59")),
            (2, at("2019-11-30T23:59:59")),
            (3, at("2019-12-20T23:59:59")),
        ],
        seminars: vec![SeminarFacts {
            seminar: SeminarId::parse(&format!("N-{id}")).unwrap(),
            opened_at: at("2019-11-20T00:00:00"),
            first_post_at: Some(at("2019-11-25T10:00:00")),
            summarised_at: Some(at("2019-12-20T23:59:59")),
        }],
    }
}

/// A tutor who does everything on time, attended pre-job training and was chosen.
fn excellent() -> TutorFacts {
    TutorFacts {
        prejob_attended_at: Some(at("2019-08-20T09:00:00")),
        chosen_at: Some(at("2019-12-22T10:00:00")),
        classes: vec![class("L1")],
        marking: submitted("A1", "2019-11-04T10:00:00", Some("2019-11-05T10:00:00")),
    }
}

fn final_score(facts: &TutorFacts) -> TutorScore {
    let scheme = qinhuangdao();
    score(&scheme, facts, scheme.final_as_of())
}

#[test]
fn tutor_who_does_everything_is_excellent_when_chosen() {
    let score = final_score(&excellent());
    assert_eq!((score.marking, score.bulletins, score.seminar, score.total), (60, 30, 10, 100));
    assert!(score.qualified && score.eligible && score.excellent);
    let names: Vec<String> = score.items.iter().map(|item| item.key.to_string()).collect();
    assert_eq!(names, ["marking", "bulletin_1", "bulletin_2", "bulletin_3", "seminar"]);

    let not_chosen = final_score(&TutorFacts { chosen_at: None, ..excellent() });
    assert!(not_chosen.eligible && !not_chosen.excellent);
}

#[test]
fn choice_of_a_tutor_who_is_not_eligible_has_no_effect_and_says_why() {
    let score = final_score(&TutorFacts { prejob_attended_at: None, ..excellent() });
    assert!(score.qualified && !score.eligible && !score.excellent);
    assert_eq!(score.choice_note, [ReasonCode::PrejobNotAttended]);
    let not_chosen = final_score(&TutorFacts { prejob_attended_at: None, chosen_at: None, ..excellent() });
    assert!(not_chosen.choice_note.is_empty());
}

#[test]
fn marking_is_pending_until_reviews_end_and_then_all_or_nothing() {
    let scheme = qinhuangdao();
    let last = "2019-12-20T23:59:59";
    let end = at("2019-12-21T00:00:00");
    for (marked, marking) in [(Some(last), 60), (Some("2019-12-21T00:00:00"), 0), (None, 0)] {
        let as_of = |when| {
            let marking = answered(&scheme, "A1", "2019-12-10T23:59:59", marked, when);
            score(&scheme, &TutorFacts { marking, ..excellent() }, when)
        };
        assert_eq!(as_of(at(last)).items[0].state, ItemState::Pending);
        let after = as_of(end);
        assert_eq!(after.marking, marking);
        assert_eq!(after.items[0].evidence.as_deref(), (marking == 0).then_some("A1"));
        assert_eq!(after.items[0].at, Some(if marking == 0 { at("2019-12-10T23:59:59") } else { end }));
    }
    assert_eq!(final_score(&TutorFacts { marking: Vec::new(), ..excellent() }).marking, 60);
}

#[test]
fn oldest_submission_that_is_owed_a_mark_is_the_evidence() {
    let work = |id: &str, when: &str, is_owed| MarkingWork {
        id: SubmissionId::parse(id).unwrap(),
        submitted_at: at(when),
        is_owed,
        late_week: None,
    };
    let marking = vec![
        work("A3", "2019-11-06T10:00:00", true),
        work("A2", "2019-11-05T10:00:00", true),
        work("A1", "2019-11-05T10:00:00", true),
        work("A0", "2019-11-04T10:00:00", false),
    ];
    let score = final_score(&TutorFacts { marking, ..excellent() });
    assert_eq!((score.marking, score.late_weeks), (0, 0));
    assert_eq!(score.items[0].evidence.as_deref(), Some("A1"));
    let missing = score.items[0].missing.unwrap();
    assert_eq!((missing.what, missing.have, missing.need), (Need::Marks, Some(0), 3));
    assert_eq!(missing.until, at("2019-12-21T00:00:00"));
}

#[test]
fn late_weeks_are_counted_once_each_and_disqualify_at_the_number() {
    let late = |id: &str, day: &str| submitted(id, &format!("{day}T10:00:00"), Some("2019-12-20T10:00:00"));
    let mut facts = excellent();
    facts.marking = [
        late("A1", "2019-11-01"),
        late("A2", "2019-11-03"),
        late("A3", "2019-11-04"),
        submitted("A4", "2019-11-12T10:00:00", Some("2019-11-17T23:59:59")),
    ]
    .concat();
    let two = final_score(&facts);
    assert_eq!((two.late_weeks, two.disqualified, two.excellent), (2, false, true));
    assert!(two.flags.is_empty());
    facts.marking.extend(late("A5", "2019-11-24"));
    let three = final_score(&facts);
    assert_eq!((three.late_weeks, three.disqualified, three.eligible), (3, true, false));
    assert!(three.qualified);
    assert_eq!(three.flags, [TutorFlag::ReportToCity, TutorFlag::DoNotRehire]);
    assert_eq!(three.choice_note, [ReasonCode::TooManyLateWeeks]);

    let grace = Scheme::parse(&changed(&[("grace_hours = 0", "grace_hours = 24")])).unwrap();
    let marked = Some("2019-11-11T23:59:59");
    facts.marking = answered(&grace, "A1", "2019-11-08T10:00:00", marked, grace.final_as_of());
    assert_eq!(score(&grace, &facts, grace.final_as_of()).late_weeks, 0);
    facts.marking = submitted("A1", "2019-11-08T10:00:00", marked);
    assert_eq!(final_score(&facts).late_weeks, 1);
}

#[test]
fn bulletin_outside_its_window_or_missing_in_one_class_earns_nothing() {
    let mut facts = excellent();
    facts.classes.push(class("L0"));
    assert_eq!(final_score(&facts).total, 100);
    facts.classes[1].bulletins[0].1 = at("2019-10-31T00:00:00");
    facts.classes[1].bulletins.remove(1);
    let score = final_score(&facts);
    assert_eq!((score.bulletins, score.qualified), (10, false));
    assert_eq!(score.items[1].reason, Some(ReasonCode::BulletinNotPublished));
    assert_eq!(score.items[1].evidence.as_deref(), Some("L0"));
    let missing = score.items[1].missing.unwrap();
    assert_eq!((missing.what, missing.have, missing.need), (Need::Bulletin, Some(1), 2));
    assert_eq!(missing.until, at("2019-10-31T00:00:00"));
    assert_eq!(score.items[3].missing, None);
}

#[test]
fn seminar_needs_opening_post_and_summary_in_each_class() {
    for (change, reason, what) in [
        (0, ReasonCode::SeminarNotOpened, Need::SeminarOpened),
        (1, ReasonCode::SeminarWithoutPost, Need::SeminarPost),
        (2, ReasonCode::SeminarNotSummarised, Need::SeminarSummary),
    ] {
        let mut facts = excellent();
        facts.classes.push(class("L2"));
        let seminar = &mut facts.classes[1].seminars[0];
        match change {
            0 => seminar.opened_at = at("2019-11-19T23:59:59"),
            1 => seminar.first_post_at = None,
            _ => seminar.summarised_at = Some(at("2019-12-21T00:00:00")),
        }
        let score = final_score(&facts);
        assert_eq!((score.seminar, score.items[4].reason), (0, Some(reason)));
        let missing = score.items[4].missing.unwrap();
        assert_eq!((missing.what, missing.have, missing.need), (what, Some(1), 2));
    }
}

#[test]
fn tutor_without_classes_is_not_qualified() {
    let score = final_score(&TutorFacts::default());
    assert_eq!((score.marking, score.bulletins, score.seminar, score.qualified), (60, 0, 0, false));
    assert_eq!(score.items[4].reason, Some(ReasonCode::NoClass));
    assert_eq!(score.items[4].missing.unwrap().what, Need::Class);
}

fn any_work() -> impl Strategy<Value = MarkingWork> {
    let submitted = (0..960_i64).prop_map(|hours| at("2019-11-01T00:00:00") + TimeDelta::hours(hours));
    (0_u32..1000, submitted, any::<bool>(), prop::option::of(0_i64..6)).prop_map(
        |(id, submitted_at, is_owed, late_week)| MarkingWork {
            id: SubmissionId::parse(&format!("A{id}")).unwrap(),
            submitted_at,
            is_owed,
            late_week,
        },
    )
}

proptest! {
    #[test]
    fn order_of_facts_does_not_matter_and_total_is_in_range(
        marking in prop::collection::vec(any_work(), 0..12), days in 0_i64..70,
    ) {
        let scheme = qinhuangdao();
        let as_of = at("2019-10-30T12:00:00") + TimeDelta::days(days);
        let facts = TutorFacts { classes: vec![class("L1"), class("L2")], marking, ..excellent() };
        let mut reversed = facts.clone();
        reversed.marking.reverse();
        reversed.classes.reverse();
        let forward = score(&scheme, &facts, as_of);
        prop_assert_eq!(&forward, &score(&scheme, &reversed, as_of));
        prop_assert!((0..=100).contains(&forward.total));
        prop_assert_eq!(forward.total, forward.items.iter().map(|item| item.points).sum::<i64>());
        prop_assert_eq!(forward.disqualified, !forward.flags.is_empty());
        prop_assert!(!forward.excellent || forward.eligible);
    }
}
