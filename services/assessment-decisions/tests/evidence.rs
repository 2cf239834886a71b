//! EvidenceService through its client, on both databases.

#![expect(clippy::unwrap_used, reason = "an answer that is not as expected ends the test")]

mod support;

use shipei_contracts::{
    common::v1::{Correction, Role},
    decisions::v1::{
        Evidence, EvidenceSentBack, EvidenceSubmitted, ListEvidenceRequest, SendBackEvidenceRequest,
        SubmitEvidenceRequest, evidence_service_client::EvidenceServiceClient,
    },
    enrollment::v1 as enrollment,
    event::v1::{RetractRequest, correction_service_client::CorrectionServiceClient},
};
use shipei_mirror::testing::event;
use support::{PROGRAMME, World, at, on_both, reason, transfer, withdrawal};
use tonic::{Request, transport::Channel};

on_both!(
    evidence_is_kept_told_and_sent_again_does_nothing,
    evidence_is_refused_by_cause,
    evidence_is_sent_back_by_the_one_above,
    evidence_names_whom_it_is_about,
    offline_course_is_selected_where_the_county_determined_one,
    lists_come_in_pages_by_bearer,
);

type Client = EvidenceServiceClient<Channel>;

const NOON: &str = "10-10T12:00:00";

fn client(world: &World) -> Client {
    EvidenceServiceClient::new(world.channel())
}

/// Tutor U1 of class C1, which T1 is in; tutor U2; expert X1.
async fn with_staff(world: World) -> World {
    let staff = |person: &str, role: Role, county: &str| {
        let registered = enrollment::PersonRegistered {
            programme_id: PROGRAMME.to_owned(),
            person_id: person.to_owned(),
            role: role.into(),
            county_code: county.to_owned(),
            ..Default::default()
        };
        event("06-20T00:00:00", &registered)
    };
    let class = enrollment::ClassCreated {
        programme_id: PROGRAMME.to_owned(),
        class_id: "C1".to_owned(),
        region_code: "130302".to_owned(),
        tutor_id: "U1".to_owned(),
    };
    world
        .learn(&[
            staff("U1", Role::ClassTutor, "130302"),
            staff("U2", Role::ClassTutor, "139999"),
            staff("X1", Role::SubjectExpert, ""),
            event("06-20T00:00:00", &class),
            transfer("T1", "130302", "C1", "09-01T00:00:00"),
        ])
        .await;
    world
}

/// Evidence of somebody's duty, as `request_id`; `of` is a person or a region, or nobody.
fn submit(request_id: &str, duty: &str, of: &str) -> SubmitEvidenceRequest {
    let is_region = of.len() == 6;
    SubmitEvidenceRequest {
        programme_id: PROGRAMME.to_owned(),
        person_id: if is_region { String::new() } else { of.to_owned() },
        region_code: if is_region { of.to_owned() } else { String::new() },
        duty: duty.to_owned(),
        text: "语文大单元教学研讨".to_owned(),
        request_id: request_id.to_owned(),
        occurred_at: at(NOON),
        ..Default::default()
    }
}

fn back(request_id: &str, fact_id: &str, of: &str) -> SendBackEvidenceRequest {
    let SubmitEvidenceRequest { person_id, region_code, .. } = submit("", "", of);
    SendBackEvidenceRequest {
        programme_id: PROGRAMME.to_owned(),
        person_id,
        region_code,
        fact_id: fact_id.to_owned(),
        reason: "缺少照片".to_owned(),
        request_id: request_id.to_owned(),
        occurred_at: at("10-11T12:00:00"),
    }
}

/// A request by a caller whom an open server believes.
fn by<T>(caller: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("shipei-caller", caller.parse().unwrap());
    request
}

async fn list(client: &mut Client, request: ListEvidenceRequest) -> Vec<Evidence> {
    let request = ListEvidenceRequest { programme_id: PROGRAMME.to_owned(), ..request };
    client.list_evidence(request).await.unwrap().into_inner().evidence
}

async fn retract(world: &World, fact_id: &str) {
    let request = RetractRequest {
        source: shipei_assessment_decisions::NAME.to_owned(),
        programme_id: PROGRAMME.to_owned(),
        fact_id: fact_id.to_owned(),
        reason: "误报".to_owned(),
        ..Default::default()
    };
    CorrectionServiceClient::new(world.channel()).retract(request).await.unwrap();
}

fn ids(evidence: &[Evidence]) -> Vec<&str> {
    evidence.iter().map(|row| row.fact_id.as_str()).collect()
}

async fn evidence_is_kept_told_and_sent_again_does_nothing(world: World) {
    let world = with_staff(world).await;
    let mut client = client(&world);
    let request = SubmitEvidenceRequest {
        link: "https://example.org/topics/7".to_owned(),
        file_sha256: vec![7; 32],
        ..submit("E1", "TRAIN-EXPERT-TOPIC", "X1")
    };
    let first = client.submit_evidence(request.clone()).await.unwrap().into_inner().evidence.unwrap();
    assert_eq!(client.submit_evidence(request).await.unwrap().into_inner().evidence.unwrap(), first);
    let expected = Evidence {
        person_id: "X1".to_owned(),
        duty: "TRAIN-EXPERT-TOPIC".to_owned(),
        number: 1,
        text: "语文大单元教学研讨".to_owned(),
        link: "https://example.org/topics/7".to_owned(),
        file_sha256: vec![7; 32],
        done_time: at(NOON),
        submitted_by: first.submitted_by.clone(),
        fact_id: "E1".to_owned(),
        ..Default::default()
    };
    assert_eq!(first, expected);
    assert_eq!(list(&mut client, ListEvidenceRequest::default()).await, [expected]);
    for (id, duty, of) in [("E2", "SUMMARY-COUNSELOR", "130302"), ("E3", "TRAIN-INSTITUTION-BULLETIN", "")] {
        client.submit_evidence(submit(id, duty, of)).await.unwrap();
    }
    let told = world.events::<EvidenceSubmitted>().await;
    let told: Vec<_> = told
        .iter()
        .map(|(event, message)| {
            (event.region.as_str(), event.subject.as_str(), event.fact_id.as_str(), message.duty.as_str())
        })
        .collect();
    let mut expected = [
        ("130300", "X1", "E1", "TRAIN-EXPERT-TOPIC"),
        ("130302", "130302", "E2", "SUMMARY-COUNSELOR"),
        ("130300", PROGRAMME, "E3", "TRAIN-INSTITUTION-BULLETIN"),
    ];
    let mut told = told;
    told.sort_unstable();
    expected.sort_unstable();
    assert_eq!(told, expected);
    // Corrected, the first one falls.
    let correction = Some(Correction { fact_id: "E1".to_owned(), reason: "标题有误".to_owned() });
    let corrected = SubmitEvidenceRequest { correction, ..submit("E4", "TRAIN-EXPERT-TOPIC", "X1") };
    client.submit_evidence(corrected).await.unwrap();
    let of_expert = ListEvidenceRequest { person_id: "X1".to_owned(), ..Default::default() };
    assert_eq!(ids(&list(&mut client, of_expert.clone()).await), ["E4"]);
    let all = list(&mut client, ListEvidenceRequest { with_retracted: true, ..of_expert }).await;
    assert_eq!(
        all.iter().map(|row| (row.number, row.retracted)).collect::<Vec<_>>(),
        [(1, true), (2, false)]
    );
}

async fn evidence_is_refused_by_cause(world: World) {
    let world = with_staff(world).await;
    world.learn(&[withdrawal("T2", "10-01T00:00:00")]).await;
    let mut client = client(&world);
    let good = || submit("", "TRAIN-EXPERT-TOPIC", "X1");
    for (request, expected) in [
        (SubmitEvidenceRequest { person_id: "U1".to_owned(), ..good() }, "NOT_FOUND"),
        (SubmitEvidenceRequest { person_id: "X9".to_owned(), ..good() }, "NOT_FOUND"),
        (SubmitEvidenceRequest { programme_id: "Q9".to_owned(), ..good() }, "NOT_FOUND"),
        (submit("", "SUMMARY-COUNSELOR", "130300"), "NOT_FOUND"),
        (submit("", "SUMMARY-MUNICIPAL", "130302"), "NOT_FOUND"),
        (submit("", "SUMMARY-COUNSELOR", "X1"), "INVALID_FIELD"),
        (submit("", "TRAIN-EXPERT-TOPIC", ""), "INVALID_FIELD"),
        (SubmitEvidenceRequest { region_code: "130302".to_owned(), ..good() }, "INVALID_FIELD"),
        (submit("", "TRAIN-EXPERT", "X1"), "INVALID_FIELD"),
        // Facts show it.
        (submit("", "LOGIN-EXPERT", "X1"), "INVALID_FIELD"),
        (submit("", "TRAIN-TRAINEE-OFFLINE-SELECT", "T2"), "WITHDRAWN"),
        (SubmitEvidenceRequest { text: " \u{3000}".to_owned(), ..good() }, "INVALID_FIELD"),
        (SubmitEvidenceRequest { text: "研".repeat(2_001), ..good() }, "TEXT_TOO_LONG"),
        (SubmitEvidenceRequest { text: "身份证110101199003077758".to_owned(), ..good() }, "INVALID_FIELD"),
        (SubmitEvidenceRequest { link: "ftp://example.org".to_owned(), ..good() }, "INVALID_FIELD"),
        (SubmitEvidenceRequest { link: "https://example.org/a b".to_owned(), ..good() }, "INVALID_FIELD"),
        (SubmitEvidenceRequest { file_sha256: vec![1; 31], ..good() }, "INVALID_FIELD"),
        (SubmitEvidenceRequest { about_person_ids: vec!["T1".to_owned()], ..good() }, "INVALID_FIELD"),
        (SubmitEvidenceRequest { about_person_ids: vec!["T1".to_owned(); 101], ..good() }, "TOO_MANY"),
    ] {
        assert_eq!(reason(client.submit_evidence(request.clone()).await), expected, "{request:?}");
    }
    // A lead tells nothing of what is a county's.
    let of_county = by("municipal_lead:M1@130300", submit("", "SUMMARY-COUNSELOR", "130302"));
    assert_eq!(reason(client.submit_evidence(of_county).await), "NOT_PERMITTED");
    assert_eq!(list(&mut client, ListEvidenceRequest::default()).await, []);
}

async fn evidence_is_sent_back_by_the_one_above(world: World) {
    let world = with_staff(world).await;
    let mut client = client(&world);
    client.submit_evidence(submit("E1", "SUMMARY-COUNSELOR", "130302")).await.unwrap();
    for (request, expected) in [
        (by("county_counselor:K1@130302", back("", "E1", "130302")), "NOT_PERMITTED"),
        (by("municipal_lead:M1@130300", back("", "E9", "130302")), "NOT_FOUND"),
        (by("municipal_lead:M1@130300", back("", "E1", "130303")), "NOT_FOUND"),
        (
            by(
                "municipal_lead:M1@130300",
                SendBackEvidenceRequest { reason: " ".to_owned(), ..back("", "E1", "130302") },
            ),
            "INVALID_FIELD",
        ),
    ] {
        assert_eq!(reason(client.send_back_evidence(request).await), expected);
    }
    let request = || by("municipal_lead:M1@130300", back("B1", "E1", "130302"));
    let answer = client.send_back_evidence(request()).await.unwrap().into_inner().evidence.unwrap();
    assert_eq!(
        (answer.sent_back_reason.as_str(), answer.sent_back_by.as_str(), answer.sent_back_fact_id.as_str()),
        ("缺少照片", "municipal_lead:M1@130300", "B1")
    );
    assert_eq!(answer.sent_back_time, at("10-11T12:00:00"));
    assert_eq!(client.send_back_evidence(request()).await.unwrap().into_inner().evidence.unwrap(), answer);
    assert_eq!(list(&mut client, ListEvidenceRequest::default()).await, [answer]);
    let told = world.events::<EvidenceSentBack>().await;
    let [(event, message)] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((event.region.as_str(), event.fact_id.as_str()), ("130302", "B1"));
    assert_eq!((message.evidence_fact_id.as_str(), message.duty.as_str()), ("E1", "SUMMARY-COUNSELOR"));
    // By mistake; then it stands as before.
    retract(&world, "B1").await;
    let rows = list(&mut client, ListEvidenceRequest::default()).await;
    assert_eq!((rows[0].sent_back_time, rows[0].sent_back_reason.as_str()), (None, ""));
    // What fell can't be sent back.
    retract(&world, "E1").await;
    let request = by("municipal_lead:M1@130300", back("B2", "E1", "130302"));
    assert_eq!(reason(client.send_back_evidence(request).await), "NOT_FOUND");
}

async fn evidence_names_whom_it_is_about(world: World) {
    let world = with_staff(world).await;
    let mut client = client(&world);
    for (duty, of, about, expected) in [
        ("ASSESS-TUTOR-RECOMMEND", "U1", &["T1"][..], None),
        ("ASSESS-TUTOR-RECOMMEND", "U1", &["T2"], Some("NOT_CLASS_MEMBER")),
        ("ASSESS-TUTOR-RECOMMEND", "U2", &["T1"], Some("NOT_CLASS_MEMBER")),
        ("ASSESS-TUTOR-RECOMMEND", "U1", &["U2"], Some("NOT_FOUND")),
        ("ASSESS-TUTOR-RECOMMEND", "U1", &[], Some("INVALID_FIELD")),
        ("REPORT-MUNICIPAL-RECOMMEND", "130300", &["U1"], None),
        // Of a county that is in no city of it.
        ("REPORT-MUNICIPAL-RECOMMEND", "130300", &["U2"], Some("NOT_FOUND")),
        ("REPORT-INSTITUTION-STAFF", "", &["U1", "U2", "X1"], None),
        ("REPORT-INSTITUTION-STAFF", "", &["U1"], Some("INVALID_FIELD")),
    ] {
        let about_person_ids = about.iter().map(|person| (*person).to_owned()).collect();
        let request = SubmitEvidenceRequest { about_person_ids, ..submit("", duty, of) };
        let answer = client.submit_evidence(request).await;
        match expected {
            Some(expected) => assert_eq!(reason(answer), expected, "{duty} {about:?}"),
            None => {
                let evidence = answer.unwrap().into_inner().evidence.unwrap();
                assert_eq!(evidence.about_person_ids, about, "{duty}");
            }
        }
    }
}

async fn offline_course_is_selected_where_the_county_determined_one(world: World) {
    let world = with_staff(world).await;
    let mut client = client(&world);
    let select = || submit("", "TRAIN-TRAINEE-OFFLINE-SELECT", "T1");
    assert_eq!(reason(client.submit_evidence(select()).await), "COURSE_NOT_APPLICABLE");
    // Another county's is not theirs, nor one that comes later.
    for (id, county, when) in [("E1", "130303", NOON), ("E2", "130302", "10-11T12:00:00")] {
        let determined = SubmitEvidenceRequest {
            occurred_at: at(when),
            ..submit(id, "TRAIN-COUNSELOR-OFFLINE-COURSE", county)
        };
        client.submit_evidence(determined).await.unwrap();
    }
    assert_eq!(reason(client.submit_evidence(select()).await), "COURSE_NOT_APPLICABLE");
    let later = || SubmitEvidenceRequest { occurred_at: at("10-11T12:00:00"), ..select() };
    client.submit_evidence(later()).await.unwrap();
    client.send_back_evidence(back("B1", "E2", "130302")).await.unwrap();
    assert_eq!(reason(client.submit_evidence(later()).await), "COURSE_NOT_APPLICABLE");
    retract(&world, "B1").await;
    client.submit_evidence(later()).await.unwrap();
    retract(&world, "E2").await;
    assert_eq!(reason(client.submit_evidence(later()).await), "COURSE_NOT_APPLICABLE");
}

async fn lists_come_in_pages_by_bearer(world: World) {
    let world = with_staff(world).await;
    let mut client = client(&world);
    for (id, duty, of) in [
        ("E1", "TRAIN-EXPERT-TOPIC", "X1"),
        ("E2", "TRAIN-EXPERT-LECTURE", "X1"),
        ("E3", "SUMMARY-COUNSELOR", "130303"),
        ("E4", "SUMMARY-COUNSELOR", "130302"),
        ("E5", "SUMMARY-INSTITUTION-REPORT", ""),
        ("E6", "SUMMARY-MUNICIPAL", "130300"),
    ] {
        client.submit_evidence(submit(id, duty, of)).await.unwrap();
    }
    let mut request =
        ListEvidenceRequest { programme_id: PROGRAMME.to_owned(), page_size: 1, ..Default::default() };
    let mut found = Vec::new();
    loop {
        let page = client.list_evidence(request.clone()).await.unwrap().into_inner();
        found.extend(page.evidence);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(ids(&found), ["E5", "E6", "E4", "E3", "E1", "E2"]);
    let of = |region: &str| ListEvidenceRequest { region_code: region.to_owned(), ..Default::default() };
    assert_eq!(ids(&list(&mut client, of("130302")).await), ["E4"]);
    assert_eq!(ids(&list(&mut client, of("130300")).await), ["E6", "E4", "E3"]);
    let topics = ListEvidenceRequest { duty: "TRAIN-EXPERT-TOPIC".to_owned(), ..Default::default() };
    assert_eq!(ids(&list(&mut client, topics).await), ["E1"]);
    let other = ListEvidenceRequest { duty: "SUMMARY-COUNSELOR".to_owned(), ..request };
    assert_eq!(reason(client.list_evidence(other).await), "INVALID_PAGE_TOKEN");
}
