//! Attendance that is told out of its order.

use shipei_contracts::offline::v1 as proto;

use crate::{
    attend, client, hold, score,
    support::{World, reason},
};

pub(crate) async fn attendance_told_later_as_of_earlier_counts_from_then(world: World) {
    let mut client = client(&world);
    client.hold_activity(hold("K1", "130302", "O1", "10-02T09:00:00")).await.unwrap();
    client.record_attendance(attend("K1", "O1", &["T1"], "10-05T10:00:00")).await.unwrap();
    let between = score("K1", "T1", 9, "10-04T10:00:00");
    assert_eq!(reason(client.score_attendee(between.clone()).await), "NOT_ATTENDED");
    let told = client.record_attendance(attend("K1", "O1", &["T1", "T2"], "10-03T10:00:00")).await.unwrap();
    assert_eq!(told.into_inner(), proto::RecordAttendanceResponse { added: 1, attended: 2, refused: vec![] });
    client.score_attendee(between).await.unwrap();
    // As of later it changes nothing, and is kept: it counts when those before it fall.
    let again = client.record_attendance(attend("K1", "O1", &["T1"], "10-06T10:00:00")).await.unwrap();
    assert_eq!(
        again.into_inner(),
        proto::RecordAttendanceResponse { added: 0, attended: 2, refused: vec![] }
    );
    let events = world.events::<proto::AttendanceRecorded>().await;
    let told: Vec<String> = events.into_iter().map(|(_, event)| event.person_id).collect();
    assert_eq!(told, ["T1", "T1", "T2", "T1"]);
}

fn shown(refused: &[shipei_contracts::common::v1::RefusedRow]) -> Vec<(i32, &str, &str)> {
    let row = |row: &shipei_contracts::common::v1::RefusedRow| {
        assert!(!row.message.is_empty() && !row.message_zh.is_ascii(), "{row:?}");
        row.reason().as_str_name().trim_start_matches("ERROR_REASON_")
    };
    refused.iter().map(|refused| (refused.row, refused.key.as_str(), row(refused))).collect()
}

/// Each row is taken or refused by itself, and its fact can be retracted by itself.
pub(crate) async fn attendances_and_scores_are_taken_row_by_row(world: World) {
    let mut client = client(&world);
    client.hold_activity(hold("K1", "130302", "O1", "10-02T09:00:00")).await.unwrap();
    let people = ["T9", "T1", "K1", "T2"];
    let all = attend("K1", "O1", &people, "10-03T10:00:00");
    assert_eq!(reason(client.record_attendance(all.clone()).await), "NOT_FOUND");
    let each = proto::RecordAttendanceRequest { all_or_none: false, request_id: "R1".to_owned(), ..all };
    let answer = client.record_attendance(each.clone()).await.unwrap().into_inner();
    assert_eq!((answer.added, answer.attended), (2, 2));
    assert_eq!(shown(&answer.refused), [(1, "T9", "NOT_FOUND"), (3, "K1", "NOT_FOUND")]);
    // Sent again it is the same; a call that is wrong as a whole takes nobody.
    assert_eq!(client.record_attendance(each.clone()).await.unwrap().into_inner(), answer);
    let elsewhere =
        proto::RecordAttendanceRequest { activity_id: "O9".to_owned(), request_id: String::new(), ..each };
    assert_eq!(reason(client.record_attendance(elsewhere).await), "NOT_FOUND");

    let scores = |rows: &[(&str, i32)], all_or_none: bool, request_id: &str| proto::ScoreAttendeesRequest {
        programme_id: crate::support::PROGRAMME.to_owned(),
        counselor_id: "K1".to_owned(),
        activity_id: "O1".to_owned(),
        scores: rows
            .iter()
            .map(|(person, score)| proto::AttendeeScore { person_id: (*person).to_owned(), score: *score })
            .collect(),
        all_or_none,
        request_id: request_id.to_owned(),
        occurred_at: crate::support::at("10-04T10:00:00"),
        ..Default::default()
    };
    let rows = [("T1", 99), ("T2", 8), ("T9", 7)];
    assert_eq!(reason(client.score_attendees(scores(&rows, true, "")).await), "SCORE_OUT_OF_RANGE");
    assert_eq!(world.events::<proto::AttendeeScored>().await.len(), 0);
    let answer = client.score_attendees(scores(&rows, false, "R2")).await.unwrap().into_inner();
    assert_eq!(answer.scored, 1);
    assert_eq!(shown(&answer.refused), [(1, "T1", "SCORE_OUT_OF_RANGE"), (3, "T9", "NOT_FOUND")]);
    let twice = scores(&[("T1", 8), ("T1", 9)], false, "");
    assert_eq!(reason(client.score_attendees(twice).await), "INVALID_FIELD");
    let known = crate::attendances(&mut client).await;
    let of = |person: &str| known.iter().find(|attendance| attendance.person_id == person).unwrap();
    assert_eq!((of("T2").score_fact_id.as_str(), of("T2").fact_id.as_str()), ("R2:T2", "R1:T2"));
}
