//! Courses with the longest titles, and what a learner may have of them.

use shipei_contracts::{
    learning::v1::{
        self as proto, CourseCategory, course_service_client::CourseServiceClient,
        study_service_client::StudyServiceClient,
    },
    services::LEARNING_PROGRESS as NAME,
};
use shipei_mirror::testing::{PROGRAMME, at};

use super::{Tried, long, world};
use crate::machine::roster::roster;

/// The most characters of a title.
const TITLE_MAX: usize = 500;
/// The most characters of a reason.
const REASON_MAX: usize = 2_000;

#[tokio::test]
async fn answers_with_the_longest_texts_can_be_sent() {
    let world = world(NAME, &roster()).await;
    let mut courses = CourseServiceClient::new(world.channel());
    let mut study = StudyServiceClient::new(world.channel());
    let (programme_id, person_id) = (|| PROGRAMME.to_owned(), || "T1".to_owned());
    let course_id = || "C".repeat(64);
    let course = proto::Course {
        course_id: course_id(),
        title: long(TITLE_MAX),
        category: CourseCategory::Public.into(),
        main_line: false,
        length_seconds: 6_000_000,
        ..Default::default()
    };
    let request = proto::CreateCourseRequest {
        programme_id: programme_id(),
        course: Some(course),
        ..Default::default()
    };
    courses.create_course(request).await.unwrap();
    // As many changes as there may be of one course.
    for number in 1..100 {
        let request = proto::CorrectCourseRequest {
            programme_id: programme_id(),
            course_id: course_id(),
            terms: Some(proto::CourseTerms {
                title: Some(format!("{}{number:02}", long(TITLE_MAX - 2))),
                length_seconds: Some(6_000_000 - number),
                ..Default::default()
            }),
            reason: long(REASON_MAX),
            ..Default::default()
        };
        courses.correct_course(request).await.unwrap();
    }
    let request = proto::SelectCourseRequest {
        programme_id: programme_id(),
        person_id: person_id(),
        course_id: course_id(),
        request_id: "R".repeat(64),
        occurred_at: at("09-16T08:00:00"),
        correction: None,
    };
    courses.select_course(request).await.unwrap();
    // Beats that lose time for every reason there is: too far apart, and two sessions at once.
    for session in ["A", "B"] {
        for (seq, when) in
            [(0, "09-20T08:00:00"), (1, "09-20T08:01:00"), (1, "09-20T08:01:00"), (2, "09-20T09:00:00")]
        {
            let request = proto::RecordHeartbeatRequest {
                programme_id: programme_id(),
                person_id: person_id(),
                course_id: course_id(),
                session_id: session.repeat(64),
                seq,
                occurred_at: at(when),
            };
            study.record_heartbeat(request).await.unwrap();
        }
    }

    let mut tried = Tried::default();
    let request = proto::GetCourseRequest { programme_id: programme_id(), course_id: course_id() };
    let changes = courses.get_course(request).await.unwrap().into_inner().changes;
    assert_eq!(changes.len(), 99);
    tried.answer("GetCourse");
    let request = proto::ListCoursesRequest { programme_id: programme_id(), ..Default::default() };
    let answer = courses.list_courses(request).await.unwrap().into_inner();
    tried.row("ListCourses", answer.courses.len(), &answer);
    let request = proto::ListSelectionsRequest {
        programme_id: programme_id(),
        person_id: person_id(),
        ..Default::default()
    };
    let answer = courses.list_selections(request).await.unwrap().into_inner();
    tried.row("ListSelections", answer.selections.len(), &answer);
    // As many courses as a page has rows.
    let request = proto::GetProgressRequest { programme_id: programme_id(), person_id: person_id() };
    let answer = study.get_progress(request).await.unwrap().into_inner();
    tried.row("GetProgress", answer.courses.len(), &answer);
    let request = proto::ListSessionsRequest {
        programme_id: programme_id(),
        person_id: person_id(),
        page_size: 1,
        ..Default::default()
    };
    let answer = study.list_sessions(request).await.unwrap().into_inner();
    tried.row("ListSessions", answer.sessions.len(), &answer);
    // So many trainees are named at most.
    let present = proto::PresentTrainee { person_id: "T".repeat(64), ..Default::default() };
    let answer = proto::GetPresenceResponse { trainees: vec![present], ..Default::default() };
    tried.row("GetPresence", 1, &answer);
    tried.is_all_of(NAME);
}
