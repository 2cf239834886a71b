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
    assert_eq!(told.into_inner(), proto::RecordAttendanceResponse { added: 1, attended: 2 });
    client.score_attendee(between).await.unwrap();
    // As of later it changes nothing, and is kept: it counts when those before it fall.
    let again = client.record_attendance(attend("K1", "O1", &["T1"], "10-06T10:00:00")).await.unwrap();
    assert_eq!(again.into_inner(), proto::RecordAttendanceResponse { added: 0, attended: 2 });
    let events = world.events::<proto::AttendanceRecorded>().await;
    let told: Vec<String> = events.into_iter().map(|(_, event)| event.person_id).collect();
    assert_eq!(told, ["T1", "T1", "T2", "T1"]);
}
