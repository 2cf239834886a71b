//! Rows that hold what this service never writes: each spoils the scores that rest on it, and no other of a list.

use shipei_contracts::assessment::v1::{
    GetTraineeScoreRequest, ListCountyScoresRequest, ListTraineeScoresRequest, ListTutorScoresRequest,
};
use shipei_service_kit::{status::reason_of, to_timestamp};
use shipei_store::execute;

use crate::{
    season::season,
    support::{HAIGANG, On, PROGRAMME, SHANHAIGUAN, Service, at, end},
};

/// The same test on both databases.
macro_rules! on_both {
    ($($name:ident: $test:ident;)+) => {
        mod sqlite { $(#[tokio::test] async fn $name() { super::$test(crate::support::On::Sqlite).await; })+ }
        mod postgres { $(#[tokio::test] async fn $name() { super::$test(crate::support::On::Postgres).await; })+ }
    };
}

on_both! {
    stored_score_that_cannot_be_read_takes_its_own_place: stored;
    fact_that_cannot_be_read_spoils_what_rests_on_it: facts;
}

async fn change(service: &Service, sql: &'static str, person_id: &str) {
    let mut tx = service.test.kit.database().begin_write().await.unwrap();
    execute!(tx, sql, person_id).unwrap();
    tx.commit().await.unwrap();
}

async fn stored(on: On) {
    let service = Service::start(on).await;
    service.apply(&season().take()).await;
    let all = service.trainees(end(), "", "", 0).await;
    change(&service, "UPDATE trainee_score SET items = points WHERE person_id = $1", "T02").await;
    // It is the last of its page, too.
    for page_size in [0, 1, 2] {
        let (mut listed, mut broken) = (Vec::new(), Vec::new());
        let mut request = ListTraineeScoresRequest {
            programme_id: PROGRAMME.to_owned(),
            as_of: Some(to_timestamp(end())),
            page_size,
            ..Default::default()
        };
        loop {
            let answer = service.client().list_trainee_scores(request.clone()).await.unwrap().into_inner();
            listed.extend(answer.scores);
            broken.extend(answer.broken);
            if answer.next_page_token.is_empty() {
                break;
            }
            request.page_token = answer.next_page_token;
        }
        let others: Vec<_> = all.iter().filter(|score| score.person_id != "T02").cloned().collect();
        assert_eq!(listed, others, "{page_size}");
        let [row] = broken.as_slice() else { panic!("{broken:?}") };
        assert_eq!((&*row.key, &*row.table, &*row.column), ("T02", "trainee_score", "items"));
    }
    let alone = GetTraineeScoreRequest {
        programme_id: PROGRAMME.to_owned(),
        person_id: "T02".to_owned(),
        as_of: Some(to_timestamp(end())),
    };
    let refused = service.client().get_trainee_score(alone).await.unwrap_err();
    assert_eq!(reason_of(&refused).as_deref(), Some("CORRUPT_ROW"));
}

/// T01 stands in 130302 and in C1, of U1. As of a time at which what is stored does not hold, all is judged by the facts.
async fn facts(on: On) {
    let service = Service::start(on).await;
    service.apply(&season().take()).await;
    let then = at("2019-11-15 00:00");
    let trainees = service.trainees(then, "", "", 0).await;
    let (tutors, counties) = (service.tutors(then).await, service.counties(then).await);
    change(&service, "UPDATE mark SET grade = 'splendid' WHERE person_id = $1", "T01").await;
    let as_of = Some(to_timestamp(then));
    let programme_id = || PROGRAMME.to_owned();

    let request = ListTraineeScoresRequest { programme_id: programme_id(), as_of, ..Default::default() };
    let answer = service.client().list_trainee_scores(request).await.unwrap().into_inner();
    let others: Vec<_> = trainees.into_iter().filter(|score| score.person_id != "T01").collect();
    assert_eq!(answer.scores, others);
    let [row] = answer.broken.as_slice() else { panic!("{:?}", answer.broken) };
    assert_eq!((&*row.table, &*row.column), ("mark", "grade"));

    let request = ListTutorScoresRequest { programme_id: programme_id(), as_of, ..Default::default() };
    let answer = service.client().list_tutor_scores(request).await.unwrap().into_inner();
    let others: Vec<_> = tutors.into_iter().filter(|score| score.person_id != "U1").collect();
    assert_eq!((answer.scores, answer.broken.len()), (others, 1));

    let request = ListCountyScoresRequest { programme_id: programme_id(), as_of, ..Default::default() };
    let answer = service.client().list_county_scores(request).await.unwrap().into_inner();
    let others: Vec<_> = counties.into_iter().filter(|score| score.county_code != HAIGANG).collect();
    assert_eq!(others.iter().filter(|score| score.county_code == SHANHAIGUAN).count(), 1);
    assert_eq!((answer.scores, answer.broken.len()), (others, 1));
}
