//! Learning from another service's log.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::TimeDelta;
use shipei_contracts::event::v1::Event;
use shipei_store::{execute, sqlx};

use super::notes::{
    ListNotesRequest, NoteDropped, NotePut, NoteService as _, Notes, counts, note_server, put_in, test_kit,
    test_kit_of, test_kit_on_postgres,
};
use crate::{
    Fact, Kit, Projector, Shutdown, Unit,
    answer::error::{Error, Result},
    call::consistency::TOKEN_HEADER,
    follow::{follow, follow_in_shards},
    serve::upkeep::{drop_months, prepare_months},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// Copies notes; plain inserts, so that an event applied twice would be seen.
struct Copy {
    types: Vec<String>,
    failures: Arc<AtomicUsize>,
}

impl Copy {
    fn new() -> Self {
        Self { types: vec!["fake.v1.NotePut".into()], failures: Arc::default() }
    }
}

#[tonic::async_trait]
impl Projector for Copy {
    fn source(&self) -> &'static str {
        "notes"
    }

    fn version(&self) -> u32 {
        u32::try_from(self.types.len()).unwrap()
    }

    fn types(&self) -> Vec<String> {
        self.types.clone()
    }

    async fn apply(&self, unit: &mut Unit, events: &[Event]) -> Result<()> {
        for event in events {
            let fact = Fact::of(event)?;
            let (note, occurred_at) = (fact.message::<NotePut>()?, fact.at);
            let county = &event.region_code;
            execute!(unit.tx, "INSERT INTO note (county, text) VALUES ($1, $2)", county, &note.text)?;
            unit.emit_caused(
                county,
                &event.subject,
                &event.id,
                occurred_at,
                &NoteDropped { text: note.text },
            );
        }
        let left = self.failures.load(Ordering::SeqCst);
        if left > 0 {
            self.failures.store(left - 1, Ordering::SeqCst);
            let error = if left == 2 { sqlx::Error::WorkerCrashed } else { sqlx::Error::RowNotFound };
            return Err(Error::Store(error.into()));
        }
        Ok(())
    }
}

/// Waits until a kit knows as much of the notes as they have.
async fn caught_up(follower: &Kit, notes: &Kit) {
    let mut tx = notes.database().begin_read().await.unwrap();
    let heads = shipei_store::event_log::heads(&mut tx).await.unwrap();
    tx.rollback().await.unwrap();
    let token = crate::Token::of("notes", &heads);
    follower.applied().wait_for(&token, None).await.unwrap();
}

#[tokio::test]
async fn reader_with_token_sees_the_write_through_the_follower() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let server = note_server(&notes).await;
    let copies = test_kit_of("copies").await;
    let copy = Notes::new(&copies.kit);
    let shutdown = Shutdown::new();
    follow(&copies.kit, server.channel(), Copy::new(), &shutdown);
    for index in 0..20 {
        let written = notes.put_note(put_in("130302", "", &format!("note {index:02}"))).await.unwrap();
        let mut request =
            tonic::Request::new(ListNotesRequest { county_code: "130302".into(), ..Default::default() });
        let token = written.metadata().get(TOKEN_HEADER).unwrap().clone();
        request.metadata_mut().insert(TOKEN_HEADER, token);
        let texts = copy.list_notes(request).await.unwrap().into_inner().texts;
        assert_eq!(texts.last(), Some(&format!("note {index:02}")));
    }
    assert_eq!(counts(&copies.kit).await, (20, 20));
    assert!(shutdown.finish().await);

    // Another life of the follower goes on where the first one ended.
    notes.put_note(put_in("130302", "", "later")).await.unwrap();
    let shutdown = Shutdown::new();
    follow(&copies.kit, server.channel(), Copy::new(), &shutdown);
    caught_up(&copies.kit, &test.kit).await;
    assert_eq!(counts(&copies.kit).await, (21, 21));
    shutdown.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_apply_every_event_once() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let server = note_server(&notes).await;
    let copies = test_kit_of("copies").await;
    let twin = copies.twin().await;
    let shutdown = Shutdown::new();
    follow(&copies.kit, server.channel(), Copy::new(), &shutdown);
    follow(&twin, server.channel(), Copy::new(), &shutdown);
    for index in 0..60 {
        notes.put_note(put_in(&format!("1303{:02}", index % 3), "", "note")).await.unwrap();
    }
    caught_up(&copies.kit, &test.kit).await;
    caught_up(&twin, &test.kit).await;
    assert_eq!(counts(&copies.kit).await, (60, 60));
    shutdown.finish().await;
}

#[tokio::test]
async fn failed_application_is_rolled_back_and_tried_again() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let server = note_server(&notes).await;
    let copies = test_kit_of("copies").await;
    notes.put_note(put_in("130302", "", "note")).await.unwrap();
    let shutdown = Shutdown::new();
    let copy = Copy::new();
    let failures = copy.failures.clone();
    failures.store(2, Ordering::SeqCst);
    follow(&copies.kit, server.channel(), copy, &shutdown);
    caught_up(&copies.kit, &test.kit).await;
    assert_eq!(failures.load(Ordering::SeqCst), 0);
    assert_eq!(counts(&copies.kit).await, (1, 1));
    shutdown.finish().await;
}

#[tokio::test]
async fn follower_outlives_its_server() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let server = note_server(&notes).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = server.server.serve_tcp(listener).unwrap();
    let copies = test_kit_of("copies").await;
    let shutdown = Shutdown::new();
    let channel = crate::connect_lazily(&format!("http://{address}")).unwrap();
    follow(&copies.kit, channel, Copy::new(), &shutdown);
    notes.put_note(put_in("130302", "", "before")).await.unwrap();
    caught_up(&copies.kit, &test.kit).await;
    server.shutdown.kill();
    server.shutdown.finish().await;
    notes.put_note(put_in("130302", "", "between")).await.unwrap();
    let server = note_server(&notes).await;
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    server.server.serve_tcp(listener).unwrap();
    caught_up(&copies.kit, &test.kit).await;
    assert_eq!(counts(&copies.kit).await, (2, 2));
    shutdown.finish().await;
}

#[tokio::test]
async fn changed_version_starts_over_and_changed_epoch_ends() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let server = note_server(&notes).await;
    let copies = test_kit_of("copies").await;
    notes.put_note(put_in("130302", "", "note")).await.unwrap();
    let shutdown = Shutdown::new();
    follow(&copies.kit, server.channel(), Copy::new(), &shutdown);
    caught_up(&copies.kit, &test.kit).await;
    shutdown.finish().await;
    assert_eq!(counts(&copies.kit).await.0, 1);

    let shutdown = Shutdown::new();
    let copy = Copy { types: vec!["fake.v1.NotePut".into(), "fake.v1.More".into()], ..Copy::new() };
    follow(&copies.kit, server.channel(), copy, &shutdown);
    notes.put_note(put_in("130302", "", "another")).await.unwrap();
    caught_up(&copies.kit, &test.kit).await;
    shutdown.finish().await;
    assert_eq!(counts(&copies.kit).await.0, 3);

    let mut tx = test.kit.database().begin_write().await.unwrap();
    execute!(tx, "UPDATE log_epoch SET epoch = $1", "another life").unwrap();
    tx.commit().await.unwrap();
    let shutdown = Shutdown::new();
    let copy = Copy { types: vec!["fake.v1.NotePut".into(), "fake.v1.More".into()], ..Copy::new() };
    follow(&copies.kit, server.channel(), copy, &shutdown);
    notes.put_note(put_in("130302", "", "of the other life")).await.unwrap();
    // It goes on asking, and learns nothing until somebody has cleared what it knew of the old life.
    let mut heads = shipei_store::Positions::new();
    heads.set(shipei_store::Partition::of("130302"), 3);
    let patience = Some(tokio::time::Instant::now() + Duration::from_millis(300));
    let waited = copies.kit.applied().wait_for(&crate::Token::of("notes", &heads), patience).await;
    assert!(matches!(waited, Err(Error::NotCaughtUp { number: 3, .. })));
    assert_eq!(counts(&copies.kit).await.0, 3);
    let mut tx = copies.kit.database().begin_write().await.unwrap();
    execute!(tx, "DELETE FROM consumer_cursor").unwrap();
    execute!(tx, "DELETE FROM note").unwrap();
    tx.commit().await.unwrap();
    caught_up(&copies.kit, &test.kit).await;
    assert_eq!(counts(&copies.kit).await.0, 3);
    shutdown.finish().await;
}

/// What is learned from a part of a log would be wrong: who stands before the first event that is kept learns nothing.
#[tokio::test]
async fn follower_does_not_begin_in_the_middle_of_a_log() {
    let test = test_kit_on_postgres("notes").await;
    let notes = Notes::new(&test.kit);
    let server = note_server(&notes).await;
    prepare_months(&test.kit).await;
    notes.put_note(put_in("130302", "", "dropped")).await.unwrap();
    test.clock.advance(TimeDelta::days(400));
    prepare_months(&test.kit).await;
    notes.put_note(put_in("130302", "", "kept")).await.unwrap();
    drop_months(&test.kit, Duration::from_secs(300 * 86_400)).await;
    let copies = test_kit_of("copies").await;
    let shutdown = Shutdown::new();
    follow(&copies.kit, server.channel(), Copy::new(), &shutdown);
    let mut heads = shipei_store::Positions::new();
    heads.set(shipei_store::Partition::of("130302"), 2);
    let patience = Some(tokio::time::Instant::now() + Duration::from_millis(300));
    let waited = copies.kit.applied().wait_for(&crate::Token::of("notes", &heads), patience).await;
    assert!(matches!(waited, Err(Error::NotCaughtUp { number: 2, .. })));
    assert_eq!(counts(&copies.kit).await.0, 0);
    shutdown.finish().await;
}

/// Two instances share a log on Postgres: each has a part, and each sees what the other learned.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_share_a_log_and_take_over() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let server = note_server(&notes).await;
    let copies = test_kit_on_postgres("copies").await;
    let twin = copies.twin().await;
    let (first, second) = (Shutdown::new(), Shutdown::new());
    follow_in_shards(&copies.kit, server.channel(), Copy::new(), &first, 4);
    follow_in_shards(&twin, server.channel(), Copy::new(), &second, 4);
    let mut written = 0;
    let mut put = async |notes: &Arc<Notes>| {
        for index in 0..30 {
            notes.put_note(put_in(&format!("1303{index:02}"), "", "note")).await.unwrap();
        }
        written += 30;
        written
    };
    let count = put(&notes).await;
    caught_up(&copies.kit, &test.kit).await;
    caught_up(&twin, &test.kit).await;
    assert_eq!(counts(&copies.kit).await, (count, count));
    let share = |instance: &Kit| {
        let (database, name) = (instance.database().clone(), instance.instance().process().to_owned());
        async move {
            let mut tx = database.begin_read().await.unwrap();
            let holders = shipei_store::lease::holders(&mut tx).await.unwrap();
            holders.into_iter().filter(|(_, holder)| *holder == name).count()
        }
    };
    // Each has its half, soon.
    let shared = async { while (share(&copies.kit).await, share(&twin).await) != (2, 2) {} };
    tokio::time::timeout(PATIENCE, shared).await.unwrap();
    let count = put(&notes).await;
    caught_up(&copies.kit, &test.kit).await;
    caught_up(&twin, &test.kit).await;
    assert_eq!(counts(&copies.kit).await, (count, count));
    // One dies without a word: the other one takes over when the leases have expired.
    first.kill();
    first.finish().await;
    let count = put(&notes).await;
    caught_up(&twin, &test.kit).await;
    assert_eq!(counts(&twin).await, (count, count));
    second.finish().await;
}

#[tokio::test]
async fn unwanted_events_are_known_to_instances_that_do_not_follow() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let server = note_server(&notes).await;
    let copies = test_kit_on_postgres("copies").await;
    let twin = copies.twin().await;
    let shutdown = Shutdown::new();
    let copy = || Copy { types: vec!["fake.v1.Unheard".into()], ..Copy::new() };
    follow(&copies.kit, server.channel(), copy(), &shutdown);
    follow(&twin, server.channel(), copy(), &shutdown);
    for _ in 0..3 {
        notes.put_note(put_in("130302", "", "unwanted")).await.unwrap();
        caught_up(&copies.kit, &test.kit).await;
        caught_up(&twin, &test.kit).await;
    }
    assert_eq!(counts(&twin).await, (0, 0));
    shutdown.finish().await;
}
