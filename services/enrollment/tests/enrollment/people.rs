//! People: log-ins, training before the job, leaving, moving, lists.

use prost::Message as _;
use shipei_contracts::{
    common::v1::Role,
    enrollment::v1 as pb,
    event::v1::{Accessed, AuditKind},
};
use shipei_store::{Partition, event_log, execute};

use crate::world::{PROGRAMME, World, at, id_number, reason, row};

crate::on_both!(
    first_login_wins,
    pre_job_training_is_for_tutors_and_counselors,
    withdrawal_ends_what_may_happen,
    transfer_moves_a_trainee,
    people_are_listed_masked,
    broken_row_takes_its_own_place_from_a_list,
);

fn login(person: &str, time: &str) -> pb::RecordLoginRequest {
    pb::RecordLoginRequest {
        programme_id: PROGRAMME.to_owned(),
        person_id: person.to_owned(),
        request_id: String::new(),
        occurred_at: at(time),
        correction: None,
    }
}

fn withdraw(person: &str, time: &str) -> pb::WithdrawTraineeRequest {
    pb::WithdrawTraineeRequest {
        programme_id: PROGRAMME.to_owned(),
        person_id: person.to_owned(),
        reason: "产假".to_owned(),
        request_id: String::new(),
        occurred_at: at(time),
        correction: None,
    }
}

fn transfer(person: &str, county: &str, school: &str, class: &str, time: &str) -> pb::TransferTraineeRequest {
    pb::TransferTraineeRequest {
        programme_id: PROGRAMME.to_owned(),
        person_id: person.to_owned(),
        county_code: county.to_owned(),
        school_code: school.to_owned(),
        class_id: class.to_owned(),
        request_id: String::new(),
        occurred_at: at(time),
        correction: None,
    }
}

async fn first_login_wins(world: World) {
    world.with_people().await;
    let mut client = world.people();
    assert_eq!(reason(client.record_login(login("T9", "2019-09-12T08:00:00+08:00")).await), "NOT_FOUND");
    let early = login("T1", "2019-09-10T23:59:59+08:00");
    assert_eq!(reason(client.record_login(early).await), "WINDOW_NOT_OPEN");
    for (time, kept) in [
        ("2019-10-01T08:00:00+08:00", "2019-10-01T08:00:00+08:00"),
        ("2019-10-02T08:00:00+08:00", "2019-10-01T08:00:00+08:00"),
        ("2019-09-11T00:00:00+08:00", "2019-09-11T00:00:00+08:00"),
        ("2019-09-11T00:00:00+08:00", "2019-09-11T00:00:00+08:00"),
    ] {
        let person = client.record_login(login("T1", time)).await.unwrap().into_inner().person.unwrap();
        assert_eq!(person.login_time, at(kept));
    }
    // Each is a fact of its own: it counts when those before it fall.
    let events = world.events("PersonLoggedIn").await;
    assert_eq!(events.len(), 4);
    assert!(events.iter().all(|event| event.region == "130302" && event.subject == "T1"));
    // Any role may log in; an expert without a county belongs to the programme's region.
    client.record_login(login("X1", "2019-09-12T08:00:00+08:00")).await.unwrap();
    assert!(world.events("PersonLoggedIn").await.iter().any(|event| event.region == "130300"));

    let mut request = login("T2", "2019-09-12T08:00:00+08:00");
    request.request_id = "login-2".to_owned();
    let first = client.record_login(request.clone()).await.unwrap().into_inner();
    assert_eq!(client.record_login(request).await.unwrap().into_inner(), first);
    // Without a stated time it is the service's clock.
    world.clock().set("2019-09-13T08:00:00+08:00".parse().unwrap());
    let mut now = login("T3", "2019-09-12T08:00:00+08:00");
    now.occurred_at = None;
    let person = client.record_login(now).await.unwrap().into_inner().person.unwrap();
    assert_eq!(person.login_time, at("2019-09-13T08:00:00+08:00"));
}

async fn pre_job_training_is_for_tutors_and_counselors(world: World) {
    world.with_people().await;
    let mut client = world.people();
    let attend = |person: &str, time: &str| pb::RecordPreJobTrainingRequest {
        programme_id: PROGRAMME.to_owned(),
        person_id: person.to_owned(),
        request_id: String::new(),
        occurred_at: at(time),
        correction: None,
    };
    for person in ["T1", "X1", "M1", "I1", "U9"] {
        let refused = client.record_pre_job_training(attend(person, "2019-07-10T08:00:00+08:00")).await;
        assert_eq!(reason(refused), "NOT_FOUND", "{person}");
    }
    for person in ["U1", "K1"] {
        client.record_pre_job_training(attend(person, "2019-07-10T08:00:00+08:00")).await.unwrap();
        client.record_pre_job_training(attend(person, "2019-07-11T08:00:00+08:00")).await.unwrap();
        assert_eq!(world.person(person).await.pre_job_time, at("2019-07-10T08:00:00+08:00"));
    }
    assert_eq!(world.events("PreJobTrainingAttended").await.len(), 4);
}

async fn withdrawal_ends_what_may_happen(world: World) {
    world.with_people().await;
    let mut client = world.people();
    let left = "2019-10-01T08:00:00+08:00";
    assert_eq!(reason(client.withdraw_trainee(withdraw("U1", left)).await), "NOT_FOUND");
    let mut request = withdraw("T1", left);
    request.request_id = "withdraw-1".to_owned();
    let first = client.withdraw_trainee(request.clone()).await.unwrap().into_inner();
    assert_eq!(first.person.as_ref().unwrap().withdrawn_time, at(left));
    assert_eq!(client.withdraw_trainee(request).await.unwrap().into_inner(), first);
    assert_eq!(reason(client.withdraw_trainee(withdraw("T1", left)).await), "WITHDRAWN");
    let later = "2019-10-02T08:00:00+08:00";
    assert_eq!(reason(client.withdraw_trainee(withdraw("T1", later)).await), "WITHDRAWN");
    assert_eq!(reason(client.record_login(login("T1", later)).await), "WITHDRAWN");
    assert_eq!(reason(client.transfer_trainee(transfer("T1", "", "", "L2", later)).await), "WITHDRAWN");
    // What happened before and is told late still counts.
    client.record_login(login("T1", "2019-09-30T08:00:00+08:00")).await.unwrap();
    let events = world.events("TraineeWithdrawn").await;
    assert_eq!(events.len(), 1);
    assert!(!String::from_utf8_lossy(&events[0].data).contains("产假"));
    assert_eq!(world.county("130302").await.active_trainees, 1);
}

async fn transfer_moves_a_trainee(world: World) {
    world.with_people().await;
    let mut client = world.people();
    let (first, second) = ("2019-10-01T08:00:00+08:00", "2019-11-01T08:00:00+08:00");
    for (request, expected) in [
        (transfer("U1", "", "", "L2", first), "NOT_FOUND"),
        (transfer("T9", "", "", "L2", first), "NOT_FOUND"),
        (transfer("T1", "", "", "", first), "INVALID_FIELD"),
        (transfer("T1", "130399", "S3A", "", first), "NOT_FOUND"),
        (transfer("T1", "130300", "S3A", "", first), "NOT_FOUND"),
        (transfer("T1", "", "S3A", "", first), "NOT_FOUND"),
        (transfer("T1", "130303", "", "", first), "INVALID_FIELD"),
        (transfer("T1", "", "", "L9", first), "NOT_FOUND"),
        (transfer("T1", "", "", "L3", first), "INVALID_FIELD"),
    ] {
        let named = format!("{request:?}");
        assert_eq!(reason(client.transfer_trainee(request).await), expected, "{named}");
    }
    let to_county = transfer("T1", "130303", "S3A", "L3", second);
    let person = client.transfer_trainee(to_county.clone()).await.unwrap().into_inner().person.unwrap();
    let place = (person.county_code.as_str(), person.school_code.as_str(), person.class_id.as_str());
    assert_eq!(place, ("130303", "S3A", "L3"));
    // The same again changes nothing; an earlier move that is told late is kept and leaves the trainee where they are.
    client.transfer_trainee(to_county).await.unwrap();
    let earlier = client.transfer_trainee(transfer("T1", "", "S2B", "", first)).await.unwrap().into_inner();
    assert_eq!(earlier.person.unwrap().county_code, "130303");
    let events = world.events("TraineeTransferred").await;
    assert_eq!(events.len(), 2);
    assert_eq!(events.iter().filter(|event| event.region == "130303").count(), 1);
    assert_eq!(world.county("130302").await.active_trainees, 1);
    assert_eq!(world.county("130303").await.active_trainees, 2);
    // The roster that enrolled the trainee is still the same roster, and so is a newer one.
    let rows = vec![
        row(11, "T1", "trainee", "130302", "S2A", "L1"),
        row(11, "T1", "trainee", "130303", "S3A", "L3"),
        row(11, "T1", "trainee", "130302", "S2B", "L1"),
    ];
    let taken = world.import_rows(rows, false).await.unwrap();
    assert_eq!((taken.unchanged, taken.rejected), (2, 1));
}

async fn people_are_listed_masked(world: World) {
    world.with_people().await;
    let mut client = world.people();
    let list = |role: Role, region: &str, class: &str| pb::ListPeopleRequest {
        programme_id: PROGRAMME.to_owned(),
        role: role.into(),
        region_code: region.to_owned(),
        class_id: class.to_owned(),
        ..Default::default()
    };
    for (request, expected) in [
        (list(Role::Trainee, "", ""), vec!["T1", "T2", "T3"]),
        (list(Role::Unspecified, "130302", ""), vec!["K1", "T1", "T2", "U1"]),
        (list(Role::Unspecified, "130300", "L1"), vec!["T1", "T2"]),
        (list(Role::ClassTutor, "130300", ""), vec!["U1", "U2"]),
        (list(Role::MunicipalLead, "130000", ""), vec!["M1"]),
        (list(Role::SubjectExpert, "130300", ""), vec![]),
    ] {
        let people = client.list_people(request).await.unwrap().into_inner().people;
        let ids: Vec<&str> = people.iter().map(|person| person.person_id.as_str()).collect();
        assert_eq!(ids, expected);
    }
    let mut paged = pb::ListPeopleRequest { page_size: 4, ..list(Role::Unspecified, "", "") };
    let mut listed = Vec::new();
    loop {
        let page = client.list_people(paged.clone()).await.unwrap().into_inner();
        listed.extend(page.people);
        if page.next_page_token.is_empty() {
            break;
        }
        paged.page_token = page.next_page_token;
    }
    assert_eq!(listed.len(), 10);
    assert_eq!(reason(client.list_people(list(Role::Province, "", "")).await), "INVALID_FIELD");

    let number = id_number(11);
    let person = world.person("T1").await;
    assert_eq!(person.masked_identity_number, format!("{}*************{}", &number[..3], &number[16..]));
    assert_eq!((person.name.as_str(), person.role()), ("测试T1", Role::Trainee));
    // Who may see it whole is shown it, and that stands in the audit log.
    let asked = pb::UnmaskPersonRequest { programme_id: PROGRAMME.to_owned(), person_id: "T1".to_owned() };
    let shown = client.unmask_person(asked.clone()).await.unwrap().into_inner();
    assert_eq!((&shown.identity_number, shown.person.as_ref()), (&number, Some(&person)));
    let missing = pb::UnmaskPersonRequest { person_id: "T999".to_owned(), ..asked };
    assert_eq!(reason(client.unmask_person(missing).await), "NOT_FOUND");
    let mut tx = world.kit.kit.database().begin_read().await.unwrap();
    let told = event_log::read_after(&mut tx, Partition::AUDIT, 0, 10, &[], &[]).await.unwrap().events;
    let accessed = Accessed::decode(told[0].data.as_slice()).unwrap();
    assert_eq!((told.len(), accessed.kind(), accessed.ids), (1, AuditKind::Unmasked, vec!["T1".to_owned()]));
    assert!(
        !format!("{:?}", told[0]).contains(&number)
            && !String::from_utf8_lossy(&told[0].data).contains(&number)
    );
    drop(tx);
    // Nothing in the log shows it, and nothing in the database holds it open.
    for event in world.events("PersonRegistered").await {
        let text = String::from_utf8_lossy(&event.data).into_owned();
        assert!(!text.contains(&number) && !text.contains("测试"));
    }
}

async fn broken_row_takes_its_own_place_from_a_list(world: World) {
    world.with_people().await;
    let mut tx = world.kit.kit.database().begin_write().await.unwrap();
    let sql = "UPDATE person SET sealed_identity_number = $1 WHERE person_id = $2";
    execute!(tx, sql, b"no seal".as_slice(), "T2").unwrap();
    execute!(tx, "UPDATE person SET school_code = $1 WHERE person_id = $2", "no code", "K2").unwrap();
    tx.commit().await.unwrap();
    let mut client = world.people();
    let mut listed = Vec::new();
    let mut broken = Vec::new();
    let mut page_token = String::new();
    // It is the last of its page, too.
    for _ in 0..20 {
        let request = pb::ListPeopleRequest {
            programme_id: PROGRAMME.to_owned(),
            page_size: 2,
            page_token,
            ..Default::default()
        };
        let answer = client.list_people(request).await.unwrap().into_inner();
        listed.extend(answer.people.into_iter().map(|person| person.person_id));
        broken.extend(answer.broken);
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(listed, ["I1", "K1", "M1", "T1", "T3", "U1", "U2", "X1"]);
    let broken: Vec<(&str, &str, &str)> =
        broken.iter().map(|row| (row.key.as_str(), row.table.as_str(), row.column.as_str())).collect();
    assert_eq!(
        broken,
        [("K2/county_counselor", "person", "school_code"), ("T2", "person", "sealed_identity_number")]
    );
    for person_id in ["K2", "T2"] {
        let person_id = person_id.to_owned();
        let alone = pb::GetPersonRequest { programme_id: PROGRAMME.to_owned(), person_id };
        assert_eq!(reason(client.get_person(alone).await), "CORRUPT_ROW");
    }
}
