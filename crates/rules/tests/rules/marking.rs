//! Who answers for the marking of a submission: edges of weeks, transfers, withdrawals.

use shipei_rules::absence::Absences;
use shipei_rules::history::History;
use shipei_rules::marking::{Elsewhere, TraineeWork, answering, week_of};
use shipei_rules::scheme::Grade;
use shipei_rules::submission::Submission;

use crate::support::{at, qinhuangdao, submission};

/// Of each submission that anybody answers for: its id, the class that owes, the week and class of the late one.
type Told = Vec<(String, Option<&'static str>, Option<(i64, &'static str)>)>;

fn told(
    submissions: &[Submission],
    places: &History<&'static str>,
    withdrawn: Option<&str>,
    as_of: &str,
) -> Told {
    let work = TraineeWork {
        submissions,
        places,
        absences: &withdrawn.map(at).map(Absences::from).unwrap_or_default(),
        elsewhere: &Elsewhere::new(),
    };
    let mut told = Vec::new();
    for one in answering(&qinhuangdao(), &work, at(as_of)) {
        let late = one.late.map(|(week, place)| (week.index, *place));
        told.push((one.submission.id.to_string(), one.owed_in.copied(), late));
    }
    told
}

#[test]
fn week_that_holds_the_first_day_is_the_first_from_its_monday_on() {
    let scheme = qinhuangdao();
    assert_eq!(week_of(&scheme, at("2019-10-27T23:59:59")), None);
    let first = week_of(&scheme, at("2019-10-28T00:00:00")).unwrap();
    assert_eq!((first.index, first.deadline), (0, at("2019-11-04T00:00:00")));
    assert_eq!(
        (first.monday.to_string(), first.sunday.to_string()),
        ("2019-10-28".into(), "2019-11-03".into())
    );
    assert_eq!(week_of(&scheme, at("2019-11-03T23:59:59")).unwrap(), first);
    assert_eq!(week_of(&scheme, at("2019-11-04T00:00:00")).unwrap().index, 1);
    assert_eq!(week_of(&scheme, at("2019-11-18T00:00:00")).unwrap().index, 3);
}

#[test]
fn mark_by_the_second_before_the_deadline_is_on_time() {
    let l1 = History::from("L1");
    let marked = |when: &'static str| [submission("A1", "2019-11-03T23:59:59", &[(when, Some(Grade::Fail))])];
    assert_eq!(told(&marked("2019-11-03T23:59:59"), &l1, None, "2019-12-31T00:00:00"), []);
    let late = ("A1".to_owned(), None, Some((0, "L1")));
    assert_eq!(told(&marked("2019-11-04T00:00:00"), &l1, None, "2019-12-31T00:00:00"), [late]);
    let unmarked = [submission("A1", "2019-11-03T23:59:59", &[])];
    let owed = |late| [("A1".to_owned(), Some("L1"), late)];
    assert_eq!(told(&unmarked, &l1, None, "2019-11-03T23:59:59"), owed(None));
    assert_eq!(told(&unmarked, &l1, None, "2019-11-04T00:00:00"), owed(Some((0, "L1"))));
}

#[test]
fn withdrawal_settles_a_week_before_its_deadline_only_and_leaves_nothing_owed() {
    let l1 = History::from("L1");
    let open = [submission("A1", "2019-11-04T10:00:00", &[])];
    let end = "2019-12-31T00:00:00";
    assert_eq!(told(&open, &l1, None, end), [("A1".to_owned(), Some("L1"), Some((1, "L1")))]);
    assert_eq!(told(&open, &l1, Some("2019-11-10T23:59:59"), end), []);
    let late = [("A1".to_owned(), None, Some((1, "L1")))];
    assert_eq!(told(&open, &l1, Some("2019-11-11T00:00:00"), end), late);
    assert_eq!(
        told(&open, &l1, Some("2019-11-11T00:00:00"), "2019-11-10T00:00:00"),
        [("A1".to_owned(), Some("L1"), None)]
    );
}

#[test]
fn superseded_one_is_settled_and_a_disregarded_one_is_nobodys() {
    let l1 = History::from("L1");
    let newer = |when| Submission {
        number: 9,
        ..submission("A2", when, &[("2019-11-20T00:00:00", Some(Grade::Pass))])
    };
    let first = submission("A1", "2019-11-04T10:00:00", &[]);
    let second_late = ("A2".to_owned(), None, Some((2, "L1")));
    // Replaced within the week, and at the deadline.
    let all = [first.clone(), newer("2019-11-12T10:00:00")];
    let both = [("A1".to_owned(), None, Some((1, "L1"))), second_late];
    assert_eq!(told(&all, &l1, None, "2019-12-31T00:00:00"), both);
    let within = [first, newer("2019-11-10T10:00:00")];
    assert_eq!(told(&within, &l1, None, "2019-12-31T00:00:00"), [("A2".to_owned(), None, Some((1, "L1")))]);
    let graded = submission("A1", "2019-11-04T10:00:00", &[("2019-11-05T10:00:00", Some(Grade::Pass))]);
    let ignored = Submission { number: 9, ..submission("A2", "2019-11-06T10:00:00", &[]) };
    assert_eq!(told(&[graded, ignored], &l1, None, "2019-12-31T00:00:00"), []);
}

#[test]
fn class_of_then_owes_and_the_class_of_the_deadline_was_late() {
    let places =
        History::new("L1", vec![(at("2019-11-11T00:00:00"), "L2"), (at("2019-12-21T00:00:00"), "L3")]);
    let open = [submission("A1", "2019-11-04T10:00:00", &[])];
    let one = |owed, late| [("A1".to_owned(), Some(owed), late)];
    assert_eq!(told(&open, &places, None, "2019-11-10T23:59:59"), one("L1", None));
    assert_eq!(told(&open, &places, None, "2019-11-11T00:00:00"), one("L2", Some((1, "L1"))));
    assert_eq!(told(&open, &places, None, "2019-12-31T00:00:00"), one("L2", Some((1, "L1"))));
    // A mark after the reviews' end is none.
    let marked = [submission("A1", "2019-12-10T10:00:00", &[("2019-12-21T00:00:00", Some(Grade::Pass))])];
    assert_eq!(told(&marked, &places, None, "2019-12-31T00:00:00"), one("L2", Some((6, "L2"))));
}

/// Of a person with two ids each work is marked where its id stood; away by either of them, nothing is owed, and of both the newest counts.
#[test]
fn work_of_another_id_is_marked_where_that_stood() {
    let end = at("2019-12-31T00:00:00");
    let of = |submissions: &[Submission], away: (Option<&str>, Option<&str>)| {
        let absences = |left: Option<&str>| left.map(at).map(Absences::from).unwrap_or_default();
        let places = History::new("L3", vec![(at("2019-11-20T00:00:00"), "L2")]);
        let elsewhere =
            Elsewhere::from([(submission("B1", "2019-11-05T10:00:00", &[]).id, (places, absences(away.1)))]);
        let work = TraineeWork {
            submissions,
            places: &History::from("L1"),
            absences: &absences(away.0),
            elsewhere: &elsewhere,
        };
        let mut told = Vec::new();
        for one in answering(&qinhuangdao(), &work, end) {
            told.push((
                one.submission.id.to_string(),
                one.owed_in.copied(),
                one.late.map(|(_, place)| *place),
            ));
        }
        told
    };
    let own = submission("A1", "2019-11-04T10:00:00", &[]);
    let other = submission("B1", "2019-11-05T10:00:00", &[]);
    let told = |id: &str, owed, late| (id.to_owned(), owed, late);
    let newest = [told("B1", Some("L2"), Some("L3"))];
    assert_eq!(
        of(&[own.clone(), other.clone()], (None, None)),
        newest,
        "A1 was superseded by its week's end"
    );
    for away in [(Some("2019-11-06T00:00:00"), None), (None, Some("2019-11-06T00:00:00"))] {
        assert_eq!(of(&[own.clone(), other.clone()], away), [], "{away:?}");
    }
    let later = submission("A2", "2019-11-12T10:00:00", &[]);
    let newest = [told("B1", None, Some("L3")), told("A2", Some("L1"), Some("L1"))];
    assert_eq!(of(&[other, own, later], (None, None)), newest);
}
