//! Every list of this service under every kind of reach, beside what climbing the tree by hand gives.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use shipei_mirror::testing::{CLASSES, TRAINEES, id, programme, reach_world, stands};
use shipei_rules::{
    ids::{ClassId, PersonId},
    submission::MarkKind,
    vocabulary::Grade,
};
use shipei_service_kit::testing::{Belongs, TestKit, reaches};
use shipei_store::{Tx, list::all};

use super::{
    AfterTime, Recorded, insert_bulletin, insert_mark, insert_post, insert_seminar, insert_submission,
    list_bulletins, list_marking, list_posts, list_seminars, list_submissions,
    similarity::{AfterSimilar, Sought, insert_similar, list_repeated, list_similar, reached},
};
use crate::domain::{Bulletin, Mark, Post, Seminar, Standing, Submission};

const LIMIT: i64 = 100;
/// Before and after 130632 comes to lie in 133100 (10-01) and T3 moves to 130629 and L1 (11-01).
const TIMES: [&str; 3] = ["2019-09-30T23:59:59Z", "2019-10-01T00:00:00Z", "2019-11-20T00:00:00Z"];

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// The beginning of a list by time.
fn start() -> AfterTime<'static> {
    AfterTime { at: DateTime::UNIX_EPOCH, id: "" }
}

async fn populate(tx: &mut Tx) {
    shipei_mirror::apply(tx, &reach_world()).await.unwrap();
    for (number, when) in (1_i64..).zip(TIMES.map(at)) {
        let recorded = Recorded { at: when, actor: "test".to_owned() };
        for (class_id, _, tutor_id) in CLASSES {
            let class_id: ClassId = id(class_id);
            // A class without a tutor has somebody's of before.
            let tutor_id: PersonId = id(if tutor_id.is_empty() { "U0" } else { tutor_id });
            let bulletin = Bulletin {
                class_id: class_id.clone(),
                number,
                tutor_id: tutor_id.clone(),
                title: String::new(),
                text: String::new(),
                published_at: when,
                fact_id: format!("bulletin-{number}"),
                stands: true,
            };
            assert!(insert_bulletin(tx, &programme(), &bulletin, &recorded).await.unwrap());
            let seminar = Seminar {
                seminar_id: id(&format!("{class_id}-{number}")),
                class_id,
                tutor_id,
                topic: String::new(),
                opened_at: when,
                summary: String::new(),
                summary_at: None,
                summarised_at: None,
                summary_count: 0,
                summary_fact_id: String::new(),
                fact_id: format!("seminar-{number}"),
                stands: true,
            };
            assert!(insert_seminar(tx, &programme(), &seminar, &recorded).await.unwrap());
        }
        for (person_id, ..) in TRAINEES {
            let submission = Submission {
                submission_id: id(&format!("{person_id}-{number}")),
                person_id: id(person_id),
                class_id: Some(id(stands(person_id, when).1)),
                kind: String::new(),
                title: String::new(),
                text: String::new(),
                submitted_at: when,
                standing: Standing::Counts,
                fact_id: format!("submission-{person_id}-{number}"),
                stands: true,
            };
            insert_submission(tx, &programme(), (&submission, number), &recorded).await.unwrap();
            let post = Post {
                number: 0,
                person_id: id(person_id),
                text: String::new(),
                characters: 0,
                posted_at: when,
                fact_id: format!("post-{person_id}-{number}"),
                stands: true,
            };
            insert_post(tx, &programme(), &id("L1-1"), post, &recorded).await.unwrap();
        }
        for (one, other) in [("T1", "T2"), ("T2", "T3"), ("T1", "T3")] {
            let (one, other) = (id(&format!("{one}-{number}")), id(&format!("{other}-{number}")));
            insert_similar(tx, &programme(), (&one, &other), 80 + number).await.unwrap();
        }
    }
}

/// Everybody's works of every time are like those of the others; whoever reaches one is shown it, with the others as far as they are
/// theirs. Comments are counted over the works that are reached.
async fn similar_works_are_shown_as_far_as_they_are_reached(kit: TestKit) {
    let mut tx = kit.kit.database().begin_write().await.unwrap();
    populate(&mut tx).await;
    let tx = &mut tx;
    let numbered: Vec<(i64, DateTime<Utc>)> = (1..).zip(TIMES.map(at)).collect();
    for (number, when) in &numbered {
        for (person, ..) in TRAINEES {
            let mark = Mark {
                number: 100 + number,
                kind: MarkKind::Graded(Grade::Pass),
                comment: "好".to_owned(),
                tutor_id: id("U9"),
                marked_at: *when,
                fact_id: format!("mark-{person}-{number}"),
                stands: true,
                counts: true,
            };
            let recorded = Recorded { at: *when, actor: "test".to_owned() };
            let submission_id = id(&format!("{person}-{number}"));
            insert_mark(tx, &programme(), &submission_id, &mark, &recorded).await.unwrap();
        }
    }
    let sought = |least| Sought { programme: programme(), class: None, region: None, least };
    let start = AfterSimilar { distance: i64::MIN, submission_id: "", other_id: "" };
    for reach in reaches(&["T1", "T2", "T3", "U1", "U2"]) {
        let is_theirs = |person: &str, when: DateTime<Utc>| {
            let (region, class) = stands(person, when);
            Belongs { region, class, person, at: when }.is_reached_by(&reach)
        };
        let (mut expected, mut marked) = (Vec::new(), 0);
        for (number, when) in &numbered {
            for (person, ..) in TRAINEES {
                if !is_theirs(person, *when) {
                    continue;
                }
                marked += 1;
                for (other, ..) in TRAINEES.iter().filter(|(other, ..)| *other != person) {
                    expected.push(format!("{person}-{number} {other}-{number} {}", is_theirs(other, *when)));
                }
            }
        }
        let rows = all(list_similar(tx, &reach, &sought(50), &start, LIMIT).await.unwrap()).unwrap();
        let distances: Vec<i64> = rows.iter().map(|row| row.distance).collect();
        assert!(distances.is_sorted(), "{distances:?}");
        let mut found = Vec::new();
        for row in rows {
            let is_shown = !reached(tx, &reach, &programme(), &[&row.other_id]).await.unwrap().is_empty();
            found.push(format!("{} {} {is_shown}", row.submission_id, row.other_id));
        }
        assert_eq!(sorted(found), sorted(expected), "{reach:?}");
        let most_alike = all(list_similar(tx, &reach, &sought(83), &start, LIMIT).await.unwrap()).unwrap();
        assert!(most_alike.iter().all(|row| row.distance == 17 && row.submission_id.ends_with("-3")));
        let comments = all(list_repeated(tx, &reach, &sought(2), ("", ""), LIMIT).await.unwrap()).unwrap();
        let times: Vec<i64> = comments.iter().map(|row| row.times).collect();
        assert_eq!(times, if marked >= 2 { vec![marked] } else { vec![] }, "{reach:?}");
    }
}

#[tokio::test]
async fn similar_works_are_shown_as_far_as_they_are_reached_on_sqlite() {
    let kit = TestKit::sqlite(crate::NAME, &crate::migrations()).await;
    similar_works_are_shown_as_far_as_they_are_reached(kit).await;
}

#[tokio::test]
async fn similar_works_are_shown_as_far_as_they_are_reached_on_postgres() {
    let kit = TestKit::postgres(crate::NAME, &crate::migrations()).await;
    similar_works_are_shown_as_far_as_they_are_reached(kit).await;
}

fn sorted(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.into_iter().collect();
    names.sort();
    names
}

async fn lists_hold_what_the_tree_says(kit: TestKit) {
    let mut tx = kit.kit.database().begin_write().await.unwrap();
    populate(&mut tx).await;
    let tx = &mut tx;
    let numbered: Vec<(usize, DateTime<Utc>)> = (1..).zip(TIMES.map(at)).collect();
    for reach in reaches(&["T1", "T2", "T3", "U1", "U2"]) {
        // What a class does together is the class's and its tutor's.
        let mut expected = Vec::new();
        for (number, when) in &numbered {
            for (class, region, tutor) in CLASSES {
                if (Belongs { region, class, person: tutor, at: *when }).is_reached_by(&reach) {
                    expected.push(format!("{class}-{number}"));
                }
            }
        }
        let expected = sorted(expected);
        let found =
            all(list_bulletins(tx, &reach, &programme(), (None, false), ("", 0, ""), LIMIT).await.unwrap())
                .unwrap();
        let found = found.into_iter().map(|row| format!("{}-{}", row.class_id, row.number));
        assert_eq!(sorted(found), expected, "{reach:?}");
        let found =
            all(list_seminars(tx, &reach, &programme(), (None, false), &start(), LIMIT).await.unwrap())
                .unwrap();
        assert_eq!(sorted(found.into_iter().map(|row| row.seminar_id.to_string())), expected, "{reach:?}");

        // What a trainee does is theirs, of the place of its time.
        let mut expected = Vec::new();
        for (number, when) in &numbered {
            for (person, ..) in TRAINEES {
                let (region, class) = stands(person, *when);
                if (Belongs { region, class, person, at: *when }).is_reached_by(&reach) {
                    expected.push((person, *number, *when));
                }
            }
        }
        let ids = sorted(expected.iter().map(|(person, number, _)| format!("{person}-{number}")));
        let found = all(list_submissions(tx, &reach, &programme(), (None, None, false), &start(), LIMIT)
            .await
            .unwrap())
        .unwrap();
        let found = found.into_iter().map(|row| row.submission_id.as_str().to_owned());
        assert_eq!(sorted(found), ids, "{reach:?}");
        let found =
            all(list_posts(tx, &reach, &programme(), (&id("L1-1"), false), 0, LIMIT).await.unwrap()).unwrap();
        let found = found.into_iter().map(|row| (row.person_id.to_string(), row.posted_at));
        let posts = expected.iter().map(|(person, _, when)| ((*person).to_owned(), *when));
        assert_eq!(found.collect::<Vec<_>>(), posts.collect::<Vec<_>>(), "{reach:?}");

        // A mark that is owed is the owing class's and its tutor's: T3's are L1's from the move on.
        let end = at("2019-12-30T00:00:00Z");
        for (tutor, class, region, owed) in [
            ("U1", "L1", "133100", ["T1-1", "T1-2", "T1-3", "T3-1", "T3-2", "T3-3"].as_slice()),
            ("U2", "L2", "130600", &["T2-1", "T2-2", "T2-3"]),
        ] {
            let is_reached = Belongs { region, class, person: tutor, at: end }.is_reached_by(&reach);
            let found = all(list_marking(
                tx,
                &reach,
                &programme(),
                (&[&id(tutor)], &BTreeSet::new()),
                (end, end),
                &start(),
                LIMIT,
            )
            .await
            .unwrap())
            .unwrap();
            let found = sorted(found.into_iter().map(|row| row.submission_id.as_str().to_owned()));
            assert_eq!(found, if is_reached { owed } else { &[] }, "{tutor} {reach:?}");
        }
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
