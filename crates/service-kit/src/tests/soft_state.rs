//! What instances share in Redis, with it, without it, and while it dies and comes back.

use std::{num::NonZeroU32, time::Duration};

use chrono::TimeDelta;
use shipei_store::{Wake, WakeListener, crypto::Keys, testing::TestDatabase};
use tokio::net::TcpListener;
use tonic::{Code, Status};

use super::notes::{NoteService as _, Notes, PUT_NOTE, PutNoteResponse, add_notes, call, migrator, put_in};
use crate::{
    Instance, Kit, Shutdown, SoftState, TrustedProxies,
    answer::status::{reason_of, retry_after},
    connect_lazily,
    soft_state::{
        presence::{Known, Presence},
        rate_limit::RateLimiter,
        wakes,
    },
    testing::{TestKit, TestServer, start},
    testing_redis::TestRedis,
};

const PATIENCE: Duration = Duration::from_secs(30);
const WINDOW: Duration = Duration::from_secs(120);

fn share(redis: &TestRedis) -> SoftState {
    SoftState::open(&redis.url(), None, &Keys::derive(&[7; 32])).unwrap()
}

/// A kit that shares what the other kits of this Redis share, and its name too, as two processes by mistake may.
async fn sharing(redis: &TestRedis) -> TestKit {
    let test = TestKit::over(TestDatabase::sqlite(), "notes", &migrator()).await;
    let instance = Instance::new("one name for all", Some(share(redis))).unwrap();
    let database = test.kit.database().clone();
    let kit = Kit::new("notes", database, test.clock.clone(), test.kit.keys(), instance);
    TestKit { kit, ..test }
}

/// Notifies until it is heard: what is said before the other one has subscribed is lost, and may be.
async fn heard(speaker: &Wake, listener: &mut WakeListener) {
    let hearing = async {
        loop {
            speaker.notify();
            let wait = tokio::time::timeout(Duration::from_millis(50), listener.notified());
            if wait.await.is_ok() {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, hearing).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wake_of_one_instance_is_heard_by_the_other_also_after_redis_died() {
    let mut redis = TestRedis::start();
    let (one, other) = (sharing(&redis).await, sharing(&redis).await);
    let shutdown = Shutdown::new();
    wakes::carry(&[one.kit.log()], &shutdown);
    wakes::carry(&[other.kit.log()], &shutdown);
    let mut listener = other.kit.wake().listener();
    heard(one.kit.wake(), &mut listener).await;
    // It came from outside and is not told again.
    let mut own = other.kit.wake().own_listener();
    assert!(tokio::time::timeout(Duration::from_millis(5), own.notified()).await.is_err());
    redis.start_again();
    heard(one.kit.wake(), &mut listener).await;
    redis.kill();
    // Nobody waits for a dead Redis.
    one.kit.wake().notify();
    assert!(shutdown.finish().await);
}

/// Waits until a count is as it should be, since marks are shared a little later.
async fn counted(presence: &Presence, groups: &[String], expected: &[i64], known: Known) {
    let counting = async {
        loop {
            let (counts, by) = presence.count(groups).await;
            if counts == expected && by == known {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, counting).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn presence_is_that_of_all_instances_and_of_one_without_redis() {
    let mut redis = TestRedis::start();
    let (one, other) = (sharing(&redis).await, sharing(&redis).await);
    let shutdown = Shutdown::new();
    let here =
        [&one, &other].map(|test| Presence::start(test.kit.instance(), test.kit.clock(), WINDOW, &shutdown));
    let now = one.clock.now();
    let groups = ["p/130302", "p/130303"].map(str::to_owned);
    here[0].mark(&groups[0], "T1", now);
    here[0].mark(&groups[0], "T2", now - TimeDelta::seconds(100));
    here[1].mark(&groups[0], "T1", now - TimeDelta::seconds(5));
    here[1].mark(&groups[1], "T3", now);
    // Long ago, or not yet.
    here[1].mark(&groups[1], "T4", now - TimeDelta::seconds(121));
    here[1].mark(&groups[1], "T5", now + TimeDelta::hours(1));
    for presence in &here {
        counted(presence, &groups, &[2, 1], Known::ByAll).await;
        let (members, known) = presence.members(&groups[0], 10).await;
        assert_eq!(known, Known::ByAll);
        assert_eq!(members, [("T1".to_owned(), now), ("T2".to_owned(), now - TimeDelta::seconds(100))]);
    }
    one.clock.advance(TimeDelta::seconds(60));
    counted(&here[0], &groups, &[1, 1], Known::ByAll).await;
    redis.kill();
    counted(&here[1], &groups, &[1, 1], Known::ByOne).await;
    let (members, known) = here[1].members(&groups[0], 10).await;
    assert_eq!((members.len(), known), (1, Known::ByOne));
    other.clock.advance(TimeDelta::seconds(121));
    counted(&here[1], &groups, &[0, 0], Known::ByOne).await;
    shutdown.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limit_is_shared_by_instances() {
    let redis = TestRedis::start();
    let clock = crate::Clock::manual(start());
    let shutdown = Shutdown::new();
    let limit = NonZeroU32::new(10).unwrap();
    let soft_state = share(&redis);
    let limiters = [0, 1].map(|_| RateLimiter::start(limit, &clock, None, &shutdown));
    for _ in 0..6 {
        limiters[0].admit("notes", "a").unwrap();
    }
    limiters[1].admit("notes", "a").unwrap();
    for limiter in &limiters {
        limiter.share_once(Some(&soft_state)).await;
    }
    for _ in 0..3 {
        limiters[1].admit("notes", "a").unwrap();
    }
    assert!(limiters[1].admit("notes", "a").is_err());
    limiters[1].admit("notes", "b").unwrap();
    shutdown.finish().await;
}

#[tokio::test]
async fn caller_who_calls_too_often_is_told_when_to_come_back() {
    let test = super::notes::test_kit().await;
    let notes = Notes::new(&test.kit);
    let shutdown = Shutdown::new();
    let limiter = RateLimiter::start(NonZeroU32::new(2).unwrap(), &test.clock, None, &shutdown);
    let server = TestServer::start(|builder| add_notes(builder, &notes).rate_limiter(limiter)).await;
    let put = async |caller: &'static str| {
        let mut request = put_in("130302", "", "note");
        request.metadata_mut().insert("shipei-caller", caller.parse().unwrap());
        call::<_, PutNoteResponse>(server.channel(), PUT_NOTE, request).await
    };
    for _ in 0..2 {
        put("trainee:T1@130302").await.unwrap();
    }
    let refused = put("trainee:T1@130302").await.unwrap_err();
    assert_eq!(reason_of(&refused).as_deref(), Some("RATE_LIMITED"));
    assert_eq!(refused.code(), Code::ResourceExhausted);
    test.clock.advance(TimeDelta::from_std(retry_after(&refused).unwrap()).unwrap());
    put("trainee:T1@130302").await.unwrap();
    put("trainee:T2@130302").await.unwrap();
    // The suite's own services are not limited.
    for _ in 0..5 {
        put("service:assessment").await.unwrap();
    }
    assert!(notes.put_note(put_in("130302", "", "note")).await.is_ok());
    shutdown.finish().await;
}

#[tokio::test]
async fn who_names_nobody_can_not_say_to_come_from_elsewhere() {
    let test = super::notes::test_kit().await;
    for (trusted, other_is_taken) in [(vec![], false), (vec!["127.0.0.0/8".to_owned()], true)] {
        let notes = Notes::new(&test.kit);
        let shutdown = Shutdown::new();
        let limiter = RateLimiter::start(NonZeroU32::new(1).unwrap(), &test.clock, None, &shutdown);
        let proxies = TrustedProxies::new(&trusted).unwrap();
        let server = TestServer::start(|builder| {
            add_notes(builder, &notes).rate_limiter(limiter).trusted_proxies(proxies)
        })
        .await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = server.server.serve_tcp(listener).unwrap();
        let channel = connect_lazily(&format!("http://{address}")).unwrap();
        let put = async |from: &'static str| {
            let mut request = put_in("130302", "", "note");
            request.metadata_mut().insert("x-forwarded-for", from.parse().unwrap());
            call::<_, PutNoteResponse>(channel.clone(), PUT_NOTE, request).await
        };
        let reason = |put: Result<_, Status>| put.err().and_then(|status| reason_of(&status));
        assert_ne!(reason(put("198.51.100.1").await).as_deref(), Some("RATE_LIMITED"));
        assert_eq!(reason(put("198.51.100.1").await).as_deref(), Some("RATE_LIMITED"));
        let other = reason(put("198.51.100.2").await);
        assert_eq!(other.as_deref() != Some("RATE_LIMITED"), other_is_taken, "{trusted:?}: {other:?}");
        server.shutdown.finish().await;
        shutdown.finish().await;
    }
}

#[test]
fn address_that_cannot_be_is_refused_without_repeating_it() {
    for url in ["redis://:secret@", "http://secret", "secret"] {
        let error = SoftState::open(url, None, &Keys::derive(&[7; 32])).unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}
