//! The path of a write and of a read.

use std::{collections::BTreeSet, sync::atomic::Ordering};

use prost_types::Timestamp;
use shipei_store::{Partition, event_log, idempotency};
use tonic::Code;

use super::notes::{
    COUNTY, ListNotesRequest, ListNotesResponse, NoteService as _, Notes, counts, put, put_in, test_kit,
};
use crate::{
    answer::status::{reason_of, retry_after},
    call::consistency::{TOKEN_HEADER, Token},
    identity::caller::CALLER_HEADER,
};

fn token<T>(response: &tonic::Response<T>) -> Token {
    let value = response.metadata().get(TOKEN_HEADER).expect("the answer has a token");
    Token::decode(value.as_encoded_bytes()).unwrap()
}

#[tokio::test]
async fn write_keeps_state_and_event_and_answers_with_token() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let mut request = put("R1", "hello");
    request.get_mut().occurred_at = Some(Timestamp { seconds: 5, nanos: 7_999 });
    request.metadata_mut().insert(CALLER_HEADER, "county_counselor:K1@130302".parse().unwrap());
    let response = notes.put_note(request).await.unwrap();
    let partition = Partition::of(COUNTY);
    let mut expected = shipei_store::Positions::new();
    expected.set(partition, 1);
    assert_eq!(token(&response), Token::of("notes", &expected));
    assert_eq!(counts(&test.kit).await, (1, 1));

    let mut tx = test.kit.database().begin_read().await.unwrap();
    let batch = event_log::read_after(&mut tx, partition, 0, 10, &[], &[]).await.unwrap();
    let event = &batch.events[0];
    assert_eq!(
        (event.kind.as_str(), event.actor.as_str()),
        ("fake.v1.NotePut", "county_counselor:K1@130302")
    );
    assert_eq!((event.cause.as_str(), event.region.as_str()), ("R1", COUNTY));
    assert_eq!(event.occurred_at.timestamp_subsec_nanos(), 7_000);
    assert_eq!(event.recorded_at, test.clock.now());
}

#[tokio::test]
async fn same_request_again_gets_the_same_answer_once_carried_out() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let first = notes.put_note(put("R1", "hello")).await.unwrap();
    let again = notes.put_note(put("R1", "hello")).await.unwrap();
    assert_eq!(again.get_ref(), first.get_ref());
    assert_eq!(token(&again), token(&first));
    assert_eq!(counts(&test.kit).await, (1, 1));
    let status = notes.put_note(put("R1", "other")).await.unwrap_err();
    assert_eq!(status.code(), Code::AlreadyExists);
    assert_eq!(reason_of(&status).as_deref(), Some("REQUEST_ID_REUSED"));
    assert_eq!(counts(&test.kit).await, (1, 1));
}

#[tokio::test]
async fn record_of_an_answer_keeps_nothing_that_its_request_says() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let text: String = ('\u{4e00}'..'\u{9e00}').collect();
    let first = notes.put_note(put("R1", &text)).await.unwrap();
    let mut tx = test.kit.database().begin_read().await.unwrap();
    let records = idempotency::find_all(&mut tx, &["R1"]).await.unwrap();
    tx.rollback().await.unwrap();
    assert!(records[0].outcome.len() < 40, "{} bytes of {}", records[0].outcome.len(), text.len());
    let again = notes.put_note(put("R1", &text)).await.unwrap();
    assert_eq!((again.get_ref(), &again.get_ref().text), (first.get_ref(), &text));
}

#[tokio::test]
async fn write_without_request_id_is_carried_out_each_time() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    notes.put_note(put("", "hello")).await.unwrap();
    notes.put_note(put("", "hello")).await.unwrap();
    assert_eq!(counts(&test.kit).await, (2, 2));
}

#[tokio::test]
async fn refusal_is_the_answer_of_its_request_id_for_ever() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let status = notes.put_note(put("R1", "refuse")).await.unwrap_err();
    assert_eq!(reason_of(&status).as_deref(), Some("OUT_OF_ORDER"));
    assert_eq!(counts(&test.kit).await, (0, 0));
    notes.refusing.store(false, Ordering::SeqCst);
    let again = notes.put_note(put("R1", "refuse")).await.unwrap_err();
    assert_eq!(
        (again.code(), again.message(), again.details()),
        (status.code(), status.message(), status.details())
    );
    notes.put_note(put("R2", "refuse")).await.unwrap();
    let reused = notes.put_note(put("R1", "other")).await.unwrap_err();
    assert_eq!(reason_of(&reused).as_deref(), Some("REQUEST_ID_REUSED"));
}

#[tokio::test]
async fn failure_rolls_back_and_is_not_recorded() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let status = notes.put_note(put("R1", "fail")).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert!(!format!("{status:?}").contains("secret"));
    assert_eq!(counts(&test.kit).await, (0, 0));
    notes.put_note(put("R1", "hello")).await.unwrap();
}

#[tokio::test]
async fn write_of_unknown_outcome_is_repeated_only_when_it_can_be_told_from_another() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let status = notes.put_note(put("", "lost commit")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unknown);
    assert_eq!(reason_of(&status).as_deref(), Some("OUTCOME_UNKNOWN"));
    assert_eq!((retry_after(&status), notes.attempts.load(Ordering::SeqCst)), (None, 1));
    let status = notes.put_note(put("R1", "lost commit")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(retry_after(&status).is_some() && notes.attempts.load(Ordering::SeqCst) > 2);
    assert_eq!(counts(&test.kit).await, (0, 0));
}

#[tokio::test]
async fn busy_database_reruns_the_whole_handler() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    notes.put_note(put("R1", "busy once")).await.unwrap();
    assert_eq!(notes.attempts.load(Ordering::SeqCst), 2);
    assert_eq!(counts(&test.kit).await, (1, 1));
}

/// The handler's future must be Send: tonic spawns it.
#[tokio::test]
async fn concurrent_same_requests_are_carried_out_once() {
    let test = test_kit().await;
    let other = Notes::new(&test.twin().await);
    let notes = Notes::new(&test.kit);
    let mut calls = tokio::task::JoinSet::new();
    for index in 0..16 {
        let notes = if index % 2 == 0 { notes.clone() } else { other.clone() };
        calls.spawn(async move { notes.put_note(put("R1", "hello")).await });
    }
    for result in calls.join_all().await {
        assert_eq!(result.unwrap().get_ref().text, "hello");
    }
    assert_eq!(counts(&test.kit).await, (1, 1));
}

#[tokio::test]
async fn bad_fields_of_the_envelope_are_named() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let mut request = put("R1", "hello");
    request.get_mut().occurred_at = Some(Timestamp { seconds: 0, nanos: -1 });
    let status = notes.put_note(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let status = notes.put_note(put(&"R".repeat(129), "hello")).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(counts(&test.kit).await, (0, 0));
}

#[tokio::test]
async fn answer_token_holds_what_the_caller_brought() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let mut brought = Token::default();
    brought.raise("elsewhere", 3, 9);
    let mut request = put("R1", "hello");
    request.metadata_mut().insert(TOKEN_HEADER, brought.encode().parse().unwrap());
    let answered = token(&notes.put_note(request).await.unwrap());
    assert_eq!(answered.positions("elsewhere"), brought.positions("elsewhere"));
    assert!(!answered.positions("notes").is_empty());
}

#[tokio::test]
async fn call_waits_for_its_token_and_gives_up_before_its_deadline() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    test.kit.applied().register("elsewhere");
    let mut wanted = Token::default();
    wanted.raise("elsewhere", 3, 9);
    let request = |patience: &str| {
        let mut request = tonic::Request::new(ListNotesRequest::default());
        request.metadata_mut().insert(TOKEN_HEADER, wanted.encode().parse().unwrap());
        request.metadata_mut().insert("grpc-timeout", patience.parse().unwrap());
        request
    };
    let status = notes.list_notes(request("50m")).await.unwrap_err();
    assert_eq!(reason_of(&status).as_deref(), Some("NOT_CAUGHT_UP"));
    assert!(retry_after(&status).is_some());

    let waiting = tokio::spawn({
        let (notes, request) = (notes.clone(), request("10S"));
        async move { notes.list_notes(request).await }
    });
    let mut positions = shipei_store::Positions::new();
    positions.set(Partition::from_number(3).unwrap(), 9);
    test.kit.applied().publish("elsewhere", &positions);
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn pages_hold_every_row_once_and_their_tokens_are_bound() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    for index in 0..5 {
        notes.put_note(put("", &format!("note {index}"))).await.unwrap();
    }
    notes.put_note(put_in("130303", "", "elsewhere")).await.unwrap();
    let list = |county: &str, page_token: &str, page_size: i32| {
        let (county_code, page_token) = (county.to_owned(), page_token.to_owned());
        let request = tonic::Request::new(ListNotesRequest { county_code, page_size, page_token });
        notes.list_notes(request)
    };
    let mut seen = Vec::new();
    let mut page_token = String::new();
    let mut pages = 0;
    loop {
        let page: ListNotesResponse = list(COUNTY, &page_token, 2).await.unwrap().into_inner();
        seen.extend(page.texts);
        pages += 1;
        if page.next_page_token.is_empty() {
            break;
        }
        page_token = page.next_page_token;
    }
    assert_eq!((pages, seen.len()), (3, 5));
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 5);
    for (county, token, size) in [("130303", page_token.as_str(), 2), (COUNTY, "nonsense", 2)] {
        let status = list(county, token, size).await.unwrap_err();
        assert_eq!(reason_of(&status).as_deref(), Some("INVALID_PAGE_TOKEN"));
    }
    assert_eq!(list(COUNTY, "", -1).await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(list(COUNTY, "", 5000).await.unwrap().get_ref().texts.len(), 5);
    assert_eq!(list(COUNTY, "", 5).await.unwrap().get_ref().next_page_token, "");
}

#[tokio::test]
async fn what_is_only_validated_is_answered_and_not_kept() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let answer = notes.put_note(put("R1", "only looked at")).await.unwrap();
    assert_eq!(answer.get_ref().text, "only looked at");
    assert!(answer.metadata().get(TOKEN_HEADER).is_none());
    assert_eq!(counts(&test.kit).await, (0, 0));
    // Its request id is free: it was no request yet.
    notes.put_note(put("R1", "hello")).await.unwrap();
    assert_eq!(counts(&test.kit).await, (1, 1));
}
