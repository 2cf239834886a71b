//! When something happened, where a caller states it (`occurred_at`): who may, and what can't be. Every way in reads it
//! here: unary writes in `write/kit`, and services whose streams state a time for each of their items. Rules use this time,
//! so a fact of the future would be in force before it is one.

use chrono::{DateTime, TimeDelta, Utc};
use prost_types::Timestamp;
use shipei_contracts::common::v1::ErrorReason;

use crate::{
    answer::{
        convert::from_timestamp,
        error::{Error, Refusal, Result},
    },
    call::admit::Admitted,
};

/// How far a caller's clock may run ahead of the service's.
pub const AHEAD_MAX: TimeDelta = TimeDelta::minutes(5);

/// Reads the times that one caller states in one call. Made once, it costs a comparison for each.
#[derive(Debug, Clone, Copy)]
pub struct StatedTimes {
    may_state: bool,
    latest: DateTime<Utc>,
}

impl StatedTimes {
    /// Those of a caller, at `now`: who has the import right may state them.
    pub fn of(admitted: &Admitted, now: DateTime<Utc>) -> Self {
        Self::when(admitted.may_import(), now)
    }

    fn when(may_state: bool, now: DateTime<Utc>) -> Self {
        Self { may_state, latest: now + AHEAD_MAX }
    }

    /// The instant that is stated.
    ///
    /// # Errors
    /// IMPORT_RIGHT_REQUIRED, INVALID_FIELD, or IN_THE_FUTURE when it is later than now by more than [`AHEAD_MAX`].
    pub fn read(self, stated: &Timestamp) -> Result<DateTime<Utc>> {
        if !self.may_state {
            return Err(Refusal::new(ErrorReason::ImportRightRequired).field(FIELD).into());
        }
        let instant = from_timestamp(stated).map_err(|fault| Error::invalid(FIELD, fault))?;
        if instant > self.latest {
            return Err(Refusal::new(ErrorReason::InTheFuture).field(FIELD).into());
        }
        Ok(instant)
    }
}

const FIELD: &str = "occurred_at";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{answer::convert::to_timestamp, testing::start};

    #[test]
    fn what_is_stated_may_run_five_minutes_ahead() {
        let now = start();
        let times = StatedTimes::when(true, now);
        for (micros, passes) in [(-1, true), (0, true), (300_000_000, true), (300_000_001, false)] {
            let stated = now + TimeDelta::microseconds(micros);
            match times.read(&to_timestamp(stated)) {
                Ok(read) => assert!(passes && read == stated, "{micros}"),
                Err(Error::Refused(refusal)) => {
                    assert!(!passes && refusal.reason == ErrorReason::InTheFuture, "{micros}");
                }
                Err(error) => panic!("{micros}: {error}"),
            }
        }
        let fault = times.read(&Timestamp { seconds: 0, nanos: -1 });
        assert!(matches!(fault, Err(Error::Invalid(fields)) if fields[0].field == FIELD));
        let refused = StatedTimes::when(false, now).read(&to_timestamp(now));
        assert!(
            matches!(refused, Err(Error::Refused(one)) if one.reason == ErrorReason::ImportRightRequired)
        );
    }
}
