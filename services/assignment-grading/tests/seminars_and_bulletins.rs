//! SeminarService and BulletinService through their clients, on both databases.

#![expect(clippy::unwrap_used, reason = "an answer that is not as expected ends the test")]

mod support;

use shipei_contracts::assignment::v1::{
    self as proto, bulletin_service_client::BulletinServiceClient,
    seminar_service_client::SeminarServiceClient,
};
use support::{
    Learned, PROGRAMME, World, at, instant, on_both, orders, reason, trainee_of_l1, transfer, withdrawal,
};
use tonic::transport::Channel;

on_both!(
    seminar_is_opened_posted_to_and_summarised,
    opening_is_refused_by_cause,
    post_is_refused_by_cause,
    post_is_for_the_class_of_then_in_any_order,
    summary_is_refused_by_cause_and_replaced_by_a_later_one,
    posts_at_the_same_moment_are_numbered_without_gaps,
    seminars_and_posts_come_in_pages,
    bulletin_is_one_of_each_number,
    bulletin_is_refused_by_cause,
    bulletins_at_the_same_moment_leave_one,
);

fn seminars(world: &World) -> SeminarServiceClient<Channel> {
    SeminarServiceClient::new(world.channel())
}

fn bulletins(world: &World) -> BulletinServiceClient<Channel> {
    BulletinServiceClient::new(world.channel())
}

fn open(tutor_id: &str, class_id: &str, seminar_id: &str, when: &str) -> proto::OpenSeminarRequest {
    proto::OpenSeminarRequest {
        programme_id: PROGRAMME.to_owned(),
        tutor_id: tutor_id.to_owned(),
        class_id: class_id.to_owned(),
        seminar_id: seminar_id.to_owned(),
        topic: "研讨".to_owned(),
        occurred_at: at(when),
        ..Default::default()
    }
}

fn post(person_id: &str, seminar_id: &str, characters: usize, when: &str) -> proto::PostToSeminarRequest {
    proto::PostToSeminarRequest {
        programme_id: PROGRAMME.to_owned(),
        person_id: person_id.to_owned(),
        seminar_id: seminar_id.to_owned(),
        text: "研".repeat(characters),
        occurred_at: at(when),
        ..Default::default()
    }
}

fn summary(tutor_id: &str, seminar_id: &str, text: &str, when: &str) -> proto::SummariseSeminarRequest {
    proto::SummariseSeminarRequest {
        programme_id: PROGRAMME.to_owned(),
        tutor_id: tutor_id.to_owned(),
        seminar_id: seminar_id.to_owned(),
        summary: text.to_owned(),
        occurred_at: at(when),
        ..Default::default()
    }
}

fn bulletin(tutor_id: &str, class_id: &str, number: i32, when: &str) -> proto::PublishBulletinRequest {
    proto::PublishBulletinRequest {
        programme_id: PROGRAMME.to_owned(),
        tutor_id: tutor_id.to_owned(),
        class_id: class_id.to_owned(),
        number,
        title: "第1期".to_owned(),
        occurred_at: at(when),
        ..Default::default()
    }
}

async fn seminar_is_opened_posted_to_and_summarised(world: World) {
    let mut client = seminars(&world);
    let request = open("U1", "L1", "N1", "11-20T00:00:00");
    client.open_seminar(request.clone()).await.unwrap();
    client.open_seminar(request).await.unwrap();
    let answer = client.post_to_seminar(post("T1", "N1", 300, "11-25T10:00:00")).await.unwrap();
    let accepted = answer.into_inner().post.unwrap();
    assert_eq!((accepted.number, accepted.characters), (1, 300));
    client.summarise_seminar(summary("U1", "N1", "总结", "12-20T23:59:59")).await.unwrap();

    let key = proto::GetSeminarRequest { programme_id: PROGRAMME.to_owned(), seminar_id: "N1".to_owned() };
    let seminar = client.get_seminar(key).await.unwrap().into_inner().seminar.unwrap();
    assert_eq!((seminar.summary.as_str(), seminar.summarised_time), ("总结", at("12-20T23:59:59")));
    let opened = world.events::<proto::SeminarOpened>().await;
    assert_eq!((opened.len(), opened[0].0.region.as_str()), (1, "130302"));
    assert_eq!(opened[0].0.occurred_at, instant("11-20T00:00:00"));
    let posted = world.events::<proto::PostAccepted>().await;
    assert_eq!((posted[0].1.number, posted[0].1.characters), (1, 300));
    assert_eq!(world.events::<proto::SeminarSummarised>().await.len(), 1);
}

async fn opening_is_refused_by_cause(world: World) {
    let mut client = seminars(&world);
    client.open_seminar(open("U1", "L1", "N1", "11-21T00:00:00")).await.unwrap();
    for (request, expected) in [
        (open("T1", "L1", "N2", "11-21T00:00:00"), "NOT_FOUND"),
        (open("U1", "L9", "N2", "11-21T00:00:00"), "NOT_FOUND"),
        (open("U1", "L2", "N2", "11-21T00:00:00"), "NOT_CLASS_TUTOR"),
        (open("U1", "L1", "N2", "11-19T23:59:59"), "WINDOW_NOT_OPEN"),
        (open("U1", "L1", "N2", "12-21T00:00:00"), "WINDOW_CLOSED"),
        (open("U1", "L1", "N1", "11-21T00:00:01"), "ALREADY_EXISTS"),
        (open("U2", "L2", "N1", "11-21T00:00:00"), "ALREADY_EXISTS"),
        (
            proto::OpenSeminarRequest { topic: "\0".to_owned(), ..open("U1", "L1", "N2", "11-21T00:00:00") },
            "INVALID_FIELD",
        ),
    ] {
        let label = format!("{request:?}");
        assert_eq!(reason(client.open_seminar(request).await), expected, "{label}");
    }
    assert_eq!(world.events::<proto::SeminarOpened>().await.len(), 1);
}

async fn post_is_refused_by_cause(world: World) {
    let mut client = seminars(&world);
    client.open_seminar(open("U1", "L1", "N1", "11-21T00:00:00")).await.unwrap();
    world.learn(&[withdrawal("T4", "11-22T00:00:00")]).await;
    for (request, expected) in [
        (post("U1", "N1", 300, "11-25T10:00:00"), "NOT_FOUND"),
        (post("T1", "N9", 300, "11-25T10:00:00"), "NOT_FOUND"),
        (post("T3", "N1", 300, "11-25T10:00:00"), "NOT_CLASS_MEMBER"),
        (post("T4", "N1", 300, "11-25T10:00:00"), "WITHDRAWN"),
        (post("T1", "N1", 300, "12-21T00:00:00"), "WINDOW_CLOSED"),
        (post("T1", "N1", 299, "11-25T10:00:00"), "TEXT_TOO_SHORT"),
        (post("T1", "N1", 200_001, "11-25T10:00:00"), "TEXT_TOO_LONG"),
    ] {
        let label = format!("{} {} {:?}", request.person_id, request.seminar_id, request.occurred_at);
        assert_eq!(reason(client.post_to_seminar(request).await), expected, "{label}");
    }
    world.learn(&[transfer("T3", "130302", "L1", "11-24T00:00:00")]).await;
    client.post_to_seminar(post("T3", "N1", 300, "11-25T10:00:00")).await.unwrap();
}

/// A trainee goes to L2 and comes back to L1; posts and moves arrive in any order.
async fn post_is_for_the_class_of_then_in_any_order(world: World) {
    let mut client = seminars(&world);
    client.open_seminar(open("U1", "L1", "N1", "11-20T00:00:00")).await.unwrap();
    client.open_seminar(open("U2", "L2", "N2", "11-20T00:00:00")).await.unwrap();
    let moves = [("130303", "L2", "11-25T00:00:00"), ("130302", "L1", "11-28T00:00:00")];
    let posts = [
        ("N1", "11-22T10:00:00", true),
        ("N2", "11-22T10:00:00", false),
        ("N1", "11-25T00:00:00", false),
        ("N2", "11-25T00:00:00", true),
        ("N2", "11-27T23:59:59", true),
        ("N1", "11-28T00:00:00", true),
        ("N2", "11-28T00:00:00", false),
    ];
    let orders = orders(&moves.map(|(_, _, when)| when), &posts.map(|(_, when, _)| when));
    for (number, order) in orders.iter().enumerate() {
        let person = format!("P{number:02}");
        world.learn(&[trainee_of_l1(&person)]).await;
        for told in order {
            let (seminar, when, is_accepted) = match *told {
                Learned::Fact(index) => posts[index],
                Learned::Transfer(index) => {
                    let (county, class, when) = moves[index];
                    world.learn(&[transfer(&person, county, class, when)]).await;
                    continue;
                }
            };
            let answer = client.post_to_seminar(post(&person, seminar, 300, when)).await;
            match is_accepted {
                true => drop(answer.unwrap()),
                false => assert_eq!(reason(answer), "NOT_CLASS_MEMBER", "{order:?} {seminar} {when}"),
            }
        }
    }
    let events = world.events::<proto::PostAccepted>().await;
    assert_eq!(events.len(), 4 * orders.len());
    for (event, fact) in events {
        let county = if fact.class_id == "L1" { "130302" } else { "130303" };
        assert_eq!(event.region, county, "{fact:?}");
    }
}

async fn summary_is_refused_by_cause_and_replaced_by_a_later_one(world: World) {
    let mut client = seminars(&world);
    client.open_seminar(open("U1", "L1", "N1", "11-21T00:00:00")).await.unwrap();
    for (request, expected) in [
        (summary("U1", "N9", "总结", "11-25T10:00:00"), "NOT_FOUND"),
        (summary("T1", "N1", "总结", "11-25T10:00:00"), "NOT_FOUND"),
        (summary("U2", "N1", "总结", "11-25T10:00:00"), "NOT_CLASS_TUTOR"),
        (summary("U1", "N1", "总结", "12-21T00:00:00"), "WINDOW_CLOSED"),
        (summary("U1", "N1", "\0", "11-25T10:00:00"), "INVALID_FIELD"),
    ] {
        let label = format!("{request:?}");
        assert_eq!(reason(client.summarise_seminar(request).await), expected, "{label}");
    }
    client.summarise_seminar(summary("U1", "N1", "初稿", "11-25T10:00:00")).await.unwrap();
    let answer = client.summarise_seminar(summary("U1", "N1", "定稿", "11-26T10:00:00")).await.unwrap();
    let seminar = answer.into_inner().seminar.unwrap();
    assert_eq!((seminar.summary.as_str(), seminar.summarised_time), ("定稿", at("11-25T10:00:00")));
    assert_eq!(world.events::<proto::SeminarSummarised>().await.len(), 2);
}

async fn posts_at_the_same_moment_are_numbered_without_gaps(world: World) {
    seminars(&world).open_seminar(open("U1", "L1", "N1", "11-21T00:00:00")).await.unwrap();
    let mut calls = Vec::new();
    for number in 0..10 {
        let mut client = seminars(&world);
        let person = ["T1", "T2", "T4"][number % 3];
        let request = post(person, "N1", 300 + number, "11-25T10:00:00");
        calls.push(tokio::spawn(async move { client.post_to_seminar(request).await.unwrap().into_inner() }));
    }
    let mut numbers = Vec::new();
    for call in calls {
        numbers.push(call.await.unwrap().post.unwrap().number);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=10).collect::<Vec<i32>>());
}

async fn seminars_and_posts_come_in_pages(world: World) {
    let mut client = seminars(&world);
    for (tutor, class, id, when) in [
        ("U1", "L1", "N1", "11-20T00:00:00"),
        ("U2", "L2", "N2", "11-20T00:00:00"),
        ("U1", "L1", "N3", "11-21T00:00:00"),
    ] {
        client.open_seminar(open(tutor, class, id, when)).await.unwrap();
    }
    for person in ["T1", "T2", "T4"] {
        client.post_to_seminar(post(person, "N1", 300, "11-25T10:00:00")).await.unwrap();
    }
    for (class, expected) in [("", vec!["N1", "N2", "N3"]), ("L1", vec!["N1", "N3"])] {
        let mut request = proto::ListSeminarsRequest {
            programme_id: PROGRAMME.to_owned(),
            class_id: class.to_owned(),
            page_size: 1,
            page_token: String::new(),
            with_retracted: false,
        };
        let mut ids = Vec::new();
        loop {
            let page = client.list_seminars(request.clone()).await.unwrap().into_inner();
            ids.extend(page.seminars.into_iter().map(|seminar| seminar.seminar_id));
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        assert_eq!(ids, expected, "{class}");
    }
    let request = proto::ListPostsRequest {
        programme_id: PROGRAMME.to_owned(),
        seminar_id: "N1".to_owned(),
        page_size: 2,
        page_token: String::new(),
        with_retracted: false,
    };
    let first = client.list_posts(request.clone()).await.unwrap().into_inner();
    let next = proto::ListPostsRequest { page_token: first.next_page_token.clone(), ..request.clone() };
    let second = client.list_posts(next).await.unwrap().into_inner();
    assert_eq!((first.posts.len(), second.posts.len(), second.posts[0].number), (2, 1, 3));
    let nothing = proto::ListPostsRequest { seminar_id: "N9".to_owned(), ..request };
    assert_eq!(reason(client.list_posts(nothing).await), "NOT_FOUND");
}

async fn bulletin_is_one_of_each_number(world: World) {
    let mut client = bulletins(&world);
    let request = proto::PublishBulletinRequest {
        request_id: "first".to_owned(),
        ..bulletin("U1", "L1", 1, "10-30T23:59:59")
    };
    let first = client.publish_bulletin(request.clone()).await.unwrap().into_inner();
    let again = client.publish_bulletin(request.clone()).await.unwrap().into_inner();
    assert_eq!(again, first, "the same request is answered the same");
    for request_id in ["second", ""] {
        let other = proto::PublishBulletinRequest { request_id: request_id.to_owned(), ..request.clone() };
        assert_eq!(reason(client.publish_bulletin(other).await), "ALREADY_EXISTS");
    }
    let retitled =
        proto::PublishBulletinRequest { request_id: String::new(), title: "重复".to_owned(), ..request };
    assert_eq!(reason(client.publish_bulletin(retitled).await), "ALREADY_EXISTS");
    client.publish_bulletin(bulletin("U1", "L1", 2, "10-30T23:59:59")).await.unwrap();
    client.publish_bulletin(bulletin("U2", "L2", 1, "10-30T23:59:59")).await.unwrap();

    let events = world.events::<proto::BulletinPublished>().await;
    assert_eq!(events.len(), 3);
    for (class, expected) in
        [("", vec![("L1", 1), ("L1", 2), ("L2", 1)]), ("L1", vec![("L1", 1), ("L1", 2)]), ("L3", vec![])]
    {
        let mut request = proto::ListBulletinsRequest {
            programme_id: PROGRAMME.to_owned(),
            class_id: class.to_owned(),
            page_size: 1,
            page_token: String::new(),
            with_retracted: false,
        };
        let mut found = Vec::new();
        loop {
            let page = client.list_bulletins(request.clone()).await.unwrap().into_inner();
            found.extend(page.bulletins.into_iter().map(|bulletin| (bulletin.class_id, bulletin.number)));
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        let found: Vec<(&str, i32)> = found.iter().map(|(class, number)| (class.as_str(), *number)).collect();
        assert_eq!(found, expected);
    }
}

async fn bulletin_is_refused_by_cause(world: World) {
    let mut client = bulletins(&world);
    for (request, expected) in [
        (bulletin("T1", "L1", 1, "10-01T00:00:00"), "NOT_FOUND"),
        (bulletin("U1", "L9", 1, "10-01T00:00:00"), "NOT_FOUND"),
        (bulletin("U1", "L1", 4, "10-01T00:00:00"), "NOT_FOUND"),
        (bulletin("U1", "L2", 1, "10-01T00:00:00"), "NOT_CLASS_TUTOR"),
        (bulletin("U1", "L1", 1, "09-14T23:59:59"), "WINDOW_NOT_OPEN"),
        (bulletin("U1", "L1", 2, "12-01T00:00:00"), "WINDOW_CLOSED"),
    ] {
        let label = format!("{request:?}");
        assert_eq!(reason(client.publish_bulletin(request).await), expected, "{label}");
    }
}

async fn bulletins_at_the_same_moment_leave_one(world: World) {
    let mut calls = Vec::new();
    for number in 0..8 {
        let mut client = bulletins(&world);
        let title = format!("第{number}稿");
        let request = proto::PublishBulletinRequest { title, ..bulletin("U1", "L1", 1, "10-01T00:00:00") };
        calls.push(tokio::spawn(async move { client.publish_bulletin(request).await }));
    }
    let mut accepted = 0;
    for call in calls {
        match call.await.unwrap() {
            Ok(_) => accepted += 1,
            refused => assert_eq!(reason(refused), "ALREADY_EXISTS"),
        }
    }
    assert_eq!((accepted, world.events::<proto::BulletinPublished>().await.len()), (1, 1));
}
