//! temporary
#[path = "../tests/world/mod.rs"]
mod world;
use world::*;
use shipei_contracts::common::v1::Role;
use shipei_contracts::learning::v1::CourseCategory;
use shipei_service_kit::testing::TestKit;
use std::time::Instant;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let n = |i: usize, d: i64| args.get(i).and_then(|a| a.parse().ok()).unwrap_or(d);
    let postgres = args.get(1).is_some_and(|a| a == "postgres");
    let (learners, per_message, beats_each, rounds, streams) = (n(2, 5000), n(3, 500), n(4, 10), n(5, 40), n(6, 1));
    let world = if postgres { World::postgres().await } else { World::sqlite().await };
    let _ = TestKit::sqlite;
    for i in 0..30 {
        world.course(course(&format!("C{i}"), CourseCategory::Public, 45)).await;
    }
    let mut events = Vec::new();
    for i in 0..learners {
        events.push(registered(&format!("T{i:06}"), Role::Trainee, "130302"));
        events.push(logged_in(&format!("T{i:06}"), "2019-09-11T08:00:00+08:00"));
    }
    for chunk in events.chunks(1000) { world.learn(chunk).await; }
    let from = at("2019-09-16T08:00:00+08:00");
    let mut per_stream: Vec<Vec<_>> = vec![Vec::new(); streams as usize];
    let mut total = 0;
    let mut number = 0;
    for round in 0..rounds {
        for first in (0..learners).step_by(per_message as usize) {
            let mut sessions = Vec::new();
            for i in first..(first + per_message).min(learners) {
                let (person, session, c) = (format!("T{i:06}"), format!("S{i}-{}", round / 10), format!("C{}", round / 10 % 30));
                let list: Vec<(i64, i64)> = (0..beats_each).map(|b| { let k = (round % 10) * beats_each + b; (k, (round / 10) * 10 * beats_each * 30 + k * 30) }).collect();
                total += list.len();
                sessions.push(beats((&person, &c, &session), from, &list));
            }
            let stream = ((first / per_message) % streams) as usize;
            per_stream[stream].push(message(number, sessions));
            number += 1;
        }
    }
    let messages: usize = per_stream.iter().map(Vec::len).sum();
    println!("{total} beats in {messages} messages over {streams} streams");
    let begun = Instant::now();
    let mut tasks = Vec::new();
    for messages in per_stream {
        let mut study = world.first.study();
        tasks.push(tokio::spawn(async move {
            let mut answers = study.stream_heartbeats(tokio_stream::iter(messages)).await.unwrap().into_inner();
            let mut credited = 0;
            let mut refused = 0;
            while let Some(answer) = answers.message().await.unwrap() {
                for s in &answer.sessions { credited += s.credited_seconds.iter().sum::<i64>(); refused += s.refused.len(); }
            }
            (credited, refused)
        }));
    }
    let mut sum = (0, 0);
    for task in tasks { let (c, r) = task.await.unwrap(); sum.0 += c; sum.1 += r; }
    let took = begun.elapsed();
    println!("{sum:?} in {took:?}: {} beats/s", total as u128 * 1000 / took.as_millis());
    if n(7, 0) > 0 {
        let singles = n(7, 0);
        let begun = Instant::now();
        let mut tasks = Vec::new();
        for worker in 0..1000 {
            let mut study = if worker % 200 == 0 { world.first.study() } else { world.first.study() };
            tasks.push(tokio::spawn(async move {
                for k in 0..singles {
                    let when = at("2019-10-20T08:00:00+08:00") + chrono::TimeDelta::seconds(k * 30);
                    study.record_heartbeat(beat(&format!("T{worker:06}"), "C29", &format!("U{worker}"), k, when)).await.unwrap();
                }
            }));
        }
        for task in tasks { task.await.unwrap(); }
        let took = begun.elapsed();
        println!("{} unary beats in {took:?}: {}/s", singles * 1000, (singles * 1000) as u128 * 1000 / took.as_millis());
    }
    world.first.shutdown.finish().await;
}
