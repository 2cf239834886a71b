//! How much one caller may have under way at once: single calls, and streams, each by a bound of its own. Why beside the rate
//! (`limit`): whoever opens a thousand streams and reads none of them calls seldom, and holds what all others need. Counted by the
//! subject of the token, over all of its connections to this process; services of the suite are not bounded.

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tonic::Status;

use crate::{
    answer::status::too_many_at_once,
    identity::caller::{Caller, CallerKind},
};

/// The most calls and streams of one caller that nobody has bounded otherwise.
pub const CALLS_BY_CALLER: usize = 1024;
/// See [`CALLS_BY_CALLER`].
pub const STREAMS_BY_CALLER: usize = 1024;

/// What one caller may have under way in a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallerLimits {
    /// Calls of one answer; none is no bound.
    pub calls: Option<NonZeroUsize>,
    /// Calls of many messages, of either side.
    pub streams: Option<NonZeroUsize>,
}

impl Default for CallerLimits {
    fn default() -> Self {
        Self { calls: NonZeroUsize::new(CALLS_BY_CALLER), streams: NonZeroUsize::new(STREAMS_BY_CALLER) }
    }
}

/// What all callers have under way. Clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct UnderWay {
    limits: CallerLimits,
    counts: Arc<Mutex<HashMap<String, Counts>>>,
}

#[derive(Debug, Default)]
struct Counts {
    calls: usize,
    streams: usize,
}

impl Counts {
    fn of(&mut self, is_stream: bool) -> &mut usize {
        if is_stream { &mut self.streams } else { &mut self.calls }
    }
}

/// The place of one call among its caller's, until this is dropped.
#[derive(Debug)]
pub(crate) struct CallPlace {
    under_way: UnderWay,
    subject: String,
    is_stream: bool,
}

impl UnderWay {
    pub(crate) fn new(limits: CallerLimits) -> Self {
        Self { limits, counts: Arc::default() }
    }

    /// The place of a call; none where callers are not bounded.
    ///
    /// # Errors
    /// TOO_MANY_AT_ONCE, with a time after which it may pass.
    pub(crate) fn enter(&self, caller: &Caller, is_stream: bool) -> Result<Option<CallPlace>, Box<Status>> {
        if !matches!(caller.kind, CallerKind::Token(_)) {
            return Ok(None);
        }
        let limit = if is_stream { self.limits.streams } else { self.limits.calls };
        let Some(limit) = limit else { return Ok(None) };
        let mut counts = self.lock();
        // Looked for first: nearly always it is there, and no text is made.
        let count = match counts.get_mut(&caller.subject) {
            Some(counts) => counts,
            None => counts.entry(caller.subject.clone()).or_default(),
        };
        let count = count.of(is_stream);
        if *count >= limit.get() {
            return Err(Box::new(too_many_at_once(limit.get())));
        }
        *count += 1;
        Ok(Some(CallPlace { under_way: self.clone(), subject: caller.subject.clone(), is_stream }))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Counts>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for CallPlace {
    fn drop(&mut self) {
        let mut all = self.under_way.lock();
        let Some(counts) = all.get_mut(&self.subject) else { return };
        let count = counts.of(self.is_stream);
        *count = count.saturating_sub(1);
        // Who has nothing under way takes no memory.
        if counts.calls == 0 && counts.streams == 0 {
            all.remove(&self.subject);
        }
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;
    use crate::{
        answer::status::{reason_of, retry_after},
        identity::claims::Claims,
    };

    fn caller(subject: &str) -> Caller {
        let claims = Claims::read(format!(r#"{{"sub":"{subject}","exp":1}}"#).as_bytes()).unwrap();
        Caller::of_token(Arc::new(claims))
    }

    #[test]
    fn each_caller_has_so_many_places_and_gives_them_back() {
        let limits = CallerLimits { calls: NonZeroUsize::new(2), streams: NonZeroUsize::new(1) };
        let under_way = UnderWay::new(limits);
        let (one, other) = (caller("A"), caller("B"));
        let places = [under_way.enter(&one, false).unwrap(), under_way.enter(&one, false).unwrap()];
        assert!(places.iter().all(Option::is_some));
        let status = under_way.enter(&one, false).unwrap_err();
        assert_eq!(
            (status.code(), reason_of(&status).as_deref()),
            (Code::ResourceExhausted, Some("TOO_MANY_AT_ONCE"))
        );
        assert!(retry_after(&status).is_some());
        let stream = under_way.enter(&one, true).unwrap();
        assert!(under_way.enter(&one, true).is_err());
        // Others have their own, and the suite's services as many as they like.
        assert!(under_way.enter(&other, true).unwrap().is_some());
        assert!(under_way.enter(&Caller::service("assessment"), true).unwrap().is_none());
        drop((places, stream));
        assert!(under_way.enter(&one, true).unwrap().is_some());
        assert!(under_way.lock().is_empty(), "what was entered and dropped takes no memory");
    }

    #[test]
    fn without_a_bound_nobody_is_counted() {
        let under_way = UnderWay::new(CallerLimits { calls: None, streams: None });
        assert!(under_way.enter(&caller("A"), false).unwrap().is_none());
        assert!(under_way.lock().is_empty());
    }
}
