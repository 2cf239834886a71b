//! Tables of cases: who tells, who sends back, whom evidence must name.

use shipei_mirror::{Absences, Place, Teaching, testing::id};
use shipei_rules::duties;

use super::*;

fn at(text: &str) -> DateTime<Utc> {
    format!("2019-{text}+08:00").parse().unwrap()
}

fn member(person: &str, role: Role) -> Member {
    Member {
        person_id: id(person),
        role,
        places: Place::default().into(),
        teaching: Teaching::default().into(),
        login_at: None,
        pre_job_at: None,
        absences: Absences::default(),
        counts_for: None,
        merged: Vec::new(),
    }
}

fn submit(code: &str, bearer: Bearer, about: &[&str]) -> Submit {
    Submit {
        programme: id("Q1"),
        bearer,
        duty: duties::duty(code).unwrap(),
        text: "已完成".to_owned(),
        link: String::new(),
        file_sha256: Vec::new(),
        about: about.iter().map(|person| id(person)).collect(),
    }
}

fn county() -> Bearer {
    Bearer::Region(RegionCode::parse("130302").unwrap())
}

fn reason(decided: Decided<()>) -> Option<ErrorReason> {
    decided.err().map(|refusal| refusal.reason)
}

#[test]
fn evidence_is_sent_back_by_who_stands_above_and_by_nobody_else() {
    use CallerRole as By;
    let all = [By::Trainee, By::ClassTutor, By::CountyCounselor, By::MunicipalLead, By::SubjectExpert];
    for (code, allowed) in [
        ("TRAIN-TRAINEE-OFFLINE-SELECT", &[By::ClassTutor, By::CountyCounselor, By::MunicipalLead][..]),
        ("ASSESS-TUTOR-RECOMMEND", &[By::CountyCounselor, By::MunicipalLead]),
        ("SUMMARY-COUNSELOR", &[By::MunicipalLead]),
        ("SUMMARY-MUNICIPAL", &[]),
        ("SUMMARY-EXPERT", &[]),
        ("PREP-INSTITUTION-READY", &[]),
    ] {
        let duty = duties::duty(code).unwrap();
        for by in all {
            let expected = (!allowed.contains(&by)).then_some(ErrorReason::NotPermitted);
            assert_eq!(reason(may_send_back(by, duty)), expected, "{code} by {by:?}");
        }
        let by_institution = (code == "PREP-INSTITUTION-READY").then_some(ErrorReason::NotPermitted);
        assert_eq!(reason(may_send_back(By::TrainingInstitution, duty)), by_institution, "{code}");
        assert_eq!(reason(may_send_back(By::Province, duty)), None, "{code}");
    }
}

#[test]
fn evidence_is_told_by_who_bears_the_duty_or_stands_above_all() {
    use CallerRole as By;
    for duty in duties::all() {
        for by in [By::Trainee, By::ClassTutor, By::CountyCounselor, By::MunicipalLead, By::SubjectExpert] {
            let is_own = by.known() == Some(duty.role);
            assert_eq!(may_tell(by, duty).is_ok(), is_own, "{} by {by:?}", duty.code);
        }
        assert!(may_tell(By::TrainingInstitution, duty).is_ok() && may_tell(By::Province, duty).is_ok());
    }
}

#[test]
fn duty_is_borne_by_a_person_a_region_or_the_institution() {
    let (expert, tutor) = (member("E1", Role::SubjectExpert), member("U1", Role::ClassTutor));
    let noon = at("10-01T12:00:00");
    let person = || Bearer::Person(id("E1"));
    let (nobody, invalid) = (Some(ErrorReason::NotFound), Some(ErrorReason::InvalidField));
    for (code, bearer, who, level, expected) in [
        ("TRAIN-EXPERT-TOPIC", person(), Some(&expert), None, None),
        ("TRAIN-EXPERT-TOPIC", person(), Some(&tutor), None, nobody),
        ("TRAIN-EXPERT-TOPIC", person(), None, None, nobody),
        ("TRAIN-EXPERT-TOPIC", county(), None, Some(RegionLevel::County), invalid),
        ("TRAIN-EXPERT-TOPIC", Bearer::Institution, None, None, invalid),
        ("SUMMARY-COUNSELOR", county(), None, Some(RegionLevel::County), None),
        ("SUMMARY-COUNSELOR", county(), None, Some(RegionLevel::City), nobody),
        ("SUMMARY-COUNSELOR", county(), None, None, nobody),
        ("SUMMARY-COUNSELOR", person(), Some(&expert), None, invalid),
        ("SUMMARY-MUNICIPAL", county(), None, Some(RegionLevel::City), None),
        ("SUMMARY-MUNICIPAL", county(), None, Some(RegionLevel::County), nobody),
        ("TRAIN-INSTITUTION-BULLETIN", Bearer::Institution, None, None, None),
        ("TRAIN-INSTITUTION-BULLETIN", county(), None, Some(RegionLevel::City), invalid),
    ] {
        let found = decide_bearer(&submit(code, bearer, &[]), who, level, noon);
        assert_eq!(reason(found), expected, "{code} {level:?}");
    }
    let away = Member { absences: at("10-01T12:00:00").into(), ..expert };
    let command = submit("TRAIN-EXPERT-TOPIC", person(), &[]);
    assert_eq!(reason(decide_bearer(&command, Some(&away), None, noon)), Some(ErrorReason::Withdrawn));
}

#[test]
fn evidence_names_whom_its_duty_asks_for() {
    let people = [
        (member("U1", Role::ClassTutor), true),
        (member("U2", Role::ClassTutor), false),
        (member("E1", Role::SubjectExpert), false),
        (member("T1", Role::Trainee), true),
        (member("T2", Role::Trainee), false),
    ];
    let tutor = || Bearer::Person(id("U1"));
    let (nobody, invalid) = (Some(ErrorReason::NotFound), Some(ErrorReason::InvalidField));
    for (code, bearer, about, expected) in [
        ("SUMMARY-COUNSELOR", county(), &[][..], None),
        ("SUMMARY-COUNSELOR", county(), &["T1"], invalid),
        ("REPORT-MUNICIPAL-RECOMMEND", county(), &["U1"], None),
        ("REPORT-MUNICIPAL-RECOMMEND", county(), &["U2"], nobody),
        ("REPORT-MUNICIPAL-RECOMMEND", county(), &["T1"], nobody),
        ("REPORT-MUNICIPAL-RECOMMEND", county(), &["U9"], nobody),
        ("REPORT-MUNICIPAL-RECOMMEND", county(), &[], invalid),
        ("REPORT-INSTITUTION-STAFF", Bearer::Institution, &["E1", "U2"], None),
        ("REPORT-INSTITUTION-STAFF", Bearer::Institution, &["U1", "U2"], invalid),
        ("ASSESS-TUTOR-RECOMMEND", tutor(), &["T1"], None),
        ("ASSESS-TUTOR-RECOMMEND", tutor(), &["T1", "T2"], Some(ErrorReason::NotClassMember)),
        ("ASSESS-TUTOR-RECOMMEND", tutor(), &["U1"], nobody),
    ] {
        let command = submit(code, bearer, about);
        let found: Vec<About<'_>> = people
            .iter()
            .filter(|(member, _)| command.about.contains(&member.person_id))
            .map(|(member, is_own)| About { member, is_own: *is_own })
            .collect();
        let decided = decide_about(&command, &found, false, at("12-22T10:00:00"));
        assert_eq!(reason(decided), expected, "{code} {about:?}");
    }
    let select = submit("TRAIN-TRAINEE-OFFLINE-SELECT", Bearer::Person(id("T1")), &[]);
    for (has_course, expected) in [(true, None), (false, Some(ErrorReason::CourseNotApplicable))] {
        assert_eq!(reason(decide_about(&select, &[], has_course, at("09-20T10:00:00"))), expected);
    }
}
