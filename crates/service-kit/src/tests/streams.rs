//! Subscribe and GetHead over a real connection.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use chrono::TimeDelta;
use prost::Name as _;
use shipei_contracts::event::v1::{
    Accessed, AuditKind, Event, GetHeadRequest, ListAuditRequest, PullEventsRequest, Start, SubscribeRequest,
    SubscribeResponse, audit_service_client::AuditServiceClient, event_feed_client::EventFeedClient,
};
use shipei_store::{
    execute,
    tree::{self, Lying},
};
use tokio::task::JoinSet;
use tonic::{Code, Status, Streaming, transport::Channel};

use super::notes::{
    NotePut, NoteService as _, Notes, counts, note_server, put_in, test_kit, test_kit_on_postgres,
};
use crate::{
    Fact, Kit,
    answer::status::reason_of,
    call::consistency::{Token, from_proto, to_proto},
    serve::upkeep::{drop_months, prepare_months},
};

/// No stream of these tests may need longer.
const PATIENCE: Duration = Duration::from_secs(60);

fn from(cursor: &str) -> SubscribeRequest {
    SubscribeRequest { source: "notes".into(), cursor: cursor.to_owned(), ..Default::default() }
}

async fn subscribe(
    channel: Channel,
    request: SubscribeRequest,
) -> Result<Streaming<SubscribeResponse>, Status> {
    Ok(EventFeedClient::new(channel).subscribe(request).await?.into_inner())
}

async fn next(stream: &mut Streaming<SubscribeResponse>) -> SubscribeResponse {
    tokio::time::timeout(PATIENCE, stream.message()).await.unwrap().unwrap().unwrap()
}

/// Reads until `count` events have come; gives them and the last cursor.
async fn read(stream: &mut Streaming<SubscribeResponse>, count: usize) -> (Vec<Event>, String) {
    let mut events = Vec::new();
    loop {
        let response = next(stream).await;
        events.extend(response.events);
        assert!(events.len() <= count, "more events than were written");
        if events.len() == count {
            return (events, response.cursor);
        }
    }
}

fn assert_dense(events: &[Event]) {
    let mut last: BTreeMap<u32, i64> = BTreeMap::new();
    for event in events {
        let last = last.entry(event.partition).or_default();
        assert_eq!(event.number, *last + 1, "partition {}", event.partition);
        *last = event.number;
    }
}

async fn write_many(notes: &Arc<Notes>, counties: usize, each: usize) {
    for index in 0..each {
        for county in 0..counties {
            let county = format!("1303{county:02}");
            notes.put_note(put_in(&county, "", &format!("note {index}"))).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stream_has_no_gaps_under_concurrent_writers_and_on_both_transports() {
    const WRITERS: usize = 8;
    const EACH: usize = 40;
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    // Another process's writes don't wake this one's streams.
    let stranger = Notes::new(&test.twin().await);
    let server = note_server(&notes).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = server.server.serve_tcp(listener).unwrap();
    let tcp = crate::connect_lazily(&format!("http://{address}")).unwrap();

    let mut readers = JoinSet::new();
    for channel in [server.channel(), tcp.clone(), server.channel(), tcp] {
        readers.spawn(async move {
            let mut stream = subscribe(channel, from("")).await.unwrap();
            read(&mut stream, WRITERS * EACH).await.0
        });
    }
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let notes = if writer % 4 == 3 { stranger.clone() } else { notes.clone() };
        writers.spawn(async move {
            for index in 0..EACH {
                let county = format!("1303{:02}", (writer + index) % 5);
                notes.put_note(put_in(&county, &format!("R{writer}-{index}"), "hello")).await.unwrap();
            }
        });
    }
    writers.join_all().await;
    for events in readers.join_all().await {
        assert_dense(&events);
    }
    assert!(server.shutdown.finish().await);
}

#[tokio::test]
async fn cursor_resumes_exactly_after_what_was_sent() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let server = note_server(&notes).await;
    write_many(&notes, 4, 150).await;
    let mut stream = subscribe(server.channel(), from("")).await.unwrap();
    let first = next(&mut stream).await;
    // Who has taken nothing yet gets a little, and who reads gets more at a time.
    let (few, all) = (first.events.len(), 600);
    assert!(few > 0 && few < 200, "{few}");
    drop(stream);
    let mut stream = subscribe(server.channel(), from(&first.cursor)).await.unwrap();
    let (rest, cursor) = read(&mut stream, all - few).await;
    assert_dense(&[first.events, rest].concat());
    // Caught up for the first time: said at once.
    let caught_up = next(&mut stream).await;
    assert!(caught_up.events.is_empty());
    drop(stream);
    let mut stream = subscribe(server.channel(), from(&cursor)).await.unwrap();
    assert!(next(&mut stream).await.events.is_empty());
    notes.put_note(put_in("130301", "", "one more")).await.unwrap();
    let (events, _) = read(&mut stream, 1).await;
    let note: NotePut = Fact::of(&events[0]).unwrap().message().unwrap();
    assert_eq!(note.text, "one more");
    assert_eq!(events[0].r#type, NotePut::full_name());
    assert_eq!((events[0].spec_version.as_str(), events[0].source.as_str()), ("1.0", "notes"));
    assert_eq!(events[0].id, format!("{}-{}", events[0].partition, events[0].number));
}

#[tokio::test]
async fn filtered_events_move_the_cursor() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let server = note_server(&notes).await;
    write_many(&notes, 3, 10).await;
    let wanted = SubscribeRequest { types: vec!["fake.v1.NoteDropped".into()], ..from("") };
    let mut stream = subscribe(server.channel(), wanted.clone()).await.unwrap();
    let response = next(&mut stream).await;
    assert!(response.events.is_empty());
    let mut client = EventFeedClient::new(server.channel());
    let head = client.get_head(GetHeadRequest { source: "notes".into() }).await.unwrap().into_inner();
    assert_eq!(response.positions, head.positions);
    let token = Token::decode(head.consistency_token.as_bytes()).unwrap();
    assert_eq!(to_proto("notes", &token.positions("notes")), head.positions);
    // A filtered event is told of at once, not after the progress interval.
    notes.put_note(put_in("130300", "", "unwanted")).await.unwrap();
    let moved = next(&mut stream).await;
    assert!(moved.events.is_empty());
    assert!(from_proto("notes", &moved.positions) != from_proto("notes", &response.positions));
    let mut stream =
        subscribe(server.channel(), SubscribeRequest { cursor: moved.cursor, ..wanted }).await.unwrap();
    assert_eq!(next(&mut stream).await.positions, moved.positions);
}

/// Puts a region into the tree of the notes.
async fn lies_in(kit: &Kit, code: &str, above: &[&str]) {
    let mut tx = kit.database().begin_write().await.unwrap();
    let above = above.iter().map(|code| (*code).to_owned());
    tree::put(&mut tx, "P", code, &[Lying::under(None, above)]).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn region_and_partition_filters_choose_events() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let server = note_server(&notes).await;
    // 130629 lies in 133100 by the tree and in 130600 by its digits.
    for (code, above) in [
        ("130000", vec![]),
        ("130300", vec!["130000"]),
        ("130600", vec!["130000"]),
        ("133100", vec!["130000"]),
        ("130302", vec!["130300", "130000"]),
        ("130303", vec!["130300", "130000"]),
        ("130629", vec!["133100", "130000"]),
    ] {
        lies_in(&test.kit, code, &above).await;
    }
    for county in ["130302", "130303", "130629"] {
        notes.put_note(put_in(county, "", county)).await.unwrap();
    }
    for (codes, expected) in [
        (vec!["130302"], vec!["130302"]),
        (vec!["130300"], vec!["130302", "130303"]),
        (vec!["130300", "133100"], vec!["130302", "130303", "130629"]),
        (vec!["133100"], vec!["130629"]),
        (vec!["130600"], vec![]),
        (vec!["130000"], vec!["130302", "130303", "130629"]),
    ] {
        let region_codes = codes.iter().map(|code| (*code).to_owned()).collect();
        let mut stream =
            subscribe(server.channel(), SubscribeRequest { region_codes, ..from("") }).await.unwrap();
        let (events, _) = read(&mut stream, expected.len()).await;
        let found: BTreeSet<&str> = events.iter().map(|event| event.region_code.as_str()).collect();
        assert_eq!(found.into_iter().collect::<Vec<_>>(), expected, "{codes:?}");
        assert!(expected.is_empty() || next(&mut stream).await.events.is_empty());
    }
    // Somewhere that no programme has is a mistake, not a silent stream.
    let region_codes = vec!["130302".to_owned(), "139999".to_owned()];
    let refused = subscribe(server.channel(), SubscribeRequest { region_codes, ..from("") }).await;
    let status = refused.unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    assert!(format!("{status:?}").contains("region_codes[1]"), "{status:?}");
    // A county that joins while a stream runs is heard by it.
    let region_codes = vec!["133100".to_owned()];
    let mut stream =
        subscribe(server.channel(), SubscribeRequest { region_codes, ..from("") }).await.unwrap();
    read(&mut stream, 1).await;
    lies_in(&test.kit, "130632", &["133100", "130000"]).await;
    notes.put_note(put_in("130632", "", "joined")).await.unwrap();
    let (events, _) = read(&mut stream, 1).await;
    assert_eq!(events[0].region_code, "130632");
    notes.put_note(put_in("130402", "", "elsewhere")).await.unwrap();
    let partition = u32::try_from(shipei_store::Partition::of("130402").index()).unwrap();
    let request = SubscribeRequest { partitions: vec![partition], ..from("") };
    let mut stream = subscribe(server.channel(), request).await.unwrap();
    let response = next(&mut stream).await;
    assert!(response.events.iter().all(|event| event.partition == partition));
    assert!(response.positions.iter().all(|position| position.partition == partition));
}

#[tokio::test]
async fn foreign_cursor_is_refused() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let server = note_server(&notes).await;
    write_many(&notes, 2, 2).await;
    let mut stream = subscribe(server.channel(), from("")).await.unwrap();
    let (_, cursor) = read(&mut stream, 4).await;

    let mut tampered = cursor.clone().into_bytes();
    tampered[3] = if tampered[3] == b'A' { b'B' } else { b'A' };
    let tampered = String::from_utf8(tampered).unwrap();
    let other_types = SubscribeRequest { types: vec!["fake.v1.NotePut".into()], ..from(&cursor) };
    let other_partitions = SubscribeRequest { partitions: vec![1], ..from(&cursor) };
    for (request, reason) in [
        (from(&tampered), "INVALID_CURSOR"),
        (from("nonsense"), "INVALID_CURSOR"),
        (other_types, "CURSOR_FILTER_MISMATCH"),
        (other_partitions, "CURSOR_FILTER_MISMATCH"),
    ] {
        let status = subscribe(server.channel(), request).await.unwrap_err();
        assert_eq!(reason_of(&status).as_deref(), Some(reason));
    }
    let unknown = SubscribeRequest { source: "nothing".into(), ..from("") };
    let status = subscribe(server.channel(), unknown).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    // A load balancer that was told of the log has sent this to the wrong instance: another try may reach the right one.
    let mut misdelivered = tonic::Request::new(SubscribeRequest { source: "nothing".into(), ..from("") });
    misdelivered.metadata_mut().insert("shipei-source", "nothing".parse().unwrap());
    let status = EventFeedClient::new(server.channel()).subscribe(misdelivered).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);

    let mut tx = test.kit.database().begin_write().await.unwrap();
    execute!(tx, "UPDATE log_epoch SET epoch = $1", "another life").unwrap();
    tx.commit().await.unwrap();
    let status = subscribe(server.channel(), from(&cursor)).await.unwrap_err();
    assert_eq!(reason_of(&status).as_deref(), Some("EPOCH_CHANGED"));
    assert_eq!(status.code(), Code::OutOfRange);
}

#[tokio::test]
async fn slow_consumers_hold_nobody() {
    const SLOW: usize = 6;
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let server = note_server(&notes).await;
    // More than all buffers between server and consumer hold: 40 x 200 kB for each stream.
    let text = "长".repeat(70_000);
    for index in 0..40 {
        notes.put_note(put_in(&format!("1303{:02}", index % 4), "", &text)).await.unwrap();
    }
    let shared = server.channel();
    let mut slow = Vec::new();
    for _ in 0..SLOW {
        slow.push(subscribe(shared.clone(), from("")).await.unwrap());
    }
    // On the same connection as the slow ones.
    let mut quick = subscribe(shared, from("")).await.unwrap();
    assert_dense(&read(&mut quick, 40).await.0);
    notes.put_note(put_in("130300", "", "still alive")).await.unwrap();
    assert_eq!(read(&mut quick, 1).await.0.len(), 1);
    for stream in &mut slow {
        assert_dense(&read(stream, 41).await.0);
    }
}

#[tokio::test]
async fn stream_from_now_on_shows_only_what_is_written_later() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    write_many(&notes, 3, 2).await;
    let server = note_server(&notes).await;
    let now = SubscribeRequest { start: Start::Now.into(), ..from("") };
    let mut stream = subscribe(server.channel(), now.clone()).await.unwrap();
    let first = next(&mut stream).await;
    assert!(first.events.is_empty() && !first.cursor.is_empty() && first.positions.len() == 3);
    notes.put_note(put_in("130300", "", "the present")).await.unwrap();
    let (events, _) = read(&mut stream, 1).await;
    assert_eq!(events[0].number, 3);
    // The cursor of the first answer stands where the log ended then.
    let mut resumed = subscribe(server.channel(), from(&first.cursor)).await.unwrap();
    assert_eq!(read(&mut resumed, 1).await.0[0].id, events[0].id);
    let both = SubscribeRequest { cursor: first.cursor, ..now };
    let refused = subscribe(server.channel(), both).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn stream_of_a_source_that_there_is_not_is_refused_with_those_that_there_are() {
    let test = test_kit().await;
    let server = note_server(&Notes::new(&test.kit)).await;
    let elsewhere = SubscribeRequest { source: "nots".into(), ..from("") };
    let refused = subscribe(server.channel(), elsewhere).await.unwrap_err();
    assert_eq!((refused.code(), reason_of(&refused).as_deref()), (Code::NotFound, Some("NOT_FOUND")));
    assert!(refused.message().contains("notes"), "{refused:?}");
}

#[tokio::test]
async fn stream_ends_at_shutdown() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let server = note_server(&notes).await;
    let mut stream = subscribe(server.channel(), from("")).await.unwrap();
    next(&mut stream).await;
    server.shutdown.begin();
    let end = tokio::time::timeout(PATIENCE, stream.message()).await.unwrap();
    let end = end.unwrap_err();
    assert_eq!((end.code(), reason_of(&end).as_deref()), (Code::Unavailable, Some("STREAM_ENDED")));
    drop(stream);
    assert!(server.shutdown.finish().await);
}

/// What a restore does to a log: its end is cut off, and something else is written there.
#[tokio::test]
async fn cursor_from_after_the_back_up_is_refused_and_one_from_before_goes_on() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let server = note_server(&notes).await;
    write_many(&notes, 1, 3).await;
    let mut stream = subscribe(server.channel(), from("")).await.unwrap();
    let (_, before) = read(&mut stream, 3).await;
    let unwanted = SubscribeRequest { types: vec!["fake.v1.Unheard".into()], ..from("") };
    let mut filtered = subscribe(server.channel(), unwanted.clone()).await.unwrap();
    let filtered_before = next(&mut filtered).await.cursor;
    write_many(&notes, 1, 2).await;
    let after = read(&mut stream, 2).await.1;
    let filtered_after = next(&mut filtered).await.cursor;

    let mut tx = test.kit.database().begin_write().await.unwrap();
    execute!(tx, "DELETE FROM event WHERE number > 3").unwrap();
    execute!(tx, "UPDATE event_head SET position = 3 WHERE position > 3").unwrap();
    tx.commit().await.unwrap();
    let lost = |outcome: Result<(), Status>| match outcome {
        Ok(_) => panic!("the cursor was taken"),
        Err(status) => assert_eq!(reason_of(&status).as_deref(), Some("EPOCH_CHANGED")),
    };
    lost(subscribe(server.channel(), from(&after)).await.map(drop));
    // A stream that was open all the while has read what is no more.
    let rest = async {
        while stream.message().await?.is_some() {}
        Ok(())
    };
    lost(tokio::time::timeout(PATIENCE, rest).await.unwrap());
    // The time is another one, as it is after a restore.
    test.clock.advance(chrono::TimeDelta::minutes(1));
    write_many(&notes, 1, 4).await;
    lost(subscribe(server.channel(), from(&after)).await.map(drop));
    let filtered = SubscribeRequest { cursor: filtered_after, ..unwanted.clone() };
    lost(subscribe(server.channel(), filtered).await.map(drop));
    let mut stream = subscribe(server.channel(), from(&before)).await.unwrap();
    assert_eq!(read(&mut stream, 4).await.0[0].number, 4);
    let again = SubscribeRequest { cursor: filtered_before, ..unwanted };
    subscribe(server.channel(), again).await.unwrap();
}

/// Only Postgres has months. A reader that stands at the last event that was dropped goes on; who would miss one is told so.
#[tokio::test]
async fn who_would_miss_what_was_dropped_is_told() {
    let test = test_kit_on_postgres("notes").await;
    let notes = Notes::new(&test.kit);
    let server = note_server(&notes).await;
    let write = async |text: &str| {
        prepare_months(&test.kit).await;
        notes.put_note(put_in("130300", "", text)).await.unwrap();
    };
    let note_access = async || {
        let noting = test.kit.write_by_itself("look", |mut unit| async move {
            unit.audit("P1", "130300", Accessed { kind: AuditKind::Unmasked.into(), ..Accessed::default() });
            Ok((unit, ()))
        });
        noting.await.unwrap();
    };
    write("one").await;
    write("two").await;
    note_access().await;
    let mut stream = subscribe(server.channel(), from("")).await.unwrap();
    let (_, behind_two) = read(&mut stream, 2).await;
    let first = PullEventsRequest { source: "notes".into(), max_events: 1, ..Default::default() };
    let behind_one =
        EventFeedClient::new(server.channel()).pull_events(first).await.unwrap().into_inner().cursor;
    test.clock.advance(TimeDelta::days(400));
    write("three").await;
    // It ended less long ago than is kept; then longer.
    drop_months(&test.kit, Duration::from_secs(500 * 86_400)).await;
    assert_eq!(counts(&test.kit).await.1, 4);
    drop_months(&test.kit, Duration::from_secs(300 * 86_400)).await;
    assert_eq!(counts(&test.kit).await.1, 1);

    for begun in [from(&behind_two), from("")] {
        let (events, _) = read(&mut subscribe(server.channel(), begun).await.unwrap(), 1).await;
        assert_eq!(events[0].number, 3);
    }
    for begun in [from(&behind_one), SubscribeRequest { start: Start::First.into(), ..from("") }] {
        let status = subscribe(server.channel(), begun).await.unwrap_err();
        assert_eq!(reason_of(&status).as_deref(), Some("CURSOR_COMPACTED"), "{status:?}");
        assert!(status.message().contains("those of"), "{status:?}");
    }
    // Who looked is listed from what is kept on.
    note_access().await;
    let looks = ListAuditRequest { source: "notes".into(), programme_id: "P1".into(), ..Default::default() };
    let listed = AuditServiceClient::new(server.channel()).list_audit(looks).await.unwrap().into_inner();
    assert_eq!(listed.entries.iter().map(|entry| entry.number).collect::<Vec<_>>(), [2]);
    // The next month begins where this one was dropped.
    write("four").await;
    let (events, _) = read(&mut subscribe(server.channel(), from("")).await.unwrap(), 2).await;
    assert_eq!(events.iter().map(|event| event.number).collect::<Vec<_>>(), [3, 4]);
}
