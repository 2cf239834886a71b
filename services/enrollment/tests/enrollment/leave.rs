//! Who leaves and comes back, and who had been enrolled by mistake.

use shipei_contracts::{
    enrollment::v1 as pb,
    event::v1::{RetractRequest, correction_service_client::CorrectionServiceClient},
};

use crate::world::{PROGRAMME, World, at, reason, row};

crate::on_both!(
    trainee_comes_back_from_a_day_on,
    return_that_falls_leaves_them_away,
    who_was_removed_is_nobody_until_that_falls,
    who_left_their_post_does_nothing_more,
);

const LEFT: &str = "2019-10-01T00:00:00+08:00";
const BACK: &str = "2019-11-01T00:00:00+08:00";

async fn retract(world: &World, fact_id: &str) {
    let request = RetractRequest {
        source: shipei_enrollment::NAME.to_owned(),
        programme_id: PROGRAMME.to_owned(),
        fact_id: fact_id.to_owned(),
        reason: "登记错误".to_owned(),
        ..Default::default()
    };
    CorrectionServiceClient::new(world.channel.clone()).retract(request).await.unwrap();
}

fn withdraw(fact_id: &str, time: &str) -> pb::WithdrawTraineeRequest {
    pb::WithdrawTraineeRequest {
        programme_id: PROGRAMME.to_owned(),
        person_id: "T1".to_owned(),
        reason: "产假".to_owned(),
        request_id: fact_id.to_owned(),
        occurred_at: at(time),
        ..Default::default()
    }
}

fn come_back(fact_id: &str, time: &str) -> pb::ReturnTraineeRequest {
    pb::ReturnTraineeRequest {
        programme_id: PROGRAMME.to_owned(),
        person_id: "T1".to_owned(),
        reason: "产假结束".to_owned(),
        request_id: fact_id.to_owned(),
        occurred_at: at(time),
        ..Default::default()
    }
}

async fn log_in(world: &World, time: &str) -> Result<(), String> {
    let request = pb::RecordLoginRequest {
        programme_id: PROGRAMME.to_owned(),
        person_id: "T1".to_owned(),
        occurred_at: at(time),
        ..Default::default()
    };
    match world.people().record_login(request).await {
        Ok(_) => Ok(()),
        refused => Err(reason(refused)),
    }
}

async fn trainee_comes_back_from_a_day_on(world: World) {
    world.with_people().await;
    let mut client = world.people();
    assert_eq!(reason(client.return_trainee(come_back("", BACK)).await), "NOT_WITHDRAWN");
    client.withdraw_trainee(withdraw("W1", LEFT)).await.unwrap();
    assert_eq!(world.county("130302").await.active_trainees, 1);
    assert_eq!(reason(client.return_trainee(come_back("", LEFT)).await), "NOT_WITHDRAWN");
    let unreasoned = pb::ReturnTraineeRequest { reason: String::new(), ..come_back("", BACK) };
    assert_eq!(reason(client.return_trainee(unreasoned).await), "INVALID_FIELD");
    let person = client.return_trainee(come_back("R1", BACK)).await.unwrap().into_inner();
    assert_eq!((person.fact_id.as_str(), person.person.unwrap().withdrawn_time), ("R1", None));
    assert_eq!(world.county("130302").await.active_trainees, 2);
    for (time, expected) in [
        ("2019-09-30T23:59:59+08:00", Ok(())),
        (LEFT, Err("WITHDRAWN".to_owned())),
        ("2019-10-31T23:59:59+08:00", Err("WITHDRAWN".to_owned())),
        (BACK, Ok(())),
    ] {
        assert_eq!(log_in(&world, time).await, expected, "{time}");
    }
    // They leave again, for good.
    client.withdraw_trainee(withdraw("W2", "2019-12-01T00:00:00+08:00")).await.unwrap();
    let person = world.person("T1").await;
    assert_eq!(
        (person.withdrawn_time, person.withdrawn_fact_id.as_str()),
        (at("2019-12-01T00:00:00+08:00"), "W2")
    );
    assert_eq!(world.county("130302").await.active_trainees, 1);
    let events = world.events("TraineeReturned").await;
    assert_eq!((events.len(), events[0].fact_id.as_str()), (1, "R1"));
    assert!(!String::from_utf8_lossy(&events[0].data).contains("产假"));
}

async fn return_that_falls_leaves_them_away(world: World) {
    world.with_people().await;
    let mut client = world.people();
    client.withdraw_trainee(withdraw("W1", LEFT)).await.unwrap();
    retract(&world, "R0").await;
    for (fact_id, away_since) in [("R0", at(LEFT)), ("R1", None)] {
        client.return_trainee(come_back(fact_id, BACK)).await.unwrap();
        assert_eq!(world.person("T1").await.withdrawn_time, away_since, "{fact_id}");
    }
    retract(&world, "R1").await;
    assert_eq!(world.person("T1").await.withdrawn_fact_id, "W1");
    assert_eq!(log_in(&world, BACK).await, Err("WITHDRAWN".to_owned()));
    retract(&world, "W1").await;
    assert_eq!(world.person("T1").await.withdrawn_time, None);
}

async fn who_was_removed_is_nobody_until_that_falls(world: World) {
    world.with_people().await;
    let mut client = world.people();
    let remove = |person_id: &str, fact_id: &str| pb::RemovePersonRequest {
        programme_id: PROGRAMME.to_owned(),
        person_id: person_id.to_owned(),
        reason: "误报".to_owned(),
        request_id: fact_id.to_owned(),
        ..Default::default()
    };
    assert_eq!(reason(client.remove_person(remove("T99", "")).await), "NOT_FOUND");
    let before = world.person("T1").await;
    let removed = client.remove_person(remove("T1", "X1")).await.unwrap().into_inner();
    assert_eq!(removed.fact_id, "X1");
    assert_eq!(client.remove_person(remove("T1", "X1")).await.unwrap().into_inner().fact_id, "X1");
    assert_eq!(reason(client.remove_person(remove("T1", "X2")).await), "NOT_FOUND");
    let get = pb::GetPersonRequest { programme_id: PROGRAMME.to_owned(), person_id: "T1".to_owned() };
    assert_eq!(reason(client.get_person(get.clone()).await), "NOT_FOUND");
    assert_eq!(log_in(&world, LEFT).await, Err("NOT_FOUND".to_owned()));
    let list = pb::ListPeopleRequest { programme_id: PROGRAMME.to_owned(), ..Default::default() };
    let listed = client.list_people(list).await.unwrap().into_inner().people;
    assert!(listed.iter().all(|person| person.person_id != "T1") && listed.len() == 9);
    assert_eq!(world.county("130302").await.active_trainees, 1);
    let events = world.events("PersonRemoved").await;
    assert_eq!((events.len(), events[0].fact_id.as_str()), (1, "X1"));

    // The same row again says why; the same person under the right id is somebody new, whose number is nobody else's.
    let same = row(11, "T1", "trainee", "130302", "S2A", "L1");
    let right = pb::RosterRow { person_id: "T1B".to_owned(), ..same.clone() };
    let answer = world.import_rows(vec![same, right], false).await.unwrap();
    assert_eq!((answer.created, answer.rejected), (1, 1));
    assert!(answer.results[0].message_zh.contains("移除") && answer.results[1].message.is_empty());

    // They move on in what is not theirs any more, and are there again as they were.
    client.remove_person(remove("T1B", "X3")).await.unwrap();
    retract(&world, "X1").await;
    assert_eq!(world.person("T1").await, before);
    assert_eq!(world.county("130302").await.active_trainees, 2);
}

async fn who_left_their_post_does_nothing_more(world: World) {
    world.with_people().await;
    let mut client = world.people();
    let depart = |person_id: &str, fact_id: &str| pb::RecordDepartureRequest {
        programme_id: PROGRAMME.to_owned(),
        person_id: person_id.to_owned(),
        reason: "调离".to_owned(),
        request_id: fact_id.to_owned(),
        occurred_at: at("2019-08-20T00:00:00+08:00"),
        ..Default::default()
    };
    assert_eq!(reason(client.record_departure(depart("T1", "")).await), "NOT_FOUND");
    for person_id in ["K1", "X1", "M1"] {
        let left =
            client.record_departure(depart(person_id, &format!("D-{person_id}"))).await.unwrap().into_inner();
        assert_eq!(left.person.unwrap().withdrawn_time, at("2019-08-20T00:00:00+08:00"));
    }
    assert_eq!(reason(client.record_departure(depart("K1", "")).await), "WITHDRAWN");
    let report = |time: &str| pb::ReportRosterRequest {
        programme_id: PROGRAMME.to_owned(),
        county_code: "130302".to_owned(),
        counselor_id: "K1".to_owned(),
        occurred_at: at(time),
        ..Default::default()
    };
    let (before, after) = ("2019-08-19T23:59:59+08:00", "2019-08-20T00:00:00+08:00");
    assert_eq!(reason(world.counties().report_roster(report(after)).await), "WITHDRAWN");
    world.counties().report_roster(report(before)).await.unwrap();
    let compile = pb::CompileRosterRequest {
        programme_id: PROGRAMME.to_owned(),
        city_code: "130300".to_owned(),
        lead_id: "M1".to_owned(),
        occurred_at: at(after),
        ..Default::default()
    };
    assert_eq!(reason(world.counties().compile_roster(compile).await), "WITHDRAWN");
    let choose = pb::ChooseExcellentTutorRequest {
        programme_id: PROGRAMME.to_owned(),
        expert_id: "X1".to_owned(),
        tutor_id: "U1".to_owned(),
        occurred_at: at(after),
        ..Default::default()
    };
    assert_eq!(reason(world.honours().choose_excellent_tutor(choose.clone()).await), "WITHDRAWN");
    retract(&world, "D-X1").await;
    world.honours().choose_excellent_tutor(choose).await.unwrap();
    let events = world.events("PersonDeparted").await;
    assert_eq!(events.len(), 3);
    assert!(events.iter().all(|event| !String::from_utf8_lossy(&event.data).contains("调离")));
}
