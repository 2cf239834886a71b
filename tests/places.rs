//! Where things belong, in every service alike: regions by the tree and never by the digits of codes, as of the time that is
//! asked for; and of two transfers of one date the same one everywhere.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Result, ensure};
use prost_types::Timestamp;
use shipei_client::client::{Clients, SERVICES};
use shipei_contracts::{
    assessment::v1::{
        GetTraineeScoreRequest, GetTutorScoreRequest, ListCountyScoresRequest, ListTraineeScoresRequest,
        ListTutorScoresRequest, score_service_client::ScoreServiceClient,
    },
    assignment::v1::{SubmitAssignmentRequest, assignment_service_client::AssignmentServiceClient},
    common::v1::EducationStage,
    decisions::v1::{AdjustItemRequest, AdjustmentKind, decision_service_client::DecisionServiceClient},
    enrollment::v1::{
        self as enrollment, RegionLevel, RosterRow, county_service_client::CountyServiceClient,
        import_roster_request::Part, person_service_client::PersonServiceClient,
        programme_service_client::ProgrammeServiceClient, region_service_client::RegionServiceClient,
    },
    event::v1::{
        RetractRequest, SubscribeRequest, correction_service_client::CorrectionServiceClient,
        event_feed_client::EventFeedClient,
    },
    learning::v1::{
        Course, CourseCategory, CreateCourseRequest, GetPresenceRequest, RecordHeartbeatRequest,
        course_service_client::CourseServiceClient, study_service_client::StudyServiceClient,
    },
    offline::v1::{SubmitPlanRequest, offline_service_client::OfflineServiceClient},
};
use tonic::Code;

use crate::harness::{Backend, KeptState, embedded};

const SCHEME: &str = include_str!("../crates/rules/data/qinhuangdao-2019.toml");
const PROGRAMME: &str = "qinhuangdao-2019";
/// 雄安新区, a city of the tree, and 容城, which lies in it though its digits say 保定.
pub(crate) const XIONGAN: &str = "133100";
pub(crate) const RONGCHENG: &str = "130629";
/// 保定, and 安新, which lies in it until it moves to 雄安新区.
pub(crate) const BAODING: &str = "130600";
pub(crate) const ANXIN: &str = "130632";

/// The programme's end.
pub(crate) const END: &str = "2019-12-30T16:00:00Z";

/// Calls an RPC with the token of everything written so far, and gives its answer.
macro_rules! ask {
    ($clients:expr, $client:ident, $service:literal, $method:ident, $request:expr) => {{
        let mut client = $client::new($clients.channel($service));
        let response = client.$method($clients.unary($request)).await?;
        $clients.note(&response);
        response.into_inner()
    }};
}
pub(crate) use ask;

/// Each of these tests, which take a backend, on SQLite and on Postgres.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() -> anyhow::Result<()> {
                super::$name($crate::harness::Backend::Sqlite).await
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() -> anyhow::Result<()> {
                super::$name($crate::harness::Backend::Postgres).await
            })+
        }
    };
}
pub(crate) use on_both;

pub(crate) fn at(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

pub(crate) fn id() -> String {
    PROGRAMME.to_owned()
}

/// Hands in work.
pub(crate) async fn submit(clients: &Clients, person: &str, submission_id: &str, when: &str) -> Result<()> {
    let work = SubmitAssignmentRequest {
        programme_id: id(),
        person_id: person.to_owned(),
        submission_id: submission_id.to_owned(),
        kind: "lesson_plan".to_owned(),
        title: "教学设计".to_owned(),
        occurred_at: at(when),
        ..Default::default()
    };
    ask!(clients, AssignmentServiceClient, "assignment-grading", submit_assignment, work);
    Ok(())
}

/// Retracts a fact of enrollment's.
pub(crate) async fn retract(clients: &Clients, fact_id: &str) -> Result<()> {
    retract_from(clients, "enrollment", fact_id).await
}

/// Retracts a fact of a service's.
pub(crate) async fn retract_from(clients: &Clients, source: &'static str, fact_id: &str) -> Result<()> {
    let request = RetractRequest {
        source: source.to_owned(),
        programme_id: id(),
        fact_id: fact_id.to_owned(),
        reason: "登记错误".to_owned(),
        ..Default::default()
    };
    let mut client = CorrectionServiceClient::new(clients.channel(source));
    clients.note(&client.retract(clients.unary(request)).await?);
    Ok(())
}

/// The marking points of a tutor at the end.
pub(crate) async fn marking(clients: &Clients, tutor: &str) -> Result<i32> {
    let request = GetTutorScoreRequest { programme_id: id(), person_id: tutor.to_owned(), as_of: at(END) };
    let score = ask!(clients, ScoreServiceClient, "assessment", get_tutor_score, request).score;
    let items = score.unwrap_or_default().items;
    Ok(items.iter().find(|item| item.name == "marking").map_or(-1, |item| item.hundredths / 100))
}

/// The points of T1's assignment at the end once they are as expected, or what they are by then: what a mark that is judged anew comes
/// to reaches assessment by assignment-grading, which no token of enrollment waits for.
pub(crate) async fn assignment(clients: &Clients, expected: i32) -> Result<i32> {
    let mut points = -1;
    for _ in 0..200 {
        let request =
            GetTraineeScoreRequest { programme_id: id(), person_id: "T1".to_owned(), as_of: at(END) };
        let score = ask!(clients, ScoreServiceClient, "assessment", get_trainee_score, request).score;
        let items = score.unwrap_or_default().items;
        points = items.iter().find(|item| item.name == "assignment").map_or(-1, |item| item.hundredths / 100);
        if points == expected {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(points)
}

/// An identity number of somebody born in 1980, with its check digit (GB 11643).
pub(crate) fn identity_number(number: usize) -> String {
    const WEIGHTS: [usize; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let digits = format!("13030219800101{number:03}");
    let sum: usize =
        digits.bytes().zip(WEIGHTS).map(|(digit, weight)| usize::from(digit - b'0') * weight).sum();
    let check = "10X98765432".as_bytes()[sum % 11];
    format!("{digits}{}", char::from(check))
}

/// A county with a counselor, a tutor, a class of the county's city and one trainee, in which learning is open.
async fn open_county(clients: &Clients, number: usize, county: &str, city: &str) -> Result<()> {
    let region = enrollment::CreateRegionRequest {
        programme_id: id(),
        code: county.to_owned(),
        name: county.to_owned(),
        level: RegionLevel::County.into(),
        parent_code: city.to_owned(),
        ..Default::default()
    };
    ask!(clients, RegionServiceClient, "enrollment", create_region, region);
    let school = enrollment::CreateSchoolRequest {
        programme_id: id(),
        school_code: format!("S{number}"),
        name: "一小".to_owned(),
        county_code: county.to_owned(),
        ..Default::default()
    };
    ask!(clients, RegionServiceClient, "enrollment", create_school, school);
    let class = enrollment::CreateClassRequest {
        programme_id: id(),
        class_id: format!("L{number}"),
        region_code: city.to_owned(),
        tutor_id: format!("U{number}"),
        ..Default::default()
    };
    ask!(clients, RegionServiceClient, "enrollment", create_class, class);
    let person = |kind: &str, role: &str, place: usize| RosterRow {
        person_id: format!("{kind}{number}"),
        name: "老师".to_owned(),
        id_number: identity_number(10 * number + place),
        role: role.to_owned(),
        county_code: county.to_owned(),
        ..RosterRow::default()
    };
    let trainee = RosterRow {
        school_code: format!("S{number}"),
        education_stage: "compulsory".to_owned(),
        subject: "语文".to_owned(),
        class_id: format!("L{number}"),
        ..person("T", "trainee", 3)
    };
    let rows = vec![person("K", "county_counselor", 1), person("U", "class_tutor", 2), trainee];
    let parts = [
        Part::Header(enrollment::RosterHeader { programme_id: id(), ..Default::default() }),
        Part::Rows(enrollment::RosterRows { rows }),
    ];
    let messages = parts.map(|part| enrollment::ImportRosterRequest { part: Some(part) });
    let mut people = PersonServiceClient::new(clients.channel("enrollment"));
    let taken = people.import_roster(clients.request(tokio_stream::iter(messages))).await?;
    clients.note(&taken);
    ensure!(taken.get_ref().created == 3, "{:?}", taken.get_ref().results);

    let (programme_id, county_code, occurred_at) = (id(), county.to_owned(), at("2019-09-10T02:00:00Z"));
    let report = enrollment::ReportRosterRequest {
        programme_id: programme_id.clone(),
        county_code: county_code.clone(),
        counselor_id: format!("K{number}"),
        occurred_at,
        ..Default::default()
    };
    ask!(clients, CountyServiceClient, "enrollment", report_roster, report);
    let fee = enrollment::SendRemittanceRequest {
        programme_id: programme_id.clone(),
        county_code: county_code.clone(),
        r#ref: format!("R{number}"),
        amount_fen: 100,
        occurred_at,
        ..Default::default()
    };
    ask!(clients, CountyServiceClient, "enrollment", send_remittance, fee);
    let there = enrollment::ConfirmRemittanceRequest {
        programme_id: programme_id.clone(),
        county_code: county_code.clone(),
        r#ref: format!("R{number}"),
        occurred_at,
        ..Default::default()
    };
    ask!(clients, CountyServiceClient, "enrollment", confirm_remittance, there);
    let opening =
        enrollment::OpenLearningRequest { programme_id, county_code, occurred_at, ..Default::default() };
    ask!(clients, CountyServiceClient, "enrollment", open_learning, opening);
    Ok(())
}

/// What a trainee and a counselor of a county do: a log-in, a heartbeat just now, an assignment, a plan; and what is
/// decided about an item, which changes no points.
async fn do_something(clients: &Clients, number: usize, county: &str) -> Result<()> {
    let login = enrollment::RecordLoginRequest {
        programme_id: id(),
        person_id: format!("T{number}"),
        occurred_at: at("2019-09-12T00:00:00Z"),
        ..Default::default()
    };
    ask!(clients, PersonServiceClient, "enrollment", record_login, login);
    let beat = RecordHeartbeatRequest {
        programme_id: id(),
        person_id: format!("T{number}"),
        course_id: "P1".to_owned(),
        session_id: format!("B{number}"),
        ..Default::default()
    };
    ask!(clients, StudyServiceClient, "learning-progress", record_heartbeat, beat);
    submit(clients, &format!("T{number}"), &format!("A{number}"), "2019-11-20T00:00:00Z").await?;
    let plan = SubmitPlanRequest {
        programme_id: id(),
        counselor_id: format!("K{number}"),
        county_code: county.to_owned(),
        education_stage: EducationStage::Compulsory.into(),
        title: "方案".to_owned(),
        occurred_at: at("2019-11-20T00:00:00Z"),
        ..Default::default()
    };
    ask!(clients, OfflineServiceClient, "offline-activity", submit_plan, plan);
    let decision = AdjustItemRequest {
        programme_id: id(),
        person_id: format!("T{number}"),
        item: "offline".to_owned(),
        points: 0,
        kind: AdjustmentKind::Appeal.into(),
        reason: "申诉不成立".to_owned(),
        occurred_at: at("2019-11-20T00:00:00Z"),
        ..Default::default()
    };
    ask!(clients, DecisionServiceClient, "assessment-decisions", adjust_item, decision);
    Ok(())
}

/// A programme in which T1 is of 容城, T2 of 安新 and T3 of 海港.
pub(crate) async fn populate(clients: &Clients) -> Result<()> {
    let programme =
        enrollment::CreateProgrammeRequest { scheme_toml: SCHEME.to_owned(), ..Default::default() };
    ask!(clients, ProgrammeServiceClient, "enrollment", create_programme, programme);
    for (code, level, parent_code) in [
        ("130000", RegionLevel::Province, ""),
        ("130300", RegionLevel::City, "130000"),
        (BAODING, RegionLevel::City, "130000"),
        (XIONGAN, RegionLevel::City, "130000"),
    ] {
        let region = enrollment::CreateRegionRequest {
            programme_id: id(),
            code: code.to_owned(),
            name: code.to_owned(),
            level: level.into(),
            parent_code: parent_code.to_owned(),
            ..Default::default()
        };
        ask!(clients, RegionServiceClient, "enrollment", create_region, region);
    }
    let course = Course {
        course_id: "P1".to_owned(),
        title: "公共课".to_owned(),
        category: CourseCategory::Public.into(),
        main_line: true,
        length_seconds: 5_400,
        ..Course::default()
    };
    let course = CreateCourseRequest { programme_id: id(), course: Some(course), ..Default::default() };
    for (number, county, city) in [(1, RONGCHENG, XIONGAN), (2, ANXIN, BAODING), (3, "130302", "130300")] {
        open_county(clients, number, county, city).await?;
        ask!(clients, CourseServiceClient, "learning-progress", create_course, course.clone());
        do_something(clients, number, county).await?;
    }
    Ok(())
}

async fn people_of(clients: &Clients, region: &str) -> Result<String> {
    let request = enrollment::ListPeopleRequest {
        programme_id: id(),
        region_code: region.to_owned(),
        ..Default::default()
    };
    let people = ask!(clients, PersonServiceClient, "enrollment", list_people, request).people;
    Ok(people.into_iter().map(|person| person.person_id).collect::<Vec<_>>().join(" "))
}

/// The trainees, tutors and counties of a region that have scores as of a time.
async fn scores_of(clients: &Clients, region: &str, as_of: &str) -> Result<String> {
    let (programme_id, region_code, as_of) = (id(), region.to_owned(), at(as_of));
    let request = ListTraineeScoresRequest {
        programme_id: programme_id.clone(),
        region_code: region_code.clone(),
        as_of,
        ..Default::default()
    };
    let trainees = ask!(clients, ScoreServiceClient, "assessment", list_trainee_scores, request).scores;
    let request = ListTutorScoresRequest {
        programme_id: programme_id.clone(),
        region_code: region_code.clone(),
        as_of,
        ..Default::default()
    };
    let tutors = ask!(clients, ScoreServiceClient, "assessment", list_tutor_scores, request).scores;
    let request = ListCountyScoresRequest { programme_id, region_code, as_of, ..Default::default() };
    let counties = ask!(clients, ScoreServiceClient, "assessment", list_county_scores, request).scores;
    let trainees = trainees.into_iter().map(|score| score.person_id);
    let tutors = tutors.into_iter().map(|score| score.person_id);
    let counties = counties.into_iter().map(|score| score.county_code);
    Ok(trainees.chain(tutors).chain(counties).collect::<Vec<_>>().join(" "))
}

async fn present_in(clients: &Clients, region: &str) -> Result<String> {
    let request =
        GetPresenceRequest { programme_id: id(), region_code: region.to_owned(), include_trainees: false };
    let present = ask!(clients, StudyServiceClient, "learning-progress", get_presence, request);
    let counties = present.counties.iter().map(|county| county.county_code.as_str());
    Ok(format!("{} {}", counties.collect::<Vec<_>>().join(" "), present.total))
}

/// The regions of the events that a service's log holds of a region.
async fn events_of(clients: &Clients, service: &'static str, region: &str) -> Result<BTreeSet<String>> {
    let mut feed = EventFeedClient::new(clients.channel(service));
    let request = SubscribeRequest {
        source: service.to_owned(),
        region_codes: vec![region.to_owned()],
        ..Default::default()
    };
    let mut stream = feed.subscribe(clients.request(request)).await?.into_inner();
    let mut regions = BTreeSet::new();
    // A stream that has caught up says so with a message of no events.
    while let Some(response) = stream.message().await? {
        if response.events.is_empty() {
            break;
        }
        regions.extend(response.events.into_iter().map(|event| event.region_code));
    }
    Ok(regions)
}

async fn regions_are_those_of_the_tree_in_every_service(backend: Backend) -> Result<()> {
    const END: &str = "2019-12-30T16:00:00Z";
    let place = KeptState::new(backend)?;
    let (suite, clients) = embedded(&place).await?;
    populate(&clients).await?;

    for (region, people, scores, present) in [
        (XIONGAN, "K1 T1 U1", "T1 U1 130629", "130629 1"),
        (RONGCHENG, "K1 T1 U1", "T1 U1 130629", "130629 1"),
        (BAODING, "K2 T2 U2", "T2 U2 130632", "130632 1"),
        ("130300", "K3 T3 U3", "T3 U3 130302", "130302 1"),
        (
            "130000",
            "K1 K2 K3 T1 T2 T3 U1 U2 U3",
            "T1 T2 T3 U1 U2 U3 130302 130629 130632",
            "130302 130629 130632 3",
        ),
    ] {
        assert_eq!(people_of(&clients, region).await?, people, "{region}");
        assert_eq!(scores_of(&clients, region, END).await?, scores, "{region}");
        assert_eq!(present_in(&clients, region).await?, present, "{region}");
    }
    for service in SERVICES {
        let of_xiongan = events_of(&clients, service, XIONGAN).await?;
        assert!(of_xiongan.contains(RONGCHENG), "{service}: {of_xiongan:?}");
        assert!(
            of_xiongan.iter().all(|code| [XIONGAN, RONGCHENG].contains(&code.as_str())),
            "{of_xiongan:?}"
        );
        let of_baoding = events_of(&clients, service, BAODING).await?;
        assert!(of_baoding.contains(ANXIN) && !of_baoding.contains(RONGCHENG), "{service}: {of_baoding:?}");
        let refused = events_of(&clients, service, "139999").await.expect_err("there is no such region");
        let status = refused.downcast_ref::<tonic::Status>().map(tonic::Status::code);
        assert_eq!(status, Some(Code::InvalidArgument), "{service}: {refused}");
    }

    // 安新 comes to lie in 雄安新区 in mid-season: what was before stays where it was.
    let request = enrollment::MoveRegionRequest {
        programme_id: id(),
        code: ANXIN.to_owned(),
        parent_code: XIONGAN.to_owned(),
        occurred_at: at("2019-11-01T00:00:00Z"),
        ..Default::default()
    };
    ask!(clients, RegionServiceClient, "enrollment", move_region, request);
    for (region, as_of, scores) in [
        (XIONGAN, END, "T1 T2 U1 U2 130629 130632"),
        (BAODING, END, ""),
        (XIONGAN, "2019-10-31T00:00:00Z", "T1 U1 130629"),
        (BAODING, "2019-10-31T00:00:00Z", "T2 U2 130632"),
    ] {
        assert_eq!(scores_of(&clients, region, as_of).await?, scores, "{region} as of {as_of}");
    }
    assert_eq!(people_of(&clients, XIONGAN).await?, "K1 K2 T1 T2 U1 U2");
    assert_eq!(present_in(&clients, XIONGAN).await?, "130629 130632 2");
    // The assignment was handed in after the move, the county reported before it.
    assert!(events_of(&clients, "assignment-grading", XIONGAN).await?.contains(ANXIN));
    assert!(events_of(&clients, "enrollment", BAODING).await?.contains(ANXIN));
    assert!(suite.stop().await);
    Ok(())
}

async fn transfer_put_right_with_its_own_date_is_one_truth(backend: Backend) -> Result<()> {
    let place = KeptState::new(backend)?;
    let (suite, clients) = embedded(&place).await?;
    populate(&clients).await?;
    for (county, school, class) in [(RONGCHENG, "S1", "L1"), ("130302", "S3", "L3")] {
        let request = enrollment::TransferTraineeRequest {
            programme_id: id(),
            person_id: "T3".to_owned(),
            county_code: county.to_owned(),
            school_code: school.to_owned(),
            class_id: class.to_owned(),
            occurred_at: at("2019-10-14T16:00:00Z"),
            ..Default::default()
        };
        ask!(clients, PersonServiceClient, "enrollment", transfer_trainee, request);
    }
    let request = enrollment::GetPersonRequest { programme_id: id(), person_id: "T3".to_owned() };
    let person = ask!(clients, PersonServiceClient, "enrollment", get_person, request).person;
    let person = person.unwrap_or_default();
    assert_eq!((person.county_code.as_str(), person.class_id.as_str()), ("130302", "L3"));
    let request = GetTraineeScoreRequest {
        programme_id: id(),
        person_id: "T3".to_owned(),
        as_of: at("2019-12-30T16:00:00Z"),
    };
    let score = ask!(clients, ScoreServiceClient, "assessment", get_trainee_score, request).score;
    let score = score.unwrap_or_default();
    assert_eq!((score.county_code.as_str(), score.class_id.as_str()), ("130302", "L3"));
    assert_eq!(scores_of(&clients, "130302", "2019-12-30T16:00:00Z").await?, "T3 U3 130302");
    assert_eq!(scores_of(&clients, RONGCHENG, "2019-12-30T16:00:00Z").await?, "T1 U1 130629");
    assert!(suite.stop().await);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn regions_are_those_of_the_tree_on_sqlite() -> Result<()> {
    regions_are_those_of_the_tree_in_every_service(Backend::Sqlite).await
}

#[tokio::test(flavor = "multi_thread")]
async fn regions_are_those_of_the_tree_on_postgres() -> Result<()> {
    regions_are_those_of_the_tree_in_every_service(Backend::Postgres).await
}

#[tokio::test(flavor = "multi_thread")]
async fn corrected_transfer_is_one_truth_on_sqlite() -> Result<()> {
    transfer_put_right_with_its_own_date_is_one_truth(Backend::Sqlite).await
}

#[tokio::test(flavor = "multi_thread")]
async fn corrected_transfer_is_one_truth_on_postgres() -> Result<()> {
    transfer_put_right_with_its_own_date_is_one_truth(Backend::Postgres).await
}
