//! Commands that share a transaction: one falls alone, and none is lost, twice, or in another's answer.

use std::{
    collections::BTreeSet,
    io,
    sync::{Arc, Mutex, atomic::Ordering},
    time::{Duration, Instant},
};

use futures::future::join_all;
use shipei_store::{Partition, StoredEvent, event_log, execute, fetch_all};
use tokio::task::JoinSet;
use tonic::Code;
use tracing::Instrument as _;

use super::notes::{
    COUNTY, NoteService as _, Notes, PROGRAMME, counts, put, put_in, test_kit, test_kit_on_postgres,
};
use crate::{answer::status::reason_of, telemetry::CALL_SPAN, testing::TestKit};

/// Commands that come at once.
const AT_ONCE: usize = 200;
/// Postgres looks for deadlocks after a second; the rest is for a busy machine.
const DEADLOCK_TIME_MAX: Duration = Duration::from_secs(5);

async fn databases() -> [TestKit; 2] {
    [test_kit().await, test_kit_on_postgres("notes").await]
}

/// Sends all of them at once; gives the answers by their texts.
async fn at_once(
    notes: &Arc<Notes>,
    texts: impl Iterator<Item = String>,
) -> Vec<(String, Result<String, String>)> {
    let mut calls = JoinSet::new();
    for (index, text) in texts.enumerate() {
        let notes = notes.clone();
        calls.spawn(async move {
            let request_id = if index % 3 == 0 { String::new() } else { format!("R{index}") };
            let answer = notes.put_note(put(&request_id, &text)).await;
            let answer = answer.map(|response| response.into_inner().text);
            (text, answer.map_err(|status| reason_of(&status).unwrap_or_default()))
        });
    }
    calls.join_all().await
}

async fn events(test: &TestKit) -> Vec<StoredEvent> {
    let mut tx = test.kit.database().begin_read().await.unwrap();
    let batch = event_log::read_after(&mut tx, Partition::of(COUNTY), 0, 1000, &[], &[]).await.unwrap();
    batch.events
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_share_transactions_and_each_has_its_own_answer() {
    for test in databases().await {
        let notes = Notes::new(&test.kit);
        for (text, answer) in at_once(&notes, (0..AT_ONCE).map(|index| format!("note {index}"))).await {
            assert_eq!(answer, Ok(text));
        }
        assert_eq!(counts(&test.kit).await, (200, 200));
        let events = events(&test).await;
        assert!(events.iter().map(|event| event.version).eq(1..=200), "one subject's events, without a gap");
        assert!(events.iter().all(|event| event.programme == PROGRAMME));
        assert!(events.iter().all(|event| (event.transaction_place, event.transaction_size) == (1, 1)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn command_that_falls_takes_nobody_with_it() {
    for test in databases().await {
        let notes = Notes::new(&test.kit);
        let bad = ["refuse", "fail", "panic", "missing"];
        let texts = (0..AT_ONCE).map(|index| match index % 5 {
            4 => bad[index / 5 % bad.len()].to_owned(),
            _ => format!("note {index}"),
        });
        let mut refused = BTreeSet::new();
        for (text, answer) in at_once(&notes, texts).await {
            match answer {
                Ok(answered) => assert_eq!(answered, text),
                Err(reason) => {
                    assert!(bad.contains(&text.as_str()), "{text}: {reason}");
                    refused.insert((text, reason));
                }
            }
        }
        let reasons: Vec<&str> = refused.iter().map(|(_, reason)| reason.as_str()).collect();
        assert_eq!(reasons, ["INTERNAL", "NOT_FOUND", "INTERNAL", "OUT_OF_ORDER"]);
        assert_eq!(counts(&test.kit).await, (160, 160));
        let mut tx = test.kit.database().begin_read().await.unwrap();
        let sql = "SELECT text FROM note WHERE text NOT LIKE 'note %'";
        assert_eq!(fetch_all!(tx, (String,), sql).unwrap(), []);
    }
}

/// As a deadlock, a serialisation failure or a commit that fails does: what broke the transaction of all breaks only its
/// own when each has one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transaction_that_fails_is_taken_apart() {
    for test in databases().await {
        let notes = Notes::new(&test.kit);
        let mut tx = test.kit.database().begin_write().await.unwrap();
        // Checked at the commit, behind every savepoint.
        let parent = "CREATE TABLE county (code TEXT PRIMARY KEY)";
        execute!(tx, parent).unwrap();
        execute!(tx, "INSERT INTO county (code) VALUES ($1)", COUNTY).unwrap();
        execute!(tx, "DROP TABLE note").unwrap();
        let child = "CREATE TABLE note (county TEXT REFERENCES county (code) DEFERRABLE INITIALLY DEFERRED, text TEXT)";
        execute!(tx, child).unwrap();
        tx.commit().await.unwrap();

        let mut calls = JoinSet::new();
        for index in 0..60 {
            let notes = notes.clone();
            let county = if index == 30 { "130399" } else { COUNTY };
            let request = put_in(county, &format!("R{index}"), &format!("note {index}"));
            calls.spawn(async move { (index, notes.put_note(request).await) });
        }
        for (index, answer) in calls.join_all().await {
            assert_eq!(answer.is_err(), index == 30, "{index}: {answer:?}");
        }
        assert_eq!(counts(&test.kit).await, (59, 59));
    }
}

#[tokio::test]
async fn refusal_that_a_later_write_turns_is_judged_anew() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let status = notes.put_note(put("R1", "missing")).await.unwrap_err();
    assert_eq!(reason_of(&status).as_deref(), Some("NOT_FOUND"));
    notes.refusing.store(false, Ordering::SeqCst);
    notes.put_note(put("R1", "missing")).await.unwrap();
    notes.refusing.store(true, Ordering::SeqCst);
    notes.put_note(put("R1", "missing")).await.unwrap();
    assert_eq!(counts(&test.kit).await, (1, 1));
}

#[tokio::test]
async fn answer_that_is_too_large_to_send_is_refused_before_anything_is_kept() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    for request_id in ["", "R1", "R1"] {
        let status = notes.put_note(put(request_id, "large")).await.unwrap_err();
        assert_eq!(reason_of(&status).as_deref(), Some("TOO_MANY"));
    }
    assert_eq!(counts(&test.kit).await, (0, 0));
}

#[tokio::test]
async fn caller_who_goes_away_holds_nobody_up() {
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    let hanging = {
        let notes = notes.clone();
        tokio::spawn(async move { notes.put_note(put("R1", "hang")).await })
    };
    while notes.attempts.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    hanging.abort();
    assert_eq!(notes.put_note(put("R2", "hello")).await.unwrap().get_ref().text, "hello");
    let status = notes.put_note(put("R2", "other")).await.unwrap_err();
    assert_eq!(status.code(), Code::AlreadyExists);
    assert_eq!(counts(&test.kit).await, (1, 1));
}

/// On Postgres lanes may wait for each other's rows. One of them is told that it is a deadlock, its commands are tried
/// again each alone, and nobody notices but by the time that Postgres takes to see it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lanes_that_wait_for_each_other_lose_nothing() {
    let test = test_kit_on_postgres("notes").await;
    let notes = Notes::new(&test.kit);
    let lane = |county: &str| Partition::of(county).index() % 2;
    let other = (130_303..).map(|code| code.to_string()).find(|code| lane(code) != lane(COUNTY)).unwrap();
    let begun = Instant::now();
    let one = notes.put_note(put_in(COUNTY, "R1", "locks 1 2"));
    let two = notes.put_note(put_in(&other, "R2", "locks 2 1"));
    let (one, two) = tokio::join!(one, two);
    assert_eq!(
        (one.unwrap().into_inner().text, two.unwrap().into_inner().text),
        ("locks 1 2".into(), "locks 2 1".into())
    );
    assert!(begun.elapsed() < DEADLOCK_TIME_MAX, "{:?}", begun.elapsed());
    assert_eq!(counts(&test.kit).await, (2, 2));
    assert!(notes.attempts.load(Ordering::SeqCst) > 4, "neither was run again");
}

/// Handlers run in the task of their lane, and say something of their own call all the same.
#[tokio::test]
async fn log_line_of_a_handler_says_of_which_call_it_is() {
    let lines = Lines::default();
    let sink = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || sink.clone()).finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let test = test_kit().await;
    let notes = Notes::new(&test.kit);
    // The first is alone, the others share a transaction.
    let call = |index: i32| {
        let line = tracing::error_span!(CALL_SPAN, method = format!("/of/call-{index}"));
        notes.put_note(put(&format!("R{index}"), "log")).instrument(line)
    };
    for answer in join_all((0..4).map(call)).await {
        answer.unwrap();
    }
    let text = lines.text();
    for index in 0..4 {
        let own = format!("call{{method=\"/of/call-{index}\"}}: ");
        let said = |line: &&str| line.contains(&own) && line.ends_with("a handler says something");
        assert_eq!(text.lines().filter(said).count(), 1, "{index}: {text}");
    }
}

/// What is logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
