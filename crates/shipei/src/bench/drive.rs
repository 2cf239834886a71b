//! The two drivers that both sides of a measurement share, so that they are bounded and timed alike.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use tokio::task::JoinSet;

use super::report::Rate;

/// Runs `act` for these numbers, all of them or until the time is over, so many at once.
pub(crate) async fn at_once<F, Fut>(numbers: Range<u64>, workers: u64, time: Duration, act: F) -> Result<Rate>
where
    F: Fn(u64) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<()>> + Send,
{
    let next = Arc::new(AtomicU64::new(numbers.start));
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..workers {
        let (next, act, end) = (Arc::clone(&next), act.clone(), numbers.end);
        tasks.spawn(async move {
            let mut done = 0;
            while began.elapsed() < time {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= end {
                    break;
                }
                act(number).await?;
                done += 1;
            }
            Ok::<u64, anyhow::Error>(done)
        });
    }
    let mut count = 0;
    while let Some(done) = tasks.join_next().await {
        count += done.context("a worker of the bench died")??;
    }
    Ok(Rate { count, took: began.elapsed() })
}

/// Runs `act` for these numbers one after the other, all of them or until the time is over. The rate is that of the
/// median: one in the time that half of them took at most.
pub(crate) async fn alone<F, Fut>(numbers: Range<u64>, time: Duration, act: F) -> Result<Rate>
where
    F: Fn(u64) -> Fut,
    Fut: Future<Output = Result<()>>,
{
    let began = Instant::now();
    let mut took = Vec::new();
    for number in numbers {
        if began.elapsed() >= time {
            break;
        }
        let sent = Instant::now();
        act(number).await?;
        took.push(sent.elapsed());
    }
    took.sort_unstable();
    let median = took.get(took.len() / 2).context("nothing was measured alone")?;
    Ok(Rate { count: 1, took: *median })
}
