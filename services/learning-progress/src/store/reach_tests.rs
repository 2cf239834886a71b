//! Every list of this service under every kind of reach, beside what climbing the tree by hand gives.

use chrono::{DateTime, Utc};
use shipei_mirror::testing::{PROGRAMME, TRAINEES, id, programme, reach_world, stands};
use shipei_service_kit::{
    Reach,
    testing::{Belongs, TestKit, reaches},
};
use shipei_store::{Tx, execute, list::all};

use super::{course, progress};

const LIMIT: i64 = 100;
/// What each trainee selects and studies, before and after 130632 comes to lie in 133100 (10-01) and T3 moves (11-01).
const COURSES: [(&str, &str); 3] =
    [("C1", "2019-09-30T23:59:59Z"), ("C2", "2019-10-01T00:00:00Z"), ("C3", "2019-11-20T00:00:00Z")];

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

async fn populate(tx: &mut Tx) {
    shipei_mirror::apply(tx, &reach_world()).await.unwrap();
    for (person_id, ..) in TRAINEES {
        for (course_id, when) in COURSES {
            let selection = course::SelectionRow {
                course_id: id(course_id),
                selected_at: at(when),
                fact_id: format!("{person_id}-{course_id}"),
            };
            course::select(tx, (&programme(), &id(person_id)), &selection, at(when), "test").await.unwrap();
            execute!(
                tx,
                "INSERT INTO course_progress (programme_id, person_id, course_id, credited_micros, version) \
                 VALUES ($1, $2, $3, 1, 0)",
                PROGRAMME,
                person_id,
                course_id
            )
            .unwrap();
            execute!(
                tx,
                "INSERT INTO phase_course_progress (programme_id, person_id, course_id, phase_index, micros, complete) \
                 VALUES ($1, $2, $3, 0, 1, TRUE)",
                PROGRAMME,
                person_id,
                course_id
            )
            .unwrap();
            execute!(
                tx,
                "INSERT INTO session (programme_id, session_id, person_id, course_id, opened_at, recorded_at, actor, \
                 last_at, last_seq, credited_micros, beats, overlap_micros, overlap_beats, gap_micros, gap_beats, \
                 course_full_micros, course_full_beats, daily_cap_micros, daily_cap_beats, outside_window_micros, \
                 outside_window_beats, duplicate_beats, voided, voided_micros, voided_beats) \
                 VALUES ($1, $2, $3, $2, $4, $4, 'test', $4, 0, 0, $5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, FALSE, 0, 0)",
                PROGRAMME,
                course_id,
                person_id,
                at(when),
                &b""[..]
            )
            .unwrap();
        }
    }
}

async fn lists_hold_what_the_tree_says(kit: TestKit) {
    let mut tx = kit.kit.database().begin_write().await.unwrap();
    populate(&mut tx).await;
    let tx = &mut tx;
    let start = (DateTime::UNIX_EPOCH, "");
    for reach in reaches(&["T1", "T2", "T3"]) {
        for (person, ..) in TRAINEES {
            let is_reached = |when: DateTime<Utc>| {
                let (region, class) = stands(person, when);
                Belongs { region, class, person, at: when }.is_reached_by(&reach)
            };
            let context = format!("{person} {reach:?}");
            let of_then: Vec<&str> =
                COURSES.iter().filter(|(_, when)| is_reached(at(when))).map(|(course, _)| *course).collect();
            let found =
                all(course::selections(tx, &reach, &programme(), &id(person), ("", LIMIT)).await.unwrap())
                    .unwrap();
            let found: Vec<String> = found.into_iter().map(|row| row.course_id.to_string()).collect();
            assert_eq!(found, of_then, "{context}");
            let found = all(progress::sessions(tx, &reach, &programme(), (&id(person), None), start, LIMIT)
                .await
                .unwrap())
            .unwrap();
            let found: Vec<String> = found.into_iter().map(|row| row.session_id.into()).collect();
            assert_eq!(found, of_then, "{context}");

            // Progress stands where its learner stands now.
            let now = at("2019-12-30T00:00:00Z");
            let count = if is_reached(now) { COURSES.len() } else { 0 };
            let found = progress::courses(tx, &reach, &programme(), &id(person), now).await.unwrap();
            assert_eq!(found.len(), count, "{context}");
            let found = progress::phase_courses(tx, &reach, &programme(), &id(person), now).await.unwrap();
            assert_eq!(found.len(), count, "{context}");
        }
        // The catalogue is the whole programme's.
        let found = course::courses(tx, &reach, &programme(), ("", ""), ("", LIMIT)).await.unwrap();
        assert!(reach == Reach::Everything || found.is_empty(), "{reach:?}");
    }
}

#[tokio::test]
async fn lists_hold_what_the_tree_says_on_sqlite() {
    lists_hold_what_the_tree_says(TestKit::sqlite(crate::NAME, &crate::migrations()).await).await;
}

#[tokio::test]
async fn lists_hold_what_the_tree_says_on_postgres() {
    lists_hold_what_the_tree_says(TestKit::postgres(crate::NAME, &crate::migrations()).await).await;
}
