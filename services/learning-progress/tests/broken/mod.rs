//! Rows that hold what this service never writes: each takes its own place from a list, and no other.

use shipei_contracts::learning::v1::{self as proto, CourseCategory};
use shipei_store::execute;

use crate::{
    DAY, sessions_of,
    world::{PROGRAMME, World, at, beats, course, message},
};

pub(crate) async fn broken_row_takes_its_own_place_from_a_list(world: World) {
    world.trainee("T1").await;
    for course_id in ["C1", "C2", "C3"] {
        world.course(course(course_id, CourseCategory::Public, 400)).await;
    }
    for session_id in ["S1", "S2", "S3"] {
        let session = beats(("T1", "C1", session_id), at(DAY), &[(0, 0), (1, 60)]);
        world.first.stream(vec![message(1, vec![session])]).await.unwrap();
    }
    let mut tx = world.first.kit.database().begin_write().await.unwrap();
    let sql = "UPDATE session SET beats = $1 WHERE session_id = $2";
    execute!(tx, sql, b"\xff no beats".as_slice(), "S2").unwrap();
    execute!(tx, "UPDATE course SET category = $1 WHERE course_id = $2", "none", "C2").unwrap();
    tx.commit().await.unwrap();

    // It is the last of its page, too.
    for page_size in [0, 1, 2] {
        let (mut listed, mut broken) = (Vec::new(), Vec::new());
        let mut request = sessions_of("T1", page_size, "");
        loop {
            let answer = world.first.study().list_sessions(request.clone()).await.unwrap().into_inner();
            listed.extend(answer.sessions.into_iter().map(|session| session.session_id));
            broken.extend(answer.broken.into_iter().map(|row| (row.key, row.table, row.column)));
            if answer.next_page_token.is_empty() {
                break;
            }
            request.page_token = answer.next_page_token;
        }
        assert_eq!(listed, ["S1", "S3"], "{page_size}");
        assert_eq!(broken, [("S2".to_owned(), "session".to_owned(), "beats".to_owned())], "{page_size}");
    }
    let request = proto::ListCoursesRequest { programme_id: PROGRAMME.into(), ..Default::default() };
    let answer = world.first.courses().list_courses(request).await.unwrap().into_inner();
    let listed: Vec<_> = answer.courses.iter().map(|course| course.course_id.as_str()).collect();
    let broken: Vec<_> = answer.broken.iter().map(|row| (row.key.as_str(), row.column.as_str())).collect();
    assert_eq!((listed, broken), (vec!["C1", "C3"], vec![("C2", "category")]));
}
