//! What the kit does with the rights of a caller: before a handler runs, for what a token or an id of another caller would show,
//! and what stands in events.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use prost_types::Timestamp;
use shipei_contracts::common::v1::Role;
use shipei_store::{Partition, event_log, tree};
use tonic::{Code, Request};

use super::notes::{
    COUNTY, LIST_NOTES, ListNotesRequest, NoteService as _, Notes, PROGRAMME, PUT_NOTE, compile_notes,
    counts, put, put_in, test_kit,
};
use crate::{
    answer::status::reason_of,
    call::{access::Policies, metadata::Arrival},
    identity::{
        caller::Caller,
        claims::{Claims, Grant, Place},
    },
    testing::TestKit,
};

fn holder(subject: &str, role: Role, place: Place, import: bool) -> Caller {
    let grant = Grant { role, programme_id: None, place, import, unmasked: false };
    Caller::of_token(Arc::new(Claims {
        subject: subject.to_owned(),
        programmes: vec![PROGRAMME.to_owned()],
        grants: vec![grant],
        expires_at: DateTime::<Utc>::MAX_UTC,
        not_before: DateTime::<Utc>::MIN_UTC,
        key_id: String::new(),
    }))
}

fn counselor(subject: &str, region: &str) -> Caller {
    holder(subject, Role::CountyCounselor, Place::Region(region.to_owned()), false)
}

/// The request, as it comes from a caller through a server.
fn from<T>(caller: &Caller, method: &str, mut request: Request<T>) -> Request<T> {
    let policies = Policies::load_from(&compile_notes(), &["fake.v1.NoteService"]).unwrap();
    request.extensions_mut().insert(Arc::new(Arrival {
        method: method.to_owned(),
        caller: caller.clone(),
        address: None,
        deadline: None,
        trace: String::new(),
        policy: policies.of(method).cloned(),
    }));
    request
}

async fn refused(notes: &Notes, caller: &Caller, request: Request<super::notes::PutNoteRequest>) -> String {
    let status = notes.put_note(from(caller, PUT_NOTE, request)).await.unwrap_err();
    format!("{:?} {}", status.code(), reason_of(&status).unwrap_or_default())
}

async fn lies_in(test: &TestKit, region: &str, above: &str) {
    let mut tx = test.kit.database().begin_write().await.unwrap();
    let lying = [tree::Lying::under(None, [above.to_owned()])];
    tree::put(&mut tx, PROGRAMME, region, &lying).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn handler_does_not_run_for_who_has_no_right_to_what_is_named() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    lies_in(&test, COUNTY, "130300").await;
    let denied = "PermissionDenied NOT_PERMITTED";
    let elsewhere = counselor("K1", "130629");
    assert_eq!(refused(&notes, &elsewhere, put("R1", "hello")).await, denied);
    // A region that nobody has is as far away.
    assert_eq!(refused(&notes, &elsewhere, put_in("139999", "R2", "hello")).await, denied);
    let trainee = holder("T1", Role::Trainee, Place::Person, true);
    assert_eq!(refused(&notes, &trainee, put("R3", "hello")).await, denied);
    assert_eq!(refused(&notes, &Caller::anonymous(), put("R4", "hello")).await, denied);
    assert_eq!(refused(&notes, &Caller::service("assessment"), put("R5", "hello")).await, denied);
    assert_eq!(counts(&test.kit).await, (0, 0));
    // The county itself, and what lies above it by the tree.
    for (place, id) in [(COUNTY, "R6"), ("130300", "R7")] {
        notes.put_note(from(&counselor("K1", place), PUT_NOTE, put(id, "hello"))).await.unwrap();
    }
    assert_eq!(counts(&test.kit).await, (2, 2));
}

#[tokio::test]
async fn refused_once_is_carried_out_when_the_caller_has_the_right() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let caller = counselor("K1", "130300");
    assert_eq!(refused(&notes, &caller, put("R1", "hello")).await, "PermissionDenied NOT_PERMITTED");
    lies_in(&test, COUNTY, "130300").await;
    notes.put_note(from(&caller, PUT_NOTE, put("R1", "hello"))).await.unwrap();
    assert_eq!(counts(&test.kit).await, (1, 1));
}

#[tokio::test]
async fn event_says_by_which_grant_its_caller_was_let_in() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    notes.put_note(from(&counselor("K1", COUNTY), PUT_NOTE, put("R1", "hello"))).await.unwrap();
    let mut tx = test.kit.database().begin_read().await.unwrap();
    let batch = event_log::read_after(&mut tx, Partition::of(COUNTY), 0, 10, &[], &[]).await.unwrap();
    assert_eq!(batch.events[0].actor, "county_counselor:K1@130302");
}

#[tokio::test]
async fn time_is_stated_by_who_has_the_import_right() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let stated = |id: &str| {
        let mut request = put(id, "hello");
        request.get_mut().occurred_at = Some(Timestamp { seconds: 5, nanos: 0 });
        request
    };
    let reason = refused(&notes, &counselor("K1", COUNTY), stated("R1")).await;
    assert_eq!(reason, "PermissionDenied IMPORT_RIGHT_REQUIRED");
    let importer = holder("K1", Role::CountyCounselor, Place::Region(COUNTY.to_owned()), true);
    notes.put_note(from(&importer, PUT_NOTE, stated("R2"))).await.unwrap();
}

#[tokio::test]
async fn request_id_of_another_caller_is_not_answered_with_what_became_of_it() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let (one, other) = (counselor("K1", COUNTY), counselor("K2", COUNTY));
    let first = notes.put_note(from(&one, PUT_NOTE, put("R1", "hello"))).await.unwrap();
    let again = notes.put_note(from(&one, PUT_NOTE, put("R1", "hello"))).await.unwrap();
    assert_eq!(first.get_ref(), again.get_ref());
    assert_eq!(refused(&notes, &other, put("R1", "hello")).await, "AlreadyExists REQUEST_ID_REUSED");
    assert_eq!(counts(&test.kit).await, (1, 1));
}

#[tokio::test]
async fn page_token_is_its_callers_own() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    for text in ["a", "b", "c"] {
        notes.put_note(put("", text)).await.unwrap();
    }
    let one = holder("P1", Role::Province, Place::Whole, false);
    let other = holder("P2", Role::Province, Place::Whole, false);
    let page = |caller: &Caller, page_token: &str| {
        let request = ListNotesRequest {
            county_code: COUNTY.to_owned(),
            page_size: 2,
            page_token: page_token.to_owned(),
        };
        notes.list_notes(from(caller, LIST_NOTES, Request::new(request)))
    };
    let first = page(&one, "").await.unwrap().into_inner();
    assert_eq!(first.texts, ["a", "b"]);
    let next = page(&one, &first.next_page_token).await.unwrap().into_inner();
    assert_eq!((next.texts, next.next_page_token), (vec!["c".to_owned()], String::new()));
    let status = page(&other, &first.next_page_token).await.unwrap_err();
    assert_eq!(
        (status.code(), reason_of(&status).as_deref()),
        (Code::InvalidArgument, Some("INVALID_PAGE_TOKEN"))
    );
    // A token of an open server is none of anybody's.
    let open = notes.list_notes(Request::new(ListNotesRequest {
        county_code: COUNTY.to_owned(),
        page_size: 2,
        page_token: String::new(),
    }));
    let token = open.await.unwrap().into_inner().next_page_token;
    assert!(page(&one, &token).await.is_err());
}

/// The best of some rounds: a busy machine makes single ones longer.
async fn best<F: Future<Output = ()>>(times: u32, work: impl Fn() -> F) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..7 {
        let began = Instant::now();
        for _ in 0..times {
            work().await;
        }
        best = best.min(began.elapsed() / times);
    }
    best
}

/// What is asked of rights is little beside a read of one short statement, without the transport around it.
#[tokio::test]
async fn rights_cost_little_of_a_call() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let list = || Request::new(ListNotesRequest { county_code: COUNTY.to_owned(), ..Default::default() });
    let with_rights = from(&holder("P1", Role::Province, Place::Whole, false), LIST_NOTES, list());
    let (open, policy) = (from(&Caller::default(), LIST_NOTES, list()), with_rights.extensions().clone());
    let admit = |request: &Request<ListNotesRequest>| {
        let mut asked = list();
        *asked.extensions_mut() = request.extensions().clone();
        let kit = test.kit.clone();
        async move { drop(kit.admit(&asked).await.unwrap()) }
    };
    let without = best(500, || admit(&open)).await;
    let with = best(500, || admit(&with_rights)).await;
    let call = best(100, || {
        let mut asked = list();
        *asked.extensions_mut() = policy.clone();
        let notes = notes.clone();
        async move { drop(notes.list_notes(asked).await.unwrap()) }
    })
    .await;
    let rights = with.saturating_sub(without);
    println!("a read {call:?}, its admission {with:?}, of an open server {without:?}: rights {rights:?}");
    assert!(rights * 5 < call, "rights take {rights:?} of a read of {call:?}");
}
