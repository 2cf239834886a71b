//! The one clock. What: the instant that services call "now", whole microseconds, UTC. Why: rules depend on
//! when things happened, so a test and a replay own the time; `clippy.toml` bans the system's clock everywhere
//! but here. Another kind of clock is another arm of `Kind`.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// The decimals of a second that are kept: both databases keep microseconds.
const SECOND_DECIMALS: u16 = 6;

/// What a service takes the present from. Clones show the same time.
#[derive(Debug, Clone)]
pub struct Clock {
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    System,
    Manual(Arc<Mutex<DateTime<Utc>>>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self { kind: Kind::System }
    }

    /// A clock that stands at `start` until it is moved, for tests and replays.
    pub fn manual(start: DateTime<Utc>) -> Self {
        Self { kind: Kind::Manual(Arc::new(Mutex::new(start))) }
    }

    /// The present, truncated to microseconds.
    pub fn now(&self) -> DateTime<Utc> {
        let instant = match &self.kind {
            Kind::System => system_now(),
            Kind::Manual(time) => *time.lock().unwrap_or_else(PoisonError::into_inner),
        };
        truncate(instant)
    }

    /// Puts a manual clock to `instant`; the system's clock is not touched.
    pub fn set(&self, instant: DateTime<Utc>) {
        let Kind::Manual(time) = &self.kind else { return };
        *time.lock().unwrap_or_else(PoisonError::into_inner) = instant;
    }

    /// Moves a manual clock by `step`; the system's clock is not touched.
    pub fn advance(&self, step: TimeDelta) {
        let Kind::Manual(time) = &self.kind else { return };
        let mut time = time.lock().unwrap_or_else(PoisonError::into_inner);
        *time = time.checked_add_signed(step).unwrap_or(*time);
    }
}

/// `instant` without what is finer than a microsecond.
pub fn truncate(instant: DateTime<Utc>) -> DateTime<Utc> {
    instant.trunc_subsecs(SECOND_DECIMALS)
}

#[expect(clippy::disallowed_methods, reason = "the one place that asks the system for the time")]
fn system_now() -> DateTime<Utc> {
    DateTime::<Utc>::from(std::time::SystemTime::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manual_clock_moves_only_when_told() {
        let start = DateTime::from_timestamp(1_700_000_000, 123_456_789).unwrap();
        let clock = Clock::manual(start);
        let same = clock.clone();
        assert_eq!(clock.now().timestamp_subsec_nanos(), 123_456_000);
        clock.advance(TimeDelta::seconds(5));
        assert_eq!(same.now().timestamp(), 1_700_000_005);
        same.set(start);
        assert_eq!(clock.now(), truncate(start));
    }

    #[test]
    fn system_clock_gives_microseconds() {
        let now = Clock::system().now();
        assert_eq!(now, truncate(now));
        assert!(now.timestamp() > 1_700_000_000);
    }
}
