//! Facts that were wrong: the first one that stands counts, and a trainee stands where the moves that stand lead.

use shipei_contracts::{
    common::v1::Correction,
    enrollment::v1 as pb,
    event::v1::{RetractRequest, correction_service_client::CorrectionServiceClient},
};

use crate::world::{PROGRAMME, World, at, reason};

crate::on_both!(
    first_login_that_stands_counts,
    retracted_withdrawal_was_never,
    retracted_transfer_leaves_the_trainee_where_they_were,
    retracted_steps_of_a_county_close_it,
    corrected_remittance_takes_its_reference,
    retracted_choice_leaves_the_later_one,
);

const DAY_1: &str = "2019-09-12T08:00:00+08:00";
const DAY_2: &str = "2019-09-13T08:00:00+08:00";
const DAY_3: &str = "2019-09-14T08:00:00+08:00";

pub(crate) async fn retract(world: &World, fact_id: &str) {
    let request = RetractRequest {
        source: shipei_enrollment::NAME.to_owned(),
        programme_id: PROGRAMME.to_owned(),
        fact_id: fact_id.to_owned(),
        reason: "登记错误".to_owned(),
        ..Default::default()
    };
    CorrectionServiceClient::new(world.channel.clone()).retract(request).await.unwrap();
}

fn login(fact_id: &str, time: &str) -> pb::RecordLoginRequest {
    pb::RecordLoginRequest {
        programme_id: PROGRAMME.to_owned(),
        person_id: "T1".to_owned(),
        request_id: fact_id.to_owned(),
        occurred_at: at(time),
        ..Default::default()
    }
}

async fn first_login_that_stands_counts(world: World) {
    world.with_people().await;
    let mut client = world.people();
    retract(&world, "L0").await;
    for (fact_id, time) in [("L2", DAY_2), ("L1", DAY_1), ("L3", DAY_3), ("L0", DAY_1)] {
        client.record_login(login(fact_id, time)).await.unwrap();
    }
    for (fallen, time, stands) in
        [("", at(DAY_1), "L1"), ("L1", at(DAY_2), "L2"), ("L3", at(DAY_2), "L2"), ("L2", None, "")]
    {
        if !fallen.is_empty() {
            retract(&world, fallen).await;
        }
        let person = world.person("T1").await;
        assert_eq!((person.login_time, person.login_fact_id.as_str()), (time, stands), "without {fallen}");
    }
    let correction = Some(Correction { fact_id: "L2".to_owned(), reason: "时间有误".to_owned() });
    let corrected = pb::RecordLoginRequest { correction, ..login("L4", DAY_3) };
    let person = client.record_login(corrected).await.unwrap().into_inner().person.unwrap();
    assert_eq!((person.login_time, person.login_fact_id.as_str()), (at(DAY_3), "L4"));
}

async fn retracted_withdrawal_was_never(world: World) {
    world.with_people().await;
    let mut client = world.people();
    let withdraw = pb::WithdrawTraineeRequest {
        programme_id: PROGRAMME.to_owned(),
        person_id: "T1".to_owned(),
        reason: "调离".to_owned(),
        request_id: "W1".to_owned(),
        occurred_at: at(DAY_1),
        ..Default::default()
    };
    client.withdraw_trainee(withdraw).await.unwrap();
    assert_eq!(reason(client.record_login(login("L1", DAY_2)).await), "WITHDRAWN");
    assert_eq!(world.person("T1").await.withdrawn_fact_id, "W1");
    assert_eq!(world.county("130302").await.active_trainees, 1);
    retract(&world, "W1").await;
    client.record_login(login("L2", DAY_2)).await.unwrap();
    let person = world.person("T1").await;
    assert_eq!((person.withdrawn_time, person.login_time), (None, at(DAY_2)));
    assert_eq!(world.county("130302").await.active_trainees, 2);
}

async fn retracted_transfer_leaves_the_trainee_where_they_were(world: World) {
    world.with_people().await;
    let mut client = world.people();
    let transfer =
        |fact_id: &str, county: &str, school: &str, class: &str, time: &str| pb::TransferTraineeRequest {
            programme_id: PROGRAMME.to_owned(),
            person_id: "T1".to_owned(),
            county_code: county.to_owned(),
            school_code: school.to_owned(),
            class_id: class.to_owned(),
            request_id: fact_id.to_owned(),
            occurred_at: at(time),
            ..Default::default()
        };
    retract(&world, "M3").await;
    for (fact_id, county, school, class, time) in [
        ("M1", "130302", "S2B", "L1", DAY_1),
        ("M2", "130303", "S3A", "L3", DAY_2),
        ("M3", "130302", "S2A", "L1", DAY_3),
    ] {
        client.transfer_trainee(transfer(fact_id, county, school, class, time)).await.unwrap();
    }
    for (fallen, school) in [("", "S3A"), ("M2", "S2B"), ("M1", "S2A")] {
        if !fallen.is_empty() {
            retract(&world, fallen).await;
        }
        assert_eq!(world.person("T1").await.school_code, school, "without {fallen}");
    }
    // Numbers go on, so that moves keep theirs.
    client.transfer_trainee(transfer("M4", "130302", "S2B", "L1", DAY_3)).await.unwrap();
    assert_eq!(world.events("TraineeTransferred").await.len(), 4);
    assert_eq!(world.person("T1").await.school_code, "S2B");
}

async fn retracted_steps_of_a_county_close_it(world: World) {
    world.with_people().await;
    crate::counties::open(&world, "130302", "K1").await;
    let county = world.county("130302").await;
    assert!(county.opened_time.is_some());
    retract(&world, &county.opened_fact_id).await;
    retract(&world, &county.reported_fact_id).await;
    let county = world.county("130302").await;
    assert_eq!((county.opened_time, county.reported_time), (None, None));
    assert!(county.remitted_time.is_some());
    let opening = pb::OpenLearningRequest {
        programme_id: PROGRAMME.to_owned(),
        county_code: "130302".to_owned(),
        occurred_at: at(DAY_1),
        ..Default::default()
    };
    assert_eq!(reason(world.counties().open_learning(opening).await), "NOT_REPORTED");
}

async fn corrected_remittance_takes_its_reference(world: World) {
    world.with_people().await;
    crate::counties::open(&world, "130302", "K1").await;
    let list = pb::ListRemittancesRequest { programme_id: PROGRAMME.to_owned(), ..Default::default() };
    let mut client = world.counties();
    let sent = client.list_remittances(list.clone()).await.unwrap().into_inner().remittances.remove(0);
    let correction = Some(Correction { fact_id: sent.fact_id, reason: "金额有误".to_owned() });
    let corrected = pb::SendRemittanceRequest {
        programme_id: PROGRAMME.to_owned(),
        county_code: "130302".to_owned(),
        r#ref: "R1".to_owned(),
        amount_fen: 200,
        occurred_at: sent.sent_time,
        request_id: "R".to_owned(),
        correction,
    };
    client.send_remittance(corrected).await.unwrap();
    let now = client.list_remittances(list.clone()).await.unwrap().into_inner().remittances;
    assert_eq!(now.len(), 1);
    assert_eq!((now[0].amount_fen, now[0].confirmed_time), (200, sent.confirmed_time));
    retract(&world, &now[0].confirmed_fact_id).await;
    assert_eq!(world.county("130302").await.remitted_time, None);
    retract(&world, "R").await;
    assert_eq!(client.list_remittances(list).await.unwrap().into_inner().remittances, []);
}

async fn retracted_choice_leaves_the_later_one(world: World) {
    world.with_people().await;
    let mut client = world.honours();
    for (fact_id, time) in [("C1", DAY_1), ("C2", DAY_2)] {
        let request = pb::ChooseExcellentTutorRequest {
            programme_id: PROGRAMME.to_owned(),
            expert_id: "X1".to_owned(),
            tutor_id: "U1".to_owned(),
            request_id: fact_id.to_owned(),
            occurred_at: at(time),
            ..Default::default()
        };
        client.choose_excellent_tutor(request).await.unwrap();
    }
    let list = pb::ListTutorChoicesRequest { programme_id: PROGRAMME.to_owned(), ..Default::default() };
    for (fallen, expected) in [("", vec!["C1"]), ("C1", vec!["C2"]), ("C2", vec![])] {
        if !fallen.is_empty() {
            retract(&world, fallen).await;
        }
        let choices = client.list_tutor_choices(list.clone()).await.unwrap().into_inner().choices;
        let told: Vec<&str> = choices.iter().map(|choice| choice.fact_id.as_str()).collect();
        assert_eq!(told, expected, "without {fallen}");
    }
}
