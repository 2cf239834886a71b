//! Many trainees move in one call, each by itself.

use shipei_contracts::enrollment::v1 as pb;

use crate::world::{PROGRAMME, World, at, reason};

crate::on_both!(each_row_is_taken_or_refused_by_itself, all_or_none_takes_none);

const DAY: &str = "2019-10-12T08:00:00+08:00";

fn moves(rows: &[(&str, &str, &str, &str)], request_id: &str) -> pb::TransferTraineesRequest {
    let row = |(person, county, school, class): &(&str, &str, &str, &str)| pb::TraineeMove {
        person_id: (*person).to_owned(),
        county_code: (*county).to_owned(),
        school_code: (*school).to_owned(),
        class_id: (*class).to_owned(),
    };
    pb::TransferTraineesRequest {
        programme_id: PROGRAMME.to_owned(),
        moves: rows.iter().map(row).collect(),
        request_id: request_id.to_owned(),
        occurred_at: at(DAY),
        ..Default::default()
    }
}

const ROWS: [(&str, &str, &str, &str); 7] = [
    ("T1", "130303", "S3A", "L3"),
    ("T2", "", "", "L9"),
    ("T9", "130303", "S3A", "L3"),
    ("T3", "", "", "L3"),
    ("T1", "130302", "S2A", "L1"),
    ("张三", "", "", "L1"),
    ("T2", "", "", ""),
];

async fn each_row_is_taken_or_refused_by_itself(world: World) {
    world.with_people().await;
    let mut client = world.people();
    let answer = client.transfer_trainees(moves(&ROWS, "R7")).await.unwrap().into_inner();
    assert_eq!((answer.moved, answer.unchanged), (1, 1));
    let refused: Vec<(i32, &str, &str, &str)> = answer
        .refused
        .iter()
        .map(|row| {
            assert!(!row.message.is_empty() && !row.message_zh.is_ascii(), "{row:?}");
            let reason = row.reason().as_str_name().trim_start_matches("ERROR_REASON_");
            (row.row, row.key.as_str(), reason, row.field.as_str())
        })
        .collect();
    assert_eq!(
        refused,
        [
            (2, "T2", "NOT_FOUND", "class_id"),
            (3, "T9", "NOT_FOUND", "person_id"),
            (5, "T1", "INVALID_FIELD", "person_id"),
            (6, "张三", "INVALID_FIELD", "person_id"),
            (7, "T2", "INVALID_FIELD", "county_code"),
        ]
    );
    assert_eq!(
        (world.person("T1").await.county_code.as_str(), world.person("T2").await.class_id.as_str()),
        ("130303", "L1")
    );
    // Sent again it is the same; each move is a fact of its own.
    assert_eq!(client.transfer_trainees(moves(&ROWS, "R7")).await.unwrap().into_inner(), answer);
    let events = world.events("TraineeTransferred").await;
    let facts: Vec<&str> = events.iter().map(|event| event.fact_id.as_str()).collect();
    assert_eq!(facts, ["R7:T1"]);
    let retract = shipei_contracts::event::v1::RetractRequest {
        source: shipei_enrollment::NAME.to_owned(),
        programme_id: PROGRAMME.to_owned(),
        fact_id: "R7:T1".to_owned(),
        reason: "登记错误".to_owned(),
        ..Default::default()
    };
    let channel = world.channel.clone();
    shipei_contracts::event::v1::correction_service_client::CorrectionServiceClient::new(channel)
        .retract(retract)
        .await
        .unwrap();
    assert_eq!(world.person("T1").await.county_code, "130302");
}

async fn all_or_none_takes_none(world: World) {
    world.with_people().await;
    let mut client = world.people();
    let all = pb::TransferTraineesRequest { all_or_none: true, ..moves(&ROWS[..3], "") };
    assert_eq!(reason(client.transfer_trainees(all).await), "NOT_FOUND");
    assert_eq!(world.person("T1").await.county_code, "130302");
    let rehearsed = pb::TransferTraineesRequest { validate_only: true, ..moves(&ROWS[..1], "") };
    assert_eq!(client.transfer_trainees(rehearsed).await.unwrap().into_inner().moved, 1);
    assert_eq!(world.events("TraineeTransferred").await, []);
    // Who speaks for a county moves those who stand in it.
    let elsewhere = pb::TransferTraineesRequest { region_code: "130303".to_owned(), ..moves(&ROWS[..1], "") };
    let answer = client.transfer_trainees(elsewhere).await.unwrap().into_inner();
    assert_eq!((answer.moved, answer.refused.len()), (0, 1));
    let within = pb::TransferTraineesRequest { region_code: "130300".to_owned(), ..moves(&ROWS[..1], "") };
    assert_eq!(client.transfer_trainees(within).await.unwrap().into_inner().moved, 1);
    assert_eq!(reason(client.transfer_trainees(moves(&[], "")).await), "INVALID_FIELD");
}
