//! Late weeks in statistics: a class's week is one, however much of its work waited, from its deadline on, and until the last of that
//! work is no longer late.

use shipei_contracts::{
    assessment::v1::{
        GetStatisticsRequest, ListStatisticsRequest, Statistics, StatisticsBy,
        statistics_service_client::StatisticsServiceClient,
    },
    assignment::v1 as assignment,
    common::v1::EducationStage,
    enrollment::v1 as enrollment,
};

use crate::{
    order::assert_late_weeks_are_right,
    support::{HAIGANG, On, PROGRAMME, SCHEME, SHANHAIGUAN, Service, Writer, at, end, retraction},
};

/// The same test on both databases.
macro_rules! on_both {
    ($($name:ident: $test:ident;)+) => {
        mod sqlite { $(#[tokio::test] async fn $name() { super::$test(crate::support::On::Sqlite).await; })+ }
        mod postgres { $(#[tokio::test] async fn $name() { super::$test(crate::support::On::Postgres).await; })+ }
    };
}

on_both! {
    week_of_a_class_is_late_once_and_from_its_deadline_on: counted;
    late_week_stays_with_its_class_and_county: moved;
}

/// Two classes of one county, one of another; C1 has T1 and T2.
fn base() -> Writer {
    let mut log = Writer::default();
    log.programme(SCHEME);
    for county in [HAIGANG, SHANHAIGUAN] {
        log.county(county);
    }
    for (class_id, county, tutor) in [("C1", HAIGANG, "U1"), ("C2", HAIGANG, "U2"), ("C3", SHANHAIGUAN, "U2")]
    {
        log.class(class_id, county, tutor);
    }
    for (person_id, county, class_id) in
        [("T1", HAIGANG, "C1"), ("T2", HAIGANG, "C1"), ("T3", HAIGANG, "C2"), ("T4", SHANHAIGUAN, "C3")]
    {
        log.trainee(person_id, county, class_id);
    }
    log
}

fn submit(log: &mut Writer, person_id: &str, class_id: &str, time: &str) {
    let submitted = assignment::AssignmentSubmitted {
        programme_id: PROGRAMME.into(),
        submission_id: format!("A{person_id}"),
        person_id: person_id.into(),
        class_id: class_id.into(),
        kind: "lesson_plan".into(),
        number: 1,
    };
    log.assignment(HAIGANG, time, &submitted);
}

async fn of(service: &Service, region: &str, class_id: &str, by_day: bool) -> Statistics {
    let request = GetStatisticsRequest {
        programme_id: PROGRAMME.to_owned(),
        region_code: region.to_owned(),
        class_id: class_id.to_owned(),
        by_day,
        ..Default::default()
    };
    let mut client = StatisticsServiceClient::new(service.server.channel());
    client.get_statistics(request).await.unwrap().into_inner().statistics.unwrap()
}

/// The late weeks of the programme, the two counties, and the three classes.
async fn weeks(service: &Service) -> [i32; 6] {
    let mut found = [0; 6];
    let places = [("", ""), (HAIGANG, ""), (SHANHAIGUAN, ""), ("", "C1"), ("", "C2"), ("", "C3")];
    for (place, (region, class_id)) in found.iter_mut().zip(places) {
        *place = of(service, region, class_id, false).await.late_weeks.unwrap();
    }
    found
}

async fn listed(service: &Service, by: StatisticsBy, stage: EducationStage) -> Vec<(String, Option<i32>)> {
    let request = ListStatisticsRequest {
        programme_id: PROGRAMME.to_owned(),
        by: by.into(),
        education_stage: stage.into(),
        ..Default::default()
    };
    let mut client = StatisticsServiceClient::new(service.server.channel());
    let rows = client.list_statistics(request).await.unwrap().into_inner().statistics;
    rows.into_iter().map(|row| (row.key, row.late_weeks)).collect()
}

async fn counted(on: On) {
    let service = Service::start(on).await;
    let mut log = base();
    submit(&mut log, "T1", "C1", "2019-11-05 10:00");
    submit(&mut log, "T2", "C1", "2019-11-10 23:00");
    submit(&mut log, "T3", "C2", "2019-11-06 10:00");
    submit(&mut log, "T4", "C3", "2019-11-12 10:00");
    service.apply(&log.take()).await;
    assert_late_weeks_are_right(&service).await;
    for (now, expected) in [
        ("2019-11-10 23:59", [0, 0, 0, 0, 0, 0]),
        ("2019-11-11 00:00", [2, 2, 0, 1, 1, 0]),
        ("2019-11-17 23:59", [2, 2, 0, 1, 1, 0]),
        ("2019-11-18 00:00", [3, 2, 1, 1, 1, 1]),
    ] {
        service.test.clock.set(at(now));
        assert_eq!(weeks(&service).await, expected, "{now}");
    }
    service.test.clock.set(end());
    let days = |statistics: Statistics| -> Vec<(String, i32)> {
        let late = statistics.days.into_iter().filter(|day| day.late_weeks > 0);
        late.map(|day| (day.day, day.late_weeks)).collect()
    };
    assert_eq!(days(of(&service, HAIGANG, "", true).await), [("2019-11-11".to_owned(), 2)]);
    assert_eq!(days(of(&service, "", "C3", true).await), [("2019-11-18".to_owned(), 1)]);
    // What has no tutor has none, and a stage is no class's.
    let none = EducationStage::Unspecified;
    assert_eq!(listed(&service, StatisticsBy::EducationStage, none).await, [("compulsory".to_owned(), None)]);
    for by in [StatisticsBy::Subject, StatisticsBy::School, StatisticsBy::DevelopmentStage] {
        assert!(listed(&service, by, none).await.iter().all(|(_, weeks)| weeks.is_none()), "{by:?}");
    }
    assert!(
        listed(&service, StatisticsBy::County, EducationStage::Compulsory)
            .await
            .iter()
            .all(|row| row.1.is_none())
    );
    let of_counties = [(HAIGANG.to_owned(), Some(2)), (SHANHAIGUAN.to_owned(), Some(1))];
    assert_eq!(listed(&service, StatisticsBy::County, none).await, of_counties);
    let of_classes = ["C1", "C2", "C3"].map(|class_id| (class_id.to_owned(), Some(1)));
    assert_eq!(listed(&service, StatisticsBy::Class, none).await, of_classes);
    assert_eq!(listed(&service, StatisticsBy::Unspecified, none).await, [(String::new(), Some(3))]);

    // One of two works in the week is taken back: it is late still; both are: it is not.
    let works: Vec<_> =
        log.take().into_iter().filter(|event| event.r#type.ends_with("AssignmentSubmitted")).collect();
    service.apply(&[retraction(&works[0], false)]).await;
    assert_eq!(weeks(&service).await, [3, 2, 1, 1, 1, 1]);
    service.apply(&[retraction(&works[1], false)]).await;
    assert_eq!(weeks(&service).await, [2, 1, 1, 0, 1, 1]);
    assert_late_weeks_are_right(&service).await;
}

async fn moved(on: On) {
    let service = Service::start(on).await;
    let mut log = base();
    submit(&mut log, "T1", "C1", "2019-11-05 10:00");
    // T1 goes to another county's class when the week is over, and is away for good later: the week stays what it was.
    let place = |county: &str, class_id: &str| enrollment::TraineePlace {
        county_code: county.to_owned(),
        class_id: class_id.to_owned(),
        ..Default::default()
    };
    let transferred = enrollment::TraineeTransferred {
        programme_id: PROGRAMME.into(),
        person_id: "T1".into(),
        old: Some(place(HAIGANG, "C1")),
        new: Some(place(SHANHAIGUAN, "C3")),
        move_number: 1,
    };
    log.enrollment(HAIGANG, "2019-11-20 10:00", &transferred);
    let left = enrollment::TraineeWithdrawn { programme_id: PROGRAMME.into(), person_id: "T1".into() };
    log.enrollment(HAIGANG, "2019-12-01 10:00", &left);
    service.apply(&log.take()).await;
    assert_eq!(weeks(&service).await, [1, 1, 0, 1, 0, 0]);
    assert_late_weeks_are_right(&service).await;
    // Away before the deadline, nobody is late for them.
    let mut log = base();
    submit(&mut log, "T1", "C1", "2019-11-05 10:00");
    log.enrollment(HAIGANG, "2019-11-10 10:00", &left);
    let service = Service::start(on).await;
    service.apply(&log.take()).await;
    assert_eq!(weeks(&service).await, [0; 6]);
}
