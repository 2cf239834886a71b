//! Tables of cases: what is decided, and why not.

use super::*;
use shipei_contracts::common::v1::ErrorReason::*;
use shipei_mirror::{Absences, History, Place, Teaching, testing::id};
use shipei_rules::vocabulary::Role;

const SCHEME: &str = include_str!("../../../../crates/rules/data/qinhuangdao-2019.toml");

fn scheme() -> Scheme {
    Scheme::parse(SCHEME).unwrap()
}

/// An instant of the scheme's zone, e.g. `11-01T00:00:00` of 2019.
fn at(text: &str) -> DateTime<Utc> {
    format!("2019-{text}+08:00").parse().unwrap()
}

fn place(class_id: &str) -> Place {
    Place { class_id: ClassId::parse_optional(class_id).unwrap(), ..Place::default() }
}

fn member(person_id: &str, role: Role, class_id: &str) -> Member {
    Member {
        person_id: id(person_id),
        role,
        places: place(class_id).into(),
        teaching: Teaching::default().into(),
        login_at: None,
        pre_job_at: None,
        absences: Absences::default(),
        counts_for: None,
        merged: Vec::new(),
    }
}

fn trainee() -> Member {
    member("T1", Role::Trainee, "L1")
}

fn withdrawn(when: &str) -> Member {
    Member { absences: at(when).into(), ..trainee() }
}

fn tutor(person_id: &str) -> Member {
    member(person_id, Role::ClassTutor, "")
}

fn class() -> Class {
    let region: shipei_rules::region::RegionCode = id("130302");
    Class { class_id: id("L1"), region_code: region, regions: region.into(), tutors: Some(id("U1")).into() }
}

fn submission(submission_id: &str, when: &str) -> Submission {
    Submission {
        submission_id: id(submission_id),
        person_id: id("T1"),
        class_id: Some(id("L1")),
        kind: "lesson_plan".to_owned(),
        title: "作业".to_owned(),
        text: String::new(),
        submitted_at: at(when),
        standing: Standing::Counts,
        fact_id: String::new(),
        stands: true,
    }
}

fn mark(number: i64, kind: MarkKind, when: &str) -> Mark {
    Mark {
        number,
        kind,
        comment: "好".to_owned(),
        tutor_id: id("U1"),
        marked_at: at(when),
        counts: true,
        fact_id: String::new(),
        stands: true,
    }
}

const PASS: MarkKind = MarkKind::Graded(Grade::Pass);
const FAIL: MarkKind = MarkKind::Graded(Grade::Fail);
const EXCELLENT: MarkKind = MarkKind::Graded(Grade::Excellent);
const RETURNED: MarkKind = MarkKind::Returned;

#[test]
fn grade_of_marks_is_that_of_the_last_by_time_then_number() {
    let noon = "11-05T12:00:00";
    let evening = "11-05T20:00:00";
    for (marks, grade) in [
        (vec![], None),
        (vec![mark(1, PASS, noon)], Some(Grade::Pass)),
        (vec![mark(1, PASS, noon), mark(2, EXCELLENT, noon)], Some(Grade::Excellent)),
        (vec![mark(1, PASS, evening), mark(2, FAIL, noon)], Some(Grade::Pass)),
        (vec![mark(1, PASS, noon), mark(2, RETURNED, evening)], None),
        (vec![mark(1, RETURNED, noon), mark(2, FAIL, evening)], Some(Grade::Fail)),
        (vec![mark(1, PASS, noon), Mark { stands: false, ..mark(2, FAIL, evening) }], Some(Grade::Pass)),
    ] {
        assert_eq!(grade_of(&marks), grade, "{marks:?}");
    }
}

#[test]
fn mark_counts_when_it_is_by_who_had_the_class_of_then() {
    let (before, turn, after) = ("11-10T12:00:00", "11-11T12:00:00", "11-12T12:00:00");
    let led = |tutors| Class { tutors, ..class() };
    let replaced = led(History::new(Some(id("U1")), vec![(at(turn), Some(id("U2")))]));
    let other = Class { class_id: id("L2"), ..led(Some(id("U3")).into()) };
    let stays = PlaceHistory::from(place("L1"));
    let moves = PlaceHistory::new(place("L1"), vec![(at(turn), place("L2"))]);
    for (places, class, tutor_id, when, counts) in [
        (&stays, &class(), "U1", after, true),
        (&stays, &class(), "U2", after, false),
        (&stays, &replaced, "U1", before, true),
        (&stays, &replaced, "U1", turn, true),
        (&stays, &replaced, "U1", after, false),
        (&stays, &replaced, "U2", before, false),
        (&stays, &replaced, "U2", turn, true),
        (&moves, &class(), "U1", before, true),
        (&moves, &class(), "U1", after, false),
        (&moves, &class(), "U3", after, true),
        (&moves, &class(), "U3", before, false),
    ] {
        let classes = [class.clone(), other.clone()];
        assert_eq!(is_by_the_tutor(places, &classes, &id(tutor_id), at(when)), counts, "{tutor_id} {when}");
    }
}

#[test]
fn submission_is_refused_by_one_cause_each() {
    let kind = |kind: &str| Submission { kind: kind.to_owned(), ..submission("A1", "11-05T10:00:00") };
    for (who, new, reason) in [
        (trainee(), submission("A1", "11-01T00:00:00"), None),
        (trainee(), submission("A1", "12-10T23:59:59"), None),
        (trainee(), submission("A1", "10-31T23:59:59"), Some(WindowNotOpen)),
        (trainee(), submission("A1", "12-11T00:00:00"), Some(WindowClosed)),
        (withdrawn("11-05T10:00:00"), submission("A1", "11-05T10:00:00"), Some(Withdrawn)),
        (withdrawn("11-05T10:00:01"), submission("A1", "11-05T10:00:00"), None),
        (trainee(), kind("micro_lesson"), None),
        (trainee(), kind("essay"), Some(InvalidKind)),
        (trainee(), kind(""), Some(InvalidKind)),
    ] {
        let decided = decide_submission(&scheme(), &who, &new, Works::default());
        assert_eq!(decided.as_ref().err().map(|refusal| refusal.reason), reason, "{new:?}");
        assert!(decided.is_err() || decided.unwrap().is_empty());
    }
    let submissions = vec![works(&[("A0", "11-04T10:00:00", &[])]).submissions.remove(0); 1_000];
    let full = Works { submissions, ..Works::default() };
    let decided = decide_submission(&scheme(), &trainee(), &submission("A1", "11-05T10:00:00"), full);
    assert_eq!(decided.unwrap_err().reason, LimitReached);
}

/// A submission's id and time, and its marks with theirs.
type Told<'a> = (&'a str, &'a str, &'a [(MarkKind, &'a str)]);

/// The work of one trainee, recorded in the order of the list: each submission, then its marks. Everything has been told
/// as it stands.
fn works(all: &[Told<'_>]) -> Works {
    let mut works = Works::default();
    for (submission_id, when, marks) in all {
        works = works.with(&submission(submission_id, when));
        for (kind, when) in *marks {
            let next = mark(works.next_number(), *kind, when);
            works.add_mark(&id(submission_id), &next);
        }
    }
    for change in works.changes(&scheme()) {
        works.told.insert(change.submission_id, change.standing);
    }
    works
}

/// The changes as texts: `A1 counts`, `A1 by A2`, `A2 after A1`.
fn told(changes: &[StandingChange]) -> Vec<String> {
    let tell = |change: &StandingChange| match &change.standing {
        Standing::Counts => format!("{} counts", change.submission_id),
        Standing::Superseded { by, .. } => format!("{} by {by}", change.submission_id),
        Standing::Disregarded { graded } => format!("{} after {graded}", change.submission_id),
    };
    changes.iter().map(tell).collect()
}

#[test]
fn newer_submission_replaces_unless_the_grade_stood_by_then() {
    let new = submission("A2", "11-08T10:00:00");
    for (marks, replaces) in [
        (&[][..], true),
        (&[(FAIL, "11-06T10:00:00")], true),
        (&[(RETURNED, "11-06T10:00:00")], true),
        (&[(PASS, "11-06T10:00:00")], false),
        (&[(EXCELLENT, "11-06T10:00:00")], false),
        (&[(PASS, "11-06T10:00:00"), (RETURNED, "11-07T10:00:00")], true),
        (&[(PASS, "11-06T10:00:00"), (FAIL, "11-07T10:00:00")], true),
        (&[(FAIL, "11-06T10:00:00"), (PASS, "11-07T10:00:00")], false),
        // What happened after it is not seen, whenever it was told.
        (&[(PASS, "11-09T10:00:00")], true),
        (&[(PASS, "11-06T10:00:00"), (FAIL, "11-09T10:00:00")], false),
    ] {
        let there = works(&[("A1", "11-05T10:00:00", marks)]);
        match decide_submission(&scheme(), &trainee(), &new, there) {
            Ok(changes) => assert!(replaces && told(&changes) == ["A1 by A2"], "{marks:?}"),
            Err(refusal) => assert!(!replaces && refusal.reason == AlreadyGraded, "{marks:?}"),
        }
    }
}

#[test]
fn late_submission_takes_its_place_between_the_others() {
    let late = submission("A1", "11-05T10:00:00");
    let decide =
        |there: Works| decide_submission(&scheme(), &trainee(), &late, there).map(|changes| told(&changes));
    let others = |marks| works(&[("A0", "11-04T10:00:00", marks), ("A2", "11-08T10:00:00", &[])]);
    assert_eq!(
        decide(works(&[("A2", "11-08T10:00:00", &[(PASS, "11-10T10:00:00")])])).unwrap(),
        ["A1 by A2"]
    );
    assert_eq!(decide(others(&[])).unwrap(), ["A0 by A1", "A1 by A2"]);
    // Graded after the late one and before the newest: the late one replaces it first, so the newest counts again.
    assert_eq!(decide(others(&[(PASS, "11-06T10:00:00")])).unwrap(), ["A0 by A1", "A1 by A2", "A2 counts"]);
    assert_eq!(decide(others(&[(PASS, "11-04T12:00:00")])).unwrap_err().reason, AlreadyGraded);
}

#[test]
fn grade_that_is_told_late_gives_a_submission_its_place_back() {
    let mut there = works(&[("A1", "11-04T10:00:00", &[]), ("A2", "11-08T10:00:00", &[])]);
    let told_late = |works: &mut Works, kind, when| {
        works.add_mark(&id("A1"), &mark(works.next_number(), kind, when));
        let changes = works.changes(&scheme());
        for change in &changes {
            works.told.insert(change.submission_id.clone(), change.standing.clone());
        }
        told(&changes)
    };
    assert_eq!(told_late(&mut there, FAIL, "11-05T10:00:00"), Vec::<String>::new());
    assert_eq!(told_late(&mut there, PASS, "11-06T10:00:00"), ["A1 counts", "A2 after A1"]);
    assert_eq!(told_late(&mut there, RETURNED, "11-07T10:00:00"), ["A1 by A2", "A2 counts"]);
    // At the instant of the newer one, and recorded after it: too late to keep its place.
    assert_eq!(told_late(&mut there, EXCELLENT, "11-08T10:00:00"), Vec::<String>::new());
}

#[test]
fn mark_is_refused_by_one_cause_each() {
    let there = submission("A1", "11-04T10:00:00");
    let replaced = Submission {
        standing: Standing::Superseded { by: id("A2"), at: at("11-06T10:00:00") },
        ..there.clone()
    };
    let disregarded = Submission { standing: Standing::Disregarded { graded: id("A0") }, ..there.clone() };
    let noon = "11-05T12:00:00";
    let none: Option<ErrorReason> = None;
    for (who, by, what, comment, when, reason) in [
        (trainee(), "U1", &there, "好", noon, none),
        (trainee(), "U1", &there, "好", "12-20T23:59:59", none),
        (trainee(), "U1", &there, "好", "12-21T00:00:00", Some(WindowClosed)),
        (trainee(), "U1", &there, "好", "11-04T09:59:59", Some(NotFound)),
        (trainee(), "U2", &there, "好", noon, Some(NotClassTutor)),
        (withdrawn(noon), "U1", &there, "好", noon, Some(Withdrawn)),
        (withdrawn("11-06T00:00:00"), "U1", &there, "好", noon, none),
        (trainee(), "U1", &replaced, "好", "11-06T09:59:59", none),
        (trainee(), "U1", &replaced, "好", "11-06T10:00:00", Some(Superseded)),
        (trainee(), "U1", &disregarded, "好", noon, none),
        (trainee(), "U1", &there, "", noon, Some(CommentRequired)),
        (trainee(), "U1", &there, "\u{200B}\u{2800}", noon, Some(CommentRequired)),
        (trainee(), "U1", &there, " \u{3000}\n", noon, Some(CommentRequired)),
    ] {
        let class = class();
        let decided =
            decide_mark(&scheme(), (&tutor(by), Some(&class), &who), (what, &[]), comment, at(when));
        assert_eq!(decided.err().map(|refusal| refusal.reason), reason, "{by} {when} {comment:?}");
    }
    let gone = Member { absences: at(noon).into(), ..tutor("U1") };
    for (when, reason) in [("11-05T09:59:59", None), (noon, Some(Withdrawn))] {
        let class = class();
        let people = (&gone, Some(&class), &trainee());
        let decided = decide_mark(&scheme(), people, (&there, &[]), "好", at(when));
        assert_eq!(decided.err().map(|refusal| refusal.reason), reason, "{when}");
    }
    let alone = decide_mark(&scheme(), (&tutor("U1"), None, &trainee()), (&there, &[]), "好", at(noon));
    assert_eq!(alone.unwrap_err().reason, NotClassTutor);
}

#[test]
fn marks_of_one_submission_are_limited() {
    let there = submission("A1", "11-04T10:00:00");
    let class = class();
    let people = (&tutor("U1"), Some(&class), &trainee());
    let mut marks = vec![mark(1, FAIL, "11-05T10:00:00"); MARKS_PER_SUBMISSION_MAX];
    let refused = decide_mark(&scheme(), people, (&there, &marks), "好", at("11-06T10:00:00"));
    assert_eq!(refused.unwrap_err().reason, LimitReached);
    marks.pop();
    decide_mark(&scheme(), people, (&there, &marks), "好", at("11-06T10:00:00")).unwrap();
}

#[test]
fn number_counts_submissions_and_marks_of_the_trainee() {
    assert_eq!(Works::default().next_number(), 1);
    let there =
        works(&[("A1", "11-04T10:00:00", &[(FAIL, "11-05T10:00:00")]), ("A2", "11-06T10:00:00", &[])]);
    assert_eq!(there.next_number(), 4);
}

#[test]
fn marks_are_owed_by_the_class_of_then_and_at_last_by_that_of_the_end() {
    for (as_of, expected) in [
        ("11-05T10:00:00", at("11-05T10:00:00")),
        ("12-20T23:59:59", at("12-20T23:59:59")),
        ("12-21T00:00:00", at("12-20T23:59:59.999999")),
        ("12-31T00:00:00", at("12-20T23:59:59.999999")),
    ] {
        assert_eq!(owing_as_of(&scheme(), at(as_of)), expected, "{as_of}");
    }
}

#[test]
fn same_submission_is_known_by_content_and_stated_time() {
    let there = submission("A1", "11-05T10:00:00");
    let again = submission("A1", "11-06T10:00:00");
    assert!(is_same_submission(&there, &again, None));
    assert!(is_same_submission(&there, &again, Some(there.submitted_at)));
    assert!(!is_same_submission(&there, &again, Some(again.submitted_at)));
    for other in [
        Submission { person_id: id("T2"), ..again.clone() },
        Submission { kind: "micro_lesson".to_owned(), ..again.clone() },
        Submission { title: "别的".to_owned(), ..again.clone() },
        Submission { text: "正文".to_owned(), ..again.clone() },
    ] {
        assert!(!is_same_submission(&there, &other, None), "{other:?}");
    }
}

fn seminar() -> Seminar {
    Seminar {
        seminar_id: id("N1"),
        class_id: id("L1"),
        tutor_id: id("U1"),
        topic: "研讨".to_owned(),
        opened_at: at("11-20T08:00:00"),
        summary: String::new(),
        summary_at: None,
        summarised_at: None,
        summary_count: 0,
        summary_fact_id: String::new(),
        fact_id: String::new(),
        stands: true,
    }
}

#[test]
fn opening_needs_the_tutor_and_the_window() {
    for (by, when, reason) in [
        ("U1", "11-20T00:00:00", None),
        ("U1", "12-20T23:59:59", None),
        ("U1", "11-19T23:59:59", Some(WindowNotOpen)),
        ("U1", "12-21T00:00:00", Some(WindowClosed)),
        ("U2", "11-20T00:00:00", Some(NotClassTutor)),
    ] {
        let decided = decide_opening(&scheme(), &tutor(by), &class(), at(when));
        assert_eq!(decided.err().map(|refusal| refusal.reason), reason, "{by} {when}");
    }
}

#[test]
fn post_is_refused_by_one_cause_each() {
    let long = "研".repeat(300);
    let padded = format!("{}{}", "研".repeat(299), " \n\u{3000}".repeat(50));
    let other = member("T1", Role::Trainee, "L2");
    let noon = "11-25T12:00:00";
    let moved = |from: &str, to: &str| Member {
        places: History::new(place(from), vec![(at(noon), place(to))]),
        ..trainee()
    };
    for (who, text, when, expected) in [
        (trainee(), long.as_str(), noon, Ok(300)),
        (trainee(), &long[3..], noon, Err(TextTooShort)),
        (trainee(), &padded, noon, Err(TextTooShort)),
        (trainee(), "", noon, Err(TextTooShort)),
        (other, &long, noon, Err(NotClassMember)),
        (moved("L1", "L2"), &long, "11-25T11:59:59", Ok(300)),
        (moved("L1", "L2"), &long, noon, Err(NotClassMember)),
        (moved("L2", "L1"), &long, "11-25T11:59:59", Err(NotClassMember)),
        (moved("L2", "L1"), &long, noon, Ok(300)),
        (withdrawn(noon), &long, noon, Err(Withdrawn)),
        (trainee(), &long, "11-20T07:59:59", Err(NotFound)),
        (trainee(), &long, "12-21T00:00:00", Err(WindowClosed)),
    ] {
        let decided = decide_post(&scheme(), &who, &seminar(), text, at(when));
        assert_eq!(decided.map_err(|refusal| refusal.reason), expected, "{when}");
    }
    let early = Seminar { opened_at: at("11-01T08:00:00"), ..seminar() };
    let decided = decide_post(&scheme(), &trainee(), &early, &long, at("11-19T23:59:59"));
    assert_eq!(decided.unwrap_err().reason, WindowNotOpen);
}

#[test]
fn summary_is_the_tutors_inside_the_window() {
    let (class, fallen) = (class(), Seminar { stands: false, ..seminar() });
    let decide = |seminar: &Seminar, by: &str, when: &str| {
        decide_summary(&scheme(), &tutor(by), Some(&class), seminar, at(when))
    };
    assert_eq!(decide(&seminar(), "U1", "11-25T12:00:00"), Ok(()));
    assert_eq!(decide(&fallen, "U1", "11-25T12:00:00").unwrap_err().reason, NotFound);
    for (by, when, reason) in [
        ("U2", "11-25T12:00:00", NotClassTutor),
        ("U1", "12-21T00:00:00", WindowClosed),
        ("U1", "11-20T07:59:59", NotFound),
    ] {
        assert_eq!(decide(&seminar(), by, when).unwrap_err().reason, reason, "{by} {when}");
    }
}

#[test]
fn bulletin_needs_its_own_window() {
    for (by, number, when, reason) in [
        ("U1", 1, "09-15T00:00:00", None),
        ("U1", 1, "10-30T23:59:59", None),
        ("U1", 1, "10-31T00:00:00", Some(WindowClosed)),
        ("U1", 2, "10-09T23:59:59", Some(WindowNotOpen)),
        ("U1", 2, "11-30T23:59:59", None),
        ("U1", 3, "12-21T00:00:00", Some(WindowClosed)),
        ("U1", 4, "11-01T00:00:00", Some(NotFound)),
        ("U1", 0, "11-01T00:00:00", Some(NotFound)),
        ("U2", 1, "10-01T00:00:00", Some(NotClassTutor)),
    ] {
        let new = Bulletin {
            class_id: id("L1"),
            number,
            tutor_id: id(by),
            title: "简报".to_owned(),
            text: String::new(),
            published_at: at(when),
            fact_id: String::new(),
            stands: true,
        };
        let decided = decide_bulletin(&scheme(), &tutor(by), &class(), &new);
        assert_eq!(decided.err().map(|refusal| refusal.reason), reason, "{by} {number} {when}");
    }
}
