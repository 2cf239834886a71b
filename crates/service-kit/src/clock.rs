//! The one clock. What: the instant that services call "now", whole microseconds, UTC. Why: rules depend on
//! when things happened, so a test and a replay own the time; `clippy.toml` bans the system's clock everywhere
//! but here. Another kind of clock is another arm of `Kind`.
//!
//! The machine's wall clock is not believed at once when it jumps away from the steady one (a time server that errs, a hand
//! that slips): what a jump ahead would date stays the newest of its session for ever. For some minutes time goes on by the
//! steady clock and an alarm is given (`shipei.clock.step`); a jump that lasts is believed then.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// The decimals of a second that are kept: both databases keep microseconds.
const SECOND_DECIMALS: u16 = 6;

/// What a service takes the present from. Clones show the same time.
#[derive(Debug, Clone)]
pub struct Clock {
    kind: Kind,
}

/// What differs by no more than this is no jump: clocks are corrected by fractions of a second.
const STEP_MIN: TimeDelta = TimeDelta::seconds(5);
/// A jump that lasts so long is believed.
const BELIEVED_AFTER: Duration = Duration::from_secs(10 * 60);

/// The machine's clocks, as this process has seen them.
static STEADY: Mutex<Steady> = Mutex::new(Steady { last: None, stepped_at: None });

/// A wall clock that is believed when it goes as the steady one does.
#[derive(Debug)]
struct Steady {
    /// The wall clock when it was last believed, and the steady one then.
    last: Option<(DateTime<Utc>, Duration)>,
    /// When the wall clock was first seen away from it.
    stepped_at: Option<Duration>,
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
            Kind::System => look(),
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

/// The present by the machine's clocks. Whoever watches it asks now and then, so that a jump is told when nobody calls.
pub(crate) fn look() -> DateTime<Utc> {
    let mut steady = steady();
    let (wall, since_boot) = machine();
    steady.read(wall, since_boot)
}

/// How far the wall clock is ahead of the time that is believed, or behind it (below 0), in seconds; 0 without a jump.
#[expect(clippy::float_arithmetic, clippy::cast_precision_loss, reason = "a measurement for people")]
pub(crate) fn step_seconds() -> f64 {
    let mut steady = steady();
    let (wall, since_boot) = machine();
    let step = wall - steady.read(wall, since_boot);
    step.num_milliseconds() as f64 / 1_000.0
}

fn steady() -> MutexGuard<'static, Steady> {
    STEADY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The wall clock, and the time since the machine was started, in which it may have slept.
#[expect(clippy::disallowed_methods, reason = "the one place that asks the system for the time")]
fn machine() -> (DateTime<Utc>, Duration) {
    let since_boot = rustix::time::clock_gettime(STEADY_CLOCK);
    let seconds = Duration::from_secs(u64::try_from(since_boot.tv_sec).unwrap_or_default());
    let nanoseconds = Duration::from_nanos(u64::try_from(since_boot.tv_nsec).unwrap_or_default());
    (DateTime::<Utc>::from(std::time::SystemTime::now()), seconds + nanoseconds)
}

#[cfg(target_os = "linux")]
const STEADY_CLOCK: rustix::time::ClockId = rustix::time::ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const STEADY_CLOCK: rustix::time::ClockId = rustix::time::ClockId::Monotonic;

impl Steady {
    fn read(&mut self, wall: DateTime<Utc>, since_boot: Duration) -> DateTime<Utc> {
        let Some((last_wall, last)) = self.last else { return self.believe(wall, since_boot) };
        let passed = TimeDelta::from_std(since_boot.saturating_sub(last)).unwrap_or(TimeDelta::MAX);
        let expected = last_wall.checked_add_signed(passed).unwrap_or(last_wall);
        let step = wall - expected;
        if step.abs() <= STEP_MIN {
            if self.stepped_at.is_some() {
                tracing::info!("the wall clock is right again");
            }
            return self.believe(wall, since_boot);
        }
        let stepped_at = match self.stepped_at {
            Some(stepped_at) => stepped_at,
            None => {
                let seconds = step.num_seconds();
                tracing::error!(seconds, "the wall clock has jumped: time goes on by the steady one");
                *self.stepped_at.insert(since_boot)
            }
        };
        if since_boot.saturating_sub(stepped_at) >= BELIEVED_AFTER {
            tracing::error!(seconds = step.num_seconds(), "the wall clock's jump has lasted: it is believed");
            return self.believe(wall, since_boot);
        }
        expected
    }

    fn believe(&mut self, wall: DateTime<Utc>, since_boot: Duration) -> DateTime<Utc> {
        self.last = Some((wall, since_boot));
        self.stepped_at = None;
        wall
    }
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
    fn wall_clock_that_jumps_is_believed_only_when_it_lasts() {
        let start = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let at = |seconds: i64| start + TimeDelta::seconds(seconds);
        let mut steady = Steady { last: None, stepped_at: None };
        // Seconds since the first look: of the steady clock, of the wall clock, of what is believed.
        for (passed, wall, believed) in [
            (0, 0, 0),
            (10, 10, 10),
            // Corrected by a little, both ways.
            (20, 24, 24),
            (30, 31, 31),
            // A jump of an hour ahead, for nine minutes.
            (40, 3_640, 41),
            (41, 3_641, 42),
            (580, 4_180, 581),
            (590, 591, 591),
            // A jump back that lasts.
            (600, -86_400, 601),
            (1_199, -85_801, 1_200),
            (1_200, -85_800, -85_800),
            (1_210, -85_790, -85_790),
            // Asleep for a day: both clocks went on.
            (87_610, 610, 610),
        ] {
            let seen = steady.read(at(wall), Duration::from_secs(passed));
            assert_eq!(seen, at(believed), "{passed} {wall}");
        }
    }

    #[test]
    fn another_jump_does_not_make_the_first_one_last_longer() {
        let start = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let at = |seconds: i64| start + TimeDelta::seconds(seconds);
        let mut steady = Steady { last: None, stepped_at: None };
        steady.read(at(0), Duration::ZERO);
        assert_eq!(steady.read(at(5_000), Duration::from_secs(1)), at(1));
        assert_eq!(steady.read(at(90_000), Duration::from_secs(300)), at(300));
        assert_eq!(steady.read(at(90_301), Duration::from_secs(601)), at(90_301));
    }

    #[test]
    fn system_clock_gives_microseconds() {
        let now = Clock::system().now();
        assert_eq!(now, truncate(now));
        assert!(now.timestamp() > 1_700_000_000);
    }
}
