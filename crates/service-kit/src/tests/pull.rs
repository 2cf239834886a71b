//! PullEvents and GetFeedStatus over a real connection: the stream's events in single calls.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use shipei_contracts::event::v1::{
    Event, GetFeedStatusRequest, PullEventsRequest, PullEventsResponse, Start, SubscribeRequest,
    event_feed_client::EventFeedClient,
};
use tonic::{Code, Status, transport::Channel};

use super::notes::{NoteService as _, Notes, note_server, put_in, test_kit};
use crate::answer::status::reason_of;

fn from(cursor: &str) -> PullEventsRequest {
    PullEventsRequest { source: "notes".into(), cursor: cursor.to_owned(), ..Default::default() }
}

async fn pull(channel: Channel, request: PullEventsRequest) -> Result<PullEventsResponse, Status> {
    Ok(EventFeedClient::new(channel).pull_events(request).await?.into_inner())
}

async fn write(notes: &Arc<Notes>, counties: usize, each: usize) {
    for index in 0..each {
        for county in 0..counties {
            notes.put_note(put_in(&format!("1303{county:02}"), "", &format!("note {index}"))).await.unwrap();
        }
    }
}

fn ids(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| event.id.clone()).collect()
}

#[tokio::test]
async fn single_calls_give_what_a_stream_gives() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let server = note_server(&notes).await;
    write(&notes, 3, 20).await;
    let mut pulled = Vec::new();
    let mut cursor = String::new();
    let mut calls = 0;
    loop {
        let answer =
            pull(server.channel(), PullEventsRequest { max_events: 7, ..from(&cursor) }).await.unwrap();
        assert!(answer.events.len() <= 7);
        pulled.extend(ids(&answer.events));
        cursor = answer.cursor;
        calls += 1;
        if answer.caught_up {
            break;
        }
    }
    assert_eq!((pulled.len(), pulled.iter().collect::<BTreeSet<_>>().len()), (60, 60));
    assert!(calls >= 9, "{calls}");
    // A stream goes on with the same cursor.
    notes.put_note(put_in("130300", "", "one more")).await.unwrap();
    let request = SubscribeRequest { source: "notes".into(), cursor: cursor.clone(), ..Default::default() };
    let mut stream = EventFeedClient::new(server.channel()).subscribe(request).await.unwrap().into_inner();
    let streamed = stream.message().await.unwrap().unwrap();
    let answer = pull(server.channel(), from(&cursor)).await.unwrap();
    assert_eq!((ids(&answer.events), answer.events.len()), (ids(&streamed.events), 1));
    assert_eq!(answer.positions, streamed.positions);
}

#[tokio::test]
async fn call_waits_for_what_is_not_there_yet() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let server = note_server(&notes).await;
    write(&notes, 1, 1).await;
    let now =
        pull(server.channel(), PullEventsRequest { start: Start::Now.into(), ..from("") }).await.unwrap();
    assert!(now.events.is_empty() && now.caught_up);
    let wait = Some(prost_types::Duration { seconds: 30, nanos: 0 });
    let waiting = tokio::spawn(pull(server.channel(), PullEventsRequest { wait, ..from(&now.cursor) }));
    notes.put_note(put_in("130300", "", "awaited")).await.unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap().unwrap().unwrap();
    assert_eq!(answer.events.len(), 1);
    // A deadline that comes first ends the wait with an answer.
    let mut client = EventFeedClient::new(server.channel());
    let mut hurried = tonic::Request::new(PullEventsRequest { wait, ..from(&answer.cursor) });
    hurried.set_timeout(Duration::from_millis(700));
    assert!(client.pull_events(hurried).await.unwrap().into_inner().events.is_empty());
    for (request, field) in [
        (PullEventsRequest { max_events: 501, ..from("") }, "max_events"),
        (
            PullEventsRequest { wait: Some(prost_types::Duration { seconds: 31, nanos: 0 }), ..from("") },
            "wait",
        ),
    ] {
        let refused = pull(server.channel(), request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{field}");
    }
    let made_up = pull(server.channel(), from("made up")).await.unwrap_err();
    assert_eq!(reason_of(&made_up).as_deref(), Some("INVALID_CURSOR"));
}

#[tokio::test]
async fn log_begins_at_a_time_and_says_what_it_holds() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let server = note_server(&notes).await;
    let status = async || {
        let asked = GetFeedStatusRequest { source: "notes".into() };
        EventFeedClient::new(server.channel()).get_feed_status(asked).await.unwrap().into_inner()
    };
    let empty = status().await;
    assert_eq!((empty.events, empty.oldest_time, empty.partitions.len()), (0, None, 0));
    write(&notes, 2, 9).await;
    let all = pull(server.channel(), from("")).await.unwrap().events;
    let full = status().await;
    assert_eq!((full.events, full.partitions.len(), full.epoch), (18, 2, empty.epoch));
    let recorded = |event: &Event| event.recorded_time.map(|at| (at.seconds, at.nanos));
    assert_eq!(full.oldest_time.map(|at| (at.seconds, at.nanos)), all.iter().filter_map(recorded).min());
    assert_eq!(full.newest_time.map(|at| (at.seconds, at.nanos)), all.iter().filter_map(recorded).max());
    // Whatever time it begins at: what was recorded then or later comes, and nothing else.
    for begin in &all {
        let start_time = begin.recorded_time;
        let later =
            pull(server.channel(), PullEventsRequest { start_time, ..from("") }).await.unwrap().events;
        let expected = all.iter().filter(|event| recorded(event) >= recorded(begin));
        assert_eq!(
            ids(&later).into_iter().collect::<BTreeSet<_>>(),
            expected.map(|event| event.id.clone()).collect::<BTreeSet<_>>()
        );
    }
    let both = PullEventsRequest { start: Start::Now.into(), start_time: all[0].recorded_time, ..from("") };
    assert_eq!(pull(server.channel(), both).await.unwrap_err().code(), Code::InvalidArgument);
}
