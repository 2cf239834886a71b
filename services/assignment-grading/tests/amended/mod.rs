//! Windows that end later for some, and classes with another tutor.

use shipei_contracts::assignment::v1::{self as proto, Grade};
use shipei_contracts::{enrollment::v1 as enrollment, event::v1::Event};
use shipei_mirror::testing::event;

use crate::{
    client, review, submission,
    support::{PROGRAMME, World, at, reason},
};

fn extension(id: &str, window: &str, last_day: &str, to: &str) -> Event {
    let is = |kind: char| if to.starts_with(kind) { to.to_owned() } else { String::new() };
    let granted = enrollment::ExtensionGranted {
        programme_id: PROGRAMME.to_owned(),
        extension_id: id.to_owned(),
        window: window.to_owned(),
        old_last_day: "2019-12-10".to_owned(),
        new_last_day: last_day.to_owned(),
        region_code: is('1'),
        class_id: is('L'),
        person_id: is('T'),
    };
    Event { region_code: "130302".to_owned(), ..event("12-09T08:00:00", &granted) }
}

fn replaced(number: i64, class_id: &str, tutor_id: &str, when: &str) -> Event {
    let replaced = enrollment::TutorReplaced {
        programme_id: PROGRAMME.to_owned(),
        class_id: class_id.to_owned(),
        change_number: number,
        old_tutor_id: "U1".to_owned(),
        new_tutor_id: tutor_id.to_owned(),
    };
    event(when, &replaced)
}

/// Submission ends on 10 December, reviews on 20 December; T1, T2 and T4 are of L1, T3 is of L2.
pub(crate) async fn extension_is_for_whom_it_was_granted(world: World) {
    let mut client = client(&world);
    let late = "12-12T10:00:00";
    assert_eq!(reason(client.submit_assignment(submission("T1", "A1", late)).await), "WINDOW_CLOSED");
    world.learn(&[extension("E1", "phase_3", "2019-12-12", "T1")]).await;
    client.submit_assignment(submission("T1", "A1", late)).await.unwrap();
    assert_eq!(reason(client.submit_assignment(submission("T2", "A2", late)).await), "WINDOW_CLOSED");
    assert_eq!(
        reason(client.submit_assignment(submission("T1", "A1b", "12-13T00:00:00")).await),
        "WINDOW_CLOSED"
    );
    world.learn(&[extension("E2", "phase_3", "2019-12-14", "L1")]).await;
    client.submit_assignment(submission("T2", "A2", late)).await.unwrap();
    assert_eq!(reason(client.submit_assignment(submission("T3", "A3", late)).await), "WINDOW_CLOSED");
    world.learn(&[extension("E3", "phase_3", "2019-12-14", "")]).await;
    client.submit_assignment(submission("T3", "A3", late)).await.unwrap();

    // Reviews of who has more time, and of nobody else.
    let after = "12-22T10:00:00";
    world.learn(&[extension("E4", "phase_4", "2019-12-22", "T2")]).await;
    assert_eq!(
        reason(client.review_submission(review("U1", "A1", Grade::Pass, after)).await),
        "WINDOW_CLOSED"
    );
    client.review_submission(review("U1", "A2", Grade::Pass, after)).await.unwrap();
}

/// L1 is U1's, U2's from 8 November and nobody's from 20 November: a mark is for who was its tutor then, and so is what is owed.
pub(crate) async fn class_has_the_tutor_of_then(world: World) {
    let mut client = client(&world);
    client.submit_assignment(submission("T1", "A1", "11-04T10:00:00")).await.unwrap();
    client.submit_assignment(submission("T2", "A2", "11-05T10:00:00")).await.unwrap();
    // Told in another order than they happened; of two at one instant the one that enrollment numbered later counts.
    world.learn(&[replaced(2, "L1", "", "11-20T00:00:00"), replaced(3, "L1", "U2", "11-08T00:00:00")]).await;
    world.learn(&[replaced(1, "L1", "U1", "11-08T00:00:00")]).await;
    for (tutor, when, expected) in [
        ("U1", "11-07T23:59:59", None),
        ("U2", "11-07T23:59:59", Some("NOT_CLASS_TUTOR")),
        ("U1", "11-08T00:00:00", Some("NOT_CLASS_TUTOR")),
        ("U2", "11-08T00:00:00", None),
        ("U2", "11-20T00:00:00", Some("NOT_CLASS_TUTOR")),
    ] {
        let answer = client.review_submission(review(tutor, "A1", Grade::Fail, when)).await;
        match expected {
            None => drop(answer.unwrap()),
            Some(expected) => assert_eq!(reason(answer), expected, "{tutor} {when}"),
        }
    }
    // A2 is still to be marked: by U1, then by U2, whose week it made late, then by nobody.
    for (tutor, as_of, owed, late_weeks) in [
        ("U1", "11-07T12:00:00", 2, 0),
        ("U2", "11-07T12:00:00", 0, 0),
        ("U1", "11-11T00:00:00", 0, 0),
        ("U2", "11-11T00:00:00", 1, 1),
        ("U2", "11-20T00:00:00", 0, 1),
    ] {
        let request = proto::ListMarkingRequest {
            programme_id: PROGRAMME.to_owned(),
            tutor_id: tutor.to_owned(),
            as_of: at(as_of),
            ..Default::default()
        };
        let answer = client.list_marking(request).await.unwrap().into_inner();
        assert_eq!((answer.items.len(), answer.late_weeks), (owed, late_weeks), "{tutor} {as_of}");
    }
}
