//! Tables of cases: what is decided, and why not.

use super::*;
use shipei_contracts::common::v1::ErrorReason::*;
use shipei_mirror::{Absences, History, Place, Teaching, testing::id};

const SCHEME: &str = include_str!("../../../../crates/rules/data/qinhuangdao-2019.toml");
const NOON: &str = "10-05T12:00:00";

fn scheme() -> Scheme {
    Scheme::parse(SCHEME).unwrap()
}

/// An instant of the scheme's zone, e.g. `10-01T00:00:00` of 2019.
fn at(text: &str) -> DateTime<Utc> {
    format!("2019-{text}+08:00").parse().unwrap()
}

fn place(county_code: &str) -> Place {
    Place { county_code: Some(id(county_code)), ..Place::default() }
}

fn teaching(education_stage: Option<EducationStage>) -> History<Teaching> {
    Teaching { education_stage, ..Teaching::default() }.into()
}

fn member(person_id: &str, role: Role, county_code: &str) -> Member {
    Member {
        person_id: id(person_id),
        role,
        places: place(county_code).into(),
        teaching: teaching((role == Role::Trainee).then_some(EducationStage::Compulsory)),
        login_at: None,
        pre_job_at: None,
        absences: Absences::default(),
        counts_for: None,
        merged: Vec::new(),
    }
}

fn trainee(person_id: &str) -> Member {
    member(person_id, Role::Trainee, "130302")
}

fn counselor(county_code: &str) -> Member {
    member("K1", Role::CountyCounselor, county_code)
}

fn activity() -> Activity {
    Activity {
        activity_id: id("O1"),
        county_code: id("130302"),
        stage: EducationStage::Compulsory,
        theme: "同课异构".to_owned(),
        counselor_id: id("K1"),
        held_at: at("10-02T09:00:00"),
        fact_id: String::new(),
        stands: true,
    }
}

#[test]
fn plan_counts_from_the_first_day_of_reporting_to_the_end_of_the_offline_window() {
    for (county, when, reason) in [
        ("130302", "07-14T23:59:59", Some(WindowNotOpen)),
        ("130302", "07-15T00:00:00", None),
        ("130302", "12-10T23:59:59", None),
        ("130302", "12-11T00:00:00", Some(WindowClosed)),
        ("130303", "10-01T00:00:00", Some(NotCountyCounselor)),
    ] {
        let decided = decide_plan(&scheme(), &counselor(county), id("130302"), at(when));
        assert_eq!(decided.err().map(|refusal| refusal.reason), reason, "{county} {when}");
    }
}

#[test]
fn who_has_left_their_post_does_nothing_more_for_the_county() {
    let gone = Member { absences: at(NOON).into(), ..counselor("130302") };
    for (when, reason) in [("10-05T11:59:59", None), (NOON, Some(Withdrawn))] {
        let decided = decide_plan(&scheme(), &gone, id("130302"), at(when));
        assert_eq!(decided.err().map(|refusal| refusal.reason), reason, "{when}");
    }
}

#[test]
fn county_fact_needs_its_counselor_and_the_offline_window() {
    for (county, when, reason) in [
        ("130302", "09-30T23:59:59", Some(WindowNotOpen)),
        ("130302", "10-01T00:00:00", None),
        ("130302", "12-10T23:59:59", None),
        ("130302", "12-11T00:00:00", Some(WindowClosed)),
        ("130303", "10-01T00:00:00", Some(NotCountyCounselor)),
    ] {
        let decided = decide_county_fact(&scheme(), &counselor(county), id("130302"), at(when));
        assert_eq!(decided.err().map(|refusal| refusal.reason), reason, "{county} {when}");
    }
}

#[test]
fn attendance_is_refused_by_one_cause_each() {
    let good = trainee("T1");
    let gone = Member { absences: at(NOON).into(), ..trainee("T2") };
    let elsewhere = member("T2", Role::Trainee, "130303");
    let moved = |from: &str, to: &str| Member {
        places: History::new(place(from), vec![(at(NOON), place(to))]),
        ..trainee("T2")
    };
    let other_stage = Member { teaching: teaching(Some(EducationStage::NonCompulsory)), ..trainee("T2") };
    let tutor = Member { role: Role::ClassTutor, ..trainee("T2") };
    let before = "10-05T11:59:59";
    for (second, county, when, reason) in [
        (Some(trainee("T2")), "130302", NOON, None),
        (Some(trainee("T2")), "130303", NOON, Some(NotCountyCounselor)),
        (Some(trainee("T2")), "130302", "10-02T08:59:59", Some(NotFound)),
        (Some(trainee("T2")), "130302", "12-11T00:00:00", Some(WindowClosed)),
        (None, "130302", NOON, Some(NotFound)),
        (Some(tutor), "130302", NOON, Some(NotFound)),
        (Some(gone.clone()), "130302", NOON, Some(Withdrawn)),
        (Some(gone), "130302", before, None),
        (Some(elsewhere), "130302", NOON, Some(NotCountyTrainee)),
        (Some(moved("130302", "130303")), "130302", before, None),
        (Some(moved("130302", "130303")), "130302", NOON, Some(NotCountyTrainee)),
        (Some(moved("130303", "130302")), "130302", before, Some(NotCountyTrainee)),
        (Some(moved("130303", "130302")), "130302", NOON, None),
        (Some(other_stage), "130302", NOON, Some(NotCountyTrainee)),
    ] {
        let ids = [id("T1"), id("T2")];
        let mut members = BTreeMap::from([(id("T1"), good.clone())]);
        if let Some(second) = second.clone() {
            members.insert(second.person_id.clone(), second);
        }
        let counselor = counselor(county);
        let decided = decide_attendance(
            |_| scheme().counselor.offline.period,
            &counselor,
            &activity(),
            (&ids, &members),
            at(when),
        );
        let refused = decided.map_or_else(Some, refused_first);
        assert_eq!(refused.as_ref().map(|refusal| refusal.reason), reason, "{second:?} {when}");
        if let Some(refusal) = refused.filter(|refusal| refusal.field.as_deref() == Some("person_ids")) {
            assert_eq!(refusal.metadata["person_id"], "T2");
        }
    }
}

#[test]
fn score_is_refused_by_one_cause_each() {
    let attended = Attendance {
        person_id: id("T1"),
        attended_at: Some(at("10-03T10:00:00")),
        fact_id: String::new(),
        score: None,
        score_fact_id: String::new(),
        score_count: 0,
    };
    let fallen = Attendance { attended_at: None, ..attended.clone() };
    let one_more = Attendance { score_count: SCORES_PER_ATTENDANCE_MAX - 1, ..attended.clone() };
    let full = Attendance { score_count: SCORES_PER_ATTENDANCE_MAX, ..attended.clone() };
    let gone = Member { absences: at(NOON).into(), ..trainee("T1") };
    let moved = member("T1", Role::Trainee, "130303");
    for (who, county, attendance, score, when, reason) in [
        (trainee("T1"), "130302", Some(&attended), 1, NOON, None),
        (trainee("T1"), "130302", Some(&attended), 10, "12-10T23:59:59", None),
        (moved, "130302", Some(&attended), 5, NOON, None),
        (trainee("T1"), "130302", Some(&attended), 0, NOON, Some(ScoreOutOfRange)),
        (trainee("T1"), "130302", Some(&attended), 11, NOON, Some(ScoreOutOfRange)),
        (trainee("T1"), "130302", Some(&one_more), 5, NOON, None),
        (trainee("T1"), "130302", Some(&full), 5, NOON, Some(LimitReached)),
        (trainee("T1"), "130302", None, 5, NOON, Some(NotAttended)),
        (trainee("T1"), "130302", Some(&fallen), 5, NOON, Some(NotAttended)),
        (trainee("T1"), "130302", Some(&attended), 5, "10-03T09:59:59", Some(NotAttended)),
        (trainee("T1"), "130303", Some(&attended), 5, NOON, Some(NotCountyCounselor)),
        (gone, "130302", Some(&attended), 5, NOON, Some(Withdrawn)),
        (trainee("T1"), "130302", Some(&attended), 9, "12-11T00:00:00", Some(WindowClosed)),
        (trainee("T1"), "130302", Some(&attended), 9, "10-02T08:59:59", Some(NotFound)),
    ] {
        let counselor = counselor(county);
        let place = (&counselor, &activity());
        let decided = decide_score(&scheme(), place, (&who, attendance), score, at(when));
        assert_eq!(decided.err().map(|refusal| refusal.reason), reason, "{county} {score} {when}");
    }
}

#[test]
fn nothing_rests_on_an_activity_that_was_retracted() {
    let (fallen, counselor) = (Activity { stands: false, ..activity() }, counselor("130302"));
    let decided = decide_attendance(
        |_| scheme().counselor.offline.period,
        &counselor,
        &fallen,
        (&[], &BTreeMap::new()),
        at(NOON),
    );
    assert_eq!(decided.unwrap_err().reason, NotFound);
    let decided = decide_score(&scheme(), (&counselor, &fallen), (&trainee("T1"), None), 5, at(NOON));
    assert_eq!(decided.unwrap_err().reason, NotFound);
}

#[test]
fn same_activity_is_known_by_content_and_stated_time() {
    let there = activity();
    let again = Activity { held_at: at(NOON), ..activity() };
    assert!(is_same_activity(&there, &again, None));
    assert!(is_same_activity(&there, &again, Some(there.held_at)));
    assert!(!is_same_activity(&there, &again, Some(again.held_at)));
    for other in [
        Activity { county_code: id("130303"), ..activity() },
        Activity { stage: EducationStage::NonCompulsory, ..activity() },
        Activity { theme: "别的".to_owned(), ..activity() },
        Activity { counselor_id: id("K2"), ..activity() },
    ] {
        assert!(!is_same_activity(&there, &other, None), "{other:?}");
    }
}
