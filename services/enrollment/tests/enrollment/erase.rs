//! Who is erased: what is forgotten, what stays, and that nothing of it is left in the files.

use std::{collections::BTreeMap, fs, path::Path};

use prost::Message as _;
use serde_json::Value;
use shipei_contracts::{
    enrollment::v1 as pb,
    event::v1::{
        Accessed, AuditKind, ExportPersonRequest, ListAuditRequest, RetractRequest,
        audit_service_client::AuditServiceClient, correction_service_client::CorrectionServiceClient,
        personal_data_service_client::PersonalDataServiceClient,
    },
};
use shipei_enrollment::{NAME, SERVICE};
use shipei_store::{fetch_all, fetch_one};
use tonic::Status;

use crate::world::{PROGRAMME, SCHEME, World, at, id_number, reason, row};

crate::on_both!(
    who_was_erased_is_a_pseudonym,
    nobody_is_erased_before_their_years_have_passed,
    nothing_private_is_left_in_the_database,
    what_is_kept_of_somebody_is_given_out_whole,
    answers_that_are_kept_go_with_the_person,
);

/// A text that stands nowhere else.
const WHY: &str = "因病住院长期休养";
const SICK: &str = "2019-10-13T08:00:00+08:00";

fn erasing(person_id: &str, ground: pb::ErasureGround) -> pb::ErasePersonRequest {
    pb::ErasePersonRequest {
        programme_id: PROGRAMME.to_owned(),
        person_id: person_id.to_owned(),
        ground: ground.into(),
        ..Default::default()
    }
}

async fn erase(world: &World, person_id: &str) -> Result<pb::ErasePersonResponse, Status> {
    let request = erasing(person_id, pb::ErasureGround::RequestGranted);
    world.people().erase_person(request).await.map(tonic::Response::into_inner)
}

async fn withdraw(world: &World, person_id: &str, request_id: &str) -> pb::Person {
    let request = pb::WithdrawTraineeRequest {
        programme_id: PROGRAMME.to_owned(),
        person_id: person_id.to_owned(),
        reason: WHY.to_owned(),
        occurred_at: at(SICK),
        request_id: request_id.to_owned(),
        ..Default::default()
    };
    world.people().withdraw_trainee(request).await.unwrap().into_inner().person.unwrap()
}

fn correct(person_id: &str, request_id: &str) -> pb::CorrectPersonRequest {
    pb::CorrectPersonRequest {
        programme_id: PROGRAMME.to_owned(),
        person_id: person_id.to_owned(),
        reason: WHY.to_owned(),
        request_id: request_id.to_owned(),
        ..Default::default()
    }
}

async fn retract(world: &World, fact_id: &str, why: &str) {
    let request = RetractRequest {
        source: NAME.to_owned(),
        programme_id: PROGRAMME.to_owned(),
        fact_id: fact_id.to_owned(),
        reason: why.to_owned(),
        ..Default::default()
    };
    CorrectionServiceClient::new(world.channel.clone()).retract(request).await.unwrap();
}

async fn who_was_erased_is_a_pseudonym(world: World) {
    world.with_people().await;
    let renamed = pb::CorrectPersonRequest {
        name: Some("欧阳改名".to_owned()),
        subject: Some("数学".to_owned()),
        ..correct("T1", "C1")
    };
    world.people().correct_person(renamed).await.unwrap();
    let before = withdraw(&world, "T1", "W1").await;
    let erased = erase(&world, "T1").await.unwrap();
    world.clock().advance(chrono::TimeDelta::days(1));
    assert_eq!(erase(&world, "T1").await.unwrap(), erased, "once more is the same");
    let after = world.person("T1").await;
    let expected = pb::Person {
        name: String::new(),
        masked_identity_number: String::new(),
        erased_time: erased.erased_time,
        ..before
    };
    assert_eq!(after, expected);

    // Nobody is found by what they were called or numbered, and nothing is shown or put right any more.
    let find = |number: &str, name: &str| pb::FindPersonsRequest {
        programme_id: PROGRAMME.to_owned(),
        id_number: number.to_owned(),
        name: name.to_owned(),
        ..Default::default()
    };
    for asked in [find(&id_number(11), ""), find("", "欧阳改名"), find("", "测试T1")] {
        assert!(world.people().find_persons(asked).await.unwrap().into_inner().persons.is_empty());
    }
    let unmask = pb::UnmaskPersonRequest { programme_id: PROGRAMME.to_owned(), person_id: "T1".to_owned() };
    assert_eq!(reason(world.people().unmask_person(unmask).await), "PERSON_ERASED");
    let again = pb::CorrectPersonRequest { name: Some("王五".to_owned()), ..correct("T1", "C2") };
    assert_eq!(reason(world.people().correct_person(again).await), "PERSON_ERASED");
    // Nor enrolled again under that id, in whatever role; under another one they are somebody new.
    let same = row(11, "T1", "trainee", "130302", "S2A", "L1");
    let tutor = row(11, "T1", "class_tutor", "130302", "", "");
    let other = row(11, "T9", "trainee", "130302", "S2A", "L1");
    for dry_run in [true, false] {
        let rows = vec![same.clone(), tutor.clone(), other.clone()];
        let taken = world.import_rows(rows, dry_run).await.unwrap();
        let reasons: Vec<_> = taken.results.iter().map(|result| result.reason().as_str_name()).collect();
        let refused = "ERROR_REASON_PERSON_ERASED";
        assert_eq!(reasons, [refused, refused, "ERROR_REASON_UNSPECIFIED"], "{:?}", taken.results);
    }

    // What they did is put right still, and what they teach with it; nothing private is written.
    retract(&world, "W1", "误报").await;
    assert_eq!(world.person("T1").await.withdrawn_time, None);
    withdraw(&world, "T1", "W2").await;
    retract(&world, "C1", "误报").await;
    let person = world.person("T1").await;
    assert_eq!((person.name.as_str(), person.subject.as_str()), ("", ""));
    let mut tx = world.kit.kit.database().begin_read().await.unwrap();
    let reasons = fetch_all!(tx, (String,), "SELECT reason FROM person_fact WHERE person_id = 'T1' LIMIT 10");
    assert_eq!(reasons.unwrap(), [(String::new(),), (String::new(),)]);
    drop(tx);

    let events = world.events("PersonErased").await;
    let [event] = events.as_slice() else { panic!("{events:?}") };
    let told = pb::PersonErased::decode(event.data.as_slice()).unwrap();
    assert_eq!((told.person_id.as_str(), told.ground()), ("T1", pb::ErasureGround::RequestGranted));
    assert_eq!((event.region.as_str(), event.fact_id.as_str()), ("130302", ""));
    let asked = ListAuditRequest {
        source: NAME.to_owned(),
        programme_id: PROGRAMME.to_owned(),
        kind: AuditKind::Erased.into(),
        ..Default::default()
    };
    let told = AuditServiceClient::new(world.channel.clone()).list_audit(asked).await.unwrap().into_inner();
    let accessed: Vec<Accessed> = told.entries.into_iter().filter_map(|entry| entry.accessed).collect();
    assert_eq!((accessed.len(), &accessed[0].ids), (1, &vec!["T1".to_owned()]));
    // Everybody else is who they were.
    assert_eq!(world.person("T2").await.name, "测试T2");
    assert_eq!(reason(erase(&world, "T99").await), "NOT_FOUND");
    let no_ground = erasing("T2", pb::ErasureGround::Unspecified);
    assert_eq!(reason(world.people().erase_person(no_ground).await), "INVALID_FIELD");
}

async fn due(world: &World, region_code: &str) -> pb::ListDueForErasureResponse {
    let mut all = pb::ListDueForErasureResponse::default();
    loop {
        let request = pb::ListDueForErasureRequest {
            programme_id: PROGRAMME.to_owned(),
            region_code: region_code.to_owned(),
            page_size: 2,
            page_token: all.next_page_token.clone(),
        };
        let page = world.people().list_due_for_erasure(request).await.unwrap().into_inner();
        all.due.extend(page.due);
        (all.next_page_token, all.calendar) = (page.next_page_token, page.calendar);
        if all.next_page_token.is_empty() {
            return all;
        }
    }
}

async fn nobody_is_erased_before_their_years_have_passed(world: World) {
    world.with_people().await;
    // Who is a tutor and a trainee is due as a trainee.
    let both =
        pb::RosterRow { name: "测试U1".to_owned(), ..row(4, "U1", "trainee", "130302", "S2A", "L2") };
    assert_eq!(world.import_rows(vec![both], false).await.unwrap().created, 1);
    let ids = |answer: &pb::ListDueForErasureResponse| {
        answer.due.iter().map(|due| due.person_id.clone()).collect::<Vec<_>>()
    };
    let refused = |person: &str| erasing(person, pb::ErasureGround::RetentionPassed);
    let answer = due(&world, "").await;
    assert!(answer.due.is_empty());
    let calendar: BTreeMap<i32, &str> =
        answer.calendar.iter().map(|from| (from.role, from.day.as_str())).collect();
    assert_eq!((calendar.len(), calendar[&1]), (6, "2024-12-31"));
    let status = world.people().erase_person(refused("T1")).await.unwrap_err();
    assert!(status.message().contains("2024-12-31"), "{status:?}");
    assert_eq!(reason::<()>(Err(status)), "RETENTION_NOT_PASSED");

    world.clock().set("2022-12-31T08:00:00+08:00".parse().unwrap());
    assert_eq!(ids(&due(&world, "").await), ["I1", "K1", "K2", "M1", "U2", "X1"]);
    assert_eq!(ids(&due(&world, "130303").await), ["K2", "U2"]);
    assert_eq!(reason(world.people().erase_person(refused("U1")).await), "RETENTION_NOT_PASSED");
    world.people().erase_person(refused("U2")).await.unwrap();
    assert_eq!(ids(&due(&world, "130303").await), ["K2"]);
    // The scheme may say otherwise.
    let revised = SCHEME.replace("[duties]", "[retention]\ntrainee = 1\n\n[duties]");
    let request = pb::ReviseSchemeRequest {
        programme_id: PROGRAMME.to_owned(),
        scheme_toml: revised,
        ..Default::default()
    };
    world.programmes().revise_scheme(request).await.unwrap();
    assert_eq!(ids(&due(&world, "130302").await), ["K1", "T1", "T2", "U1"]);
    world.people().erase_person(refused("T1")).await.unwrap();
}

/// All bytes of a database on SQLite, with its log.
fn files_of(world: &World) -> Option<Vec<u8>> {
    let file = Path::new(world.kit.database.url().strip_prefix("sqlite:")?).to_owned();
    let entries = fs::read_dir(file.parent().unwrap()).unwrap();
    Some(entries.flat_map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect())
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

async fn nothing_private_is_left_in_the_database(world: World) {
    world.with_people().await;
    let renamed = pb::CorrectPersonRequest {
        name: Some("欧阳改名".to_owned()),
        id_number: Some(id_number(77)),
        ..correct("T1", "C1")
    };
    world.people().correct_person(renamed).await.unwrap();
    withdraw(&world, "T1", "W1").await;
    retract(&world, "W1", WHY).await;
    let database = world.kit.kit.database();
    let mut tx = database.begin_read().await.unwrap();
    let key = fetch_one!(tx, (Vec<u8>,), "SELECT wrapped_key FROM person_key WHERE person_id = 'T1'");
    let seals = "SELECT sealed_identity_number, identity_digest FROM person_change WHERE person_id = 'T1' \
        AND sealed_identity_number IS NOT NULL LIMIT 10";
    let seals: Vec<(Vec<u8>, Vec<u8>)> = fetch_all!(tx, (Vec<u8>, Vec<u8>), seals).unwrap();
    tx.rollback().await.unwrap();
    let mut secrets = vec![key.unwrap().0];
    secrets.extend(seals.into_iter().flat_map(|(sealed, digest)| [sealed, digest]));
    assert_eq!(secrets.len(), 5);
    let names = ["测试T1", "欧阳改名", WHY].map(|text| text.as_bytes().to_vec());
    secrets.extend(names.clone());
    if let Some(bytes) = files_of(&world) {
        assert!(secrets.iter().all(|secret| holds(&bytes, secret)), "it is looked for in the right place");
    }
    erase(&world, "T1").await.unwrap();
    let left = "SELECT COUNT(*) FROM person_key WHERE person_id = 'T1'";
    let mut tx = database.begin_read().await.unwrap();
    assert_eq!(fetch_one!(tx, (i64,), left).unwrap(), (0,));
    let rows = "SELECT name || name_key FROM person WHERE person_id = 'T1' UNION ALL SELECT COALESCE(name, '') || reason \
        FROM person_change WHERE person_id = 'T1' UNION ALL SELECT reason FROM retraction UNION ALL \
        SELECT reason FROM person_fact LIMIT 100";
    let rows: Vec<(String,)> = fetch_all!(tx, (String,), rows).unwrap();
    assert!(rows.len() >= 5 && rows.iter().all(|(text,)| text.is_empty()), "{rows:?}");
    let digests = "SELECT identity_digest FROM person WHERE person_id = 'T1' UNION ALL SELECT identity_digest \
        FROM person_change WHERE person_id = 'T1' AND identity_digest IS NOT NULL LIMIT 100";
    let digests: Vec<(Vec<u8>,)> = fetch_all!(tx, (Vec<u8>,), digests).unwrap();
    assert!(digests.iter().all(|(digest,)| digest[..] == [0; 32]), "{digests:?}");
    tx.rollback().await.unwrap();
    // A reader of an older state keeps the log from being emptied; it goes when nobody reads.
    while !database.forget_erased().await.unwrap() {}
    let Some(bytes) = files_of(&world) else { return };
    assert!(bytes.len() > 100_000, "{} bytes", bytes.len());
    for secret in secrets {
        assert!(!holds(&bytes, &secret), "{}", String::from_utf8_lossy(&secret));
    }
    assert!(holds(&bytes, "测试T2".as_bytes()), "others are there");
}

async fn exported(world: &World, person_id: &str) -> BTreeMap<String, Vec<Value>> {
    let mut client = PersonalDataServiceClient::new(world.channel.clone());
    let (mut tables, mut page_token) = (BTreeMap::<String, Vec<Value>>::new(), String::new());
    loop {
        let request = ExportPersonRequest {
            source: NAME.to_owned(),
            programme_id: PROGRAMME.to_owned(),
            person_id: person_id.to_owned(),
            page_token,
        };
        let answer = client.export_person(request).await.unwrap().into_inner();
        for row in answer.rows {
            tables.entry(row.table).or_default().push(serde_json::from_str(&row.json).unwrap());
        }
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            return tables;
        }
    }
}

async fn what_is_kept_of_somebody_is_given_out_whole(world: World) {
    world.with_people().await;
    let right = pb::CorrectPersonRequest { id_number: Some(id_number(77)), ..correct("T1", "C1") };
    world.people().correct_person(right).await.unwrap();
    withdraw(&world, "T1", "W1").await;
    let tables = exported(&world, "T1").await;
    assert_eq!(tables.keys().collect::<Vec<_>>(), ["person", "person_change", "person_fact", "person_key"]);
    let person = &tables["person"][0];
    assert_eq!((person["name"].as_str(), person["county_code"].as_str()), (Some("测试T1"), Some("130302")));
    assert_eq!(person["sealed_identity_number"], id_number(77));
    assert!(person.get("identity_digest").is_none() && tables["person_key"][0].get("wrapped_key").is_none());
    let numbers: Vec<&Value> =
        tables["person_change"].iter().map(|row| &row["sealed_identity_number"]).collect();
    assert_eq!(numbers, [&Value::from(id_number(11)), &Value::from(id_number(77))]);
    let fact = &tables["person_fact"][0];
    assert_eq!(
        (fact["reason"].as_str(), fact["occurred_at"].as_str()),
        (Some(WHY), Some("2019-10-13T00:00:00Z"))
    );
    // A tutor is in the rows of their classes.
    let tables = exported(&world, "U2").await;
    assert_eq!(tables["class"].len(), 2);
    assert!(exported(&world, "T99").await.is_empty());
    erase(&world, "T1").await.unwrap();
    let tables = exported(&world, "T1").await;
    assert_eq!(tables["person"][0]["sealed_identity_number"], "");
    assert!(tables["person_erasure"].len() == 1 && !tables.contains_key("person_key"));
    assert!(SERVICE.people.iter().copied().flatten().any(|table| table.table == "person_erasure"));
}

async fn answers_that_are_kept_go_with_the_person(world: World) {
    world.with_people().await;
    let login = |person_id: &str, request_id: &str| pb::RecordLoginRequest {
        programme_id: PROGRAMME.to_owned(),
        person_id: person_id.to_owned(),
        request_id: request_id.to_owned(),
        occurred_at: at("2019-09-12T08:00:00+08:00"),
        ..Default::default()
    };
    for (person, request) in [("T1", "L1"), ("T2", "L2")] {
        world.people().record_login(login(person, request)).await.unwrap();
    }
    // An answer without a fact is kept, too.
    world
        .people()
        .correct_person(pb::CorrectPersonRequest { name: Some("测试T1".to_owned()), ..correct("T1", "C1") })
        .await
        .unwrap();
    erase(&world, "T1").await.unwrap();
    assert_eq!(reason(world.people().record_login(login("T1", "L1")).await), "PERSON_ERASED");
    assert_eq!(reason(world.people().record_login(login("T2", "L1")).await), "REQUEST_ID_REUSED");
    let kept = world.people().record_login(login("T2", "L2")).await.unwrap().into_inner();
    assert_eq!(kept.person.unwrap().name, "测试T2");
    // What happened to them is taken still, under another id of the request.
    let late = world.people().record_login(login("T1", "L3")).await.unwrap().into_inner();
    assert_eq!(late.person.unwrap().name, "");
    let mut tx = world.kit.kit.database().begin_read().await.unwrap();
    let kept = fetch_all!(tx, (Vec<u8>,), "SELECT outcome FROM request_record LIMIT 100").unwrap();
    assert!(kept.iter().all(|(outcome,)| !holds(outcome, "测试T1".as_bytes())));
    assert!(kept.iter().any(|(outcome,)| holds(outcome, "测试T2".as_bytes())));
}
