//! Courses that are created late, put right and retired: the same scores and the same digest in whatever order that and study arrive, and
//! again when everything is learned anew.

use anyhow::Result;
use shipei::suite::forget_learned;
use shipei_client::client::{Clients, SERVICES};
use shipei_contracts::learning::v1::{
    CorrectCourseRequest, Course, CourseCategory, CourseTerms, CreateCourseRequest, GetProgressRequest,
    GrantTimeRequest, RetireCourseRequest, course_service_client::CourseServiceClient,
    study_service_client::StudyServiceClient,
};
use shipei_store::PoolLimits;

use crate::harness::{Backend, KeptState, digest, embedded};
use crate::merged::until_digest;
use crate::places::{ask, at, id, on_both, populate};

const RETIRED: &str = "2019-10-20T02:00:00Z";

/// What may be told in any order, but for what is of the second course, which comes behind that.
#[derive(Debug, Clone, Copy)]
enum Told {
    /// A second course of the main line.
    Created,
    /// T1 has studied all of the first course, and T2.
    First,
    /// T2 has studied all of the second one, too.
    Second,
    /// The first course is longer, from a day behind their study on.
    Longer,
    /// The second one is retired.
    Retired,
}
use Told::{Created, First, Longer, Retired, Second};

async fn grant(clients: &Clients, person: &str, course_id: &str, seconds: i32, when: &str) -> Result<()> {
    let grant = GrantTimeRequest {
        programme_id: id(),
        person_id: person.to_owned(),
        course_id: course_id.to_owned(),
        grant_id: format!("G{course_id}"),
        seconds,
        reason: "播放器故障".to_owned(),
        evidence: "工单 1".to_owned(),
        occurred_at: at(when),
        ..Default::default()
    };
    ask!(clients, StudyServiceClient, "learning-progress", grant_time, grant);
    Ok(())
}

async fn tell(clients: &Clients, told: Told) -> Result<()> {
    match told {
        Created => {
            let course = Course {
                course_id: "P2".to_owned(),
                title: "公共课二".to_owned(),
                category: CourseCategory::Public.into(),
                main_line: true,
                length_seconds: 600,
                ..Course::default()
            };
            let request =
                CreateCourseRequest { programme_id: id(), course: Some(course), ..Default::default() };
            ask!(clients, CourseServiceClient, "learning-progress", create_course, request);
        }
        First => {
            grant(clients, "T1", "P1", 5_400, "2019-10-01T02:00:00Z").await?;
            grant(clients, "T2", "P1", 5_400, "2019-10-01T02:00:00Z").await?;
        }
        Second => grant(clients, "T2", "P2", 600, "2019-10-05T02:00:00Z").await?,
        Longer => {
            let request = CorrectCourseRequest {
                programme_id: id(),
                course_id: "P1".to_owned(),
                terms: Some(CourseTerms { length_seconds: Some(6_000), ..CourseTerms::default() }),
                since_time: at("2019-10-10T02:00:00Z"),
                reason: "片长有误".to_owned(),
                request_id: "C1".to_owned(),
                ..Default::default()
            };
            ask!(clients, CourseServiceClient, "learning-progress", correct_course, request);
        }
        Retired => {
            let request = RetireCourseRequest {
                programme_id: id(),
                course_id: "P2".to_owned(),
                since_time: at(RETIRED),
                reason: "课程下线".to_owned(),
                request_id: "C2".to_owned(),
                ..Default::default()
            };
            ask!(clients, CourseServiceClient, "learning-progress", retire_course, request);
        }
    }
    Ok(())
}

/// When the first phases of T1 and T2 were achieved; empty when they were not.
async fn achieved(clients: &Clients) -> Result<[String; 2]> {
    let mut found = [String::new(), String::new()];
    for (person, found) in ["T1", "T2"].into_iter().zip(&mut found) {
        let request = GetProgressRequest { programme_id: id(), person_id: person.to_owned() };
        let progress = ask!(clients, StudyServiceClient, "learning-progress", get_progress, request);
        *found = progress.phases[0].achieved_time.map(|time| time.to_string()).unwrap_or_default();
    }
    Ok(found)
}

async fn until_achieved(clients: &Clients, expected: [&str; 2], case: &str) -> Result<()> {
    for _ in 0..200 {
        // Who learns everything anew knows of nothing yet.
        if achieved(clients).await.is_ok_and(|found| found == expected) {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(achieved(clients).await?, expected, "{case}");
    Ok(())
}

async fn courses_come_to_the_same_in_any_order(backend: Backend) -> Result<()> {
    let second = "2019-10-05T02:00:00Z";
    let orders: [(&[&[Told]], [&str; 2]); 2] = [
        // A course that is added had always been there, also for who had done all others by then.
        (&[&[Created, First], &[First, Created]], ["", ""]),
        (
            &[
                &[Created, First, Second, Longer, Retired],
                &[First, Longer, Created, Retired, Second],
                &[First, Created, Second, Retired, Longer],
            ],
            [RETIRED, second],
        ),
    ];
    for (orders, moments) in orders {
        let mut expected = None;
        for order in orders {
            let case = format!("{order:?} on {backend:?}");
            let place = KeptState::new(backend)?;
            let (suite, clients) = embedded(&place).await?;
            populate(&clients).await?;
            for told in *order {
                tell(&clients, *told).await?;
            }
            until_achieved(&clients, moments, &case).await?;
            let expected = match &expected {
                Some(expected) => expected,
                None => {
                    settle(&clients).await?;
                    expected.insert(digest(&clients, &id()).await?)
                }
            };
            until_digest(&clients, expected).await?;
            assert!(suite.stop().await);
            // Everybody learns everything anew, corrected and retired courses too.
            for service in SERVICES {
                forget_learned(service, &place.storage, PoolLimits::default()).await?;
            }
            let (suite, clients) = embedded(&place).await?;
            until_achieved(&clients, moments, &case).await?;
            until_digest(&clients, expected).await?;
            assert!(suite.stop().await);
        }
    }
    Ok(())
}

/// Waits until assessment has learned of what was told: a digest that has not changed for a second.
async fn settle(clients: &Clients) -> Result<()> {
    let (mut last, mut same) = (String::new(), 0);
    while same < 5 {
        let found = digest(clients, &id()).await?;
        same = if found == last { same + 1 } else { 0 };
        last = found;
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    Ok(())
}

on_both! {
    courses_come_to_the_same_in_any_order,
}
