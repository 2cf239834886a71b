//! Work of trainees who move to another class.

use chrono::{DateTime, Utc};
use shipei_contracts::assignment::v1::{self as proto, Grade};

use crate::{
    client, review, submission,
    support::{Learned, World, instant, orders, reason, trainee_of_l1, transfer},
};

/// A trainee moves twice, from L1 (of U1) to L2 (of U2) and on to L3 (of U1); marks and moves arrive in any order.
pub(crate) async fn mark_is_for_the_tutor_of_then_in_any_order(world: World) {
    let mut client = client(&world);
    let moves = [("130303", "L2", "11-06T00:00:00"), ("130302", "L3", "11-08T00:00:00")];
    let marks = [
        ("U1", "11-05T10:00:00", Some(("130302", "L1"))),
        ("U2", "11-05T10:00:00", None),
        ("U1", "11-05T23:59:59", Some(("130302", "L1"))),
        ("U1", "11-06T00:00:00", None),
        ("U2", "11-06T00:00:00", Some(("130303", "L2"))),
        ("U1", "11-07T23:59:59", None),
        ("U2", "11-08T00:00:00", None),
        ("U1", "11-08T00:00:00", Some(("130302", "L3"))),
    ];
    let mut expected = Vec::new();
    let orders = orders(&moves.map(|(_, _, when)| when), &marks.map(|(_, when, _)| when));
    for (number, order) in orders.into_iter().enumerate() {
        let (person, work) = (format!("P{number:02}"), format!("A{number:02}"));
        world.learn(&[trainee_of_l1(&person)]).await;
        client.submit_assignment(submission(&person, &work, "11-04T10:00:00")).await.unwrap();
        for told in &order {
            let (tutor, when, standing) = match *told {
                Learned::Fact(index) => marks[index],
                Learned::Transfer(index) => {
                    let (county, class, when) = moves[index];
                    world.learn(&[transfer(&person, county, class, when)]).await;
                    continue;
                }
            };
            let answer = client.review_submission(review(tutor, &work, Grade::Fail, when)).await;
            match standing {
                Some(_) => drop(answer.unwrap()),
                None => assert_eq!(reason(answer), "NOT_CLASS_TUTOR", "{order:?} {tutor} {when}"),
            }
        }
        for (_, when, standing) in marks {
            expected.extend(
                standing.map(|(county, class)| {
                    (work.clone(), instant(when), county.to_owned(), class.to_owned())
                }),
            );
        }
    }
    assert_eq!(told_marks(&world).await, expected);
}

/// Of every mark: the submission, when, county and class.
async fn told_marks(world: &World) -> Vec<(String, DateTime<Utc>, String, String)> {
    let mut told = Vec::new();
    for (event, fact) in world.events::<proto::SubmissionReviewed>().await {
        told.push((fact.submission_id, event.occurred_at, event.region, fact.class_id));
    }
    told.sort();
    told
}

/// One trainee is told to have moved before their work is told, the other one after.
pub(crate) async fn submission_is_of_the_class_of_then(world: World) {
    let mut client = client(&world);
    let moved = |person: &str| transfer(person, "130303", "L2", "11-06T00:00:00");
    world.learn(&[moved("T1")]).await;
    for (person, id, when) in [
        ("T1", "A1", "11-07T10:00:00"),
        ("T1", "B1", "11-05T10:00:00"),
        ("T2", "B2", "11-05T10:00:00"),
        ("T2", "A2", "11-07T10:00:00"),
    ] {
        if id == "A2" {
            world.learn(&[moved("T2")]).await;
        }
        client.submit_assignment(submission(person, id, when)).await.unwrap();
    }
    let mut told = Vec::new();
    for (event, fact) in world.events::<proto::AssignmentSubmitted>().await {
        told.push((fact.submission_id, fact.class_id, event.region));
    }
    for (event, fact) in world.events::<proto::AssignmentSuperseded>().await {
        told.push((fact.submission_id, fact.superseded_by, event.region));
    }
    told.sort();
    let told: Vec<_> =
        told.iter().map(|(id, what, region)| (id.as_str(), what.as_str(), region.as_str())).collect();
    let expected = [
        ("A1", "L2", "130303"),
        ("A2", "L2", "130303"),
        ("B1", "A1", "130303"),
        ("B1", "L1", "130302"),
        ("B2", "A2", "130303"),
        ("B2", "L1", "130302"),
    ];
    assert_eq!(told, expected);
}
