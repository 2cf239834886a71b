//! People put right: the name and number that stand, what they teach from when, and who is found by what.

use shipei_contracts::{
    common::v1::{DevelopmentStage, EducationStage},
    enrollment::v1 as pb,
    event::v1::{
        AuditKind, ListAuditRequest, RetractRequest, audit_service_client::AuditServiceClient,
        correction_service_client::CorrectionServiceClient,
    },
};
use shipei_store::StoredEvent;

use crate::world::{PROGRAMME, World, at, id_number, reason, row};

crate::on_both!(
    name_and_number_are_put_right_and_back,
    what_somebody_teaches_is_dated,
    correction_that_falls_before_it_comes_changes_nothing,
    roster_of_before_and_after_is_the_same,
    correction_that_can_not_be_is_refused,
    people_are_found_by_number_and_name,
);

const DAY_1: &str = "2019-09-12T08:00:00+08:00";
const DAY_2: &str = "2019-10-13T08:00:00+08:00";

fn correct(person_id: &str, fact_id: &str) -> pb::CorrectPersonRequest {
    pb::CorrectPersonRequest {
        programme_id: PROGRAMME.to_owned(),
        person_id: person_id.to_owned(),
        reason: "登记有误".to_owned(),
        request_id: fact_id.to_owned(),
        ..Default::default()
    }
}

async fn retract(world: &World, fact_id: &str) {
    let request = RetractRequest {
        source: shipei_enrollment::NAME.to_owned(),
        programme_id: PROGRAMME.to_owned(),
        fact_id: fact_id.to_owned(),
        reason: "更正有误".to_owned(),
        ..Default::default()
    };
    CorrectionServiceClient::new(world.channel.clone()).retract(request).await.unwrap();
}

fn decoded<M: prost::Message + Default>(event: &StoredEvent) -> M {
    M::decode(event.data.as_slice()).unwrap()
}

async fn found_by_number(world: &World, number: &str) -> Vec<String> {
    let request = pb::FindPersonsRequest {
        programme_id: PROGRAMME.to_owned(),
        id_number: number.to_owned(),
        ..Default::default()
    };
    let found = world.people().find_persons(request).await.unwrap().into_inner();
    found.persons.into_iter().map(|person| person.person_id).collect()
}

async fn name_and_number_are_put_right_and_back(world: World) {
    world.with_people().await;
    let (old, new) = (id_number(11), id_number(77));
    let before = world.person("T1").await;
    let request = pb::CorrectPersonRequest {
        name: Some("李 四".to_owned()),
        id_number: Some(format!("{} {}", &new[..6], &new[6..])),
        ..correct("T1", "C1")
    };
    let answer = world.people().correct_person(request.clone()).await.unwrap().into_inner();
    let person = answer.person.unwrap();
    assert_eq!((answer.fact_id.as_str(), person.name.as_str()), ("C1", "李 四"));
    assert_ne!(person.masked_identity_number, before.masked_identity_number);
    assert!(!person.masked_identity_number.contains(&new));
    assert_eq!(found_by_number(&world, &new).await, ["T1"]);
    assert_eq!(found_by_number(&world, &old).await, Vec::<String>::new());
    // Sent again it is the same; said again by somebody else it is nothing new.
    world.people().correct_person(request.clone()).await.unwrap();
    let again = pb::CorrectPersonRequest { request_id: "C2".to_owned(), ..request };
    assert_eq!(world.people().correct_person(again).await.unwrap().into_inner().fact_id, "");

    let events = world.events("PersonCorrected").await;
    assert_eq!(events.len(), 1);
    let event: pb::PersonCorrected = decoded(&events[0]);
    assert!(event.name_changed && event.identity_number_changed && event.since_time.is_none());
    for personal in ["李", "登记有误", &new[..], &old[..]] {
        let data = &events[0].data;
        assert!(!data.windows(personal.len()).any(|part| part == personal.as_bytes()), "{personal}");
    }
    // A second one on top, then the first falls, then the second.
    let renamed = pb::CorrectPersonRequest { name: Some("王五".to_owned()), ..correct("T1", "C3") };
    world.people().correct_person(renamed).await.unwrap();
    for (fallen, name, number) in [("", "王五", &new), ("C1", "王五", &old), ("C3", &before.name[..], &old)]
    {
        if !fallen.is_empty() {
            retract(&world, fallen).await;
        }
        assert_eq!(world.person("T1").await.name, name, "without {fallen}");
        assert_eq!(found_by_number(&world, number).await, ["T1"], "without {fallen}");
    }
    assert_eq!(world.person("T1").await.masked_identity_number, before.masked_identity_number);
}

async fn what_somebody_teaches_is_dated(world: World) {
    world.with_people().await;
    let mut client = world.people();
    let since = pb::CorrectPersonRequest {
        subject: Some("数学".to_owned()),
        education_stage: EducationStage::NonCompulsory.into(),
        since_time: at(DAY_2),
        ..correct("T1", "C1")
    };
    client.correct_person(since).await.unwrap();
    let always = pb::CorrectPersonRequest {
        subject: Some("语文".to_owned()),
        development_stage: DevelopmentStage::Expert.into(),
        ..correct("T1", "C2")
    };
    client.correct_person(always).await.unwrap();
    let person = world.person("T1").await;
    assert_eq!((person.subject.as_str(), person.education_stage()), ("数学", EducationStage::NonCompulsory));
    assert_eq!(person.development_stage(), DevelopmentStage::Expert);
    let mut events: Vec<pb::PersonCorrected> =
        world.events("PersonCorrected").await.iter().map(decoded).collect();
    events.sort_by_key(|event| event.change_number);
    let teaching = |subject: &str, stage: EducationStage, development: DevelopmentStage| {
        Some(pb::Teaching {
            subject: Some(subject.to_owned()),
            education_stage: stage.into(),
            development_stage: development.into(),
        })
    };
    let (no_stage, no_development) = (EducationStage::Unspecified, DevelopmentStage::Unspecified);
    assert_eq!(events.len(), 2);
    assert_eq!((events[0].change_number, events[0].since_time), (1, at(DAY_2)));
    assert_eq!(events[0].old, teaching("", EducationStage::Compulsory, no_development));
    assert_eq!(events[0].new, teaching("数学", EducationStage::NonCompulsory, no_development));
    assert_eq!((events[1].change_number, events[1].since_time), (2, None));
    assert_eq!(events[1].old, teaching("", no_stage, no_development));
    assert_eq!(events[1].new, teaching("语文", no_stage, DevelopmentStage::Expert));
    retract(&world, "C1").await;
    let person = world.person("T1").await;
    assert_eq!((person.subject.as_str(), person.education_stage()), ("语文", EducationStage::Compulsory));
}

async fn correction_that_falls_before_it_comes_changes_nothing(world: World) {
    world.with_people().await;
    let before = world.person("T1").await;
    retract(&world, "C1").await;
    let request = pb::CorrectPersonRequest { name: Some("李四".to_owned()), ..correct("T1", "C1") };
    let answer = world.people().correct_person(request).await.unwrap().into_inner();
    assert_eq!(answer.person, Some(before.clone()));
    assert_eq!(world.person("T1").await, before);
    // Another one is the second change, whatever became of the first.
    let request = pb::CorrectPersonRequest { name: Some("王五".to_owned()), ..correct("T1", "C2") };
    world.people().correct_person(request).await.unwrap();
    assert_eq!(world.person("T1").await.name, "王五");
    let numbers: Vec<i64> = world
        .events("PersonCorrected")
        .await
        .iter()
        .map(|event| decoded::<pb::PersonCorrected>(event).change_number)
        .collect();
    assert_eq!(numbers, [1, 2]);
}

async fn roster_of_before_and_after_is_the_same(world: World) {
    world.with_people().await;
    let old = row(11, "T1", "trainee", "130302", "S2A", "L1");
    let new = pb::RosterRow {
        name: "李四".to_owned(),
        id_number: id_number(77),
        subject: "数学".to_owned(),
        ..old.clone()
    };
    let request = pb::CorrectPersonRequest {
        name: Some(new.name.clone()),
        id_number: Some(new.id_number.clone()),
        subject: Some(new.subject.clone()),
        ..correct("T1", "C1")
    };
    world.people().correct_person(request).await.unwrap();
    let other = pb::RosterRow { name: "王五".to_owned(), ..old.clone() };
    for (row, outcome) in [
        (old, pb::RosterRowOutcome::Unchanged),
        (new, pb::RosterRowOutcome::Unchanged),
        (other, pb::RosterRowOutcome::Rejected),
    ] {
        let answer = world.import_rows(vec![row], false).await.unwrap();
        assert_eq!(answer.results[0].outcome(), outcome);
    }
    assert_eq!(world.person("T1").await.name, "李四");
}

async fn correction_that_can_not_be_is_refused(world: World) {
    world.with_people().await;
    let name =
        |person: &str| pb::CorrectPersonRequest { name: Some("李四".to_owned()), ..correct(person, "") };
    let number =
        |number: &str| pb::CorrectPersonRequest { id_number: Some(number.to_owned()), ..correct("T1", "") };
    let in_the_name = id_number(5);
    let since = |time: &str, subject: Option<&str>| pb::CorrectPersonRequest {
        since_time: at(time),
        subject: subject.map(str::to_owned),
        name: Some("李四".to_owned()),
        ..correct("T1", "")
    };
    let twin = pb::CorrectPersonRequest {
        name: Some("测试T2".to_owned()),
        id_number: Some(id_number(12)),
        ..correct("T1", "")
    };
    for (request, expected) in [
        (correct("T1", ""), "INVALID_FIELD"),
        (pb::CorrectPersonRequest { reason: String::new(), ..name("T1") }, "INVALID_FIELD"),
        (name("T99"), "NOT_FOUND"),
        (number("130302198001010119"), "INVALID_IDENTITY_NUMBER"),
        (number(""), "INVALID_IDENTITY_NUMBER"),
        (pb::CorrectPersonRequest { name: Some(in_the_name.clone()), ..correct("T1", "") }, "INVALID_FIELD"),
        (since("2020-02-01T08:06:00+08:00", Some("数学")), "IN_THE_FUTURE"),
        (since(DAY_1, None), "INVALID_FIELD"),
        (twin, "ALREADY_EXISTS"),
    ] {
        let status = world.people().correct_person(request).await;
        let text = format!("{status:?}");
        assert!(!text.contains(&in_the_name) && !text.contains("130302198001010119"), "{text}");
        assert_eq!(reason(status), expected);
    }
    assert_eq!(world.events("PersonCorrected").await, []);
}

async fn people_are_found_by_number_and_name(world: World) {
    world.with_people().await;
    let mut client = world.people();
    let ask = |number: &str, name: &str, region: &str| pb::FindPersonsRequest {
        programme_id: PROGRAMME.to_owned(),
        id_number: number.to_owned(),
        name: name.to_owned(),
        region_code: region.to_owned(),
    };
    let same_name = [
        pb::RosterRow { name: "张 伟".to_owned(), ..row(21, "T21", "trainee", "130302", "S2A", "L1") },
        pb::RosterRow { name: "张伟".to_owned(), ..row(22, "T22", "trainee", "130303", "S3A", "L3") },
    ];
    world.import_rows(same_name.to_vec(), false).await.unwrap();
    for (request, expected) in [
        (ask(&id_number(12), "", ""), vec!["T2"]),
        (ask(&id_number(12), "", "130302"), vec!["T2"]),
        (ask(&id_number(12), "", "130303"), vec![]),
        (ask(&id_number(99), "", ""), vec![]),
        (ask("", "张伟", ""), vec!["T21", "T22"]),
        (ask("", "张　伟", "130300"), vec!["T21", "T22"]),
        (ask("", "张伟", "130303"), vec!["T22"]),
        (ask("", "张", ""), vec![]),
    ] {
        let found = client.find_persons(request).await.unwrap().into_inner();
        assert!(found.persons.iter().all(|person| person.masked_identity_number.contains('*')));
        let ids: Vec<&str> = found.persons.iter().map(|person| person.person_id.as_str()).collect();
        assert_eq!((ids, found.has_more), (expected, false));
    }
    for request in [ask("", "", ""), ask(&id_number(12), "张伟", ""), ask("", " ", "")] {
        assert_eq!(reason(client.find_persons(request).await), "INVALID_FIELD");
    }
    let refused = client.find_persons(ask("130302198001010119", "", "")).await;
    assert!(!format!("{refused:?}").contains("130302198001010119"));
    assert_eq!(reason(refused), "INVALID_IDENTITY_NUMBER");

    // Each look is kept: who was shown, and by what; not what was asked for.
    let audit = AuditServiceClient::new(world.channel.clone());
    let asked = ListAuditRequest {
        source: "enrollment".into(),
        programme_id: PROGRAMME.into(),
        ..Default::default()
    };
    let entries = audit.clone().list_audit(asked.clone()).await.unwrap().into_inner().entries;
    assert_eq!(entries.len(), 8);
    assert!(entries.iter().all(|entry| entry.accessed.as_ref().unwrap().method.ends_with("/FindPersons")));
    let in_county = ListAuditRequest { kind: AuditKind::SearchByNumber.into(), page_size: 3, ..asked };
    let first = audit.clone().list_audit(in_county.clone()).await.unwrap().into_inner();
    let page_token = first.next_page_token.clone();
    let rest =
        audit.clone().list_audit(ListAuditRequest { page_token, ..in_county }).await.unwrap().into_inner();
    assert_eq!((first.entries.len(), rest.entries.len(), rest.next_page_token.as_str()), (3, 1, ""));
    let shown: Vec<(bool, Vec<String>)> = entries
        .iter()
        .map(|entry| entry.accessed.clone().unwrap())
        .map(|accessed| (accessed.kind() == AuditKind::SearchByNumber, accessed.ids))
        .collect();
    assert_eq!(shown.iter().filter(|(by_number, _)| *by_number).count(), 4);
    assert!(shown.contains(&(true, vec!["T2".to_owned()])));
    assert!(shown.contains(&(false, vec!["T21".to_owned(), "T22".to_owned()])));
    assert!(entries.iter().all(|entry| !entry.actor.is_empty() && entry.recorded_time.is_some()));
}
