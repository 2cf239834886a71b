//! Windows that end later, and classes with another tutor.

use shipei_contracts::enrollment::v1::{self as pb, extension_service_client::ExtensionServiceClient};
use tonic::transport::Channel;

use crate::world::{PROGRAMME, World, at, class_of, reason};

crate::on_both!(
    extension_is_granted_once_and_listed_by_region,
    extension_names_a_window_and_one_group,
    roster_is_reported_until_the_end_that_the_county_has,
    tutor_is_replaced_from_a_date,
);

fn extension(id: &str, window: &str, last_day: &str, to: &str) -> pb::GrantExtensionRequest {
    let is = |kinds: &str| {
        if to.starts_with(|first| kinds.contains(first)) { to.to_owned() } else { String::new() }
    };
    pb::GrantExtensionRequest {
        programme_id: PROGRAMME.to_owned(),
        extension_id: id.to_owned(),
        window: window.to_owned(),
        last_day: last_day.to_owned(),
        region_code: is("1"),
        class_id: is("L"),
        person_id: is("TU"),
        reason: "停电".to_owned(),
        occurred_at: at("2019-07-25T08:00:00+08:00"),
        ..Default::default()
    }
}

async fn listed(client: &mut ExtensionServiceClient<Channel>, region_code: &str) -> Vec<String> {
    let request = pb::ListExtensionsRequest {
        programme_id: PROGRAMME.to_owned(),
        region_code: region_code.to_owned(),
        ..Default::default()
    };
    let answer = client.list_extensions(request).await.unwrap().into_inner();
    answer.extensions.into_iter().map(|extension| extension.extension_id).collect()
}

async fn extension_is_granted_once_and_listed_by_region(world: World) {
    world.with_people().await;
    let mut client = world.extensions();
    let granted = extension("E1", "phase_1", "2019-11-05", "130302");
    let kept = client.grant_extension(granted.clone()).await.unwrap().into_inner().extension.unwrap();
    assert_eq!(
        (kept.window.as_str(), kept.last_day.as_str(), kept.reason.as_str()),
        ("phase_1", "2019-11-05", "停电")
    );
    assert_eq!(kept.granted_time, at("2019-07-25T08:00:00+08:00"));
    let again = pb::GrantExtensionRequest { occurred_at: None, ..granted.clone() };
    assert_eq!(client.grant_extension(again).await.unwrap().into_inner().extension, Some(kept));
    let other = pb::GrantExtensionRequest { last_day: "2019-11-06".to_owned(), ..granted };
    assert_eq!(reason(client.grant_extension(other).await), "ALREADY_EXISTS");
    for (id, to) in [("E2", "T1"), ("E3", "L3"), ("E4", ""), ("E5", "130300")] {
        client.grant_extension(extension(id, "phase_1", "2019-11-05", to)).await.unwrap();
    }
    // T1 stands in 130302, L3 is 130303's.
    assert_eq!(listed(&mut client, "").await, ["E1", "E2", "E3", "E4", "E5"]);
    assert_eq!(listed(&mut client, "130302").await, ["E1", "E2"]);
    assert_eq!(listed(&mut client, "130303").await, ["E3"]);

    let events = world.events("ExtensionGranted").await;
    assert_eq!(events.len(), 5);
    let places: Vec<&str> = events.iter().map(|event| event.region.as_str()).collect();
    assert!(places.contains(&"130303") && places.iter().filter(|place| **place == "130300").count() == 2);
    assert!(events.iter().all(|event| !String::from_utf8_lossy(&event.data).contains("停电")));
}

async fn extension_names_a_window_and_one_group(world: World) {
    world.with_people().await;
    let mut client = world.extensions();
    let good = extension("E1", "phase_1", "2019-11-05", "T1");
    for (request, expected) in [
        (extension("E1", "phase_9", "2019-11-05", ""), "NOT_FOUND"),
        (extension("E1", "phase_1", "2019-11-05", "T99"), "NOT_FOUND"),
        (extension("E1", "phase_1", "2019-11-05", "L99"), "NOT_FOUND"),
        (extension("E1", "phase_1", "2019-11-05", "139999"), "NOT_FOUND"),
        (extension("E1", "phase_1", "2019-10-29", "T1"), "INVALID_FIELD"),
        (extension("E1", "phase_1", "5 November", "T1"), "INVALID_FIELD"),
        (extension("E1", "phase_1", "2019-11-5", "T1"), "INVALID_FIELD"),
        (pb::GrantExtensionRequest { class_id: "L1".to_owned(), ..good.clone() }, "INVALID_FIELD"),
        (pb::GrantExtensionRequest { reason: " ".to_owned(), ..good.clone() }, "INVALID_FIELD"),
    ] {
        assert_eq!(reason(client.grant_extension(request.clone()).await), expected, "{request:?}");
    }
    client.grant_extension(good).await.unwrap();
}

async fn roster_is_reported_until_the_end_that_the_county_has(world: World) {
    world.with_people().await;
    let report = |county: &str, counselor: &str, time: &str| pb::ReportRosterRequest {
        programme_id: PROGRAMME.to_owned(),
        county_code: county.to_owned(),
        counselor_id: counselor.to_owned(),
        occurred_at: at(time),
        ..Default::default()
    };
    world.clock().set("2019-10-01T08:00:00+08:00".parse().unwrap());
    let mut counties = world.counties();
    let late = "2019-09-12T23:59:59+08:00";
    assert_eq!(reason(counties.report_roster(report("130302", "K1", late)).await), "WINDOW_CLOSED");
    let granted = extension("E1", "reporting", "2019-09-12", "130302");
    world.extensions().grant_extension(granted).await.unwrap();
    // What was refused is not taken by itself: it is sent again.
    let too_late = "2019-09-13T00:00:00+08:00";
    assert_eq!(reason(counties.report_roster(report("130302", "K1", too_late)).await), "WINDOW_CLOSED");
    let county = counties.report_roster(report("130302", "K1", late)).await.unwrap().into_inner().county;
    assert_eq!(county.unwrap().reported_time, at(late));
    assert_eq!(reason(counties.report_roster(report("130303", "K2", late)).await), "WINDOW_CLOSED");
    // The longest that applies counts: the city's is longer.
    let of_city = extension("E2", "reporting", "2019-09-20", "130300");
    world.extensions().grant_extension(of_city).await.unwrap();
    counties.report_roster(report("130303", "K2", late)).await.unwrap();
}

async fn tutor_is_replaced_from_a_date(world: World) {
    world.with_people().await;
    let replace = |class: &str, tutor: &str, time: &str| pb::ReplaceTutorRequest {
        programme_id: PROGRAMME.to_owned(),
        class_id: class.to_owned(),
        tutor_id: tutor.to_owned(),
        reason: "病假".to_owned(),
        occurred_at: at(time),
        ..Default::default()
    };
    world.clock().set("2019-12-01T08:00:00+08:00".parse().unwrap());
    let mut client = world.regions();
    let now = |answer: pb::ReplaceTutorResponse| answer.class.unwrap().tutor_id;
    let (early, late) = ("2019-10-01T08:00:00+08:00", "2019-11-01T08:00:00+08:00");
    assert_eq!(reason(client.replace_tutor(replace("L9", "U2", late)).await), "NOT_FOUND");
    let nameless = pb::ReplaceTutorRequest { reason: String::new(), ..replace("L1", "U2", late) };
    assert_eq!(reason(client.replace_tutor(nameless).await), "INVALID_FIELD");
    let answer = client.replace_tutor(replace("L1", "U2", late)).await.unwrap().into_inner();
    assert_eq!(now(answer), "U2");
    // Told later of an earlier date: who is tutor now stays; the same again is nothing new.
    let answer = client.replace_tutor(replace("L1", "U3", early)).await.unwrap().into_inner();
    assert_eq!(now(answer), "U2");
    client.replace_tutor(replace("L1", "U3", early)).await.unwrap();
    // Put right with its own date.
    let answer = client.replace_tutor(replace("L1", "", late)).await.unwrap().into_inner();
    assert_eq!(now(answer), "");
    assert_eq!(world.events("TutorReplaced").await.len(), 3);
    // The same creation sent again is the class as it stands.
    let class =
        client.create_class(class_of("L1", "130300", "U1")).await.unwrap().into_inner().class.unwrap();
    assert_eq!(class.tutor_id, "");
    assert_eq!(reason(client.create_class(class_of("L1", "130300", "U2")).await), "ALREADY_EXISTS");
}
