//! Which submission counts, at every edge that Annex 2 names, and in any order of arrival.

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use shipei_rules::scheme::Grade;
use shipei_rules::submission::{MarkKind, Standing, Submission, counting, standings};

use crate::support::{at, qinhuangdao, submission};
use crate::trainee_properties::submissions;

const PASS: Option<Grade> = Some(Grade::Pass);
const FAIL: Option<Grade> = Some(Grade::Fail);
const EXCELLENT: Option<Grade> = Some(Grade::Excellent);
const RETURNED: Option<Grade> = None;

fn end() -> DateTime<Utc> {
    qinhuangdao().final_as_of()
}

/// The standings as texts: `A1 counts`, `A1 by A2`, `A2 after A1`.
fn told(submissions: &[Submission], as_of: DateTime<Utc>) -> Vec<String> {
    let tell = |(submission, standing): (&Submission, Standing<'_>)| match standing {
        Standing::Counts => format!("{} counts", submission.id),
        Standing::Superseded { by } => format!("{} by {}", submission.id, by.id),
        Standing::Disregarded { graded } => format!("{} after {}", submission.id, graded.id),
    };
    standings(&qinhuangdao(), submissions, as_of).into_iter().map(tell).collect()
}

#[test]
fn newer_submission_supersedes_unless_the_grade_stood_by_then() {
    let day = |day: &'static str| -> &'static str { day };
    for (marks, expected) in [
        (vec![], ["A1 by A2", "A2 counts"]),
        (vec![(day("2019-11-06T00:00:00"), FAIL)], ["A1 by A2", "A2 counts"]),
        (vec![(day("2019-11-06T00:00:00"), RETURNED)], ["A1 by A2", "A2 counts"]),
        (vec![(day("2019-11-06T00:00:00"), PASS)], ["A1 counts", "A2 after A1"]),
        (vec![(day("2019-11-06T00:00:00"), EXCELLENT)], ["A1 counts", "A2 after A1"]),
        (vec![(day("2019-11-07T23:59:59"), PASS)], ["A1 counts", "A2 after A1"]),
        (vec![(day("2019-11-09T00:00:00"), PASS)], ["A1 by A2", "A2 counts"]),
        (
            vec![(day("2019-11-06T00:00:00"), PASS), (day("2019-11-07T00:00:00"), FAIL)],
            ["A1 by A2", "A2 counts"],
        ),
        (
            vec![(day("2019-11-06T00:00:00"), PASS), (day("2019-11-09T00:00:00"), FAIL)],
            ["A1 counts", "A2 after A1"],
        ),
        (
            vec![(day("2019-11-07T00:00:00"), PASS), (day("2019-11-06T00:00:00"), FAIL)],
            ["A1 counts", "A2 after A1"],
        ),
    ] {
        let first = submission("A1", "2019-11-04T00:00:00", &marks);
        let second = Submission { number: 9, ..submission("A2", "2019-11-08T00:00:00", &[]) };
        assert_eq!(told(&[first.clone(), second.clone()], end()), expected, "{marks:?}");
        assert_eq!(told(&[second, first], end()), expected, "{marks:?}");
    }
}

#[test]
fn number_tells_at_one_instant_whether_the_grade_came_before() {
    let noon = "2019-11-08T12:00:00";
    for (number_of_grade, number_of_second, expected) in
        [(2, 3, ["A1 counts", "A2 after A1"]), (3, 2, ["A1 by A2", "A2 counts"])]
    {
        let mut first = submission("A1", noon, &[(noon, PASS)]);
        first.marks[0].number = number_of_grade;
        let second = Submission { number: number_of_second, ..submission("A2", noon, &[]) };
        assert_eq!(told(&[second, first], end()), expected);
    }
}

#[test]
fn what_was_disregarded_supersedes_nothing_later() {
    let first = submission(
        "A1",
        "2019-11-04T00:00:00",
        &[("2019-11-05T00:00:00", PASS), ("2019-11-09T00:00:00", RETURNED)],
    );
    let second = Submission { number: 8, ..submission("A2", "2019-11-06T00:00:00", &[]) };
    let third = Submission { number: 9, ..submission("A3", "2019-11-10T00:00:00", &[]) };
    let all = [first, second, third];
    assert_eq!(told(&all, end()), ["A1 by A3", "A2 after A1", "A3 counts"]);
    assert_eq!(told(&all, at("2019-11-09T23:59:59")), ["A1 counts", "A2 after A1"]);
    assert_eq!(told(&all, at("2019-11-04T00:00:00")), ["A1 counts"]);
    assert_eq!(counting(&qinhuangdao(), &all, end()).unwrap().id.as_str(), "A3");
}

#[test]
fn what_lies_outside_the_window_is_no_submission() {
    let early = submission("A1", "2019-10-31T23:59:59", &[]);
    let late = submission("A2", "2019-12-11T00:00:00", &[]);
    assert_eq!(counting(&qinhuangdao(), &[early, late], end()), None);
}

#[test]
fn last_mark_is_by_time_then_number_and_before_the_reviews_end() {
    let noon = "2019-11-05T12:00:00";
    let marked = submission(
        "A1",
        "2019-11-04T00:00:00",
        &[(noon, PASS), (noon, FAIL), ("2019-11-05T11:00:00", EXCELLENT)],
    );
    let last = |by: &str, before: &str| marked.last_mark(at(by), at(before)).map(|mark| mark.kind);
    assert_eq!(last(noon, "2019-12-21T00:00:00"), Some(MarkKind::Graded(Grade::Fail)));
    assert_eq!(last(noon, noon), Some(MarkKind::Graded(Grade::Excellent)));
    assert_eq!(last("2019-11-05T10:59:59", noon), None);
    assert_eq!(marked.first_marked_at(), Some(at("2019-11-05T11:00:00")));
    assert_eq!(MarkKind::Returned.grade(), None);
}

/// Every instant different from all others, so that no number decides.
fn apart(mut submissions: Vec<Submission>) -> Vec<Submission> {
    let mut micros = 1..;
    let mut apart = |at: &mut DateTime<Utc>| *at += chrono::TimeDelta::microseconds(micros.next().unwrap());
    for submission in &mut submissions {
        apart(&mut submission.submitted_at);
        submission.marks.iter_mut().for_each(|mark| apart(&mut mark.at));
    }
    submissions
}

proptest! {
    #[test]
    fn order_of_arrival_decides_nothing(
        submissions in submissions(5).prop_map(apart), numbers in prop::collection::vec(any::<i64>(), 32),
    ) {
        let mut arrived_otherwise = submissions.clone();
        let mut numbers = numbers.into_iter();
        for submission in &mut arrived_otherwise {
            submission.number = numbers.next().unwrap();
            submission.marks.iter_mut().for_each(|mark| mark.number = numbers.next().unwrap());
            submission.marks.reverse();
        }
        arrived_otherwise.reverse();
        prop_assert_eq!(told(&submissions, end()), told(&arrived_otherwise, end()));
    }

    #[test]
    fn exactly_one_counts_of_any(submissions in submissions(5)) {
        let standings = standings(&qinhuangdao(), &submissions, end());
        let counts = standings.iter().filter(|(_, standing)| *standing == Standing::Counts).count();
        prop_assert_eq!(counts, usize::from(!standings.is_empty()));
        for (submission, standing) in &standings {
            let later = standing.superseded_at().is_none_or(|at| at >= submission.submitted_at);
            prop_assert!(later);
        }
    }
}
