//! What claims let through, by the policies of the contracts.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use shipei_contracts::{
    assessment::v1::{GetTraineeScoreRequest, ListTraineeScoresRequest},
    assignment::v1::{PostToSeminarRequest, ReviewSubmissionRequest, SubmitAssignmentRequest},
    common::v1::{Correction, Role},
    enrollment::v1::{
        CompileRosterRequest, CreateProgrammeRequest, GetPersonRequest, GrantExtensionRequest,
        ImportRosterRequest, ListPeopleRequest, ListProgrammesRequest, ReportRosterRequest, RosterHeader,
        TransferTraineeRequest, import_roster_request::Part,
    },
    event::v1::SubscribeRequest,
};

use super::*;
use crate::{call::access::Policies, descriptors};

const P: &str = "qinhuangdao-2019";

fn policy(path: &str) -> Arc<Policy> {
    let names: Vec<String> = descriptors::pool()
        .services()
        .map(|service| service.full_name().to_owned())
        .filter(|name| name.starts_with("shipei."))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let policies = Policies::load(&names).unwrap();
    policies.of(&format!("/shipei.{path}")).unwrap_or_else(|| panic!("{path}")).clone()
}

fn grant(role: Role, place: Place) -> Grant {
    Grant { role, programme_id: None, place, import: false, unmasked: false }
}

fn claims(subject: &str, programmes: &[&str], grants: Vec<Grant>) -> Claims {
    Claims {
        subject: subject.to_owned(),
        programmes: programmes.iter().map(|id| (*id).to_owned()).collect(),
        grants,
        expires_at: DateTime::<Utc>::MAX_UTC,
        not_before: DateTime::<Utc>::MIN_UTC,
        key_id: String::new(),
    }
}

fn region(code: &str) -> Place {
    Place::Region(code.to_owned())
}

fn counselor(code: &str) -> Claims {
    claims("K1", &[P], vec![grant(Role::CountyCounselor, region(code))])
}

fn asked(path: &str, claims: &Claims, request: &impl NamesThings) -> Result<Decision, Refusal> {
    decide(&policy(path), claims, &told(request))
}

fn looked_up(decision: &Decision) -> Vec<(&str, &str)> {
    decision.to_look_up.iter().map(|thing| (thing.field, thing.id.as_str())).collect()
}

fn text(text: &str) -> String {
    text.to_owned()
}

#[test]
fn who_acts_is_the_caller() {
    let path = "enrollment.v1.CountyService/ReportRoster";
    let report = |counselor_id: &str| ReportRosterRequest {
        programme_id: text(P),
        county_code: text("130302"),
        counselor_id: text(counselor_id),
        ..Default::default()
    };
    let own = asked(path, &counselor("130302"), &report("K1")).unwrap();
    assert_eq!(own.actor, "county_counselor:K1@130302");
    assert!(own.to_look_up.is_empty() && !own.import);
    assert_eq!(own.reach, Reach::Regions(vec![text("130302")]));
    assert!(asked(path, &counselor("130302"), &report("K2")).is_err());
    // The institution brings in what others did.
    let institution = claims("I1", &[P], vec![grant(Role::TrainingInstitution, Place::Whole)]);
    assert_eq!(asked(path, &institution, &report("K2")).unwrap().reach, Reach::Everything);
    // A lead compiles and does not report.
    let lead = claims("L1", &[P], vec![grant(Role::MunicipalLead, region("130300"))]);
    assert!(asked(path, &lead, &report("L1")).is_err());
    let compile = CompileRosterRequest {
        programme_id: text(P),
        city_code: text("130300"),
        lead_id: text("L1"),
        ..Default::default()
    };
    assert!(asked("enrollment.v1.CountyService/CompileRoster", &lead, &compile).is_ok());
}

#[test]
fn programme_is_the_callers_own() {
    let path = "enrollment.v1.PersonService/GetPerson";
    let get = |programme: &str| GetPersonRequest { programme_id: text(programme), person_id: text("T1") };
    assert!(asked(path, &counselor("130302"), &get("another")).is_err());
    assert!(asked(path, &claims("K1", &[], counselor("130302").grants), &get(P)).is_err());
    let mut narrow = claims("K1", &[P, "another"], counselor("130302").grants);
    assert!(asked(path, &narrow, &get("another")).is_ok());
    narrow.grants[0].programme_id = Some(text(P));
    assert!(asked(path, &narrow, &get("another")).is_err());
    // What names no programme reaches the caller's.
    let anybody = claims("T1", &[P], vec![grant(Role::Trainee, Place::Person)]);
    let listed =
        asked("enrollment.v1.ProgrammeService/ListProgrammes", &anybody, &ListProgrammesRequest::default());
    assert_eq!(listed.unwrap().reach, Reach::Programmes(vec![text(P)]));
    let of_nothing = claims("T1", &[], anybody.grants);
    assert!(
        asked(
            "enrollment.v1.ProgrammeService/ListProgrammes",
            &of_nothing,
            &ListProgrammesRequest::default()
        )
        .is_err()
    );
    let create = CreateProgrammeRequest::default();
    let institution = claims("I1", &[P], vec![grant(Role::TrainingInstitution, Place::Whole)]);
    let created = asked("enrollment.v1.ProgrammeService/CreateProgramme", &institution, &create).unwrap();
    assert!(created.reach.is_all_of(P) && !created.reach.is_all_of("another"));
}

#[test]
fn everything_that_is_named_must_be_reached() {
    let path = "enrollment.v1.PersonService/TransferTrainee";
    let transfer = |county: &str| TransferTraineeRequest {
        programme_id: text(P),
        person_id: text("T1"),
        county_code: text(county),
        class_id: text("C1"),
        ..Default::default()
    };
    let within = asked(path, &counselor("130302"), &transfer("130302")).unwrap();
    assert_eq!(looked_up(&within), [("person_id", "T1"), ("class_id", "C1")]);
    let elsewhere = asked(path, &counselor("130302"), &transfer("130303")).unwrap();
    assert!(looked_up(&elsewhere).contains(&("county_code", "130303")));
    // A correction names the fact that is to fall.
    let corrects = TransferTraineeRequest {
        correction: Some(Correction { fact_id: text("F1"), reason: text("wrong") }),
        ..transfer("130302")
    };
    let corrected = asked(path, &counselor("130302"), &corrects).unwrap();
    assert!(looked_up(&corrected).contains(&("correction.fact_id", "F1")));
}

#[test]
fn several_grants_reach_together_what_each_reaches() {
    let mut both = counselor("130302");
    both.grants.push(grant(Role::CountyCounselor, region("130629")));
    both.grants.push(grant(Role::ClassTutor, Place::Class(text("C1"))));
    let path = "enrollment.v1.PersonService/ListPeople";
    let list = ListPeopleRequest { programme_id: text(P), ..Default::default() };
    let reach = asked(path, &both, &list).unwrap().reach;
    let expected = [Reach::Regions(vec![text("130302"), text("130629")]), Reach::Classes(vec![text("C1")])];
    assert_eq!(reach, Reach::Any(Arc::from(expected)));
    // One that is named is reached by who covers it.
    let of_class = ListPeopleRequest { class_id: text("C1"), ..list.clone() };
    let decided = asked(path, &both, &of_class).unwrap();
    assert!(decided.to_look_up.is_empty(), "{:?}", decided.to_look_up);
    let tutor = claims("U1", &[P], vec![grant(Role::ClassTutor, Place::Class(text("C1")))]);
    let other = ListPeopleRequest { class_id: text("C2"), ..list };
    assert!(asked(path, &tutor, &of_class).is_ok() && asked(path, &tutor, &other).is_err());
}

#[test]
fn everybody_reads_themself_and_nobody_writes_beyond_their_scope_by_it() {
    let get = |person: &str| GetPersonRequest { programme_id: text(P), person_id: text(person) };
    let path = "enrollment.v1.PersonService/GetPerson";
    for (role, place) in [
        (Role::Trainee, Place::Person),
        (Role::ClassTutor, Place::Class(text("C1"))),
        (Role::SubjectExpert, Place::Subject(text("语文"))),
        (Role::CountyCounselor, region("130302")),
        (Role::MunicipalLead, region("130300")),
    ] {
        let me = claims("M1", &[P], vec![grant(role, place)]);
        assert!(asked(path, &me, &get("M1")).unwrap().to_look_up.is_empty(), "{role:?}");
        let other = asked(path, &me, &get("M2"));
        assert_eq!(other.is_ok(), role != Role::Trainee, "{role:?}");
        assert!(other.is_err() || looked_up(&other.unwrap()) == [("person_id", "M2")]);
    }
    let me = claims("T1", &[P], vec![grant(Role::Trainee, Place::Person)]);
    let score =
        |person: &str| GetTraineeScoreRequest { programme_id: text(P), person_id: text(person), as_of: None };
    let path = "assessment.v1.ScoreService/GetTraineeScore";
    assert_eq!(asked(path, &me, &score("T1")).unwrap().reach, Reach::Person(text("T1")));
    assert!(asked(path, &me, &score("T2")).is_err());
    let list = ListTraineeScoresRequest { programme_id: text(P), ..Default::default() };
    assert!(asked("assessment.v1.ScoreService/ListTraineeScores", &me, &list).is_err());
    let submit = |person: &str| SubmitAssignmentRequest {
        programme_id: text(P),
        person_id: text(person),
        submission_id: text("S1"),
        ..Default::default()
    };
    let path = "assignment.v1.AssignmentService/SubmitAssignment";
    assert!(asked(path, &me, &submit("T1")).unwrap().to_look_up.is_empty());
    assert!(asked(path, &me, &submit("T2")).is_err());
    let post = PostToSeminarRequest {
        programme_id: text(P),
        person_id: text("T1"),
        seminar_id: text("M1"),
        ..Default::default()
    };
    let posted = asked("assignment.v1.SeminarService/PostToSeminar", &me, &post).unwrap();
    assert_eq!(looked_up(&posted), [("seminar_id", "M1")]);
    let review = ReviewSubmissionRequest {
        programme_id: text(P),
        tutor_id: text("T1"),
        submission_id: text("S1"),
        ..Default::default()
    };
    assert!(asked("assignment.v1.AssignmentService/ReviewSubmission", &me, &review).is_err());
}

#[test]
fn write_that_names_nothing_is_for_who_reaches_everything() {
    let lead = claims("L1", &[P], vec![grant(Role::MunicipalLead, region("130300"))]);
    let path = "enrollment.v1.ExtensionService/GrantExtension";
    let extension = |region: &str| GrantExtensionRequest {
        programme_id: text(P),
        region_code: text(region),
        ..Default::default()
    };
    assert!(asked(path, &lead, &extension("")).is_err());
    assert!(asked(path, &lead, &extension("130300")).unwrap().to_look_up.is_empty());
    assert_eq!(looked_up(&asked(path, &lead, &extension("130100")).unwrap()), [("region_code", "130100")]);
    let institution = claims("I1", &[P], vec![grant(Role::TrainingInstitution, Place::Whole)]);
    assert!(asked(path, &institution, &extension("")).is_ok());
    // The rows of a roster are judged one by one.
    let header = RosterHeader { programme_id: text(P), ..Default::default() };
    let first = ImportRosterRequest { part: Some(Part::Header(header)) };
    let decided = asked("enrollment.v1.PersonService/ImportRoster", &counselor("130302"), &first).unwrap();
    assert_eq!(decided.reach, Reach::Regions(vec![text("130302")]));
}

#[test]
fn feed_reaches_the_regions_of_the_callers_programmes() {
    let path = "event.v1.EventFeed/Subscribe";
    let subscribe = |programmes: &[&str], regions: &[&str]| SubscribeRequest {
        programme_ids: programmes.iter().map(|id| text(id)).collect(),
        region_codes: regions.iter().map(|code| text(code)).collect(),
        ..Default::default()
    };
    let all = asked(path, &counselor("130302"), &subscribe(&[], &[])).unwrap();
    let expected = Reach::Regions(vec![text("130302")]).and(Reach::Programmes(vec![text(P)]));
    assert_eq!(all.reach, expected);
    assert!(asked(path, &counselor("130302"), &subscribe(&["another"], &[])).is_err());
    let named = asked(path, &counselor("130302"), &subscribe(&[P], &["130302", "130303"])).unwrap();
    assert_eq!(looked_up(&named), [("region_codes", "130303")]);
    let trainee = claims("T1", &[P], vec![grant(Role::Trainee, Place::Person)]);
    assert!(asked(path, &trainee, &subscribe(&[], &[])).is_err());
}

#[test]
fn rights_beside_the_role_are_those_of_the_grants_that_let_in() {
    let mut two = counselor("130302");
    two.grants[0].import = true;
    two.grants.push(Grant { unmasked: true, ..grant(Role::Trainee, Place::Person) });
    let get = GetPersonRequest { programme_id: text(P), person_id: text("T1") };
    let decided = asked("enrollment.v1.PersonService/GetPerson", &two, &get).unwrap();
    assert!(decided.import && !decided.unmasked);
}
