//! Runs calls at once that have nothing to do with each other, and in their order those that have.
//!
//! Each call names the keys of what it touches (a trainee's work, a seminar, an activity ...). A call starts when
//! every earlier call that shares a key with it has ended. So the answers are those of the strict order, and a
//! season of thousands of classes does not wait for itself.

use std::{collections::HashMap, hash::Hash};

use futures::stream::{FuturesUnordered, StreamExt as _};

/// The most calls under way at once.
pub const CALLS_UNDER_WAY_MAX: usize = 64;

/// Runs every job; `keys` of equal value keep their jobs in order. The first error ends the run.
pub async fn run_in_order<J, K, E, Fut>(
    jobs: Vec<J>,
    keys: impl Fn(&J) -> Vec<K>,
    mut start: impl FnMut(J) -> Fut,
) -> Result<(), E>
where
    K: Eq + Hash,
    Fut: Future<Output = Result<(), E>>,
{
    let mut waits_for: Vec<usize> = Vec::with_capacity(jobs.len());
    let mut followers: Vec<Vec<usize>> = vec![Vec::new(); jobs.len()];
    let mut last_with: HashMap<K, usize> = HashMap::new();
    for (place, job) in jobs.iter().enumerate() {
        let mut earlier: Vec<usize> =
            keys(job).into_iter().filter_map(|key| last_with.insert(key, place)).collect();
        earlier.retain(|earlier| *earlier != place);
        earlier.sort_unstable();
        earlier.dedup();
        waits_for.push(earlier.len());
        for earlier in earlier {
            followers[earlier].push(place);
        }
    }
    let mut jobs: Vec<Option<J>> = jobs.into_iter().map(Some).collect();
    let mut ready: std::collections::VecDeque<usize> =
        (0..jobs.len()).filter(|place| waits_for[*place] == 0).collect();
    let mut under_way = FuturesUnordered::new();
    loop {
        while under_way.len() < CALLS_UNDER_WAY_MAX {
            let Some(place) = ready.pop_front() else { break };
            let Some(job) = jobs[place].take() else { continue };
            let running = start(job);
            under_way.push(async move { running.await.map(|()| place) });
        }
        let Some(ended) = under_way.next().await else { return Ok(()) };
        for follower in &followers[ended?] {
            waits_for[*follower] -= 1;
            if waits_for[*follower] == 0 {
                ready.push_back(*follower);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[tokio::test]
    async fn jobs_that_share_a_key_keep_their_order() {
        let jobs: Vec<(usize, Vec<u8>)> =
            (0..200).map(|place| (place, vec![(place % 7) as u8, 100 + (place % 3) as u8])).collect();
        let ended = RefCell::new(Vec::new());
        let result: Result<(), ()> = run_in_order(
            jobs.clone(),
            |job| job.1.clone(),
            |job| {
                let ended = &ended;
                async move {
                    // Some give way more often than others, so that an order that is not kept shows.
                    for _ in 0..(job.0 * 31) % 17 {
                        tokio::task::yield_now().await;
                    }
                    ended.borrow_mut().push(job);
                    Ok(())
                }
            },
        )
        .await;
        assert_eq!(result, Ok(()));
        let ended = ended.into_inner();
        assert_eq!(ended.len(), jobs.len());
        for key in (0..7).chain(100..103) {
            let with_key: Vec<usize> =
                ended.iter().filter(|job| job.1.contains(&key)).map(|job| job.0).collect();
            assert!(with_key.is_sorted(), "{key}: {with_key:?}");
        }
    }

    #[tokio::test]
    async fn first_error_ends_the_run() {
        let result = run_in_order(
            vec![1, 2, 3],
            |_| vec![0],
            |job| async move { if job == 2 { Err(job) } else { Ok(()) } },
        );
        assert_eq!(result.await, Err(2));
    }
}
