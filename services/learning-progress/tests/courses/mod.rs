//! Courses, made and listed.

use std::collections::BTreeMap;

use shipei_contracts::learning::v1::{self as proto, CourseCategory};
use tonic::Code;

use crate::{
    events, refused,
    world::{PROGRAMME, World, course, create},
};

pub(crate) async fn course_created_again_must_be_the_same(world: World) {
    let mut courses = world.first.courses();
    let made = courses.create_course(create(course("C1", CourseCategory::Public, 45))).await.unwrap();
    let again = courses.create_course(create(course("C1", CourseCategory::Public, 45))).await.unwrap();
    assert_eq!(made.into_inner(), again.into_inner());
    let other = courses.create_course(create(course("C1", CourseCategory::Public, 46))).await;
    assert_eq!(refused(other), (Code::AlreadyExists, "ALREADY_EXISTS".into()));
    for minutes in [-1, 100_001] {
        let answer = courses.create_course(create(course("C2", CourseCategory::Public, minutes))).await;
        assert_eq!(refused(answer), (Code::InvalidArgument, "INVALID_FIELD".into()));
    }
    let nameless = proto::Course { title: "\0".into(), ..course("C2", CourseCategory::Public, 1) };
    assert_eq!(refused(courses.create_course(create(nameless)).await).1, "INVALID_FIELD");
    let long = proto::Course { title: "课".repeat(501), ..course("C2", CourseCategory::Public, 1) };
    assert_eq!(refused(courses.create_course(create(long)).await).1, "TEXT_TOO_LONG");
    let mut elsewhere = create(course("C2", CourseCategory::Public, 1));
    elsewhere.programme_id = "nowhere".into();
    assert_eq!(refused(courses.create_course(elsewhere).await).1, "NOT_FOUND");
    assert_eq!(events(&world.first).await, BTreeMap::from([("CourseCreated".to_owned(), 1)]));
    let get = |id: &str| proto::GetCourseRequest { programme_id: PROGRAMME.into(), course_id: id.into() };
    let got = courses.get_course(get("C1")).await.unwrap().into_inner();
    assert_eq!(got.course, Some(course("C1", CourseCategory::Public, 45)));
    assert_eq!(refused(courses.get_course(get("C2")).await).1, "NOT_FOUND");
}

pub(crate) async fn courses_are_listed_by_page_category_and_subject(world: World) {
    for number in 0..5 {
        let category = if number % 2 == 0 { CourseCategory::Public } else { CourseCategory::Professional };
        let subject = if number == 4 { "数学" } else { "" };
        world
            .course(proto::Course { subject: subject.into(), ..course(&format!("C{number}"), category, 45) })
            .await;
    }
    let list = |category: CourseCategory, subject: &str, page_token: &str| proto::ListCoursesRequest {
        programme_id: PROGRAMME.into(),
        category: category.into(),
        subject: subject.into(),
        page_size: 2,
        page_token: page_token.into(),
    };
    let mut courses = world.first.courses();
    let ids = |answer: &proto::ListCoursesResponse| -> Vec<String> {
        answer.courses.iter().map(|course| course.course_id.clone()).collect()
    };
    let page = courses.list_courses(list(CourseCategory::Public, "", "")).await.unwrap().into_inner();
    assert_eq!(ids(&page), ["C0", "C2"]);
    let next = list(CourseCategory::Public, "", &page.next_page_token);
    let next = courses.list_courses(next).await.unwrap().into_inner();
    assert_eq!((ids(&next), next.next_page_token.as_str()), (vec!["C4".to_owned()], ""));
    let stray = courses.list_courses(list(CourseCategory::Professional, "", &page.next_page_token)).await;
    assert_eq!(refused(stray).1, "INVALID_PAGE_TOKEN");
    let chinese = courses.list_courses(list(CourseCategory::Public, "语文", "")).await.unwrap().into_inner();
    assert_eq!((ids(&chinese).len(), chinese.next_page_token.as_str()), (2, ""));
}
