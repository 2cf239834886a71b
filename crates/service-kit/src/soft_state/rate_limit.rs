//! How often one caller may call. What: calls of a caller to a gRPC service are counted by the minute; the count of the
//! last minute fades while the present one goes on, so that there is no moment at which twice the limit passes. Each
//! instance counts in memory and adds what it counted to Redis a few times a second, where it hears of the others: no
//! call waits for Redis, and the limit is exact to what passes within that time. Without Redis each instance has the
//! whole limit for itself.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use redis::Pipeline;

use crate::{clock::Clock, shutdown::Shutdown, soft_state::SoftState};

/// The time that a limit is for, milliseconds.
const WINDOW_MS: i64 = 60_000;
/// How often counts are shared.
const SHARE_INTERVAL: Duration = Duration::from_millis(250);
/// The most callers that are counted at once; further ones pass uncounted.
pub const CALLERS_MAX: usize = 100_000;
/// The least that a refused caller is told to wait.
const WAIT_MIN_MS: i64 = 100;
/// What names the keys of counts.
const KIND: &str = "calls";

/// Counts calls, and refuses those above the limit. Clones are the same one.
#[derive(Debug, Clone)]
pub struct RateLimiter {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    limit: i64,
    clock: Clock,
    counts: Mutex<HashMap<String, Count>>,
}

/// The calls of one caller to one service.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    /// The number of the present window.
    window: i64,
    /// Calls in the window before, of all instances as far as known.
    before: i64,
    /// Calls in this window that Redis knows of.
    shared: i64,
    /// Calls in this window that it does not know of yet.
    unshared: i64,
}

impl Count {
    /// Moves on to a window; back to one, should the clock have been set back, where counting begins anew.
    fn advance(&mut self, window: i64) {
        if window == self.window {
            return;
        }
        let present = self.shared + self.unshared;
        self.before = if window == self.window + 1 { present } else { 0 };
        (self.window, self.shared, self.unshared) = (window, 0, 0);
    }

    /// Calls in the last 60 s, as far as two counts can tell.
    fn recent(&self, into_window_ms: i64) -> i64 {
        self.before * (WINDOW_MS - into_window_ms) / WINDOW_MS + self.shared + self.unshared
    }

    /// How long until enough of it has faded for one more call: of the window before, or, in the next window, of this one.
    fn wait(&self, limit: i64, into_window_ms: i64) -> i64 {
        let present = self.shared + self.unshared;
        if present < limit && self.before > 0 {
            let excess = self.recent(into_window_ms) - limit + 1;
            return (excess * WINDOW_MS / self.before).max(WAIT_MIN_MS);
        }
        let excess = present - limit + 1;
        WINDOW_MS - into_window_ms + excess * WINDOW_MS / present.max(1)
    }
}

impl RateLimiter {
    /// Lets `limit` calls a minute pass.
    pub fn start(
        limit: NonZeroU32,
        clock: &Clock,
        soft_state: Option<&SoftState>,
        shutdown: &Shutdown,
    ) -> Self {
        let inner = Inner { limit: i64::from(limit.get()), clock: clock.clone(), counts: Mutex::default() };
        let limiter = Self { inner: Arc::new(inner) };
        let (own, soft_state, ending) = (limiter.clone(), soft_state.cloned(), shutdown.clone());
        shutdown.spawn(async move { own.share(soft_state.as_ref(), &ending).await });
        limiter
    }

    /// Counts a call; the error is how long the caller should wait. Refused calls are not counted.
    pub fn admit(&self, service: &str, caller: &str) -> Result<(), Duration> {
        let now_ms = self.inner.clock.now().timestamp_millis();
        let (window, into_window_ms) = (now_ms.div_euclid(WINDOW_MS), now_ms.rem_euclid(WINDOW_MS));
        let key = format!("{service}:{caller}");
        let mut counts = self.lock();
        if counts.len() >= CALLERS_MAX && !counts.contains_key(&key) {
            return Ok(());
        }
        let count = counts.entry(key).or_default();
        count.advance(window);
        if count.recent(into_window_ms) < self.inner.limit {
            count.unshared += 1;
            return Ok(());
        }
        let wait = count.wait(self.inner.limit, into_window_ms);
        Err(Duration::from_millis(u64::try_from(wait).unwrap_or_default()))
    }

    async fn share(&self, soft_state: Option<&SoftState>, shutdown: &Shutdown) {
        loop {
            tokio::select! {
                () = shutdown.begun() => return,
                () = tokio::time::sleep(SHARE_INTERVAL) => {}
            }
            self.share_once(soft_state).await;
        }
    }

    /// Adds what was counted to Redis, and hears what is counted there.
    pub(crate) async fn share_once(&self, soft_state: Option<&SoftState>) {
        self.forget_old();
        let Some(soft_state) = soft_state else { return };
        let unshared = self.take_unshared();
        if unshared.is_empty() {
            return;
        }
        let mut commands = Pipeline::new();
        for (key, count) in &unshared {
            let key = soft_state.key(KIND, &format!("{key}:{}", count.window));
            commands.cmd("INCRBY").arg(&key).arg(count.unshared);
            commands.cmd("PEXPIRE").arg(&key).arg(2 * WINDOW_MS).ignore();
        }
        let totals: Option<Vec<i64>> = soft_state.run("sharing how often is called", &commands).await;
        if let Some(totals) = totals {
            self.learn(&unshared, &totals);
        }
    }

    /// Forgets who has not called for long.
    fn forget_old(&self) {
        let window = self.inner.clock.now().timestamp_millis().div_euclid(WINDOW_MS);
        self.lock().retain(|_, count| count.window + 1 >= window);
    }

    /// What was counted since the last time, which counts as shared from now on.
    fn take_unshared(&self) -> Vec<(String, Count)> {
        let mut unshared = Vec::new();
        for (key, count) in self.lock().iter_mut().filter(|(_, count)| count.unshared > 0) {
            unshared.push((key.clone(), *count));
            count.shared += count.unshared;
            count.unshared = 0;
        }
        unshared
    }

    /// Takes over what Redis has counted.
    fn learn(&self, asked: &[(String, Count)], totals: &[i64]) {
        let mut counts = self.lock();
        for ((key, asked), total) in asked.iter().zip(totals) {
            if let Some(count) = counts.get_mut(key)
                && count.window == asked.window
            {
                count.shared = count.shared.max(*total);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Count>> {
        self.inner.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::testing::start;

    fn limiter(limit: u32) -> (RateLimiter, Clock) {
        // The clock of tests begins at 20 s into a minute; here at its beginning.
        let clock = Clock::manual(start() - TimeDelta::seconds(20));
        let limit = NonZeroU32::new(limit).unwrap();
        (RateLimiter::start(limit, &clock, None, &Shutdown::new()), clock)
    }

    fn passed(limiter: &RateLimiter, caller: &str) -> usize {
        (0..1_000).filter(|_| limiter.admit("notes", caller).is_ok()).count()
    }

    #[tokio::test]
    async fn no_minute_lets_more_than_the_limit_pass() {
        let (limiter, clock) = limiter(60);
        assert_eq!(passed(&limiter, "a"), 60);
        assert_eq!(passed(&limiter, "b"), 60);
        assert_eq!(limiter.admit("notes", "a"), Err(Duration::from_secs(61)));
        clock.advance(TimeDelta::seconds(90));
        // Half of the minute before still counts.
        assert_eq!(passed(&limiter, "a"), 30);
        let wait = limiter.admit("notes", "a").unwrap_err();
        clock.advance(TimeDelta::from_std(wait).unwrap());
        assert!(limiter.admit("notes", "a").is_ok(), "{wait:?}");
        clock.advance(TimeDelta::seconds(180));
        assert_eq!(passed(&limiter, "a"), 60);
        // A clock that is set back lets callers in again.
        clock.set(start());
        assert_eq!(passed(&limiter, "a"), 60);
    }

    #[tokio::test]
    async fn others_calls_count_once_they_are_known() {
        let (limiter, _) = limiter(10);
        assert!(limiter.admit("notes", "a").is_ok());
        let asked = limiter.take_unshared();
        assert_eq!((asked.len(), asked[0].1.unshared), (1, 1));
        limiter.learn(&asked, &[8]);
        assert_eq!(passed(&limiter, "a"), 2);
    }
}
