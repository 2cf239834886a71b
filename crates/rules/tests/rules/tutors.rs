//! A tutor's score at every edge that Annex 3 names, then its properties.

use chrono::{TimeDelta, Utc};
use proptest::prelude::*;
use shipei_rules::explanation::{ItemState, ReasonCode};
use shipei_rules::ids::{ClassId, SeminarId, SubmissionId};
use shipei_rules::scheme::Scheme;
use shipei_rules::tutor::{
    ClassFacts, SeminarFacts, TutorFacts, TutorFlag, TutorScore, TutorSubmission, score,
};

use crate::support::{at, changed, qinhuangdao};

fn submitted(id: &str, when: &str, marked: Option<&str>) -> TutorSubmission {
    TutorSubmission {
        id: SubmissionId::parse(id).unwrap(),
        submitted_at: at(when),
        superseded_at: None,
        first_mark_at: marked.map(at),
        withdrawn_at: None,
    }
}

fn class(id: &str) -> ClassFacts {
    ClassFacts {
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
        submissions: vec![submitted("A1", "2019-11-04T10:00:00", Some("2019-11-05T10:00:00"))],
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
    assert!(score.qualified && score.eligible && score.excellent && score.is_decided());
    let names: Vec<&str> = score.items.iter().map(|item| item.name.as_str()).collect();
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
    for (marked, marking) in [(Some(last), 60), (Some("2019-12-21T00:00:00"), 0), (None, 0)] {
        let facts =
            TutorFacts { submissions: vec![submitted("A1", "2019-12-10T23:59:59", marked)], ..excellent() };
        assert_eq!(score(&scheme, &facts, at(last)).items[0].state, ItemState::Pending);
        let after = score(&scheme, &facts, at("2019-12-21T00:00:00"));
        assert_eq!(after.marking, marking);
        assert_eq!(after.items[0].evidence.as_deref(), (marking == 0).then_some("A1"));
    }
    assert_eq!(final_score(&TutorFacts { submissions: Vec::new(), ..excellent() }).marking, 60);
}

#[test]
fn submission_that_is_superseded_or_withdrawn_is_not_owed_a_mark() {
    let open = submitted("A1", "2019-11-04T10:00:00", None);
    let superseded = TutorSubmission { superseded_at: Some(at("2019-11-08T10:00:00")), ..open.clone() };
    let withdrawn = TutorSubmission { withdrawn_at: Some(at("2019-11-10T23:59:59")), ..open.clone() };
    let withdrawn_late = TutorSubmission { withdrawn_at: Some(at("2019-11-11T00:00:00")), ..open.clone() };
    for (submission, marking, late_weeks) in
        [(open, 0, 1), (superseded, 60, 0), (withdrawn, 60, 0), (withdrawn_late, 60, 1)]
    {
        let score = final_score(&TutorFacts { submissions: vec![submission.clone()], ..excellent() });
        assert_eq!((score.marking, score.late_weeks), (marking, late_weeks), "{submission:?}");
    }
}

#[test]
fn late_weeks_are_counted_once_each_and_disqualify_at_the_number() {
    let late = |id: &str, day: &str| submitted(id, &format!("{day}T10:00:00"), Some("2019-12-20T10:00:00"));
    let mut facts = excellent();
    facts.submissions = vec![
        late("A1", "2019-11-01"),
        late("A2", "2019-11-03"),
        late("A3", "2019-11-04"),
        submitted("A4", "2019-11-12T10:00:00", Some("2019-11-17T23:59:59")),
    ];
    let two = final_score(&facts);
    assert_eq!((two.late_weeks, two.disqualified, two.excellent), (2, false, true));
    assert!(two.flags.is_empty());
    facts.submissions.push(late("A5", "2019-11-24"));
    let three = final_score(&facts);
    assert_eq!((three.late_weeks, three.disqualified, three.eligible), (3, true, false));
    assert!(three.qualified);
    assert_eq!(three.flags, [TutorFlag::ReportToCity, TutorFlag::DoNotRehire]);
    assert_eq!(three.choice_note, [ReasonCode::TooManyLateWeeks]);

    let grace = Scheme::parse(&changed(&[("grace_hours = 0", "grace_hours = 24")])).unwrap();
    facts.submissions = vec![submitted("A1", "2019-11-08T10:00:00", Some("2019-11-11T23:59:59"))];
    assert_eq!(score(&grace, &facts, grace.final_as_of()).late_weeks, 0);
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
}

#[test]
fn seminar_needs_opening_post_and_summary_in_each_class() {
    for (change, reason) in [
        (0, ReasonCode::SeminarNotOpened),
        (1, ReasonCode::SeminarWithoutPost),
        (2, ReasonCode::SeminarNotSummarised),
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
    }
}

#[test]
fn tutor_without_classes_is_not_qualified() {
    let score = final_score(&TutorFacts::default());
    assert_eq!((score.marking, score.bulletins, score.seminar, score.qualified), (60, 0, 0, false));
    assert_eq!(score.items[4].reason, Some(ReasonCode::NoClass));
}

fn any_submission() -> impl Strategy<Value = TutorSubmission> {
    let hours = |from: &'static str, hours: i64| {
        (0..hours).prop_map(move |hours| at(from).with_timezone(&Utc) + TimeDelta::hours(hours))
    };
    (
        0_u32..1000,
        hours("2019-11-01T00:00:00", 960),
        prop::option::of(hours("2019-11-01T00:00:00", 1300)),
        prop::option::of(hours("2019-11-01T00:00:00", 1300)),
        prop::option::weighted(0.1, hours("2019-11-01T00:00:00", 1300)),
    )
        .prop_map(|(id, submitted_at, superseded_at, first_mark_at, withdrawn_at)| TutorSubmission {
            id: SubmissionId::parse(&format!("A{id}")).unwrap(),
            submitted_at,
            superseded_at,
            first_mark_at,
            withdrawn_at,
        })
}

proptest! {
    #[test]
    fn order_of_facts_does_not_matter_and_total_is_in_range(
        submissions in prop::collection::vec(any_submission(), 0..12), days in 0_i64..70,
    ) {
        let scheme = qinhuangdao();
        let as_of = at("2019-10-30T12:00:00") + TimeDelta::days(days);
        let facts = TutorFacts { classes: vec![class("L1"), class("L2")], submissions, ..excellent() };
        let mut reversed = facts.clone();
        reversed.submissions.reverse();
        reversed.classes.reverse();
        let forward = score(&scheme, &facts, as_of);
        prop_assert_eq!(&forward, &score(&scheme, &reversed, as_of));
        prop_assert!((0..=100).contains(&forward.total));
        prop_assert_eq!(forward.total, forward.items.iter().map(|item| item.points).sum::<i64>());
        prop_assert_eq!(forward.disqualified, !forward.flags.is_empty());
        prop_assert!(!forward.excellent || forward.eligible);
    }

    #[test]
    fn earlier_mark_never_lowers_a_score(
        submissions in prop::collection::vec(any_submission(), 1..8), index in any::<prop::sample::Index>(),
    ) {
        let before = final_score(&TutorFacts { submissions: submissions.clone(), ..excellent() });
        let mut better = submissions;
        let improved = index.get(&better).submitted_at + TimeDelta::seconds(1);
        let place = index.index(better.len());
        better[place].first_mark_at = Some(improved);
        let after = final_score(&TutorFacts { submissions: better, ..excellent() });
        prop_assert!(after.total >= before.total);
        prop_assert!(after.late_weeks <= before.late_weeks);
    }
}
